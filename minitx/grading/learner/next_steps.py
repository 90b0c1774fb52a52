"""What to do after a verdict: a hint, the worked answer, a question, the next exercise."""

import re
from collections.abc import Iterable
from pathlib import Path

from minitx.grading.course import Chapter, Course
from minitx.grading.learner.progress import Progress
from minitx.grading.learner.targets import Job
from minitx.grading.registry import Exercise
from minitx.grading.report import ExerciseReport, Report
from minitx.terminal import program, shown

_LAST_HINT = 3


def next_steps(report: Report, course: Course, job: Job, progress: Progress) -> list[str]:
    """Sentences, the most useful first; commands stand in `backticks`."""
    unfinished = [each for each in report.exercises if each.status != "passed"]
    tried = [each for each in unfinished if each.status == "failed"]
    if any(each.status == "grader error" for each in unfinished):
        return []
    if len(report.exercises) == 1:
        only = report.exercises[0]
        begin = _begin(only, job.path) if only.status == "unattempted" else []
        return begin + after(only, course, job.chapter, progress)
    if tried:
        first = tried[0]
        return [f"`{program()} check {first.id}` shows all its checks.", *_help(first, progress)]
    if unfinished:
        return _begin(unfinished[0], job.path) + _help(unfinished[0], progress)
    return _next_chapter(course, job.chapter)


def after(
    graded: ExerciseReport, course: Course, chapter: Chapter, progress: Progress
) -> list[str]:
    """What follows one exercise: after a pass the next one, else a hint."""
    if graded.status == "grader error":
        return []
    if graded.status == "passed":
        return after_a_pass(graded, course, chapter, progress)
    return _help(graded, progress)


def after_a_pass(
    passed: ExerciseReport, course: Course, chapter: Chapter, progress: Progress
) -> list[str]:
    """The worked answer, the question below the exercise, and the next one."""
    steps = [f"`{program()} solution {passed.id}` shows our answer beside yours."]
    question = question_below(chapter, passed.id)
    if question:
        steps.append(f"{question} stands below the exercise in your file.")
    ids = list(chapter.outline)
    place = ids.index(passed.id)
    later = [
        chapter.outline[each]
        for each in ids[place + 1 :] + ids[:place]
        if not progress.of(each).complete
    ]
    if not later:
        return steps + _next_chapter(course, chapter)
    return [*steps, _next(later[0])]


def next_of(chapters: Iterable[Chapter], progress: Progress) -> list[str]:
    """The first exercise that is not done yet, or how its chapter begins."""
    for chapter in chapters:
        for exercise in chapter.outline.values():
            if progress.of(exercise.id).complete:
                continue
            if chapter.working_copies():
                return [_next(exercise)]
            return [f"`{program()} start {chapter.number}` begins chapter {int(chapter.number)}."]
    return []


def _next(exercise: Exercise) -> str:
    title = exercise.title
    return f"Next: {exercise.label}, {title}{'' if title.endswith('?') else '.'}"


def question_below(chapter: Chapter, exercise_id: str) -> str:
    """ "Question 1 (predict)", where the chapter asks one between this exercise and the next."""
    try:
        text = chapter.stub_file().read_text(encoding="utf-8")
    except OSError:
        return ""
    behind = text.partition(f'check("{exercise_id}"')[2].partition("\n# ## ")[0]
    match = re.search(r"\*\*(Question \d+[^*]*?)\.?\*\*", behind)
    return match[1] if match else ""


def _begin(first: ExerciseReport, path: Path) -> list[str]:
    return [f"Next: {first.label}. Write `{first.function}` in {shown(path)}."]


def _help(report: ExerciseReport, progress: Progress) -> list[str]:
    """A hint, where one is left and the trouble is not one of Python's grammar."""
    outcomes = {call.outcome.kind for call in report.calls}
    unheard = outcomes and not outcomes & {"returned", "raised", "timeout"}
    seen = progress.of(report.id).hints
    if seen >= _LAST_HINT or (unheard and report.status == "failed"):
        return []
    what = "the next hint" if seen else "a first hint"
    return [f"Stuck? `{program()} hint {report.id}` shows {what}."]


def _next_chapter(course: Course, chapter: Chapter) -> list[str]:
    steps = [f"All exercises of chapter {int(chapter.number)} are done."]
    later = [each for each in course.chapters.values() if each.number > chapter.number]
    if later and not later[0].working_copies():
        steps.append(f"`{program()} start {later[0].number}` begins the next chapter.")
    return steps
