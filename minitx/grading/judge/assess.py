"""Grading as a learner meets it: checks, diagnosis, and what to read."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from minitx.grading.calling import Caller
from minitx.grading.course import Chapter
from minitx.grading.judge.diagnose import diagnose
from minitx.grading.judge.run import grade
from minitx.grading.registry import Exercise
from minitx.grading.report import ExerciseReport, Report, problems_for


def assess(chapter: Chapter, exercise: Exercise, caller: Caller, seed: int = 0) -> ExerciseReport:
    """Grades one exercise and, where it fails, names the mistake."""
    report = grade(
        exercise,
        caller,
        seed,
        siblings=chapter.exercises,
        reference=chapter.reference,
    )
    report = replace(
        report, page=chapter.reading(exercise.page), link=address(chapter, exercise.page)
    )
    if report.status != "failed":
        return report
    named, case = diagnose(chapter, exercise, report.calls, caller)
    there = []
    for place, each in enumerate(named):
        once_more = each.page in {later.page for later in named[place + 1 :]}
        page = "" if once_more else each.page
        there.append(replace(each, page=chapter.reading(page), link=address(chapter, page)))
    return replace(report, named=tuple(there), case=case)


def address(chapter: Chapter, page: str) -> str:
    """Where a page is: in the book that was built here, or else its source."""
    source = chapter.root / page.partition("#")[0]
    return chapter.built(page) or (source.resolve().as_uri() if source.is_file() else "")


def assess_all(
    chapter: Chapter,
    exercises: Iterable[Exercise],
    caller: Caller,
    seed: int = 0,
    *,
    on_exercise: Callable[[Exercise], None] = lambda exercise: None,
) -> Report:
    """Grades several exercises of a chapter; `on_exercise` is told each before it starts."""
    reports = []
    for exercise in exercises:
        on_exercise(exercise)
        reports.append(assess(chapter, exercise, caller, seed))
    elsewhere = {other.function for other in chapter.exercises.values()} - {
        each.function for each in reports
    }
    texts = [
        problem.text
        for problem in caller.facts.problems
        if not problem.aside and not (problem.names and problem.names <= elsewhere)
    ]
    return Report(tuple(reports), problems_for(reports, texts))
