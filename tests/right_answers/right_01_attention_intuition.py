"""Right answers to the exercises of chapter 1, written as differently as possible.

A check that turns one of these down is too strict.
"""

import math

import numpy as np

from minitx import numpy_core
from minitx.grading import right_answer


# 01.1
@right_answer("01.1")
def with_the_log_of_the_sum(scores):
    return np.exp(scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True))


@right_answer("01.1")
def one_number_at_a_time(scores):
    weights = np.zeros(scores.shape)
    for row in np.ndindex(scores.shape[:-1]):
        largest = -math.inf
        for score in scores[row]:
            largest = max(largest, float(score))
        total = 0.0
        for i, score in enumerate(scores[row]):
            weights[row][i] = math.exp(float(score) - largest)
            total += weights[row][i]
        weights[row] /= total
    return weights


@right_answer("01.1")
def with_pairwise_differences(scores):
    with np.errstate(over="ignore"):  # exp may reach inf here, and 1 / inf is the right 0
        return 1 / np.exp(scores[..., None, :] - scores[..., :, None]).sum(axis=-1)


@right_answer("01.1")
def row_by_row(scores):
    def weights_of(row):
        exponentials = np.exp(row - np.sort(row)[-1])
        return exponentials / np.dot(exponentials, np.ones(len(row)))

    return np.apply_along_axis(weights_of, -1, np.asarray(scores, dtype=float))


@right_answer("01.1")
def with_copies_changed_in_place(scores):
    weights = np.array(scores, dtype=float)
    weights -= weights.max(-1)[..., np.newaxis]
    np.exp(weights, out=weights)
    weights /= np.einsum("...t->...", weights)[..., None]
    return weights


@right_answer("01.1")
def with_base_two(scores):
    shifted = (scores - np.max(scores, axis=-1, keepdims=True)) * np.log2(np.e)
    powers = np.exp2(shifted)
    return powers / powers.sum(-1, keepdims=True)


@right_answer("01.1")
def with_the_last_axis_in_front(scores):
    columns = np.moveaxis(np.asarray(scores), -1, 0)
    exponentials = np.exp(columns - columns.max(axis=0))
    return np.moveaxis(exponentials / exponentials.sum(axis=0), 0, -1)


# 01.2
@right_answer("01.2")
def lookup_with_einsum(query, keys, values):
    scores = np.einsum("td,d->t", keys, query)
    exponentials = np.exp(scores - scores.max())
    return np.einsum("t,tv->v", exponentials, values) / exponentials.sum()


@right_answer("01.2")
def lookup_in_one_pass(query, keys, values):
    largest, total, mixture = -math.inf, 0.0, np.zeros(values.shape[1])
    for key, value in zip(keys, values, strict=True):
        score = float(sum(query * key))
        above = max(largest, score)
        shrink, weight = math.exp(largest - above), math.exp(score - above)
        total = total * shrink + weight
        mixture = mixture * shrink + weight * value
        largest = above
    return mixture / total


@right_answer("01.2")
def lookup_with_columns(query, keys, values):
    scores = keys @ query[:, None]
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=0))
    return (weights * values).sum(axis=0)


@right_answer("01.2")
def lookup_as_a_dictionary_of_pairs(query, keys, values):
    scores = [
        math.fsum(float(a) * float(b) for a, b in zip(key, query, strict=True)) for key in keys
    ]
    weights = [math.exp(score - max(scores)) for score in scores]
    columns = zip(*values.tolist(), strict=True)
    dots = [math.fsum(w * x for w, x in zip(weights, column, strict=True)) for column in columns]
    return np.array(dots) / math.fsum(weights)


@right_answer("01.2")
def lookup_with_the_library_softmax(query, keys, values):
    return np.average(values, axis=0, weights=numpy_core.softmax(np.dot(keys, query)))


@right_answer("01.2")
def lookup_with_a_list_of_scores(query, keys, values):
    weights = numpy_core.softmax(np.array([float(key @ query) for key in keys]))
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


# 01.3
@right_answer("01.3")
def temperature_on_the_query(query, keys, values, temperature):
    if temperature < 0 or temperature != temperature:
        raise ValueError("a temperature cannot be negative, nor NaN")
    if temperature == 0:
        scores = keys @ query
        return values[np.flatnonzero(scores == np.max(scores))].mean(axis=0)
    scores = np.einsum("td,d->t", keys, query / temperature)
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum() @ values


@right_answer("01.3")
def temperature_with_a_gap(query, keys, values, temperature):
    if math.isnan(temperature) or temperature < 0:
        raise ValueError("a temperature cannot be negative, nor NaN")
    gaps = (keys @ query) - np.max(keys @ query)
    exponents = np.where(gaps == 0, 0.0, gaps / (temperature if temperature else 1e-12))
    weights = np.exp(exponents) / np.exp(exponents).sum()
    return (weights[:, None] * values).sum(axis=0)


@right_answer("01.3")
def temperature_case_by_case(query, keys, values, temperature):
    if not temperature >= 0:
        raise ValueError("a temperature cannot be negative")
    if math.isinf(temperature):
        return values.mean(axis=0)
    scores = [float(sum(query * key)) for key in keys]
    if temperature == 0:
        best = [value for s, value in zip(scores, values, strict=True) if s == max(scores)]
        return np.sum(best, axis=0) / len(best)
    exponentials = [math.exp((s - max(scores)) / temperature) for s in scores]
    return sum(e * value for e, value in zip(exponentials, values, strict=True)) / sum(exponentials)


@right_answer("01.3")
def temperature_with_weights_at_zero(query, keys, values, temperature):
    if not temperature >= 0:
        raise ValueError(f"temperature: {temperature}")
    scores = keys @ query
    if temperature > 0:
        weights = numpy_core.softmax(scores / temperature)
    else:
        weights = (scores == np.amax(scores)).astype(float)
        weights /= weights.sum()
    return weights @ values


@right_answer("01.3")
def temperature_with_a_log_sum(query, keys, values, temperature):
    if np.isnan(temperature) or (np.signbit(temperature) and temperature != 0):
        raise ValueError("below zero or not a number")
    scores = np.dot(keys, query)
    if temperature == 0:
        return np.mean([v for s, v in zip(scores, values, strict=True) if s == max(scores)], axis=0)
    scaled = scores / temperature
    return np.exp(scaled - np.logaddexp.reduce(scaled)) @ values


@right_answer("01.3")
def temperature_on_the_keys(query, keys, values, temperature):
    if temperature >= 0:
        if temperature == 0:
            best = np.argwhere(keys @ query == (keys @ query).max()).ravel()
            return np.take(values, best, axis=0).sum(axis=0) / best.size
        return numpy_core.softmax((keys / temperature) @ query) @ values
    raise ValueError("temperature must not be negative or NaN")


# 01.4
@right_answer("01.4")
def loops_with_lists(q, k, v):
    rows = []
    for query in q:
        scores = [float(np.dot(query, key)) for key in k]
        exponentials = [math.exp(score - max(scores)) for score in scores]
        total = sum(exponentials)
        rows.append(sum(e / total * value for e, value in zip(exponentials, v, strict=True)))
    return np.array(rows)


@right_answer("01.4")
def loops_with_a_running_maximum(q, k, v):
    out = np.empty((q.shape[0], v.shape[1]))
    for i in range(q.shape[0]):
        largest, total, out[i] = -math.inf, 0.0, 0.0
        for j in range(k.shape[0]):
            score = math.fsum(float(a) * float(b) for a, b in zip(q[i], k[j], strict=True))
            above = max(largest, score)
            out[i] *= math.exp(largest - above)
            out[i] += math.exp(score - above) * v[j]
            total = total * math.exp(largest - above) + math.exp(score - above)
            largest = above
        out[i] /= total
    return out


@right_answer("01.4")
def no_loop_at_all(q, k, v):
    scores = np.inner(q, k)
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    return np.einsum("ij,jv->iv", weights, v)


@right_answer("01.4")
def loops_over_lookups(q, k, v):
    return np.stack([numpy_core.soft_lookup(query, k, v) for query in q])


@right_answer("01.4")
def loops_with_the_library_softmax(q, k, v):
    out = np.zeros((len(q), v.shape[-1]))
    for i, query in enumerate(q):
        weights = numpy_core.softmax(np.fromiter((query @ key for key in k), float))
        for j in range(len(v)):
            out[i] = out[i] + weights[j] * v[j]
    return out


@right_answer("01.4")
def loops_over_every_number(q, k, v):
    out = np.zeros((q.shape[0], v.shape[1]))
    for i in range(q.shape[0]):
        scores = [
            sum(float(q[i, d]) * float(k[j, d]) for d in range(q.shape[1])) for j in range(len(k))
        ]
        exponentials = np.exp(np.array(scores) - max(scores))
        for c in range(v.shape[1]):
            out[i, c] = np.dot(exponentials, v[:, c]) / exponentials.sum()
    return out


# 01.5
@right_answer("01.5")
def matrix_with_einsum(q, k, v):
    scores = np.einsum("id,jd->ij", q, k)
    exponentials = np.exp(scores - np.amax(scores, axis=1)[:, None])
    return np.einsum("ij,jv->iv", exponentials / np.einsum("ij->i", exponentials)[:, None], v)


@right_answer("01.5")
def matrix_divided_at_the_end(q, k, v):
    scores = np.matmul(q, np.transpose(k))
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (exponentials @ v) / exponentials.sum(axis=-1, keepdims=True)


@right_answer("01.5")
def matrix_by_broadcasting(q, k, v):
    scores = (q[:, np.newaxis, :] * k[np.newaxis, :, :]).sum(axis=2)
    weights = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    return (weights[:, :, np.newaxis] * v).sum(axis=1)


@right_answer("01.5")
def matrix_of_columns(q, k, v):
    scores = k @ q.T
    exponentials = np.exp(scores - scores.max(axis=0))
    return (v.T @ (exponentials / exponentials.sum(axis=0))).T


@right_answer("01.5")
def matrix_with_the_library_softmax(q, k, v):
    return numpy_core.softmax(np.inner(q, k)) @ v


@right_answer("01.5")
def matrix_in_place(q, k, v):
    weights = np.dot(q, k.T).astype(float)
    weights -= weights.max(axis=1, keepdims=True)
    weights = np.exp(weights, out=weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.matmul(weights, v)


# 01.6
@right_answer("01.6")
def additive_one_number_at_a_time(query, keys, W_q, W_k, w):
    scores = []
    for key in keys:
        score = 0.0
        for a in range(len(w)):
            hidden = sum(query[d] * W_q[d, a] for d in range(len(query)))
            hidden += sum(key[d] * W_k[d, a] for d in range(len(key)))
            score += math.tanh(hidden) * w[a]
        scores.append(score)
    return np.array(scores)


@right_answer("01.6")
def additive_with_one_matrix(query, keys, W_q, W_k, w):
    together = np.concatenate([np.tile(query, (len(keys), 1)), keys], axis=1)
    return np.tanh(together @ np.concatenate([W_q, W_k])) @ w


@right_answer("01.6")
def additive_with_columns(query, keys, W_q, W_k, w):
    return w @ np.tanh((W_q.T @ query)[:, None] + W_k.T @ keys.T)


@right_answer("01.6")
def additive_key_by_key(query, keys, W_q, W_k, w):
    from_query = query @ W_q
    return np.array([np.tanh(from_query + key @ W_k) @ w for key in keys])


@right_answer("01.6")
def additive_with_einsum(query, keys, W_q, W_k, w):
    hidden = np.einsum("d,da->a", query, W_q) + np.einsum("td,da->ta", keys, W_k)
    return np.einsum("ta,a->t", np.tanh(hidden), w)


@right_answer("01.6")
def additive_with_a_stable_fraction(query, keys, W_q, W_k, w):
    hidden = keys @ W_k + (query @ W_q)[None, :]
    shrunk = np.exp(-2 * np.abs(hidden))
    return (np.sign(hidden) * -np.expm1(-2 * np.abs(hidden)) / (1 + shrunk)) @ w
