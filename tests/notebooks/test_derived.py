"""The committed notebooks: in step with their sources, and alike where they have to be."""

from pathlib import Path

import nbformat
import pytest

from minitx.authoring.build import build, sources
from minitx.authoring.colab import repository, setup_cell
from minitx.authoring.notebooks import is_setup

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted(
    path
    for folder in ("book", "exercises", "solutions")
    for path in (ROOT / folder).glob("*.ipynb")
)
each_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[f"{path.parent.name}/{path.stem}" for path in NOTEBOOKS]
)


def test_nothing_is_out_of_step():
    lines: list[str] = []
    assert build(ROOT, check=True, echo=lines.append) == 0, "\n".join(lines)


def test_the_chapters_and_their_exercises_are_found():
    found = {source.as_posix() for source in sources(ROOT)}
    for topic in ("01_attention_intuition", "02_self_attention"):
        assert {f"book/{topic}.md", f"solutions/{topic}.py"} <= found


@each_notebook
def test_the_first_code_cell_is_the_set_up_cell_of_the_one_setting(path):
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert is_setup(code[0])
    assert code[0].source == setup_cell(ROOT)
    assert repository(ROOT).url in code[0].source
    assert not any(is_setup(cell) for cell in code[1:])


@each_notebook
def test_nothing_tells_of_a_machine_or_a_moment(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info", "minitx"}
    assert "version" not in notebook.metadata.language_info
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    assert str(ROOT) not in path.read_text(encoding="utf-8")


def test_the_set_up_cell_is_short_plain_python_and_works_without_a_shell():
    text = setup_cell(ROOT)
    assert len(text.splitlines()) <= 15
    compile(text, "set-up", "exec")
    assert "shell=True" not in text
    assert "torch" not in text
