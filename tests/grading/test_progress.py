"""Progress is kept, survives damage, and is never half written."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minitx.grading.learner import progress as progress_module
from minitx.grading.learner.progress import FILE, Progress, Reached, load_progress
from minitx.grading.report import CheckReport, ExerciseReport, Status


def report(earned: int, status: Status = "failed") -> ExerciseReport:
    checks = (
        CheckReport("a", "t", earned, "passed", "", "h"),
        CheckReport("b", "t", 4 - earned, status, "x", "h"),
    )
    return ExerciseReport("01.1", "Exercise 1.1", "t", "f", "p", checks)


def test_the_best_counts(tmp_path: Path) -> None:
    progress = load_progress(tmp_path)
    for earned in (1, 3, 2):
        progress.record(report(earned))
    assert progress.save() == ""
    reached = load_progress(tmp_path).of("01.1")
    assert (reached.best, reached.points, reached.attempts) == (3, 4, 3)
    assert not reached.complete


def test_what_another_wrote_meanwhile_stays(tmp_path: Path) -> None:
    """As a long `check 02` beside a notebook: the end of one is no word about the other."""
    long, short = load_progress(tmp_path), load_progress(tmp_path)
    short.record(report(3))
    short.record(replace(report(4, "passed"), id="01.2"))
    short.saw_hint("01.1", 2)
    assert short.save() == ""
    long.record(report(2))
    long.gave_up("02.1")
    assert long.save() == ""
    kept = load_progress(tmp_path)
    assert kept.exercises == long.exercises
    assert kept.of("01.1") == Reached(best=3, points=4, attempts=2, hints=2)
    assert kept.of("01.2") == Reached(best=4, points=4, attempts=1)
    assert kept.of("02.1").gave_up
    assert long.save() == ""  # nothing new: nothing is counted twice
    assert load_progress(tmp_path) == kept


SAVES = """
import sys
from pathlib import Path
from minitx.grading.learner.progress import load_progress
progress = load_progress(Path(sys.argv[1]))
progress.saw_hint("01.1", 2)
print("ready", flush=True)
sys.stdin.readline()
print(progress.save(), flush=True)
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    """The other one reads before we write, and writes behind us."""
    path = tmp_path / FILE
    path.parent.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", SAVES, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin is not None and other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    with progress_module._alone(path.parent):
        kept = load_progress(tmp_path)
        other.stdin.write("save\n")
        other.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1)  # it waits for us
        kept.exercises["01.1"] = Reached(best=3, points=4, attempts=1)
        progress_module._write(path, kept.exercises)
    assert other.communicate()[0] == "\n"
    assert load_progress(tmp_path).of("01.1") == Reached(best=3, points=4, attempts=1, hints=2)


def test_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network folders have none."""
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)
    progress = load_progress(tmp_path)
    progress.record(report(1))
    assert progress.save() == ""
    assert load_progress(tmp_path).of("01.1").best == 1


def test_points_that_the_course_has_changed(tmp_path: Path) -> None:
    assert Reached(best=9, points=9).and_then(Reached(2, 4)) == Reached(best=4, points=4)


def test_complete(tmp_path: Path) -> None:
    progress = load_progress(tmp_path)
    progress.record(report(3, "passed"))
    assert progress.of("01.1").complete


def test_what_was_not_attempted_leaves_no_trace(tmp_path: Path) -> None:
    progress = load_progress(tmp_path)
    unattempted = ExerciseReport(
        "01.1", "l", "t", "f", "p", (CheckReport("a", "t", 4, "unattempted", "", "h"),)
    )
    progress.record(unattempted)
    progress.record(report(2, "grader error"))
    assert progress.exercises == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\x00", b"[]", b"7", b'{"exercises": 3}', b'{"exercises": {"a": 1}}'],
)
def test_a_damaged_file_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_bytes(content)
    progress = load_progress(tmp_path)
    assert progress.exercises == {}
    (aside,) = path.parent.glob("progress.damaged-*.json")
    assert aside.read_bytes() == content
    assert "was damaged. It is kept as" in progress.notice
    assert str(aside) in progress.notice
    progress.record(report(1))
    assert progress.save() == ""
    assert load_progress(tmp_path).notice == ""


def test_damaged_and_not_to_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text("{")
    monkeypatch.setattr(os, "replace", refuse)
    assert "is damaged and cannot be moved aside: No space left" in load_progress(tmp_path).notice


def refuse(*arguments: Any, **options: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = load_progress(tmp_path)
    progress.record(report(1))
    progress.save()
    before = (tmp_path / FILE).read_bytes()
    progress.record(report(3))
    monkeypatch.setattr(os, "replace", refuse)
    assert "could not be saved in" in progress.save()
    assert (tmp_path / FILE).read_bytes() == before
    assert list((tmp_path / FILE).parent.glob("progress-*")) == []  # nothing left behind


def test_an_older_file_with_fewer_entries_is_read(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text(json.dumps({"exercises": {"01.1": {"best": 2}}}))
    reached = load_progress(tmp_path).of("01.1")
    assert (reached.best, reached.hints, reached.gave_up) == (2, 0, False)


def test_an_absent_file_is_no_progress(tmp_path: Path) -> None:
    assert load_progress(tmp_path) == Progress(tmp_path / FILE)
