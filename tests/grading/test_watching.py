"""Only what changed is graded again; the real thing runs in a process of its own."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minitx.grading.course import Chapter, Course
from minitx.grading.errors import CourseError
from minitx.grading.learner.changes import fingerprints
from minitx.grading.learner.watching import Watcher

from .helpers import RIGHT_DOUBLE

FOUR = "def quadruple(x):\n    return double(double(x))\n"


def looked(watcher: Watcher, path: Path) -> list[str]:
    report = watcher.look(path)
    return [each.id for each in report.exercises] if report else []


@pytest.fixture
def watcher(course: Course) -> Watcher:
    return Watcher(course, course.chapters.values())


def test_first_look_grades_all(watcher: Watcher, answer: Callable[..., Path]) -> None:
    assert looked(watcher, answer()) == ["01.1", "01.2"]


def test_an_unchanged_exercise_is_left_alone(watcher: Watcher, answer: Callable[..., Path]) -> None:
    looked(watcher, answer(RIGHT_DOUBLE, "def quadruple(x):\n    return 4 * x"))
    assert looked(watcher, answer(RIGHT_DOUBLE, "def quadruple(x):\n    return x * 4")) == ["01.2"]
    same = answer(RIGHT_DOUBLE, "def quadruple(x):  # a remark\n    return x  *  4")
    assert looked(watcher, same) == []


def test_what_a_function_leans_on_counts(watcher: Watcher, answer: Callable[..., Path]) -> None:
    helper = "FACTOR = 2\n\ndef helper(x):\n    return FACTOR * x\n\n"
    using = helper + "def double(x):\n    return helper(x)\n"
    looked(watcher, answer(using))
    assert looked(watcher, answer(using.replace("FACTOR = 2", "FACTOR = 3"))) == ["01.1"]
    looked(watcher, answer(RIGHT_DOUBLE, FOUR))
    assert looked(watcher, answer("def double(x):\n    return 3 * x", FOUR)) == ["01.1", "01.2"]


def test_a_syntax_error_is_a_change(
    chapter: Chapter, watcher: Watcher, answer: Callable[..., Path]
) -> None:
    looked(watcher, answer(RIGHT_DOUBLE))
    report = watcher.look(answer("def double(x:\n    return 2"))
    assert report is not None
    assert "cannot be read as Python" in report.exercises[0].checks[0].text


def test_a_syntax_error_outside_any_exercise_is_told_once(
    watcher: Watcher, answer: Callable[..., Path]
) -> None:
    looked(watcher, answer(RIGHT_DOUBLE, FOUR))
    broken = answer(RIGHT_DOUBLE, FOUR + "\ndef helper(:\n    return 2\n")
    report = watcher.look(broken)
    assert report is not None and report.exercises == ()
    assert ["helper cannot be read as Python" in text for text in report.problems] == [True]
    assert watcher.look(broken) is None
    assert watcher.look(answer(RIGHT_DOUBLE, FOUR)) is None
    assert watcher.look(answer(RIGHT_DOUBLE, FOUR + "\nclass Helper(:\n    pass\n")) is not None


def test_notebooks_are_watched_too(watcher: Watcher, answer: Callable[..., Path]) -> None:
    assert looked(watcher, answer(notebook=True)) == ["01.1", "01.2"]
    assert looked(watcher, answer(RIGHT_DOUBLE, notebook=True)) == ["01.1"]


def test_other_files_are_nobodys_answers(watcher: Watcher, root: Path) -> None:
    assert watcher.look(root / "work/notes.py") is None


def test_modules_beside_the_file_are_imported_anew(
    watcher: Watcher, answer: Callable[..., Path]
) -> None:
    code = "from own_helper_module import factor\n\ndef double(x):\n    return factor * x\n"
    path = answer(code)
    (path.parent / "own_helper_module.py").write_text("factor = 3\n")
    report = watcher.look(path)
    assert report is not None
    assert report.exercises[0].earned == 1
    (path.parent / "own_helper_module.py").write_text("factor = 2  # two\n")
    report = watcher.look(answer(code.replace("factor * x", "x * factor")))
    assert report is not None
    assert report.exercises[0].earned == 3


def test_fingerprints_of_what_cannot_be_read(chapter: Chapter) -> None:
    with pytest.raises(CourseError, match="There is no file"):
        fingerprints(chapter.working_copy(), chapter.exercises.values())


def listen_to_ctrl_c() -> None:
    """A shell starts what it puts in the background deaf to Ctrl-C, and so all its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def process(root: Path, answer: Callable[..., Path]) -> Iterator[subprocess.Popen[str]]:
    answer()
    started = subprocess.Popen(
        [sys.executable, "-m", "minitx", "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=root,
        preexec_fn=listen_to_ctrl_c if os.name != "nt" else None,
    )
    yield started
    started.kill()
    started.wait()


@pytest.mark.skipif(os.name == "nt", reason="sends Ctrl-C as a signal")
def test_in_a_process(process: subprocess.Popen[str], answer: Callable[..., Path]) -> None:
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    stream = process.stdout
    threading.Thread(target=lambda: [lines.put(line) for line in stream], daemon=True).start()

    def wait_for(text: str) -> str:
        seen = ""
        end = time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < end, f"{text!r} never came; seen so far:\n{seen}"
            try:
                seen += lines.get(timeout=0.2)
            except queue.Empty:
                assert process.poll() is None, seen
        return seen

    wait_for("Ctrl-C ends this")
    time.sleep(1)  # the system's watch is set up after that line
    answer("def double(x):\n    return 2 * x")
    assert "3 of 4 points" in wait_for("an empty array is accepted")
    answer(RIGHT_DOUBLE)
    wait_for("4 of 4 points")
    process.send_signal(signal.SIGINT)
    assert "Stopped watching." in wait_for("Stopped")
    assert process.wait(20) == 0
