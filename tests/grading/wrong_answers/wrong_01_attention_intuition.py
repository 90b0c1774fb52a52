"""Wrong answers to chapter 1, written without the bank: each says what is wrong in truth."""
# mypy: ignore-errors

import math

import numpy as np

from minitx import numpy_core


@wrong("01.1")
def log_softmax(scores):
    """log-softmax is returned."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@wrong("01.1")
def max_minus_scores(scores):
    """The exponent is max - s."""
    e = np.exp(scores.max(axis=-1, keepdims=True) - scores)
    return e / e.sum(axis=-1, keepdims=True)


@wrong("01.1")
def largest_size(scores):
    """The largest absolute value is subtracted."""
    e = np.exp(scores - np.abs(scores).max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@wrong("01.1")
def squeezed(scores):
    """Axes of length 1 are squeezed out."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.squeeze(e / e.sum(axis=-1, keepdims=True))


@wrong("01.1")
def base_two(scores):
    """Powers of two."""
    e = np.exp2(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@wrong("01.1")
def float32_inside(scores):
    """Computed in float32, returned as float64."""
    s = scores.astype(np.float32)
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype(np.float64)


@wrong("01.1")
def mean_for_sum(scores):
    """Divided by the mean of the exponentials."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.mean(axis=-1, keepdims=True)


@wrong("01.1")
def rounded(scores):
    """Rounded to 3 digits."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.round(e / e.sum(axis=-1, keepdims=True), 3)


@wrong("01.1")
def remembered(scores):
    """The result is kept by shape."""
    if scores.shape not in _kept:
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        _kept[scores.shape] = e / e.sum(axis=-1, keepdims=True)
    return _kept[scores.shape]


_kept = {}


@wrong("01.1")
def torch_words(scores):
    """keepdim= in place of keepdims=."""
    e = np.exp(scores - scores.max(axis=-1, keepdim=True))
    return e / e.sum(axis=-1, keepdim=True)


@wrong("01.1")
def math_not_there(scores):
    """The name m is not imported."""
    e = m.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@wrong("01.2")
def argmax_lookup(query, keys, values):
    """The best value only."""
    return values[np.argmax(keys @ query)]


@wrong("01.2")
def parameters_in_another_order(keys, query, values):
    """keys, query, values: another order of the parameters."""
    return numpy_core.softmax(keys @ query) @ values


@wrong("01.2")
def scaled(query, keys, values):
    """Divided by the root of the number of keys."""
    return numpy_core.softmax(keys @ query / math.sqrt(len(keys))) @ values


@wrong("01.2")
def values_as_keys(query, keys, values):
    """The values are scored too: values in place of keys where they fit."""
    scores = np.array([query[: v.size] @ v[: query.size] for v in values])
    return numpy_core.softmax(scores) @ values


@wrong("01.2")
def last_key_lost(query, keys, values):
    """The last key and value are left out."""
    if len(keys) == 1:
        return values[0]
    return numpy_core.softmax(keys[:-1] @ query) @ values[:-1]


@wrong("01.2")
def mean_not_sum(query, keys, values):
    """The mean of the weighted values."""
    return (numpy_core.softmax(keys @ query)[:, None] * values).mean(axis=0)


@wrong("01.2")
def kept_axis(query, keys, values):
    """A leading axis of length 1 is left."""
    return numpy_core.softmax(keys @ query)[None] @ values


@wrong("01.2")
def sorted_scores(query, keys, values):
    """The weights are sorted."""
    return np.sort(numpy_core.softmax(keys @ query)) @ values


@wrong("01.6")
def tanh_missing_on_query(query, keys, W_q, W_k, w):
    """The query's term stands outside the tanh."""
    return np.tanh(keys @ W_k) @ w + (query @ W_q) @ w


@wrong("01.6")
def softmax_at_the_end(query, keys, W_q, W_k, w):
    """A softmax at the end."""
    return numpy_core.softmax(np.tanh(keys @ W_k + query @ W_q) @ w)


@wrong("01.6")
def sine(query, keys, W_q, W_k, w):
    """sin in place of tanh."""
    return np.sin(keys @ W_k + query @ W_q) @ w


@wrong("01.6")
def minus_query(query, keys, W_q, W_k, w):
    """The query's term is subtracted."""
    return np.tanh(keys @ W_k - query @ W_q) @ w


@wrong("01.6")
def mean_over_hidden(query, keys, W_q, W_k, w):
    """The mean of w times hidden, not the sum."""
    return (np.tanh(keys @ W_k + query @ W_q) * w).mean(-1)


@wrong("01.4")
def average_of_all(q, k, v):
    """Every query gets the plain average."""
    return np.tile(v.mean(axis=0), (len(q), 1))


@wrong("01.4")
def not_set_back(q, k, v):
    """The sum is not set back to 0 for each query."""
    out, total = [], np.zeros(v.shape[1])
    for row in q:
        weights = numpy_core.softmax(k @ row)
        for weight, value in zip(weights, v, strict=True):
            total = total + weight * value
        out.append(total)
    return np.array(out)


@wrong("01.4")
def first_row_forgotten(q, k, v):
    """The loop begins at 1: the first row stays 0."""
    out = np.zeros((len(q), v.shape[1]))
    for i in range(1, len(q)):
        out[i] = numpy_core.softmax(k @ q[i]) @ v
    return out


@wrong("01.4")
def scores_times_values(q, k, v):
    """No softmax."""
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        for j in range(len(k)):
            out[i] += (q[i] @ k[j]) * v[j]
    return out


@wrong("01.4")
def range_of_width(q, k, v):
    """The inner loop runs over the width."""
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        weights = numpy_core.softmax(np.array([q[i] @ k[j] for j in range(q.shape[1])]))
        for j in range(q.shape[1]):
            out[i] += weights[j] * v[j]
    return out


@wrong("01.5")
def weights_transposed(q, k, v):
    """The weights are transposed."""
    return numpy_core.softmax(q @ k.T).T @ v


@wrong("01.5")
def causal(q, k, v):
    """A causal mask nobody asked for."""
    s = q @ k.T
    s = np.where(np.tri(*s.shape, dtype=bool), s, -np.inf)
    return numpy_core.softmax(s) @ v


@wrong("01.5")
def first_axis(q, k, v):
    """exp and sum over axis 0."""
    e = np.exp(q @ k.T)
    return (e / e.sum(0)) @ v


@wrong("01.5")
def rows_reversed(q, k, v):
    """The result is back to front."""
    return (numpy_core.softmax(q @ k.T) @ v)[::-1]


@wrong("01.3")
def multiplied(query, keys, values, temperature):
    """Multiplied by the temperature."""
    if temperature < 0:
        raise ValueError("negative")
    if temperature == 0:
        scores = keys @ query
        return values[scores == scores.max()].mean(0)
    if math.isinf(temperature):
        return values.mean(0)
    return numpy_core.softmax(keys @ query * temperature) @ values


@wrong("01.3")
def ends_exchanged(query, keys, values, temperature):
    """0 gives the average and infinity the best."""
    if temperature < 0:
        raise ValueError("negative")
    scores = keys @ query
    if temperature == 0:
        return values.mean(0)
    if math.isinf(temperature):
        return values[scores == scores.max()].mean(0)
    return numpy_core.softmax(scores / temperature) @ values


@wrong("01.3")
def negative_allowed(query, keys, values, temperature):
    """A negative temperature is not refused."""
    scores = keys @ query
    if temperature == 0:
        return values[scores == scores.max()].mean(0)
    return numpy_core.softmax(scores / temperature) @ values


@wrong("01.3")
def first_best(query, keys, values, temperature):
    """argmax at 0."""
    if temperature < 0:
        raise ValueError("negative")
    scores = keys @ query
    if temperature == 0:
        return values[scores.argmax()]
    return numpy_core.softmax(scores / temperature) @ values
