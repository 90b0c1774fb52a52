"""Where an exercise asks for a number, it does not matter who made it."""

from typing import Any

import numpy as np
import torch

from minitx.grading.calling import Outcome
from minitx.grading.judge.alike import same_outcome
from minitx.grading.judge.as_numbers import AsNumbers, as_numbers
from minitx.grading.own import OwnCaller


def value(x: Any, *returns: str) -> Any:
    return as_numbers(Outcome("returned", x), returns).value


def test_numbers_become_pythons() -> None:
    for x in (0.5, torch.tensor(0.5), np.float32(0.5), np.array(0.5)):
        got = value(x, "number")
        assert type(got) is float and got == 0.5
    assert type(value(torch.tensor(3), "number")) is int


def test_several_values_become_a_tuple_and_tensors_stay() -> None:
    table = torch.ones(2)
    got = value([torch.tensor(0.5), table], "number", "tensor")
    assert type(got) is tuple and got[0] == 0.5 and got[1] is table
    assert value([1.0, 2.0], "any") == [1.0, 2.0]
    assert value((table,), "number", "tensor") == (table,)


def test_what_is_no_number_stays() -> None:
    loss = torch.tensor(0.5, requires_grad=True)
    assert value(loss, "number") is loss
    assert value(None, "number") is None
    raised = Outcome("raised", text="no")
    assert as_numbers(raised, ("number",)) is raised


def test_two_answers_are_alike_then() -> None:
    functions = {"f": lambda x: (x.sum(), x), "g": lambda x: [float(x.sum()), x]}
    caller = AsNumbers(OwnCaller(functions), ("number", "tensor"))
    one, other = (caller.call(name, (torch.ones(3),), {}, seconds=1, seed=0) for name in "fg")
    assert same_outcome(one, other)
    assert caller.facts == caller.caller.facts
