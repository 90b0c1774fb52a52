"""Everything that is derived, from its sources: `minitx exercises build`.

    book/NN.md       -> how long it takes to read, where pages say so -> book/NN.ipynb
    minitx           -> solutions/NN.py, where a worked answer shows the library's own source
    solutions/NN.py  -> exercises/NN.py -> exercises/NN.ipynb
    solutions/NN.py  -> solutions/NN.ipynb

Notebooks of book and solutions store their outputs; those of the exercises store none.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from nbformat import NotebookNode
from tqdm import tqdm

from minitx.authoring import notebooks
from minitx.authoring.answers_page import typical_mistakes, with_questions_folded
from minitx.authoring.colab import setup_cell
from minitx.authoring.errors import SourceError
from minitx.authoring.execute import CELL_TIMEOUT
from minitx.authoring.execute import execute as execute_notebook
from minitx.authoring.imports import package_fingerprint
from minitx.authoring.library_source import with_library_source
from minitx.authoring.reading_time import states_times, with_times
from minitx.authoring.stubs import strip_solutions, unwritten
from minitx.authoring.worked_answers import worked_answers

WORKERS = 2
BUILD = "python -m minitx exercises build"
EXECUTE = f"{BUILD} --execute"
_NUMBERED = re.compile(r"\d\d_\w+")


@dataclass
class Derived:
    """One derived file: where it lies, what it is made from, what it must hold."""

    path: Path
    source: Path
    text: str

    def content(self) -> str:
        return self.text

    def waits(self) -> bool:
        """Whether it should store outputs but has none for its present code."""
        return False


@dataclass
class DerivedNotebook(Derived):
    """A notebook; `text` is the source it is made from."""

    notebook: NotebookNode
    stores_outputs: bool

    def content(self) -> str:
        return notebooks.to_text(self.notebook)

    def waits(self) -> bool:
        return self.stores_outputs and not notebooks.is_current(self.notebook)


def build(
    root: Path,
    *,
    execute: bool = False,
    check: bool = False,
    force: bool = False,
    only: Sequence[str] = (),
    echo: Callable[[str], None] = print,
) -> int:
    """Write every derived file that is out of step with its source, or only list them.

    Args:
        root: the checkout.
        execute: also run the notebooks whose code, or whose part of the package, changed.
        check: write nothing; say what is out of step and which command mends it.
        force: with `execute`, run every notebook.
        only: parts of paths ("02_self", "book/"); sources that hold none of them are left alone.
        echo: where the lines for the author go.

    Returns:
        0 if everything is in step (now), 1 if something is out of step or failed.
    """
    problems: list[str] = []
    derived: list[Derived] = []
    for source in sources(root):
        if only and not any(part in source.as_posix() for part in only):
            continue
        try:
            derived += derive(root, source)
        except SourceError as error:
            problems.append(str(error))
    if execute and not check:
        problems += _execute_stale(root, derived, force=force)
    for item in derived:
        problems += _compare(root, item) if check else _write(root, item, echo=echo)
    if not only:
        problems += [f"{path} has no source: delete it (git rm {path})" for path in orphans(root)]
    for problem in problems:
        echo(problem)
    return 1 if problems else 0


def sources(root: Path) -> list[Path]:
    """Every text from which something is derived, relative to the checkout."""
    pages = [
        page
        for page in sorted((root / "book").glob("*.md"))
        if notebooks.is_notebook_source(page) or states_times(page.read_text(encoding="utf-8"))
    ]
    answers = [p for p in sorted((root / "solutions").glob("*.py")) if _NUMBERED.match(p.stem)]
    return [path.relative_to(root) for path in pages + answers]


def derive(root: Path, source: Path) -> list[Derived]:
    """What one source gives, with the outputs that are stored already and still belong to it.

    Raises:
        SourceError: if the source is at fault; the text says where.
    """
    text = (root / source).read_text(encoding="utf-8")
    if source.suffix == ".md":
        return list(_derive_page(root, source, text))
    text = with_library_source(root, text, name=source.as_posix())
    stub = strip_solutions(text, name=source.as_posix())
    path = Path("exercises", source.name)
    exercises = _notebook(
        root,
        source,
        path.with_suffix(".ipynb"),
        stub,
        stores_outputs=False,
        insertions=worked_answers(text, topic=source.stem),
    )
    notebooks.let_fail(exercises.notebook, unwritten(stub))
    return [
        Derived(source, Path("minitx"), text),
        Derived(path, source, stub),
        exercises,
        _notebook(
            root,
            source,
            source.with_suffix(".ipynb"),
            with_questions_folded(text, source.stem),
            insertions=typical_mistakes(root, source.stem),
        ),
    ]


def _derive_page(root: Path, source: Path, text: str) -> Iterator[Derived]:
    if states_times(text):
        text = with_times(root, text, name=source.stem)
        yield Derived(source, Path("minitx/authoring/reading_time.py"), text)
    if notebooks.is_notebook_source(root / source):
        yield _notebook(root, source, source.with_suffix(".ipynb"), text)


def _notebook(
    root: Path,
    source: Path,
    path: Path,
    text: str,
    *,
    stores_outputs: bool = True,
    insertions: Sequence[notebooks.Insertion] = (),
) -> DerivedNotebook:
    notebook = notebooks.derive(
        text,
        name=source.as_posix(),
        suffix=source.suffix,
        setup=setup_cell(root),
        insertions=insertions,
    )
    stored = root / path
    if stores_outputs and stored.exists():
        with suppress(Exception):  # torn by a merge, say: then nothing in it can be kept
            notebooks.keep_outputs(notebook, notebooks.from_text(stored.read_text("utf-8")))
    return DerivedNotebook(path, source, text, notebook, stores_outputs)


def orphans(root: Path) -> list[str]:
    """Files that look derived but have no source any more."""
    known = {path for source in sources(root) for path in _paths(source)}
    candidates = [*root.glob("book/*.ipynb"), *root.glob("solutions/*.ipynb")]
    for suffix in ("py", "ipynb"):
        candidates += [
            path for path in root.glob(f"exercises/*.{suffix}") if _NUMBERED.match(path.stem)
        ]
    found = sorted(path.relative_to(root) for path in candidates)
    return [path.as_posix() for path in found if path not in known]


def _paths(source: Path) -> Iterator[Path]:
    yield source.with_suffix(".ipynb")
    if source.suffix == ".py":
        yield Path("exercises", source.name)
        yield Path("exercises", source.name).with_suffix(".ipynb")


def _execute_stale(root: Path, derived: list[Derived], *, force: bool) -> list[str]:
    """Run the notebooks that need it, two at a time; what failed comes back as text.

    A notebook that failed leaves the list, so that nothing half executed is ever written.
    """
    jobs = [
        item
        for item in derived
        if isinstance(item, DerivedNotebook)
        and item.stores_outputs
        and (force or item.waits() or _package_changed(root, item.notebook))
    ]
    if jobs:
        import_module("matplotlib.font_manager")  # its first import may warn, inside a notebook
    total = sum(len(notebooks.code_cells(item.notebook)) for item in jobs)
    with (
        tqdm(total=total, unit="cell", desc="executing", disable=not jobs) as bar,
        ThreadPoolExecutor(WORKERS) as pool,
    ):

        def run(item: DerivedNotebook) -> str | None:
            try:
                _execute(root, item, on_cell=bar.update)
            except SourceError as error:
                return str(error)
            return None

        results = list(pool.map(run, jobs))
    failed = [item for item, result in zip(jobs, results, strict=True) if result]
    derived[:] = [item for item in derived if not any(item is other for other in failed)]
    return [result for result in results if result]


def _execute(root: Path, item: DerivedNotebook, *, on_cell: Callable[[], object]) -> None:
    package = package_fingerprint(root, notebooks.all_code(item.notebook))
    execute_notebook(
        item.notebook,
        folder=(root / item.path).parent,
        root=root,
        text=item.text,
        name=item.source.as_posix(),
        timeout=CELL_TIMEOUT,
        on_cell=on_cell,
    )
    notebooks.mark_executed(item.notebook, package=package)


def _package_changed(root: Path, notebook: NotebookNode) -> bool:
    """Whether the part of the package that a notebook imports changed since it ran."""
    if not notebooks.written_code(notebook):
        return False
    package = package_fingerprint(root, notebooks.all_code(notebook))
    return notebooks.package_used(notebook) != package


def _compare(root: Path, item: Derived) -> list[str]:
    """What is wrong with one derived file as it lies there, and the command that mends it."""
    path = root / item.path
    if not path.exists():
        command = EXECUTE if item.waits() else BUILD
        return [f"{item.path.as_posix()} is missing: {command}"]
    if item.waits():
        return [f"{item.path.as_posix()} was not executed since its code changed: {EXECUTE}"]
    if path.read_text(encoding="utf-8") != item.content():
        return [f"{item.path.as_posix()} is out of step with {item.source.as_posix()}: {BUILD}"]
    return []


def _write(root: Path, item: Derived, *, echo: Callable[[str], None]) -> list[str]:
    """Bring one derived file into step; a notebook that now waits for its outputs is a problem."""
    path = root / item.path
    content = item.content()
    # Text, not bytes: git may have given the file the line ends of another system.
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(content, encoding="utf-8", newline="\n")
        os.replace(beside, path)
        echo(f"wrote {item.path.as_posix()}")
    if item.waits():
        return [f"{item.path.as_posix()} has no outputs for its present code: {EXECUTE}"]
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m minitx.authoring.build`: as `minitx exercises build`, for chosen sources."""
    parser = argparse.ArgumentParser(prog="python -m minitx.authoring.build", description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of the paths of the sources to build")
    for name in ("execute", "check", "force"):
        parser.add_argument(f"--{name}", action="store_true")
    chosen = parser.parse_args(arguments)
    return build(
        Path(__file__).resolve().parents[2],
        execute=chosen.execute,
        check=chosen.check,
        force=chosen.force,
        only=chosen.only,
    )


if __name__ == "__main__":
    sys.exit(main())
