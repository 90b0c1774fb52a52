"""Starting the processes in which submissions run."""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from functools import cache
from typing import Any, Protocol

from minitx.grading.errors import GraderError
from minitx.grading.worker.connection import Connection

FORKS = sys.platform.startswith("linux")  # macOS has libraries that a fork breaks; Windows no fork
_ALWAYS = ["numpy", "minitx.numpy_core", "minitx.grading", "minitx.grading.learner.notebook"]
_TORCH = ["torch", "minitx.functional"]
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_BEGIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
_ZYGOTE = _BEGIN + (
    "import socket; from minitx.grading.worker.zygote import main; "
    "main(socket.socket(fileno=int(sys.argv[2])), sys.argv[3:])"
)
_CHILD = _BEGIN + "from minitx.grading.worker.child import main; main(sys.argv[2:])"


class Starter(Protocol):
    """Starts workers."""

    def start(self) -> Connection: ...


@cache
def starter_for(needs_torch: bool) -> Starter:
    """The program's starter for chapters with or without torch."""
    modules = _ALWAYS + _TORCH * needs_torch
    return Forking(modules) if FORKS else Spawning(modules)


def warm_up(*, needs_torch: bool) -> None:
    """Begins to import what answers need, in the background, before the first is there."""
    starter_for(needs_torch)


class Forking:
    """Has workers forked from a process that has imported what they need."""

    def __init__(self, modules: list[str]) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [*_python(_ZYGOTE), str(theirs.fileno()), *modules],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=[theirs.fileno()],
            env=_environment(),
            start_new_session=True,
        )
        theirs.close()
        atexit.register(self.close)

    def start(self) -> Connection:
        pipes = [_pipe(to_worker) for to_worker in (True, False, False)]
        theirs = [worker_end for _, worker_end in pipes]
        try:
            child = self._ask({}, [each.fileno() for each in theirs])["child"]
        finally:
            for each in theirs:
                each.close()
        requests, replies, stacks = (our_end for our_end, _ in pipes)

        def end(grace: float) -> int:
            return int(self._ask({"end": child, "grace": grace})["status"])

        return Connection(requests, replies, stacks, end)

    def close(self) -> None:
        """Ends it, and with it all workers."""
        self._control.close()
        self._errors.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def _ask(self, message: dict[str, Any], descriptors: list[int] | None = None) -> Any:
        with self._lock:
            try:
                raw = json.dumps(message).encode()
                socket.send_fds(self._control, [raw], descriptors or [])
                answer = self._control.recv(1000)
            except OSError:
                answer = b""
        if not answer:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().split("\n")[-1]
            raise GraderError(f"No process could be started to grade in ({last or 'no reason'}).")
        return json.loads(answer)


class Spawning:
    """Starts every worker anew, where a process cannot be forked."""

    def __init__(self, modules: list[str]) -> None:
        self._modules = modules

    def start(self) -> Connection:
        process = subprocess.Popen(
            [*_python(_CHILD), *self._modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )

        def end(grace: float) -> int:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
            with contextlib.suppress(OSError, AttributeError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            return process.wait()

        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        return Connection(process.stdin, process.stdout, process.stderr, end)  # type: ignore[arg-type]


def _python(program: str) -> list[str]:
    """The interpreter's command line; modules are found where this process finds them."""
    return [sys.executable, "-c", program, json.dumps([os.path.abspath(p) for p in sys.path])]


def _environment() -> dict[str, str]:
    """One thread for each worker, plots without a window, Triton's interpreter."""
    fixed = {"MPLBACKEND": "agg", "TRITON_INTERPRET": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), **fixed}


def _pipe(to_worker: bool) -> tuple[Any, Any]:
    """(our end, the worker's end)"""
    reading, writing = os.pipe()
    r, w = open(reading, "rb"), open(writing, "wb")  # noqa: SIM115
    return (w, r) if to_worker else (r, w)
