"""What somebody sees who opens a notebook on Colab, without Colab.

A new environment holds what Colab has (torch, numpy, matplotlib, ipykernel) and not minitx; the
current folder is empty; git takes the public address for this checkout, work not yet committed
included. Then the notebooks run as they are.
"""

import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

from minitx.authoring.colab import FOLDER, repository, setup_cell
from minitx.grading.course import Course

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "book" / "01_attention_intuition.ipynb"
EXERCISES = ROOT / "exercises" / "01_attention_intuition.ipynb"
TORCH = version("torch").split("+")[0]

pytestmark = pytest.mark.slow

RIGHT = """
def softmax(scores):
    largest = np.max(scores, axis=-1, keepdims=True)
    powers = np.exp(scores - largest)
    return powers / np.sum(powers, axis=-1, keepdims=True)
"""
WRONG = """
def softmax(scores):
    powers = np.exp(scores)
    return powers / np.sum(powers, axis=-1, keepdims=True)
"""


# What a shell on Colab does not have, but the one that runs these tests may.
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MPLBACKEND", "MINITX_COURSE")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in HIDDEN}


def run(*command: str | Path, env: dict[str, str] = ENVIRONMENT, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=cwd,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Path:
    """A Python with what Colab brings along and nothing else; returns its executable."""
    folder = tmp_path_factory.mktemp("machine")
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    wanted = [f"torch=={TORCH}", "numpy", "matplotlib", "ipykernel"]
    install = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--retries", "1", *wanted]
    done = subprocess.run(
        [str(part) for part in install],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    if done.returncode:
        reason = "needs Colab's packages: pip cannot install them: " + done.stderr.strip()[-300:]
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return python


@pytest.fixture(scope="module")
def public(tmp_path_factory) -> Path:
    """The checkout as the public repository would hold it, uncommitted work included."""
    folder = tmp_path_factory.mktemp("public")
    snapshot, bare = folder / "snapshot", folder / "course.git"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, snapshot)
    run("git", "checkout", "--quiet", "-B", repository(ROOT).branch, cwd=snapshot)
    listed = run("git", "ls-files", "-z", "-m", "-d", "-o", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        there = snapshot / name
        if (ROOT / name).exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes((ROOT / name).read_bytes())
        else:
            there.unlink(missing_ok=True)
    run("git", "add", "--all", cwd=snapshot)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    run("git", *who, "commit", "--quiet", "--allow-empty", "-m", "as it lies", cwd=snapshot)
    run("git", "clone", "--quiet", "--bare", snapshot, bare)
    return bare


@dataclass
class Runtime:
    """One Colab session: a folder to begin with, and the Python of the machine."""

    folder: Path
    python: Path
    environment: dict[str, str]

    def execute(self, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
        specs = self.folder.parent / "kernels"
        spec = {
            "argv": [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Colab",
            "language": "python",
        }
        (specs / "colab").mkdir(parents=True, exist_ok=True)
        (specs / "colab" / "kernel.json").write_text(json.dumps(spec))
        manager = AsyncKernelManager(
            kernel_name="colab",
            kernel_spec_manager=KernelSpecManager(
                kernel_dirs=[str(specs)], ensure_native_kernel=False
            ),
        )
        notebook = copy.deepcopy(notebook)
        client = NotebookClient(
            notebook, km=manager, timeout=300, resources={"metadata": {"path": str(self.folder)}}
        )
        client.execute(env=self.environment)
        return notebook

    def ask(self, code: str) -> str:
        return run(self.python, "-c", code, cwd=self.folder, env=self.environment).strip()


@pytest.fixture
def runtime(tmp_path, machine, public):
    """A session that has never seen the course; what it installs is gone afterwards."""
    folder = tmp_path / "content"
    folder.mkdir()
    environment = {
        **ENVIRONMENT,
        "PATH": f"{machine.parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{public.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": repository(ROOT).url,
    }
    session = Runtime(folder, machine, environment)
    before = installed(machine)
    assert "minitx" not in before
    yield session
    added = sorted(installed(machine) - before)
    if added:
        run(machine, "-m", "pip", "uninstall", "--quiet", "--yes", *added)


def installed(python: Path) -> set[str]:
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
    return {package["name"] for package in listed}


def shown(cell: nbformat.NotebookNode) -> str:
    """What a cell shows, as plain text and as HTML, in one string."""
    texts = []
    for output in cell.outputs:
        texts.append(output.get("text", ""))
        texts += [str(data) for data in output.get("data", {}).values()]
    return "\n".join(texts)


def test_a_chapter_runs_top_to_bottom_and_torch_stays(runtime):
    torch_before = runtime.ask("import torch; print(torch.__version__)")
    runtime.execute(nbformat.read(CHAPTER, as_version=4))
    course = runtime.folder / FOLDER
    assert (course / "minitx" / "__init__.py").exists()
    assert runtime.ask("import torch; print(torch.__version__)") == torch_before
    # After a restart of the kernel the installed course is found without the set-up cell.
    assert runtime.ask("import minitx; print(minitx.__file__)").startswith(str(course))


def test_an_exercise_can_be_answered_and_checked(runtime):
    notebook = nbformat.read(EXERCISES, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    stub = next(i for i, cell in enumerate(code) if "def softmax(" in cell.source)
    check = next(i for i, cell in enumerate(code) if cell.source.startswith('check("01.1"'))
    assert code[0].source == setup_cell(ROOT)

    # An answer as a learner gives it: wrong, checked, mended, checked again.
    session = nbformat.v4.new_notebook()
    session.cells = [
        *code[:stub],
        nbformat.v4.new_code_cell(WRONG),
        code[check],
        nbformat.v4.new_code_cell(RIGHT),
        code[check],
    ]
    session.cells = [copy.deepcopy(cell) for cell in session.cells]
    _, wrong, _, right = runtime.execute(session).cells[-4:]

    points = Course(ROOT).exercise("01.1").points
    assert "no maximum is subtracted before exponentiating" in shown(wrong)
    assert "Traceback" not in shown(wrong)
    assert f"{points} of {points} points" not in shown(wrong)
    assert f"{points} of {points} points" in shown(right)
    assert "no maximum is subtracted" not in shown(right)
