"""What the commands have in common: a console, errors in plain words, a device that works."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

STOPPED = 130  # what shells report of a program that Ctrl-C has ended
BROKEN_PIPE = 141  # and of one whose output nobody reads any more
_GAP = 4  # columns between two pieces of code
_KEPT = "\uf000"  # stands for a blank while a paragraph is broken into lines


@contextmanager
def friendly_errors(*kinds: type[Exception]) -> Iterator[None]:
    """What can go wrong in a sentence, not in a traceback; MINITX_DEBUG=1 shows the traceback.

    Args:
        kinds: of error, besides the usual ones, whose text is meant for the user.
    """
    usual = (ValueError, OSError, ModuleNotFoundError, FloatingPointError)
    os.environ.setdefault("MPLBACKEND", "agg")  # pictures go to files, no window opens
    try:
        yield
    except KeyboardInterrupt as stop:
        click.echo(f"\nStopped{str(stop).removeprefix('stopped') or '.'}", err=True)
        sys.exit(STOPPED)
    except BrokenPipeError:
        raise  # whoever read the output has seen enough
    except usual + kinds as error:
        if os.environ.get("MINITX_DEBUG"):
            raise
        raise click.ClickException(sentence(error)) from None


def sentence(error: Exception) -> str:
    """An error's text, ended as a sentence is."""
    text = str(error)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def usable(device: str | None) -> str | None:
    """The device, once it has done what models need: a step of learning and a random number.

    Raises:
        BadParameter: if it cannot.
    """
    import torch
    from torch.nn import functional as F

    if device is None:
        return None
    try:
        table = torch.ones(3, 8, device=device, requires_grad=True)
        rng = torch.Generator(device).manual_seed(0)
        token_ids = torch.randint(3, (1, 1, 5), device=device, generator=rng)
        x = F.embedding(token_ids, table)
        x = F.scaled_dot_product_attention(x, x, x, is_causal=True) @ table.T
        F.cross_entropy(x.flatten(0, 2), token_ids.flatten()).backward()
        torch.optim.AdamW([table]).step()
        table.sum().item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise click.BadParameter(f"{device} cannot be used: {reason}") from None
    return device


def program() -> str:
    """What to type for the command `minitx`: as it was called, else what works here."""
    called = Path(sys.argv[0])
    python = "python" if shutil.which("python") else Path(sys.executable).stem
    if called.name == "__main__.py" and called.parent.name == "minitx":
        return f"{python} -m minitx"
    if called.stem == "minitx":
        return "minitx"
    at_a_cell = "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None
    return ("!" if at_a_cell else "") + (
        "minitx" if shutil.which("minitx") else f"{python} -m minitx"
    )


def console(*, stderr: bool = False) -> "Console":
    """Where text goes as it is: no markup, no numbers in colour."""
    from rich.console import Console

    result = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not result.is_terminal:
        result.file = cast("IO[str]", _Trimmed(result.file))
    return result


class _Trimmed:
    """A stream to which lines go without the blanks that fill tables and paragraphs."""

    def __init__(self, stream: "IO[str]") -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        return self.stream.write(re.sub(r" +(?=\n)", "", text))


@dataclass(frozen=True)
class Prose:
    """A paragraph: a bold beginning, then text.

    What stands in `backticks` is set off and, where it fits, kept in one line: a command is there
    to be pasted. A terminal that can makes the whole a link.
    """

    text: str
    style: str = ""
    link: str = ""
    lead: str = ""

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "Iterator[RenderableType]":
        from rich.text import Text

        def kept(code: re.Match[str]) -> str:
            fits = len(code[0]) <= options.max_width
            return code[0].replace(" ", _KEPT) if fits else code[0]

        result = Text(re.sub(r"`[^`]+`\S?", kept, self.lead + self.text), style=self.style)
        result.stylize("bold", 0, len(self.lead))
        if self.link:
            result.stylize(f"link {self.link}")
        result.highlight_regex(r"`[^`]+`", "bold")
        for line in result.wrap(console, options.max_width):
            line.plain = line.plain.replace(_KEPT, " ")
            yield line


def say_error(text: str) -> None:
    """A sentence on the error stream; nothing if there is none."""
    if text:
        console(stderr=True).print(Prose(text))


def shown(path: Path) -> str:
    """A path as short as it can be typed."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (OSError, RuntimeError, ValueError):
        return str(path)


def show_code(sources: dict[str, str]) -> None:
    """Pieces of Python under their names; side by side where there is room for whole lines."""
    out = console()
    pieces = {name: source.rstrip().split("\n") for name, source in sources.items()}
    widths = [max(map(len, lines)) for lines in pieces.values()]
    if len(pieces) > 1 and sum(widths) + _GAP * (len(pieces) - 1) <= out.width:
        columns = [[f"{name}:", "", *lines] for name, lines in pieces.items()]
        for row in zip_longest(*columns, fillvalue=""):
            cells = [cell.ljust(width + _GAP) for cell, width in zip(row, widths, strict=True)]
            print("".join(cells).rstrip())
        print()
        return
    for name, lines in pieces.items():
        out.print(f"{name}:\n", style="bold")
        if out.is_terminal and not out.no_color:
            from rich.syntax import Syntax

            code = "\n".join(lines)
            out.print(
                Syntax(
                    code,
                    "python",
                    theme="ansi_dark",
                    background_color="default",
                    word_wrap=True,
                )
            )
        else:
            print("\n".join(lines))
        print()
