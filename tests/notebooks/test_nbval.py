"""nbval really compares: one digit changed in a stored output, and it fails."""

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "solutions" / "01_attention_intuition.ipynb"


def nbval(notebook: nbformat.NotebookNode, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs nbval as `make test` does, on a copy of a notebook."""
    path = folder / "copy.ipynb"
    nbformat.write(notebook, path)
    sanitize = ROOT / "tests" / "nbval_sanitize.cfg"
    options = ["--nbval", "--nbval-sanitize-with", str(sanitize), "-p", "no:cacheprovider", "-q"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(folder), str(path)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def beginning() -> nbformat.NotebookNode:
    """The notebook up to its first printed numbers, which is enough and quick."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    last = next(i for i, cell in enumerate(notebook.cells) if printed(cell))
    notebook.cells = notebook.cells[: last + 1]
    return notebook


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


def test_a_notebook_as_it_is_stored_passes(beginning, tmp_path):
    done = nbval(beginning, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[3-9] passed", done.stdout)


def test_a_changed_number_fails(beginning, tmp_path):
    (output,) = beginning.cells[-1].outputs
    digit = re.search(r"\d(?=\D*$)", output.text)
    assert digit
    other = str((int(digit[0]) + 1) % 10)
    output.text = output.text[: digit.start()] + other + output.text[digit.end() :]
    done = nbval(beginning, tmp_path)
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "mismatch 'stdout'" in done.stdout


def test_the_sanitize_file_lets_nothing_through_but_plots():
    """A rule added one day has to be looked at: it can blind the comparison."""
    rules = ConfigParser()
    rules.read(ROOT / "tests" / "nbval_sanitize.cfg")
    assert rules.sections() == ["plots"]
    rule = re.compile(rules["plots"]["regex"])
    plot = '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg>\n<text>0.5</text>\n</svg>\n'
    assert rule.sub("PLOT", plot) == "PLOT"
    for compared in ("0.5", "<svg><text>0.5</text></svg>", f"0.5\n{plot}", f"{plot}0.5"):
        assert rule.sub("PLOT", compared) == compared
