"""`check("02.3", masked_softmax)` below an answer: a short table, and never an exception."""

import inspect
import itertools
import linecache
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from minitx.grading.course import Chapter
from minitx.grading.errors import CourseError, GraderError
from minitx.grading.learner.undone import go_on_past_the_undone
from minitx.grading.quiet import is_reading
from minitx.grading.registry import Exercise
from minitx.grading.report import Report


class Nothing:
    """What `check` returns where there is nothing to grade: it shows nothing."""

    def __repr__(self) -> str:
        return ""


def check(
    exercise_id: str,
    function: Callable[..., Any] | None = None,
    *,
    uses: tuple[Callable[..., Any], ...] = (),
    seed: int = 0,
) -> Report | Nothing:
    """Grades the function you wrote, as it is now.

    Args:
        exercise_id: "02.3", or "2.3".
        function: your function.
        uses: functions of other exercises that its checks ask for too, if defined elsewhere.
        seed: another seed makes other random inputs.

    Returns:
        A report that a notebook shows as a table; in a script it is printed. Whatever is wrong,
        nothing is raised.
    """
    if is_reading():
        return Nothing()
    try:
        report = _check(exercise_id, function, uses, seed)
    except (CourseError, GraderError) as error:
        report = Report(problems=(str(error),))
    except Exception as error:
        report = Report(
            problems=(
                f"The grader itself failed ({type(error).__name__}: {error}). This is a mistake of "
                "the course, not yours: please report it.",
            )
        )
    if _is_script(Path(sys._getframe(1).f_code.co_filename)):
        print(report, end="\n\n")
    return report


def _is_script(caller: Path) -> bool:
    """No cell and no prompt; a debugger writes cells to files, too."""
    return caller.is_file() and not caller.parent.name.startswith("ipykernel_")


def _check(
    exercise_id: str,
    function: Callable[..., Any] | None,
    uses: tuple[Callable[..., Any], ...],
    seed: int,
) -> Report:
    from minitx.grading.course import find_course, parse_id
    from minitx.grading.judge.assess import assess_all
    from minitx.grading.learner.next_steps import after
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.worker.local import LocalCaller
    from minitx.grading.worker.submission import from_functions

    if not isinstance(exercise_id, str) or "." not in exercise_id:
        raise CourseError(f'The first argument is the exercise, "02.3" say, not {exercise_id!r}.')
    if not isinstance(seed, int) or seed < 0:
        raise CourseError(f"The seed must be a whole number from 0 on, not {seed!r}.")
    course = find_course()
    exercise = course.exercise(parse_id(exercise_id))
    if not callable(function) or (_is_made(function) and exercise.returns == ("module",)):
        kind = "class" if exercise.returns == ("module",) else "function"
        raise CourseError(
            f'Pass your {kind}: check("{exercise.id}", {exercise.function}), without brackets '
            "behind its name."
        )
    chapter = course.chapter(exercise.chapter)
    asked, exercise = exercise, _of_that_name(chapter, function) or exercise
    said = (
        (f"{exercise.function} is {exercise.label}, not {asked.label}: it was checked as that.",)
        if exercise is not asked
        else ()
    )
    functions = {exercise.function: function}
    functions.update({getattr(each, "__name__", ""): each for each in uses if callable(each)})
    submission = from_functions(functions)
    _name_places(submission.source.places, functions.values())
    report = assess_all(chapter, [exercise], LocalCaller(submission), seed)
    report = replace(report, problems=report.problems + said)
    if _keeps_progress(course.root):
        progress = load_progress(course.work)
        progress.record(report.exercises[0])
        trouble = progress.save()
        notices = tuple(text for text in (progress.notice, trouble) if text)
        steps = tuple(after(report.exercises[0], course, chapter, progress))
        return replace(report, problems=report.problems + notices, steps=steps)
    return report.without_links()  # what the book stores names no folder of this machine


def _is_made(thing: object) -> bool:
    """Whether it is a module already, in place of the class that makes one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _of_that_name(chapter: Chapter, function: Callable[..., Any]) -> Exercise | None:
    """The exercise that asks for a function of this name; it may have had another number once."""
    name = getattr(function, "__name__", "")
    return next((each for each in chapter.exercises.values() if each.function == name), None)


def _keeps_progress(root: Path) -> bool:
    """Not while the worked answers or a page of the book are run: they are not the learner's."""
    return Path.cwd().resolve() not in {root.resolve() / name for name in ("solutions", "book")}


def _name_places(places: dict[str, str], functions: Any) -> None:
    """In a notebook every cell is a file of its own: say so with the line number."""
    classes = [vars(each).values() for each in functions if isinstance(each, type)]
    for function in itertools.chain(functions, *classes):
        try:
            filename = inspect.unwrap(function).__code__.co_filename
        except (AttributeError, TypeError):
            continue
        folder = Path(filename).parent
        if folder.name.startswith("ipykernel_"):
            cells = [name for name in linecache.cache if Path(name).parent == folder]
            places.update(dict.fromkeys([*cells, filename], " of its cell"))


go_on_past_the_undone()
