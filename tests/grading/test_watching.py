"""What is noticed, and what is told; the real thing runs in a process of its own."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minitx.grading.course import Chapter, Course
from minitx.grading.judge.assess import assess_all
from minitx.grading.learner.grading_commands import grade_file
from minitx.grading.learner.targets import Job
from minitx.grading.learner.watching import Watcher, news
from minitx.grading.report import Report
from minitx.grading.worker import starting
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller

from .helpers import RIGHT_DOUBLE

FOUR = "def quadruple(x):\n    return double(double(x))\n"
Answer = Callable[..., Path]


@pytest.fixture
def watcher(course: Course, answer: Answer) -> Watcher:
    answer()
    return Watcher(course.work, course.chapters.values())


def settled(watcher: Watcher) -> list[str]:
    """The files to be graded, when two looks have seen the same."""
    assert watcher.changed() == []
    found = [path.name for _, path in watcher.changed()]
    assert watcher.changed() == []
    return found


def test_nothing_saved_is_nothing_to_do(watcher: Watcher) -> None:
    assert settled(watcher) == []


def test_a_saved_answer_is_graded_again(watcher: Watcher, answer: Answer) -> None:
    answer(RIGHT_DOUBLE)
    assert settled(watcher) == ["01_small.py"]
    assert settled(watcher) == []
    answer(RIGHT_DOUBLE, notebook=True)
    assert settled(watcher) == ["01_small.ipynb"]


def test_the_same_bytes_are_no_change(watcher: Watcher, answer: Answer) -> None:
    os.utime(answer(), (1, 1))
    assert settled(watcher) == []


def test_a_file_that_is_being_written_is_waited_for(watcher: Watcher, answer: Answer) -> None:
    path = answer("def double(x):\n    ret")
    assert watcher.changed() == []
    path.write_text(path.read_text() + "# more")
    assert watcher.changed() == []
    assert len(watcher.changed()) == 1


def test_other_files_are_nobodys_answers(watcher: Watcher, root: Path) -> None:
    for name in ("work/notes.txt", "work/.minitx/progress.json", "work/backups/2026-11-27_01_a.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("no answer")
    assert settled(watcher) == []


@pytest.mark.parametrize("name", ["helpers.py", "mine/helpers.py"])
def test_a_module_beside_the_file_is_part_of_the_answer(
    watcher: Watcher, root: Path, name: str
) -> None:
    helpers = root / "work" / name
    helpers.parent.mkdir(exist_ok=True)
    for text in ("factor = 3\n", "factor = 2\n"):
        helpers.write_text(text)
        assert settled(watcher) == ["01_small.py"]
    helpers.unlink()
    assert settled(watcher) == ["01_small.py"]


def test_links_are_followed(watcher: Watcher, answer: Answer, tmp_path: Path) -> None:
    path, target = answer(), tmp_path / "synchronised.py"
    path.rename(target)
    path.symlink_to(target)
    assert settled(watcher) == []  # the same bytes
    target.write_text("a")
    assert settled(watcher) == ["01_small.py"]
    path.write_text("b")  # through the link
    assert settled(watcher) == ["01_small.py"]
    path.unlink()
    path.symlink_to(path)
    assert settled(watcher) == []


def test_a_folder_that_is_replaced(watcher: Watcher, root: Path, answer: Answer) -> None:
    (root / "work").rename(root / "old")
    assert settled(watcher) == []
    answer(RIGHT_DOUBLE)
    assert settled(watcher) == ["01_small.py"]
    answer(RIGHT_DOUBLE, FOUR)
    assert settled(watcher) == ["01_small.py"]


def test_only_what_has_another_verdict_is_told(chapter: Chapter, answer: Answer) -> None:
    def graded(double: str, quadruple: str = "") -> Report:
        return assess_all(
            chapter, chapter.exercises.values(), LocalCaller(load(answer(double, quadruple)))
        )

    def told(before: Report, now: Report) -> list[str]:
        return [each.id for each in news(before, now).exercises]

    wrong = graded("def double(x):\n    return x[9]")
    assert told(wrong, wrong) == []
    assert told(wrong, graded("# a line above\ndef double(x):\n    return x[9]")) == []
    assert told(wrong, graded("def double(x):\n    return x[8]")) == ["01.1"]
    right = graded(RIGHT_DOUBLE, FOUR)
    assert told(wrong, right) == ["01.1", "01.2"]
    broken = graded(RIGHT_DOUBLE, FOUR + "\ndef helper(:\n    return 2\n")
    assert told(right, broken) == []
    assert ["helper cannot be read" in text for text in news(right, broken).problems] == [True]
    assert news(broken, broken).problems == ()


def test_a_warm_process_serves_every_save(
    chapter: Chapter, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes seconds, importing, is done once, however often a file is saved."""
    started = []
    popen = subprocess.Popen

    def counted(*arguments: Any, **options: Any) -> Any:
        started.append(arguments)
        return popen(*arguments, **options)

    starting.starter_for.cache_clear()
    monkeypatch.setattr(starting.subprocess, "Popen", counted)
    for text in (RIGHT_DOUBLE, "def double(x):\n    return 3 * x", RIGHT_DOUBLE):
        grade_file(Job(chapter, answer(text)), seed=0)
    assert len(started) == (1 if starting.FORKS else 3)


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
def test_in_a_process(process: subprocess.Popen[str], answer: Answer, root: Path) -> None:
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    stream = process.stdout
    threading.Thread(target=lambda: [lines.put(line) for line in stream], daemon=True).start()

    def wait_for(text: str) -> str:
        seen = ""
        end = time.monotonic() + 300
        while text not in seen:
            assert time.monotonic() < end, f"{text!r} never came; seen so far:\n{seen}"
            try:
                seen += lines.get(timeout=0.2)
            except queue.Empty:
                assert process.poll() is None, seen
        return seen

    wait_for("Ctrl-C ends this")
    answer("def double(x):\n    return 2 * x")
    assert "3 of 4 points" in wait_for("an empty array is accepted")
    answer("def double(x):\n    return 2 * x  # as before")
    wait_for("01_small.py: saved; no verdict changed.  3 of 7 points.")
    answer("from helpers import two\n\ndef double(x):\n    return two * x")
    wait_for("helpers")
    (root / "work/helpers.py").write_text("two = 3\n")
    wait_for("of 4 points")
    (root / "work/helpers.py").write_text("two = 2  # mended\n")
    wait_for("3 of 4 points")
    answer(RIGHT_DOUBLE)
    wait_for("4 of 4 points")
    process.send_signal(signal.SIGINT)
    assert "Stopped watching." in wait_for("Stopped")
    assert process.wait(300) == 0
