"""The library's own source in a worked answer: typed once, in minitx, and shown where it is read.

A comment `# From minitx.numpy_core.softmax:` inside a function of a solutions file says that what
follows, up to the end of the function or of the marked answer, is the body of that function. The
build writes it there, and `minitx exercises build --check` fails when the two differ. Signature and
docstring are the reader's own; of the body nothing differs.
"""

import ast
import re
import textwrap
from pathlib import Path

from minitx.authoring.errors import SourceError

_FROM = re.compile(r"^(?P<pad> +)# From (?P<name>minitx(?:\.\w+)+):$")
_END = "### END SOLUTION"


def with_library_source(root: Path, text: str, *, name: str) -> str:
    """The text of a solutions file, each place that names a library function filled anew.

    Args:
        root: the checkout, whose files are read (nothing is imported).
        text: of `solutions/NN_topic.py`.
        name: how errors call the file.

    Raises:
        SourceError: if there is no such function.
    """
    lines = text.splitlines()
    done: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        done.append(line)
        at += 1
        match = _FROM.match(line)
        if match:
            pad = match["pad"]
            while at < len(lines) and _belongs(lines[at], pad):
                at += 1
            body = _body(root, match["name"], name=name, line=len(done))
            done += [f"{pad}{each}".rstrip() for each in body]
            if at < len(lines) and not lines[at].startswith(f"{pad}{_END}"):
                done += ["", ""]
                while at < len(lines) and not lines[at].strip():
                    at += 1
    return "\n".join(done) + "\n"


def _belongs(line: str, pad: str) -> bool:
    """Whether a line is still part of the body that is shown."""
    inside = line.startswith(pad) or not line.strip()
    return inside and not line.startswith(f"{pad}{_END}")


def _body(root: Path, dotted: str, *, name: str, line: int) -> list[str]:
    """The lines of a function's body, comments included, without its docstring."""
    module, _, function = dotted.rpartition(".")
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        raise SourceError(name, line, f"there is no module {module}")
    source = path.read_text(encoding="utf-8")
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    if not found:
        raise SourceError(name, line, f"there is no function {function} in {module}")
    node = found[-1]  # the last: overloads stand before it
    after = node.body[0].end_lineno if ast.get_docstring(node) else node.body[0].lineno - 1
    lines = source.splitlines()[after : node.end_lineno]
    return textwrap.dedent("\n".join(lines)).splitlines()
