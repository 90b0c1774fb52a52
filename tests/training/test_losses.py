"""Label smoothing against torch's own cross-entropy."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from minitx.training import IGNORE, label_smoothed_cross_entropy

EXACT = {"rtol": 1e-10, "atol": 1e-12}  # float64, sums of a few hundred terms of size one


def drawn(seed, *shape, V=13):
    random = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(*shape, V, generator=random, dtype=torch.float64)
    return logits.requires_grad_(), torch.randint(V, shape, generator=random)


def value_and_gradient(loss, logits):
    return loss, torch.autograd.grad(loss, logits)[0]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignore_index", [IGNORE, 0])
@given(
    seed=st.integers(0, 2**32), T=st.integers(1, 17), smoothing=st.floats(0, 0.99),
    share=st.floats(0, 0.9),
)  # fmt: skip
def test_equals_torch_in_value_and_gradient(reduction, ignore_index, seed, T, smoothing, share):
    logits, targets = drawn(seed, T)
    hidden = torch.rand(T, generator=torch.Generator().manual_seed(seed)) < share
    hidden[0] = False  # torch gives NaN for the mean of no rows at all
    targets = targets.masked_fill(hidden, ignore_index)
    targets[0] = 5
    ours = label_smoothed_cross_entropy(
        logits, targets, smoothing=smoothing, ignore_index=ignore_index, reduction=reduction
    )
    torchs = F.cross_entropy(
        logits, targets, label_smoothing=smoothing, ignore_index=ignore_index, reduction=reduction
    )
    for got, want in zip(
        value_and_gradient(ours, logits), value_and_gradient(torchs, logits), strict=True
    ):
        torch.testing.assert_close(got, want, **EXACT)


def test_padding_is_irrelevant():
    logits, targets = drawn(0, 5, 7)
    is_token = torch.arange(7) < torch.tensor([7, 3, 1, 5, 0])[:, None]
    padded = label_smoothed_cross_entropy(
        logits, targets.masked_fill(~is_token, IGNORE), smoothing=0.3
    )
    alone = label_smoothed_cross_entropy(logits[is_token], targets[is_token], smoothing=0.3)
    torch.testing.assert_close(padded, alone, **EXACT)
    gradient = torch.autograd.grad(padded, logits)[0]
    assert (gradient[~is_token] == 0).all() and (gradient[is_token] != 0).all()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_batch_of_padding_only_is_nothing(reduction):
    logits, targets = drawn(0, 3, 5)
    loss = label_smoothed_cross_entropy(
        logits, torch.full_like(targets, IGNORE), smoothing=0.1, reduction=reduction
    )
    value, gradient = value_and_gradient(loss, logits)
    assert float(value.detach()) == 0.0 and (gradient == 0).all()


def test_by_hand():
    # Two tokens, smoothing 0.2: the right one has 0.9 of the mass, the other 0.1.
    logits = torch.tensor([[0.75, 0.25]], dtype=torch.float64).log()
    loss = label_smoothed_cross_entropy(logits, torch.tensor([0]), smoothing=0.2)
    want = -(0.9 * torch.tensor(0.75).double().log() + 0.1 * torch.tensor(0.25).double().log())
    torch.testing.assert_close(loss, want, **EXACT)


def test_huge_logits_stay_finite():
    logits = torch.tensor([[1e3, -1e3, 0.0]], requires_grad=True)
    loss = label_smoothed_cross_entropy(logits, torch.tensor([1]), smoothing=0.1)
    assert all(part.isfinite().all() for part in value_and_gradient(loss, logits))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_float32(dtype):
    logits, targets = drawn(0, 1009)
    logits = logits.detach().to(dtype)
    got = label_smoothed_cross_entropy(logits, targets, reduction="sum")
    with torch.autocast("cpu", dtype):
        assert torch.equal(label_smoothed_cross_entropy(logits, targets, reduction="sum"), got)
    assert got.dtype == torch.float32
    want = label_smoothed_cross_entropy(logits.double(), targets, reduction="sum")
    # float32: 2⁻²⁴ per term. bfloat16 has 8 bits: its sum would be off by whole numbers.
    torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=0)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_forbidden_tokens_cost_what_they_cost_in_torch(reduction, smoothing):
    """A logit of -inf takes part with the weight 0, or makes the loss infinite; never NaN."""
    logits, targets = drawn(0, 3, V=5)
    forbidden = torch.zeros(3, 5, dtype=torch.bool)
    forbidden[0, (targets[0] + 1) % 5] = forbidden[1, targets[1]] = forbidden[2, 0] = True
    targets[2] = IGNORE
    for rows in (slice(0, 1), slice(0, 3)):  # an allowed target alone; with a forbidden one
        masked = logits[rows].masked_fill(forbidden[rows], -torch.inf)
        settings = {"reduction": reduction}
        got = label_smoothed_cross_entropy(masked, targets[rows], smoothing=smoothing, **settings)
        want = F.cross_entropy(masked, targets[rows], label_smoothing=smoothing, **settings)
        torch.testing.assert_close(got, want, **EXACT)
        assert got.sum().isfinite() == (smoothing == 0 and rows.stop == 1)
        if got.sum().isfinite():
            assert torch.autograd.grad(got.sum(), logits)[0].isfinite().all()


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_no_reduction_gives_one_number_per_row(smoothing):
    logits, targets = drawn(0, 3, 5)
    targets[1, 2] = IGNORE
    got = label_smoothed_cross_entropy(logits, targets, smoothing=smoothing, reduction="none")
    want = F.cross_entropy(logits.mT, targets, label_smoothing=smoothing, reduction="none")
    assert got.shape == (3, 5) and got[1, 2] == 0
    torch.testing.assert_close(got, want, **EXACT)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"smoothing": -0.1}, "smoothing must lie in [0, 1), got -0.1"),
        ({"smoothing": 1.0}, "smoothing must lie in [0, 1), got 1.0"),
        ({"reduction": "max"}, "reduction must be mean, sum or none, got 'max'"),
    ],
)
def test_refusal(change, text, as_users_run):
    logits, targets = drawn(0, 2)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        label_smoothed_cross_entropy(logits, targets, **change)
