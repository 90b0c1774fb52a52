"""Stopping code that does not end, on any system, in a notebook too, with the line it was in.

A timer thread watches the clock. When time is up it notes the learner's line and raises `TimeUp`
inside the running thread. A bare `except:` may swallow it, and always at the same place; so every
`TimeUp` that is made installs a trace function that raises the next one a few instructions later,
each time one further, until it strikes outside of every `try`.
"""

import _thread
import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_AGAIN = 0.01  # seconds between two attempts of the timer thread
_LANDING = range(3)


class TimeUp(BaseException):
    """Raised inside code that ran too long. No `except Exception` catches it."""

    def __init__(self) -> None:
        super().__init__("time is up")
        limit = _running.get(threading.get_ident())
        if limit is not None and limit.expired:
            limit.insist()


class TimeLimit:
    """Runs code for `seconds` at most.

    Afterwards `expired` says whether it was stopped, and `line` which line of a file for which
    `is_mine(filename)` holds was running then: file name and line number, or None.
    """

    def __init__(self, seconds: float, is_mine: Callable[[str], bool] = lambda name: True) -> None:
        self.seconds = seconds
        self.is_mine = is_mine
        self.expired = False
        self.line: tuple[str, int] | None = None
        self._over = False
        self._attempts = 0
        self._wake, self._ended = _thread.allocate_lock(), _thread.allocate_lock()

    def run(self, work: Callable[[], object]) -> None:
        """Calls `work`; exceptions and Ctrl-C pass through, `TimeUp` ends here.

        The timer thread never strikes while this file's code runs. So one `TimeUp` at most can be
        on its way when `work` has ended, and it is received in the empty loops: the interpreter
        looks for it at every turn.
        """
        self._open()
        try:
            try:
                work()
            finally:
                for _ in _LANDING:
                    pass
        except TimeUp:
            try:
                for _ in _LANDING:
                    pass
            except TimeUp:
                pass
        finally:
            self._close()

    def _open(self) -> None:
        self._thread = threading.get_ident()
        self._outer = _running.get(self._thread)
        self._trace = sys.gettrace()
        self._poke = _Poke()
        self._wake.acquire()
        self._ended.acquire()
        _running[self._thread] = self
        _thread.start_new_thread(self._watch, ())

    def _close(self) -> None:
        self._over = True
        self._wake.release()
        self._ended.acquire()
        if self.expired:
            sys.settrace(self._trace)
        self._poke.close()
        if self._outer is None:
            del _running[self._thread]
        else:
            _running[self._thread] = self._outer

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
        while frame is not None and frame.f_code is not _RUN:
            if self._traced(frame):
                frame.f_trace = instruction
                frame.f_trace_opcodes = True
            frame = frame.f_back
        sys.settrace(call)

    def _traced(self, frame: FrameType) -> bool:
        name = frame.f_code.co_filename
        return name != __file__ and self.is_mine(name)

    def _watch(self) -> None:
        self._wake.acquire(timeout=self.seconds)
        if not self._over:
            self.line = self._current_line()
            self.expired = True
        while not self._over:
            frame = sys._current_frames().get(self._thread)
            if frame is not None and frame.f_code.co_filename != __file__:
                _raise_in(self._thread, TimeUp)
                self._poke.send(self._thread)
            del frame
            time.sleep(_AGAIN)
        self._ended.release()

    def _current_line(self) -> tuple[str, int] | None:
        frame = sys._current_frames().get(self._thread)
        while frame is not None and frame.f_code is not _RUN:
            if self._traced(frame):
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return None


_RUN = TimeLimit.run.__code__
_running: dict[int, TimeLimit] = {}


def _raise_in(thread: int, kind: type[BaseException]) -> None:
    """Has an exception raised in another thread, soon."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))


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
