"""The set-up cell heals: it looks for the course itself, not for something of its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minitx.authoring.colab import FOLDER, setup_cell

GIT = """\
#!{python}
import sys
from pathlib import Path
there = Path(sys.argv[-1])
if there.exists() and any(there.iterdir()):
    sys.exit(f"fatal: destination path {{there}} already exists and is not an empty directory.")
(there / ".git").mkdir(parents=True)
(there / "pyproject.toml").write_text("")
(there / "minitx").mkdir()
(there / "minitx" / "__init__.py").write_text("X = 'the course'")
with open("clones", "a") as file:
    file.write("x")
"""


@pytest.fixture
def session(tmp_path):
    """A folder, and a function that runs the cell in it without minitx, pip or a network."""
    folder, tools = tmp_path / "a folder", tmp_path / "tools"
    folder.mkdir()
    (tools / "pip").mkdir(parents=True)
    (tools / "pip/__init__.py").write_text("")
    (tools / "pip/__main__.py").write_text("")
    (tools / "git").write_text(GIT.format(python=sys.executable))
    (tools / "git").chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    (root / "_config.yml").write_text("repository:\n  url: https://example.org/course\n")
    code = setup_cell(root) + "\nimport minitx; print(minitx.X)"
    environment = {
        **os.environ,
        "PYTHONPATH": str(tools),
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }

    def run() -> str:
        # -S: without the folder in which this environment's own minitx is installed.
        done = subprocess.run(
            [sys.executable, "-S", "-c", code],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return folder, run


def clones(folder: Path) -> int:
    return len((folder / "clones").read_text())


def test_in_an_empty_folder_and_again(session):
    folder, run = session
    assert run() == run() == "the course"
    assert clones(folder) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["clones", FOLDER]


def test_beside_a_folder_named_minitx(session):
    """A clone made by hand is a namespace package to `find_spec`, and holds nothing."""
    folder, run = session
    (folder / "minitx/minitx").mkdir(parents=True)
    (folder / "minitx/pyproject.toml").write_text("")
    assert run() == "the course"
    assert clones(folder) == 1


@pytest.mark.parametrize("left", [FOLDER, f"{FOLDER}.part"])
def test_after_a_clone_that_was_stopped(session, left):
    folder, run = session
    (folder / left / ".git").mkdir(parents=True)
    (folder / left / ".git/config").write_text("half")
    assert run() == "the course"
    assert clones(folder) == 1
    assert not (folder / f"{FOLDER}.part").exists()
