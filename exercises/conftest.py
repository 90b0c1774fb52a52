"""`pytest exercises` grades your working copy, with the engine of `minitx check`.

    pytest exercises                         everything you have started
    pytest exercises -k 02.3                 one exercise
    pytest exercises --submission PATH       another file (its name says the chapter)

A check is a test: passed, failed (with the paragraph that `minitx check` shows), or skipped where
the exercise is not attempted. The exit status is 0 only if every point is earned.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from minitx.grading.course import Chapter, Course
from minitx.grading.errors import CourseError, GraderError
from minitx.grading.judge.assess import assess
from minitx.grading.registry import Check, Exercise
from minitx.grading.render_text import check_text
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.process import ProcessCaller, process_caller
from minitx.terminal import program

COURSE = Course(Path(__file__).resolve().parent.parent)


class NotEarned(Exception):
    """A check's paragraph for the learner."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--submission", metavar="PATH", help="grade this .py or .ipynb in place of work/"
    )


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Any:
    """A check file is read by the grader, not imported as a test module."""
    for chapter in COURSE.chapters.values():
        if module_path == chapter.check_file:
            return CheckFile.from_parent(parent, path=module_path, chapter=chapter)
    return None


class CheckFile(pytest.File):
    """The checks of one chapter."""

    def __init__(self, *, chapter: Chapter, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chapter = chapter

    def collect(self) -> Iterator[pytest.Item]:
        answers = submission_path(self.config, self.chapter)
        for exercise in self.chapter.exercises.values():
            for check in exercise.checks.values():
                yield CheckItem.from_parent(
                    self,
                    name=f"{exercise.id} {check.title}",
                    exercise=exercise,
                    check=check,
                    answers=answers,
                )

    def _getobj(self) -> None:  # asked for by pytest of whatever stands for a module
        return None


class CheckItem(pytest.Item):
    """One check, with the verdict of its exercise's grading."""

    def __init__(
        self, *, exercise: Exercise, check: Check, answers: Path | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.exercise = exercise
        self.check = check
        self.answers = answers
        self.earned = False

    def runtest(self) -> None:
        chapter: Chapter = self.parent.chapter  # type: ignore[union-attr]
        if self.answers is None:
            pytest.skip(f"no working copy; make one: {program()} start {chapter.number}")
        try:
            report = graded(chapter, self.exercise.id, self.answers)
        except GraderError:
            self.config.stash[GRADER_FAILED] = True
            raise
        verdict = next(each for each in report.checks if each.name == self.check.name)
        if verdict.status == "unattempted":
            pytest.skip("unattempted")
        if verdict.status == "not run":
            pytest.skip(verdict.text)
        if verdict.status == "grader error":
            self.config.stash[GRADER_FAILED] = True
            raise GraderError(verdict.text)
        if verdict.status == "failed":
            raise NotEarned(
                "\n\n".join([*(each.text for each in report.named), check_text(verdict)])
            )
        self.earned = True

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotEarned | CourseError | GraderError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"Exercise {self.name}"


CALLERS = ExitStack()
GRADER_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[GRADER_FAILED] = False


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """1 if not all points are earned, 3 if the grader itself failed."""
    CALLERS.close()
    checks = [item for item in session.items if isinstance(item, CheckItem)]
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not checks:
        return
    started = [item for item in checks if item.answers is not None]
    if session.config.stash[GRADER_FAILED]:
        session.exitstatus = 3
    elif session.config.option.collectonly:
        return
    elif not started or not all(item.earned for item in started):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def submission_path(config: pytest.Config, chapter: Chapter) -> Path | None:
    """The file to grade for a chapter; None if there is none."""
    named = config.getoption("--submission")
    if named is None:
        return next(iter(chapter.working_copies()), None)
    path = Path(named)
    if not path.exists():
        raise pytest.UsageError(f"There is no file {path}.")
    return path if chapter.number in path.stem else None


@cache
def graded(chapter: Chapter, exercise_id: str, answers: Path) -> ExerciseReport:
    return assess(chapter, chapter.exercises[exercise_id], caller(chapter, answers))


@cache
def caller(chapter: Chapter, answers: Path) -> ProcessCaller:
    return CALLERS.enter_context(process_caller(answers, needs_torch=chapter.needs_torch))
