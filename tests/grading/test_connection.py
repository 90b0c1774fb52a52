"""A worker may say anything or nothing: whoever asks gets an answer, or a reason why not."""

import io
import os
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minitx.grading.calling import Facts, Outcome
from minitx.grading.frames import MOST_BODY, read_frame, write_frame
from minitx.grading.messages import pack_facts, pack_outcome
from minitx.grading.worker.connection import Connection, Gone, Late
from minitx.grading.worker.loading import Limits
from minitx.grading.worker.process import ProcessCaller


def frame(message: Any, chunks: Any = ()) -> bytes:
    stream = io.BytesIO()
    write_frame(stream, message, chunks)
    return stream.getvalue()


def talking(
    replies: bytes | list[bytes], stacks: bytes = b"", *, hang_up: bool = True, code: int = 0
) -> Connection:
    """A connection to somebody who says these bytes at once, or one piece at each question."""
    (asked, to_worker), (from_worker, says), (from_stack, tells) = (os.pipe() for _ in range(3))

    def talk() -> None:
        with open(asked, "rb") as questions:
            for piece in [replies] if isinstance(replies, bytes) else replies:
                if piece is not replies:
                    read_frame(questions)
                os.write(says, piece)
            if hang_up:
                os.close(says)
            while not hang_up and questions.read(1):
                pass

    os.write(tells, stacks)
    if hang_up:
        os.close(tells)
    threading.Thread(target=talk, daemon=True).start()
    streams = [open(to_worker, "wb"), open(from_worker, "rb"), open(from_stack, "rb")]  # noqa: SIM115
    return Connection(*streams, lambda grace: code)  # type: ignore[arg-type]


STACK = (
    b'Stack (most recent call first):\n  File "/a.py", line 3 in f\n  File "/b c.py", line 9 in g\n'
)


def until_something_comes(connection: Connection) -> None:
    while connection._events.empty():
        time.sleep(0.01)


def test_a_reply() -> None:
    connection = talking(frame({"a": 1}, [b"xyz"]) + frame({"b": 2}))
    assert connection.receive(600.0) == ({"a": 1}, b"xyz")
    assert connection.receive(600.0) == ({"b": 2}, b"")
    with pytest.raises(Gone, match="left with exit code 0"):
        connection.receive(600.0)


@pytest.mark.parametrize(
    ("replies", "text"),
    [
        (b"hello, world", "bytes that are no message"),
        (b"mtx1", "a message that ends in the middle"),
        (struct.pack("!4sII", b"mtx1", 10, MOST_BODY + 1), "bytes that are no message"),
        (struct.pack("!4sII", b"mtx1", 1000, 0) + b"{", "a message that ends in the middle"),
        (struct.pack("!4sII", b"mtx1", 3, 0) + b"{]}", "a message that is no JSON"),
    ],
)
def test_what_makes_no_sense(replies: bytes, text: str) -> None:
    with pytest.raises(Gone, match=f"wrote {text} where the grader reads"):
        talking(replies).receive(600.0)


def test_silence() -> None:
    with pytest.raises(Late) as caught:
        talking(b"", hang_up=False).receive(0.05)
    assert caught.value.stack == []


def test_half_a_message_and_silence() -> None:
    with pytest.raises(Late):
        talking(frame({"a": 1})[:-1], hang_up=False).receive(0.05)


def test_a_stack_means_that_time_is_up() -> None:
    with pytest.raises(Late) as caught:
        talking(b"", STACK, hang_up=False).receive(600.0)
    assert caught.value.stack == [("/a.py", 3, "f"), ("/b c.py", 9, "g")]


def test_a_stack_that_is_a_flood_or_nonsense() -> None:
    with pytest.raises(Gone, match="wrote bytes that are no message"):
        talking(b"", b"all points earned " * 3000, hang_up=False).receive(600.0)
    with pytest.raises(Late) as caught:
        talking(
            b"", STACK + b'  File "x", line 99999999999999999999 in f\n', hang_up=False
        ).receive(600.0)
    assert caught.value.stack[-1][1] == 99999999999999999999


def test_a_crash_tells_its_line() -> None:
    crash = b"Fatal Python error: Segmentation fault\n\n" + STACK.replace(b"Stack", b"Thread")
    with pytest.raises(Gone, match=r"crashed \(SIGSEGV\)") as caught:
        talking(b"", crash, code=-11).receive(600.0)
    assert caught.value.stack[0] == ("/a.py", 3, "f")


def test_what_was_said_before_a_crash_is_heard_although_the_crash_is_heard_first() -> None:
    crash = b"Fatal Python error: Aborted\n\n" + STACK
    connection = talking([frame({"at": ["a.py", 4]})], crash, code=-6)
    until_something_comes(connection)  # the stack: nothing is said before a question
    connection._outbox.put(({}, []))
    with pytest.raises(Gone, match=r"aborted \(SIGABRT\)") as caught:
        connection.receive(5)
    assert [message for message, _ in caught.value.said] == [{"at": ["a.py", 4]}]


def test_a_question_that_nobody_reads_does_not_block() -> None:
    connection = talking([], hang_up=False)
    connection.send({}, [bytes(2**22)])
    with pytest.raises(Late):
        connection.receive(0.05)


def test_what_is_said_before_the_question_is_no_answer() -> None:
    connection = talking([frame({"a": 1}) + frame({"forged": 1}), frame({"b": 2})])
    connection.send({})
    assert connection.receive(600.0)[0] == {"a": 1}
    until_something_comes(connection)  # the forged one has arrived by now
    connection.send({})
    assert connection.receive(600.0)[0] == {"b": 2}


def test_who_died_between_two_questions_is_known_to_be_dead() -> None:
    connection = talking([], code=-9)
    until_something_comes(connection)
    connection.send({})
    with pytest.raises(Gone, match="was killed"):
        connection.receive(600.0)


# --- the same through the caller -----------------------------------------------------------------


class Scripted:
    """A starter of workers that say what was written down."""

    def __init__(self, *scripts: list[bytes]) -> None:
        self.scripts = list(scripts)

    def start(self) -> Any:
        return talking(self.scripts.pop(0))


FACTS = frame(pack_facts(Facts()))


def outcome_frame(**changes: Any) -> bytes:
    message, chunks = pack_outcome(Outcome("returned", np.ones(2)))
    return frame(message | changes, chunks)


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., Outcome]:
    (tmp_path / "a.py").write_text("def f(x):\n    return x\n")

    def ask(*scripts: list[bytes]) -> Outcome:
        caller = ProcessCaller(tmp_path / "a.py", Scripted(*scripts), Limits())
        return caller.call("f", (np.ones(2),), {}, seconds=0.1, seed=0)

    return ask


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"garbage garbage garbage", "it wrote bytes that are no message where the grader reads."),
        (outcome_frame(kind="passed"), "it answered with an outcome that is none."),
        (outcome_frame(alive=3), "it answered with a value that is none."),
        (outcome_frame(steps="many"), "it answered with an outcome that is none."),
        (frame({"at": ["a", 1]}), "it answered with an outcome that is none."),
        (frame({}), "it answered with an outcome that is none."),
    ],
)
def test_a_wrong_answer_is_a_death(asked: Any, reply: bytes, text: str) -> None:
    outcome = asked([FACTS, reply])
    assert (outcome.kind, outcome.text) == ("died", text)


@pytest.mark.parametrize(
    "facts",
    [
        b"",
        b"garbage",
        frame({"problems": 3}),
        frame({"at": 7}),
        frame({"at": ["a"]}),
        frame([1][:0] or {}),
    ],
)
def test_wrong_facts_are_a_file_that_cannot_be_used(asked: Any, facts: bytes) -> None:
    outcome = asked(*[[facts]] * 8)
    assert outcome.kind == "died"
    assert outcome.text.startswith("the file cannot be used: it stops the process")
