"""The small trainings of the chapters show what the pages say they show."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from minitx.cores import FullAttention, FusedAttention
from minitx.functional import masked_softmax
from minitx.masks import NO_MASK, Mask, causal
from minitx.measure import lookup_training, next_character, own_place, smooth


class Deaf(FullAttention):
    """Every token attends to itself alone."""

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None) -> Any:
        itself = torch.eye(q.size(-2), dtype=torch.bool)
        return masked_softmax(q @ k.mT, itself) @ v


@pytest.mark.slow
def test_a_model_whose_tokens_hear_nobody_learns_less() -> None:
    hears, deaf = (
        smooth.means(next_character.losses(core, num_steps=150), of=10)
        for core in (FusedAttention, Deaf)
    )
    assert abs(hears[0] - deaf[0]) < 0.1  # they begin alike,
    assert deaf[-1] < deaf[0] / 3  # both learn,
    assert hears[-1] < deaf[-1] / 1.6  # and one of them goes on


@pytest.mark.slow
def test_two_ways_to_compute_the_same_learn_the_same() -> None:
    first, second = (
        next_character.losses(core, num_steps=5) for core in (FusedAttention, FullAttention)
    )
    np.testing.assert_allclose(first, second, rtol=1e-4)


@pytest.mark.slow
def test_a_lookup_is_learned_with_the_square_root_first() -> None:
    unscaled, right, too_small = (
        smooth.means(lookup_training.losses(scale, num_steps=100), of=10)
        for scale in (1.0, 1 / 16, 1 / 256)
    )
    assert right[-1] < 0.1
    assert too_small[0] < 1.1 and too_small[-1] > 0.4  # the plain average, left slowly
    assert unscaled[0] > 1.4 and unscaled[-1] > 0.5  # one key chosen by chance


def test_the_mean_is_of_runs_that_differ() -> None:
    one, three = (lookup_training.losses(1 / 16, num_steps=2, runs=runs) for runs in (1, 3))
    again = lookup_training.losses(1 / 16, num_steps=2, runs=1)
    assert one == again
    assert one != three


def test_means_need_something_to_take_the_mean_of() -> None:
    message = "of must lie in 1 … 2, the number of values, got 3"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        smooth.means([1.0, 2.0], of=3)


@pytest.mark.slow
def test_without_positions_a_causal_mask_tells_the_place_and_no_mask_does_not() -> None:
    none, triangle = (own_place.right(mask, seed=5) for mask in (NO_MASK, causal()))
    assert none < own_place.CHANCE + 0.03
    assert triangle > 0.9


def test_before_training_a_place_is_named_by_chance() -> None:
    assert own_place.right(causal(), seed=0, num_steps=0) < 0.2
