"""Where the course lies on this machine, and its chapters' checks, loaded when asked for."""

import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from minitx.grading.errors import CourseError, GraderError
from minitx.grading.outline import outline
from minitx.grading.own import OwnCaller
from minitx.grading.quiet import quietly, reading
from minitx.grading.registry import Exercise, Registry, filling

_CHECKS = Path("exercises/checks")
_IMPORTS_TORCH = re.compile(r"^(?:import|from) torch\b", re.MULTILINE)


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

    def working_copies(self) -> list[Path]:
        """Those that exist, the one saved last first."""
        paths = [self.working_copy(suffix) for suffix in (".py", ".ipynb")]
        return sorted((p for p in paths if p.is_file()), key=lambda p: -p.stat().st_mtime)

    @cached_property
    def needs_torch(self) -> bool:
        """Whether the chapter's checks use torch; found without importing anything."""
        return bool(_IMPORTS_TORCH.search(self.check_file.read_text(encoding="utf-8")))

    @cached_property
    def registry(self) -> Registry:
        """Checks and mistake bank, loaded once.

        Raises:
            GraderError: if one of the files cannot be run.
        """
        with filling(Registry()) as registry:
            load_file(self.check_file)
            if self.bank_file.exists():
                load_file(self.bank_file)
        return registry

    @property
    def exercises(self) -> dict[str, Exercise]:
        return self.registry.exercises

    @cached_property
    def outline(self) -> dict[str, Exercise]:
        """The exercises with titles, points and hints, but nothing that could be run: quick.

        Raises:
            GraderError: if the check file cannot be run.
        """
        try:
            return outline(self.check_file)
        except Exception:  # told in full by whoever runs all of it
            return self.exercises

    def load_right_answers(self) -> None:
        """Adds the right answers of the tests to the exercises."""
        with filling(self.registry):
            load_file(self.right_answers_file)

    @cached_property
    def _reference(self) -> OwnCaller | None:
        if not self.solution_file.exists():
            return None
        with quietly(seed=0), reading():
            module = load_file(self.solution_file)
        return OwnCaller(vars(module))

    def reference(self) -> OwnCaller | None:
        """A caller of the worked answers, where they are at hand.

        Raises:
            GraderError: if their file cannot be run.
        """
        return self._reference

    def reading(self, page: str) -> str:
        """A page in words: the heading of its section, and the file."""
        path, _, label = page.partition("#")
        source = self.root / path
        if not label or not source.exists():
            return page
        heading = _heading(source.read_text(encoding="utf-8"), label)
        return f"“{heading}” in {path}" if heading else page

    def built(self, page: str) -> str:
        """The address of a page, at its section, in the book that was built here; "" if none."""
        path, _, label = page.partition("#")
        html = (self.root / "_build/html" / path).with_suffix(".html")
        if not html.is_file():
            return ""
        anchor = f"#{label}" if f'id="{label}"' in html.read_text(encoding="utf-8") else ""
        return html.resolve().as_uri() + anchor


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

    @property
    def work(self) -> Path:
        """The folder of the learner's own files."""
        return self.root / "work"

    def chapter(self, number: str) -> Chapter:
        """The chapter of that number ("01").

        Raises:
            CourseError: if there is none.
        """
        if number not in self.chapters:
            known = ", ".join(self.chapters) or "none yet"
            raise CourseError(f"There are no exercises for chapter {number}; chapters: {known}.")
        return self.chapters[number]

    def about(self, exercise_id: str) -> Exercise:
        """What is told about the exercise of that id ("01.1"); its checks cannot be run.

        Raises:
            CourseError: if there is none.
        """
        exercises = self.chapter(exercise_id.split(".")[0]).outline
        if exercise_id not in exercises:
            known = ", ".join(exercises) or "none yet"
            raise CourseError(f"There is no exercise {exercise_id}; the chapter's are: {known}.")
        return exercises[exercise_id]

    def exercise(self, exercise_id: str) -> Exercise:
        """The exercise of that id ("01.1").

        Raises:
            CourseError: if there is none.
        """
        return self.chapter(self.about(exercise_id).chapter).exercises[exercise_id]


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


def parse_id(text: str) -> str:
    """ "02", "2" -> "02"; "02.3", "2.3" -> "02.3".

    Raises:
        CourseError: if it is neither a chapter nor an exercise.
    """
    match = re.fullmatch(r"0?(\d{1,2})(?:\.0?(\d{1,2}))?", text.strip())
    if not match:
        raise CourseError(
            f"{text!r} is neither a chapter (02) nor an exercise (02.3) nor a file that is there."
        )
    chapter = f"{int(match.group(1)):02d}"
    return f"{chapter}.{int(match.group(2))}" if match.group(2) else chapter


def load_file(path: Path) -> ModuleType:
    """Runs a check file, a bank or answers of the course as a module of its own.

    Raises:
        GraderError: if it cannot be run; this is the course's fault.
    """
    name = f"minitx_course_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        exec(code, module.__dict__)
    except Exception as error:
        raise GraderError(
            f"{path.name} of the course cannot be run ({type(error).__name__}: {error}). This is a "
            "mistake of the course, or something it needs is not installed."
        ) from error
    return module


def _heading(text: str, label: str) -> str:
    """The heading behind a MyST label `(label)=`, or the one whose slug the label is."""
    match = re.search(rf"^\({re.escape(label)}\)=\s*\n+#+ +(.+)$", text, re.MULTILINE)
    if match:
        return _plain(match.group(1))
    for heading in re.findall(r"^#+ +(.+)$", text, re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", _plain(heading).lower())
        if re.sub(r"\s+", "-", words.strip()) == label:
            return _plain(heading)
    return ""


def _plain(heading: str) -> str:
    """Without Markdown's marks, and with the roots that stand in some headings."""
    heading = re.sub(r"\\sqrt\{([^}]*)\}", r"√\1", heading)
    return re.sub(r"[`*$]", "", heading).strip()
