"""From a text source (py:percent or MyST Markdown) to a notebook with the same bytes every time."""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
from nbformat import NotebookNode

from minitx.authoring.colab import TAG as SETUP
from minitx.authoring.errors import SourceError

MAY_FAIL = "raises-exception"  # Jupyter's own name for it
_FORMATS = {".py": "py:percent", ".md": "md:myst"}
_LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Insertion:
    """A Markdown cell to put after the part of a notebook that starts with this heading."""

    heading: str
    text: str


def is_notebook_source(path: Path) -> bool:
    """Whether a file says in its header that jupytext makes a notebook of it."""
    if path.suffix == ".py":
        return True
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != "---" or "---" not in lines[1:]:
        return False
    header = lines[1 : lines.index("---", 1)]
    return any(line.startswith(("jupytext:", "kernelspec:")) for line in header)


def derive(
    text: str, *, name: str, suffix: str, setup: str, insertions: Iterable[Insertion] = ()
) -> NotebookNode:
    """The notebook of a text source, without outputs.

    Args:
        text: the source.
        name: how errors and the notebook's metadata call the source.
        suffix: ".py" (py:percent) or ".md" (MyST).
        setup: text of the set-up cell, which becomes the first code cell.
        insertions: Markdown cells that are generated rather than written.

    Returns:
        A notebook of format 4.5 whose cell ids depend on its text alone.

    Raises:
        SourceError: if jupytext cannot read it, a code cell is not Python, or an insertion has no
            place.
    """
    try:
        notebook: NotebookNode = jupytext.reads(text, fmt=_FORMATS[suffix])
    except Exception as error:  # jupytext and nbformat have no common class for it
        problem = str(error).strip().splitlines()[0]
        raise SourceError(name, None, f"jupytext cannot read it: {problem}") from None
    cells = notebook.cells
    for cell in cells:
        if cell.cell_type == "code":
            _must_parse(cell.source, text=text, name=name)
    for insertion in insertions:
        _insert(cells, insertion, name=name)
    first = next((i for i, cell in enumerate(cells) if cell.cell_type == "code"), None)
    if first is not None:
        tags = {"tags": [SETUP, "remove-cell"]}
        cells.insert(first, nbformat.v4.new_code_cell(setup, metadata=tags))  # type: ignore[no-untyped-call]
    seen: Counter[str] = Counter()
    for cell in cells:
        cell.id = _cell_id(cell, seen)
        cell.metadata = _kept_metadata(cell.metadata)
    notebook.metadata = _node(
        {"kernelspec": _KERNEL, "language_info": _LANGUAGE, "minitx": {"source": name}}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def let_fail(notebook: NotebookNode, functions: set[str]) -> None:
    """Tag the cells that call one of these functions, or use what such a cell made.

    The functions are not written yet, so these cells fail; with the tag, "Run All" goes on.
    """
    unmade: set[str] = set()
    for cell in written_code(notebook):
        tree = ast.parse(cell.source)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        made = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        fails = any(isinstance(call, ast.Name) and call.id in functions for call in calls)
        if fails or any(name.id in unmade - made for name in names):
            cell.metadata["tags"] = [*tags_of(cell), MAY_FAIL]
            unmade |= made
        else:
            unmade -= made


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it is stored: valid, keys sorted, one newline at the end."""
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return text.rstrip("\n") + "\n"


def from_text(stored: str) -> NotebookNode:
    """A stored notebook."""
    notebook: NotebookNode = nbformat.reads(stored, as_version=4)  # type: ignore[no-untyped-call]
    return notebook


def tags_of(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    tags: list[str] = cell.metadata.get("tags", [])
    return tags


def is_setup(cell: NotebookNode) -> bool:
    """Whether a cell is the set-up cell that the generator inserts."""
    return SETUP in tags_of(cell)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells, the set-up cell included."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def written_code(notebook: NotebookNode) -> list[NotebookNode]:
    """The code cells that somebody wrote, i.e. all but the set-up cell."""
    return [cell for cell in code_cells(notebook) if not is_setup(cell)]


def all_code(notebook: NotebookNode) -> str:
    """What the written code cells hold, one after the other."""
    return "\n".join(cell.source for cell in written_code(notebook))


def fingerprint(notebook: NotebookNode) -> str:
    """A short hash of all code that was written: outputs belong to exactly this code."""
    return _hash("\0".join(cell.source for cell in written_code(notebook)))


def executed(notebook: NotebookNode) -> str | None:
    """The fingerprint of the code whose outputs the notebook stores, or None."""
    found = notebook.metadata.get("minitx", {}).get("executed")
    return found if isinstance(found, str) else None


def package_used(notebook: NotebookNode) -> str | None:
    """The hash of the package's code with which the outputs were made, or None."""
    found = notebook.metadata.get("minitx", {}).get("package")
    return found if isinstance(found, str) else None


def is_current(notebook: NotebookNode) -> bool:
    """Whether the stored outputs are those of the stored code (without code there are none)."""
    return not written_code(notebook) or executed(notebook) == fingerprint(notebook)


def mark_executed(notebook: NotebookNode, *, package: str) -> None:
    """Note that the outputs belong to the present code, and to this state of the package."""
    notebook.metadata["minitx"].update(executed=fingerprint(notebook), package=package)


def keep_outputs(new: NotebookNode, old: NotebookNode) -> None:
    """Take over the stored outputs that still belong to the code.

    With the code unchanged that is all of them. Otherwise it is those above the first cell that
    changed, and the notebook no longer counts as executed.
    """
    if not is_current(old):
        return
    for now, was in zip(written_code(new), written_code(old), strict=False):
        if now.source != was.source:
            break
        now.outputs, now.execution_count = was.outputs, was.execution_count
    if fingerprint(new) == fingerprint(old):
        _keep_setup_count(new, old)
        mark_executed(new, package=package_used(old) or "")


def _keep_setup_count(new: NotebookNode, old: NotebookNode) -> None:
    for now, was in zip(_setup_cells(new), _setup_cells(old), strict=False):
        now.execution_count = was.execution_count


def _setup_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if is_setup(cell)]


def place_of(source: str, *, text: str) -> int | None:
    """The line of a text source on which this cell's code begins."""
    start = text.find(source)
    return None if start < 0 else text.count("\n", 0, start) + 1


def _must_parse(source: str, *, text: str, name: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:
        start = place_of(source, text=text)
        line = None if start is None or error.lineno is None else start + error.lineno - 1
        raise SourceError(
            name, line, f"a code cell is not Python (magics are not used here): {error.msg}"
        ) from None


def _insert(cells: list[NotebookNode], insertion: Insertion, *, name: str) -> None:
    """Put a cell before the next heading of the same or a higher level, or at the end."""
    level = len(insertion.heading) - len(insertion.heading.lstrip("#"))
    start = next((i for i, c in enumerate(cells) if _starts_with(c, insertion.heading)), None)
    if start is None:
        raise SourceError(name, None, f"no Markdown cell starts with `{insertion.heading}`")
    stop = start + 1
    while stop < len(cells) and not _is_heading(cells[stop], at_most=level):
        stop += 1
    cells.insert(stop, nbformat.v4.new_markdown_cell(insertion.text))  # type: ignore[no-untyped-call]


def _starts_with(cell: NotebookNode, heading: str) -> bool:
    """Whether a Markdown cell has this heading as its first, a label above it aside."""
    if cell.cell_type != "markdown":
        return False
    lines = [line for line in cell.source.splitlines() if line and not line.endswith(")=")]
    return bool(lines) and lines[0].startswith(heading)


def _is_heading(cell: NotebookNode, *, at_most: int) -> bool:
    return any(_starts_with(cell, "#" * level + " ") for level in range(1, at_most + 1))


def _cell_id(cell: NotebookNode, seen: Counter[str]) -> str:
    """An id from the cell's text; equal texts are told apart by their order."""
    short = _hash(f"{cell.cell_type}\0{cell.source}")[:8]
    seen[short] += 1
    return short if seen[short] == 1 else f"{short}-{seen[short]}"


def _kept_metadata(metadata: dict[str, Any]) -> NotebookNode:
    """Only what the author wrote: no time stamps, no state of an editor."""
    noise = {"execution", "collapsed", "scrolled", "ExecuteTime", "jupyter", "lines_to_next_cell"}
    return _node({key: metadata[key] for key in metadata if key not in noise})


def _node(fields: dict[str, Any]) -> NotebookNode:
    node: NotebookNode = nbformat.from_dict(fields)  # type: ignore[no-untyped-call]
    return node


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
