"""Laws of attention, on inputs that hypothesis draws."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitx.cores import FullAttention, FusedAttention
from minitx.functional import masked_softmax, online_softmax, scaled_dot_product_attention
from minitx.masks import Mask, causal, padding

# float64 sums of a few dozen terms of size one; a broken law is off by far more.
EXACT = {"rtol": 1e-9, "atol": 1e-11}
CORES = pytest.mark.parametrize("core", [FullAttention(), FusedAttention()], ids=["full", "fused"])

seeds = st.integers(0, 2**32)
lengths = st.integers(1, 13)


def drawn(seed, *shapes):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes]


def self_attention_inputs(seed, T):
    return drawn(seed, (2, 3, T, 5), (2, 3, T, 5), (2, 3, T, 7))


@given(seed=seeds, T_q=lengths, T_k=lengths, shift=st.floats(-1e3, 1e3))
def test_softmax_ignores_a_shift_of_a_whole_row(seed, T_q, T_k, shift):
    (scores,) = drawn(seed, (T_q, T_k))
    allowed = drawn(seed + 1, (T_q, T_k))[0] > -0.5
    torch.testing.assert_close(
        masked_softmax(scores + shift, allowed), masked_softmax(scores, allowed), **EXACT
    )


@given(seed=seeds, T_q=lengths, T_k=lengths, size=st.floats(0.01, 1e3))
def test_rows_sum_to_one_or_are_empty(seed, T_q, T_k, size):
    (scores,) = drawn(seed, (T_q, T_k))
    allowed = drawn(seed + 1, (T_q, T_k))[0] > 0.5
    weights = masked_softmax(size * scores, allowed)
    assert (weights >= 0).all() and (weights[~allowed] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1), allowed.any(dim=-1).double(), **EXACT)


@given(seed=seeds, T_q=lengths, T_k=lengths, cuts=st.lists(lengths, max_size=5))
def test_online_softmax_does_not_depend_on_the_cuts(seed, T_q, T_k, cuts):
    scores, values = drawn(seed, (T_q, T_k), (T_k, 7))
    edges = sorted({0, T_k, *(cut for cut in cuts if cut < T_k)})
    blocks = [
        (scores[:, start:stop], values[start:stop]) for start, stop in itertools.pairwise(edges)
    ]
    torch.testing.assert_close(online_softmax(blocks), scores.softmax(dim=-1) @ values, **EXACT)


@CORES
@given(seed=seeds, T=lengths)
def test_permuting_the_words_permutes_the_outputs(core, seed, T):
    q, k, v = self_attention_inputs(seed, T)
    order = torch.randperm(T, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        core(q[:, :, order], k[:, :, order], v[:, :, order]), core(q, k, v)[:, :, order], **EXACT
    )


@CORES
@given(seed=seeds, T_k=lengths, T_q=lengths, data=st.data())
def test_causal_outputs_do_not_depend_on_the_future(core, seed, T_k, T_q, data):
    T_q = min(T_q, T_k)
    query = data.draw(st.integers(0, T_q - 1))
    q, k, v, other_k, other_v = drawn(
        seed, (2, 3, T_q, 5), (2, 3, T_k, 5), (2, 3, T_k, 7), (2, 3, T_k, 5), (2, 3, T_k, 7)
    )
    before = core(q, k, v, mask=causal())
    future = T_k - T_q + query + 1  # the first position that this query may not see
    k[:, :, future:], v[:, :, future:] = 1e3 * other_k[:, :, future:], 1e3 * other_v[:, :, future:]
    after = core(q, k, v, mask=causal())
    torch.testing.assert_close(after[:, :, : query + 1], before[:, :, : query + 1], **EXACT)


@CORES
@given(seed=seeds, T=st.integers(2, 13), data=st.data())
def test_every_causal_output_depends_on_its_own_position(core, seed, T, data):
    position = data.draw(st.integers(0, T - 1))
    q, k, v = self_attention_inputs(seed, T)
    before = core(q, k, v, mask=causal())
    v[:, :, position] += 1.0
    changed = (core(q, k, v, mask=causal()) - before).abs().amax(dim=(0, 1, 3)) > 1e-12
    assert changed.tolist() == [t >= position for t in range(T)]


@CORES
@given(seed=seeds, lengths=st.tuples(st.integers(0, 11), st.integers(0, 11)))
def test_padding_is_irrelevant(core, seed, lengths):
    q, k, v = self_attention_inputs(seed, 11)
    mask = padding(list(lengths), max_len=11)
    padded = core(q, k, v, mask=mask)
    noisy_k, noisy_v = k.clone(), v.clone()
    for b, length in enumerate(lengths):
        noisy_k[b, :, length:], noisy_v[b, :, length:] = 1e3, -1e3
        cut = (slice(b, b + 1), slice(None), slice(0, length))
        if length:
            alone = core(q[b : b + 1], k[cut], v[cut])
            torch.testing.assert_close(padded[b : b + 1], alone, **EXACT)
        else:
            assert (padded[b] == 0).all()
    torch.testing.assert_close(core(q, noisy_k, noisy_v, mask=mask), padded, rtol=0, atol=0)


@CORES
@given(seed=seeds, a=st.floats(-10, 10), b=st.floats(-10, 10))
def test_attention_is_linear_in_v(core, seed, a, b):
    q, k, v = self_attention_inputs(seed, 11)
    (w,) = drawn(seed + 1, v.shape)
    mask = causal() & padding([5, 11], max_len=11)
    torch.testing.assert_close(
        core(q, k, a * v + b * w, mask=mask),
        a * core(q, k, v, mask=mask) + b * core(q, k, w, mask=mask),
        **EXACT,
    )


@CORES
@given(seed=seeds, T_q=lengths, T_k=lengths)
def test_a_constant_bias_is_no_bias_and_a_table_of_true_is_no_mask(core, seed, T_q, T_k):
    q, k, v = drawn(seed, (2, 3, T_q, 5), (2, 3, T_k, 5), (2, 3, T_k, 7))
    bias = torch.full((1, 1, T_q, T_k), 3.0, dtype=torch.float64)
    everything = Mask(allowed=torch.ones(1, 1, T_q, T_k, dtype=torch.bool))
    want = scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(core(q, k, v, mask=everything, bias=bias), want, **EXACT)
