"""TopK: a sort query by query, ties, chunks, memory of the backward pass."""

import re

import pytest
import torch

from minitx.cores import FullAttention, TopK
from minitx.masks import NO_MASK, Mask, causal, padding

from .patterns import EXACT, qkv

MASKS = {
    "none": NO_MASK,
    "causal": causal(),
    "padding": padding([2, 29], max_len=29),
    "both": causal() & padding([2, 29], max_len=29),
}


def by_sorting(q, k, v, k_best, mask, bias):
    """One query after another: sort the scores of its allowed keys, softmax over the first k."""
    B, H, T_q, D = q.shape
    T_k = k.size(2)
    allowed = mask.dense(T_q, T_k, "cpu").expand(B, H, T_q, T_k)
    output = torch.zeros(B, H, T_q, v.size(3), dtype=q.dtype)
    for b in range(B):
        for h in range(H):
            for i in range(T_q):
                scores = k[b, h] @ q[b, h, i] / D**0.5
                scores = scores if bias is None else scores + bias[0, h, i]
                keys = [j for j in range(T_k) if allowed[b, h, i, j]]
                keys = sorted(keys, key=lambda j: -scores[j].item())[:k_best]
                if keys:
                    output[b, h, i] = scores[keys].softmax(0) @ v[b, h][keys]
    return output


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("k_best", "chunk"), [(1, 29), (3, 4), (11, 7)])
def test_equals_sorting(k_best, chunk, with_bias, mask):
    q, k, v = (x.requires_grad_() for x in qkv(13, 29))
    bias = torch.randn(1, 3, 13, 29).double().requires_grad_() if with_bias else None
    leaves = [q, k, v] if bias is None else [q, k, v, bias]
    got = TopK(k_best, chunk=chunk)(q, k, v, mask=MASKS[mask], bias=bias)
    want = by_sorting(q, k, v, k_best, MASKS[mask], bias)
    torch.testing.assert_close(got, want, **EXACT)
    gradients = (torch.autograd.grad(y.square().sum(), leaves) for y in (got, want))
    torch.testing.assert_close(*gradients, **EXACT)


@pytest.mark.parametrize("k_best", [29, 100])
def test_all_keys_is_full_attention(k_best):
    q, k, v = qkv(13, 29)
    for mask in MASKS.values():
        torch.testing.assert_close(
            TopK(k_best, chunk=4)(q, k, v, mask=mask), FullAttention()(q, k, v, mask=mask), **EXACT
        )


def test_keys_that_tie_are_all_attended_to():
    q = torch.ones(1, 1, 1, 1)
    k = torch.tensor([0.0, 2.0, 1.0, 1.0, 1.0])[None, None, :, None]
    for order in (range(5), [4, 2, 0, 1, 3]):
        weights = TopK(2)(q, k[:, :, list(order)], torch.eye(5)[list(order)][None, None])
        wanted = torch.tensor([-torch.inf, 2.0, 1.0, 1.0, 1.0]).softmax(0)
        torch.testing.assert_close(weights[0, 0, 0], wanted)


def test_ties_among_forbidden_keys_do_not_matter():
    q, k, _ = qkv(13, 29)
    weights = TopK(5)(q, k, torch.eye(29).double().expand(2, 3, 29, 29), mask=MASKS["padding"])
    assert ((weights[0] > 0).sum(dim=-1) == 2).all() and (weights[0, :, :, 2:] == 0).all()


def test_no_gradient_reaches_keys_that_were_not_chosen():
    q, k, v = (x.requires_grad_() for x in qkv(1, 29, B=1, H=1))
    (gradient,) = torch.autograd.grad(TopK(3)(q, k, v).sum(), v)
    assert (gradient.abs().sum(dim=-1) > 0).sum() == 3


def test_the_chunks_are_not_kept_for_the_backward_pass():
    T = 256
    q, k, v = (torch.randn(1, 1, T, 8, requires_grad=True) for _ in range(3))
    kept = []

    def note(x):
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        FullAttention()(q, k, v)
        dense = max(kept)
        kept.clear()
        TopK(4, chunk=16)(q, k, v)
    # Views of q, k and v alone; the scores of one chunk would be 16 · T.
    assert dense == T * T and max(kept) == T * 8


def test_rows_of_a_pairwise_mask_go_with_their_queries():
    q, k, v = qkv(13, 29)
    mask = Mask(allowed=torch.rand(2, 1, 13, 29) < 0.4)
    torch.testing.assert_close(
        TopK(3, chunk=4)(q, k, v, mask=mask), by_sorting(q, k, v, 3, mask, None), **EXACT
    )


@pytest.mark.parametrize("name", ["k", "chunk"])
def test_refusals(name, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name} must be at least 1, got 0')}$"):
        TopK(**({"k": 3} | {name: 0}))
