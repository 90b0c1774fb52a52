"""StridedSparse: the paper's two sets of positions, the two-step reach, wrong patterns."""

import re

import pytest
import torch

from minitx.cores import FullAttention, StridedSparse
from minitx.masks import NO_MASK, causal, padding
from minitx.models.gpt import GPT, GPTConfig

from .patterns import EXACT, assert_dense_equals, attended, qkv

MASKS = {
    "none": lambda T: NO_MASK,
    "causal": lambda T: causal(),
    "padding": lambda T: padding([T - 3, T], max_len=T),
    "both": lambda T: causal() & padding([T - 3, T], max_len=T),
}


def either(stride):
    """Child et al. 2019, §4.2, in both directions; causality is the mask's part."""
    return lambda i, j: abs(i - j) <= stride or (i - j) % stride == 0


def as_the_paper_writes_it(i, stride):
    """A⁽¹⁾ = {t, t + 1, …, i}, t = max(0, i - l), and A⁽²⁾ = {j : (i - j) mod l = 0}."""
    near = set(range(max(0, i - stride), i + 1))
    return near | {j for j in range(i + 1) if (i - j) % stride == 0}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("stride", [1, 2, 5, 11, 28, 29, 40])
@pytest.mark.parametrize("lengths", [(29, 29), (7, 29), (1, 29), (29, 13)])
def test_equals_dense_attention_with_the_rebuilt_mask(lengths, stride, mask):
    assert_dense_equals(StridedSparse(stride), either(stride), *lengths, MASKS[mask](lengths[1]))


@pytest.mark.parametrize("stride", [1, 3, 7])
def test_the_sets_of_the_paper(stride):
    seen = attended(StridedSparse(stride), 31, 31, causal())
    for i in range(31):
        assert set(seen[i].nonzero().flatten().tolist()) == as_the_paper_writes_it(i, stride)


def test_every_earlier_position_is_reached_in_two_steps():
    """§4.2: any position can receive signals from any other through two such layers."""
    one = attended(StridedSparse(5), 31, 31, causal()).double()
    assert ((one @ one > 0) == torch.ones(31, 31).tril().bool()).all()


@pytest.mark.parametrize("stride", [28, 29, 100])
def test_a_stride_of_everything_is_full_attention(stride):
    q, k, v = qkv(29, 29)
    for mask in (m(29) for m in MASKS.values()):
        torch.testing.assert_close(
            StridedSparse(stride)(q, k, v, mask=mask), FullAttention()(q, k, v, mask=mask), **EXACT
        )


WRONG = {
    "no columns": lambda i, j: abs(i - j) <= 5,
    "no rows": lambda i, j: (i - j) % 5 == 0,
    "narrower by one": lambda i, j: abs(i - j) < 5 or (j % 5 == i % 5 and abs(i - j) != 5),
    "columns counted from the start": lambda i, j: abs(i - j) <= 5 or j % 5 == 0,
    "the fixed pattern": lambda i, j: i // 5 == j // 5 or j % 5 == 4,
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_pattern_is_noticed(wrong):
    with pytest.raises(AssertionError):
        assert_dense_equals(StridedSparse(5), WRONG[wrong], 29, 29)


def test_a_key_of_both_sets_counts_once():
    """i itself and i - l are near and in the column: twice in the softmax they would weigh more."""
    q = k = torch.zeros(1, 1, 29, 5)
    weights = StridedSparse(5)(q, k, torch.eye(29)[None, None], mask=causal())[0, 0]
    torch.testing.assert_close(weights[28][[28, 27, 23, 3]], torch.full((4,), 1 / 10))


def test_decoding_with_a_cache_equals_reading_at_once():
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=11, max_len=31, d_model=6, num_heads=2, num_layers=2, dropout=0.0,
        core=lambda: StridedSparse(5),
    )  # fmt: skip
    model = GPT(config).double().eval()
    token_ids = torch.randint(11, (2, 31))
    caches = model.new_caches()
    with torch.no_grad():
        steps = [model(part, caches=caches) for part in token_ids.split([5, 1, 1, 7, 1, 16], dim=1)]
        torch.testing.assert_close(torch.cat(steps, dim=1), model(token_ids), **EXACT)


def test_refusals(as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape('stride must be at least 1, got 0')}$"):
        StridedSparse(0)
