"""A learner's own answers as the parts of the translator: found, read, put together, trained."""

import re
from dataclasses import replace
from typing import Any, Literal

from minitx.grading.cells import read_cells
from minitx.grading.course import Chapter, Course, find_course
from minitx.grading.errors import CourseError
from minitx.grading.worker.loading import load
from minitx.projects import own_translator
from minitx.projects.own_translator import PARTS, OwnTranslator, Part
from minitx.projects.translation import Translator
from minitx.terminal import program

Where = Literal["work", "solutions"]


def answers(where: Where = "work", course: Course | None = None) -> dict[str, dict[str, Any]]:
    """The names that the files of chapters 2 to 6 define, by chapter.

    Args:
        where: "work", your own copies; or "solutions", the worked answers.
        course: the checkout; found unless given.

    Raises:
        CourseError: if a part is missing; it says which, all of them, and what to do.
    """
    course = course or find_course()
    found: dict[str, dict[str, Any]] = {}
    gone: list[Part] = []
    for number in sorted({part.chapter for part in PARTS}):
        parts = [part for part in PARTS if part.chapter == number]
        path = _file(course.chapter(number), where)
        if path is None:
            gone += parts
            continue
        cells = read_cells(path)
        text = "\n".join(cell.text for cell in cells)
        unwritten = [part for part in parts if _unwritten(part, text)]
        submission = load(path, cells)
        lost = [p for p in parts if p.name not in submission.namespace and p not in unwritten]
        if lost and submission.problems:
            raise CourseError(f"{path.name}: {submission.problems[0].text}")
        gone += sorted([*unwritten, *lost], key=lambda part: part.exercise)
        found[number] = submission.namespace
    if gone:
        first = gone[0]
        raise CourseError(
            f"{own_translator.missing(gone)}\n`{program()} start {first.chapter}` makes a copy of "
            f"a chapter's exercises, `{program()} hint {first.exercise}` helps."
        )
    return found


def trained(
    where: Where = "work", *, seed: int = 0, progress: bool = False
) -> tuple[Translator, OwnTranslator]:
    """The number translator with these parts, trained here and now; see `own_translator.trained`.

    Raises:
        CourseError: if a part is missing.
        own_translator.PartWrong: if the parts do not compute what the library's do.
    """
    settings = replace(own_translator.SETTINGS, seed=seed)
    return own_translator.trained(answers(where), settings, progress=progress)


def _file(chapter: Chapter, where: Where) -> Any:
    """The file of a chapter's answers, the newest of several; None if there is none."""
    if where == "solutions":
        return chapter.solution_file
    return next(iter(chapter.working_copies()), None)


def _unwritten(part: Part, text: str) -> bool:
    """Whether a file still holds what was handed out in place of this answer."""
    return re.search(rf"Exercise {re.escape(part.number)} is yours to write", text) is not None
