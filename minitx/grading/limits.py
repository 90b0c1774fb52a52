"""Stopping code that does not end, on any system, in a notebook too, with the line it was in.

A timer thread watches the clock. When time is up it notes the learner's line and raises `TimeUp`
inside the running thread. A bare `except:` may swallow it, and always at the same place; so every
`TimeUp` that is made installs a trace function that raises the next one a few instructions later,
each time one further, until it strikes outside of every `try`.
"""

import ctypes
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_AGAIN = 0.01  # seconds between two attempts of the timer thread


class TimeUp(BaseException):
    """Raised inside code that ran too long. No `except Exception` catches it."""

    def __init__(self) -> None:
        super().__init__("time is up")
        limit = _running.get(threading.get_ident())
        if limit is not None and limit.expired:
            limit.insist()


class time_limit:  # noqa: N801  (reads as a statement: `with time_limit(5)`)
    """Context manager: the block is stopped after `seconds`.

    Afterwards `expired` says whether that happened, and `line` which line of a file for which
    `is_mine(filename)` holds was running: file name and line number, or None. The block swallows
    `TimeUp`: look at `expired`. A Ctrl-C passes through.
    """

    def __init__(self, seconds: float, is_mine: Callable[[str], bool] = lambda name: True) -> None:
        self.seconds = seconds
        self.is_mine = is_mine
        self.expired = False
        self.line: tuple[str, int] | None = None
        self._over = False
        self._attempts = 0
        self._wake = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        self._outer = _running.get(self._thread)
        self._caller = sys._getframe(1)
        self._trace = sys.gettrace()
        _running[self._thread] = self
        self._poke = _Poke()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="time limit")
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._over = True
        while True:  # a last TimeUp may arrive anywhere in here
            try:
                self._wake.set()
                self._watcher.join()
                _raise_in(self._thread, None)
                break
            except TimeUp:
                continue
        if self.expired:
            sys.settrace(self._trace)
        self._poke.close()
        del self._caller
        if self._outer is None:
            _running.pop(self._thread, None)
        else:
            _running[self._thread] = self._outer
        return kind is not None and issubclass(kind, TimeUp)

    def insist(self) -> None:
        """Has the next `TimeUp` raised some instructions further on in the learner's code."""
        if self._over:
            return
        self._attempts += 1
        left = self._attempts

        def instruction(frame: FrameType, event: str, _: object) -> Any:
            nonlocal left
            left -= 1
            if left < 0 and not self._over:
                raise TimeUp
            return None if self._over else instruction

        def call(frame: FrameType, event: str, _: object) -> Any:
            if self._over or not self._traced(frame):
                return None
            frame.f_trace_opcodes = True
            return instruction

        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self._caller:
            if self._traced(frame):
                frame.f_trace = instruction
                frame.f_trace_opcodes = True
            frame = frame.f_back
        sys.settrace(call)

    def _traced(self, frame: FrameType) -> bool:
        name = frame.f_code.co_filename
        return name != __file__ and self.is_mine(name)

    def _watch(self) -> None:
        if self._wake.wait(self.seconds) or self._over:
            return
        self.line = self._current_line()
        self.expired = True
        while not self._over:
            _raise_in(self._thread, TimeUp)
            self._poke.send(self._thread)
            self._wake.wait(_AGAIN)

    def _current_line(self) -> tuple[str, int] | None:
        frame = sys._current_frames().get(self._thread)
        while frame is not None and frame is not self._caller:
            if self._traced(frame):
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return None


_running: dict[int, time_limit] = {}


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Has an exception raised in another thread; None takes back one not yet delivered."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if kind is None else ctypes.py_object(kind)
    )


class _Poke:
    """Wakes a main thread that sleeps in a system call, where the system can do that."""

    def __init__(self) -> None:
        self._usable = (
            threading.current_thread() is threading.main_thread()
            and hasattr(signal, "pthread_kill")
            and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        )
        if self._usable:
            signal.signal(signal.SIGALRM, lambda number, frame: None)

    def send(self, thread: int) -> None:
        if self._usable:
            signal.pthread_kill(thread, signal.SIGALRM)

    def close(self) -> None:
        if self._usable:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            self._usable = False
