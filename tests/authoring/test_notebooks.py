"""Notebooks from text: ids, metadata, the set-up cell, and what is refused."""

import nbformat
import pytest

from minitx.authoring.errors import SourceError
from minitx.authoring.execute import execute
from minitx.authoring.notebooks import (
    Insertion,
    derive,
    is_notebook_source,
    to_text,
    written_code,
)

SOURCE = """\
# %% [markdown]
# # Title

# %%
x = 1

# %%
x = 1

# %% tags=["raises-exception"]
x += 1
"""


def derived(text: str = SOURCE, **options) -> nbformat.NotebookNode:
    return derive(
        text, name="s.py", suffix=".py", setup=options.pop("setup", "import sys"), **options
    )


def test_ids_come_from_the_text_and_equal_cells_differ_by_their_order():
    ids = [cell.id for cell in derived().cells]
    assert ids == [cell.id for cell in derived().cells]
    assert len(set(ids)) == len(ids)
    assert ids[3] == f"{ids[2]}-2"
    changed = [cell.id for cell in derived(SOURCE.replace("# # Title", "# # Other")).cells]
    assert changed[0] != ids[0]
    assert changed[1:] == ids[1:]


def test_tags_stay():
    assert written_code(derived())[-1].metadata == {"tags": ["raises-exception"]}


def test_words_alone_need_no_set_up_cell():
    notebook = derived("# %% [markdown]\n# Words.\n")
    assert [cell.cell_type for cell in notebook.cells] == ["markdown"]
    assert to_text(notebook).endswith("}\n")


def test_an_insertion_goes_before_the_next_heading_of_its_level():
    text = (
        "# %% [markdown]\n# ## Exercise 1.1: A\n\n# %%\nx = 1\n\n# %% [markdown]\n# ### Detail\n\n"
        "# %% [markdown]\n# (label)=\n# ## Exercise 1.2: B\n"
    )
    notebook = derived(text, insertions=[Insertion("## Exercise 1.1:", "inserted")])
    starts = [cell.source.splitlines()[0] for cell in notebook.cells]
    assert starts == [
        "## Exercise 1.1: A",
        "import sys",
        "x = 1",
        "### Detail",
        "inserted",
        "(label)=",
    ]


def test_an_insertion_without_its_heading_is_refused():
    with pytest.raises(
        SourceError, match=r"s\.py: no Markdown cell starts with `## Exercise 9\.1:`"
    ):
        derived(insertions=[Insertion("## Exercise 9.1:", "lost")])


@pytest.mark.parametrize(
    ("text", "is_source"),
    [
        ("---\njupytext:\n  formats: md:myst\n---\n# T\n", True),
        ("---\nkernelspec:\n  name: python3\n---\n# T\n", True),
        ("# T\n\n---\njupytext: no header\n---\n", False),
        ("---\norphan: true\n---\n# T\n", False),
        ("---\njupytext: never closed\n", False),
        ("", False),
    ],
)
def test_a_page_says_in_its_header_that_it_is_a_notebook(tmp_path, text, is_source):
    path = tmp_path / "page.md"
    path.write_text(text)
    assert is_notebook_source(path) is is_source


def test_a_set_up_cell_that_fails_is_called_by_its_name(tmp_path):
    with pytest.raises(SourceError, match=r"s\.py: the set-up cell \(`1 / 0` …\) failed: ZeroDiv"):
        execute(derived(setup="1 / 0"), folder=tmp_path, root=tmp_path, text=SOURCE, name="s.py")


def test_what_is_printed_in_pieces_is_stored_in_one(tmp_path):
    text = "# %%\nimport sys\nfor i in range(3):\n    print(i)\n    sys.stdout.flush()\n"
    notebook = derived(text)
    execute(notebook, folder=tmp_path, root=tmp_path, text=text, name="s.py")
    (output,) = notebook.cells[-1].outputs
    assert output.text == "0\n1\n2\n"
