"""The code cells of a notebook's JSON, and the Python in them."""

import ast
import re
from collections.abc import Iterator
from typing import Any

_MAGIC = re.compile(r"^(\s*)(?:(\w[\w, ]*?)\s*=\s*)?[!%?].*$|^(\s*)[\w.]+\?{1,2}\s*$")
_MOST_ATTEMPTS = 100  # each reads the whole cell
_RUN_THE_CELL = {"%%time", "%%timeit", "%%capture", "%%prun"}


def code_cells(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The code cells of formats 3 and 4.

    Raises:
        KeyError, TypeError, AttributeError: if it is no notebook.
    """
    sheets = document.get("worksheets", [document])
    return [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]


def source_of(cell: dict[str, Any]) -> str:
    """A code cell's text; format 3 calls it `input`.

    Raises:
        KeyError, TypeError: if it has none.
    """
    source = cell["input"] if "input" in cell else cell["source"]
    return source if isinstance(source, str) else "".join(source)


def python_sources(document: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Number and Python text of the code cells, without set-up and without IPython's extras.

    Raises:
        KeyError, TypeError, AttributeError: if it is no notebook.
    """
    for number, cell in enumerate(code_cells(document), start=1):
        if "setup" not in ((cell.get("metadata") or {}).get("tags") or []):
            yield number, without_magics(source_of(cell))


def without_magics(source: str) -> str:
    """Python only: lines for IPython and the shell are blanked; line numbers stay."""
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("%%"):
            if line.split()[0] not in _RUN_THE_CELL:
                return ""
            lines[number] = ""
        elif line.strip():
            break
    for attempt in range(_MOST_ATTEMPTS):
        try:
            ast.parse("\n".join(lines))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            spot = getattr(error, "lineno", None) or 0
            last = attempt == _MOST_ATTEMPTS - 1
            if last or not _blank(lines, spot - 1):  # something else: blank what looks like it
                for other in range(len(lines)):
                    _blank(lines, other)
                break
        else:
            break
    return "\n".join(lines)


def _blank(lines: list[str], number: int) -> bool:
    """Blanks a line that is no Python, and those it goes on in; whether it was one."""
    match = _MAGIC.match(lines[number]) if 0 <= number < len(lines) else None
    if not match:
        return False
    goes_on = lines[number].rstrip().endswith("\\")
    indent, name = match.group(1) or match.group(3) or "", match.group(2)
    lines[number] = f"{indent}{name} = None" if name else f"{indent}pass"
    while goes_on and number + 1 < len(lines):
        number += 1
        goes_on = lines[number].rstrip().endswith("\\")
        lines[number] = ""
    return True
