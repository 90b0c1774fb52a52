"""`check(...)` in a notebook: a report or a sentence, never an exception."""

import json
import os
import subprocess
import sys
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

from .helpers import RIGHT_DOUBLE


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
        (("01.1", double, -5), "The seed must be a whole number from 0 on, not -5."),
        (("01.1", double, "x"), "The seed must be a whole number from 0 on, not 'x'."),
        (("01.1", np.ones(2)), 'Pass your function: check("01.1", double), without brackets'),
    ],
)
def test_nonsense_is_answered_with_a_sentence(
    course: Course, arguments: tuple[Any, ...], text: str
) -> None:
    exercise_id, *function, seed = *arguments, 0
    if len(function) == 2:
        function, seed = function[:1], function[1]
    report = check(exercise_id, *function, seed=seed)
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


def test_what_comes_next(course: Course) -> None:
    right = check("01.1", double)
    assert repr(right).endswith(
        "`minitx solution 01.1` shows our answer beside yours.\nNext: Exercise 1.2, Four times."
    )
    assert "<code>minitx solution 01.1</code>" in right._repr_html_()
    assert repr(check("01.1", lambda x: 2 * x)).endswith("`minitx hint 01.1` shows a first hint.")


def test_the_worked_answers_leave_no_progress(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.root / "solutions")
    assert "4 of 4" in repr(check("01.1", double))
    assert "minitx solution" not in repr(check("01.1", double))
    assert not course.work.exists()


def test_what_the_book_stores_names_no_folder(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    (course.root / "book").mkdir(exist_ok=True)
    page = course.exercise("01.1").page.partition("#")[0]
    (course.root / page).write_text("# A page\n")
    assert "file:" in check("01.1", lambda x: x)._repr_html_()
    monkeypatch.chdir(course.root / "solutions")
    assert "file:" not in check("01.1", lambda x: x)._repr_html_()


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
    client = nbclient.NotebookClient(book, timeout=600, kernel_name="python3")
    client.execute(cwd=str(course.root))
    data = book.cells[2].outputs[0]["data"]
    assert "IndexError at line 3 of its cell (`return x[77]`)" in " ".join(
        data["text/plain"].split()
    )
    assert "<table>" in data["text/html"]
    endless = " ".join(book.cells[4].outputs[0]["data"]["text/plain"].split())
    assert "`!minitx hint 01.1`" in endless or "`!python -m minitx hint 01.1`" in endless
    assert "Stopped after 0.5 s at line 2 of its cell (`while True:`)" in endless
    assert json.loads((course.work / ".minitx/progress.json").read_text())["exercises"]


def test_run_all_goes_on_below_what_is_not_written(course: Course) -> None:
    """As Jupyter and Colab do it: a cell whose reply is an error stops the others."""
    stub = course.chapter("01").stub_file(".ipynb")
    document = json.loads(stub.read_text())
    for cell in document["cells"]:
        cell |= {"outputs": []} if cell["cell_type"] == "code" else {}
    book = nbformat.reads(json.dumps(document), as_version=4)
    book.cells = [cell for cell in book.cells if "setup" not in cell.metadata.get("tags", [])]
    book.cells.append(nbformat.v4.new_code_cell("def f():\n    raise NotImplementedError('mine')"))
    book.cells.append(nbformat.v4.new_code_cell("f()"))
    client = nbclient.NotebookClient(book, timeout=600, kernel_name="python3")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="mine"):
        client.execute(cwd=str(course.root))
    codes = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == [*range(1, len(codes) + 1)]
    (tried,) = [cell for cell in codes if cell.source.startswith("print(double")]
    assert tried.outputs[0]["text"] == (
        "Exercise 1.1 is not written yet: there is nothing to try.\n"
    )
    assert "not attempted yet" in codes[-3].outputs[0]["data"]["text/plain"]
    assert codes[-1].outputs[-1]["output_type"] == "error"


SCRIPT = (
    RIGHT_DOUBLE
    + """
from minitx.grading import check
check("01.1", double)
check("01.1", lambda x: 2 * x)
"""
)


def test_a_script_prints_what_a_notebook_shows(course: Course, tmp_path: Path) -> None:
    path = tmp_path / "01_small.py"
    path.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Exercise 1.1: Twice the number (4 of 4 points)\n")
    assert "Exercise 1.1: Twice the number (3 of 4 points)\n" in done.stdout
    assert "you get when an empty array is accepted" in done.stdout
    assert "minitx solution 01.1` shows our answer beside yours" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["<a cell>", "ipykernel_12/34.py"])
def test_a_cell_prints_nothing(
    course: Course, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """It would stand there twice; a debugger keeps cells in files."""
    if "/" in name:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    code = compile('check("01.1", double)', str(tmp_path / name), "exec")
    exec(code, {"check": check, "double": double})
    assert capsys.readouterr().out == ""
