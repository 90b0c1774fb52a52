"""An exercise notebook, run from top to bottom, says which exercises have no answer, and goes on.

One pass goes through all exercises: where the notebook says that one is not written, that one is
answered from the solutions, and the cell is run again.
"""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from minitx.authoring.execute import QUIET, kernel_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "exercises").glob("[0-9][0-9]_*.ipynb"))
MISSED = re.compile(r"Exercise (\d+\.\d+) is not written yet")
HEADING = re.compile(r"^## Exercise (\d+\.\d+): (.*)$", re.MULTILINE)


def said(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def defined(cell: nbformat.NotebookNode) -> str | None:
    match = re.match(r"(?:def|class) (\w+)\(", cell.source) if cell.cell_type == "code" else None
    return match[1] if match else None


def answers(name: str) -> dict[str, nbformat.NotebookNode]:
    """The solutions' cells by the function they define."""
    solutions = nbformat.read(ROOT / "solutions" / name, as_version=4)
    return {str(defined(cell)): cell for cell in solutions.cells if defined(cell)}


def test_there_are_exercise_notebooks():
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_each_exercise_is_missed_in_turn_and_nothing_else_goes_wrong(path):
    notebook = nbformat.read(path, as_version=4)
    worked = answers(path.name)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(path.parent)}},
    )
    stub = None
    asked, missed = [], []
    with client.setup_kernel(env=kernel_environment(ROOT)):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                asked += [number for number, _ in HEADING.findall(cell.source)]
                continue
            if "NotImplementedError" in cell.source:
                stub = defined(cell)
            client.execute_cell(cell, index)
            match = MISSED.search(said(cell))
            if match:
                assert asked[-1] == match[1]
                assert stub is not None and stub in cell.source, "the cell that tries the answer"
                missed.append(match[1])
                client.execute_cell(worked[stub], index)
                client.execute_cell(cell, index)
                assert not MISSED.search(said(cell))
            assert not any(output.output_type == "error" for output in cell.outputs)
    assert missed == asked
    assert len(missed) >= 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_it_stores_no_outputs_and_no_answers(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert "solution" not in cell.metadata.get("tags", [])
        assert "SOLUTION" not in cell.source
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
