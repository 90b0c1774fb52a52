"""One worker, seen from the side that asks: a reply in time, or a reason why there is none."""

import contextlib
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO

from minitx.grading.frames import Garbage, read_frame, write_frame

_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
_LATE = (b"Stack (most recent call first)", b"Current thread", b"Timeout (", b"Thread ")
_CRASH = b"Fatal Python error"
_STACK_BYTES = 100_000
_GRACE = 1.0  # seconds for a worker that has hung up to leave by itself
_SETTLE = 0.2  # seconds in which the rest of a stack arrives

Reply = tuple[dict[str, Any], bytes]
Spot = tuple[str, int, str]  # file, line, function


class Late(Exception):
    """Time is up; `stack` is what the worker was doing, innermost first, where it could be told."""

    def __init__(self, stack: list[Spot]) -> None:
        super().__init__("time is up")
        self.stack = stack


class Gone(Exception):
    """The worker does not answer any more; the text is a sentence without a subject.

    `stack` is what it was doing, where it crashed and could tell; `said` are replies that were on
    their way: a crash may be heard of first, it comes through another pipe.
    """

    def __init__(self, text: str, stack: list[Spot] | None = None, said: Sequence[Reply] = ()):
        super().__init__(text)
        self.stack = stack or []
        self.said = said


class Connection:
    """Asks a worker; three threads do what may block, so that waiting always has an end."""

    def __init__(
        self, requests: BinaryIO, replies: BinaryIO, stacks: BinaryIO, end: Callable[[float], int]
    ) -> None:
        self._end = end
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._open = True
        for work, stream in (
            (self._write, requests),
            (self._read, replies),
            (self._listen, stacks),
        ):
            threading.Thread(target=work, args=(stream,), daemon=True).start()

    def send(self, message: dict[str, Any], chunks: Iterable[bytes] = ()) -> None:
        """Says something to the worker, without waiting.

        What it said before it was asked is forgotten: a stack that came too late for the last
        question, or a reply to none.
        """
        while not self._events.empty():
            event = self._events.get()
            if event[0] == "end":  # nothing comes behind it
                self._events.put(event)
                break
        self._outbox.put((message, list(chunks)))

    def receive(self, patience: float) -> Reply:
        """What the worker says next.

        Raises:
            Late: if its own clock has run out, or nothing comes for so many seconds.
            Gone: if it has died or says what makes no sense.
        """
        try:
            kind, what = self._events.get(timeout=patience)
        except queue.Empty:
            raise Late([]) from None
        if kind == "reply":
            return what
        rest, said = self._rest()
        dump = (what if kind == "stack" else b"") + rest
        if dump.startswith(_LATE):
            raise Late(_stack(dump))
        if kind == "stack" and not dump.startswith(_CRASH):
            raise Gone("wrote bytes that are no message where the grader reads")
        reason = what if kind == "end" and what else self._last_words()
        raise Gone(reason, _stack(dump), said)

    def close(self, grace: float = 0.0) -> int:
        """Ends the worker with all that it started; its exit code, negative for a signal."""
        if not self._open:
            return 0
        self._open = False
        self._outbox.put(None)
        return self._end(grace)

    def _rest(self) -> tuple[bytes, list[Reply]]:
        """What else arrives, of the stack and of replies."""
        rest, said, until = b"", [], time.monotonic() + _SETTLE
        with contextlib.suppress(queue.Empty):
            while len(rest) < _STACK_BYTES:
                kind, what = self._events.get(timeout=max(until - time.monotonic(), 0.0))
                rest += what if kind == "stack" else b""
                said += [what] if kind == "reply" else []
        return rest, said

    def _last_words(self) -> str:
        code = self.close(_GRACE)
        if code >= 0:
            return f"left with exit code {code}"
        return _SIGNALS.get(-code, f"was ended by signal {-code}")

    def _write(self, stream: BinaryIO) -> None:
        with contextlib.suppress(OSError), stream:
            while (item := self._outbox.get()) is not None:
                write_frame(stream, *item)

    def _read(self, stream: BinaryIO) -> None:
        end: tuple[str, Any] = ("end", "")
        try:
            with stream:
                while (reply := read_frame(stream)) is not None:
                    self._events.put(("reply", reply))
        except Garbage as error:
            end = ("end", f"wrote {error} where the grader reads")
        except OSError:
            pass
        self._events.put(end)

    def _listen(self, stream: BinaryIO) -> None:
        left = _STACK_BYTES
        with contextlib.suppress(OSError), stream:
            while left > 0 and (some := stream.read1(left)):  # type: ignore[attr-defined]
                left -= len(some)
                self._events.put(("stack", some))


_SIGNALS = {
    4: "crashed (SIGILL)",
    6: "was aborted (SIGABRT)",
    7: "crashed (SIGBUS)",
    8: "crashed (SIGFPE)",
    9: "was killed (SIGKILL): by itself, or because the memory was used up",
    11: "crashed (SIGSEGV)",
    15: "was ended (SIGTERM)",
}


def _stack(dump: bytes) -> list[Spot]:
    text = dump.decode("ascii", "replace")
    return [(file, int(line), function) for file, line, function in _FRAME.findall(text)]
