"""Running a file of answers statement by statement: an exception costs one statement.

What does not end is stopped from outside, with the process; the file is then read once more, and
told what to leave out.
"""

import __future__

import ast
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from minitx.grading.calling import Problem
from minitx.grading.cells import (
    Cell,
    defined_names,
    mentioned_names,
    quotable,
    read_cells,
    source_of,
    statements_of,
)
from minitx.grading.quiet import quietly, reading
from minitx.grading.report import WHILE_READING
from minitx.grading.source import one_line
from minitx.grading.worker.submission import Submission

STATEMENT_SECONDS = 3.0  # of CPU
IMPORT_SECONDS = 30.0  # a first `import torch` on a slow disk
FILE_SECONDS = 15.0  # of CPU, for all that is no import; then only definitions are still run
_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom


@dataclass
class Experience:
    """What earlier readings of a file have shown."""

    stopped: dict[tuple[str, int], str] = field(default_factory=dict)  # file, line: what happened
    endless: set[str] = field(default_factory=set)  # functions that did not end


@dataclass(frozen=True)
class Limits:
    """How long the parts of a file may take, in seconds of CPU."""

    statement: float = STATEMENT_SECONDS
    imports: float = IMPORT_SECONDS
    file: float = FILE_SECONDS


def load(
    path: Path,
    cells: list[Cell] | None = None,
    experience: Experience | None = None,
    *,
    limits: Limits | None = None,
    limited: Callable[[float], AbstractContextManager[object]] = lambda seconds: nullcontext(),
    before: Callable[[str, int], None] = lambda filename, line: None,
) -> Submission:
    """Runs the cells of a file.

    Args:
        path: where the file lies; modules beside it can be imported.
        cells: its code, where it has been read already.
        experience: what is to be left out.
        limits: how long its parts may take.
        limited: a context that stops the process after so many seconds of CPU.
        before: told file and line of each statement before it runs.

    Raises:
        CourseError: if the file is not there or cannot be read at all.
    """
    cells = read_cells(path) if cells is None else cells
    quotable(cells)
    submission = Submission(
        {"__name__": "submission", "__file__": str(path), "__builtins__": __builtins__},
        origin=path.name,
        source=source_of(cells),
    )
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    loader = _Loader(submission, experience or Experience(), limits or Limits(), limited, before)
    with reading(), quietly(seed=0) as said:
        for cell in cells:
            loader.run(cell)
    submission.printed = said.text
    return submission


class _Loader:
    """Runs statements into a submission's namespace."""

    def __init__(
        self,
        submission: Submission,
        experience: Experience,
        limits: Limits,
        limited: Callable[[float], AbstractContextManager[object]],
        before: Callable[[str, int], None],
    ) -> None:
        self.submission = submission
        self.experience = experience
        self.limits = limits
        self.limited = limited
        self.before = before
        self.flags = 0  # of `from __future__`, for what stands behind it
        self.left = limits.file
        self.endless = set(experience.endless)

    def run(self, cell: Cell) -> None:
        source, problems = self.submission.source, self.submission.problems
        for statement in statements_of(cell, source, problems):
            self.before(cell.filename, statement.lineno)
            problem = self._left_out(cell, statement) or self._run(cell, statement)
            if problem:
                problems.append(problem)

    def _left_out(self, cell: Cell, statement: ast.stmt) -> Problem | None:
        end = statement.end_lineno or statement.lineno
        for (filename, line), text in self.experience.stopped.items():
            if filename == cell.filename and statement.lineno <= line <= end:
                return Problem(text, frozenset(defined_names(statement)))
        needed = mentioned_names(statement) & self.endless if self.endless else set()
        if isinstance(statement, _DEFINITIONS):
            if needed and isinstance(statement, ast.FunctionDef | ast.ClassDef):
                self.endless.add(statement.name)
            return None
        if needed:
            why = f"needs {' and '.join(sorted(needed))}, which did not end"
        elif self.left <= 0:
            why = "stands behind what takes too long"
        else:
            return None
        where = self.submission.source.where(cell.filename, statement.lineno)
        text = f"{WHILE_READING}{where} was not run: it {why}."
        return Problem(text, frozenset(defined_names(statement)), aside=True)

    def _run(self, cell: Cell, statement: ast.stmt) -> Problem | None:
        """Runs one statement and says what goes wrong.

        What a try-it cell runs into is the business of whoever tries it, and the checks say it
        better; it is noted aside, for the case that a graded function misses a name because of it.
        """
        is_import = isinstance(statement, ast.Import | ast.ImportFrom)
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                feature = getattr(__future__, alias.name, None)
                self.flags |= feature.compiler_flag if feature else 0
        began = time.process_time()
        error: BaseException | None = None
        with self.limited(self.limits.imports if is_import else self.limits.statement):
            try:
                module = ast.Module([statement], type_ignores=[])
                code = compile(module, cell.filename, "exec", flags=self.flags, dont_inherit=True)
                exec(code, self.submission.namespace)
            except BaseException as caught:
                error = caught
            text, aside = "", not isinstance(statement, _DEFINITIONS)
            if isinstance(error, SystemExit):
                source = self.submission.source
                name, line = source.line_of(error) or (cell.filename, statement.lineno)
                text = f"The file ends the program at {source.where(name, line)}: take that out."
                last = statement.end_lineno or statement.lineno
                here = name == cell.filename and statement.lineno <= line <= last
                aside = not here  # but in a function, whose checks say it
            elif error is not None:
                text = self._exception(error, cell, statement)
        if not is_import:
            self.left -= time.process_time() - began
        return Problem(text, frozenset(defined_names(statement)), aside) if text else None

    def _exception(self, error: BaseException, cell: Cell, statement: ast.stmt) -> str:
        source = self.submission.source
        line = error.lineno if isinstance(error, SyntaxError) else None
        where = source.where(*(source.line_of(error) or (cell.filename, line or statement.lineno)))
        message = one_line(error)
        if isinstance(error, ModuleNotFoundError):
            return f"{message} (imported at {where}): the exercises need only what they come with."
        if isinstance(error, NotImplementedError) and message.startswith("Exercise"):
            return f"{where} needs an exercise that has no answer yet."
        return f"{WHILE_READING}{type(error).__name__} at {where}: {message}"
