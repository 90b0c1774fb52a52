"""The same file through the caller in this process and through the one in another: one outcome."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.calling import Caller, Outcome
from minitx.grading.course import Chapter, Course
from minitx.grading.judge.assess import assess_all
from minitx.grading.report import Report
from minitx.grading.wire import pack
from minitx.grading.worker.loading import Limits, load
from minitx.grading.worker.local import LocalCaller
from minitx.grading.worker.process import process_caller

from .helpers import RIGHT_DOUBLE

ANSWERS = """
import random
import sys
import warnings
import numpy as np
import torch

broken = 1 / 0

def right(x): return x * 2
def prints(x):
    print("\\x1b[31mred", x.shape)
    print("more", file=sys.stderr)
    return x
def warns(x):
    warnings.warn("careful")
    return np.log(x * 0)
def raises(x): return x[99]
def raises_oddly(x): raise type("Odd", (BaseException,), {})("text\\x07")
def leaves(x): sys.exit(3)
def loses_a_name(x): return broken + x
def unfinished(x): raise NotImplementedError("Exercise 1.1 is yours to write")
def changes(x):
    x *= 2
    return x
def dice(x): return [random.random(), float(np.random.rand()), float(torch.rand(()))]
def loops(x):
    total = 0
    for each in x: total = total + each
    return total
def takes_two(x, y): return x
def gives_none(x): pass
def gives_list(x): return [1, 2.5, "a", None, True, (x,), {"k": x}]
def gives_scalar(x): return np.float32(1.5)
def gives_generator(x): return (each for each in x)
def gives_class(x): return ValueError
def gives_giant(x): return np.broadcast_to(1.0, (10**6, 10**7))
def gives_transposed(x): return np.ones((2, 3)).T
def gives_matrix(x): return np.matrix([[1.0]])
def squares(x): return x ** 2
def cut(x): return x.detach() * 2
def breaks_the_way_back(x):
    y = x.exp()
    z = y * y
    y += 1
    return z
def sparse(x): return torch.eye(2).to_sparse()
def half(x): return torch.ones(2, dtype=torch.bfloat16)
def endless(x):
    while True:
        pass
number = 3
"""
X = np.array([[1.0, 2.0], [3.0, 4.0]])
ARRAYS = [
    *("right", "prints", "warns", "raises", "raises_oddly", "leaves", "loses_a_name"),
    *("unfinished", "changes", "dice", "loops", "takes_two", "gives_none", "gives_list"),
    *("gives_scalar", "gives_generator", "gives_class", "gives_giant", "gives_transposed"),
    *("gives_matrix", "number", "absent"),
]
TENSORS = ["right", "squares", "cut", "breaks_the_way_back", "sparse", "half", "dice"]


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Caller]]:
    path = tmp_path_factory.mktemp("two") / "answers.py"
    path.write_text(ANSWERS)
    with process_caller(path, needs_torch=True, limits=Limits()) as elsewhere:
        yield LocalCaller(load(path)), elsewhere


def as_data(outcome: Outcome) -> Any:
    """Everything about an outcome but the time it took, in comparable form."""
    chunks: list[bytes] = []
    alive = (outcome.value, outcome.gradients, outcome.parameter_gradients)
    rest = {
        name: value
        for name, value in outcome.__dict__.items()
        if name not in ("value", "gradients", "parameter_gradients", "seconds")
    }
    return rest, pack(alive, chunks), chunks


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("count", [False, True])
def test_with_arrays(callers: tuple[Caller, Caller], name: str, count: bool) -> None:
    one, other = (
        as_data(each.call(name, (X.T.copy(order="K"),), {}, seconds=5, seed=3, count=count))
        for each in callers
    )
    assert one == other


@pytest.mark.parametrize("name", TENSORS)
def test_with_tensors_and_gradients(callers: tuple[Caller, Caller], name: str) -> None:
    outcomes = []
    for each in callers:
        x = torch.tensor(X, requires_grad=True)
        outcomes.append(as_data(each.call(name, (x,), {}, seconds=5, seed=3)))
        assert x.grad is None
    assert outcomes[0] == outcomes[1]


def test_what_never_ends(callers: tuple[Caller, Caller]) -> None:
    one, other = (each.call("endless", (X,), {}, seconds=0.3, seed=0) for each in callers)
    assert one == other
    assert one.kind == "timeout"


def test_facts(callers: tuple[Caller, Caller]) -> None:
    one, other = (each.facts for each in callers)
    assert one == other
    assert one.parameters["takes_two"] == ("x", "y")
    assert "ZeroDivisionError at line 8" in one.problems[0].text


def both(chapter: Chapter, path: Path) -> list[Report]:
    exercises = chapter.exercises.values()
    with process_caller(path, needs_torch=chapter.needs_torch) as elsewhere:
        here = LocalCaller(load(path))
        return [assess_all(chapter, exercises, caller) for caller in (here, elsewhere)]


@pytest.mark.parametrize(
    "double",
    [
        RIGHT_DOUBLE,
        "def double(x):\n    return x ** 2\n",
        "def double(x):\n    return [2 * v for v in x]\n",
        "def double(x):\n    x *= 2\n    return x\n",
        "def double(x):\n    return None\n",
        "def double(x):\n    print('x is', x)\n    return x + undefined\n",
        "def double(x):\n    raise KeyError(x)\n",
        "def double(x, y):\n    return x\n",
        "def double(x:\n    return x\n",
        "",
    ],
)
def test_reports_are_the_same(chapter: Chapter, answer: Any, double: str) -> None:
    one, other = both(chapter, answer(double, "def quadruple(x):\n    return double(double(x))\n"))
    assert str(one) == str(other)
    assert one.earned == other.earned


@pytest.mark.parametrize("number", ["01", "02"])
def test_the_worked_answers_of_the_course(number: str) -> None:
    chapter = Course(Path(__file__).resolve().parents[2]).chapter(number)
    with process_caller(chapter.solution_file, needs_torch=chapter.needs_torch) as caller:
        report = assess_all(chapter, chapter.exercises.values(), caller)
    assert report.problems == ()
    assert report.earned == report.points, report
