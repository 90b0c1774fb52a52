"""`pytest exercises` gives the verdicts of `minitx check`."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from minitx.grading.course import Chapter
from minitx.grading.judge.assess import assess
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller

from .helpers import CHECKS, RIGHT_DOUBLE

CONFTEST = Path(__file__).resolve().parents[2] / "exercises/conftest.py"
FOUR = "def quadruple(x):\n    return double(double(x))"
WRONG = "def double(x):\n    return 2 * x"
ENDLESS = "def double(x):\n    while True:\n        pass"


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, root / "exercises/conftest.py")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "exercises", "-p", "no:cacheprovider", "-v", *arguments],
        cwd=root,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )


def verdicts(text: str) -> list[str]:
    return re.findall(r"::.* (PASSED|FAILED|SKIPPED)", text)


@pytest.mark.slow
@pytest.mark.parametrize("double", ["", WRONG, RIGHT_DOUBLE, ENDLESS, "def double(x:\n    pass"])
def test_the_same_verdicts(
    root: Path,
    chapter: Chapter,
    answer: Callable[..., Path],
    minitx: Callable[..., Result],
    double: str,
) -> None:
    path = answer(double, FOUR if double == RIGHT_DOUBLE else "")
    path.write_text(path.read_text().replace("print(double(np.ones(2)))", ""))  # not to try it
    done = run(root)
    reports = [
        assess(chapter, each, LocalCaller(load(path))) for each in chapter.exercises.values()
    ]
    word = {
        "passed": "PASSED",
        "failed": "FAILED",
        "unattempted": "SKIPPED",
        "not run": "SKIPPED",
    }
    assert verdicts(done.stdout) == [word[c.status] for r in reports for c in r.checks]
    assert done.returncode == minitx("check", "01").exit_code
    assert "Traceback" not in done.stdout
    assert "conftest.py:" not in done.stdout.split("short test summary")[0]
    for report in reports:
        for check in report.checks:
            if check.status == "failed":
                assert " ".join(check.text.split()) in " ".join(done.stdout.split())


def test_a_named_mistake(root: Path, answer: Callable[..., Path]) -> None:
    answer(WRONG)
    assert "Your output equals what you get when an empty array is accepted" in run(root).stdout


def test_one_exercise_and_another_file(
    root: Path, answer: Callable[..., Path], tmp_path: Path
) -> None:
    path = answer(RIGHT_DOUBLE)
    assert run(root).returncode == 1
    assert run(root, "-k", "01.1").returncode == 0
    other = tmp_path / "answers_01.py"
    other.write_text(path.read_text().replace("return x + x", "return x + x + 1"))
    done = run(root, "-k", "01.1", "--submission", str(other))
    assert (done.returncode, "FAILED" in done.stdout) == (1, True)


def test_no_copy_and_no_file(root: Path) -> None:
    done = run(root, "-rs")
    assert done.returncode == 1
    assert "no working copy; make one: minitx start 01" in done.stdout
    done = run(root, "--submission", "absent.py")
    assert done.returncode != 0
    assert "There is no file absent.py." in done.stdout + done.stderr


def test_a_fault_of_the_grader(root: Path, answer: Callable[..., Path]) -> None:
    answer(RIGHT_DOUBLE, FOUR)
    path = root / "exercises/checks/test_01_small.py"
    path.write_text(CHECKS.replace("sub.double(rng.normal(size=(4,))).shape", "undefined_name"))
    done = run(root)
    assert done.returncode == 3
    assert "failed by itself (NameError" in done.stdout


@pytest.mark.parametrize(
    ("double", "text"),
    [
        ("import os; os._exit(0)", "it was read in, which left with exit code 0"),
        ("def double(x):\n    import os; os._exit(0)", "ended the process it was graded in"),
        ("def double(x):\n    raise KeyboardInterrupt", "double raised KeyboardInterrupt"),
    ],
)
def test_success_is_never_the_default_of_a_process(
    root: Path,
    answer: Callable[..., Path],
    minitx: Callable[..., Result],
    double: str,
    text: str,
) -> None:
    """What leaves with status 0 has earned nothing, and the other exercise gets its verdict."""
    answer(double, "def quadruple(x):\n    return 4 * x")
    done = run(root)
    assert done.returncode == 1
    assert "PASSED" in done.stdout
    graded = minitx("check", "01")
    assert graded.exit_code == 1
    assert "3 of 7 points" in graded.output
    assert text in " ".join(graded.output.split())
