"""What a learner has reached: `work/.minitx/progress.json`.

Best points, attempts, hints seen. The file is replaced as a whole, never half written; a damaged
one is kept aside.
"""

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minitx.grading.report import ExerciseReport

FILE = Path(".minitx/progress.json")


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


@dataclass
class Progress:
    """All exercises, by id; `notice` says what was wrong with the file, if anything."""

    path: Path
    exercises: dict[str, Reached] = field(default_factory=dict)
    notice: str = ""

    def of(self, exercise_id: str) -> Reached:
        return self.exercises.setdefault(exercise_id, Reached())

    def record(self, report: ExerciseReport) -> None:
        """Notes an attempt; an exercise that was not attempted leaves no trace."""
        if report.status in ("unattempted", "grader error"):
            return
        reached = self.of(report.id)
        reached.attempts += 1
        reached.points = report.points
        reached.best = min(max(reached.best, report.earned), report.points)

    def save(self) -> str:
        """Writes the file; returns a sentence if that was not possible."""
        document = {
            "version": 1,
            "exercises": {key: asdict(value) for key, value in sorted(self.exercises.items())},
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix="progress-")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=1)
                stream.write("\n")
            os.replace(name, self.path)
        except OSError as error:
            return f"Your progress could not be saved in {self.path}: {error.strerror or error}."
        return ""


def load_progress(work: Path) -> Progress:
    """Reads the progress kept in the folder `work`; an absent file is an empty progress."""
    path = work / FILE
    if not path.exists():
        return Progress(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Progress(path, {str(k): _reached(v) for k, v in document["exercises"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Progress(path, notice=_keep_aside(path))


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
        "your answers are not touched. `minitx check` fills it again."
    )
