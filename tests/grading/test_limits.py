"""Endless code is stopped, whatever it catches, and nothing is left behind."""

import ctypes
import functools
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest

from minitx.grading.limits import TimeLimit, TimeUp


def mine(filename: str) -> bool:
    return filename == __file__


def plain() -> None:
    while True:
        pass


def bare_except() -> None:
    while True:
        try:  # noqa: SIM105
            sum(range(1000))
        except:  # noqa: E722
            pass


def nested_excepts() -> None:
    while True:
        try:
            while True:
                try:
                    x = 1  # noqa: F841
                except:  # noqa: E722
                    continue
        except BaseException:
            continue


def asleep() -> None:
    time.sleep(60)


def answers_all_the_same() -> int:
    try:
        plain()
    except BaseException:
        return 5
    return 0


@pytest.mark.parametrize(
    "endless", [plain, bare_except, nested_excepts, asleep, answers_all_the_same]
)
def test_is_stopped_with_its_line(endless) -> None:
    limit = TimeLimit(0.1, mine, wall=0.3 if endless is asleep else None)
    limit.run(endless)
    assert limit.expired
    assert limit.line is not None
    filename, line = limit.line
    first = endless.__code__.co_firstlineno
    if endless is answers_all_the_same:
        first = plain.__code__.co_firstlineno
    assert filename == __file__
    assert first < line < first + 10


def test_in_another_thread() -> None:
    seen = []

    def work() -> None:
        limit = TimeLimit(0.1, mine)
        limit.run(bare_except)
        seen.append(limit.expired)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(600)
    assert seen == [True]


def test_quick_code_is_left_alone() -> None:
    values = []
    limit = TimeLimit(5)
    limit.run(lambda: values.append(sum(range(10))))
    assert (values, limit.expired, limit.line) == ([45], False, None)


def raises(error: BaseException) -> None:
    raise error


def test_exceptions_and_ctrl_c_pass_through() -> None:
    with pytest.raises(KeyError, match="mine"):
        TimeLimit(5).run(lambda: raises(KeyError("mine")))
    with pytest.raises(KeyboardInterrupt):
        TimeLimit(5).run(lambda: raises(KeyboardInterrupt()))


@pytest.fixture
def eager_threads():
    """The timer's thread gets its turn at once, not after 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("swallow", [False, True])
def test_nothing_arrives_late(swallow: bool) -> None:
    """Code that ends just when time is up: no TimeUp may strike behind it."""
    dice = random.Random(0)
    matrix = np.ones((150, 150))
    expired = 0

    def work() -> None:
        end = time.perf_counter() + 0.05
        try:
            while not limit.expired and time.perf_counter() < end:
                pass
            for _ in range(dice.randrange(20)):
                matrix @ matrix  # an operation after which the interpreter looks for nothing
        except TimeUp:
            if not swallow:
                raise

    for _ in range(150):
        limit = TimeLimit(0.002, mine)
        limit.run(work)
        for _ in range(100):
            pass
        expired += limit.expired
    assert expired > 0


def test_a_limit_inside_a_limit() -> None:
    inner = TimeLimit(0.05, mine)
    outer = TimeLimit(5, mine)
    outer.run(lambda: inner.run(plain))
    assert (inner.expired, outer.expired) == (True, False)
    outer = TimeLimit(0.05, mine)
    outer.run(lambda: (TimeLimit(0.01, mine).run(plain), plain()))
    assert outer.expired
    inner, outer = TimeLimit(5, mine), TimeLimit(0.05, mine)
    outer.run(lambda: inner.run(plain))
    assert (inner.expired, outer.expired) == (False, True)


def strike_this_thread() -> Callable[[], object]:
    return functools.partial(
        ctypes.pythonapi.PyThreadState_SetAsyncExc,
        ctypes.c_ulong(threading.get_ident()),
        ctypes.py_object(TimeUp),
    )


def test_what_was_meant_for_another_limit_is_passed_on() -> None:
    strike = strike_this_thread()

    def work() -> None:
        time.sleep(0.2)  # until it runs, the timer thread bears the number of this one
        strike()

    with pytest.raises(TimeUp):
        TimeLimit(5, mine).run(work)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_ends_also_when_the_timer_thread_is_struck_at_its_birth() -> None:
    strike = strike_this_thread()
    for _ in range(20):
        with suppress(TimeUp):
            TimeLimit(5, mine).run(strike)
        limit = TimeLimit(0.02, mine)
        limit.run(plain)
        assert limit.expired


def test_without_threads_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("_thread.start_new_thread", none_left)
    limit = TimeLimit(0.01, mine, wall=0.01)
    limit.run(lambda: time.sleep(0.05))
    assert not limit.expired


def test_it_is_the_time_of_the_cpu_that_counts() -> None:
    """On a machine that is busy with other things a right answer is not an endless one."""
    limit = TimeLimit(0.2, mine)
    limit.run(lambda: time.sleep(0.6))
    assert not limit.expired
    limit = TimeLimit(10.0, mine, wall=0.2)
    limit.run(lambda: time.sleep(60))
    assert limit.expired


def test_the_time_of_another_thread_is_not_counted() -> None:
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(stop.is_set, True)])
    busy.start()
    limit = TimeLimit(0.3, mine)
    limit.run(lambda: time.sleep(0.8))
    stop.set()
    busy.join()
    assert not limit.expired


def test_a_debugger_is_not_disturbed() -> None:
    before = sys.gettrace()
    TimeLimit(0.05, mine).run(plain)
    assert sys.gettrace() is before


def test_the_exception_outside_of_a_limit_is_harmless() -> None:
    with pytest.raises(TimeUp, match="time is up"):
        raise TimeUp
