"""Whatever a file does to the process it is graded in, every call gets an outcome."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.calling import Opaque, Outcome
from minitx.grading.errors import CourseError, GraderError
from minitx.grading.worker import starting
from minitx.grading.worker.loading import Limits
from minitx.grading.worker.process import ProcessCaller, process_caller
from minitx.grading.worker.starting import Forking, Spawning, starter_for

SECONDS = 0.2  # of CPU, for what never ends
X = np.array([1.0, 2.0])
ABOVE = "import os, re, signal, subprocess, sys, threading, time\nimport numpy as np\n"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Any]:
    """A caller of a file with this text."""

    def open_it(text: str, name: str = "answer.py", **options: Any) -> Any:
        path = tmp_path / name
        path.write_text(ABOVE + text, encoding="utf-8")
        given = {"needs_torch": False, "limits": Limits(SECONDS, 5.0, 2.0), **options}
        return process_caller(path, **given)

    return open_it


def called(caller: ProcessCaller, name: str = "f", *args: Any, **options: Any) -> Outcome:
    return caller.call(name, args or (X.copy(),), {}, **{"seconds": SECONDS, "seed": 0, **options})


def test_a_call(written: Any) -> None:
    with written("def f(x, *, by=2):\n    print('hello')\n    return x * by\n") as caller:
        outcome = caller.call("f", (X,), {"by": 3}, seconds=1, seed=0)
        assert (outcome.kind, outcome.printed) == ("returned", "hello\n")
        assert outcome.value.tolist() == [3, 6]
        assert caller.facts.parameters["f"] == ("x", "by")
        assert caller.facts.origin == "answer.py"
        assert called(caller, "g").text == (
            "There is no function g in answer.py: was it renamed, or its cell deleted?"
        )


ENDLESS = {
    "a loop": "while True: pass",
    "a loop that catches everything": (
        "while True:\n        try:\n            x = 1\n        except BaseException:\n"
        "            pass"
    ),
    "in C": "sum(range(10**12))",
    "a large power": "return 7 ** 7 ** 12",
    "a regular expression": "re.match(r'(a+)+$', 'a' * 40 + 'b')",
    "linear algebra": "np.linalg.svd(np.random.rand(4000, 4000))",
    "recursion without a limit": "sys.setrecursionlimit(10**9); return f(x)",
    "permutations": "import itertools; return min(itertools.permutations(range(13)))",
    "signals switched off in Python": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True: pass"
    ),
}


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_stopped_with_its_line(written: Any, body: str) -> None:
    with written(f"def f(x):\n    {body}\ndef g(x):\n    return x + 1\n") as caller:
        outcome = called(caller)
        assert outcome.kind == "timeout"
        quoted = body.split("\n")[0].strip()
        assert outcome.text.startswith("endless loop? Stopped after 0.2 s at line "), outcome.text
        if "signals" not in body and "\n" not in body:
            assert f"(`{quoted[:50]}" in outcome.text
        assert called(caller, "g").value.tolist() == [2, 3]


LIVING = {
    "__repr__": "class R:\n    def __repr__(self):\n        while True: pass\n",
    "__class__": "class R:\n    @property\n    def __class__(self):\n        while True: pass\n",
    "__len__ of a list": "class R(list):\n    def __len__(self):\n        while True: pass\n",
    "__deepcopy__": "class R:\n    def __deepcopy__(self, memo):\n        os._exit(0)\n",
    "__eq__": "class R:\n    def __eq__(self, other):\n        while True: pass\n",
    "__array__": "class R:\n    def __array__(self, *a, **k):\n        while True: pass\n",
    "sum of an array": "class R(np.ndarray):\n    def sum(self, *a, **k):\n        os._exit(0)\n"
    "def make(): return np.ones(3).view(R)\n",
}


@pytest.mark.parametrize("text", LIVING.values(), ids=LIVING)
def test_a_result_that_is_alive_stays_where_it_is(written: Any, text: str) -> None:
    make = "make()" if "def make" in text else "R()"
    with written(f"{text}\ndef f(x):\n    return {make}\ndef g(x):\n    return x\n") as caller:
        outcome = called(caller)
        assert outcome.kind in ("returned", "timeout")
        if outcome.kind == "returned":
            assert isinstance(outcome.value, Opaque)
        assert called(caller, "g").kind == "returned"


DYING = {
    "os._exit": ("os._exit(0)", "it left with exit code 0."),
    "os.abort": ("os.abort()", "it was aborted (SIGABRT) at line 4 (`os.abort()`)."),
    "a crash": (
        "import ctypes; ctypes.string_at(0)",
        "it crashed (SIGSEGV) at line 4 (`import ctypes; ctypes.string_at(0)`).",
    ),
    "SIGKILL": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        "it was killed (SIGKILL): by itself, or because the memory was used up.",
    ),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", "it was ended (SIGTERM)."),
    "an unusual signal": ("os.kill(os.getpid(), signal.SIGUSR2)", "it was ended by signal 12."),
    "closed descriptors": ("os.closerange(0, 200)", "it left with exit code 1."),
    "writing where it must not": (
        "for n in range(3, 30):\n        try: os.write(n, b'all points earned' * 9)\n"
        "        except OSError: pass",
        "it wrote bytes that are no message where the grader reads.",
    ),
}


@pytest.mark.parametrize(("body", "text"), DYING.values(), ids=DYING)
def test_a_death_is_an_outcome(written: Any, body: str, text: str) -> None:
    with written(f"def f(x):\n    {body}\ndef g(x):\n    return x + 1\n") as caller:
        assert called(caller) == Outcome("died", text=text)
        assert called(caller, "g").value.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise type('E', (BaseException,), {})", "E"),
        ("return bytearray(10**12)", "MemoryError"),
        ("return np.ones(10**12)", "MemoryError"),
        ("return f(x)", "RecursionError"),
    ],
)
def test_what_is_raised_is_an_outcome(written: Any, body: str, kind: str) -> None:
    with written(f"def f(x):\n    {body}\n") as caller:
        outcome = called(caller, seconds=5.0)
        assert outcome.kind == "raised"
        assert kind in outcome.error_kinds[0] or kind in outcome.error_kinds
        assert outcome.where.startswith("line 4")


@pytest.mark.parametrize(
    "body",
    [
        "sys.stdout.close(); sys.__stdout__.close(); sys.stderr.close(); sys.stdin.close()",
        "os.closerange(0, 3)",
        "threading.Thread(target=time.sleep, args=(10**6,)).start()",
        "print('flood' * 10**6); os.write(1, b'flood' * 1000)",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "sys.settrace(None); sys.setrecursionlimit(200)",
        "os.chdir('/'); os.environ.clear()",
    ],
)
def test_what_harms_only_itself(written: Any, body: str) -> None:
    with written(f"def f(x):\n    {body}\n    return x + 1\n") as caller:
        outcome = called(caller)
        assert outcome.kind == "returned", outcome
        assert outcome.value.tolist() == [2, 3]
        assert len(outcome.printed) <= 2001
        assert called(caller).kind == "returned"


def test_open_files_used_up(written: Any) -> None:
    text = """
kept = []
def f(x):
    try:
        while True:
            kept.append(open(os.devnull))
    except OSError:
        return x
def g(x):
    raise ValueError("no")
"""
    with written(text) as caller:
        assert called(caller, seconds=5.0).kind == "returned"
        outcome = called(caller, "g")
        assert (outcome.error_kinds[0], outcome.where) == (
            "ValueError",
            'line 12 (`raise ValueError("no")`)',
        )


def test_what_it_has_started_is_ended_too(written: Any, tmp_path: Path) -> None:
    """Also in a session of its own, which no signal to the group reaches."""
    text = f"""
def f(x):
    started = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    open({str(tmp_path / "pid")!r}, "w").write(str(started.pid))
    if x[0] > 1: os._exit(0)
    return x
"""
    for x in (X, 2 * X):
        with written(text) as caller:
            called(caller, "f", x, seconds=5.0)
            started = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(started, 0)


def test_a_fork_answers_once(written: Any) -> None:
    text = "def f(x):\n    return x if os.fork() == 0 else x * 2\ndef g(x):\n    return x * 3\n"
    with written(text) as caller:
        for _ in range(5):
            assert called(caller).value.tolist() == [2, 4]
            assert called(caller, "g").value.tolist() == [3, 6]


# --- reading a file ------------------------------------------------------------------------------


class Counting:
    """A starter that counts."""

    def __init__(self) -> None:
        self.started = 0

    def start(self) -> Any:
        self.started += 1
        return starter_for(False).start()


def test_an_endless_function_is_waited_for_once(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "def soft(x):\n    while True:\n        pass\n"
        "def uses(x):\n    return soft(x) + 1\n"
        "def other(x):\n    return x\n"
        + "# %%\nprint(soft(1))\n" * 5
        + "# %%\ny = [uses(k) for k in range(3)]\nz = other(1)\n"
    )
    counting = Counting()
    caller = ProcessCaller(path, counting, Limits(SECONDS, 5.0, 2.0))
    with contextlib.closing(caller):
        problems = caller.facts.problems
        assert counting.started == 2
        assert [p.text for p in problems if not p.aside] == [
            "While the file was read: endless loop? Stopped after 0.2 s at line 2 (`while True:`)."
        ]
        assert problems[-1].names == {"y", "k"}
        assert problems[-1].text == (
            "While the file was read: line 19 (`y = [uses(k) for k in range(3)]`) was not run: it "
            "needs uses, which did not end."
        )
        assert called(caller, "other").kind == "returned"
        assert called(caller, "uses").kind == "timeout"
        assert called(caller, "other").kind == "returned"
        assert counting.started == 3  # what was learned in reading is not learned again


def test_many_endless_loops_share_one_budget(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("sum(range(10**12))\n" * 20 + "def f(x):\n    return x\n")
    counting = Counting()
    caller = ProcessCaller(path, counting, Limits(SECONDS, 5.0, 2.5 * SECONDS))
    with contextlib.closing(caller):
        assert called(caller).kind == "returned"
        assert counting.started <= 4
        assert "stands behind what takes too long" in caller.facts.problems[-1].text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "while True: pass",
            "While the file was read: endless loop? Stopped after 0.2 s at line 4 (`while True: "
            "pass`).",
        ),
        (
            "re.match(r'(a+)+$', 'a' * 40 + 'b')",
            "While the file was read: endless loop? Stopped after 0.2 s at line 4 "
            "(`re.match(r'(a+)+$', 'a' * 40 + 'b')`).",
        ),
        (
            "os._exit(0)",
            "While the file was read: line 4 (`os._exit(0)`) ended the process it was read in, "
            "which left with exit code 0.",
        ),
        (
            "os.abort()",
            "While the file was read: line 4 (`os.abort()`) ended the process it was read in, "
            "which was aborted (SIGABRT).",
        ),
        ("exit()", "The file ends the program at line 4 (`exit()`): take that out."),
        (
            "raise KeyboardInterrupt",
            "While the file was read: KeyboardInterrupt at line 4 (`raise KeyboardInterrupt`): ",
        ),
    ],
)
def test_what_goes_wrong_at_the_top_costs_its_statement(written: Any, body: str, text: str) -> None:
    with written(f"a = 1\n{body}\ndef f(x):\n    return x + a\n") as caller:
        assert called(caller).value.tolist() == [2, 3]
        assert [problem.text for problem in caller.facts.problems] == [text]


def test_a_line_in_a_notebook_with_a_name_that_is_not_ascii(tmp_path: Path) -> None:
    import json

    path = tmp_path / "Übung.ipynb"
    cells = ["a = 1", "def f(x):\n    while True:\n        pass"]
    path.write_text(
        json.dumps({"cells": [{"cell_type": "code", "metadata": {}, "source": c} for c in cells]})
    )
    with process_caller(path, needs_torch=False) as caller:
        assert called(caller).text == (
            "endless loop? Stopped after 0.2 s at line 2 of code cell 2 (`while True:`)."
        )


def test_a_file_that_cannot_be_used(written: Any) -> None:
    text = "os.kill(os.getpid(), 9)\n" * 30 + "def f(x):\n    return x\n"
    with written(text) as caller:
        outcome = called(caller)
        assert (outcome.kind, outcome.text) == (
            "died",
            "the file cannot be used: it stops the process that reads it again and again.",
        )
        assert outcome.text in [problem.text for problem in caller.facts.problems]


def test_a_long_file(written: Any) -> None:
    """Longer than any text that may come back."""
    text = "".join(f"x{number} = {number}\n" for number in range(20_000))
    with written(text + "def f(x):\n    return x + x19999 * 0\n") as caller:
        assert len(text) > 250_000
        assert called(caller).value.tolist() == [1, 2]
        assert caller.facts.problems == ()


def test_modules_beside_the_file_are_read_anew(written: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "beside.py").write_text(f"NUMBER = {number}\n")
        with written("from beside import NUMBER\ndef f(x): return NUMBER\n") as caller:
            assert called(caller).value == number


def test_a_slow_import_is_not_stopped(written: Any, tmp_path: Path) -> None:
    (tmp_path / "slow_to_load.py").write_text(
        "import time\nwhile time.process_time() < 0.6: pass\nvalue = 7\n"
    )
    with written("import slow_to_load\nvalue = slow_to_load.value\ndef f(x): return value") as c:
        assert called(c).value == 7


def test_an_import_that_never_ends_is_stopped(written: Any, tmp_path: Path) -> None:
    (tmp_path / "never_loads.py").write_text("while True:\n    pass\n")
    with written("import never_loads\ndef f(x): return x", limits=Limits(0.1, 0.3, 1.0)) as caller:
        assert called(caller).kind == "returned"
        (problem,) = caller.facts.problems
        assert problem.text.startswith("While the file was read: endless loop? Stopped after")
        assert "(`import never_loads`)" in problem.text


# --- torch ---------------------------------------------------------------------------------------

TORCH = """
import torch
def f(x):
    return x * 2
class Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 1
    @staticmethod
    def backward(ctx, g):
        while True: pass
def loop_backward(x):
    return Loop.apply(x)
class Odd(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *args, **kwargs):
        while True: pass
def odd(x):
    return torch.ones(3).as_subclass(Odd)
def sparse(x):
    return torch.eye(3).to_sparse()
def meta(x):
    torch.set_default_device("meta")
    return torch.ones(3)
"""


def test_tensors_gradients_and_what_only_looks_like_a_tensor(written: Any) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with written(TORCH, needs_torch=True) as caller:
        outcome = called(caller, "f", x, cotangent=torch.ones(2))
        assert outcome.value.tolist() == [2, 4]
        assert outcome.gradients[0].tolist() == [2, 2]
        outcome = called(caller, "loop_backward", x)
        assert (outcome.kind, "(`while True: pass`)" in outcome.text) == ("timeout", True)
        assert called(caller, "odd", x).kind == "timeout"
        assert called(caller, "sparse", x).value.kind == "tensor"
        for _ in range(2):
            assert "on the device meta" in called(caller, "meta", x).value.description
        assert called(caller, "f", x).value.tolist() == [2, 4]


# --- starting and ending -------------------------------------------------------------------------


def test_without_fork_a_new_process_does_it(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "import os\ndef f(x):\n    return x + 1\ndef g(x):\n    while True:\n        pass\n"
        "def h(x):\n    os._exit(3)\n"
    )
    caller = ProcessCaller(path, Spawning(["numpy"]), Limits(SECONDS, 30.0, 2.0))
    with contextlib.closing(caller):
        assert called(caller).value.tolist() == [2, 3]
        assert "at line 5 (`while True:`)" in called(caller, "g").text
        assert called(caller, "h").text == "it left with exit code 3."
        assert called(caller).value.tolist() == [2, 3]


def test_no_process_can_be_started(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    forking = Forking(["no_such_module_at_all"])
    caller = ProcessCaller(tmp_path / "a.py", forking, Limits())
    with pytest.raises(GraderError, match=r"No process could be started to grade in \(Module"):
        called(caller)
    forking.close()


def test_the_end_of_the_program_ends_its_workers(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\ndef f(x):\n    return os.getpid()\n")
    forking = Forking(["numpy"])
    caller = ProcessCaller(tmp_path / "a.py", forking, Limits())
    worker = called(caller, seconds=5.0).value
    os.kill(worker, 0)
    forking.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_ctrl_c_stops_at_once(written: Any) -> None:
    main = threading.main_thread().ident
    assert main is not None
    later = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
    with written("def f(x):\n    time.sleep(1000)\n") as caller:
        assert caller.facts
        later.start()
        with pytest.raises(KeyboardInterrupt):
            called(caller, seconds=1000.0)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(CourseError, match="There is no file"),
        process_caller(tmp_path / "a.py", needs_torch=False),
    ):
        pass


def test_one_thread(written: Any) -> None:
    with written("import torch\ndef f(x): return torch.get_num_threads()\n", needs_torch=True) as c:
        assert called(c, "f", torch.ones(1)).value == 1
    assert starting._environment()["OMP_NUM_THREADS"] == "1"
