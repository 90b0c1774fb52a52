"""A file of answers as cells and statements, read but not run.

Whatever is in it, the grader goes on with what can be used: a syntax error costs the piece of the
file it stands in.
"""

import ast
import json
import linecache
import os
import re
import stat
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from minitx.grading.calling import Problem
from minitx.grading.errors import CourseError
from minitx.grading.ipynb import python_sources
from minitx.grading.source import Source
from minitx.grading.texts import cleaned

MOST_BYTES = 2**24
_CELL = re.compile(r"^#\s*%%", re.MULTILINE)
_PIECE = re.compile(r"^(?:@|def |async def |class |import |from |if |for |while |with )")
_DEFINES = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
_UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Cell:
    """A piece of source with the name and first line under which errors are reported."""

    text: str
    filename: str
    first_line: int
    place: str = ""  # " of code cell 5"

    @property
    def defined(self) -> set[str]:
        """Names of the functions and classes in it, whether or not it can be parsed."""
        return set(_DEFINES.findall(self.text))


def read_cells(path: Path) -> list[Cell]:
    """The code of a `.py` file or an `.ipynb` notebook.

    Raises:
        CourseError: if it is not there or cannot be read at all.
    """
    raw = _read(path)
    cells = _notebook_cells(path, raw) if path.suffix == ".ipynb" else _python_cells(path, raw)
    quotable(cells)
    return cells


def source_of(cells: list[Cell]) -> Source:
    """Where the lines of these cells are."""
    return Source({cell.filename: cell.place for cell in cells})


def quotable(cells: list[Cell]) -> None:
    """Lets lines of the cells be quoted without a file being opened again."""
    lines: dict[str, list[str]] = {}
    for cell in cells:
        known = lines.setdefault(cell.filename, [])
        known += ["\n"] * (cell.first_line - 1 - len(known))
        known += cell.text.splitlines(keepends=True)
    for filename, known in lines.items():
        linecache.cache[filename] = (sum(map(len, known)), None, known, filename)


def _read(path: Path) -> bytes:
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise CourseError(f"{path} is a folder; name the .py file or the notebook in it.")
        if path.suffix not in (".py", ".ipynb"):
            raise CourseError(f"{path} is neither a .py file nor an .ipynb notebook.")
        if not stat.S_ISREG(status.st_mode):
            raise CourseError(f"{path} is no ordinary file: it cannot be read from first to last.")
        if status.st_size > MOST_BYTES:
            raise CourseError(
                f"{path} has {status.st_size:,} bytes; answers have at most {MOST_BYTES:,}. If "
                "pictures make the notebook so large, clear its outputs."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise CourseError(f"There is no file {path}.") from None
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror or error}.") from None


def _python_cells(path: Path, raw: bytes) -> list[Cell]:
    if b"\0" in raw:
        raise CourseError(f"{path} is not text: is it really a Python file?")
    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(raw).readline)
        text = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise CourseError(f"{path} is not saved as UTF-8: choose UTF-8 in your editor.") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [Cell(part, str(path), line) for part, line in split_cells(text)]


def _notebook_cells(path: Path, raw: bytes) -> list[Cell]:
    try:
        sources = list(python_sources(json.loads(raw.decode("utf-8-sig"))))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise CourseError(
            f"{path} is damaged: it does not hold a notebook (JSON). Save it again in Jupyter or "
            "Colab, or take a copy from work/backups."
        ) from None
    return [
        Cell(source, f"{path} cell {number}", 1, f" of code cell {number}")
        for number, source in sources
    ]


def split_cells(text: str) -> list[tuple[str, int]]:
    """The text cut in front of every `# %%`, each part with its first line's number."""
    starts = sorted({0, *(match.start() for match in _CELL.finditer(text))})
    parts, line = [], 1
    for a, b in zip(starts, [*starts[1:], len(text)], strict=True):
        parts.append((text[a:b], line))
        line += text.count("\n", a, b)
    return parts


def statements_of(cell: Cell, source: Source, problems: list[Problem]) -> Iterator[ast.stmt]:
    """The statements of a cell; where it does not parse, those of the pieces that do.

    What cannot be read is added to `problems`.
    """
    try:
        yield from _parse(cell.text, cell.first_line)
        return
    except _UNPARSABLE:
        pieces = pieces_of(cell.text, cell.first_line)
    for text, line in pieces:
        try:
            yield from _parse(text, line)
        except _UNPARSABLE as error:
            names = frozenset(_DEFINES.findall(text))
            problems.append(Problem(_syntax_problem(error, cell, source, names), names))


def _parse(text: str, first_line: int) -> list[ast.stmt]:
    return ast.parse("\n" * (first_line - 1) + text).body


def pieces_of(text: str, first_line: int) -> list[tuple[str, int]]:
    """A cell cut in front of every definition at its left margin, with line numbers."""
    pieces: list[tuple[list[str], int]] = []
    decorated = False
    for number, line in enumerate(text.split("\n"), start=first_line):
        if not pieces or (_PIECE.match(line) and not decorated):
            pieces.append(([], number))
        decorated = line.startswith("@")
        pieces[-1][0].append(line)
    return [("\n".join(lines) + "\n", number) for lines, number in pieces]


def _syntax_problem(error: BaseException, cell: Cell, source: Source, names: frozenset[str]) -> str:
    subject = " and ".join(sorted(names)) or "A part of the file"
    if not isinstance(error, SyntaxError) or not error.lineno:
        return f"{subject} cannot be read as Python ({type(error).__name__}: {error})."
    where = source.where(cell.filename, error.lineno)
    return f"{subject} cannot be read as Python: syntax error at {where}: {cleaned(error.msg)}."


def defined_names(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement would have given a value."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]


def mentioned_names(statement: ast.stmt) -> set[str]:
    """Names that a statement asks for."""
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
