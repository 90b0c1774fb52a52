"""Run a notebook in a fresh kernel and keep only such outputs as every machine would give."""

import copy
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from minitx.authoring.errors import SourceError
from minitx.authoring.notebooks import is_setup, place_of, tags_of, written_code

CELL_TIMEOUT = 300.0
QUIET = ["--IPKernelApp.log_level=ERROR"]
_ADDRESS = re.compile(r"\b(?:at|object) 0x[0-9a-f]{6,}")
_SCRATCH = re.compile(r"\S*ipykernel_\d+\S*")


def execute(
    notebook: NotebookNode,
    *,
    folder: Path,
    root: Path,
    text: str,
    name: str,
    timeout: float = CELL_TIMEOUT,
    on_cell: Callable[[], object] = lambda: None,
) -> None:
    """Execute a notebook in place, top to bottom, with this checkout's `minitx`.

    Args:
        notebook: what `derive` gave.
        folder: where it lies; its cells see this as the current folder.
        root: the checkout whose packages the kernel imports.
        text: the notebook's text source, to say in which line a failing cell begins.
        name: how errors call the source.
        timeout: seconds a cell may take.
        on_cell: called after each cell, for a progress bar.

    Raises:
        SourceError: if a cell fails, takes too long, or prints what only this machine would print.
    """
    failed = partial(_failed, notebook=notebook, text=text, name=name)
    metadata = copy.deepcopy(notebook.metadata)
    current: list[NotebookNode] = []
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=lambda cell, cell_index: current.append(cell),
        on_cell_complete=lambda cell, cell_index: on_cell(),
    )
    try:
        client.execute(env=kernel_environment(root))
    except CellExecutionError as error:
        raise failed(current[-1], f"{error.ename}: {error.evalue}") from None
    except CellTimeoutError:
        raise failed(current[-1], f"it took longer than {timeout:g} s") from None
    except DeadKernelError:
        raise failed(current[-1], "the Python that ran it died") from None
    notebook.metadata = metadata  # without the version of this machine's Python
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = _normal_outputs(cell.outputs)
            if problem := _machine_dependent(cell, root=root):
                raise failed(cell, problem)


def kernel_environment(root: Path) -> dict[str, str]:
    """This process's environment, with the checkout first on the path and inline figures."""
    paths = [str(root), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    environment.pop("MPLBACKEND", None)
    return environment


def _failed(
    cell: NotebookNode, problem: str, *, notebook: NotebookNode, text: str, name: str
) -> SourceError:
    """The error for one cell: which file, which line, which code cell, how it begins."""
    code = written_code(notebook)
    which = (
        "the set-up cell" if is_setup(cell) else f"code cell {code.index(cell) + 1} of {len(code)}"
    )
    start = next((line for line in cell.source.splitlines() if line.strip()), "")
    return SourceError(
        name, place_of(cell.source, text=text), f"{which} (`{start.strip()}` …) failed: {problem}"
    )


def _normal_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Streams joined as the eye sees them; a wanted error without its machine's paths."""
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "error":
            output.traceback = [f"{output.ename}: {output.evalue}"]
        previous = kept[-1] if kept else None
        if (
            previous is not None
            and output.output_type == previous.output_type == "stream"
            and output.name == previous.name
        ):
            previous.text += output.text
        else:
            kept.append(output)
    return kept


def _machine_dependent(cell: NotebookNode, *, root: Path) -> str | None:
    """What a cell printed that another machine, or another run, would print differently."""
    if "nbval-ignore-output" in tags_of(cell):
        return None
    home = str(Path.home())
    for text in _texts(cell.outputs):
        if f"{root}{os.sep}" in text or (len(home) > 1 and f"{home}{os.sep}" in text):
            return f"its output names a folder of this machine: {_line_with(text, str(root), home)}"
        if match := _SCRATCH.search(text):
            return f"its output names a scratch file (a warning?): {_line_with(text, match[0])}"
        if match := _ADDRESS.search(text):
            return f"its output shows an object's address: {_line_with(text, match[0])}"
    return None


def _texts(outputs: list[Any]) -> list[str]:
    texts = []
    for output in outputs:
        if output.output_type == "stream":
            texts.append(output.text)
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/"):
                texts.append(data if isinstance(data, str) else "".join(data))
    return texts


def _line_with(text: str, *needles: str) -> str:
    return next(line.strip() for line in text.splitlines() if any(n in line for n in needles))
