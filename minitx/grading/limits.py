"""Stopping Python code that does not end, in a notebook, with the line it was in.

A timer thread watches the CPU time of the thread that runs. When it is used up, it notes the
learner's line and raises `TimeUp` inside the running thread. A bare `except:` may swallow it, and
always at the same place; so every `TimeUp` that is made installs a trace function that raises the
next one a few instructions later, each time one further, until it strikes outside of every `try`.

No call into C is stopped by this: files are graded in a process of their own, which can be ended.
"""

import _thread
import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

from minitx.grading.invoke import Stop

T = TypeVar("T")
_AGAIN = 0.01  # seconds between two attempts of the timer thread


def patience(seconds: float) -> float:
    """Seconds of the clock on the wall that are granted for so many of CPU: others work too.

    Beside two others that compute, a process has a third of one core: 3 seconds for each of CPU.
    """
    return 4 * seconds + 5


class TimeUp(Stop):
    """Raised inside code that ran too long. No `except Exception` catches it."""

    def __init__(self) -> None:
        super().__init__("time is up")
        limit = _running.get(threading.get_ident())
        if limit is not None and limit.expired:
            limit.insist()


class TimeLimit:
    """Runs code for `seconds` of CPU at most, and `wall` seconds of the clock on the wall.

    Afterwards `expired` says whether it was stopped, and `line` which line of a file for which
    `is_mine(filename)` holds was running then: file name and line number, or None.
    """

    def __init__(
        self,
        seconds: float,
        is_mine: Callable[[str], bool] = lambda name: True,
        *,
        wall: float | None = None,
    ) -> None:
        self.seconds = seconds
        self.wall = patience(seconds) if wall is None else wall
        self.is_mine = is_mine
        self.expired = False
        self.line: tuple[str, int] | None = None
        self._over = False
        self._watching = False
        self._attempts = 0
        self._wake, self._ended = _thread.allocate_lock(), _thread.allocate_lock()

    def run(self, work: Callable[[], object]) -> None:
        """Calls `work`; exceptions and Ctrl-C pass through, `TimeUp` ends here.

        A `TimeUp` already on its way may strike behind `work`, even at the first instruction of
        `_settle`: hence it is called until it came through. It leaves nothing on the way.
        """
        self._prepare()
        try:
            try:
                self._start()
                work()
            finally:
                self._settle()
        except TimeUp:
            try:
                self._settle()
            except TimeUp:
                self._settle()
            if not self.expired:
                raise  # it was meant for a limit around this one
        finally:
            self._restore()

    def result(self, work: Callable[[], T]) -> T | None:
        """What `work` returns, or None if it was stopped; the standard streams are as before."""
        results: list[T] = []
        streams = sys.stdin, sys.stdout, sys.stderr
        self.run(lambda: results.append(work()))
        if not self.expired:
            return results[0]
        sys.stdin, sys.stdout, sys.stderr = streams  # it may have struck as they were put back
        return None

    def _prepare(self) -> None:
        self._thread = threading.get_ident()
        self._outer = _running.get(self._thread)
        self._trace = sys.gettrace()
        self._poke = _Poke()
        self._wake.acquire()
        self._ended.acquire()
        _running[self._thread] = self

    def _start(self) -> None:
        with suppress(RuntimeError):  # no thread to be had: then without a limit
            _thread.start_new_thread(self._watch, (_cpu_clock(self._thread),))

    def _settle(self, again: int = 3) -> None:
        """Ends the timer thread and receives what it may have sent; can be called twice.

        The thread says `_watching` before it looks at `_over`, and here `_over` is said before
        looking at `_watching`: either it is waited for, or it sees that nothing is left to do.
        """
        try:
            self._over = True
            if self._wake.locked():
                self._wake.release()
            while self._watching:
                self._ended.acquire(timeout=_AGAIN)
            for _ in range(3):  # the interpreter looks for a waiting exception at every turn
                pass
        except TimeUp:
            if again:
                self._settle(again - 1)

    def _restore(self) -> None:
        self._over = True
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

    def _watch(self, cpu: Callable[[], float]) -> None:
        # Until it runs, a new thread bears the number of the one that started it, and a TimeUp of
        # a limit around this one may strike it; then that limit goes on alone.
        try:
            self._watching = True
            until, began = time.monotonic() + self.wall, cpu()
            while not self._over and cpu() < began + self.seconds and time.monotonic() < until:
                self._wake.acquire(timeout=_AGAIN)
            if not self._over:
                self.line = self._current_line()
                self.expired = True
            while not self._over:
                _raise_in(self._thread, TimeUp)
                self._poke.send(self._thread)
                time.sleep(_AGAIN)
        finally:
            self._watching = False
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


def _cpu_clock(thread: int) -> Callable[[], float]:
    """A clock of the CPU time of a thread, or where the system has none, of the process."""
    try:
        number = time.pthread_getcpuclockid(thread)
    except (AttributeError, OSError):
        return time.process_time
    return lambda: time.clock_gettime(number)


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
