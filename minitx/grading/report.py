"""The result of grading, as data. How it looks is another file's business."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from minitx.grading.calling import Call

Status = Literal["passed", "failed", "unattempted", "not run", "grader error"]
Source = Literal["bank", "relation", "operator", "remedy"]
CALLED_AS = " It was called as "  # in the paragraph of an exception, before the call
WHILE_READING = "While the file was read: "
_PRINTED_LINES, _PRINTED_WIDTH = 6, 100


@dataclass(frozen=True)
class CheckReport:
    """One check's verdict."""

    name: str
    title: str
    points: int
    status: Status
    text: str  # the paragraph for the learner; empty when passed
    hint: str  # empty where it has nothing to say about this failure

    @property
    def earned(self) -> int:
        return self.points if self.status == "passed" else 0

    @property
    def cause(self) -> str:
        """The paragraph without the call in which it happened: an exception is told once."""
        return self.text.partition(CALLED_AS)[0]


@dataclass(frozen=True)
class Named:
    """What is wrong, in words: a known mistake, a relation to the right result, or a remedy."""

    id: str
    sentence: str
    advice: str
    page: str  # what to read, in words; empty where another paragraph, or nothing, says it
    source: Source = "bank"
    opening: str = ""  # for a sentence that completes it
    extra: str = ""  # what else is wrong
    link: str = ""  # where the page is

    @property
    def text(self) -> str:
        return " ".join(filter(None, [self.opening, self.sentence, self.advice, self.extra]))


@dataclass(frozen=True)
class Case:
    """A small call that goes wrong, as lines of Python, with both results."""

    lines: tuple[str, ...]
    expected: str
    got: str

    @property
    def text(self) -> str:
        """Ready to paste: assignments, the call, and the results as comments."""
        return "\n".join([*self.lines, f"# expected  {self.expected}", f"# yours     {self.got}"])


@dataclass(frozen=True)
class ExerciseReport:
    """All checks of one exercise."""

    id: str
    label: str
    title: str
    function: str
    page: str  # what to read, in words
    checks: tuple[CheckReport, ...]
    calls: tuple[Call, ...] = ()
    named: tuple[Named, ...] = ()
    printed: str = ""
    link: str = ""  # where the page is
    case: Case | None = None  # the smallest call that shows what is wrong

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

    @property
    def score(self) -> str:
        """ "4 of 11 points" """
        if self.status == "unattempted":
            return f"not attempted yet, {count(self.points, 'point')}"
        return f"{self.earned} of {count(self.points, 'point')}"

    def explained(self, most: int | None = 2) -> tuple[CheckReport, ...]:
        """The checks whose paragraphs are shown: at most so many that say something new.

        Where a mistake is named, one paragraph beside it is enough; None stands for all.
        """
        failed = [c for c in self.checks if c.status in ("failed", "grader error")]
        shown: list[CheckReport] = []
        for check in failed:
            if all(check.cause != other.cause for other in shown):
                shown.append(check)
        return tuple(shown[: 1 if self.named and most else most])

    @property
    def reading(self) -> str:
        """What to read; empty where a mistake's own page or no page at all says more."""
        wrong = self.status == "failed" and not self.named
        return self.page if wrong and any(check.hint for check in self.explained()) else ""

    @property
    def shown_print(self) -> str:
        """What the learner's function printed, shortened; nothing where all is right."""
        if self.status != "failed" or not self.printed.strip():
            return ""
        lines = self.printed.rstrip().split("\n")
        cut = [
            line if len(line) <= _PRINTED_WIDTH else line[:_PRINTED_WIDTH] + " …"
            for line in lines[:_PRINTED_LINES]
        ]
        return "\n".join(cut + ["…"] * (len(lines) > _PRINTED_LINES))


@dataclass(frozen=True)
class Report:
    """Several exercises, and what was wrong with the file they stand in.

    In a notebook it shows itself as a table; `print` gives the same as text.
    """

    exercises: tuple[ExerciseReport, ...] = ()
    problems: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()  # what to do next

    @property
    def points(self) -> int:
        return sum(each.points for each in self.exercises)

    @property
    def earned(self) -> int:
        return sum(each.earned for each in self.exercises)

    @property
    def exit_code(self) -> int:
        """0 if all points are earned, 1 if not, 3 if the grader itself failed."""
        if any(each.status == "grader error" for each in self.exercises):
            return 3
        return 0 if self.exercises and self.earned == self.points else 1

    def without_links(self) -> "Report":
        """The same, with what to read in words only."""
        plain = tuple(
            replace(each, link="", named=tuple(replace(named, link="") for named in each.named))
            for each in self.exercises
        )
        return replace(self, exercises=plain)

    def __repr__(self) -> str:
        from minitx.grading.render_text import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from minitx.grading.render_html import as_html

        return as_html(self)


def count(number: int, noun: str) -> str:
    """ "1 point", "2 points"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def problems_for(report: Iterable[ExerciseReport], problems: Iterable[str]) -> tuple[str, ...]:
    """Problems of the file that no exercise's own paragraph says already."""
    said = "\n".join(check.text for each in report for check in each.checks)
    return tuple(
        text for text in dict.fromkeys(problems) if text.removeprefix(WHILE_READING) not in said
    )
