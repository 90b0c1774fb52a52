"""Right answers to the exercises of chapter 1, written as differently as possible.

A check that turns one of these down is too strict.
"""

import math

import numpy as np

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


# 01.3
@right_answer("01.3")
def additive_one_number_at_a_time(query, keys, W_q, W_k, w):
    scores = []
    for key in keys:
        score = 0.0
        for a in range(len(w)):
            hidden = sum(W_q[a, d] * query[d] for d in range(len(query)))
            hidden += sum(W_k[a, d] * key[d] for d in range(len(key)))
            score += w[a] * math.tanh(hidden)
        scores.append(score)
    return np.array(scores)


@right_answer("01.3")
def additive_with_one_matrix(query, keys, W_q, W_k, w):
    together = np.concatenate([np.tile(query, (len(keys), 1)), keys], axis=1)
    return np.tanh(together @ np.concatenate([W_q, W_k], axis=1).T) @ w


@right_answer("01.3")
def additive_with_columns(query, keys, W_q, W_k, w):
    return w @ np.tanh((W_q @ query)[:, None] + W_k @ keys.T)


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


# 01.6
@right_answer("01.6")
def temperature_on_the_query(query, keys, values, temperature):
    if temperature < 0:
        raise ValueError("a temperature cannot be negative")
    if temperature == 0:
        scores = keys @ query
        return values[np.flatnonzero(scores == np.max(scores))].mean(axis=0)
    scores = np.einsum("td,d->t", keys, query / temperature)
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum() @ values


@right_answer("01.6")
def temperature_with_a_gap(query, keys, values, temperature):
    if temperature < 0:
        raise ValueError("a temperature cannot be negative")
    gaps = (keys @ query) - np.max(keys @ query)
    exponents = np.where(gaps == 0, 0.0, gaps / (temperature if temperature else 1e-12))
    weights = np.exp(exponents) / np.exp(exponents).sum()
    return (weights[:, None] * values).sum(axis=0)


@right_answer("01.6")
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
