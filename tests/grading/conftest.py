"""The small course of `helpers` in a folder, and the command line for it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minitx.cli import cli
from minitx.grading.course import Chapter, Course, find_course

from .helpers import BANK, BOOK, CHECKS, SOLUTION, STUB, as_notebook


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small course's folder; `minitx` finds it."""
    folder = tmp_path / "course"
    for name, text in {
        "exercises/checks/test_01_small.py": CHECKS,
        "exercises/checks/mistakes_01_small.py": BANK,
        "exercises/01_small.py": STUB,
        "exercises/01_small.ipynb": as_notebook(STUB),
        "solutions/01_small.py": SOLUTION,
        "book/01_small.md": BOOK,
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("MINITX_COURSE", str(folder))
    monkeypatch.setenv("COLUMNS", "300")  # sentences are not broken
    monkeypatch.setattr(sys, "argv", ["minitx"])  # texts name the command as it was called
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def course(root: Path) -> Course:
    return find_course()


@pytest.fixture
def chapter(course: Course) -> Chapter:
    return course.chapter("01")


@pytest.fixture
def answer(root: Path) -> Callable[..., Path]:
    """Writes a working copy in which functions are replaced."""

    def write(double: str = "", quadruple: str = "", *, notebook: bool = False) -> Path:
        text = STUB
        for code, name in [(double, "double"), (quadruple, "quadruple")]:
            if code:
                start = text.index(f"def {name}")
                end = text.index("\n# %%", start)
                text = text[:start] + code.strip("\n") + "\n" + text[end:]
        path = root / "work" / ("01_small.ipynb" if notebook else "01_small.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(as_notebook(text) if notebook else text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def minitx(root: Path) -> Callable[..., Result]:
    """The command line, in this process."""

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, list(arguments))
        assert "Traceback" not in result.output
        return result

    return run
