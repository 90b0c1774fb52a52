# %% [markdown]
# # Exercises for chapter 2: self-attention, vectorised
#
# Seven functions, from the three projections to a whole self-attention layer,
# and one bug to find. They belong to
# [chapter 2](../book/02_self_attention.ipynb); the section that
# prepares an exercise links to it.

# %% [markdown] tags=["stub"]
# Every exercise has a ladder: write the loop first, then replace one loop
# after the other by a tensor operation. You may stop climbing wherever the
# checks are content: a loop that is right earns every point.
#
# **Each exercise stands alone.** Later ones use the library `minitx`, never
# your earlier answers, so a mistake in one cannot spoil the next, and you can
# do them in any order. What an exercise asks you to write is *closed* while
# it is graded: an answer that calls it is told so and earns nothing. Each
# exercise names what is closed and what is open.

# %% [markdown]
# | letter | size of | letter | size of |
# |---|---|---|---|
# | `B` | batch: sentences | `C` | width of a token vector |
# | `H` | heads | `D_k` | width of one query or key |
# | `T` | tokens of a sentence | `D_v` | width of one value |
# | `T_q`, `T_k` | queries and keys, where they differ | | |
#
# A mask is a boolean tensor, and `True` always means **may attend**.

# %%
import math

import torch

from minitx import functional
from minitx.grading import check
from minitx.masks import Mask

# %% [markdown]
# ## Exercise 2.1: Queries, keys and values
#
# Every token plays three parts. As a *query* it asks, as a *key* it is found,
# as a *value* it answers. Each part is the token's vector times a matrix of
# its own:
#
# $$Q = X W_Q, \qquad K = X W_K, \qquad V = X W_V .$$
#
# `x` is `(B, T, C)`: `B` sentences of `T` tokens, one row of `C` numbers per
# token. The matrices are `(C, D_k)`, `(C, D_k)` and `(C, D_v)`. Return the
# tuple `(q, k, v)` with shapes `(B, T, D_k)`, `(B, T, D_k)` and
# `(B, T, D_v)`.
#
# **By hand.** One token, `C = 2`: $x = (1, 2)$. With
#
# $$W_Q = \begin{pmatrix} 1 & 0 & 1 \\ 0 & 1 & 1 \end{pmatrix}, \quad
#   W_K = \begin{pmatrix} 2 & 0 & 0 \\ 0 & 0 & 1 \end{pmatrix}, \quad
#   W_V = \begin{pmatrix} 1 \\ 10 \end{pmatrix}$$
#
# the query is $(1{\cdot}1 + 2{\cdot}0,\; 1{\cdot}0 + 2{\cdot}1,\; 1{\cdot}1 +
# 2{\cdot}1) = (1, 2, 3)$, the key is $(2, 0, 2)$ and the value is
# $(1{\cdot}1 + 2{\cdot}10) = (21)$.
#
# **The ladder**
# 1. *Loop.* For every sentence `b` and token `t`: `q[b, t, d]` is the sum
#    over `c` of `x[b, t, c] * W_q[c, d]`.
# 2. *Vectors.* One sentence at a time: `x[b]` is `(T, C)`, the matrix
#    `(C, D_k)`: one product.
# 3. *Batch.* What does `@` do with the leading axis of `x`?
# 4. *Special cases.* When `C == D_k` a transposed matrix fits too, and is
#    wrong. And `D_v` need not be `D_k`. The results have the dtype of `x`:
#    nothing is computed in another one.
#
# **Closed** here: nothing. No function of the library does it.

# %%
def project(x, W_q, W_k, W_v):
    """Project every token to its query, its key and its value.

        q = x W_q        k = x W_k        v = x W_v

    Args:
        x: token vectors, (B, T, C).
        W_q: (C, D_k).
        W_k: (C, D_k).
        W_v: (C, D_v).

    Returns:
        The tuple (q, k, v) of shapes (B, T, D_k), (B, T, D_k) and
        (B, T, D_v), in the dtype of x.
    """
    raise NotImplementedError(
        "Exercise 2.1 is yours to write: Queries, keys and values. Put your "
        "code in place of this line; `minitx hint 02.1` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it on a sentence in which one word stands twice.

# %%
torch.manual_seed(0)
sentence = ["the", "cat", "saw", "the", "dog"]
vector_of = {word: torch.randn(4) for word in sorted(set(sentence))}
x = torch.stack([vector_of[word] for word in sentence])[None]  # (1, 5, 4)

q, k, v = project(x, torch.randn(4, 3), torch.randn(4, 3), torch.randn(4, 2))
print("shapes:", tuple(q.shape), tuple(k.shape), tuple(v.shape))
for word, other in ((0, 3), (1, 4)):
    same = torch.allclose(q[0, word], q[0, other])
    pair = f"{sentence[word]!r} at {word} and {sentence[other]!r} at {other}"
    print(f"{pair}: same query? {same}")

# %%
check("02.1", project)

# %% [markdown]
# **Predict.** Both occurrences of "the" got the same query, key and value.
# What must then be true of their two outputs after self-attention without a
# mask?
#
# <details><summary>Answer</summary>
#
# They are equal too. The output of a token depends on its own query and on
# *all* keys and values, and the two tokens share all of that. Nothing in the
# recipe knows where a token stands: that is why transformers add positions
# (chapter 4).
#
# </details>

# %% [markdown]
# ## Exercise 2.2: Scaled scores
#
# How well does query $i$ fit key $j$? Their dot product, divided by the
# square root of their width:
#
# $$s_{ij} = \frac{q_i \cdot k_j}{\sqrt{D_k}}.$$
#
# `q` is `(..., T_q, D_k)` and `k` is `(..., T_k, D_k)`; the dots stand for
# any leading axes, the same in both: none, a batch, or a batch and heads.
# Return `(..., T_q, T_k)`: one row per query, one column per key. Scores are
# not weights: they may be negative, and no softmax is taken here.
#
# **By hand.** `D_k = 4`, so the divisor is 2. For $q = (1, 2, 2, 0)$ and the
# keys $(2, 0, 1, 5)$, $(0, 1, 0, 9)$, $(-2, 0, 0, 7)$ the dot products are
# $4, 2, -2$ and the scores $(2, 1, -1)$.
#
# **The ladder**
# 1. *Loop.* Two loops, over `i` and `j`, for 2-D inputs.
# 2. *Vectors.* All dot products at once are one matrix product. Which of the
#    two matrices must be transposed, and which of its axes?
# 3. *Batch and heads.* With 4-D inputs `.T` and `transpose(0, 1)` exchange
#    the wrong axes. Count the axes from the end.
# 4. *Special cases.* `T_q != T_k`; half precision stays half precision.
#
# **Closed** here: `functional.attention_scores`, and every attention that is
# built on it.

# %%
def attention_scores(q, k):
    """Score every query against every key.

        scores[..., i, j] = (q[..., i, :] · k[..., j, :]) / sqrt(D_k)

    Args:
        q: queries, (..., T_q, D_k).
        k: keys, (..., T_k, D_k), with the same leading axes as q.

    Returns:
        Scores, (..., T_q, T_k), in the dtype of q.

    Closed:
        functional.attention_scores and every attention.
    """
    raise NotImplementedError(
        "Exercise 2.2 is yours to write: Scaled scores. Put your code in "
        "place of this line; `minitx hint 02.2` gives a first nudge."
    )


# %% [markdown]
# Try it: random queries and keys, each entry of variance 1. Watch both
# columns as `D_k` grows.

# %%
torch.manual_seed(0)
for D_k in (4, 64, 1024):
    q, k = torch.randn(300, D_k), torch.randn(300, D_k)
    raw, scores = q @ k.T, attention_scores(q, k)
    spread = f"spread of q·k: {raw.std():5.1f}"
    print(f"D_k = {D_k:4d}   {spread}   of the scores: {scores.std():.1f}")

# %%
check("02.2", attention_scores)

# %% [markdown]
# **Explain.** Why divide by $\sqrt{D_k}$ and not by $D_k$?
#
# <details><summary>Answer</summary>
#
# If the entries of $q$ and $k$ are independent with mean 0 and variance 1,
# then $q \cdot k$ is a sum of $D_k$ products of variance 1 each: its variance
# is $D_k$, its *spread* $\sqrt{D_k}$. Dividing by $\sqrt{D_k}$ brings the
# spread back to 1 at every width. Dividing by $D_k$ would shrink it to
# $1/\sqrt{D_k}$: at $D_k = 1024$ all scores are within a few hundredths of
# each other, and the softmax returns nearly the plain average.
#
# </details>

# %% [markdown]
# ## Exercise 2.3: A softmax that knows a mask
#
# A row of scores becomes weights by a softmax over the keys **that the query
# may attend to**; every other key gets weight exactly 0:
#
# $$a_{ij} = \frac{m_{ij}\, e^{s_{ij}}}{\sum_{t} m_{it}\, e^{s_{it}}}, \qquad
#   m_{ij} = 1 \text{ if } \texttt{allowed}[i, j] \text{ else } 0 .$$
#
# `scores` is `(..., T_q, T_k)`; `allowed` is boolean and broadcastable to it
# (it may lack leading axes or have size 1 there). A query that may attend to
# nothing gets a row of zeros, not NaN, and its gradients are finite as well.
#
# **By hand.** Scores $(2, 1, -1)$, allowed (yes, yes, no):
# $e^2 / (e^2 + e^1) = 1 / (1 + e^{-1}) = 0.731$, so the weights are
# $(0.731, 0.269, 0)$. With nothing allowed: $(0, 0, 0)$.
#
# **The ladder**
# 1. *Loop.* For one row: exponentiate the allowed scores, add them up,
#    divide.
# 2. *Vectors.* Put $-\infty$ in the forbidden places, then take one softmax
#    over the last axis.
# 3. *Batch and heads.* Each sentence brings its own mask: does `allowed` of
#    shape `(B, 1, 1, T_k)` still work?
# 4. *Special cases.* Scores in the thousands; half precision; a row with
#    nothing allowed, where rung 2 computes $0/0$. What you put there must be
#    finite *on the way back* too. A NaN covered up at the end returns through
#    the gradient where $-\infty$ was *added* to the scores, or where a sum of
#    0 was divided by. (Where it was filled in with `masked_fill` it does not:
#    the way back leaves filled places out. Whether a cover holds depends on
#    what stands behind it, so it is safer that no NaN arises.)
#
# **Closed** here: `functional.masked_softmax` and every attention that is
# built on it, `torch.masked.softmax`, and torch's own attention. A plain
# softmax, `scores.softmax(dim=-1)`, is open.

# %%
def masked_softmax(scores, allowed):
    """Softmax over the keys that each query may attend to.

        weights[..., i, j] = m_ij exp(s_ij) / sum_t m_it exp(s_it),
        where m_ij = 1 if allowed, else 0

    Args:
        scores: (..., T_q, T_k).
        allowed: bool, broadcastable to scores; True = may attend.

    Returns:
        Weights of the shape and dtype of scores: 0 where not allowed; each
        row sums to 1, or is all zeros where nothing is allowed. The gradient
        with respect to scores is always finite.

    Closed:
        functional.masked_softmax, torch.masked.softmax and every attention.
    """
    raise NotImplementedError(
        "Exercise 2.3 is yours to write: A softmax that knows a mask. Put "
        "your code in place of this line; `minitx hint 02.3` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: everything allowed, two keys allowed, nothing allowed.

# %%
scores = torch.tensor([[2.0, 1.0, -1.0]]).repeat(3, 1).requires_grad_()
allowed = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 0, 0]], dtype=torch.bool)
weights = masked_softmax(scores, allowed)
for row in weights.tolist():
    print("weights", [round(w, 3) for w in row], "  sum", round(sum(row), 3))

(weights * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
print("all gradients finite?", bool(scores.grad.isfinite().all()))

# %%
check("02.3", masked_softmax)

# %% [markdown]
# **Predict.** Somebody takes the softmax of all scores first and multiplies
# the weights by the mask afterwards. What do the rows sum to, and who
# notices?
#
# <details><summary>Answer</summary>
#
# To less than 1: each row lost the weight that the forbidden keys had.
# Nothing crashes, all shapes are right, and the outputs are merely too small,
# by a factor that differs from row to row. A test with all values set to 1
# notices at once: every output must then be 1.
#
# </details>

# %% [markdown]
# ## Exercise 2.4: The causal mask
#
# A model that writes one token after the other must not look ahead: a query
# may attend to the keys of its own position and of earlier ones. When a cache
# holds older keys there are more keys than queries; **the queries are then
# the last `T_q` of the `T_k` positions**. So query `i` stands at position
# `i + T_k - T_q`, and
#
# $$\text{allowed}[i, j] = \big(\, j \le i + T_k - T_q \,\big).$$
#
# Return a boolean `(T_q, T_k)`. The lower right corner is always `True` (the
# last query sees everything), hence the name *bottom-right aligned*.
#
# **By hand.** With 3 queries and 3 keys the rows allow 1, 2 and 3 keys. With
# 2 queries and 5 keys the queries stand at positions 3 and 4: row 0 allows
# keys 0–3, row 1 all five. With 3 queries and 2 keys the first query stands
# before all keys: its row is all `False`.
#
# **The ladder**
# 1. *Loop.* Two loops and the comparison above.
# 2. *Vectors.* Positions of the queries as a column, of the keys as a row;
#    one comparison.
# 3. *Special cases.* One query and many keys; more queries than keys, by any
#    number.
#
# **Closed** here: `Mask.dense`, `numpy_core.causal_allowed` and torch's
# ready-made causal masks. `torch.tril` and `torch.triu` are open.

# %%
def causal_mask(T_q, T_k):
    """Which keys each query may see when nobody looks ahead.

        allowed[i, j] = (j <= i + T_k - T_q)

    The queries are the last T_q of the T_k positions (aligned at the bottom
    right).

    Args:
        T_q: number of queries.
        T_k: number of keys.

    Returns:
        Bool tensor (T_q, T_k); True = may attend.

    Closed:
        Mask.dense, numpy_core.causal_allowed and the causal masks of torch.
    """
    raise NotImplementedError(
        "Exercise 2.4 is yours to write: The causal mask. Put your code in "
        "place of this line; `minitx hint 02.4` gives a first nudge."
    )


# %% [markdown]
# Try it: a whole sentence, then its last two tokens with the first three in a
# cache. The second picture is the bottom of the first.

# %%
for T_q, T_k in ((5, 5), (2, 5)):
    print(f"{T_q} queries, {T_k} keys")
    for row in causal_mask(T_q, T_k).tolist():
        print("  ", " ".join("■" if may else "·" for may in row))

# %%
check("02.4", causal_mask)

# %% [markdown]
# **Predict.** `torch.nn.functional.scaled_dot_product_attention(...,
# is_causal=True)` aligns its mask top-left: `j <= i`. A model with a cache of
# 8 older tokens asks with one new query. What does that query see?
#
# <details><summary>Answer</summary>
#
# Key 0 only: row 0 of a top-left mask allows one key. The newest token would
# attend to the oldest and to nothing else. With `T_q == T_k` the two
# alignments agree, so training looks fine and only generation is wrong.
#
# </details>

# %% [markdown]
# ## Exercise 2.5: The padding mask
#
# Sentences of one batch differ in length, so the short ones are padded at
# their end. Nobody may attend to the padding. `lengths` is an integer tensor
# `(B,)`: the number of real tokens in each sentence. Return a boolean
# `(B, max_len)`, `True` where a real token stands:
#
# $$\text{real}[b, t] = \big(\, t < \text{lengths}[b] \,\big).$$
#
# **By hand.** `lengths = (3, 1)`, `max_len = 4`:
# `[[True, True, True, False], [True, False, False, False]]`.
#
# **The ladder**
# 1. *Loop.* For every sentence, set the first `lengths[b]` entries of a row
#    of `False`.
# 2. *Vectors.* Positions as a row, lengths as a column; one comparison.
# 3. *Special cases.* A sentence of length 0; one of length `max_len`; a
#    `max_len` longer than every sentence (the batch may be padded to a fixed
#    size); a batch of one.
#
# **Closed** here: `minitx.masks.padding`.

# %%
def padding_mask(lengths, max_len):
    """Mark the real tokens of sentences that were padded at the end.

        real[b, t] = (t < lengths[b])

    Args:
        lengths: integers (B,), each from 0 to max_len.
        max_len: the length T that every sentence was padded to.

    Returns:
        Bool tensor (B, max_len) on the device of lengths; True = a real
        token, may be attended to.

    Closed:
        minitx.masks.padding.
    """
    raise NotImplementedError(
        "Exercise 2.5 is yours to write: The padding mask. Put your code in "
        "place of this line; `minitx hint 02.5` gives a first nudge."
    )


# %% [markdown]
# Try it together with the causal rule: what sentence 1, which has three real
# tokens, may look at. The queries of rows 3 and 4 are padding themselves; a
# loss leaves their outputs out.

# %%
real = padding_mask(torch.tensor([5, 3]), 5)
# The library's causal rule, (5, 5):
not_ahead = Mask(causal=True).dense(5, 5, "cpu")[0, 0]
allowed = real[:, None, :] & not_ahead  # (2, 1, 5) and (5, 5) make (2, 5, 5)
for row in allowed[1].tolist():
    print("  ", " ".join("■" if may else "·" for may in row))

# %%
check("02.5", padding_mask)

# %% [markdown]
# **Explain.** The padding mask is `(B, T)` and says which *tokens* are real,
# yet it forbids columns of the score table and no rows. Why are the padding's
# own rows left alone?
#
# <details><summary>Answer</summary>
#
# A forbidden column keeps the padding out of everybody's average: that is
# what must not happen. A row of the padding only makes an output that nobody
# reads, because its keys are forbidden in the next layer as well and the loss
# skips it. Forbidding such rows too would leave them nothing to attend to,
# which is legal here (zeros) but buys nothing.
#
# </details>

# %% [markdown]
# ## Exercise 2.6: Self-attention, all together
#
# One head, from token vectors to outputs:
#
# $$\mathrm{SelfAttention}(X) =
#   \mathrm{softmax}\!\left(
#   \frac{(X W_Q)(X W_K)^\top}{\sqrt{D_k}}\right) X W_V ,$$
#
# where the softmax runs over the allowed keys only. `x` is `(B, T, C)`, the
# matrices are `(C, D_k)`, `(C, D_k)`, `(C, D_v)`, the result is
# `(B, T, D_v)`. `allowed` is `None` (everything is allowed) or a boolean
# tensor that broadcasts to `(B, T, T)`: `(T, T)` for one rule, `(B, 1, T)`
# for padding. A token that may attend to nothing gets zeros.
#
# **By hand.** One sentence of two tokens, all widths 1: $x = (0, 1)$,
# $W_Q = \ln 3$, $W_K = 1$, $W_V = 4$. Queries $(0, \ln 3)$, keys $(0, 1)$,
# values $(0, 4)$. Token 0 scores both keys 0: weights 1/2 each, output 2.
# Token 1 scores them $0$ and $\ln 3$; $e^0 : e^{\ln 3} = 1 : 3$, so its
# weights are one quarter and three quarters, output 3.
#
# **The ladder**
# 1. *Loop.* For each sentence and each token: its scores, its weights, its
#    average of the values.
# 2. *Vectors.* One sentence at a time, three matrix products and a softmax.
# 3. *Batch.* All sentences at once, each with its own mask.
# 4. *Special cases.* `allowed` may be `None`, or lack the batch axis; a token
#    with nothing allowed; large scores; everything in the dtype of `x`.
#
# **Closed** here: every attention that exists already,
# `functional.scaled_dot_product_attention`, `numpy_core.attention` and
# torch's own. Open is what Exercises 2.2 and 2.3 built:
# `functional.attention_scores(q, k)` and
# `functional.masked_softmax(scores, allowed)`, in which `allowed` may be
# `None`.

# %%
def self_attention(x, W_q, W_k, W_v, allowed=None):
    """Self-attention with one head.

        output = softmax(q kᵀ / sqrt(D_k)) v   over the allowed keys
        q, k, v = x W_q, x W_k, x W_v

    Args:
        x: token vectors, (B, T, C).
        W_q: (C, D_k).
        W_k: (C, D_k).
        W_v: (C, D_v).
        allowed: None, or bool, broadcastable to (B, T, T); True = may attend.

    Returns:
        (B, T, D_v); zeros for a token that may attend to nothing.

    Closed:
        every attention that exists already, such as
        functional.scaled_dot_product_attention.
    """
    raise NotImplementedError(
        "Exercise 2.6 is yours to write: Self-attention, all together. Put "
        "your code in place of this line; `minitx hint 02.6` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: reverse the sentence. If only the tokens matter and not their
# places, the outputs come out in reverse as well. Then forbid looking ahead.

# %%
torch.manual_seed(0)
x = torch.randn(1, 6, 8, dtype=torch.float64)
W_q, W_k, W_v = (torch.randn(8, D, dtype=torch.float64) for D in (4, 4, 3))
not_ahead = Mask(causal=True).dense(6, 6, "cpu")[0, 0]

rules = {"everything allowed": None, "no looking ahead": not_ahead}
for rule, allowed in rules.items():
    output = self_attention(x, W_q, W_k, W_v, allowed)
    backwards = self_attention(x.flip(1), W_q, W_k, W_v, allowed)
    same = torch.allclose(backwards.flip(1), output)
    print(f"{rule}: same outputs, in reverse?", same)

# %%
check("02.6", self_attention)

# %% [markdown]
# **Predict.** Which of these change the output? (a) Adding 5 to every score
# of one query. (b) Adding 5 to the scores of one key, for all queries. (c)
# Doubling `W_v`. (d) Doubling `W_q` and halving `W_k`.
#
# <details><summary>Answer</summary>
#
# (a) No: a softmax does not see a constant added to its whole row. (b) Yes:
# that key gains weight in every row. (c) Yes, the output doubles: attention
# is linear in the values. (d) No: the scores are products of one and the
# other. So $W_Q$ and $W_K$ matter only through $W_Q W_K^\top$.
#
# </details>

# %% [markdown]
# ## Exercise 2.7: Find the bug: who attends to whom?
#
# With several heads, every head attends on its own. Their queries come as
# `(B, T, H, D_k)`: for every token, its heads. The code below runs, and its
# output has exactly the right shape. It makes a mistake that can be found in
# published examples, too.


# %%
def attend_heads_with_a_bug(q, k, v):
    """q, k: (B, T, H, D_k), v: (B, T, H, D_v); for (B, T, H, D_v)."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = functional.masked_softmax(scores)  # no mask: all may attend
    return weights @ v


torch.manual_seed(0)
q, k = torch.randn(2, 2, 5, 3, 4)  # B = 2, T = 5, H = 3, D_k = 4
v = torch.randn(2, 5, 3, 6)
before = attend_heads_with_a_bug(q, k, v)
print("output:", tuple(before.shape))

v_changed = v.clone()
# The last token now says something quite different ...
v_changed[:, 4] += 100
after = attend_heads_with_a_bug(q, k, v_changed)
for t in range(5):  # ... and who hears it?
    same = torch.allclose(before[:, t], after[:, t])
    print(f"token {t}: output changed?", not same)

# %% [markdown]
# Only token 4 heard itself. No word passed from one token to another, which
# is the one thing that attention is for. Write down the shapes of `scores`
# and `weights` in the code above, axis by axis, before you read on. Which
# axis is compared with which?
#
# Mend it: `attend_heads` takes `q`, `k` of shape `(B, T, H, D_k)` and `v` of
# shape `(B, T, H, D_v)`. In every sentence and every head, each token attends
# to all tokens. The result is `(B, T, H, D_v)`.
#
# **By hand.** `B = 1, T = 2, H = 2, D_k = D_v = 1`, all queries 0, so all
# weights are equal. Values: token 0 says $(1, 10)$ with its two heads, token
# 1 says $(3, 30)$. The right answer averages over *tokens*: $(2, 20)$ for
# both. The buggy code averages over *heads*: $(5.5, 5.5)$ and $(16.5, 16.5)$.
#
# **The ladder**
# 1. *Loop.* For every sentence `b` and head `h`, `q[b, :, h]` is `(T, D_k)`:
#    plain attention.
# 2. *Vectors.* `@` multiplies the last two axes and repeats over all others.
#    Which two axes must be last?
# 3. *Batch and heads.* Transpose, attend, and transpose the result back.
# 4. *Special cases.* With `B == H` or `T == H`, wrongly exchanged axes fit
#    as well. Large scores, and the way back.
#
# **Closed** here: nothing. What is to be found is which axes are which, and
# every attention may be asked once they are right:
# `functional.scaled_dot_product_attention(q, k, v)` takes `(B, H, T, D)`.

# %%
def attend_heads(q, k, v):
    """Let every head of every sentence attend over the tokens.

        output[b, i, h] = sum_j weights_j v[b, j, h], where
        weights = softmax over j of q[b, i, h] · k[b, j, h] / sqrt(D_k)

    Args:
        q: (B, T, H, D_k).
        k: (B, T, H, D_k).
        v: (B, T, H, D_v).

    Returns:
        (B, T, H, D_v).
    """
    raise NotImplementedError(
        "Exercise 2.7 is yours to write: Find the bug: who attends to whom? "
        "Put your code in place of this line; `minitx hint 02.7` gives a "
        "first nudge."
    )


# %% [markdown]
# Try it: the same experiment with your version.

# %%
before, after = attend_heads(q, k, v), attend_heads(q, k, v_changed)
print("output:", tuple(before.shape))
for t in range(5):
    same = torch.allclose(before[:, t], after[:, t])
    print(f"token {t}: output changed?", not same)

# %%
check("02.7", attend_heads)

# %% [markdown]
# **Explain.** The bug's output had the right shape, and every row of its
# weights summed to 1. Name two tests that would have found it.
#
# <details><summary>Answer</summary>
#
# *Change one token's value and see who hears it*: with the bug nobody but the
# token itself. *Change one head and see that the other heads do not move*:
# with the bug they do. A comparison with loops over `b`, `h`, `i`, `j` finds
# it as well. Tests of shapes and of row sums do not.
#
# </details>
