"""Doors that are shut while an answer runs: under every alias, and open again afterwards."""

import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minitx import functional, numpy_core
from minitx.cores import FullAttention, FusedAttention, TiledAttention
from minitx.grading.limits import TimeLimit
from minitx.grading.worker.closed_doors import ClosedDoor, door_of, shut
from minitx.masks import Mask
from minitx.numpy_core import softmax as renamed

SOFTMAX = "minitx.numpy_core.softmax"
ATTENTION = (
    "minitx.functional.scaled_dot_product_attention",
    "minitx.functional.online_softmax",
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch._native_multi_head_attention",
)
ROW = np.array([0.0, 1.0])
SCORES = torch.tensor([[0.0, 1.0]])
HEADS = torch.ones(1, 2, 3, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: numpy_core.softmax(ROW),
        lambda: renamed(ROW),
        lambda: functools.partial(renamed)(ROW),
        lambda: getattr(numpy_core, "soft" + "max")(ROW),
        lambda: np.vectorize(renamed, signature="(n)->(n)")(ROW),
        lambda: next(map(renamed, [ROW])),
        lambda: numpy_core.soft_lookup(np.ones(1), np.ones((2, 1)), np.ones((2, 1))),
    ],
    ids=["module", "renamed", "partial", "getattr", "vectorize", "map", "through another"],
)
def test_a_python_function_is_closed_under_every_alias(call: Callable[[], Any]) -> None:
    with (
        pytest.raises(ClosedDoor, match=r"^minitx.numpy_core.softmax is closed here: this is what"),
        shut((SOFTMAX,)),
    ):
        call()
    call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.softmax(SCORES, -1),
        lambda: SCORES.softmax(-1),
        lambda: F.softmax(SCORES, -1),
        lambda: torch.special.softmax(SCORES, -1),
        lambda: torch.nn.Softmax(-1)(SCORES),
        lambda: torch.ops.aten.softmax(SCORES, -1),
        lambda: torch.ops.aten.softmax.int(SCORES, -1),
        lambda: torch.ops.aten._softmax(SCORES, -1, False),
        lambda: torch._softmax(SCORES, -1, False),
        lambda: torch.masked.softmax(SCORES, -1),
        lambda: functools.partial(torch.softmax, dim=-1)(SCORES),
        lambda: torch.vmap(lambda row: row.softmax(-1))(SCORES),
        lambda: functional.masked_softmax(SCORES),
    ],
)
def test_an_operator_of_torch_is_closed_under_every_alias(call: Callable[[], Any]) -> None:
    with (
        pytest.raises(ClosedDoor, match=r"^torch's softmax is closed here: this is what you are"),
        shut(("torch.softmax",)),
    ):
        call()
    call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: functional.scaled_dot_product_attention(HEADS, HEADS, HEADS),
        lambda: F.scaled_dot_product_attention(HEADS, HEADS, HEADS),
        lambda: torch.nn.MultiheadAttention(4, 1)(HEADS[0], HEADS[0], HEADS[0]),
        lambda: FullAttention()(HEADS, HEADS, HEADS, mask=Mask()),
        lambda: FusedAttention()(HEADS, HEADS, HEADS, mask=Mask()),
        lambda: TiledAttention()(HEADS, HEADS, HEADS, mask=Mask()),
    ],
)
def test_attention_is_closed_whoever_hands_over_to_it(call: Callable[[], Any]) -> None:
    with pytest.raises(ClosedDoor), shut(ATTENTION):
        call()
    call()


def test_an_open_function_may_use_a_closed_one() -> None:
    with shut((SOFTMAX, "!minitx.numpy_core.soft_lookup")):
        got = numpy_core.soft_lookup(np.ones(1), np.ones((2, 1)), np.array([[1.0], [3.0]]))
        assert got == [2.0]
        with pytest.raises(ClosedDoor):
            numpy_core.softmax(ROW)
    with shut(("torch.softmax", "!minitx.functional.masked_softmax")):
        assert functional.masked_softmax(torch.zeros(1, 2)).tolist() == [[0.5, 0.5]]
        with pytest.raises(ClosedDoor):
            torch.softmax(SCORES, -1)


def test_what_is_not_closed_stays_open() -> None:
    with shut((SOFTMAX, *ATTENTION)):
        assert functional.masked_softmax(torch.zeros(1, 2)).tolist() == [[0.5, 0.5]]
        assert torch.ones(2, 2).sum() == 4


def test_the_closed_function_as_the_answer_itself() -> None:
    """`softmax = numpy_core.softmax` in a file: no line of the learner's calls anything."""
    answer = numpy_core.softmax
    with pytest.raises(ClosedDoor), shut((SOFTMAX,)):
        answer(ROW)


def test_doors_open_again_after_an_exception_and_a_time_out() -> None:
    code = numpy_core.softmax.__code__
    with pytest.raises(KeyError), shut((SOFTMAX, "torch.softmax")):
        assert numpy_core.softmax.__code__ is not code
        raise KeyError
    assert numpy_core.softmax.__code__ is code

    def endless() -> None:
        with shut((SOFTMAX, "torch.softmax")):
            while True:
                pass

    limit = TimeLimit(0.05)
    limit.run(endless)
    assert limit.expired
    assert numpy_core.softmax.__code__ is code
    assert torch.softmax(SCORES, -1).shape == (1, 2)


def test_another_thread_finds_them_open() -> None:
    got: list[Any] = []
    with shut((SOFTMAX, "torch.softmax")):
        thread = threading.Thread(
            target=lambda: got.extend([renamed(ROW), torch.softmax(SCORES, -1)])
        )
        thread.start()
        thread.join()
    assert len(got) == 2


def test_two_guards_do_not_open_each_others_doors() -> None:
    code = numpy_core.softmax.__code__
    with shut((SOFTMAX,)):
        with shut((SOFTMAX,)), pytest.raises(ClosedDoor):
            renamed(ROW)
        with pytest.raises(ClosedDoor):
            renamed(ROW)
    assert numpy_core.softmax.__code__ is code


def test_keywords_and_defaults_pass_through_the_gate() -> None:
    """For another thread the gate must be the function it stands before."""
    got: list[Any] = []
    want = numpy_core.attention(np.ones((1, 2)), np.ones((2, 2)), np.ones((2, 1)), scale=0.5)
    with shut(("minitx.numpy_core.attention",)):
        thread = threading.Thread(
            target=lambda: got.append(
                numpy_core.attention(np.ones((1, 2)), k=np.ones((2, 2)), v=np.ones((2, 1)))
            )
        )
        thread.start()
        thread.join()
    assert np.array_equal(got[0], want)


def test_a_method_can_be_closed() -> None:
    with (
        pytest.raises(ClosedDoor, match=r"^minitx.masks.Mask.dense is closed"),
        shut(("minitx.masks.Mask.dense",)),
    ):
        Mask(causal=True).dense(2, 2, "cpu")


def test_a_function_of_numpy_can_be_closed() -> None:
    """It is C outside, and Python within."""
    solve = np.linalg.solve
    with (
        pytest.raises(ClosedDoor, match=r"^numpy.linalg.solve is closed"),
        shut(("numpy.linalg.solve",)),
    ):
        solve(np.eye(2), np.ones(2))
    assert solve(np.eye(2), np.ones(2)).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("minitx.masks.Mask", "cannot be closed: got type, wanted a Python function or"),
        ("numpy.exp", "cannot be closed: got ufunc"),
        ("torch.nope", "torch.nope cannot be closed: there is no nope in"),
        ("minitx.masks.nope", "there is no nope in"),
        ("minitx.nope.x", "there is no nope in"),
    ],
)
def test_a_name_that_cannot_be_closed(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        door_of(name)


def test_what_nobody_has_imported_needs_no_door() -> None:
    assert door_of("a_package_that_is_not_there.softmax") is None
    with shut(("a_package_that_is_not_there.softmax",)):
        assert renamed(ROW).shape == (2,)
