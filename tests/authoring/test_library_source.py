"""The library's source in worked answers: between the marks, and in a function without marks."""

from pathlib import Path

from minitx.authoring.library_source import with_library_source

LIBRARY = '''\
def twice(x):
    """2 x."""
    y = 2 * x

    return y  # said once
'''
TEXT = '''\
def rung(x):
    """In a cell of its own."""
    # From minitx.small.twice:
    whatever = "stood here"


# %% [markdown]
# Words.


def marked(x):
    if x:
        ### BEGIN SOLUTION
        # From minitx.small.twice:
        ### END SOLUTION
    pass
'''
FILLED = '''\
def rung(x):
    """In a cell of its own."""
    # From minitx.small.twice:
    y = 2 * x

    return y  # said once


# %% [markdown]
# Words.


def marked(x):
    if x:
        ### BEGIN SOLUTION
        # From minitx.small.twice:
        y = 2 * x

        return y  # said once
        ### END SOLUTION
    pass
'''


def test_both_places_are_filled_and_filling_again_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "minitx").mkdir()
    (tmp_path / "minitx/small.py").write_text(LIBRARY)
    assert with_library_source(tmp_path, TEXT, name="x") == FILLED
    assert with_library_source(tmp_path, FILLED, name="x") == FILLED


def test_a_file_without_such_a_place_stays_as_it_is(tmp_path: Path) -> None:
    text = "def f(x):\n    # from minitx.small.twice\n    return 2 * x\n"
    assert with_library_source(tmp_path, text, name="x") == text
