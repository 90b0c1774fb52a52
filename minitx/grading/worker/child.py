"""The process in which a submission runs: it reads the file, answers calls, and may die of them.

Its three pipes: requests come in, replies go out, and a third carries Python's stack when time is
up. The stack is written by a signal handler in C, which no loop of the submission's, in Python or
in C, can keep from running; the other side then ends this process.
"""

import contextlib
import faulthandler
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from minitx.grading.cells import Cell
from minitx.grading.frames import read_frame, write_frame
from minitx.grading.limits import patience
from minitx.grading.messages import pack_facts, pack_outcome
from minitx.grading.objects import Objects
from minitx.grading.wire import unpack
from minitx.grading.worker.guarded import guarded
from minitx.grading.worker.loading import Experience, Limits, load
from minitx.grading.worker.local import UnlimitedCaller

EXTRA_MEMORY = 2**31  # bytes of address space beyond what the libraries take


def serve(requests: BinaryIO, replies: BinaryIO, stacks: BinaryIO) -> None:
    """Answers requests until there are no more."""
    _alone()
    _limit_memory()
    limited = _Clock(stacks)
    caller: UnlimitedCaller | None = None
    me = os.getpid()
    while (request := read_frame(requests)) is not None:
        message, body = request
        if message["do"] == "load":
            caller = _load(message, body, replies, limited)
            write_frame(replies, pack_facts(caller.facts))
        elif caller is not None:
            reply, chunks = _call(caller, message, body, limited)
            if os.getpid() != me:  # the submission has forked: one of the two goes on
                os._exit(0)
            write_frame(replies, reply, chunks)


def main(modules: list[str]) -> None:
    """Serves in a process of its own, where the system cannot fork: the pipes are 0, 1 and 2."""
    pipes = [os.dup(number) for number in (0, 1, 2)]
    for name in modules:
        importlib.import_module(name)
    with open(pipes[0], "rb") as r, open(pipes[1], "wb") as w, open(pipes[2], "wb", 0) as s:
        serve(r, w, s)
    os._exit(0)  # whatever threads the submission has left


def _load(
    message: dict[str, Any], body: bytes, replies: BinaryIO, limited: "_Clock"
) -> UnlimitedCaller:
    cells, at = [], 0
    for size, rest in zip(message["sizes"], message["cells"], strict=True):
        cells.append(Cell(body[at : at + size].decode("utf-8", "surrogatepass"), *rest))
        at += size
    stopped = {(filename, line): text for filename, line, text in message["stopped"]}

    def before(filename: str, line: int) -> None:
        if message["careful"]:
            write_frame(replies, {"at": [filename, line]})

    submission = load(
        Path(message["path"]),
        cells,
        Experience(stopped, set(message["endless"])),
        limits=Limits(*message["limits"]),
        limited=limited,
        before=before,
    )
    return UnlimitedCaller(submission, Objects(guarded))


def _call(
    caller: UnlimitedCaller, message: dict[str, Any], body: bytes, limited: "_Clock"
) -> tuple[dict[str, Any], Any]:
    args, kwargs, cotangent = unpack(message["alive"], body)
    target = message["target"]
    with limited(message["seconds"]):
        outcome = caller.call(
            target if isinstance(target, str) else tuple(target),
            tuple(args),
            kwargs,
            seconds=message["seconds"],
            seed=message["seed"],
            count=message["count"],
            closed=tuple(message["closed"]),
            cotangent=cotangent,
            parameters=message["parameters"],
        )
    return pack_outcome(outcome)


class _Clock:
    """A context in which the stack is told after so many seconds of CPU, or many more of sleep."""

    def __init__(self, stacks: BinaryIO) -> None:
        self.stacks = stacks
        faulthandler.enable(stacks, all_threads=False)  # a crash tells its line as well
        self.timers = hasattr(signal, "setitimer")
        if self.timers:
            for number in (signal.SIGPROF, signal.SIGALRM):
                faulthandler.register(number, file=stacks, all_threads=False)

    @contextlib.contextmanager
    def __call__(self, seconds: float) -> Iterator[None]:
        self._set(seconds)
        try:
            yield
        finally:
            self._set(0.0)

    def _set(self, seconds: float) -> None:
        if self.timers:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.setitimer(signal.ITIMER_REAL, patience(seconds) if seconds else 0.0)
        elif seconds:
            faulthandler.dump_traceback_later(patience(seconds), file=self.stacks)
        else:
            faulthandler.cancel_dump_traceback_later()


def _alone() -> None:
    """A session of its own, and no terminal to read from or to write to."""
    if hasattr(os, "setsid"):
        with contextlib.suppress(OSError):  # spawned as one already
            os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _limit_memory() -> None:
    """No more than `EXTRA_MEMORY` beyond what is taken now, where the system can say so."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as stream:
            taken = int(stream.read().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + EXTRA_MEMORY, most))
