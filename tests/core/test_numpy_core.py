"""The executable definition, against closed forms and against PyTorch."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from minitx import numpy_core

# float64, sums of at most a dozen terms: rounding is near 1e-15.
EXACT = {"rtol": 1e-12, "atol": 1e-14}


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_softmax_is_pytorchs(random):
    scores = random.normal(size=(2, 3, 7))
    want = torch.from_numpy(scores).softmax(dim=-1).numpy()
    np.testing.assert_allclose(numpy_core.softmax(scores), want, **EXACT)


@pytest.mark.parametrize("shift", [-1e4, 1e4])
def test_softmax_does_not_overflow_even_where_rows_differ(shift):
    scores = np.array([[0.0, 1.0], [shift, shift + 1.0]])
    row = [1 / (1 + math.e), math.e / (1 + math.e)]
    np.testing.assert_allclose(numpy_core.softmax(scores), [row, row], **EXACT)


def test_additive_score_is_the_formula_in_matrices(random):
    query, keys = random.normal(size=5), random.normal(size=(7, 3))
    W_q, W_k, w = random.normal(size=(5, 11)), random.normal(size=(3, 11)), random.normal(size=11)
    want = np.tanh((query @ W_q) + keys @ W_k) @ w
    np.testing.assert_allclose(numpy_core.additive_score(query, keys, W_q, W_k, w), want, **EXACT)


def test_soft_lookup_is_attention_of_one_query(random):
    query, keys, values = (
        random.normal(size=5),
        random.normal(size=(7, 5)),
        random.normal(size=(7, 3)),
    )
    want = numpy_core.attention(query[None], keys, values, scale=1 / 0.3)[0]
    got = numpy_core.soft_lookup(query, keys, values, temperature=0.3)
    np.testing.assert_allclose(got, want, **EXACT)


def test_soft_lookup_at_both_ends_of_the_temperature(random):
    keys = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 5.0]])
    values, query = random.normal(size=(3, 5)), np.array([2.0, 0.0])
    ties = (values[0] + values[2]) / 2
    for temperature, want in [(0.0, ties), (1e-3, ties), (math.inf, values.mean(axis=0))]:
        got = numpy_core.soft_lookup(query, keys, values, temperature=temperature)
        np.testing.assert_allclose(got, want, **EXACT)


@pytest.mark.parametrize("temperature", [-0.5, math.nan])
def test_soft_lookup_refuses_a_negative_temperature(temperature, random):
    with pytest.raises(ValueError, match=rf"temperature must be at least 0, got {temperature}"):
        numpy_core.soft_lookup(
            np.ones(2), np.ones((3, 2)), np.ones((3, 5)), temperature=temperature
        )


@pytest.mark.parametrize("scale", [None, 1.0, 0.3])
def test_attention_is_pytorchs(scale, random):
    q, k, v = random.normal(size=(5, 11)), random.normal(size=(7, 11)), random.normal(size=(7, 13))
    allowed = random.random((5, 7)) < 0.6
    assert allowed.any(axis=1).all()
    for table in (None, allowed):
        want = F.scaled_dot_product_attention(
            *map(torch.from_numpy, (q, k, v)),
            attn_mask=None if table is None else torch.from_numpy(table),
            scale=scale,
        )
        got = numpy_core.attention(q, k, v, allowed=table, scale=scale)
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)


def test_attention_to_nothing_is_zero(random):
    q, k, v = random.normal(size=(2, 3)), random.normal(size=(5, 3)), random.normal(size=(5, 7))
    allowed = np.array([[True] * 5, [False] * 5])
    output = numpy_core.attention(q, k, v, allowed=allowed)
    assert (output[1] == 0).all() and (output[0] != 0).all()


@pytest.mark.parametrize(
    ("T_q", "T_k", "want"),
    [
        (3, 3, ["100", "110", "111"]),
        (2, 5, ["11110", "11111"]),
        (1, 5, ["11111"]),
        (3, 2, ["00", "10", "11"]),
    ],
)
def test_causal_allowed_written_out(T_q, T_k, want):
    got = numpy_core.causal_allowed(T_q, T_k)
    assert got.dtype == bool
    assert ["".join(map(str, row.astype(int))) for row in got] == want
