# %% [markdown]
# # Exercises for chapter 4: positions
#
# Seven functions, from the table of sines and cosines to an attention that
# knows where its tokens stand, and one bug that is four. They belong to
# [chapter 4](../book/04_positions.ipynb); the section that prepares an
# exercise links to it.

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
# | `B` | batch: sentences | `C` | width of a token vector, `d_model` |
# | `H` | heads | `D_k` | width of one query or key |
# | `T` | tokens | `D_v` | width of one value |
# | `T_q`, `T_k` | queries and keys, if they differ | `S` | tokens in cache |
#
# Positions are whole numbers and begin with **0**. Pairs are counted from 0
# too: pair `i` holds the entries `2i` and `2i + 1`.

# %%
import math

import torch

from minitx import functional
from minitx.grading import check
from minitx.masks import Mask
from minitx.positions import Rotary, Sinusoidal

# %% [markdown]
# ## Exercise 4.1: The table of sines and cosines
#
# Position $p$ becomes a row of `C` numbers, two for every pair $i$: the sine
# and the cosine of an angle that grows with the position, fast in the first
# pair and ever more slowly in later ones.
#
# $$\begin{aligned}
#   \mathrm{PE}[p, 2i] &= \sin(p\,\omega_i) \\
#   \mathrm{PE}[p, 2i + 1] &= \cos(p\,\omega_i) \\
#   \omega_i &= \text{base}^{-2i/C} .
#   \end{aligned}$$
#
# `positions` is an integer tensor `(T,)`: any positions, in any order. Return
# the table `(T, C)` in float32. An odd `d_model` cannot be cut into pairs:
# raise a `ValueError` that says so.
#
# **By hand.** `C = 4`, base 10,000: the frequencies are
# $\omega_0 = 10000^0 = 1$ and $\omega_1 = 10000^{-2/4} = 0.01$. Position 1
# becomes $(\sin 1, \cos 1, \sin 0.01, \cos 0.01)$, that is
# $(0.8415, 0.5403, 0.0100, 1.0000)$, and position 0 becomes $(0, 1, 0, 1)$.
#
# **The ladder**
# 1. *Loop.* For every position and every pair `i`: the angle, its sine into
#    column `2i`, its cosine into column `2i + 1`.
# 2. *Vectors.* All frequencies at once from `torch.arange(0, d_model, 2)`,
#    which holds $2i$ already. A column of positions times a row of
#    frequencies is the table of angles.
# 3. *Columns.* Sines and cosines take turns. Stack the two along a new last
#    axis and flatten it, or write every second column.
# 4. *Special cases.* Position 100,000: a float32 keeps 7 digits, so its angle
#    is off by some thousandths. Compute angles in float64, and turn the
#    finished table into float32.
#
# **Closed** here: the library's own `Sinusoidal.table` and
# `Sinusoidal.embed`, `Rotary.rotate`, and the `angles` beneath them.

# %%
def sinusoidal_table(positions, d_model, base=10_000.0):
    """Sines and cosines of every position, in pairs.

        PE[p, 2i]     = sin(p * base**(-2i / d_model))
        PE[p, 2i + 1] = cos(p * base**(-2i / d_model))

    Args:
        positions: integers, (T,).
        d_model: width of the table, even.
        base: how slow the slowest pairs are.

    Returns:
        (T, d_model), float32; the angles are computed in float64.

    Raises:
        ValueError: if d_model is odd.

    Closed:
        Sinusoidal.table and .embed, Rotary.rotate, and angles.
    """
    raise NotImplementedError(
        "Exercise 4.1 is yours to write: The table of sines and cosines. "
        "Put your code in place of this line; `minitx hint 04.1` gives a "
        "first nudge."
    )


# %% [markdown]
# Try it: the first pair goes round within 7 positions, the last one hardly
# moves.

# %%
table = sinusoidal_table(torch.arange(5), 8)
for p, row in enumerate(table.tolist()):
    print("position", p, " ".join(f"{x:6.3f}" for x in row))

# %%
check("04.1", sinusoidal_table)

# %% [markdown]
# **Explain.** Which columns would tell position 1,000 from position 1,001
# best, and which would tell 1,000 from 5,000?
#
# <details><summary>Answer</summary>
#
# The first pairs turn by one radian, or nearly so, per position: neighbours
# differ most there. But they have gone round hundreds of times on the way
# from 1,000 to 5,000 and tell nothing about so large a distance. The last
# pairs turn by about one ten-thousandth of a radian per position: 4,000
# positions are 0.4 radians, and no full turn lies between.
#
# </details>

# %% [markdown]
# ## Exercise 4.2: Moving on by k is a turn
#
# Take the hand of a clock: whatever it shows, an hour later it stands 30
# degrees further. Each pair of the table is such a hand, so moving on by $k$
# positions is the same turn everywhere. There is one matrix $M$ with
#
# $$\mathrm{PE}[p + k] = M\, \mathrm{PE}[p] \qquad \text{for every } p ,$$
#
# where $\mathrm{PE}[p]$ is a row of the table of Exercise 4.1, written as a
# column. (The chapter multiplies a *row* by its matrix: that one is the
# transpose of this.) $M$ does not know $p$. Find it: return $M$, of shape
# `(C, C)`, in float32, for any whole number $k$, also a negative one.
# `d_model` is even.
#
# **By hand.** One pair, `C = 2`, $\omega_0 = 1$, so
# $\mathrm{PE}[p] = (\sin p, \cos p)$. School's addition rules say
#
# $$\begin{aligned}
#   \sin(p + k) &= \cos k \cdot \sin p + \sin k \cdot \cos p \\
#   \cos(p + k) &= -\sin k \cdot \sin p + \cos k \cdot \cos p .
#   \end{aligned}$$
#
# The four factors are the matrix. For $k = 1$ it is
#
# $$M = \begin{pmatrix} 0.5403 & 0.8415 \\ -0.8415 & 0.5403 \end{pmatrix} .$$
#
# **The ladder**
# 1. *Loop.* Start with zeros. For pair `i`, with the angle $k\,\omega_i$,
#    fill the 2 × 2 block of rows and columns `2i` and `2i + 1`.
# 2. *Vectors.* All angles at once; each of the four entries of a block is a
#    slice with step 2 of the rows and of the columns, on a diagonal.
# 3. *Special cases.* `k = 0` changes nothing. A negative `k` turns back. A
#    large `k` needs its angles in float64, as in Exercise 4.1.
#
# **Closed** here: nothing. No function of the library does it.

# %%
def offset_rotation(k, d_model, base=10_000.0):
    """The matrix that takes the code of any position p to that of p + k.

        PE[p + k] = M PE[p], with PE[p] as a column:
        pair i is turned by the angle k * base**(-2i / d_model)

    Args:
        k: how many positions further, a whole number; may be negative.
        d_model: width of the table, even.
        base: that of the table.

    Returns:
        M, (d_model, d_model), float32.
    """
    raise NotImplementedError(
        "Exercise 4.2 is yours to write: Moving on by k is a turn. Put your "
        "code in place of this line; `minitx hint 04.2` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: one matrix, found for k = 3, at very different positions.

# %%
M = offset_rotation(3, 8)
for p in (0, 5, 200):
    before, after = Sinusoidal(8).table(torch.tensor([p, p + 3])).float()
    off = (M @ before - after).abs().max()
    print(f"p = {p:3d}: is M PE[p] = PE[p + 3]?", bool(off < 1e-5))

# %%
check("04.2", offset_rotation)

# %% [markdown]
# **Predict.** What is $M(k)\,M(k)^\top$?
#
# <details><summary>Answer</summary>
#
# The unit matrix. The transpose turns back by as much, so it is $M(-k)$, and
# $M(k)\,M(-k) = M(0)$. A turn changes no length: all rows of the table are
# equally long, $\sqrt{C/2}$.
#
# </details>

# %% [markdown]
# ## Exercise 4.3: How far apart? A table of relative positions
#
# Shaw's attention and others keep one trained vector per *distance*. To pick
# vectors they need a table of row numbers: for query $i$ and key $j$, which
# row? The distance runs from query to key, negative for keys that came
# before; distances beyond $m$ = `max_distance` count as $m$; and because the
# rows are numbered from 0, all is shifted up by $m$:
#
# $$\text{index}[i, j] = \mathrm{clip}\big(\text{pos}_j - \text{pos}_i,
#   -m, m\big) + m .$$
#
# The keys stand at positions $0, 1, \ldots, T_k - 1$. The queries are the
# **last** `T_q` of them, as they are when a cache holds the earlier keys, so
# query $i$ stands at $i + T_k - T_q$. Return an int64 tensor `(T_q, T_k)`
# with entries from 0 to $2m$. There are never more queries than keys.
#
# **By hand.** `T_q = 2`, `T_k = 4`, `m = 2`. The queries stand at positions 2
# and 3. Query 0 sees the keys at distances $-2, -1, 0, 1$, and shifted by 2:
# $0, 1, 2, 3$. Query 1 sees them at $-3, -2, -1, 0$; clipped,
# $-2, -2, -1, 0$; shifted, $0, 0, 1, 2$.
#
# **The ladder**
# 1. *Loop.* Two loops; `min` and `max` do the clipping.
# 2. *Vectors.* A row of key positions minus a column of query positions,
#    then `clamp`.
# 3. *Special cases.* One query and many keys; `max_distance` larger than any
#    distance; clip first, shift afterwards.
#
# **Closed** here: `minitx.positions.distances`.

# %%
def relative_positions(T_q, T_k, max_distance):
    """For every query and key, the row of their distance in a table.

        index[i, j] = clip(j - (i + T_k - T_q), -m, m) + m,  m = max_distance

    Args:
        T_q: number of queries, the last of the positions.
        T_k: number of keys, at least T_q.
        max_distance: m; distances beyond it count as it.

    Returns:
        (T_q, T_k), int64, from 0 to 2m.

    Closed:
        minitx.positions.distances.
    """
    raise NotImplementedError(
        "Exercise 4.3 is yours to write: How far apart? A table of relative "
        "positions. Put your code in place of this line; `minitx hint 04.3` "
        "gives a first nudge."
    )


# %% [markdown]
# Try it: stripes along the diagonals, and corners where everything is far.

# %%
print(relative_positions(6, 6, 2))
print("five in a cache:", relative_positions(1, 6, 2).tolist())

# %%
check("04.3", relative_positions)

# %% [markdown]
# **Predict.** How many rows does the table of vectors have, and how many of
# them does a *causal* model ever train?
#
# <details><summary>Answer</summary>
#
# $2m + 1$ rows: $m$ distances backwards, $m$ forwards, and 0. Under a causal
# mask no key stands ahead of its query, so only rows $0$ to $m$ are used:
# $m + 1$ of them.
#
# </details>

# %% [markdown]
# ## Exercise 4.4: ALiBi: the farther, the quieter
#
# ALiBi has no table and no parameters. It subtracts from every score a fine
# that grows with the distance, steeply in some heads and gently in others:
#
# $$\text{bias}[h, i, j] = -\,s_h \cdot |\,\text{pos}_j - \text{pos}_i\,| .$$
#
# The slopes $s_h$ depend on the number of heads `H` alone. If `H` is a power
# of two they are a geometric series that starts at the ratio $2^{-8/H}$:
#
# $$s_h = 2^{-8h/H}, \qquad h = 1, 2, \ldots, H .$$
#
# If it is not, let $P$ be the largest power of two below `H`. First come the
# $P$ slopes of $P$ heads. The other $H - P$ are taken from the slopes of
# $2P$ heads: the first, the third, the fifth, and so on.
#
# `q_pos` is `(T_q,)`, `k_pos` is `(T_k,)`, both integers: the positions are
# given, so you need not align anything. Return `(H, T_q, T_k)` in float32.
# Keys ahead are fined like keys behind; where they are forbidden, the causal
# mask does that.
#
# **By hand.** Two heads: $2^{-8/2} = 1/16$ and $2^{-16/2} = 1/256$. Three
# heads: $P = 2$, so these two, and the first slope of four heads:
# $2^{-8/4} = 1/4$. A query at position 5 and keys at 3, 5, 6 give the
# distances 2, 0, 1; the head with slope 1/4 adds $-0.5, 0, -0.25$.
#
# **The ladder**
# 1. *Loop.* A list of slopes, then three loops.
# 2. *Vectors.* All slopes as `2.0 ** exponents`; all distances as a column
#    and a row.
# 3. *Heads.* Give the slopes the shape `(H, 1, 1)`.
# 4. *Special cases.* One head; 12 heads; positions that do not begin at 0 or
#    have gaps.
#
# **Closed** here: the library's `ALiBi.slopes` and `ALiBi.bias`.

# %%
def alibi_bias(num_heads, q_pos, k_pos):
    """What ALiBi adds to the scores of every head.

        bias[h, i, j] = -slope[h] * |k_pos[j] - q_pos[i]|
        slope[h] = 2**(-8h / H), h = 1 ... H, for H a power of two; else the
        slopes of the power of two below, then every other one of its double

    Args:
        num_heads: H, at least 1.
        q_pos: integers, (T_q,).
        k_pos: integers, (T_k,).

    Returns:
        (num_heads, T_q, T_k), float32.

    Closed:
        ALiBi.slopes and ALiBi.bias.
    """
    raise NotImplementedError(
        "Exercise 4.4 is yours to write: ALiBi: the farther, the quieter. "
        "Put your code in place of this line; `minitx hint 04.4` gives a "
        "first nudge."
    )


# %% [markdown]
# Try it: what a query at position 4 loses on the way back, for three heads.

# %%
bias = alibi_bias(3, torch.tensor([4]), torch.arange(5))
for h, row in enumerate(bias[:, 0].tolist()):
    print(f"head {h}:", " ".join(f"{-x:7.4f}" for x in row))

# %%
check("04.4", alibi_bias)

# %% [markdown]
# **Predict.** A head has slope 1/2. How many tokens back does a key weigh
# less than a thousandth of an equally good key right here?
#
# <details><summary>Answer</summary>
#
# The weight falls by $e^{-1/2}$ per token. $e^{-n/2} < 1/1000$ means
# $n > 2 \ln 1000 = 13.8$: from 14 tokens on. With slope 1/256 it takes 1,769.
#
# </details>

# %% [markdown]
# ## Exercise 4.5: T5's buckets
#
# T5 trains one number per head and *bucket* of distances. Near distances have
# a bucket each; farther ones share, more and more of them to a bucket. Your
# function says which bucket a distance falls into.
#
# `distance` is an integer tensor of **any** shape: key position minus query
# position, so negative for keys that came before. Return int64 of the same
# shape.
#
# 1. *Two directions* (`bidirectional`): half of the buckets, `n =
#    num_buckets // 2`, are for keys at or behind the query, the other half
#    for keys **ahead**: those have `n` added to their bucket. From here on
#    the distance counts without its sign.
# 2. *One direction:* all `n = num_buckets` are for keys behind; a key ahead
#    counts as distance 0.
# 3. The first `e = n // 2` of these `n` are *exact*: distance $d < e$ has
#    bucket $d$.
# 4. The rest grow logarithmically and end at `max_distance`, $m$; everything
#    farther is in the last one. For $d \ge e$ the bucket is
#
# $$\min\left(e + \left\lfloor \frac{\ln (d / e)}{\ln (m / e)}\,(n - e)
#   \right\rfloor,\; n - 1\right) .$$
#
# **By hand.** One direction, 8 buckets, $m = 30$: $n = 8$, $e = 4$. Distance
# $-3$ is bucket 3. Distance $-10$: $\ln 2.5 / \ln 7.5 \cdot 4 = 1.8$, so
# bucket $4 + 1 = 5$. Distance $-100$: 6.4 and so 10, but the last is 7.
# Distance $+2$ is bucket 0. In both directions $n = 4$, $e = 2$, and
# $\ln 5 / \ln 15 \cdot 2 = 1.2$: distance $-10$ is bucket 3, and $+10$ is
# bucket $4 + 3 = 7$.
#
# **The ladder**
# 1. *Loop.* One distance at a time, with `if` and `math.log`; flatten first,
#    `reshape` last.
# 2. *Vectors.* Compute both answers, the exact and the logarithmic one, for
#    all distances, and choose with `torch.where`. The logarithm of 0 must
#    not be chosen, nor be made a whole number of.
# 3. *Special cases.* A scalar tensor; an odd number of buckets; distance 0
#    is not ahead.
#
# **Closed** here: `minitx.positions.t5_bias.bucket`.

# %%
def t5_bucket(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """The bucket of each distance: exact when near, logarithmic when far.

        d < e:  d           (e = n // 2, half of one direction's n buckets)
        else:   min(e + floor(ln(d / e) / ln(max_distance / e) * (n - e)),
                    n - 1)

    Args:
        distance: integers of any shape, key minus query position.
        num_buckets: in all; in both directions half are for keys ahead.
        max_distance: where the logarithmic buckets end.
        bidirectional: False where keys ahead count as distance 0.

    Returns:
        int64, of the shape of distance, from 0 to num_buckets - 1.

    Closed:
        minitx.positions.t5_bias.bucket.
    """
    raise NotImplementedError(
        "Exercise 4.5 is yours to write: T5's buckets. Put your code in "
        "place of this line; `minitx hint 04.5` gives a first nudge."
    )


# %% [markdown]
# Try it: T5's own sizes. Where do buckets begin to hold several distances?

# %%
buckets = t5_bucket(-torch.arange(200))
for b in (0, 7, 8, 15):
    members = (buckets == b).nonzero().flatten().tolist()
    print(f"bucket {b:2d}: distances {members[0]} to {members[-1]}")

# %%
check("04.5", t5_bucket)

# %% [markdown]
# **Predict.** How many numbers does T5 train for its positions, with 32
# buckets and 8 heads, and does that depend on the length of the texts?
#
# <details><summary>Answer</summary>
#
# $32 \cdot 8 = 256$ numbers in all, in the table that all layers of a stack
# share. It does not depend on the length: everything beyond 128 falls into
# the last bucket.
#
# </details>

# %% [markdown]
# ## Exercise 4.6: Rotary: turn queries and keys
#
# Rotary positions add nothing. They *turn* each pair of a query, and of a
# key, by an angle that grows with the position:
#
# $$\begin{gathered}
#   \begin{pmatrix} y_{2i} \\ y_{2i+1} \end{pmatrix} =
#   \begin{pmatrix} \cos\theta & -\sin\theta \\ \sin\theta & \cos\theta
#   \end{pmatrix}
#   \begin{pmatrix} x_{2i} \\ x_{2i+1} \end{pmatrix} \\
#   \theta = p \cdot \text{base}^{-2i/D_k} .
#   \end{gathered}$$
#
# Neighbours are a pair here: entries 0 and 1, entries 2 and 3, and so on.
# (Some published models pair entry `i` with entry `i + D_k/2`.)
#
# `x` is `(B, H, T, D_k)`: queries or keys, `D_k` even. `pos` is an integer
# tensor `(B, T)` that says where each token of each sentence stands; its
# first axis may be 1, which means the same for all sentences. With a cache
# the newest tokens do not stand at 0: their positions are given, so never
# count them yourself. Return the shape and the dtype of `x`.
#
# **By hand.** `D_k = 2`, position 1, $x = (1, 0)$: turned by one radian it is
# $(\cos 1, \sin 1) = (0.5403, 0.8415)$. And $x = (0, 1)$ becomes
# $(-0.8415, 0.5403)$.
#
# **The ladder**
# 1. *Loop.* For every sentence, token and pair: the angle, and the two lines
#    of the product, for all heads.
# 2. *Vectors.* `x[..., 0::2]` and `x[..., 1::2]` are the first and the second
#    of each pair. Four products, and the results take turns again.
# 3. *Batch and heads.* Which axis has to be put into `pos` so that its angles
#    meet `(B, H, T, D_k/2)`?
# 4. *Special cases.* As many sentences as heads; far positions, whose angles
#    need float64; half precision stays half precision.
#
# **Closed** here: the library's `Rotary.rotate`, `Sinusoidal.table`, and the
# `angles` beneath them.

# %%
def rotate(x, pos, base=10_000.0):
    """Turn each pair of neighbouring features by position times frequency.

        y[2i]     = x[2i] cos(theta) - x[2i + 1] sin(theta)
        y[2i + 1] = x[2i] sin(theta) + x[2i + 1] cos(theta)
        theta = pos * base**(-2i / D_k)

    Args:
        x: queries or keys, (B, H, T, D_k), D_k even.
        pos: integers, (B, T); B may be 1 here.
        base: how slow the slowest pairs are.

    Returns:
        (B, H, T, D_k), in the dtype of x.

    Closed:
        Rotary.rotate, Sinusoidal.table, and angles.
    """
    raise NotImplementedError(
        "Exercise 4.6 is yours to write: Rotary: turn queries and keys. Put "
        "your code in place of this line; `minitx hint 04.6` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: a query and a key 3 tokens apart, near the start and far into a
# text. Their dot product is the same.

# %%
torch.manual_seed(0)
q, k = torch.randn(2, 1, 1, 1, 8)
for p in (3, 1000):
    here, there = torch.tensor([[p]]), torch.tensor([[p - 3]])
    score = (rotate(q, here) * rotate(k, there)).sum()
    print(f"query at {p:4d}, key at {p - 3:3d}: {score:.3f}")

# %%
check("04.6", rotate)

# %% [markdown]
# **Explain.** The score that is printed does not depend on `p`. Why?
#
# <details><summary>Answer</summary>
#
# Turning both vectors of a dot product by the same angle does not change it.
# The query is turned by $p\,\omega$, the key by $(p - 3)\,\omega$. Turn both
# back by $(p - 3)\,\omega$: what is left is the query turned by $3\,\omega$
# and the key not turned at all.
#
# </details>

# %% [markdown]
# ## Exercise 4.7: Attention that knows where everybody stands
#
# Now put a scheme to work, in the middle of generating text. `T` new tokens
# come in; `S` older ones lie in a cache. Queries and keys are rotated, and a
# bias (from ALiBi, T5 or anybody) is added to the scores:
#
# $$\begin{aligned}
#   \text{scores} &= \frac{R(q)\,[\,k_\text{cached}, R(k)\,]^\top}
#   {\sqrt{D_k}} + \text{bias} \\
#   \text{output} &= \mathrm{softmax}(\text{scores})\,
#   [\,v_\text{cached}, v\,] ,
#   \end{aligned}$$
#
# where $R$ turns as in Exercise 4.6 (base 10,000) and the softmax runs over
# the allowed keys.
#
# | argument | shape | |
# |---|---|---|
# | `q`, `k` | `(B, H, T, D_k)` | of the new tokens, **not** rotated yet |
# | `v` | `(B, H, T, D_v)` | of the new tokens |
# | `pos` | `(B, T)` | positions of the new tokens |
# | `cached_k` | `(B, H, S, D_k)` | rotated when they were new |
# | `cached_v` | `(B, H, S, D_v)` | |
# | `real` | `(B, S + T)` | bool: `True` = a word, `False` = padding |
# | `bias` | `(H, T, S + T)` | added to the scores |
#
# Two rules say who may attend: nobody attends to padding, and nobody looks
# ahead. The new tokens are the last `T` of the `S + T` columns, so new token
# `i` sees columns up to `S + i`. A query that may attend to nothing gets
# zeros. Return `(B, H, T, D_v)`.
#
# **By hand.** One head, `D_k = 2`, one new token at position 1 with
# $q = (\sqrt 2, 0)$, $k = (0, 0)$, $v = 3$; the cache holds the key
# $(\cos 1, \sin 1)$ with value 0. Turned by one radian the query is
# $\sqrt 2\,(\cos 1, \sin 1)$, and its score with the cached key is
# $\sqrt 2 / \sqrt 2 = 1$; with its own key, 0. A bias of $(0, 1)$ makes both
# scores 1. The weights are equal, and the output is 1.5.
#
# **The ladder**
# 1. *Loop.* For every sentence, head and new token: scores with the keys it
#    may see, their softmax, the average of the values.
# 2. *Vectors.* `torch.cat` joins cache and new along the tokens; a table of
#    booleans `(B, 1, T, S + T)` says who may attend.
# 3. *Library.* `Rotary(D_k).rotate(q, k, q_pos, k_pos)` returns the pair of
#    rotated tensors. `Mask(causal=True, key_padding=real)` holds both rules.
#    `functional.scaled_dot_product_attention(q, k, v, mask=..., bias=...)`
#    takes a bias with four axes, of which the first may be 1.
# 4. *Special cases.* An empty cache, `S = 0`; padding on the left, where
#    positions do not equal columns; one new token.
#
# **Closed** here: nothing. The parts are there; what counts is which goes
# where.

# %%
def attend_with_positions(q, k, v, pos, cached_k, cached_v, real, bias):
    """Attention of new tokens to a cache and to themselves, with positions.

        output = softmax(R(q) [cached_k, R(k)]ᵀ / sqrt(D_k) + bias)
                 [cached_v, v],    over real keys that are not ahead

    Args:
        q: queries of the new tokens, (B, H, T, D_k), not rotated.
        k: their keys, (B, H, T, D_k), not rotated.
        v: their values, (B, H, T, D_v).
        pos: positions of the new tokens, (B, T).
        cached_k: older keys, (B, H, S, D_k), rotated already.
        cached_v: older values, (B, H, S, D_v).
        real: bool, (B, T_k) with T_k = S + T; False = padding.
        bias: (H, T, T_k), added to the scores after scaling.

    Returns:
        (B, H, T, D_v); zeros for a query that may attend to nothing.
    """
    raise NotImplementedError(
        "Exercise 4.7 is yours to write: Attention that knows where "
        "everybody stands. Put your code in place of this line; `minitx "
        "hint 04.7` gives a first nudge."
    )


# %% [markdown]
# Try it: six tokens at once, and the same six as four first and two later.

# %%
torch.manual_seed(0)
q, k, v = torch.randn(3, 1, 2, 6, 8)
bias = torch.randn(2, 6, 6)
pos, real = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
none = torch.empty(1, 2, 0, 8)
whole = attend_with_positions(q, k, v, pos, none, none, real, bias)

cached_k = Rotary(8).rotate(k, k, pos, pos)[0][:, :, :4]
new = (part[:, :, 4:] for part in (q, k, v))
later = attend_with_positions(
    *new, pos[:, 4:], cached_k, v[:, :, :4], real, bias[:, 4:]
)
same = torch.allclose(whole[:, :, 4:], later, atol=1e-5)
print("the last two tokens: same output with the cache?", same)

# %%
check("04.7", attend_with_positions)

# %% [markdown]
# **Explain.** The cached keys were rotated with their own positions, long
# ago. Why does nothing have to be rotated again when the text grows?
#
# <details><summary>Answer</summary>
#
# The score depends on the *difference* of the two angles, and the query
# brings the newer position with it. A scheme that measured positions from the
# end of the text would have to turn every key again at every step.
#
# </details>

# %% [markdown]
# ## Exercise 4.8: Find the bug: a distance four times wrong
#
# Shaw's attention adds to each score the product of the query with a trained
# vector for the distance:
#
# $$\begin{aligned}
#   \text{score}[i, j] &= \frac{q_i \cdot k_j + q_i \cdot a_{\,r(i, j)}}
#   {\sqrt{D_k}} \\
#   r(i, j) &= \mathrm{clip}(\text{pos}_j - \text{pos}_i, -m, m) + m .
#   \end{aligned}$$
#
# `table` holds the vectors $a_0, \ldots, a_{2m}$, a row each, so it is
# `(2m + 1, D_k)`. The queries are the last `T_q` of the `T_k` positions. The
# code below runs, and its output has exactly the right shape. **Four** things
# are wrong with it, all with the positions.


# %%
def shaw_attention_with_bugs(q, k, v, table):
    """q: (B, H, T_q, D_k), k: (B, H, T_k, D_k), v: (B, H, T_k, D_v)."""
    m = table.shape[0] // 2
    i = torch.arange(q.shape[2])[:, None]
    j = torch.arange(k.shape[2])
    vectors = table[(i - j).clamp(-m, m)]  # (T_q, T_k, D_k)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    scores = scores + torch.einsum("bhid,ijd->bhij", q, vectors)
    return scores.softmax(dim=-1) @ v


table = torch.tensor([[-1.0], [0.0], [1.0]])  # m = 1: behind, here, ahead
q, k = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 3, 1)
v = torch.eye(3)[None, None]  # so that the output shows the weights
output = shaw_attention_with_bugs(q, k, v, table)
print("weights:", [round(w, 3) for w in output.flatten().tolist()])

# %% [markdown]
# The one query stands at position 2, the last of three. Both other keys are
# behind it and should get $e^{-1}$ where its own key gets $e^0$: weights
# $0.212, 0.212, 0.576$. Look for the four, one at a time:
#
# - Which position does query 0 have when there are fewer queries than keys?
# - Is the distance of a key that came before negative or positive?
# - `table[-1]` is no error in torch. Which row is it?
# - By what is $q_i \cdot a$ divided?
#
# Mend it: `shaw_attention` takes the same arguments and returns
# `(B, H, T_q, D_v)`. There is no mask.
#
# **By hand.** The example above is one: the distances are $-2, -1, 0$,
# clipped $-1, -1, 0$, rows $0, 0, 1$, so the scores are $-1, -1, 0$.
#
# **The ladder**
# 1. *Loop.* For every query and key: position minus position, clip, shift,
#    and the dot product of the query with that row.
# 2. *Vectors.* A table of row numbers `(T_q, T_k)`; `table[rows]` is
#    `(T_q, T_k, D_k)`.
# 3. *Batch and heads.* `torch.einsum`, or `gather` from `q @ table.T`, which
#    never builds so large a tensor.
# 4. *Special cases.* One query, many keys; distances beyond $m$ on both
#    sides; a table of one row, $m = 0$; large scores.
#
# **Closed** here: nothing. What is to be found is which number goes where.

# %%
def shaw_attention(q, k, v, table):
    """Attention with a trained vector for each distance.

        score[i, j] = (q[i] · k[j] + q[i] · table[r(i, j)]) / sqrt(D_k)
        r(i, j) = clip(j - (i + T_k - T_q), -m, m) + m

    Args:
        q: (B, H, T_q, D_k), the last T_q of the T_k positions.
        k: (B, H, T_k, D_k).
        v: (B, H, T_k, D_v).
        table: (W, D_k), W = 2m + 1 vectors, one for each distance.

    Returns:
        (B, H, T_q, D_v).
    """
    raise NotImplementedError(
        "Exercise 4.8 is yours to write: Find the bug: a distance four "
        "times wrong. Put your code in place of this line; `minitx hint "
        "04.8` gives a first nudge."
    )


# %% [markdown]
# Try it: the same experiment with your version.

# %%
q, k = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 3, 1)
v = torch.eye(3)[None, None]
table = torch.tensor([[-1.0], [0.0], [1.0]])
output = shaw_attention(q, k, v, table)
print("weights:", [round(w, 3) for w in output.flatten().tolist()])

# %%
check("04.8", shaw_attention)

# %% [markdown]
# **Explain.** A model was trained with the buggy code, as many queries as
# keys. Would its loss have shown that something is wrong? When would it have
# been noticed?
#
# <details><summary>Answer</summary>
#
# Hardly by the loss. A turned sign, and row numbers that count from the end,
# only give the vectors other names (each distance still has a row of its
# own), and training adapts the vectors to a missing $1/\sqrt{D_k}$. It is
# noticed when the weights meet right code, and, because of the alignment, as
# soon as a cache is used: then one query stands at position 0 whatever has
# been written before.
#
# </details>
