"""`.ci/setup` tells a stranger in one sentence what is missing on their machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell script")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with only what the set-up reads."""
    for name in ["requirements.txt", "pyproject.toml", ".ci/setup"]:
        target = tmp_path / "course" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    return tmp_path / "course"


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(checkout / ".ci/setup")],
        env={"PATH": "/usr/bin:/bin", "HOME": str(checkout), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def fake_python(folder: Path, version: str) -> Path:
    """A program that says it is that Python and is not suitable."""
    path = folder / "python-of-another-time"
    path.write_text(
        f'#!/bin/sh\ncase "$2" in *platform*) echo {version} ;; *) exit 1 ;; esac\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def test_no_python_at_all(checkout: Path) -> None:
    done = set_up(checkout, PYTHON="no-such-python")
    assert done.returncode == 1
    assert "found no Python (looked for: no-such-python)" in done.stderr
    assert "PYTHON=/path/to/python3.11" in done.stderr


def test_a_python_of_the_wrong_version(checkout: Path, tmp_path: Path) -> None:
    done = set_up(checkout, PYTHON=str(fake_python(tmp_path, "3.9.18")))
    assert done.returncode == 1
    assert "needs Python 3.11 or 3.12; found only:" in done.stderr
    assert "3.9.18" in done.stderr


@pytest.mark.slow
def test_no_network(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("a-package-that-is-not-here==1.0\n")
    done = set_up(
        checkout,
        PYTHON=sys.executable,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",  # nothing listens there
        PIP_RETRIES="1",
        PIP_TIMEOUT="2",
    )
    assert done.returncode == 1
    assert "is there a network connection?" in done.stderr
    assert not (checkout / ".venv/.installed").exists()


def test_a_finished_set_up_is_not_repeated(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text("")
    (checkout / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "absent"\n'
    )
    stamp = checkout / ".venv/.installed"
    stamp.parent.mkdir()
    parts = b"".join(
        (checkout / name).read_bytes()
        for name in ["requirements.txt", "pyproject.toml", ".ci/setup"]
    )
    stamp.write_bytes(subprocess.run(["cksum"], input=parts, capture_output=True).stdout.strip())
    done = set_up(checkout, PYTHON="no-such-python")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
