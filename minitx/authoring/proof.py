"""The grader's proof as a table: what every exercise's checks, bank and answers do to each other.

    python -m minitx.authoring.proof            every exercise
    python -m minitx.authoring.proof 01.1       one exercise
    python -m minitx.authoring.proof --write    every exercise, kept for the page that shows it

The whole takes minutes; so the page shows the kept table, and the tests compute it anew.

A row holds if the stub earns nothing, every worked and every right answer earns everything whatever
the seed, every planted mistake is turned down by the check that is there for it and is named as
itself and nothing else, every mutant is killed or waived, and no check fails by itself.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minitx.authoring.mutants import Score, mutation_score
from minitx.grading.course import Chapter, Course, find_course
from minitx.grading.judge.assess import assess
from minitx.grading.judge.operators import mutants_of
from minitx.grading.judge.run import grade
from minitx.grading.judge.worked import around, variants
from minitx.grading.registry import Exercise
from minitx.grading.report import Case
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller

KEPT = Path("book/grading_proof.json")
SEEDS = range(5)
EVERY = 10  # of so many mutants one is asked what the learner would be told: that takes long
LADDER = ("loop", "vectors", "from_parts")


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    good: int
    made: int

    def __str__(self) -> str:
        return f"{self.good} of {self.made}"

    def __add__(self, other: "Share") -> "Share":
        return Share(self.good + other.good, self.made + other.made)

    @property
    def whole(self) -> bool:
        return self.good == self.made


@dataclass(frozen=True)
class Row:
    """The proof of one exercise; `lost` says in words what does not hold."""

    exercise_id: str
    title: str
    points: int
    stub: int  # points that the stub earns
    worked: Share  # worked answers, rung by rung, that earn everything at every seed
    right: Share  # right answers written differently that do
    turned_down: Share  # planted mistakes that the check meant for them turns down
    named: Share  # planted mistakes that are named, as themselves and nothing else
    killed: Share  # mutants that make a difference and are noticed
    told: Share  # every tenth of them: told what is wrong, beyond expected and got
    lost: tuple[str, ...] = ()
    cases: dict[str, dict[str, Any]] = field(default_factory=dict)  # of the mistakes; see `Case`

    def cells(self) -> tuple[str, ...]:
        shares = (str(getattr(self, name)) for name in _SHARES)
        return (self.exercise_id, self.title, str(self.points), str(self.stub), *shares)


@dataclass(frozen=True)
class ProofTable:
    """All rows and their sum; a notebook shows it as a table, `str` gives it as plain text."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def problems(self) -> list[str]:
        return [problem for row in self.rows for problem in row.lost]

    def _lines(self) -> Iterator[tuple[str, ...]]:
        yield _HEAD
        yield from (row.cells() for row in self.rows)
        nothing = Share(0, 0)
        sums = [sum((getattr(row, name) for row in self.rows), nothing) for name in _SHARES]
        points, stub = (sum(getattr(row, name) for row in self.rows) for name in ("points", "stub"))
        yield ("all", "", str(points), str(stub), *map(str, sums))

    def __str__(self) -> str:
        lines = list(self._lines())
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        head, *rest = self._lines()
        lines = [head, ("---", "---", *["---:"] * (len(head) - 2)), *rest]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_SHARES = ("worked", "right", "turned_down", "named", "killed", "told")
_HEAD = (
    "exercise",
    "what it asks",
    "points",
    "stub earns",
    "worked answers right",
    "other right answers right",
    "mistakes turned down",
    "mistakes named",
    "mutants killed",
    "every tenth of them: told why",
)


def proof_table(root: Path | None = None) -> ProofTable:
    """Grades everything there is to grade."""
    course = find_course() if root is None else Course(root)
    return ProofTable(
        tuple(
            proof(chapter, exercise)
            for chapter in course.chapters.values()
            for exercise in chapter.exercises.values()
        )
    )


def keep(table: ProofTable, root: Path) -> None:
    """Writes the table to where the book finds it."""
    rows = [{**vars(row), **{name: vars(getattr(row, name)) for name in _SHARES}} for row in table]
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    (root / KEPT).write_text(text, encoding="utf-8")


def kept_cases(root: Path) -> dict[str, Case]:
    """The smallest call that shows each mistake, by the mistake's id; some have none."""
    path = root / KEPT
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return {
        name: Case(tuple(case["lines"]), case["expected"], case["got"])
        for row in rows
        for name, case in row.get("cases", {}).items()
    }


def kept_table(root: Path | None = None) -> ProofTable:
    """The table as it was last computed; a cell that ends with it shows it."""
    course = find_course() if root is None else Course(root)
    rows = json.loads((course.root / KEPT).read_text(encoding="utf-8"))
    return ProofTable(
        tuple(
            Row(
                **{**row, "lost": (), "cases": {}, **{name: Share(**row[name]) for name in _SHARES}}
            )
            for row in rows
        )
    )


def worked_answers(chapter: Chapter, exercise: Exercise) -> dict[str, Callable[..., Any]]:
    """The rungs of an exercise's ladder by name: softmax, softmax_loop, softmax_from_parts, ..."""
    reference = chapter.reference()
    functions = reference.functions if reference else {}
    names = [exercise.function, *(f"{exercise.function}_{rung}" for rung in LADDER)]
    return {name: functions[name] for name in names if name in functions}


def proof(chapter: Chapter, exercise: Exercise) -> Row:
    """The row of one exercise."""
    if not exercise.right_answers:
        chapter.load_right_answers()
    lost: list[str] = []

    def all_earn(kind: str, functions: dict[str, Callable[..., Any]]) -> Share:
        good = 0
        for name, function in functions.items():
            caller = LocalCaller.of({exercise.function: function})
            reports = [_grade(chapter, exercise, caller, seed) for seed in SEEDS]
            losses = [
                f"{exercise.id}, {kind} {name}, seed {seed}: {check.name}: {check.text}"
                for seed, report in zip(SEEDS, reports, strict=True)
                for check in report.checks
                if check.status != "passed"
            ]
            good += not losses
            lost.extend(losses[:1])
        return Share(good, len(functions))

    stub = _grade(chapter, exercise, LocalCaller(load(chapter.stub_file())), 0).earned
    if stub:
        lost.append(f"{exercise.id}: the stub earns {stub} points")
    worked = all_earn("worked answer", worked_answers(chapter, exercise))
    right = all_earn("right answer", exercise.right_answers)
    turned_down, named, cases = _mistakes(chapter, exercise, lost)
    score = mutation_score(chapter, exercise)
    lost += score.problems
    return Row(
        exercise.id,
        exercise.title,
        exercise.points,
        stub,
        worked,
        right,
        turned_down,
        named,
        Share(score.killed, score.made - score.waived),
        _told(chapter, exercise, score),
        tuple(lost),
        cases,
    )


def _told(chapter: Chapter, exercise: Exercise, score: Score) -> Share:
    """How many of every tenth killed mutant are told what is wrong: nobody planted these.

    The diagnosis makes the same small changes itself; what it says by that alone does not count.
    """
    killed = {verdict.mutant.id for verdict in score.verdicts if verdict.killed_by}
    tried = [
        function
        for mutant, function in variants(chapter, exercise, mutants_of)
        if mutant.id in killed
    ][::EVERY]
    reports = [
        assess(chapter, exercise, LocalCaller.of({**around(f), exercise.function: f}))
        for f in tried
    ]
    told = [any(each.source != "operator" for each in report.named) for report in reports]
    return Share(sum(told), len(tried))


def _mistakes(
    chapter: Chapter, exercise: Exercise, lost: list[str]
) -> tuple[Share, Share, dict[str, dict[str, Any]]]:
    """(turned down by the check that is meant, named as itself and nothing else, cases)."""
    turned_down = named = 0
    cases = {}
    for mistake in exercise.mistakes.values():
        caller = LocalCaller.of({exercise.function: mistake.function})
        report = assess(chapter, exercise, caller)
        if report.case is not None:
            cases[mistake.id] = asdict(report.case)
        verdicts = {check.name: check.status for check in report.checks}
        told = [each.id for each in report.named]
        if "grader error" in verdicts.values():
            lost.append(f"{mistake.id}: a check fails by itself")
        if verdicts[mistake.caught_by] == "failed":
            turned_down += 1
        else:
            lost.append(f"{mistake.id}: {mistake.caught_by} lets it pass")
        if told == [mistake.id]:
            named += 1
        else:
            lost.append(f"{mistake.id}: named {', '.join(told) or 'nothing'}")
    made = len(exercise.mistakes)
    return Share(turned_down, made), Share(named, made), cases


def _grade(chapter: Chapter, exercise: Exercise, caller: LocalCaller, seed: int) -> Any:
    return grade(exercise, caller, seed, siblings=chapter.exercises, reference=chapter.reference)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table and a line for whatever does not hold; 1 if there is something."""
    parser = argparse.ArgumentParser(prog="python -m minitx.authoring.proof")
    parser.add_argument("exercises", nargs="*", help="ids such as 01.1; all unless given")
    parser.add_argument("--write", action="store_true", help=f"keep the table in {KEPT}")
    chosen = parser.parse_args(arguments)
    course = find_course()
    if chosen.write and chosen.exercises:
        parser.error("--write keeps the whole table: name no exercises")
    wanted = chosen.exercises or [e for c in course.chapters.values() for e in c.exercises]
    table = ProofTable(
        tuple(proof(course.chapter(name.split(".")[0]), course.exercise(name)) for name in wanted)
    )
    print(table)
    if chosen.write and not table.problems:
        keep(table, course.root)
    for problem in table.problems:
        print(problem)
    return 1 if table.problems else 0


if __name__ == "__main__":
    sys.exit(main())
