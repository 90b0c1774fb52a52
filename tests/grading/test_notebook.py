"""`check(...)` in a notebook: a report or a sentence, never an exception."""

import json
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import numpy as np
import pytest

from minitx.grading import check
from minitx.grading.course import Course
from minitx.grading.learner import notebook as notebook_module
from minitx.grading.learner.progress import load_progress
from minitx.grading.report import Report


def double(x):
    if x.size == 0:
        raise ValueError("empty")
    return x + x


def test_a_right_answer(course: Course) -> None:
    report = check("01.1", double)
    assert isinstance(report, Report)
    assert (report.earned, report.points) == (4, 4)
    assert load_progress(course.work).of("01.1").best == 4


def test_short_ids(course: Course) -> None:
    assert "4 of 4" in repr(check("1.1", double))


def test_a_wrong_answer_is_named(course: Course) -> None:
    text = repr(check("01.1", lambda x: 2 * x))
    assert "Your output equals what you get when an empty array is accepted." in text


def test_a_check_may_ask_for_several_functions(root: Path) -> None:
    """As where one function is graded together with another that lives elsewhere."""
    path = root / "exercises/checks/test_01_small.py"
    path.write_text(path.read_text().replace("sub.quadruple(x)", "sub.quadruple(sub.half(x)) * 2"))
    namespace: dict[str, Any] = {}
    exec("def quadruple(x):\n    return 4 * x\n\ndef half(x):\n    return x / 2\n", namespace)
    quadruple, half = namespace.pop("quadruple"), namespace.pop("half")
    assert "There is no function half" in repr(check("01.2", quadruple))
    assert "3 of 3" in repr(check("01.2", quadruple, uses=(half,)))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("01.9", double), "There is no exercise 01.9; the chapter's are: 01.1, 01.2."),
        (("07.1", double), "There are no exercises for chapter 07; chapters: 01."),
        (("01", double), """The first argument is the exercise, "02.3" say, not '01'."""),
        ((7, double), 'The first argument is the exercise, "02.3" say, not 7.'),
        (("01.x", double), "'01.x' is neither a chapter (02) nor an exercise (02.3) nor a file"),
        (("01.1",), 'Pass your function: check("01.1", double), without brackets'),
        (("01.1", np.ones(2)), 'Pass your function: check("01.1", double), without brackets'),
    ],
)
def test_nonsense_is_answered_with_a_sentence(
    course: Course, arguments: tuple[Any, ...], text: str
) -> None:
    report = check(*arguments)
    assert repr(report).startswith(text)
    assert "<table" not in report._repr_html_()


def test_without_a_course(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MINITX_COURSE", str(tmp_path))
    assert "but there is no folder exercises/checks in it" in " ".join(
        repr(check("01.1", double)).split()
    )


def test_a_fault_of_the_grader_is_told_too(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(notebook_module, "_check", broken)
    assert repr(check("01.1", double)).startswith("The grader itself failed (ZeroDivisionError: oh")


def test_the_worked_answers_leave_no_progress(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.root / "solutions")
    assert "4 of 4" in repr(check("01.1", double))
    assert not course.work.exists()


def test_a_damaged_progress_is_mentioned(course: Course) -> None:
    (course.work / ".minitx").mkdir(parents=True)
    (course.work / ".minitx/progress.json").write_text("{")
    assert repr(check("01.1", double)).startswith("The record of your progress was damaged.")


def test_in_a_real_notebook(course: Course) -> None:
    """Lines are those of the cell, and the stored output holds the table and the text."""
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("from minitx.grading import check\nimport numpy as np"),
            nbformat.v4.new_code_cell("def double(x):\n    y = 1\n    return x[77]"),
            nbformat.v4.new_code_cell('check("01.1", double)'),
            nbformat.v4.new_code_cell("def double(x):\n    while True:\n        pass"),
            nbformat.v4.new_code_cell('check("01.1", double)'),
        ]
    )
    client = nbclient.NotebookClient(book, timeout=60, kernel_name="python3")
    client.execute(cwd=str(course.root))
    data = book.cells[2].outputs[0]["data"]
    assert "IndexError at line 3 of its cell (`return x[77]`)" in " ".join(
        data["text/plain"].split()
    )
    assert "<table>" in data["text/html"]
    endless = " ".join(book.cells[4].outputs[0]["data"]["text/plain"].split())
    assert "Stopped after 0.5 s at line 2 of its cell (`while True:`)" in endless
    assert json.loads((course.work / ".minitx/progress.json").read_text())["exercises"]
