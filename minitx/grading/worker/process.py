"""A file of answers, graded in a process of its own.

    with process_caller(path, needs_torch=chapter.needs_torch) as caller:
        report = assess_all(chapter, exercises, caller)

Each file runs in a fresh process, which may hang, crash or kill itself: the call in question then
has the outcome "timeout" or "died", and the next call gets a new process that has read the file
again. The first caller of a program starts a process that imports what answers need (some tenths
of a second, with torch some seconds); all further ones are forked from it. Call `warm_up` as early
as possible to have that done beside other work.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minitx.grading.calling import Counted, Facts, Outcome, Problem, Target
from minitx.grading.cells import read_cells, source_of
from minitx.grading.frames import Garbage
from minitx.grading.limits import patience
from minitx.grading.messages import unpack_facts, unpack_outcome
from minitx.grading.report import WHILE_READING
from minitx.grading.wire import pack
from minitx.grading.worker.connection import Connection, Gone, Late, Spot
from minitx.grading.worker.loading import Experience, Limits
from minitx.grading.worker.starting import Starter, starter_for

_READINGS = 8  # of one file; each further one leaves out what stopped the one before


@contextlib.contextmanager
def process_caller(
    path: Path, *, needs_torch: bool, limits: Limits | None = None
) -> Iterator["ProcessCaller"]:
    """A caller of the functions of a `.py` file or an `.ipynb` notebook.

    Args:
        path: the file.
        needs_torch: whether its chapter uses torch; a file may import it all the same.
        limits: how long the parts of the file may take.

    Raises:
        CourseError: if the file is not there or cannot be read at all.
        GraderError: if no process can be started.
    """
    caller = ProcessCaller(path, starter_for(needs_torch), limits or Limits())
    with contextlib.closing(caller), _one_thread():
        yield caller


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The judge computes in one thread beside its worker: several would wait for each other."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    try:
        if torch and before > 1:
            torch.set_num_threads(1)
        yield
    finally:
        if torch and before > 1:
            torch.set_num_threads(before)


class ProcessCaller:
    """Calls the functions of a file in another process, and starts a new one when that dies."""

    def __init__(self, path: Path, starter: Starter, limits: Limits) -> None:
        self._path = path
        self._cells = read_cells(path)
        self._source = source_of(self._cells)
        self._names = {_as_dumped(name): name for name in self._source.places}
        self._starter = starter
        self._limits = limits
        self._left = limits.file  # seconds for reading, of which hanging statements take theirs
        self._experience = Experience()
        self._facts: Facts | None = None
        self._worker: Connection | None = None
        self._hopeless = ""  # why the file cannot be read to its end

    @property
    def facts(self) -> Facts:
        self._ready()
        assert self._facts is not None
        return self._facts

    def call(
        self,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        seconds: float,
        seed: int,
        count: Counted = False,
        closed: tuple[str, ...] = (),
        cotangent: Any = None,
        parameters: bool = False,
    ) -> Outcome:
        worker = self._ready()
        if worker is None:
            return Outcome("died", text=self._hopeless)
        chunks: list[bytes] = []
        message = {
            "do": "call",
            "target": target,
            "alive": pack((args, kwargs, cotangent), chunks),
            "seconds": seconds,
            "seed": seed,
            "count": count,
            "closed": closed,
            "parameters": parameters,
        }
        try:
            worker.send(message, chunks)
            return unpack_outcome(*worker.receive(2 * patience(seconds)))
        except Late as late:
            spots = self._learners(late.stack)
            self.close()
            text = self._source.endless(seconds, spots[0][:2] if spots else None)
            return Outcome("timeout", text=text, seconds=seconds)
        except Gone as gone:
            self.close()
            spots = self._learners(gone.stack)
            at = f" at {self._source.where(*spots[0][:2])}" if spots else ""
            return Outcome("died", text=f"it {gone}{at}.")
        except Garbage as garbage:
            self.close()
            return Outcome("died", text=f"it answered with {garbage}.")

    def close(self) -> None:
        """Ends the process, if there is one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ready(self) -> Connection | None:
        """A worker that has read the file; None where that cannot be done."""
        careful = False
        for _ in range(_READINGS):
            if self._worker is not None or self._hopeless:
                return self._worker
            worker, at = self._starter.start(), ("", 0)
            question = self._reading(careful)
            try:
                worker.send(*question)
                message, _ = worker.receive(self._patience())
                while "at" in message:
                    at = (str(message["at"][0]), int(message["at"][1]))
                    message, _ = worker.receive(self._patience())
                self._facts = unpack_facts(message, self._path.name)
                self._worker = worker
            except Late as late:
                worker.close()
                self._learn(self._learners(late.stack))
            except (Gone, Garbage, KeyError, IndexError, TypeError, ValueError) as gone:
                worker.close()
                for last, _ in gone.said if isinstance(gone, Gone) else ():
                    at = (str(last["at"][0]), int(last["at"][1])) if "at" in last else at
                if at[0]:
                    where = self._source.where(*at)
                    text = f"{where} ended the process it was read in, which {gone}."
                    self._experience.stopped[at] = f"{WHILE_READING}{text}"
                careful = True
        if self._worker is None and not self._hopeless:
            self._give_up("it stops the process that reads it again and again")
        return self._worker

    def _reading(self, careful: bool) -> tuple[dict[str, Any], list[bytes]]:
        limits, seen = self._limits, self._experience
        chunks = [cell.text.encode("utf-8", "surrogatepass") for cell in self._cells]
        message = {
            "do": "load",
            "path": str(self._path.absolute()),
            "cells": [[cell.filename, cell.first_line, cell.place] for cell in self._cells],
            "sizes": [len(chunk) for chunk in chunks],
            "stopped": [[*spot, text] for spot, text in seen.stopped.items()],
            "endless": sorted(seen.endless),
            "limits": [limits.statement, limits.imports, self._left],
            "careful": careful,
        }
        return message, chunks

    def _learn(self, spots: list[Spot]) -> None:
        """What did not end: the statement is left out next time, and what needs its function."""
        if not spots:
            self._give_up("reading it does not come to an end")
            return
        limit = self._limits.statement
        self._left -= limit
        file, line, _ = spots[-1]
        text = self._source.endless(limit, spots[0][:2])
        self._experience.stopped[file, line] = f"{WHILE_READING}{text}"
        self._experience.endless |= {name for _, _, name in spots if name.isidentifier()}

    def _give_up(self, reason: str) -> None:
        self._hopeless = f"the file cannot be used: {reason}."
        problems = [Problem(text) for text in self._experience.stopped.values()]
        self._facts = Facts(self._path.name, (*problems, Problem(self._hopeless)))

    def _learners(self, stack: list[Spot]) -> list[Spot]:
        """Those of a stack's lines that the learner wrote, innermost first."""
        return [(self._names[f], line, name) for f, line, name in stack if f in self._names]

    def _patience(self) -> float:
        return 2 * patience(self._limits.imports)


def _as_dumped(filename: str) -> str:
    """A file's name as it stands in a stack that was written by a signal handler."""
    escaped = filename.encode("ascii", "backslashreplace").decode()
    return escaped if len(filename) <= 500 else escaped[:500] + "..."
