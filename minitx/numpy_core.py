"""Attention and layer normalisation in NumPy: short loops in float64, the executable definition.

Everything else in minitx is tested against this file, so it is written to be obviously right
rather than fast. Shape letters: T_q queries, T_k keys, D_k width of queries and keys, D_v width
of values, A width of the additive score, T tokens, C features.
"""
# NumPy's operators are typed Any.
# mypy: disable-error-code="no-any-return"

import math

import numpy as np
from jaxtyping import Bool, Float


def softmax(scores: Float[np.ndarray, "*batch T"]) -> Float[np.ndarray, "*batch T"]:
    """Positive weights that sum to 1 along the last axis.

        softmax(s)[i] = exp(s[i]) / Σ_j exp(s[j])

    The largest score of each row is subtracted first. That cancels in the fraction, and no
    exponent is then above 0, so nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    >>> softmax(np.log([1.0, 2.0, 5.0])).round(3)
    array([0.125, 0.25 , 0.625])
    """
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def additive_score(
    query: Float[np.ndarray, " D_q"],
    keys: Float[np.ndarray, "T_k D_k"],
    W_q: Float[np.ndarray, "D_q A"],
    W_k: Float[np.ndarray, "D_k A"],
    w: Float[np.ndarray, " A"],
) -> Float[np.ndarray, " T_k"]:
    """One score per key from a small network with one hidden layer.

        score[t] = tanh(query W_q + keys[t] W_k) · w

    Query and keys may have different widths; a dot product could not compare those.

    Source: Bahdanau et al. 2015, appendix A.1.2. The paper has columns for vectors and the matrices
    on their left, W_a s + U_a h: W_a and U_a are the transposes of W_q and W_k. There w is v_a.

    >>> query, keys = np.array([1.0]), np.array([[0.0, 0.0], [1.0, 1.0]])
    >>> additive_score(query, keys, np.array([[1.0]]), np.array([[-0.5], [-0.5]]), np.array([2.0]))
    array([1.52318831, 0.        ])
    """
    scores = np.zeros(len(keys))
    for t, key in enumerate(keys):
        scores[t] = np.tanh(query @ W_q + key @ W_k) @ w
    return scores


def soft_lookup(
    query: Float[np.ndarray, " D_k"],
    keys: Float[np.ndarray, "T_k D_k"],
    values: Float[np.ndarray, "T_k D_v"],
    *,
    temperature: float = 1.0,
) -> Float[np.ndarray, " D_v"]:
    """The values' average, weighted by how well each key matches the query.

        result = Σ_t weights[t] values[t],   weights = softmax(keys · query / temperature)

    Args:
        query: what is looked for.
        keys: what each entry is found by.
        values: what each entry holds.
        temperature: 0 returns the value of the best key (best keys that tie share equally);
            infinity returns the plain average.

    Raises:
        ValueError: if temperature is negative.

    >>> keys, values = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[10.0], [20.0]])
    >>> soft_lookup(np.array([math.log(3.0), 0.0]), keys, values)      # weights 3/4 and 1/4
    array([12.5])
    >>> soft_lookup(np.array([math.log(3.0), 0.0]), keys, values, temperature=0.0)
    array([10.])
    """
    if not temperature >= 0:
        raise ValueError(f"temperature must be at least 0, got {temperature}")
    scores = keys @ query
    if temperature == 0:
        best = scores == scores.max()
        return values[best].mean(axis=0)
    return softmax(scores / temperature) @ values


def attention(
    q: Float[np.ndarray, "T_q D_k"],
    k: Float[np.ndarray, "T_k D_k"],
    v: Float[np.ndarray, "T_k D_v"],
    *,
    allowed: Bool[np.ndarray, "T_q T_k"] | None = None,
    scale: float | None = None,
) -> Float[np.ndarray, "T_q D_v"]:
    """Scaled dot-product attention of one sequence, one query and one key at a time.

        output[i] = Σ_j weights[j] v[j],   weights = softmax of scale · (q[i] · k[j])

    where j runs over the keys that query i may attend to.

    Args:
        q: queries.
        k: keys.
        v: values.
        allowed: True where query i may attend to key j; None allows every pair.
        scale: factor on the dot products, 1/√D_k unless given; 1.0 is plain dot-product attention.

    Returns:
        One row per query. A query that may attend to nothing gets zeros.

    Source: Vaswani et al. 2017, §3.2.1, eq. 1.

    >>> q, k = np.array([[2.0, 0.0, 0.0, 0.0]]), np.eye(4)[:2] * math.log(3.0)
    >>> attention(q, k, np.array([[10.0], [20.0]]))      # 2 log 3 / √4 = log 3: weights 3/4 and 1/4
    array([[12.5]])
    >>> attention(q, k, np.array([[10.0], [20.0]]), allowed=np.array([[False, True]]))
    array([[20.]])
    """
    T_q, D_k = q.shape
    T_k, D_v = v.shape
    if scale is None:
        scale = 1 / math.sqrt(D_k)
    output = np.zeros((T_q, D_v))
    for i in range(T_q):
        keys_seen = [j for j in range(T_k) if allowed is None or allowed[i, j]]
        if not keys_seen:
            continue
        weights = softmax(np.array([scale * sum(q[i] * k[j]) for j in keys_seen]))
        for weight, j in zip(weights, keys_seen, strict=True):
            output[i] += weight * v[j]
    return output


def causal_allowed(T_q: int, T_k: int) -> Bool[np.ndarray, "T_q T_k"]:
    """Which keys each query may attend to when nobody looks ahead.

    The queries are the last T_q of the T_k positions, so query i stands at position T_k - T_q + i.

    >>> causal_allowed(2, 4).astype(int)
    array([[1, 1, 1, 0],
           [1, 1, 1, 1]])
    """
    allowed = np.zeros((T_q, T_k), dtype=bool)
    for i in range(T_q):
        for j in range(T_k):
            allowed[i, j] = j <= T_k - T_q + i
    return allowed


def layer_norm(
    x: Float[np.ndarray, "T C"],
    weight: Float[np.ndarray, " C"],
    bias: Float[np.ndarray, " C"],
    *,
    eps: float = 1e-5,
) -> Float[np.ndarray, "T C"]:
    """Every token with mean 0 and variance 1 over its features, then scaled and shifted.

        y[t] = weight · (x[t] - μ) / √(σ² + eps) + bias

    μ and σ² are mean and variance of the C features of token t alone; σ² divides by C.

    Source: Ba et al. 2016, §3, eq. 4; eps as in the authors' code.

    >>> layer_norm(np.array([[3.0, 5.0]]), np.ones(2), np.array([10.0, 20.0]), eps=0.0)
    array([[ 9., 21.]])
    """
    T, C = x.shape
    y = np.zeros((T, C))
    for t in range(T):
        mean = sum(x[t]) / C
        variance = sum((x[t] - mean) ** 2) / C
        y[t] = weight * (x[t] - mean) / math.sqrt(variance + eps) + bias
    return y
