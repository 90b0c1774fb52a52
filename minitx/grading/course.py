"""Where the course lies on this machine, and its chapters' checks, loaded when asked for."""

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from minitx.grading.errors import CourseError
from minitx.grading.registry import Exercise, Registry, filling

_CHECKS = Path("exercises/checks")


@dataclass(frozen=True)
class Chapter:
    """One chapter's exercises: `topic` is "01_attention_intuition"."""

    root: Path
    topic: str

    @property
    def number(self) -> str:
        return self.topic[:2]

    @property
    def check_file(self) -> Path:
        return self.root / _CHECKS / f"test_{self.topic}.py"

    @property
    def bank_file(self) -> Path:
        return self.root / _CHECKS / f"mistakes_{self.topic}.py"

    @property
    def right_answers_file(self) -> Path:
        return self.root / "tests/right_answers" / f"right_{self.topic}.py"

    @property
    def solution_file(self) -> Path:
        return self.root / "solutions" / f"{self.topic}.py"

    def stub_file(self, suffix: str = ".py") -> Path:
        return self.root / "exercises" / f"{self.topic}{suffix}"

    def working_copy(self, suffix: str = ".py") -> Path:
        return self.root / "work" / f"{self.topic}{suffix}"

    @cached_property
    def registry(self) -> Registry:
        """Checks and mistake bank, loaded once."""
        with filling(Registry()) as registry:
            load_file(self.check_file)
            if self.bank_file.exists():
                load_file(self.bank_file)
        return registry

    @property
    def exercises(self) -> dict[str, Exercise]:
        return self.registry.exercises

    def load_right_answers(self) -> None:
        """Adds the right answers of the tests to the exercises."""
        with filling(self.registry):
            load_file(self.right_answers_file)


@dataclass(frozen=True)
class Course:
    """A checkout of the course."""

    root: Path

    @cached_property
    def chapters(self) -> dict[str, Chapter]:
        """Chapters that have checks, by number ("01")."""
        files = sorted((self.root / _CHECKS).glob("test_[0-9][0-9]_*.py"))
        found = [Chapter(self.root, path.stem.removeprefix("test_")) for path in files]
        return {chapter.number: chapter for chapter in found}

    def chapter(self, number: str) -> Chapter:
        """Raises CourseError if there is none of that number."""
        if number not in self.chapters:
            known = ", ".join(self.chapters) or "none"
            raise CourseError(f"There are no exercises for chapter {number}; chapters: {known}.")
        return self.chapters[number]

    def exercise(self, exercise_id: str) -> Exercise:
        """Raises CourseError if there is none of that id."""
        exercises = self.chapter(exercise_id.split(".")[0]).exercises
        if exercise_id not in exercises:
            raise CourseError(
                f"There is no exercise {exercise_id}; this chapter has {', '.join(exercises)}."
            )
        return exercises[exercise_id]


def find_course() -> Course:
    """The course: MINITX_COURSE, or the checkout minitx is imported from, or a folder above.

    Raises:
        CourseError: if none of these holds exercises.
    """
    named = os.environ.get("MINITX_COURSE")
    if named:
        root = Path(named).expanduser().resolve()
        if not (root / _CHECKS).is_dir():
            raise CourseError(
                f"MINITX_COURSE names {root}, but there is no folder {_CHECKS.as_posix()} in it."
            )
        return Course(root)
    here = Path.cwd().resolve()
    for folder in [Path(__file__).resolve().parents[2], here, *here.parents]:
        if (folder / _CHECKS).is_dir():
            return Course(folder)
    raise CourseError(
        f"The exercises are not here: neither beside the installed minitx nor in {here} or a "
        "folder above it. Go to your checkout of the course, or set MINITX_COURSE to its folder."
    )


def load_file(path: Path) -> ModuleType:
    """Runs a check file, a bank or a solution as a module of its own."""
    name = f"minitx_course_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    exec(code, module.__dict__)
    return module
