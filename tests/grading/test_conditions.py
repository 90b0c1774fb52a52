"""Which calls go wrong, in words: of the calls alone, whatever was answered."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.judge.conditions import telling


def given(sizes: Any = None, *, refused: bool = False, **arguments: Any) -> Any:
    return SimpleNamespace(
        arguments=arguments,
        given=SimpleNamespace(sizes=sizes or {}),
        want=SimpleNamespace(kind="raised" if refused else "returned"),
    )


def call(scores: Any) -> Any:
    return given(scores=scores)


@pytest.mark.parametrize("of", [np.array, torch.tensor])
def test_a_tie_for_the_largest(of: Any) -> None:
    right = [call(of([[1.0, 2.0, 0.0]])), call(of([[0.0, 0.0, 3.0]])), call(of([4.0, 1.0, 1.0]))]
    wrong = [call(of([[1.0, 2.0, 0.0], [3.0, 3.0, 1.0]]))]
    found = telling(wrong, right)
    assert found is not None
    assert found.words == "where the largest number in a row of `scores` comes more than once"


def test_a_tie_that_goes_wrong_only_sometimes_says_nothing() -> None:
    right = [call(np.array([1.0, 1.0])), call(np.array([1.0, 2.0])), call(np.array([3.0, 2.0]))]
    assert telling([call(np.array([5.0, 5.0]))], right) is None


def test_less_is_not_said_where_more_was_never_asked() -> None:
    def of(T_q: int, T_k: int) -> Any:
        return given({"T_q": T_q, "T_k": T_k})

    found = telling([of(3, 5), of(2, 7)], [of(3, 3), of(5, 5)])
    assert found is not None
    assert found.words == "where T_q ≠ T_k"
    found = telling([of(3, 5), of(2, 7)], [of(3, 3), of(5, 3)])
    assert found is not None
    assert found.words == "where T_q < T_k"


def test_what_every_call_has_that_is_allowed_is_not_said() -> None:
    shares = [given(p=0.3), given(p=0.9)]
    assert telling(shares, [given(p=1.0), given(p=1.0)]) is None
    assert telling(shares, [given(p=1.0), given(p=1.7, refused=True)]) is None
    found = telling(shares, [given(p=1.0), given(p=2.5)])  # a factor, say, may be above 1
    assert found is not None
    assert found.words == "where `p` is between 0 and 1"


def test_a_parameter_that_was_left_out_has_its_usual_value() -> None:
    wrong, right = [given(x=1, eps=0.5)], [given(x=1), given(x=1)]
    assert telling(wrong, right, {"eps": 0.1}) is None
    found = telling(wrong, right, {"eps": 2.0})
    assert found is not None
    assert found.words == "where `eps` is between 0 and 1"


def test_what_is_always_given_sets_nothing_apart() -> None:
    weight = torch.zeros(2)
    wrong = [given(**{"encoder.1.weight": weight})]
    assert telling(wrong, [given(), given()]) is None
    found = telling([given(mask="causal")], [given(), given()], {"mask": None})
    assert found is not None
    assert found.words == "where `mask` is given"
