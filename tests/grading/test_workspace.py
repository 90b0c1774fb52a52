"""Working copies: made once, put back piecewise, never lost."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from minitx.grading.course import Chapter
from minitx.grading.errors import CourseError
from minitx.grading.learner.workspace import (
    backup,
    function_span,
    reset_chapter,
    reset_exercise,
    start,
)
from minitx.grading.worker.loading import load

from .helpers import RIGHT_DOUBLE, STUB, as_notebook

FOUR = "def quadruple(x):\n    return 4 * x"


def test_start_copies_the_stub_once(chapter: Chapter) -> None:
    path, made = start(chapter, ".py")
    assert made
    assert path.read_text() == STUB
    path.write_text("mine")
    assert start(chapter, ".py") == (path, False)
    assert path.read_text() == "mine"
    book, made = start(chapter, ".ipynb")
    assert made
    assert book.read_text() == as_notebook(STUB)


def test_a_stub_that_is_missing(chapter: Chapter) -> None:
    chapter.stub_file().unlink()
    with pytest.raises(CourseError, match="is missing: the checkout is incomplete"):
        start(chapter, ".py")


def test_backups_never_overwrite_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    copies = []
    for text in "abc":
        path.write_text(text)
        copies.append(backup(path))
    assert [copy.read_text() for copy in copies] == ["a", "b", "c"]


@pytest.mark.parametrize("notebook", [False, True])
def test_one_function_is_put_back(
    chapter: Chapter, answer: Callable[..., Path], notebook: bool
) -> None:
    path = answer(RIGHT_DOUBLE, FOUR, notebook=notebook)
    before = path.read_bytes()
    kept = reset_exercise(chapter, chapter.exercises["01.1"], path)
    assert kept.read_bytes() == before
    assert kept.parent == path.parent / "backups"
    start_of_second = STUB.index("def quadruple")
    end_of_second = STUB.index("\n# %%", start_of_second)
    expected = f"{STUB[:start_of_second]}{FOUR}\n{STUB[end_of_second:]}"
    if not notebook:
        assert path.read_text() == expected
        return
    cells = json.loads(path.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    wanted = ["".join(cell["source"]) for cell in json.loads(as_notebook(expected))["cells"]]
    assert sources == wanted
    (changed,) = [cell for cell in cells if "def double" in "".join(cell["source"])]
    assert (changed["outputs"], changed["execution_count"]) == ([], None)


def test_a_function_with_a_syntax_error_is_put_back(
    chapter: Chapter, answer: Callable[..., Path]
) -> None:
    path = answer("def double(x:\n    return (2 *\n\n", FOUR)
    reset_exercise(chapter, chapter.exercises["01.1"], path)
    submission = load(path)
    assert [problem for problem in submission.problems if not problem.aside] == []
    assert submission.namespace["quadruple"](2) == 8
    assert path.read_text().count("# %%") == STUB.count("# %%")


@pytest.mark.parametrize("notebook", [False, True])
def test_a_deleted_function_comes_back(
    chapter: Chapter, answer: Callable[..., Path], notebook: bool
) -> None:
    path = answer("pass", "pass", notebook=notebook)
    for each in chapter.exercises.values():
        reset_exercise(chapter, each, path)
    namespace = load(path).namespace
    assert "double" in namespace
    assert "quadruple" in namespace


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_ends_of_lines_stay(chapter: Chapter, answer: Callable[..., Path], mark: bytes) -> None:
    path = answer(RIGHT_DOUBLE, FOUR)
    as_on_windows = mark + path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(as_on_windows)
    kept = reset_exercise(chapter, chapter.exercises["01.1"], path)
    assert kept.read_bytes() == as_on_windows
    changed = path.read_bytes()
    assert changed.startswith(mark)
    assert changed.count(b"\n") == changed.count(b"\r\n") == path.read_text().count("\n")
    reset_exercise(chapter, chapter.exercises["01.2"], path)
    assert path.read_bytes() == mark + STUB.encode().replace(b"\n", b"\r\n")


def test_a_notebook_of_an_old_format(chapter: Chapter, answer: Callable[..., Path]) -> None:
    path = answer(RIGHT_DOUBLE, FOUR, notebook=True)
    cells = json.loads(path.read_text())["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell |= {"input": cell.pop("source"), "prompt_number": cell.pop("execution_count")}
    path.write_text(json.dumps({"worksheets": [{"cells": cells}], "metadata": {}, "nbformat": 3}))
    reset_exercise(chapter, chapter.exercises["01.1"], path)
    submission = load(path)
    assert [problem for problem in submission.problems if not problem.aside] == []
    assert submission.namespace["quadruple"](2) == 8
    with pytest.raises(NotImplementedError, match=r"Exercise 1.1 is yours"):
        submission.namespace["double"](2)


def test_the_whole_chapter(chapter: Chapter, answer: Callable[..., Path]) -> None:
    path = answer(RIGHT_DOUBLE)
    kept = reset_chapter(chapter, path)
    assert path.read_text() == STUB
    assert RIGHT_DOUBLE in kept.read_text()


def test_files_in_which_nothing_can_be_found(chapter: Chapter, answer: Callable[..., Path]) -> None:
    one = chapter.exercises["01.1"]
    path = answer()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CourseError, match=r"cannot be read as text; `minitx reset 01` puts the"):
        reset_exercise(chapter, one, path)
    book = answer(notebook=True)
    book.write_text("{")
    with pytest.raises(CourseError, match=r"cannot be read as a notebook; `minitx reset 01` puts"):
        reset_exercise(chapter, one, book)
    chapter.stub_file().write_text("pass\n")
    with pytest.raises(CourseError, match="The stub of chapter 01 holds no function double"):
        reset_exercise(chapter, one, path)


def test_spans() -> None:
    text = "import a\n\n@a\ndef f():\n    pass\n\ndef g():\n    pass\n"
    assert function_span(text, "f") == (2, 5)
    assert function_span(text, "g") == (6, 8)
    assert function_span(text, "h") is None
    assert function_span(text + "\ndef f():\n    return 2\n", "f") == (9, 11)
    assert function_span("x = (\n" + text, "g") == (7, 9)
