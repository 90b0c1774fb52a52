# %% [markdown]
# # Exercises for chapter 1: attention, the intuition
#
# Six functions, from one softmax to attention, and to its first score.
# Each is a few lines of NumPy, and each is a rung for the next. Read
# [chapter 1](../book/01_attention_intuition.ipynb) beside them; plan about an
# hour and a half.

# %% [markdown] tags=["stub"]
# How to work: read the exercise, do its small example with pen and paper,
# write the function, run the cell that tries it, then the cell that checks
# it. A check that fails says what it saw and, where it recognises the
# mistake, which one it is. Ask for hints with `minitx hint 01.1`, in a
# notebook `!minitx hint 01.1` (three of them, from a nudge to nearly the
# answer).
#
# Every exercise can be done without the ones before it: `numpy_core` holds
# the course's own versions of these functions. From Exercise 1.2 on, take
# `numpy_core.softmax` or your own, whichever you trust more. What an exercise
# asks you to write is *closed* while it is graded: an answer that calls it is
# told so and earns nothing. Each exercise names what is closed and what is
# open.

# %% [markdown]
# Letters for sizes: $T$ is how many keys and values there are, $D_k$ how wide
# a key is and $D_v$ how wide a value is. With several queries, $T_q$ counts
# the queries and $T_k$ the keys.

# %%
import time

import numpy as np

from minitx import numpy_core
from minitx.grading import check

# The small table of the examples in Exercises 1.2, 1.3 and 1.4: three keys
# and their values.
keys = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
values = np.array([[8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])

# %% [markdown]
# ## Exercise 1.1: A softmax that does not overflow
#
# Softmax turns a row of scores $s_1, \dots, s_T$ into weights that are
# positive and sum to 1:
#
# $$a_i = \frac{e^{s_i}}{\sum_{j=1}^{T} e^{s_j}}$$
#
# **By hand.** The scores $(\ln 2,\ 0,\ \ln 5)$ have the exponentials
# $(2, 1, 5)$. Their sum is 8, so the weights are $(\tfrac{2}{8},
# \tfrac{1}{8}, \tfrac{5}{8}) = (0.25,\ 0.125,\ 0.625)$.
#
# **Climb in steps.**
#
# 1. One row, with a loop: exponentiate each score, add them up, divide.
# 2. The same without a loop: `np.exp` works on a whole array at once.
# 3. Large scores: `np.exp(1000.0)` is `inf`, and `inf / inf` is not a number.
#    Which constant can you subtract from a whole row without changing its
#    weights, so that no exponent is above 0?
# 4. Many rows: `scores` may have any number of axes. Each row along the
#    **last** axis is normalised on its own, with its own constant.
#    `keepdims=True` keeps the shapes in line.
# 5. Whole numbers: an array of integers goes in, fractions come out.
#
# **Closed** here is every softmax that exists already: `numpy_core.softmax`
# and what is built on it, those of torch and of scipy. NumPy itself is open.

# %%
def softmax(scores):
    """Positive weights that sum to 1 along the last axis.

        a[..., i] = exp(scores[..., i]) / sum_j exp(scores[..., j])

    Args:
        scores: array of shape (..., T), any finite numbers, however large.

    Returns:
        Array of floats of the same shape.

    Closed:
        numpy_core.softmax and every other softmax that exists already.
    """
    raise NotImplementedError(
        "Exercise 1.1 is yours to write: A softmax that does not overflow. "
        "Put your code in place of this line; `minitx hint 01.1` gives a "
        "first nudge."
    )


# %%
print(np.round(softmax(np.log([2.0, 1.0, 5.0])), 4))  # your result by hand
print(np.round(softmax(np.array([0.0, 1.0, 2.0])), 4))
# The same three gaps, far away:
print(np.round(softmax(np.array([1000.0, 1001.0, 1002.0])), 4))

# %%
check("01.1", softmax)

# %% [markdown]
# **Question 1 (predict).** Without running anything: what does softmax give
# for $(3, 3, 3)$, for $(-3, -3, -3)$, and for $(0, 1000)$? What happens to
# the weights if 5 is *added* to every score, and what if every score is
# *multiplied* by 5?
#
# <details><summary>Answer</summary>
#
# Equal scores share equally, whatever they are:
# $(\tfrac13, \tfrac13, \tfrac13)$ both times. A lead of 1000 leaves the loser
# $e^{-1000}$, which a float64 rounds to 0: the weights are $(0, 1)$. Adding a
# constant changes nothing, because only differences count. Multiplying
# stretches the differences and makes the weights more unequal: that is a
# lower temperature (Exercise 1.3).
#
# </details>

# %% [markdown]
# ## Exercise 1.2: A soft lookup
#
# A dictionary returns the value whose key *equals* the query. A soft lookup
# returns a mixture of all values, in which a value counts the more, the
# better its key *matches* the query. The match is the dot product:
#
# $$s_t = \text{query} \cdot \text{key}_t, \qquad
# a = \operatorname{softmax}(s), \qquad
# \text{result} = \sum_{t=1}^{T} a_t\, \text{value}_t$$
#
# **Shapes.** `query` is $(D_k,)$, `keys` is $(T, D_k)$, `values` is
# $(T, D_v)$, the result is $(D_v,)$. The width of a value has nothing to do
# with the width of a key.
#
# **By hand.** Let the query be $(\ln 2, \ln 5)$, the keys $(1, 0)$, $(0, 0)$,
# $(0, 1)$ and the values $(8, 0)$, $(0, 8)$, $(8, 8)$. The scores are
# $(\ln 2, 0, \ln 5)$, so the weights are those of Exercise 1.1, and the
# result is $\tfrac{1}{4}(8, 0) + \tfrac{1}{8}(0, 8) + \tfrac{5}{8}(8, 8) =
# (7, 6)$.
#
# **Climb in steps.**
#
# 1. A loop over the keys: one dot product each, collected in a list.
# 2. All scores at once: which product of `keys` and `query` has shape $(T,)$?
# 3. Weights by softmax (`numpy_core.softmax` or your own), then the weighted
#    sum of the values, also as one product.
#
# **Closed** here: `numpy_core.soft_lookup` and `numpy_core.attention`.
# `numpy_core.softmax` is open.

# %%
def soft_lookup(query, keys, values):
    """The values, averaged with weights: how well each key matches the query.

        result = sum_t softmax(s)_t values[t],   s_t = query . keys[t]

    Args:
        query: shape (D_k,).
        keys: shape (T, D_k).
        values: shape (T, D_v).

    Returns:
        Array of shape (D_v,).

    Closed:
        numpy_core.soft_lookup, numpy_core.attention.
    """
    raise NotImplementedError(
        "Exercise 1.2 is yours to write: A soft lookup. Put your code in "
        "place of this line; `minitx hint 01.2` gives a first nudge."
    )


# %%
# Your result by hand:
print(np.round(soft_lookup(np.log([2.0, 5.0]), keys, values), 4))
# A query along the first key, longer and longer:
for strength in [0.0, 1.0, 3.0, 5.0]:
    result = soft_lookup(np.array([strength, 0.0]), keys, values)
    print(strength, np.round(result, 4))

# %%
check("01.2", soft_lookup)

# %% [markdown]
# **Question 2 (find the bug).** This lookup returns numbers that are far too
# large. Every line looks reasonable. What does it really compute, and which
# tiny table shows it?
#
# ```python
# def soft_lookup(query, keys, values):
#     scores = np.array([[query @ key] for key in keys])  # one row per key
#     weights = numpy_core.softmax(scores)
#     return (weights * values).sum(axis=0)
# ```
#
# <details><summary>Answer</summary>
#
# The inner brackets make the scores a column of shape $(T, 1)$. Softmax works
# along the last axis, and that has one entry: each key competes with nobody
# and gets the weight 1. The result is the sum of all values, for every query.
# A table with two equal values shows it: the average of 5 and 5 is 5, and
# this gives 10. With the scores in one row, shape $(T,)$, it is right, and
# then `weights[:, None] * values` makes the shapes fit again.
#
# </details>

# %% [markdown]
# ## Exercise 1.3: Lookup at a temperature
#
# How decided is a lookup? Divide the scores by a temperature $\tau$ before
# the softmax:
#
# $$a = \operatorname{softmax}(s / \tau), \qquad
# s_t = \text{query} \cdot \text{key}_t$$
#
# A low temperature sharpens the weights, a high one flattens them, and both
# ends exist:
#
# - $\tau = 0$ is the **hard lookup**: the value of the best key. Keys that
#   tie for the best share equally (the average of their values).
# - $\tau = \infty$ (`np.inf`) is the **plain average** of all values.
# - A negative temperature would prefer the worst key: raise a `ValueError`
#   instead.
#
# **By hand.** The scores $(\ln 2, 0, \ln 5)$ of Exercise 1.2 at
# $\tau = \tfrac12$ are doubled, so the exponentials are squared:
# $(4, 1, 25)$, with the sum 30. For the values $(8, 0)$, $(0, 8)$, $(8, 8)$
# that gives $\tfrac{4}{30}(8, 0) + \tfrac{1}{30}(0, 8) + \tfrac{25}{30}(8, 8)
# = (7.7\overline{3},\ 6.9\overline{3})$. At $\tau = 0$ it is $(8, 8)$, at
# $\tau = \infty$ it is $(5.\overline{3}, 5.\overline{3})$.
#
# **Climb in steps.**
#
# 1. An ordinary temperature: one more division than in Exercise 1.2.
# 2. A negative one: `raise ValueError(...)` with a message that says what was
#    wrong.
# 3. Zero: no division by it. Which keys have the largest score? Average their
#    values.
# 4. Infinity: does your formula already do the right thing?
# 5. Tiny and huge temperatures: $\tau = 10^{-30}$ is legal, and a query of
#    that size makes it an ordinary lookup. So no "small number added for
#    safety".
#
# Two more promises: keys tie only if their scores are *equal*, to the last
# digit; and a temperature that is not a number (`np.nan`) is refused like a
# negative one.
#
# **Closed** here: `numpy_core.soft_lookup`. `numpy_core.softmax` is open.

# %%
def lookup_at_temperature(query, keys, values, temperature):
    """Soft lookup whose sharpness is set by a temperature.

        result = sum_t softmax(s / temperature)_t values[t],
        where s_t = query . keys[t]

    Args:
        query: shape (D_k,).
        keys: shape (T, D_k).
        values: shape (T, D_v).
        temperature: 0 gives the value of the best key (ties share equally),
            infinity the average of all values.

    Returns:
        Array of shape (D_v,).

    Raises:
        ValueError: if temperature is negative or not a number; the message
            says so.

    Closed:
        numpy_core.soft_lookup.
    """
    raise NotImplementedError(
        "Exercise 1.3 is yours to write: Lookup at a temperature. Put your "
        "code in place of this line; `minitx hint 01.3` gives a first "
        "nudge."
    )


# %%
for temperature in [0.0, 0.1, 0.5, 1.0, 2.0, 10.0, np.inf]:
    query = np.log([2.0, 5.0])
    result = lookup_at_temperature(query, keys, values, temperature)
    print(f"temperature {temperature:4}: {np.round(result, 4)}")

# %%
check("01.3", lookup_at_temperature)

# %% [markdown]
# **Question 6 (predict).** Two keys score 3 and 2. At which temperature does
# the better one get nine tenths of the weight? Now let them score 3 and
# $3 - \delta$ and move $\delta$ slowly from $-0.01$ to $0.01$. How does the
# weight of the first key change at $\tau = 0$, and how at $\tau = 0.01$?
#
# <details><summary>Answer</summary>
#
# The ratio of the weights is $e^{(3 - 2)/\tau} = 9$, so
# $\tau = 1/\ln 9 \approx 0.455$.
#
# At $\tau = 0$ the first key has the weight 0, then $\tfrac12$ at the one
# moment of the tie, then 1: a jump. At $\tau = 0.01$ the weight is
# $1/(1 + e^{-\delta/\tau})$ and glides from 0.27 over 0.5 to 0.73. Every
# positive temperature makes the result a smooth function of the query, and
# that is why a network can learn its queries.
#
# </details>

# %% [markdown]
# ## Exercise 1.4: Dot-product attention, with loops
#
# Now several queries at once. Attention looks up every row of `q` among the
# same keys and values:
#
# $$\text{out}_i = \sum_{j=1}^{T_k} a_{ij}\, v_j, \qquad
# a_{ij} = \frac{e^{q_i \cdot k_j}}{\sum_{j'=1}^{T_k} e^{q_i \cdot k_{j'}}}$$
#
# **Shapes.** `q` is $(T_q, D_k)$, `k` is $(T_k, D_k)$, `v` is $(T_k, D_v)$,
# the result $(T_q, D_v)$: one row per *query*, as wide as a *value*.
#
# **By hand.** Keys and values as in Exercise 1.2, and two queries. The first,
# $(\ln 2, \ln 5)$, gives $(7, 6)$ as before. The second, $(0, 0)$, scores 0
# with every key, so it gets the plain average of the values,
# $(\tfrac{16}{3}, \tfrac{16}{3})$.
#
# **Climb in steps.** Write it with loops on purpose: this is the definition,
# in code, and everything faster is compared with it.
#
# 1. The outer loop goes over the queries, and whatever is accumulated starts
#    afresh for each.
# 2. An inner loop over **all** keys collects the scores of this query. ($T_q$
#    and $T_k$ differ!)
# 3. Softmax of these scores, safe for large ones: `numpy_core.softmax`, or
#    your own loop.
# 4. A second inner loop adds up the weighted values.
#
# **Closed** here: `numpy_core.attention`. `numpy_core.softmax` and
# `numpy_core.soft_lookup` are open.

# %%
def attention_loops(q, k, v):
    """Dot-product attention, one query and one key at a time.

        out[i] = sum_j softmax_j(q[i] . k[j]) v[j]

    Args:
        q: queries, shape (T_q, D_k).
        k: keys, shape (T_k, D_k).
        v: values, shape (T_k, D_v).

    Returns:
        Array of floats of shape (T_q, D_v).

    Closed:
        numpy_core.attention.
    """
    raise NotImplementedError(
        "Exercise 1.4 is yours to write: Dot-product attention, with loops. "
        "Put your code in place of this line; `minitx hint 01.4` gives a "
        "first nudge."
    )


# %%
queries = np.array([np.log([2.0, 5.0]), [0.0, 0.0], [-5.0, -5.0], [1.0, 1.0]])
# Which key does the third query find?
print(np.round(attention_loops(queries, keys, values), 4))

# %%
check("01.4", attention_loops)

# %% [markdown]
# **Question 4 (find the bug).** This version passes every test its author
# wrote. Each of these tests was self-attention: `q`, `k` and `v` made from
# the same sequence. What is wrong, and which test would have shown it?
#
# ```python
# def attention(q, k, v):
#     n = len(q)
#     out = np.zeros((n, v.shape[1]))
#     for i in range(n):
#         weights = softmax(np.array([q[i] @ k[j] for j in range(n)]))
#         for j in range(n):
#             out[i] += weights[j] * v[j]
#     return out
# ```
#
# <details><summary>Answer</summary>
#
# It walks over as many keys as there are *queries*. In self-attention the two
# numbers agree. With fewer queries than keys (a decoder that asks one
# question of a long sentence) the last keys are silently ignored; with more,
# it stops with an IndexError. Any test with $T_q \ne T_k$ shows it. That is
# why the sizes in the checks of this course differ from each other, except in
# the few checks that ask what happens when two of them are equal.
#
# </details>

# %% [markdown]
# ## Exercise 1.5: The same with matrices
#
# The loops of Exercise 1.4 compute $T_q \times T_k$ dot products. That is one
# matrix product, and the weighted sums are another:
#
# $$\text{out} = \operatorname{softmax}(q\, k^\top)\, v$$
#
# with the softmax taken along each row. Same shapes as before: $(T_q, D_k)$,
# $(T_k, D_k)$, $(T_k, D_v)$ to $(T_q, D_v)$.
#
# **By hand.** With the numbers of Exercise 1.4, $q\, k^\top$ is
# $\begin{pmatrix} \ln 2 & 0 & \ln 5 \\ 0 & 0 & 0 \end{pmatrix}$: row $i$
# belongs to query $i$, column $j$ to key $j$. Its softmax is $\begin{pmatrix}
# \frac14 & \frac18 & \frac58 \\ \frac13 & \frac13 & \frac13 \end{pmatrix}$.
#
# **Climb in steps.**
#
# 1. Write down the shapes first: $(T_q, D_k)$ and $(T_k, D_k)$ must become
#    $(T_q, T_k)$.
# 2. Which axis of that array runs over the keys? That one has to sum to 1.
# 3. Mix the values: $(T_q, T_k)$ and $(T_k, D_v)$ must become $(T_q, D_v)$.
# 4. No Python loop over positions, not even a hidden one (a list
#    comprehension, `np.vectorize`, `np.apply_along_axis`): one of the checks
#    counts how often Python itself has to act.
#
# **Closed** here: `numpy_core.attention` and `numpy_core.soft_lookup`, whose
# loops are hidden ones. `numpy_core.softmax` is open.

# %%
def attention_matrix(q, k, v):
    """Dot-product attention for all queries at once.

        out = softmax(q @ k.T) @ v,   softmax along each row

    Args:
        q: queries, shape (T_q, D_k).
        k: keys, shape (T_k, D_k).
        v: values, shape (T_k, D_v).

    Returns:
        Array of floats of shape (T_q, D_v).

    Closed:
        numpy_core.attention, numpy_core.soft_lookup.
    """
    raise NotImplementedError(
        "Exercise 1.5 is yours to write: The same with matrices. Put your "
        "code in place of this line; `minitx hint 01.5` gives a first "
        "nudge."
    )


# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(0)
q, k = rng.normal(size=(120, 16)), rng.normal(size=(200, 16))
v = rng.normal(size=(200, 8))
start = time.perf_counter()
with_loops = numpy_core.attention(q, k, v, scale=1.0)
middle = time.perf_counter()
with_matrices = attention_matrix(q, k, v)
end = time.perf_counter()
print("the same numbers:", np.allclose(with_matrices, with_loops, rtol=1e-9))
print(f"loops {1e3 * (middle - start):.1f} ms")
print(f"matrices {1e3 * (end - middle):.1f} ms")

# %%
check("01.5", attention_matrix)

# %% [markdown]
# **Question 5 (predict).** For $T_q = T_k = 4096$ and $D_k = D_v = 64$, which
# array of the computation is the largest, and how many megabytes does it take
# in float64? What if both lengths are doubled?
#
# <details><summary>Answer</summary>
#
# Inputs and result hold $4096 \cdot 64 = 262{,}144$ numbers each, 2 MiB. The
# scores hold $4096^2 \approx 16.8$ million: 128 MiB, and the weights as many
# again. Twice the length makes the inputs twice as large and the scores
# *four* times: 512 MiB. Chapter 7 is about that square.
#
# </details>

# %% [markdown]
# ## Exercise 1.6: The additive score
#
# The dot product needs queries and keys of equal width and has nothing to
# learn. The first score used for attention (Bahdanau et al., 2015) is a small
# neural network with one hidden layer of width $A$, which looks at the query
# and one key together:
#
# $$s_t = \tanh(\text{query}\, W_q + \text{key}_t\, W_k) \cdot w$$
#
# **Shapes.** `query` is $(D_q,)$, `keys` is $(T, D_k)$, `W_q` is $(D_q, A)$,
# `W_k` is $(D_k, A)$, `w` is $(A,)$, and the scores are $(T,)$. They are
# scores: the softmax comes later.
#
# **By hand.** $\tanh(\ln x) = \frac{x^2 - 1}{x^2 + 1}$, hence
# $\tanh(\ln 2) = 0.6$ and $\tanh(\ln 3) = 0.8$. Let $A = 2$ and
# $w = (10, 5)$. If $\text{query}\,W_q$ is $(\ln 2, 0)$ and $\text{key}\,W_k$
# is $(0, \ln 2)$ for the first key and $(\ln\tfrac{3}{2}, \ln 3)$ for the
# second, the sums are $(\ln 2, \ln 2)$ and $(\ln 3, \ln 3)$, and the scores
# $10 \cdot 0.6 + 5 \cdot 0.6 = 9$ and $10 \cdot 0.8 + 5 \cdot 0.8 = 12$.
#
# **Climb in steps.**
#
# 1. One key: two vector–matrix products, add, tanh, dot product with $w$. One
#    number.
# 2. A loop over the keys.
# 3. All keys at once. The keys are the *rows* of `keys`: which product is a
#    $(T, A)$ array whose row $t$ is $\text{key}_t\,W_k$? The query's term is
#    the same for all keys: let broadcasting add it.
#
# **Closed** here: `numpy_core.additive_score`.

# %%
def additive_score(query, keys, W_q, W_k, w):
    """One score per key from a network with one hidden layer.

        s_t = tanh(query @ W_q + keys[t] @ W_k) . w

    Args:
        query: shape (D_q,).
        keys: shape (T, D_k).
        W_q: shape (D_q, A).
        W_k: shape (D_k, A).
        w: shape (A,).

    Returns:
        Array of shape (T,): scores, not yet weights.

    Source: Bahdanau et al. 2015, appendix A.1.2, where vectors are columns
        and the matrices stand on the left, W_a s + U_a h.

    Closed:
        numpy_core.additive_score.
    """
    raise NotImplementedError(
        "Exercise 1.6 is yours to write: The additive score. Put your code "
        "in place of this line; `minitx hint 01.6` gives a first nudge."
    )


# %%
W_q, W_k, w = np.eye(2), np.eye(2), np.array([10.0, 5.0])
two_keys = np.log([[1.0, 2.0], [1.5, 3.0]])
# By hand: 9 and 12.
print(np.round(additive_score(np.log([2.0, 1.0]), two_keys, W_q, W_k, w), 4))
# A query that shouts does not get louder for ever:
for size in [0.1, 1.0, 10.0, 100.0]:
    scores = additive_score(np.array([size, size]), two_keys, W_q, W_k, w)
    print(size, np.round(scores, 4))

# %%
check("01.6", additive_score)

# %% [markdown]
# **Question 3 (explain).** Somebody leaves out the tanh, to save time, and
# trains the model. It learns, but the attention weights are the same for
# every query. Why?
#
# <details><summary>Answer</summary>
#
# Without the tanh the score falls apart into two sums: $s_t =
# \text{query}\,W_q \cdot w + \text{key}_t\,W_k \cdot w$. The first is the
# same number for every key, and softmax ignores a constant that is added to
# all scores (Question 1). What remains depends on the key only. It is the
# tanh, a curve, that lets query and key act on one another. In the dot
# product it is the multiplication.
#
# </details>
