"""The set-up cell: the same few lines at the top of every notebook.

Where `minitx` can be imported it does nothing. Elsewhere (Colab) it clones the course beside the
notebook and installs it into the running Python, which keeps the torch it already has.

That something of its name is there does not mean that it is there: a folder `minitx` (a clone made
by hand, say) has no origin as a module, and a clone that was stopped half-way has another name
until it is whole.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from minitx.authoring.errors import SourceError

FOLDER = "minitx-course"
TAG = "setup"

_CELL = f'''\
# Set-up: does nothing where minitx is installed; on Colab it fetches the course, once.
import importlib.util, shutil, subprocess, sys
from pathlib import Path

found = importlib.util.find_spec("minitx")
if found is None or found.origin is None:  # without an origin it is a folder of that name
    course, part = Path("{FOLDER}").resolve(), Path("{FOLDER}.part").resolve()
    if not (course / "pyproject.toml").is_file():
        for left in [part, *(git.parent for git in course.glob(".git"))]:
            shutil.rmtree(left, ignore_errors=True)  # a clone that was stopped half-way
        clone = "git clone --quiet --depth 1 --branch {{branch}} {{address}}".split()
        subprocess.run([*clone, str(part)], check=True)
        part.rename(course)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-e", str(course)], check=True)
    sys.path.insert(0, str(course))
'''


@dataclass(frozen=True)
class Repository:
    """Where the course is public: the one setting, `repository` in `_config.yml`."""

    url: str
    branch: str


def repository(root: Path) -> Repository:
    """Read the public address of the course.

    Raises:
        SourceError: if `_config.yml` is missing or names no address.
    """
    path = root / "_config.yml"
    if not path.exists():
        raise SourceError("_config.yml", None, f"missing in {root}")
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    found = settings.get("repository") or {}
    url = found.get("url")
    if not isinstance(url, str) or not url:
        raise SourceError("_config.yml", None, "repository.url must be the course's public address")
    return Repository(url.rstrip("/"), str(found.get("branch") or "main"))


def setup_cell(root: Path) -> str:
    """The text of the set-up cell for this checkout's public address."""
    where = repository(root)
    return _CELL.format(address=where.url, branch=where.branch).rstrip("\n")
