"""What the commands have in common: a console, errors in plain words, a device that works."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STOPPED = 130  # what shells report of a program that Ctrl-C has ended
BROKEN_PIPE = 141  # and of one whose output nobody reads any more
_GAP = 4  # columns between two pieces of code


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

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def prose(text: str, style: str = "", *, link: str = "") -> "Text":
    """A paragraph; what stands in `backticks` is set off; a terminal that can makes it a link."""
    from rich.text import Text

    result = Text(text, style=style)
    if link:
        result.stylize(f"link {link}")
    result.highlight_regex(r"`[^`]+`", "bold")
    return result


def say_error(text: str) -> None:
    """A sentence on the error stream; nothing if there is none."""
    if text:
        console(stderr=True).print(prose(text))


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
