"""Reading a learner's file: whatever is in it, the grader goes on with what can be used.

A file is read cell by cell and run statement by statement. A syntax error costs the piece of the
file it stands in; an exception costs one statement.
"""

import __future__

import ast
import json
import linecache
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minitx.grading.calling import Problem
from minitx.grading.errors import CourseError
from minitx.grading.quiet import quietly, reading
from minitx.grading.report import WHILE_READING
from minitx.grading.source import Source, one_line
from minitx.grading.worker.ipynb import python_sources
from minitx.grading.worker.limits import TimeLimit
from minitx.grading.worker.submission import Submission

STATEMENT_SECONDS = 5.0
IMPORT_SECONDS = 120.0  # a first `import torch` can take long, and must not be stopped half way
_CELL = re.compile(r"^#\s*%%", re.MULTILINE)
_PIECE = re.compile(r"^(?:@|def |async def |class |import |from |if |for |while |with )")
_DEFINES = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom


@dataclass(frozen=True)
class Cell:
    """A piece of source with the name and first line under which errors are reported."""

    text: str
    filename: str
    first_line: int


def load(path: Path) -> Submission:
    """Reads a `.py` file or an `.ipynb` notebook.

    Raises:
        CourseError: if it is not there or cannot be read at all.
    """
    return _run(path, *read_cells(path))


def read_cells(path: Path) -> tuple[list[Cell], dict[str, str]]:
    """The code of a file, and how each part of it is called in front of the learner.

    Raises:
        CourseError: if it is not there or cannot be read at all.
    """
    if path.is_dir():
        raise CourseError(f"{path} is a folder; name the .py file or the notebook in it.")
    if not path.exists():
        raise CourseError(f"There is no file {path}.")
    if path.suffix == ".ipynb":
        return _notebook_cells(path)
    if path.suffix != ".py":
        raise CourseError(f"{path} is neither a .py file nor an .ipynb notebook.")
    return _python_cells(path)


def _python_cells(path: Path) -> tuple[list[Cell], dict[str, str]]:
    text = _decode(path)
    filename = str(path)
    cells = [Cell(part, filename, line) for part, line in split_cells(text)]
    linecache.checkcache(filename)
    return cells, {filename: ""}


def split_cells(text: str) -> list[tuple[str, int]]:
    """The text cut in front of every `# %%`, each part with its first line's number."""
    starts = sorted({0, *(match.start() for match in _CELL.finditer(text))})
    return [
        (text[a:b], text.count("\n", 0, a) + 1)
        for a, b in zip(starts, [*starts[1:], len(text)], strict=True)
    ]


def _decode(path: Path) -> str:
    """The text, in the encoding the file declares, UTF-8 by default."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror or error}.") from None
    if b"\0" in raw:
        raise CourseError(f"{path} is not text: is it really a Python file?")
    try:
        with path.open("rb") as stream:
            encoding, _ = tokenize.detect_encoding(stream.readline)
        text = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        raise CourseError(f"{path} is not saved as UTF-8: choose UTF-8 in your editor.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _notebook_cells(path: Path) -> tuple[list[Cell], dict[str, str]]:
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
        sources = list(python_sources(document))
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise CourseError(
            f"{path} is damaged: it does not hold a notebook (JSON). Save it again in Jupyter or "
            "Colab, or take a copy from work/backups."
        ) from None
    cells, places = [], {}
    for number, source in sources:
        filename = f"{path} cell {number}"
        cells.append(Cell(source, filename, 1))
        places[filename] = f" of code cell {number}"
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)
    return cells, places


def _run(path: Path, cells: list[Cell], places: dict[str, str]) -> Submission:
    submission = Submission(
        {"__name__": "submission", "__file__": str(path), "__builtins__": __builtins__},
        origin=path.name,
        source=Source(places),
    )
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for modules the learner keeps beside the file
    flags = 0
    with reading(), quietly(seed=0) as said:
        for cell in cells:
            flags = _run_cell(cell, submission, flags)
    submission.printed = said.text
    return submission


def _run_cell(cell: Cell, submission: Submission, flags: int) -> int:
    """Runs a cell; returns the `from __future__` flags for those behind it."""
    for statement in statements_of(cell, submission):
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                feature = getattr(__future__, alias.name, None)
                flags |= feature.compiler_flag if feature else 0
        _run_statement(statement, cell, submission, flags)
    return flags


def statements_of(cell: Cell, submission: Submission) -> Iterator[ast.stmt]:
    """The statements of a cell; where it does not parse, those of the pieces that do."""
    try:
        yield from _parse(cell.text, cell.first_line)
        return
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pieces = pieces_of(cell.text, cell.first_line)
    for text, line in pieces:
        try:
            yield from _parse(text, line)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            names = frozenset(_DEFINES.findall(text))
            problem = _syntax_problem(error, cell, submission, names)
            submission.problems.append(Problem(problem, names))


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


def _syntax_problem(
    error: BaseException, cell: Cell, submission: Submission, names: frozenset[str]
) -> str:
    subject = " and ".join(sorted(names)) or "A part of the file"
    if not isinstance(error, SyntaxError) or not error.lineno:
        return f"{subject} cannot be read as Python ({type(error).__name__}: {error})."
    where = submission.source.where(cell.filename, error.lineno)
    return f"{subject} cannot be read as Python: syntax error at {where}: {error.msg}."


def _run_statement(statement: ast.stmt, cell: Cell, submission: Submission, flags: int) -> None:
    """Runs one statement and notes what goes wrong.

    What a try-it cell runs into is the business of whoever tries it, and the checks say it better;
    it is noted aside, for the case that a graded function misses a name because of it.
    """
    is_import = isinstance(statement, ast.Import | ast.ImportFrom)
    seconds = IMPORT_SECONDS if is_import else STATEMENT_SECONDS
    limit = TimeLimit(seconds, submission.source.is_mine)
    text, aside = "", not isinstance(statement, _DEFINITIONS)

    def work() -> None:
        nonlocal text, aside
        try:
            module = ast.Module([statement], type_ignores=[])
            code = compile(module, cell.filename, "exec", flags=flags, dont_inherit=True)
            exec(code, submission.namespace)
        except SystemExit:
            where = submission.source.where(cell.filename, statement.lineno)
            text, aside = f"The file ends the program at {where}: take that out.", False
        except Exception as error:
            text = _exception_problem(error, cell, statement, submission)

    limit.run(work)
    if limit.expired:
        stopped = submission.source.endless(seconds, limit.line)
        text, aside = f"{WHILE_READING}{stopped}", False
    if text:
        submission.problems.append(Problem(text, frozenset(defined_names(statement)), aside))


def _exception_problem(
    error: Exception, cell: Cell, statement: ast.stmt, submission: Submission
) -> str:
    spot = submission.source.line_of(error)
    line = getattr(error, "lineno", None) or statement.lineno
    where = submission.source.where(*(spot or (cell.filename, line)))
    message = one_line(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{message} (imported at {where}): the exercises need only what they come with."
    if isinstance(error, NotImplementedError) and message.startswith("Exercise"):
        return f"{where} needs an exercise that has no answer yet."
    return f"{WHILE_READING}{type(error).__name__} at {where}: {message}"


def defined_names(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement would have given a value."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
