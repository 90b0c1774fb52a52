"""The learner's working copies in `work/`: making them, and putting a function back.

Nothing here overwrites a learner's file without a copy in `work/backups/`.
"""

import ast
import codecs
import json
import os
import re
import shutil
import time
from pathlib import Path

from minitx.grading.cells import pieces_of, split_cells
from minitx.grading.course import Chapter
from minitx.grading.errors import CourseError
from minitx.grading.ipynb import code_cells, source_of
from minitx.grading.registry import Exercise
from minitx.terminal import program


def start(chapter: Chapter, suffix: str) -> tuple[Path, bool]:
    """The working copy of a chapter, and whether it was made just now.

    Beside one in the other format it counts as older: the copy saved last is the one graded, and
    the new one is not yet an answer.

    Raises:
        CourseError: if the stub it is copied from is missing.
    """
    target, stub = chapter.working_copy(suffix), _stub(chapter, suffix)
    if target.exists():
        return target, False
    others = chapter.working_copies()
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(stub, target)
    if others:
        then = others[-1].stat().st_mtime - 1
        os.utime(target, (then, then))
    return target, True


def backup(path: Path) -> Path:
    """Copies a file to `work/backups/` under its name and the time; returns the copy."""
    folder = path.parent / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    number, copy = 1, folder / f"{stamp}_{path.name}"
    while copy.exists():
        number += 1
        copy = folder / f"{stamp}_{number}_{path.name}"
    shutil.copy2(path, copy)
    return copy


def reset_chapter(chapter: Chapter, path: Path) -> Path:
    """Puts the whole file back as it was handed out; returns the backup."""
    stub = _stub(chapter, path.suffix)
    kept = backup(path)
    shutil.copyfile(stub, path)
    return kept


def reset_exercise(chapter: Chapter, exercise: Exercise, path: Path) -> Path:
    """Puts one function back as it was handed out; returns the backup.

    Raises:
        CourseError: if the file cannot be read, or the stub does not hold the function.
    """
    name = exercise.function
    text = _stub(chapter, ".py").read_text(encoding="utf-8")
    span = function_span(text, name)
    if span is None:
        raise CourseError(f"The stub of chapter {chapter.number} holds no function {name}.")
    fresh = "\n".join(text.split("\n")[span[0] : span[1]])
    put = _in_notebook if path.suffix == ".ipynb" else _in_python
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        changed = put(text, name, fresh)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        kind = "a notebook" if path.suffix == ".ipynb" else "text"
        raise CourseError(
            f"{path} cannot be read as {kind}; `{program()} reset {chapter.number}` puts the whole "
            "file back and keeps a copy of this one."
        ) from None
    kept = backup(path)
    if b"\r\n" in raw:  # the ends of lines stay as they are
        changed = changed.replace("\n", "\r\n")
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    path.write_bytes(mark + changed.encode())
    return kept


def function_span(text: str, name: str) -> tuple[int, int] | None:
    """First line and line behind the last of a function at the left margin, counted from 0.

    Where a name is defined twice, the last definition counts, as it does for Python.
    """
    try:
        return _parsed_span(text, name)
    except (SyntaxError, ValueError):
        pass
    found = None
    for cell, first in split_cells(text):
        for piece, line in pieces_of(cell, first):
            if not re.search(rf"^(async def|def|class) {name}\b", piece, re.MULTILINE):
                continue
            try:
                inside = _parsed_span(piece, name)
            except (SyntaxError, ValueError):
                inside = None
            lines = piece.rstrip().count("\n") + 1
            a, b = inside or (0, lines)
            found = (line - 1 + a, line - 1 + b)
    return found


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _parsed_span(text: str, name: str) -> tuple[int, int] | None:
    found = None
    for node in ast.parse(text).body:
        if isinstance(node, _DEFINITIONS) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found = (first - 1, node.end_lineno or node.lineno)
    return found


def _stub(chapter: Chapter, suffix: str) -> Path:
    stub = chapter.stub_file(suffix)
    if not stub.is_file():
        raise CourseError(
            f"{stub} is missing: the checkout is incomplete (git status shows what is gone)."
        )
    return stub


def _put(text: str, span: tuple[int, int], fresh: str) -> str:
    lines = text.split("\n")
    return "\n".join([*lines[: span[0]], fresh, *lines[span[1] :]])


def _in_python(text: str, name: str, fresh: str) -> str:
    span = function_span(text, name)
    if span is None:
        return text.rstrip("\n") + f"\n\n\n# %%\n{fresh}\n"
    return _put(text, span, fresh)


def _in_notebook(text: str, name: str, fresh: str) -> str:
    document = json.loads(text)
    cells = code_cells(document)
    sources = [source_of(cell) for cell in cells]
    spans = [function_span(source, name) for source in sources]
    holders = [number for number, span in enumerate(spans) if span is not None]
    if holders:
        cell, span = cells[holders[-1]], spans[holders[-1]]
        assert span is not None
        fresh = _put(sources[holders[-1]], span, fresh)
    else:
        cell = {"cell_type": "code", "id": f"restored-{name}", "metadata": {}, "source": []}
        document["cells"].append(cell)
    cell["input" if "input" in cell else "source"] = fresh.splitlines(keepends=True)
    cell["outputs"] = []
    cell["prompt_number" if "prompt_number" in cell else "execution_count"] = None
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
