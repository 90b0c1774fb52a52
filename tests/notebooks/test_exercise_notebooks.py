"""An exercise notebook, run from top to bottom, stops at the first exercise without an answer.

One pass goes through all exercises: the notebook stops at one, that one is answered from the
solutions, and the notebook goes on to the next.
"""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from minitx.authoring.execute import QUIET, kernel_environment

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "exercises").glob("[0-9][0-9]_*.ipynb"))
HEADING = re.compile(r"^## Exercise (\d+\.\d+): (.*)$", re.MULTILINE)


def defined(cell: nbformat.NotebookNode) -> str | None:
    match = re.match(r"def (\w+)\(", cell.source) if cell.cell_type == "code" else None
    return match[1] if match else None


def answers(name: str) -> dict[str, nbformat.NotebookNode]:
    """The solutions' cells by the function they define."""
    solutions = nbformat.read(ROOT / "solutions" / name, as_version=4)
    return {str(defined(cell)): cell for cell in solutions.cells if defined(cell)}


def test_there_are_exercise_notebooks():
    assert len(NOTEBOOKS) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_it_stops_at_each_exercise_in_turn_and_nowhere_else(path):
    notebook = nbformat.read(path, as_version=4)
    worked = answers(path.name)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        extra_arguments=QUIET,
        resources={"metadata": {"path": str(path.parent)}},
    )
    heading: tuple[str, str] | None = None
    stub = None
    asked, stops = [], []
    with client.setup_kernel(env=kernel_environment(ROOT)):
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                for heading in HEADING.findall(cell.source):
                    asked.append(heading[0])
                continue
            if "NotImplementedError" in cell.source:
                stub = defined(cell)
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                assert heading is not None and stub is not None
                number, title = heading
                assert error.ename == "NotImplementedError"
                assert error.evalue.startswith(f"Exercise {number} is yours to write: {title}")
                assert stub in cell.source, "the cell that stops is the one that tries the answer"
                assert number not in stops, "an answered exercise stops no more"
                stops.append(number)
                client.execute_cell(worked[stub], index)
                client.execute_cell(cell, index)
    assert stops == asked
    assert len(stops) >= 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_it_stores_no_outputs_and_no_answers(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        assert "solution" not in cell.metadata.get("tags", [])
        assert "SOLUTION" not in cell.source
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
