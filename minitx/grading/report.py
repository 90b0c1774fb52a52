"""The result of grading, as data. How it looks is another file's business."""

from dataclasses import dataclass
from typing import Literal

from minitx.grading.calling import Call

Status = Literal["passed", "failed", "unattempted", "not run", "grader error"]


@dataclass(frozen=True)
class CheckReport:
    """One check's verdict."""

    name: str
    title: str
    points: int
    status: Status
    text: str  # the paragraph for the learner; empty when passed
    hint: str

    @property
    def earned(self) -> int:
        return self.points if self.status == "passed" else 0


@dataclass(frozen=True)
class Named:
    """A typical mistake whose output the submission's equals."""

    id: str
    sentence: str
    advice: str
    page: str


@dataclass(frozen=True)
class ExerciseReport:
    """All checks of one exercise."""

    id: str
    label: str
    title: str
    function: str
    page: str
    checks: tuple[CheckReport, ...]
    calls: tuple[Call, ...] = ()
    named: tuple[Named, ...] = ()
    printed: str = ""

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def earned(self) -> int:
        return sum(check.earned for check in self.checks)

    @property
    def status(self) -> Status:
        states = [check.status for check in self.checks]
        if "grader error" in states:
            return "grader error"
        if all(state == "passed" for state in states):
            return "passed"
        if all(state == "unattempted" for state in states):
            return "unattempted"
        return "failed"
