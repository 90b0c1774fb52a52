"""What is told about exercises without running their checks is what the checks say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minitx.grading.course import Chapter, Course, find_course
from minitx.grading.errors import GraderError

CHAPTERS = list(Course(Path(__file__).resolve().parents[2]).chapters.values())


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.topic)
def test_it_says_what_the_whole_file_says(chapter: Chapter) -> None:
    assert list(chapter.outline) == list(chapter.exercises)
    for told, whole in zip(chapter.outline.values(), chapter.exercises.values(), strict=True):
        for field in ("id", "function", "title", "page", "hints", "uses", "points", "label"):
            assert getattr(told, field) == getattr(whole, field)
        assert list(told.checks) == list(whole.checks)


def test_a_file_that_cannot_be_run(root: Path) -> None:
    path = root / "exercises/checks/test_01_small.py"
    path.write_text(path.read_text() + "\n1 / 0\n")
    with pytest.raises(GraderError, match=r"cannot be run \(ZeroDivisionError"):
        find_course().chapter("01").outline  # noqa: B018


SCRIPT = """
import sys
from minitx.cli import cli
cli(sys.argv[1:], standalone_mode=False)
print("loaded", *({"torch", "matplotlib"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["hint", "02.1"],
        ["hint", "2"],
        ["progress"],
        ["exercises", "list"],
        ["start", "02"],
        ["reset", "02.1"],
        ["solution", "02.1"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_only_grading_needs_torch(tmp_path: Path, arguments: list[str]) -> None:
    """Counted, not timed: chapter 2's check file imports torch."""
    for name in ("exercises", "solutions", "book"):
        (tmp_path / name).symlink_to(CHAPTERS[0].root / name)
    (tmp_path / "work").mkdir()
    if arguments[0] == "reset":
        (tmp_path / "work/02_self_attention.py").write_text("# mine\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env={
            **os.environ,
            "MINITX_COURSE": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1] == "loaded"
