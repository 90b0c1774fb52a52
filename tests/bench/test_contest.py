"""Nothing is timed before it is equal; what is timed is what it says."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from minitx.bench import contest as contest_module
from minitx.bench.contest import AttentionKernels, Unequal, largest_error, measure, timed
from minitx.bench.models import SIZES, Sizes, contests, forward

from .contests import between_layers

CPU = torch.device("cpu")
TINY = Sizes(2, 13, 12, 2, 2, 17, 19, 5)


def measured(contest, **changes):
    return measure(contest, CPU, **{"seconds": 0.0, "min_rounds": 3, **changes})


@pytest.mark.parametrize("contest", contests(TINY), ids=lambda c: c.name)
def test_both_sides_of_every_contest_agree(contest):
    timing = measured(contest)
    # float32, a few small layers: rounding is near 1e-7; the contest allows 1e-4.
    assert 0 <= timing.error_ours < 1e-5
    assert 0 < timing.error_theirs < 1e-5
    assert timing.rounds == 3
    assert "flash_attention_for_cpu" in timing.kernels_ours
    assert timing.kernels_theirs != "none"
    assert 0 < timing.ratio_low <= timing.ratio <= timing.ratio_high


@pytest.mark.parametrize("contest", contests(TINY), ids=lambda c: c.name)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_broken_side_is_not_timed(contest, side, monkeypatch):
    """One weight of 1.01 in place of 1, in the last parameter that matters."""
    monkeypatch.setattr(contest_module, "timed", lambda *_: pytest.fail("it was timed"))

    def breaking(start):
        def started(module):
            if next(module.parameters()).dtype == torch.float32:
                with torch.no_grad():
                    for parameter in module.parameters():
                        parameter.mul_(1.01)
            return start(module)

        return started

    from dataclasses import replace

    name = f"start_{side}"
    broken = replace(contest, **{name: breaking(getattr(contest, name))})
    who = "minitx" if side == "ours" else contest.peer
    says = (
        rf"^{contest.name}: {who} differs from {contest.peer} in float64 by .* nothing was timed$"
    )
    with pytest.raises(Unequal, match=says):
        measured(broken)


def test_a_wrong_gradient_is_seen():
    def wrong(module, x):
        return module(x) + (x - x.detach()).sum()  # the right value, another gradient

    contest = between_layers(training=True, start_ours=forward(wrong))
    with pytest.raises(Unequal, match="a layer: minitx differs"):
        measured(contest)
    measured(between_layers(start_ours=forward(wrong)))


def test_numbers_that_are_none_are_not_equal():
    contest = between_layers(start_ours=forward(lambda module, x: module(x) * torch.nan))
    with pytest.raises(Unequal, match="by nan of the largest number"):
        measured(contest)


def test_sides_take_turns_on_the_same_fresh_inputs():
    seen = []

    def noted(side):
        def start(module):
            def prepare(inputs):
                def call():
                    seen.append((side, module.weight.dtype, inputs[0].double().sum().item()))
                    return (module(inputs[0]),)

                return call

            return prepare

        return start

    contest = between_layers(start_ours=noted("ours"), start_theirs=noted("theirs"))
    assert measured(contest, min_rounds=4).rounds == 4
    reference, *rest = seen
    assert reference[:2] == ("theirs", torch.float64)
    check, warm_up, rounds = rest[:2], rest[2:4], rest[4:]
    assert {side for side, *_ in check} == {side for side, *_ in warm_up} == {"ours", "theirs"}
    assert len({x for _, _, x in check}) == 1
    order = [side for side, *_ in rounds]
    assert order == ["theirs", "ours", "ours", "theirs"] * 2
    inputs = [x for _, _, x in rounds]
    assert inputs[::2] == inputs[1::2]
    assert len(set(inputs)) == 4


def test_medians_and_ratios_are_of_the_rounds(monkeypatch):
    """Seconds are given, so that the arithmetic can be followed; 9.0 is the warm-up."""
    seconds = iter([9.0, 9.0, 2.0, 1.0, 1.0, 3.0, 8.0, 2.0, 1.0, 5.0, 6.0, 1.0])
    monkeypatch.setattr(contest_module, "timed", lambda *_: next(seconds))
    timing = measured(between_layers(), min_rounds=5)
    # theirs 2, 3, 8, 5, 6 and ours 1, 1, 2, 1, 1
    assert (timing.ours, timing.theirs) == (1.0, 5.0)
    assert (timing.ratio_low, timing.ratio, timing.ratio_high) == (3.0, 4.0, 5.0)


def lasting(clock, seconds, before=0.0):
    """A way to start a contest's side: `before` to prepare a call, then `seconds` for it."""

    def start(module):
        def prepare(inputs):
            clock.forward(before)

            def call():
                clock.forward(seconds)
                return (module(inputs[0]),)

            return call

        return prepare

    return start


def test_rounds_go_on_for_the_time_that_is_given(monkeypatch, clock):
    clock.rules(monkeypatch, contest_module)
    half = lasting(clock, 0.5)
    contest = between_layers(start_ours=half, start_theirs=half)
    assert measured(contest, seconds=7.0, min_rounds=3).rounds == 7
    assert measured(contest, seconds=0.0, min_rounds=3).rounds == 3


def test_only_the_call_is_timed(monkeypatch, clock):
    clock.rules(monkeypatch, contest_module)
    assert timed(lambda: clock.forward(0.25), CPU) == 0.25
    timing = measured(between_layers(start_ours=lasting(clock, 0.125, before=64.0)))
    assert timing.ours == 0.125


def test_weights_are_the_same_and_chance_outside_is_not_moved():
    torch.manual_seed(3)
    wanted = torch.rand(5)
    torch.manual_seed(3)
    measured(between_layers())
    assert torch.equal(torch.rand(5), wanted)


def test_the_error_is_a_share_of_the_largest_number():
    wanted = (torch.tensor([10.0, -20.0]), torch.tensor([1.0]))
    got = (torch.tensor([10.0, -19.0]), torch.tensor([1.01]))
    assert largest_error(got, wanted) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="zip"):
        largest_error(got[:1], wanted)


def test_kernels_are_those_that_ran():
    x = torch.randn(1, 1, 3, 5)
    with AttentionKernels() as seen:
        F.scaled_dot_product_attention(x, x, x)
        torch.ones(3).sum()
    assert seen.names == {"flash_attention_for_cpu"}
    with AttentionKernels() as seen:
        x @ x.transpose(-2, -1)
    assert not seen.names


def test_training_leaves_no_gradient_behind():
    """Every call's gradients are its own: parameters begin each call without one."""
    layer = nn.Linear(5, 7).train()
    call = forward(lambda module, x: module(x))(layer)
    x, gradient = torch.randn(3, 5), torch.randn(3, 7)
    call((x, gradient))()
    once = copy.deepcopy(layer.weight.grad)
    output, x_grad = call((x, gradient))()
    assert torch.equal(layer.weight.grad, once)
    torch.testing.assert_close(x_grad, gradient @ layer.weight)
    torch.testing.assert_close(output, F.linear(x, layer.weight, layer.bias))


def test_sizes_name_a_device_or_quick():
    assert set(SIZES) == {"cpu", "cuda", "quick"}
    names = {tuple(c.name.split(" at ")[0] for c in contests(sizes)) for sizes in SIZES.values()}
    assert len(names) == 1
