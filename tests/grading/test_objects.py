"""Answers that are modules and kernels, in this process and in another: the same questions."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from minitx.grading import exercise
from minitx.grading.calling import Caller, ObjectRef
from minitx.grading.errors import CallFailed, Died, Rejected, Unattempted
from minitx.grading.judge.handle import Handle
from minitx.grading.judge.run import grade
from minitx.grading.objects import _load
from minitx.grading.own import OwnCaller
from minitx.grading.registry import Registry, filling
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller
from minitx.grading.worker.process import process_caller

MODULE = '''
import torch
from torch import nn

class Affine(nn.Module):
    """y = x W + b, with dropout, a counter of calls in a buffer and a cache beside it."""

    def __init__(self, width, out, *, bias=True, dropout=0.0):
        super().__init__()
        self.W = nn.Parameter(torch.ones(width, out))
        self.b = nn.Parameter(torch.zeros(out)) if bias else None
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("seen", torch.zeros(1, dtype=torch.int64))

    def forward(self, x):
        self.seen += 1
        y = x @ self.W
        return self.dropout(y if self.b is None else y + self.b)

    def twice(self, x):
        return self(self(x))

    def endless(self, x):
        while True:
            pass

class Unfinished(nn.Module):
    def __init__(self, width):
        super().__init__()
        raise NotImplementedError("Exercise 3.1 is yours to write")

def not_a_module(x):
    return x
'''


@pytest.fixture(params=["own", "local", "process"])
def caller(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Caller]:
    path = tmp_path / "answer.py"
    path.write_text(MODULE)
    if request.param == "process":
        with process_caller(path, needs_torch=True) as one:
            yield one
    elif request.param == "local":
        yield LocalCaller(load(path))
    else:
        yield OwnCaller(load(path).namespace)


@pytest.fixture
def sub(caller: Caller) -> Handle:
    kinds = {"Affine": ("module",), "Unfinished": ("module",), "not_a_module": ("module",)}
    return Handle(caller, kinds, 5.0, 0, _owner="Exercise 3.1")


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_construct_and_call(sub: Handle) -> None:
    module = sub.Affine(2, 3, bias=False)
    assert module.parameters == {"W": (2, 3)}
    assert module.buffers == {"seen": (1,)}
    assert module(X).tolist() == [[3, 3, 3], [7, 7, 7]]
    assert sub.Affine(2, 1).parameters == {"W": (2, 1), "b": (1,)}
    square = sub.Affine(2, 2)
    assert square.method("twice", torch.ones(1, 2)).tolist() == [[4, 4]]


def test_weights_are_loaded_and_read_back(sub: Handle) -> None:
    module = sub.Affine(2, 1)
    weights = {"weight": X[:, :1], "bias": torch.tensor([10.0]), "seen": torch.tensor([5])}
    module.load(weights, names={"weight": "W", "bias": "b"})
    assert module(torch.ones(1, 2)).tolist() == [[14.0]]
    state = module.state_dict()
    assert {name: each.tolist() for name, each in state.items()} == {
        "W": [[1.0], [3.0]],
        "b": [10.0],
        "seen": [6],
    }
    other = sub.Affine(2, 1)
    other.load(state)
    assert torch.equal(other(X), module(X))


def test_a_wall_of_weights_is_cut_after_those_that_are_near() -> None:
    own = nn.ModuleDict({name: nn.Linear(2, 2) for name in ("a", "b", "c", "d")})
    weights = {name: each for name, each in own.state_dict().items() if name != "d.weight"}
    with pytest.raises(ValueError, match=r"`d.weight`, .*; its weights: .*d.bias and 5 more"):
        _load("M", own, weights)


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (
            {"W": torch.ones(2, 1), "b": torch.ones(1), "seen": torch.ones(1), "c": torch.ones(1)},
            "Affine has no `c`; its weights: W, b, seen",
        ),
        (
            {"W": torch.ones(2, 1), "seen": torch.ones(1)},
            "Affine has `b`, for which there is no weight",
        ),
        (
            {"W": torch.ones(1, 2), "b": torch.ones(1), "seen": torch.ones(1)},
            "Affine has `W` of shape (2, 1); wanted (1, 2)",
        ),
    ],
)
def test_weights_that_do_not_fit(sub: Handle, weights: Any, text: str) -> None:
    with pytest.raises(CallFailed) as caught:
        sub.Affine(2, 1).load(weights)
    assert text in str(caught.value)


def test_gradients_of_inputs_and_parameters(sub: Handle) -> None:
    module = sub.Affine(2, 1)
    x = X.clone().requires_grad_()
    gradients = module.vjp(x, cotangent=torch.tensor([[1.0], [2.0]]))
    assert [each.tolist() for each in gradients.inputs] == [[[1.0, 1.0], [2.0, 2.0]]]
    named = {name: each.tolist() for name, each in gradients.parameters.items()}
    assert named == {"W": [[7.0], [10.0]], "b": [3.0]}
    assert module.vjp(X).inputs == ()
    with pytest.raises(Rejected, match=r"Affine: the result has shape \(2, 1\), not \(3,\)."):
        module.vjp(x, cotangent=torch.ones(3))


def test_modes_dtypes_and_two_instances(sub: Handle) -> None:
    module = sub.Affine(2, 64, dropout=0.5)
    other = sub.Affine(2, 64)
    assert (module.train()(X) == 0).any()
    assert not (module.eval()(X) == 0).any()
    module.to(torch.float64)
    assert module(X.double()).dtype == torch.float64
    assert other(X).dtype == torch.float32
    assert other.state_dict()["seen"].tolist() == [1]
    assert module.state_dict()["seen"].tolist() == [3]


def test_what_goes_wrong_in_a_method(sub: Handle) -> None:
    module = sub.Affine(2, 3)
    with pytest.raises(CallFailed, match=r"Affine raised RuntimeError at line 17 \(`y = x @ self"):
        module(torch.ones(5))
    with pytest.raises(CallFailed, match=r"Affine.twice raised RuntimeError"):
        module.method("twice", X)
    with pytest.raises(CallFailed, match="has no attribute 'absent'"):
        module.method("absent")
    with pytest.raises(CallFailed, match="Affine wants a value for `out` that nobody gives it"):
        sub.Affine(2)
    with pytest.raises(Rejected, match=r"not_a_module returned a tensor .* a torch.nn.Module"):
        sub.not_a_module(X)
    with pytest.raises(Unattempted):
        sub.Unfinished(3)


def test_a_module_exercise_from_end_to_end(caller: Caller) -> None:
    with filling(Registry()):
        one = exercise(
            "03.1", function="Affine", title="t", page="p", hints=("a", "b", "c"), returns="module"
        )

    @one.check(points=2, title="t", hint="h")
    def test_forward(sub: Any, rng: Any) -> None:
        module = sub.Affine(2, 1)
        module.load({"W": X[:, :1], "b": torch.zeros(1), "seen": torch.zeros(1)})
        assert module(torch.ones(1, 2)).item() == 4

    report = grade(one, caller)
    assert (report.status, report.earned) == ("passed", 2), report
    (made, *_) = report.calls
    assert isinstance(made.outcome.value, ObjectRef)
    assert [call.name for call in report.calls] == ["Affine", "load", "forward"]


# --- kernels -------------------------------------------------------------------------------------

KERNEL = """
import torch
import triton
import triton.language as tl

@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    total = tl.load(x + at, mask=inside) + tl.load(y + at, mask=inside)
    tl.store(out + at, total, mask=inside)

@triton.jit
def too_far(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at) + tl.load(y + at))

def other(x):
    return x
"""

needs_triton = pytest.mark.skipif(
    sys.platform != "linux" or not __import__("importlib.util").util.find_spec("triton"),
    reason="Triton is for Linux",
)


@needs_triton
def test_a_kernel_is_launched_in_the_interpreter(tmp_path: Path) -> None:
    path = tmp_path / "answer.py"
    path.write_text(KERNEL)
    x, y, out = torch.arange(10.0), torch.ones(10), torch.zeros(10)
    with process_caller(path, needs_torch=True) as caller:
        sub = Handle(caller, {}, 20.0, 0)
        got = sub.add.launch((3,), x, y, out, 10, BLOCK=4)
        assert got[2].tolist() == [i + 1.0 for i in range(10)]
        assert out.tolist() == [0.0] * 10
        with pytest.raises(Died) as caught:
            sub.too_far.launch((3,), x, y, out, 10, BLOCK=4)
        assert "it crashed (SIGSEGV) at line 16 (`tl.store(out + at" in str(caught.value)
        assert sub.other(x).tolist() == x.tolist()
        with pytest.raises(CallFailed, match="There is no function absent"):
            sub.absent.launch((1,), x)
