"""The command line: what it says, what it leaves behind, and how it exits."""

import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from minitx.grading.course import Chapter, find_course
from minitx.grading.errors import CourseError

from .helpers import BANK, CHECKS, RIGHT_DOUBLE, STUB

Minitx = Callable[..., Result]
Answer = Callable[..., Path]
FOUR = "def quadruple(x):\n    return double(double(x))"
WRONG = "def double(x):\n    return 2 * x"


def one_line(result: Result) -> str:
    return " ".join(result.output.split())


def test_start(minitx: Minitx, root: Path) -> None:
    result = minitx("start", "1")
    assert result.exit_code == 0
    assert f"Your copy: {Path('work/01_small.py')}\n" in result.output
    assert "minitx watch 01 grades it" in one_line(result).replace("`", "")
    path = root / "work/01_small.py"
    path.write_text("mine")
    result = minitx("start", "01")
    assert "You have a copy already" in result.output
    assert path.read_text() == "mine"


def test_start_beside_a_copy_in_the_other_format(
    minitx: Minitx, answer: Answer, root: Path
) -> None:
    answer(RIGHT_DOUBLE, FOUR)
    result = minitx("start", "01", "--notebook")
    assert result.exit_code == 2
    assert "Your copy of chapter 1 is work/01_small.py. A second one was not made" in one_line(
        result
    )
    assert "`minitx start 01 --notebook --both` makes it all the same" in one_line(result)
    assert not (root / "work/01_small.ipynb").exists()
    assert minitx("start", "01", "--notebook", "--both").exit_code == 0
    assert json.loads((root / "work/01_small.ipynb").read_text())["nbformat"] == 4
    result = minitx("check", "01")  # the new one is not the one that is graded
    assert result.exit_code == 0
    assert "01_small.py was saved last and counts" in one_line(result)
    assert minitx("start", "01").exit_code == 0  # it is there: no second one


def test_check_without_a_copy_says_how_to_make_one(minitx: Minitx) -> None:
    result = minitx("check", "01")
    assert result.exit_code == 2
    assert "You have no copy of chapter 1's exercises yet. Make one: `minitx start 01`" in one_line(
        result
    )
    result = minitx("check")
    assert result.exit_code == 2
    assert "Make one: `minitx start 01`" in one_line(result)


def test_check_of_a_stub(minitx: Minitx, answer: Answer) -> None:
    answer()
    result = minitx("check", "01")
    assert result.exit_code == 1
    assert "· not attempted" in result.output
    assert "0 of 7 points." in result.output


def test_check_of_right_answers(minitx: Minitx, answer: Answer) -> None:
    answer(RIGHT_DOUBLE, FOUR)
    result = minitx("check")
    assert (result.exit_code, "7 of 7 points." in result.output) == (0, True)


@pytest.mark.parametrize("target", ["01.1", "1.1", "01.01"])
def test_check_of_one_exercise(minitx: Minitx, answer: Answer, target: str) -> None:
    answer(WRONG)
    result = minitx("check", target)
    assert result.exit_code == 1
    assert "Exercise 1.1: Twice the number 3 of 4 points" in one_line(result)
    assert "✗ failed 0/1 an empty array is refused" in result.output
    assert "Your output equals what you get when an empty array is accepted." in result.output
    assert "Raise ValueError for it." in result.output
    assert "Read “Twice as much” in book/01_small.md." in result.output
    assert "Hint: raise ValueError" in result.output


def test_check_of_a_notebook(minitx: Minitx, answer: Answer) -> None:
    answer(RIGHT_DOUBLE, FOUR, notebook=True)
    assert minitx("check", "01").exit_code == 0


def test_the_copy_saved_last_is_graded(minitx: Minitx, answer: Answer) -> None:
    old = answer()
    os.utime(old, (1, 1))
    answer(RIGHT_DOUBLE, FOUR, notebook=True)
    result = minitx("check", "01")
    assert result.exit_code == 0
    assert "01_small.ipynb" in result.output
    assert "There are two copies. work/01_small.ipynb was saved last" in one_line(result)
    assert "not looked at" not in result.output


def test_answers_in_the_other_copy_are_told_of(minitx: Minitx, answer: Answer) -> None:
    os.utime(answer(RIGHT_DOUBLE), (1, 1))
    answer("", FOUR, notebook=True)
    told = one_line(minitx("check", "01"))
    assert "work/01_small.py has answers to Exercise 1.1 that were not looked at" in told
    assert "`minitx check 01 --file work/01_small.py` grades it." in told


def test_reset_touches_the_copy_saved_last_alone(minitx: Minitx, answer: Answer) -> None:
    old = answer(WRONG)
    os.utime(old, (1, 1))
    new = answer(WRONG, notebook=True)
    assert minitx("reset", "01.1").exit_code == 0
    assert WRONG in old.read_text()
    assert "a / 2" not in new.read_text()
    assert "Exercise 1.1 is yours" in new.read_text()


def test_somebody_elses_file_is_not_the_learners_progress(
    minitx: Minitx, answer: Answer, tmp_path: Path
) -> None:
    path = answer(RIGHT_DOUBLE, FOUR)
    path.rename(tmp_path / "their_01.py")
    assert minitx("check", str(tmp_path / "their_01.py")).exit_code == 0
    assert "0 of 7 points." in minitx("progress").output
    assert minitx("solution", "01.1").exit_code == 1


def test_check_of_a_file(minitx: Minitx, tmp_path: Path, answer: Answer) -> None:
    text = answer(RIGHT_DOUBLE, FOUR).read_text()
    (tmp_path / "my_01.py").write_text(text)
    assert minitx("check", str(tmp_path / "my_01.py")).exit_code == 0
    (tmp_path / "mine.py").write_text(text)
    result = minitx("check", str(tmp_path / "mine.py"))
    assert result.exit_code == 2
    assert "does not say which chapter it answers. Say so: `minitx check 02 --file" in one_line(
        result
    )
    assert minitx("check", "01", "--file", str(tmp_path / "mine.py")).exit_code == 0
    assert minitx("check", "01.1", "--file", str(tmp_path / "mine.py")).exit_code == 0
    assert minitx("check", "--file", str(tmp_path / "my_01.py")).exit_code == 0


def test_check_of_another_chapters_file(minitx: Minitx, root: Path, answer: Answer) -> None:
    file = answer(RIGHT_DOUBLE, FOUR)
    other = root / "exercises" / "checks" / "test_02_more.py"
    checks = CHECKS.replace("01.", "02.").replace("double", "halve").replace("quadruple", "quarter")
    other.write_text(checks)
    result = minitx("check", "02", "--file", str(file))
    assert result.exit_code == 2
    assert "defines no function of chapter 2, but some of chapter 1: `minitx check 01 --file" in (
        one_line(result)
    )


@pytest.mark.parametrize("name", ["01", "1", "01.1"])
def test_a_folder_of_that_name_is_not_meant(
    minitx: Minitx, answer: Answer, root: Path, name: str
) -> None:
    answer(RIGHT_DOUBLE, FOUR)
    (root / name).mkdir()
    assert minitx("check", name).exit_code == 0
    result = minitx("check", f"{name}/")
    assert (result.exit_code, "is a folder; name the .py file" in result.output) == (2, True)


def test_commands_are_named_as_they_were_called(
    minitx: Minitx, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Make one: `minitx start 01`" in one_line(minitx("check", "01"))
    for name in ("python", "minitx"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "minitx/__main__.py")])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Make one: `python -m minitx start 01`" in one_line(minitx("check", "01"))
    monkeypatch.setattr(sys, "argv", ["work/01_small.py"])
    assert "Make one: `minitx start 01`" in one_line(minitx("check", "01"))
    monkeypatch.setattr(sys, "argv", ["work/01_small.py"])
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    monkeypatch.setenv("PATH", str(root))  # neither a script there nor `python`
    assert "Make one: `python3 -m minitx start 01`" in one_line(minitx("check", "01"))


def test_seed_and_verbose(minitx: Minitx, answer: Answer) -> None:
    answer("def double(x):\n    return [1]", FOUR)
    assert minitx("check", "01.1", "--seed", "7").exit_code == 1
    answer("def double(x):\n    return x[None]")
    brief, full = minitx("check", "01.1").output, minitx("check", "01.1", "-v").output
    assert len(full) > len(brief)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["check", "banana"], "'banana' is neither a chapter (02) nor an exercise (02.3) nor a fi"),
        (["check", "absent.py"], "There is no file absent.py."),
        (["check", "work"], "work is a folder; name the .py file or the notebook in it."),
        (["check", "01", "--file", "work"], "work is a folder"),
        (["check", "7"], "There are no exercises for chapter 07; chapters: 01."),
        (["check", "01.9"], "There is no exercise 01.9; the chapter's are: 01.1, 01.2."),
        (["hint", "01"], "01 is a chapter; name an exercise: `minitx hint 01.1`"),
        (["solution", "01"], "01 is a chapter; name an exercise: `minitx solution 01.1`"),
        (["check", "--nonsense"], "No such option"),
        (["start"], "Missing argument"),
        (["check", "01", "--seed", "-5"], "-5 is not in the range x>=0"),
        (["watch", "--seed", "-5"], "-5 is not in the range x>=0"),
        (["hint", "01.1", "--level", "4"], "4 is not in the range 1<=x<=3"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_use(minitx: Minitx, answer: Answer, arguments: list[str], text: str) -> None:
    answer()
    result = minitx(*arguments)
    assert result.exit_code == 2
    assert text in one_line(result)


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (b"\x00\xff", 2, "is not text: is it really a Python file?"),
        ("é".encode("latin-1"), 2, "is not saved as UTF-8"),
        (b"", 1, "There is no function double in 01_small.py"),
        (b"def double(x)\n    return 3\n", 1, "syntax error at line 1 (`def double(x)`): expecte"),
        (b"def double(x, y):\n    return 3\n", 1, "double wants a value for `y` that nobody gives"),
        (b"def double(x):\n    pass\n", 1, "double returned None: is a `return` missing?"),
        (b"def double(x):\n    return x.T\n", 1, "got shape (3, 2), wanted (2, 3)"),
        (b"def double(x):\n    return (2*x).astype(int)\n", 1, "the dtype is int64"),
        (b"def double(x):\n    return x * float('nan')\n", 1, "got nan, wanted"),
        (b"def double(x):\n    x *= 2\n    return x\n", 1, "changed its input `x` in place"),
        (b"def double(x):\n    while 1:\n        pass\n", 1, "after 0.5 s at line 2 (`while 1:`)"),
        (
            b"def double(x):\n    while 1:\n        try:\n            len(x)\n"
            b"        except:\n            pass\n",
            1,
            "after 0.5 s at line 2 (`while 1:`)",
        ),
        (b"def double(x):\n    import sys; sys.exit(0)\n", 1, "ended the whole program at line 2"),
        (b"import sys\nsys.exit(0)\n", 1, "The file ends the program at line 2"),
        (b"def double(x):\n    return double(x)\n", 1, "double calls itself without end"),
        (b"def double(x):\n    print('x' * 10**7)\n    return x\n", 1, "Your code printed:"),
        (b"import os\nos._exit(0)\n", 1, "ended the process it was read in"),
        (b"import os\ndef double(x):\n    os._exit(0)\n", 1, "ended the process it was graded in"),
        (b"def double(x):\n    raise KeyboardInterrupt\n", 1, "raised KeyboardInterrupt at line 2"),
        (b"def double(x):\n    return sum(range(10**12))\n", 1, "at line 2 (`return sum(range("),
        (b"async def double(x):\n    return 2 * x\n", 1, "an object of type coroutine"),
        (b"double = 7\n", 1, "double is the number 7; wanted a function"),
    ],
)
def test_bad_input(minitx: Minitx, answer: Answer, content: bytes, code: int, text: str) -> None:
    """One clear paragraph each, never a traceback, and the other exercise is still graded."""
    path = answer()
    other = b"\n\n# %%\ndef quadruple(x):\n    return 4 * x\n" if code == 1 else b""
    path.write_bytes(content + other)
    result = minitx("check", "01.1")
    assert result.exit_code == code
    assert text in one_line(result)
    assert len(result.output) < 6000
    if code == 1:
        assert "3/3" in minitx("check", "01").output


def test_a_damaged_notebook(minitx: Minitx, answer: Answer) -> None:
    answer(notebook=True).write_text('{"cells": [')
    result = minitx("check", "01")
    assert result.exit_code == 2
    assert "is damaged: it does not hold a notebook" in one_line(result)


def test_a_fault_of_the_grader(minitx: Minitx, answer: Answer, root: Path) -> None:
    answer(RIGHT_DOUBLE, FOUR)
    path = root / "exercises/checks/test_01_small.py"
    path.write_text(CHECKS.replace("sub.double(rng.normal(size=(4,))).shape", "undefined_name"))
    result = minitx("check", "01.1")
    assert result.exit_code == 3
    assert "failed by itself (NameError" in one_line(result)
    assert "✓ passed 2/2" in " ".join(result.output.split())
    path.write_text(CHECKS + "\n1 / 0\n")
    result = minitx("check", "01.1")
    assert result.exit_code == 3
    said = "The grader itself failed: test_01_small.py of the course cannot be run (ZeroDivision"
    assert said in one_line(result)


def test_what_fails_elsewhere_is_not_the_graders_fault(
    minitx: Minitx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory() -> None:
        raise RuntimeError("CUDA out of memory.\n  Tried to allocate")

    room = types.SimpleNamespace(train=click.Command("train", callback=out_of_memory))
    monkeypatch.setitem(sys.modules, "minitx.projects.commands", room)
    result = minitx("train")
    assert result.exit_code == 1
    said = "minitx train failed: RuntimeError: CUDA out of memory. Tried to allocate"
    assert said in one_line(result)
    assert "rader" not in result.output
    monkeypatch.setenv("MINITX_DEBUG", "1")
    assert isinstance(minitx("train").exception, RuntimeError)


def test_whatever_else_goes_wrong_while_grading_is_the_graders_fault(
    minitx: Minitx, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no idea")

    answer()
    monkeypatch.setattr("minitx.grading.learner.grading_commands.grade_file", broken)
    result = minitx("check", "01")
    assert result.exit_code == 3
    said = "The grader itself failed: RuntimeError: no idea. Please report it."
    assert said in one_line(result)


def test_ctrl_c_ends_a_command_with_a_word(
    minitx: Minitx, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    answer()
    monkeypatch.setattr("minitx.grading.learner.grading_commands.grade_file", stop)
    result = minitx("check", "01")
    assert (result.exit_code, result.output) == (130, "Stopped.\n")


def test_a_traceback_for_those_who_ask(
    minitx: Minitx, answer: Answer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer()
    (root / "exercises/checks/mistakes_01_small.py").write_text(BANK + "\n1 / 0\n")
    monkeypatch.setenv("MINITX_DEBUG", "1")
    assert "ZeroDivisionError" in str(minitx("check", "01").exception)


def test_what_comes_next(minitx: Minitx, answer: Answer, root: Path) -> None:
    answer()
    assert "Next: Exercise 1.1. Write `double` in work/01_small.py." in minitx("check", "01").output
    assert "Next: Exercise 1.1. Write `double` in" in minitx("check", "01.1").output
    answer(WRONG)
    said = one_line(minitx("check", "01"))
    assert "`minitx check 01.1` shows all its checks." in said
    assert "Stuck? `minitx hint 01.1` shows a first hint." in said
    stub = root / "exercises/01_small.py"
    stub.write_text(
        stub.read_text().replace(
            "# %%\ndef quad", "# %% [markdown]\n# **Question 1 (why?).** Hm.\n\n# %%\ndef quad"
        )
    )
    answer(RIGHT_DOUBLE)
    steps = minitx("check", "01.1").output.splitlines()[-3:]
    assert steps == [
        "`minitx solution 01.1` shows our answer beside yours.",
        "Question 1 (why?) stands below the exercise in your file.",
        "Next: Exercise 1.2, Four times.",
    ]
    answer(RIGHT_DOUBLE, FOUR)
    steps = minitx("check", "01.2").output.splitlines()[-2:]
    assert steps == [
        "`minitx solution 01.2` shows our answer beside yours.",
        "All exercises of chapter 1 are done.",
    ]
    (root / "exercises/checks/test_02_more.py").write_text("")
    steps = minitx("check", "01").output.splitlines()[-2:]
    assert steps == [
        "All exercises of chapter 1 are done.",
        "`minitx start 02` begins the next chapter.",
    ]


def test_hints_are_offered_where_they_help(minitx: Minitx, answer: Answer, root: Path) -> None:
    answer("def double(x:\n    return 2 * x")
    assert "Stuck?" not in minitx("check", "01.1").output
    answer(WRONG)
    minitx("hint", "01.1")
    assert "Stuck? `minitx hint 01.1` shows the next hint." in minitx("check", "01.1").output
    minitx("hint", "01.1", "--level", "3")
    assert "Stuck?" not in minitx("check", "01.1").output
    path = root / "exercises/checks/test_01_small.py"
    path.write_text(CHECKS.replace("sub.double(rng.normal(size=(4,))).shape", "undefined_name"))
    assert "minitx hint" not in minitx("check", "01.1").output


def test_hints_come_one_by_one(minitx: Minitx) -> None:
    first, second, third, fourth = (minitx("hint", "01.1").output for _ in range(4))
    assert "hint 1 of 3" in first
    assert "first nudge" in first
    assert "hint 2 of 3" in second
    assert "Read “Twice as much” in book/01_small.md." in second
    assert "nearly the answer" in third
    assert "nearly the answer" in fourth
    assert third == fourth
    assert "That was the last hint. `minitx solution 01.1 --give-up` shows the" in third
    assert "first nudge" in minitx("hint", "1.1", "--level", "1").output


def test_a_hint_links_to_the_page_that_was_built(
    minitx: Minitx, root: Path, chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chapter.built("book/01_small.md#twice") == ""
    page = root / "_build/html/book/01_small.html"
    page.parent.mkdir(parents=True)
    page.write_text('<section id="twice">', encoding="utf-8")
    assert chapter.built("book/01_small.md#twice") == page.as_uri() + "#twice"
    assert chapter.built("book/01_small.md#elsewhere") == page.as_uri()
    assert page.as_uri() not in minitx("hint", "01.1", "--level", "2").output
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal
    monkeypatch.setenv("TERM", "xterm-256color")
    assert f"{page.as_uri()}#twice" in minitx("hint", "01.1", "--level", "2").output


def test_progress(minitx: Minitx, answer: Answer) -> None:
    answer(WRONG)
    minitx("check", "01")
    minitx("check", "01.1")
    minitx("hint", "01.1")
    answer()
    minitx("check", "01")
    result = minitx("progress")
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines()]
    assert ["1.1", "3/4", "…", "begun", "Twice", "the", "number", "2", "1/3"] in rows
    assert ["1.2", "0/3", "·", "open", "Four", "times", "0", "0/3"] in rows
    assert "3 of 7 points." in result.output
    assert result.output.endswith("\nNext: Exercise 1.1, Twice the number.\n")
    assert minitx("progress", "01").output == result.output
    assert minitx("progress", "03").exit_code == 2


def test_progress_says_how_to_begin_and_nothing_at_the_end(minitx: Minitx, answer: Answer) -> None:
    assert minitx("progress").output.endswith("`minitx start 01` begins chapter 1.\n")
    answer(RIGHT_DOUBLE, FOUR)
    minitx("check", "01")
    assert minitx("progress").output.endswith("\n7 of 7 points.\n")


def test_piped_lines_end_without_blanks(minitx: Minitx, answer: Answer) -> None:
    """Tables and paragraphs are filled up for a terminal only."""
    answer(WRONG)
    for arguments in (["check", "01"], ["check", "01.1"], ["progress"], ["hint", "01.1"]):
        lines = minitx(*arguments).output.split("\n")
        assert lines == [line.rstrip() for line in lines]


@pytest.mark.parametrize("width", [28, 40, 50, 80])
def test_a_command_stands_in_one_line(
    minitx: Minitx, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = minitx("check", "01").output
    assert "`minitx start 01`" in said
    assert max(map(len, said.split("\n"))) <= width


def test_progress_survives_damage(minitx: Minitx, answer: Answer, root: Path) -> None:
    answer(RIGHT_DOUBLE)
    path = root / "work/.minitx/progress.json"
    path.parent.mkdir(parents=True)
    path.write_text("{{{")
    result = minitx("check", "01.1")
    assert result.exit_code == 0
    assert "was damaged. It is kept as" in one_line(result)
    assert "4/4 ✓ done" in one_line(minitx("progress"))


def test_progress_that_cannot_be_saved(minitx: Minitx, answer: Answer, root: Path) -> None:
    answer(RIGHT_DOUBLE)
    (root / "work/.minitx").write_text("a file where a folder is wanted")
    result = minitx("check", "01.1")
    assert result.exit_code == 0
    assert "Your progress could not be saved in" in one_line(result)


def test_reset_of_an_exercise(minitx: Minitx, answer: Answer, root: Path) -> None:
    path = answer(WRONG, FOUR)
    before = path.read_text()
    result = minitx("reset", "01.1")
    assert result.exit_code == 0
    assert "has the unanswered double of Exercise 1.1 again" in result.output
    (kept,) = (root / "work/backups").iterdir()
    assert str(kept.relative_to(root)) in result.output
    assert kept.read_text() == before
    assert FOUR in path.read_text()
    assert WRONG not in path.read_text()


def test_reset_of_a_chapter(minitx: Minitx, answer: Answer, root: Path) -> None:
    path = answer(WRONG, FOUR)
    assert minitx("reset", "01").exit_code == 0
    assert path.read_text() == STUB
    assert len(list((root / "work/backups").iterdir())) == 1
    path.unlink()
    assert minitx("reset", "01").exit_code == 2


def test_the_solution_is_for_those_who_are_through(minitx: Minitx, answer: Answer) -> None:
    answer(WRONG)
    minitx("check", "01.1")
    result = minitx("solution", "01.1")
    assert result.exit_code == 1
    assert "Exercise 1.1 is not finished: 3 of 4 points so far." in one_line(result)
    assert "return 2 * x" not in result.output
    answer(RIGHT_DOUBLE)
    minitx("check", "01.1")
    result = minitx("solution", "01.1")
    assert result.exit_code == 0
    assert 'raise ValueError("nothing to double")' in result.output
    assert "SOLUTION" not in result.output


def test_giving_up_is_remembered(minitx: Minitx) -> None:
    assert minitx("solution", "01.2").exit_code == 1
    assert "return double(double(x))" in minitx("solution", "01.2", "--give-up").output
    assert minitx("solution", "01.2").exit_code == 0


RUNGS = """
# %% tags=["solution"]
def double_loop(x):
    \"\"\"Rung 1.\"\"\"
    return np.array([2 * each for each in x])

# %%
def no_rung():
    pass
"""


def test_the_lower_rungs_are_shown(minitx: Minitx, root: Path) -> None:
    path = root / "solutions/01_small.py"
    path.write_text(
        path.read_text().replace('check("01.1", double)\n', f'check("01.1", double)\n{RUNGS}')
    )
    said = minitx("solution", "01.1", "--give-up").output
    assert "return np.array([2 * each for each in x])" in said
    assert "no_rung" not in said
    assert "double_loop" not in minitx("solution", "01.2", "--give-up").output


@pytest.mark.parametrize("notebook", [False, True])
def test_ours_beside_yours(
    minitx: Minitx, answer: Answer, monkeypatch: pytest.MonkeyPatch, notebook: bool
) -> None:
    answer(RIGHT_DOUBLE.replace(":\n", ':\n    """Mine."""\n', 1), FOUR, notebook=notebook)
    minitx("check", "01")
    lines = minitx("solution", "01.1").output.splitlines()
    assert [line.split() for line in lines[2:6]] == [
        ["Yours:", "Ours:"],
        [],
        ["def", "double(x):"] * 2,
        ["if", "x.size", "==", "0:"] * 2,
    ]
    assert not any("Mine" in line or "Twice x" in line for line in lines)
    assert not any(line.endswith(" ") for line in lines)
    monkeypatch.setenv("COLUMNS", "40")
    lines = minitx("solution", "01.1").output.splitlines()
    assert lines.index("Yours:") < lines.index("    return x + x") < lines.index("Ours:")


def test_in_colours_no_line_is_cut(minitx: Minitx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "20")
    said = minitx("solution", "01.1", "--give-up").output
    plain = "".join(re.sub(r"\x1b\[[\d;]*m", "", said).split())
    assert "\x1b[" in said
    assert 'raiseValueError("nothingtodouble")' in plain


def test_solutions_that_are_missing(minitx: Minitx, root: Path) -> None:
    path = root / "solutions/01_small.py"
    path.write_text("pass\n")
    assert "holds no function double" in one_line(minitx("solution", "01.1", "--give-up"))
    path.unlink()
    assert "The worked answers are not here" in one_line(minitx("solution", "01.1", "--give-up"))


def test_the_list_of_exercises(minitx: Minitx) -> None:
    result = minitx("exercises", "list")
    assert result.exit_code == 0
    assert "1.1 0/4 · open Twice the number" in one_line(result)
    assert "1.2 0/3 · open Four times" in one_line(result)


def test_building_needs_the_maintainers_tools(
    minitx: Minitx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "minitx.authoring.build", None)
    result = minitx("exercises", "build")
    assert result.exit_code == 2
    assert "Building needs minitx.authoring.build, which is not installed" in one_line(result)


def test_building_hands_over(minitx: Minitx, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    asked: list[Any] = []

    def build(folder: Path, *, execute: bool, check: bool) -> int:
        asked.append((folder, execute, check))
        return 1

    module = types.SimpleNamespace(build=build)
    monkeypatch.setitem(sys.modules, "minitx.authoring.build", module)
    assert minitx("exercises", "build", "--check").exit_code == 1
    assert asked == [(root, False, True)]


def test_the_course_is_found(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_course().root == root
    monkeypatch.setenv("MINITX_COURSE", str(tmp_path))
    with pytest.raises(CourseError, match="but there is no folder exercises/checks in it"):
        find_course()
    monkeypatch.delenv("MINITX_COURSE")
    monkeypatch.setattr(
        "minitx.grading.course.__file__", str(tmp_path / "a/b/c.py")
    )  # as if installed elsewhere
    (root / "book/deep").mkdir()
    monkeypatch.chdir(root / "book/deep")
    assert find_course().root == root
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CourseError, match="The exercises are not here: neither beside the instal"):
        find_course()


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minitx", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )


def test_a_real_process(root: Path, answer: Answer) -> None:
    answer(WRONG)
    done = run("check", "01.1", cwd=root, COLUMNS="60", NO_COLOR="1", PYTHONUTF8="1")
    assert done.returncode == 1
    assert "an empty array is accepted." in " ".join(done.stdout.split())
    assert "\x1b" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 60
    assert done.stderr == ""


def test_a_terminal_that_knows_no_check_mark(root: Path, answer: Answer) -> None:
    answer(RIGHT_DOUBLE)
    done = run("check", "01.1", cwd=root, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? passed" in done.stdout


def test_help_is_light(root: Path) -> None:
    code = (
        "import sys; from minitx.cli import cli; cli(['--help'], standalone_mode=False);"
        "print('loaded', *{'torch', 'numpy', 'rich', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )
    assert "start 01" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded"
