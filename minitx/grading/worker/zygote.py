"""A process that has imported what answers need, and is forked for each of them in milliseconds.

It never runs a line of a submission itself. When the process that started it ends, however, it
ends its children and itself.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback

from minitx.grading.worker.child import serve

_BECOME_SUBREAPER = 36  # of Linux's prctl: orphans below this process become its children
_ROUNDS = 50
_LOOK = 0.005  # seconds between two looks


def main(control: socket.socket, modules: list[str]) -> None:
    """Imports the modules and forks on request, until the other side of `control` closes."""
    for name in modules:
        importlib.import_module(name)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_BECOME_SUBREAPER, 1, 0, 0, 0)
    gc.freeze()
    children: set[int] = set()
    try:
        while True:
            request, descriptors, _, _ = socket.recv_fds(control, 100, 3)
            if not request:
                return
            message = json.loads(request)
            if "end" in message:
                children.discard(message["end"])
                reply = {"status": _end(message["end"], children, message["grace"])}
            else:
                child = os.fork()
                if child == 0:
                    _become_child(control, descriptors)
                children.add(child)
                for descriptor in descriptors:
                    os.close(descriptor)
                reply = {"child": child}
            control.sendall(json.dumps(reply).encode() + b"\n")
    finally:
        for child in list(children):
            children.discard(child)
            _end(child, children)


def _become_child(control: socket.socket, descriptors: list[int]) -> None:
    """Serves, and leaves without a trace: never returns."""
    status = 1
    try:
        control.close()
        requests, replies, stacks = descriptors
        with open(requests, "rb") as r, open(replies, "wb") as w, open(stacks, "wb", 0) as s:
            serve(r, w, s)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _end(child: int, others: set[int], grace: float = 0.0) -> int:
    """Kills a child with all that it started; its exit code, or minus the signal it died of.

    A child that is about to die by itself is given the time, so that its own reason is known.
    """
    until = time.monotonic() + grace
    while not _is_over(child) and time.monotonic() < until:
        time.sleep(_LOOK)
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(child, signal.SIGKILL)  # before it had a group of its own
    _, status = os.waitpid(child, 0)
    for _ in range(_ROUNDS):
        strays = _children() - others
        if not strays:
            break
        for stray in strays:
            with contextlib.suppress(OSError):
                os.kill(stray, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(stray, 0)
    return os.waitstatus_to_exitcode(status)


def _is_over(child: int) -> bool:
    over = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return over is not None


def _children() -> set[int]:
    """Processes below this one, where the system lists them."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as stream:
            return {int(number) for number in stream.read().split()}
    except OSError:
        return set()
