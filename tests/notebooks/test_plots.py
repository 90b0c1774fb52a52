"""Plots in a notebook: SVG alone, with text as text, and the same file in every run."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CELLS = {
    "viz first": ("from minitx import viz\nimport matplotlib.pyplot as plt",),
    "matplotlib first": (
        "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()",
        "from minitx import viz",
    ),
}
PLOT = 'viz.heat_table([[1.0, 2.0]], row_axis="query")\nplt.show()'


def svg(cells: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the last cell shows, run in a kernel of its own as a reader's would be."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, (*cells, PLOT))])
    NotebookClient(notebook, timeout=300).execute()
    (output,) = notebook.cells[-1].outputs
    assert set(output.data) == {"image/svg+xml", "text/plain"}
    found: str = output.data["image/svg+xml"]
    return found


@pytest.mark.parametrize("order", CELLS)
def test_a_plot_is_svg_whatever_was_imported_first(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = svg(CELLS[order], monkeypatch)
    assert re.search(r">query</text>", drawn)
    assert "dc:date" not in drawn


def test_the_same_plot_is_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = CELLS["viz first"]
    assert svg(cells, monkeypatch) == svg(cells, monkeypatch)


def test_outside_a_notebook_nothing_is_set() -> None:
    import matplotlib.pyplot as plt

    from minitx.viz.notebook import plots_as_svg

    before = dict(plt.rcParams)
    plots_as_svg()
    assert dict(plt.rcParams) == before
