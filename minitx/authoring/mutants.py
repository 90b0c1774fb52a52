"""How good are the checks? Break each worked answer in many small ways and see what they notice.

    python -m minitx.authoring.mutants            every exercise
    python -m minitx.authoring.mutants 01.1       one exercise, with the lines of its survivors

A mutant is killed when a check turns it down. One that survives means that a check is missing, or
that the change makes no difference; then the check file says so with
`exercise.waive("<id of the mutant>", reason="...")`. A waiver for a mutant that does not exist, or
that is killed, is an error: it would hide something one day.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from minitx.grading.course import Chapter, find_course
from minitx.grading.judge.operators import Mutant, mutants_of
from minitx.grading.judge.run import grade
from minitx.grading.judge.worked import around, variants
from minitx.grading.registry import Exercise
from minitx.grading.worker.local import LocalCaller
from minitx.grading.worker.submission import Submission

SECONDS = 2.0  # within one check; some mutants never end


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant; `killed_by` is a check's name, or empty."""

    mutant: Mutant
    killed_by: str
    waived: bool
    grader_error: str = ""


@dataclass(frozen=True)
class Score:
    """The mutants of one exercise."""

    exercise_id: str
    function: str
    verdicts: tuple[Verdict, ...]
    stale_waivers: tuple[str, ...]

    @property
    def made(self) -> int:
        return len(self.verdicts)

    @property
    def killed(self) -> int:
        return sum(bool(verdict.killed_by) for verdict in self.verdicts)

    @property
    def waived(self) -> int:
        return sum(verdict.waived and not verdict.killed_by for verdict in self.verdicts)

    @property
    def survivors(self) -> list[Mutant]:
        return [v.mutant for v in self.verdicts if not v.killed_by and not v.waived]

    @property
    def percent(self) -> float:
        """Killed, of those that make a difference."""
        return 100.0 * self.killed / max(self.made - self.waived, 1)

    def line(self) -> str:
        """The score in a line of words."""
        counts = f"{self.killed} of {self.made} killed, {self.waived} waived"
        return f"{self.exercise_id} {self.function}: {counts}, {self.percent:.0f} %"

    @property
    def problems(self) -> list[str]:
        """Why this exercise's proof does not hold; empty when it does."""
        lives = [f"{m.id} survives:  {m.before}  ->  {m.after}" for m in self.survivors]
        errors = [f"{v.mutant.id}: {v.grader_error}" for v in self.verdicts if v.grader_error]
        return lives + list(self.stale_waivers) + errors


@dataclass(frozen=True)
class MutationTable:
    """All scores; `str` gives them as aligned columns."""

    scores: tuple[Score, ...]

    def rows(self) -> Iterator[tuple[str, ...]]:
        for s in self.scores:
            counts = (s.made, s.killed, s.waived, len(s.survivors))
            yield (s.exercise_id, s.function, *map(str, counts), f"{s.percent:.0f} %")

    def __str__(self) -> str:
        rows = [_HEAD, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        return "\n".join(
            "  ".join(
                text.ljust(width) if column < 2 else text.rjust(width)
                for column, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )


_HEAD = ("exercise", "function", "mutants", "killed", "waived", "surviving", "score")


def mutation_score(chapter: Chapter, exercise: Exercise) -> Score:
    """Makes every mutant of an exercise's worked answer and has it graded."""
    quick = dataclasses.replace(exercise, seconds=min(exercise.seconds, SECONDS))
    verdicts = []
    for mutant, function in variants(chapter, exercise, mutants_of):
        killed_by, grader_error = _first_check_that_fails(quick, function, chapter)
        verdicts.append(Verdict(mutant, killed_by, mutant.id in exercise.waivers, grader_error))
    killers = {verdict.mutant.id: verdict.killed_by for verdict in verdicts}
    stale = []
    for name in exercise.waivers:
        if name not in killers:
            stale.append(f"{exercise.id}: the waiver of {name} names no mutant")
        elif killers[name]:
            stale.append(f"{exercise.id}: the waived {name} is killed by {killers[name]}")
    return Score(exercise.id, exercise.function, tuple(verdicts), tuple(stale))


def _first_check_that_fails(
    exercise: Exercise, function: Callable[..., Any], chapter: Chapter
) -> tuple[str, str]:
    """(name of the check, what the grader itself did wrong), each possibly empty."""
    submission = Submission({**around(function), exercise.function: function})
    for name, check in exercise.checks.items():
        alone = dataclasses.replace(exercise, checks={name: check})
        report = grade(alone, LocalCaller(submission), siblings=chapter.exercises).checks[0]
        if report.status == "grader error":
            return name, report.text
        if report.status != "passed":
            return name, ""
    return "", ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, and a line for each mutant that lives; 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m minitx.authoring.mutants")
    parser.add_argument("exercises", nargs="*", help="ids such as 01.1; all unless given")
    parser.add_argument("--list", action="store_true", help="show every mutant and what killed it")
    chosen = parser.parse_args(arguments)
    course = find_course()
    wanted = chosen.exercises or [e for c in course.chapters.values() for e in c.exercises]
    scores = [
        mutation_score(course.chapter(name.split(".")[0]), course.exercise(name)) for name in wanted
    ]
    print(MutationTable(tuple(scores)))
    for score in scores:
        if chosen.list:
            for verdict in score.verdicts:
                fate = verdict.killed_by or ("waived" if verdict.waived else "SURVIVES")
                print(f"{verdict.mutant.id}\n    {verdict.mutant.after}\n    {fate}")
        for problem in score.problems:
            print(problem)
    return 1 if any(score.problems for score in scores) else 0


if __name__ == "__main__":
    sys.exit(main())
