"""What a learner names on the command line: a chapter, an exercise, a file."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from minitx.grading.cells import read_cells
from minitx.grading.course import Chapter, Course, find_course, parse_id
from minitx.grading.errors import CourseError
from minitx.grading.learner.answers import own_answer
from minitx.grading.learner.renumbering import has_old_numbers
from minitx.grading.registry import Exercise, display_id
from minitx.grading.texts import a_few
from minitx.terminal import program, say_error, shown


@dataclass(frozen=True)
class Job:
    """A file to grade for a chapter, or for one exercise of it."""

    chapter: Chapter
    path: Path
    only: str = ""

    @property
    def exercises(self) -> list[Exercise]:
        """What is graded, with all that its checks need."""
        every = self.chapter.exercises
        return [every[self.only]] if self.only else list(every.values())


def find(target: str) -> tuple[Course, str, Exercise | None]:
    """The course, the chapter's number, and what is told of the exercise where one is named.

    Raises:
        CourseError: if there is none of that name.
    """
    course = find_course()
    parsed = parse_id(target)
    if "." in parsed:
        return course, parsed[:2], course.about(parsed)
    course.chapter(parsed)
    return course, parsed, None


def find_exercise(target: str, command: str) -> tuple[Course, Exercise]:
    """The exercise that is named; `command` is what asks for it, "hint".

    Raises:
        CourseError: if there is none of that name, or a chapter is named.
    """
    course, number, exercise = find(target)
    if exercise is None:
        first = next(iter(course.chapter(number).outline))
        example = f"`{program()} {command} {first}`"
        raise CourseError(f"{target} is a chapter; name an exercise: {example}")
    return course, exercise


def what_to_grade(target: str | None, file: Path | None) -> tuple[Course, list[Job]]:
    """Which exercises of which files.

    Raises:
        CourseError: if there are no such exercises, or no such file.
    """
    course = find_course()
    if target is None and file is None:
        existing = [c for c in course.chapters.values() if c.working_copies()]
        if not existing:
            first = next(iter(course.chapters), "01")
            raise CourseError(
                f"You have no copy of any exercises yet. Make one: `{program()} start {first}`"
            )
        return course, [Job(chapter, newest_copy(chapter)) for chapter in existing]
    if target is not None and file is None and looks_like_a_file(target):
        file, target = Path(target), None
    exercise = None
    if target is None:
        assert file is not None
        number = chapter_in_name(course, file)
    else:
        course, number, exercise = find(target)
    chapter = course.chapter(number)
    if file is not None and target is not None:
        require_not_anothers(course, chapter, file)
    path = file if file is not None else newest_copy(chapter)
    return course, [Job(chapter, path, exercise.id if exercise else "")]


def looks_like_a_file(target: str) -> bool:
    """What can be a chapter or an exercise is one, whatever lies in the folder."""
    path = Path(target)
    if path.suffix in (".py", ".ipynb") or any(sign in target for sign in {os.sep, "/"}):
        return True
    try:
        parse_id(target)
    except CourseError:
        return path.exists()
    return False


def chapter_in_name(course: Course, path: Path) -> str:
    """The chapter a file belongs to, from the number in its name.

    Raises:
        CourseError: if there is no such file, or no number of a chapter in its name.
    """
    if not path.exists():
        raise CourseError(f"There is no file {path}.")
    if path.is_dir():
        raise CourseError(f"{path} is a folder; name the .py file or the notebook in it.")
    for number in re.findall(r"(?<!\d)\d\d(?!\d)", path.stem):
        if number in course.chapters:
            return str(number)
    raise CourseError(
        f"The name of {path} does not say which chapter it answers. Say so: "
        f"`{program()} check 02 --file {path}`"
    )


def require_not_anothers(course: Course, chapter: Chapter, path: Path) -> None:
    """Refuse a file that answers another chapter, and nothing of this one.

    Raises:
        CourseError: if the names it defines say so.
    """
    try:
        defined = set().union(*(cell.defined for cell in read_cells(path)))
    except CourseError:
        return  # whoever grades it says why it cannot be read
    if any(exercise.function in defined for exercise in chapter.outline.values()):
        return
    for other in course.chapters.values():
        if any(exercise.function in defined for exercise in other.outline.values()):
            raise CourseError(
                f"{path} defines no function of chapter {int(chapter.number)}, but some of "
                f"chapter {int(other.number)}: `{program()} check {other.number} --file {path}`"
            )


def newest_copy(chapter: Chapter) -> Path:
    """The working copy that was saved last; says so where there is another.

    Raises:
        CourseError: if there is none.
    """
    paths = chapter.working_copies()
    if not paths:
        raise CourseError(
            f"You have no copy of chapter {int(chapter.number)}'s exercises yet. Make one: "
            f"`{program()} start {chapter.number}`, with `--notebook` for a notebook."
        )
    if len(paths) > 1:
        others = ", ".join(shown(path) for path in paths[1:])
        say_error(
            f"There are two copies. {shown(paths[0])} was saved last and counts, not {others}."
        )
        for other in paths[1:]:
            lost = only_answered_in(chapter, other, paths[0])
            if lost:
                say_error(
                    f"{shown(other)} has answers to {lost} that were not looked at: `{program()} "
                    f"check {chapter.number} --file {shown(other)}` grades it."
                )
    if has_old_numbers(paths[0], chapter):
        say_error(
            f"Exercises of chapter {int(chapter.number)} have new numbers, and {shown(paths[0])} "
            f"has the old ones. `{program()} start {chapter.number}` renumbers it and keeps yours."
        )
    return paths[0]


def only_answered_in(chapter: Chapter, path: Path, newest: Path) -> str:
    """The exercises that have an answer in one copy and none in the newest, in words."""
    try:
        empty, mine, others = (
            {e.id: own_answer(each, e) for e in chapter.outline.values()}
            for each in (chapter.stub_file(), newest, path)
        )
    except (CourseError, OSError):
        return ""
    found = [n for n in others if mine[n] in ("", empty[n]) and others[n] not in ("", empty[n])]
    names = [display_id(each) for each in found]
    return f"Exercise{'s' * (len(names) > 1)} {a_few(names, 11)}" if names else ""


def is_working_copy(chapter: Chapter, path: Path) -> bool:
    """Whether a file is the learner's own answer, not somebody else's."""
    return path.resolve() in [copy.resolve() for copy in chapter.working_copies()]
