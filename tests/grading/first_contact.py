"""How wrong answers fare that were written without having seen the mistake bank.

    python -m tests.grading.first_contact FOLDER [--without-bank] [--only 02.3] [--long]

The folder holds files `wrong_*.py`. Each holds functions decorated with `@wrong("02.3")` (the name
is there without an import), whose docstring's first line says what is wrong in truth::

    @wrong("02.3")
    def scale_after_softmax(scores, allowed):
        \"\"\"The weights are divided by 2.\"\"\"
        return functional.masked_softmax(scores, allowed) / 2

Printed is a line for each answer: accepted or rejected, and by what it was named. Whether a name
is true must be read by a person: beside the sentence stands the truth.
"""

import argparse
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minitx.grading.course import Course, find_course
from minitx.grading.judge.assess import assess
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.local import LocalCaller

Function = Callable[..., Any]


@dataclass(frozen=True)
class Wrong:
    """One wrong answer and the truth about it."""

    exercise_id: str
    name: str
    truth: str
    function: Function


@dataclass(frozen=True)
class Fate:
    """What the grader said to one wrong answer."""

    wrong: Wrong
    report: ExerciseReport

    @property
    def verdict(self) -> str:
        return "ACCEPTED" if self.report.status == "passed" else self.report.status

    @property
    def sources(self) -> str:
        """ "bank", "relation, operator" or "-"."""
        found = [getattr(named, "source", "bank") for named in self.report.named]
        return ", ".join(dict.fromkeys(found)) or "-"

    @property
    def told(self) -> list[str]:
        """What the learner reads: the names, or else the first paragraph."""
        named = [named.text for named in self.report.named]
        return named or [check.text for check in self.report.explained()][:1]


def read(folder: Path) -> list[Wrong]:
    """Every wrong answer of the folder's files.

    Raises:
        ValueError: if there is none, or one lacks its docstring.
    """
    found: list[Wrong] = []

    def wrong(exercise_id: str) -> Callable[[Function], Function]:
        def register(function: Function) -> Function:
            truth = (inspect.getdoc(function) or "").partition("\n")[0]
            if not truth:
                raise ValueError(f"{function.__name__}: the docstring must say what is wrong")
            found.append(Wrong(exercise_id, function.__name__, truth, function))
            return function

        return register

    for path in sorted(folder.glob("wrong_*.py")):
        namespace = {"__name__": path.stem, "__file__": str(path), "wrong": wrong}
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)
    if not found:
        raise ValueError(f"no wrong answers in {folder}: wanted files wrong_*.py with @wrong(...)")
    return found


def meet(answers: Sequence[Wrong], course: Course, *, bank: bool = True) -> Iterator[Fate]:
    """Has each answer graded, with the mistake banks or without them."""
    if not bank:
        for chapter in course.chapters.values():
            for exercise in chapter.exercises.values():
                exercise.mistakes.clear()
    for wrong in answers:
        exercise = course.exercise(wrong.exercise_id)
        chapter = course.chapter(exercise.chapter)
        submission = LocalCaller.of({exercise.function: wrong.function})
        yield Fate(wrong, assess(chapter, exercise, submission))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.grading.first_contact")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without-bank", action="store_true")
    parser.add_argument("--only", default="", help="ids that begin so: 02, 02.3")
    parser.add_argument("--long", action="store_true", help="every sentence whole")
    chosen = parser.parse_args(arguments)
    answers = [w for w in read(chosen.folder) if w.exercise_id.startswith(chosen.only)]
    fates = []
    for fate in meet(answers, find_course(), bank=not chosen.without_bank):
        fates.append(fate)
        name = f"{fate.wrong.exercise_id} {fate.wrong.name}"
        print(f"{name:<48} {fate.verdict:<12} {fate.sources:<20} truth: {fate.wrong.truth}")
        for text in fate.told:
            print("      " + (text if chosen.long else text[:160]))
    print(summary(fates))


def summary(fates: Sequence[Fate]) -> str:
    """Counts: answers, accepted, and the rejected by what named them."""
    verdicts = Counter(fate.verdict for fate in fates)
    rejected = [fate for fate in fates if fate.verdict != "ACCEPTED"]
    named = [fate for fate in rejected if fate.report.named]
    lines = [f"{len(fates)} answers: " + ", ".join(f"{n} {v}" for v, n in verdicts.items())]
    share = 100 * len(named) / max(len(rejected), 1)
    lines.append(f"named: {len(named)} of {len(rejected)} rejected, {share:.1f} %")
    sources = Counter(fate.sources for fate in rejected)
    lines.append("by: " + ", ".join(f"{source} {n}" for source, n in sources.most_common()))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
