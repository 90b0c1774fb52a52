"""The instruments of chapter 5 show what can be reckoned by hand or is known otherwise."""

import math
import re

import pytest
import torch
from torch import nn

from minitx.measure import deep_training, depth, half, recomputing, two_processes


def test_without_a_road_signal_and_gradient_fade_and_with_one_they_grow():
    for measured in (depth.signal, depth.gradient):
        bare, residual = measured("bare", (4, 16)), measured("residual", (4, 16))
        assert bare[0] < 1 and bare[1] < bare[0] ** 2
        assert residual[0] > 1 and residual[1] > residual[0] ** 2


def test_norms_hold_the_signal_at_one_or_let_it_grow_slowly():
    assert depth.signal("post-norm", (4, 16)) == pytest.approx([1, 1], abs=0.1)
    few, many = depth.signal("pre-norm", (4, 16))
    assert 1 < few < many < 16**0.75


def test_matrices_half_as_large_fade_faster():
    assert depth.signal("bare", (8,), gain=0.5)[0] < depth.signal("bare", (8,))[0] / 2**4


def test_a_stack_of_none_hands_everything_on():
    assert depth.signal("pre-norm", (0,)) == depth.gradient("pre-norm", (0,)) == [1.0]


def test_the_top_of_a_post_norm_stack_has_the_larger_gradients():
    post, pre = depth.by_layer("post-norm", depth=16), depth.by_layer("pre-norm", depth=16)
    assert len(post) == len(pre) == 8
    assert post[-1] > 1.5 * pre[-1]
    assert pre[0] > 1.5 * pre[-1]


def test_an_unknown_way_to_join_sublayers():
    message = "kind must be one of bare, residual, post-norm, pre-norm, got 'norm'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        depth.Sublayers("norm", 2)  # type: ignore[arg-type]


@pytest.mark.slow
def test_twelve_layers_learn_only_with_roads_and_norms():
    kinds: tuple[depth.Kind, ...] = ("bare", "residual", "pre-norm")
    last = {kind: deep_training.losses(kind, num_steps=60)[-1] for kind in kinds}
    guess = math.log(deep_training.WORDS)
    assert last["bare"] > guess - 0.15 and last["residual"] > guess - 0.15
    assert last["pre-norm"] < 0.5


def test_what_is_lost_in_sixteen_bits():
    numbers = torch.tensor([2.0**-26, 2.0**-20, 1.0, 2.0**17])
    assert half.lost(numbers, torch.float16) == (0.25, 0.25)
    assert half.lost(numbers, torch.float16, 2.0**10) == (0.0, 0.25)
    assert half.lost(numbers, torch.bfloat16) == (0.0, 0.0)
    assert [row[1] for row in half.table(numbers, (0, 10)).rows] == [0.25, 0.0, 0.0, 0.0]
    assert half.table(numbers, (10,)).rows[1][0] == "bf16, loss × 2¹⁰"


def test_all_gradients_that_are_not_zero():
    layer = nn.Linear(2, 2)
    row = half.gradients(layer, layer(torch.tensor([5.0, 0.0]))[0])
    assert sorted(row.tolist()) == [1.0, 5.0]


def test_checkpoints_keep_an_input_per_block_and_the_gradients():
    T, C, floats = 64, 64, 4
    few = [recomputing.bytes_kept(n, recompute=True) for n in (2, 6)]
    assert few[1] - few[0] == pytest.approx(4 * T * C * floats, rel=0.2)
    assert recomputing.bytes_kept(6, recompute=False) > 10 * few[1]
    assert recomputing.table((2, 3)).rows[1][3] == "True"


@pytest.mark.slow
def test_two_processes_learn_what_one_learns():
    one, two = two_processes.weights(1), two_processes.weights(2)
    assert two_processes.apart(one, two) < 1e-5  # sums in another order
    assert two_processes.apart(one, two_processes.untrained().state_dict()) > 0.001


@pytest.mark.slow
def test_processes_that_fail_say_why():
    with pytest.raises(RuntimeError, match="the processes failed: "):
        two_processes.weights(0)
