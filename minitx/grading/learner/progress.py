"""What a learner has reached: `work/.minitx/progress.json`.

Best points, attempts, hints seen. What is new is added to what the file holds at that moment, for
another command or a notebook may have written meanwhile. The file is replaced as a whole, never
half written; a damaged one is kept aside.
"""

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minitx.grading.report import ExerciseReport
from minitx.terminal import program

FILE = Path(".minitx/progress.json")
VERSION = 2
RENUMBERED = {"01.3": "01.6", "01.6": "01.3"}
"""What has another number since version 1 of the file."""


@dataclass
class Reached:
    """One exercise."""

    best: int = 0
    points: int = 0
    attempts: int = 0
    hints: int = 0
    gave_up: bool = False

    @property
    def complete(self) -> bool:
        return self.points > 0 and self.best >= self.points

    def and_then(self, later: "Reached") -> "Reached":
        """Both together: the best points, all attempts, the furthest hint."""
        points = later.points or self.points
        return Reached(
            best=min(max(self.best, later.best), points) if points else max(self.best, later.best),
            points=points,
            attempts=self.attempts + later.attempts,
            hints=max(self.hints, later.hints),
            gave_up=self.gave_up or later.gave_up,
        )


@dataclass
class Progress:
    """All exercises, by id; `notice` says what was wrong with the file, if anything."""

    path: Path
    exercises: dict[str, Reached] = field(default_factory=dict)
    notice: str = ""
    _news: dict[str, Reached] = field(default_factory=dict, repr=False)  # not in the file yet

    def of(self, exercise_id: str) -> Reached:
        """How far an exercise is; to change it, say what happened."""
        return self.exercises.get(exercise_id, Reached())

    def record(self, report: ExerciseReport) -> None:
        """An attempt; an exercise that was not attempted leaves no trace."""
        if report.status not in ("unattempted", "grader error"):
            self._happened(report.id, Reached(report.earned, report.points, attempts=1))

    def saw_hint(self, exercise_id: str, level: int) -> None:
        self._happened(exercise_id, Reached(hints=level))

    def gave_up(self, exercise_id: str) -> None:
        self._happened(exercise_id, Reached(gave_up=True))

    def _happened(self, exercise_id: str, what: Reached) -> None:
        for kept in (self.exercises, self._news):
            kept[exercise_id] = kept.get(exercise_id, Reached()).and_then(what)

    def save(self) -> str:
        """Adds what is new to the file; returns a sentence if something was in the way."""
        if not self._news:
            return ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self.path.parent):
                kept = _read(self.path)
                for key, what in self._news.items():
                    kept.exercises[key] = kept.of(key).and_then(what)
                _write(self.path, kept.exercises)
        except OSError as error:
            return f"Your progress could not be saved in {self.path}: {error.strerror or error}."
        self.exercises, self._news = kept.exercises, {}
        return kept.notice


def load_progress(work: Path) -> Progress:
    """Reads the progress kept in the folder `work`; an absent file is an empty progress."""
    return _read(work / FILE)


def _read(path: Path) -> Progress:
    if not path.exists():
        return Progress(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        now = RENUMBERED if document.get("version") == 1 else {}
        reached = {now.get(k, k): _reached(v) for k, v in document["exercises"].items()}
        return Progress(path, reached)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Progress(path, notice=_keep_aside(path))


def _write(path: Path, exercises: dict[str, Reached]) -> None:
    kept = {k: asdict(v) for k, v in sorted(exercises.items())}
    document = {"version": VERSION, "exercises": kept}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix="progress-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=1)
            stream.write("\n")
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time reads and writes; a file system without locks does without."""
    with (folder / "lock").open("a") as stream, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
                stack.callback(msvcrt.locking, stream.fileno(), msvcrt.LK_UNLCK, 1)
            else:
                import fcntl

                fcntl.flock(stream, fcntl.LOCK_EX)  # closing the file ends it
        yield


def _reached(entry: dict[str, Any]) -> Reached:
    numbers = {key: int(entry.get(key, 0)) for key in ("best", "points", "attempts", "hints")}
    return Reached(**numbers, gave_up=bool(entry.get("gave_up", False)))


def _keep_aside(path: Path) -> str:
    """Moves a damaged file out of the way and says where it is."""
    aside = path.with_name(f"progress.damaged-{time.strftime('%Y%m%d-%H%M%S')}.json")
    try:
        os.replace(path, aside)
    except OSError as error:
        return f"{path} is damaged and cannot be moved aside: {error.strerror or error}."
    return (
        f"The record of your progress was damaged. It is kept as {aside}, and a new one is begun; "
        f"your answers are not touched. `{program()} check` fills it again."
    )
