# %% [markdown]
# # Exercises for chapter 3: several heads
#
# From cutting one wide vector into heads to two whole modules, the grouped
# heads of present models, and weights that torch has trained. They belong to
# [chapter 3](../book/03_multi_head.ipynb); the section that prepares an
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
#
# Exercises 3.4 and 3.5 ask for a **class**, a module of torch. It has two
# places for your code: `__init__`, where its projections are made, and
# `forward`, where they are used.

# %% [markdown]
# | letter | size of | letter | size of |
# |---|---|---|---|
# | `B` | batch: sentences | `C` | width of a token vector |
# | `T` | tokens of a sentence | `H` | heads |
# | `T_q` | tokens that ask | `H_kv` | heads of keys and values |
# | `T_m` | tokens of the memory | `D` | width of one head |
#
# The width of all heads together is `H · D`, which is `C` unless an exercise
# says otherwise. A mask is a boolean tensor, and `True` always means **may
# attend**.

# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx import functional, masks
from minitx.grading import check
from minitx.multihead import MultiHeadAttention

# %% [markdown]
# ## Exercise 3.1: Cut into heads
#
# One projection makes the queries of all heads at once: `H · D` numbers per
# token, head 0 first, then head 1, and so on. Attention wants each head on
# its own, with the axes `(B, H, T, D)`:
#
# $$\text{out}[b, h, t, d] = x[b,\; t,\; h \cdot D + d] .$$
#
# `x` is `(B, T, C)` with `C = H · D`. Return `(B, H, T, D)`. Nothing is
# computed; every number only gets another address.
#
# **By hand.** One sentence of two tokens, two heads of width 2. Token 0 is
# $(1, 2, 3, 4)$, token 1 is $(5, 6, 7, 8)$. Head 0 owns the first two numbers
# of each token, head 1 the last two:
#
# $$\text{head 0} = \begin{pmatrix} 1 & 2 \\ 5 & 6 \end{pmatrix}, \qquad
#   \text{head 1} = \begin{pmatrix} 3 & 4 \\ 7 & 8 \end{pmatrix} .$$
#
# The rows are tokens. `x.view(1, 2, 2, 2)` alone has the same shape and gives
# head 0 both halves of token 0.
#
# **The ladder**
# 1. *Loop.* For every head `h`, the columns `h * D` to `(h + 1) * D` of `x`.
# 2. *Batch.* First cut the last axis in two, `(B, T, H, D)`. Which two axes
#    must then change places?
# 3. *Special cases.* With `T == H` a forgotten transpose still has the right
#    shape.
#
# **Closed** here: nothing. No function of the library does it.

# %%
def split_heads(x, num_heads):
    """Give every head its part of every token.

        out[b, h, t, d] = x[b, t, h * D + d],   D = C / H

    Args:
        x: (B, T, C), the numbers of head 0 first.
        num_heads: H, which divides C.

    Returns:
        (B, H, T, D), in the dtype of x.
    """
    raise NotImplementedError(
        "Exercise 3.1 is yours to write: Cut into heads. Put your code in "
        "place of this line; `minitx hint 03.1` gives a first nudge."
    )


# %% [markdown]
# Try it: three tokens whose numbers say where they stand, `10 * token +
# column`. Every row of a head must belong to one token.

# %%
x = (10 * torch.arange(3)[:, None] + torch.arange(4))[None]  # (1, 3, 4)
print("x:", x[0].tolist())
for h, head in enumerate(split_heads(x, 2)[0]):
    print(f"head {h}:", head.tolist())

# %%
check("03.1", split_heads)

# %% [markdown]
# **Predict.** `x` has `T = 6` tokens of width `C = 12`, and there are 3
# heads. Somebody writes `x.view(B, 3, 6, 4)`. Which numbers does head 0 hold?
#
# <details><summary>Answer</summary>
#
# The first 24 numbers of the sentence: all of tokens 0 and 1. Head 0 then
# believes it has six tokens of width 4, which are thirds of two real ones,
# and it never sees tokens 2 to 5.
#
# </details>

# %% [markdown]
# ## Exercise 3.2: Put the heads together again
#
# Every head has found an average of its values. The averages of one token are
# laid side by side, head 0 first, before the last projection mixes them:
#
# $$\text{out}[b,\; t,\; h \cdot D + d] = \text{heads}[b, h, t, d] .$$
#
# `heads` is `(B, H, T, D)`; return `(B, T, H · D)`. It undoes Exercise 3.1.
#
# **By hand.** One sentence, two heads of width 2, two tokens. Head 0 is
# $\begin{pmatrix} 1 & 2 \\ 5 & 6 \end{pmatrix}$, head 1 is
# $\begin{pmatrix} 3 & 4 \\ 7 & 8 \end{pmatrix}$. Token 0 becomes
# $(1, 2, 3, 4)$, token 1 becomes $(5, 6, 7, 8)$.
#
# **The ladder**
# 1. *Loop.* The heads `heads[:, 0]`, `heads[:, 1]` … are `(B, T, D)`: lay
#    them side by side.
# 2. *Batch.* Two axes change places, two are joined. In which order?
# 3. *Special cases.* After `transpose` the numbers no longer stand in memory
#    in the order of the axes, and `view` refuses; `reshape` and `flatten`
#    copy where they must.
#
# **Closed** here: nothing. No function of the library does it.

# %%
def merge_heads(heads):
    """Lay what the heads found for a token side by side.

        out[b, t, h * D + d] = heads[b, h, t, d]

    Args:
        heads: (B, H, T, D).

    Returns:
        (B, T, H · D), in the dtype of heads.
    """
    raise NotImplementedError(
        "Exercise 3.2 is yours to write: Put the heads together again. Put "
        "your code in place of this line; `minitx hint 03.2` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: cut by hand, then joined. The tokens must come back as they were.

# %%
x = torch.arange(24).reshape(1, 4, 6)
heads = torch.stack([x[..., :2], x[..., 2:4], x[..., 4:]], dim=1)
print("heads:", tuple(heads.shape))
print("the same tokens again?", torch.equal(merge_heads(heads), x))

# %%
check("03.2", merge_heads)

# %% [markdown]
# **Explain.** A model with `reshape` in both places, in place of 3.1 and in
# place of 3.2, is consistent: merging undoes splitting. Its loss falls, too.
# What is wrong with it, and which test shows it?
#
# <details><summary>Answer</summary>
#
# Its heads are not heads. Each works on a *stretch of the sentence*: head 0
# of three sees the first third of the tokens only, so two distant words never
# meet. A test that shows it: exchange two tokens of `x`, without a mask. The
# outputs must be exchanged as well (equivariance), and are not.
#
# </details>

# %% [markdown]
# ## Exercise 3.3: One projection for all
#
# Queries, keys and values of all heads are three projections of the same
# tokens. Stored one below the other they are **one** matrix, and one product
# makes them all:
#
# $$\begin{gathered}
#   Y = X W^\top + b, \\
#   W = \begin{pmatrix} W_q \\ W_k \\ W_v \end{pmatrix}, \quad
#   b = \begin{pmatrix} b_q \\ b_k \\ b_v \end{pmatrix} .
#   \end{gathered}$$
#
# This is how `torch.nn.MultiheadAttention` and many published models, GPT-2
# among them, keep their weights. As in every `torch.nn.Linear`, a matrix is
# `(out, in)`: its rows belong to the results. `x` is `(B, T, C)`, `W` is
# `(3 · H · D, C)` and `b` is `(3 · H · D)`; `H · D` need not be `C`.
# Return the tuple `(q, k, v)`, each `(B, H, T, D)`.
#
# **By hand.** One token $x = (1, 2)$, one head of width 1. The rows of `W`
# are $(1, 0)$, $(0, 1)$ and $(1, 1)$, and $b = (10, 20, 30)$. The query is
# $1 + 10 = 11$, the key $2 + 20 = 22$, the value $3 + 30 = 33$.
#
# **The ladder**
# 1. *Loop.* Cut `W` and `b` into three blocks of rows. For each, project, and
#    then cut out one head after the other.
# 2. *Batch.* One product for all three. Along which axis are the results cut
#    in three?
# 3. *Special cases.* `W` may be square, and then a forgotten transpose fits
#    as well. `H · D` need not be `C`.
#
# **Closed** here: `minitx.multihead.MultiHeadAttention.forward` and torch's
# multi-head attention, which do this and the rest. `F.linear(x, W, b)` is
# open.

# %%
def project_and_split(x, W, b, num_heads):
    """Queries, keys and values of all heads from one packed projection.

        [q k v] = x Wᵀ + b,   each then cut into heads

    Args:
        x: token vectors, (B, T, C).
        W: (3 · H · D, C); the rows of q, then those of k, then those of v.
        b: (3 · H · D), in the same order.
        num_heads: H.

    Returns:
        The tuple (q, k, v), each (B, H, T, D).

    Closed:
        minitx.multihead.MultiHeadAttention.forward, torch's multi-head
        attention.
    """
    raise NotImplementedError(
        "Exercise 3.3 is yours to write: One projection for all. Put your "
        "code in place of this line; `minitx hint 03.3` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: how many numbers there are, and how many products made them.

# %%
torch.manual_seed(0)
packed = nn.Linear(6, 3 * 6)
x = torch.randn(2, 5, 6)
with torch.no_grad():
    parts = project_and_split(x, packed.weight, packed.bias, 2)
for name, part in zip("qkv", parts, strict=True):
    print(name, tuple(part.shape))

# %%
check("03.3", project_and_split)

# %% [markdown]
# **Question.** Some models store the rows head by head: `q`, `k`, `v` of head
# 0, then `q`, `k`, `v` of head 1. How would your answer change, and how would
# you notice that a file of weights is of that kind?
#
# <details><summary>Answer</summary>
#
# The view becomes `(B, T, H, 3, D)`. The shapes of the file are the same, so
# nothing fails: you notice only by comparing an output with one that the
# model is known to give. (GPT-NeoX stores its weights in this way.)
#
# </details>

# %% [markdown]
# ## Exercise 3.4: Multi-head self-attention, a module
#
# All of it, as a module that can be trained and loaded:
#
# $$\begin{aligned}
#   \mathrm{head}_h &= \mathrm{softmax}\!\left(
#   \frac{Q_h K_h^\top}{\sqrt{D}}\right) V_h \\
#   y &= [\mathrm{head}_1 \dots \mathrm{head}_H]\, W_O + b_O .
#   \end{aligned}$$
#
# **`__init__(d_model, num_heads)`** makes four `nn.Linear(d_model, d_model)`
# with biases. Their names must be `q_proj`, `k_proj`, `v_proj` and
# `out_proj`: the checks load weights by these names
# (`q_proj.weight`, `q_proj.bias` …), as the file of a trained model would. If
# `num_heads` does not divide `d_model`, raise a `ValueError` whose message
# says both numbers. Keep what `forward` needs, such as
# `self.num_heads = num_heads`.
#
# **`forward(x, allowed=None)`** takes tokens `(B, T, C)` and returns
# `(B, T, C)`. `allowed` is `None` (everything is allowed) or a boolean tensor
# that speaks of tokens, not of heads: `(T, T)` for one rule, `(B, 1, T)` for
# padding, `(B, T, T)` for a table of every sentence. All heads keep to the
# same rules. A head of a token that may attend to nothing gives zeros.
#
# **By hand.** `C = 2`, two heads of width 1, all four projections the
# identity without bias. Tokens $x_0 = (0, 1)$ and $x_1 = (\ln 3, 0)$. Head 0
# sees the numbers $0$ and $\ln 3$: token 0 scores both keys $0$, so its
# average is $\tfrac12 \ln 3 = 0.549$. Head 1 sees $1$ and $0$: token 0 scores
# $1$ and $0$, and its average is $e/(e + 1) = 0.731$. So
# $y_0 = (0.549, 0.731)$.
#
# **The ladder**
# 1. *Loop.* For every head: its columns of q, k and v, then attention as in
#    chapter 2; the results side by side, then `out_proj`.
# 2. *Batch.* All heads at once: `(B, H, T, D)`.
# 3. *Special cases.* A mask of each sentence when `B == H`: `(B, T, T)` then
#    fits the scores `(B, H, T, T)` as if it were one of each *head*. Where
#    does the missing axis go? The width under the root is that of one head.
#
# **Closed** here: `minitx.multihead.MultiHeadAttention.forward` and torch's
# multi-head attention. Open is one attention, `functional.attention_scores`,
# `functional.masked_softmax` (whose mask may be `None`) and
# `F.scaled_dot_product_attention`.

# %%
class MultiHeadSelfAttention(nn.Module):
    """Self-attention with several heads.

        y = [head_1 … head_H] W_o + b_o,   head_h = attention(q_h, k_h, v_h)

    Args:
        d_model: width of every token, in and out.
        num_heads: H, which must divide d_model.

    Weights:
        q_proj.weight, k_proj.weight: (C, C), as nn.Linear keeps them.
        v_proj.weight, out_proj.weight: (C, C).
        q_proj.bias, k_proj.bias, v_proj.bias, out_proj.bias: (C).

    Raises:
        ValueError: if num_heads does not divide d_model.

    Closed:
        minitx.multihead.MultiHeadAttention.forward, torch's multi-head
        attention.
    """

    def __init__(self, d_model, num_heads):
        """Make the projections q_proj, k_proj, v_proj and out_proj."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 3.4 is yours to write: Multi-head self-attention, a "
            "module. Put your code in place of this line; `minitx hint "
            "03.4` gives a first nudge."
        )

    def forward(self, x, allowed=None):
        """Let every token attend to the tokens of its sentence.

        Args:
            x: (B, T, C).
            allowed: None, or bool (T, T), (B, 1, T) or (B, T, T), the same
                for all heads; True = may attend.

        Returns:
            (B, T, C).
        """
        raise NotImplementedError(
            "Exercise 3.4 is yours to write: Multi-head self-attention, a "
            "module. Put your code in place of this line; `minitx hint "
            "03.4` gives a first nudge."
        )


# %% [markdown]
# Try it: parameters, and who hears whom under a causal mask.

# %%
torch.manual_seed(0)
module = MultiHeadSelfAttention(8, 2)
print("parameters:", sum(p.numel() for p in module.parameters()))  # 4C² + 4C
x = torch.randn(1, 5, 8)
not_ahead = masks.causal().dense(5, 5, "cpu")[0, 0]  # (5, 5)
with torch.no_grad():
    before = module(x, not_ahead)
    x[:, 3] += 1  # token 3 changes
    after = module(x, not_ahead)
for t in range(5):
    same = torch.allclose(before[:, t], after[:, t])
    print(f"token {t}: output changed?", not same)

# %%
check("03.4", MultiHeadSelfAttention)

# %% [markdown]
# **Predict.** You double `q_proj.weight` and `q_proj.bias` and halve
# `k_proj.weight` and `k_proj.bias`. What happens to the output? And what if
# `out_proj.weight` has zeros in its columns 0 to `D - 1`?
#
# <details><summary>Answer</summary>
#
# Nothing: the scores are products of one and the other. And with those
# columns zero, head 0 is pruned: `y` is `out_proj` of the heads side by side,
# so column `j` of its weight `(out, in)` is what is made of number `j` of the
# concatenated heads.
#
# </details>

# %% [markdown]
# ## Exercise 3.5: Cross-attention with a padded memory
#
# A decoder that writes the translation asks the *source sentence*: queries
# come from its own tokens `x`, keys **and values** from `memory`, the
# encoder's output. Everything else stays as it is.
#
# $$\begin{aligned}
#   Q &= X W_q + b_q \\ K &= M W_k + b_k \\ V &= M W_v + b_v .
#   \end{aligned}$$
#
# **`__init__(d_model, num_heads)`** is that of Exercise 3.4: four
# `nn.Linear(d_model, d_model)` with the names `q_proj`, `k_proj`, `v_proj`,
# `out_proj`.
#
# **`forward(x, memory, lengths=None)`** takes `x` `(B, T_q, C)` and `memory`
# `(B, T_m, C)`, and returns `(B, T_q, C)`. The sentences of the memory are
# padded at their end: sentence `b` has `lengths[b]` real tokens, and nobody
# attends to what stands behind them. `lengths` is `None` (no padding) or an
# integer tensor `(B,)`. With a length of 0 there is nothing to attend to: the
# heads give zeros, and the output is `out_proj` of zeros, its bias.
#
# **By hand.** `C = 2`, one head, all projections the identity without bias.
# One query $x = (0, 0)$ scores every key 0, so it takes the plain average of
# the memory's real tokens. For the memory $(2, 4)$, $(4, 8)$, $(100, 100)$
# with length 2 that is $(3, 6)$.
#
# **The ladder**
# 1. *Loop.* One sentence at a time, without its padding: `memory[b, :n]`.
# 2. *Batch.* A mask over the columns: from lengths `(B,)` to a table that
#    broadcasts to `(B, H, T_q, T_m)`.
# 3. *Special cases.* `T_q` and `T_m` differ, so their reshapes differ too; as
#    many sentences as heads; a memory without a real token.
#
# **Closed** here: `minitx.multihead.MultiHeadAttention.forward` and torch's
# multi-head attention. Open are `functional.attention_scores`,
# `functional.masked_softmax` (whose mask may be `None`), torch's
# `F.scaled_dot_product_attention`, and
# `functional.scaled_dot_product_attention(q, k, v, mask=…)`, which takes what
# `masks.padding(lengths, T_m)` returns. Without lengths leave its `mask` out;
# `None` is no mask for it.

# %%
class MultiHeadCrossAttention(nn.Module):
    """Attention from one sequence to another, with several heads.

        y = [head_1 … head_H] W_o + b_o,   head_h = attention(q_h, k_h, v_h)
        q from x, k and v from memory

    Args:
        d_model: width of every token, in and out.
        num_heads: H, which divides d_model.

    Weights:
        q_proj.weight, k_proj.weight: (C, C), as nn.Linear keeps them.
        v_proj.weight, out_proj.weight: (C, C).
        q_proj.bias, k_proj.bias, v_proj.bias, out_proj.bias: (C).

    Closed:
        minitx.multihead.MultiHeadAttention.forward, torch's multi-head
        attention.
    """

    def __init__(self, d_model, num_heads):
        """Make the projections q_proj, k_proj, v_proj and out_proj."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 3.5 is yours to write: Cross-attention with a padded "
            "memory. Put your code in place of this line; `minitx hint "
            "03.5` gives a first nudge."
        )

    def forward(self, x, memory, lengths=None):
        """Let every token of x attend to the real tokens of the memory.

        Args:
            x: (B, T_q, C).
            memory: (B, T_m, C), padded at its end.
            lengths: None, or integers (B), the real tokens of each memory.

        Returns:
            (B, T_q, C).
        """
        raise NotImplementedError(
            "Exercise 3.5 is yours to write: Cross-attention with a padded "
            "memory. Put your code in place of this line; `minitx hint "
            "03.5` gives a first nudge."
        )


# %% [markdown]
# Try it: whose numbers the output is made of. The padding changes, then a
# real token of the memory.

# %%
torch.manual_seed(0)
module = MultiHeadCrossAttention(8, 2)
x, memory = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
with torch.no_grad():
    before = module(x, memory, torch.tensor([4]))
    for place in (4, 3):
        changed = memory.clone()
        changed[0, place] += 10
        after = module(x, changed, torch.tensor([4]))
        moved = not torch.allclose(before, after)
        print(f"place {place} of the memory: does it count?", moved)

# %%
check("03.5", MultiHeadCrossAttention)

# %% [markdown]
# **Explain.** In a translator the keys and values of the memory do not change
# while the translation is written, word after word. What can a decoder save
# by that, and why can it not save the same in self-attention?
#
# <details><summary>Answer</summary>
#
# It projects the memory to keys and values *once*, and keeps them for all the
# words it writes. In self-attention every new word adds a key and a value of
# its own, so the cache grows; the old ones can be kept there, too.
#
# </details>

# %% [markdown]
# ## Exercise 3.6: Grouped heads
#
# When a model writes, most of what it reads from memory are the keys and
# values of earlier tokens. So present models have fewer heads of keys and
# values than of queries: `H_kv` of them, each shared by a *group* of
# `H / H_kv` **neighbouring** query heads. With `H_kv = H` it is multi-head
# attention, with `H_kv = 1` all heads share one (multi-query attention).
#
# $$\begin{aligned}
#   \text{head}_h &= \mathrm{attention}\big(q_h,\; k_g,\; v_g\big) \\
#   g &= \left\lfloor \frac{h}{H / H_{kv}} \right\rfloor .
#   \end{aligned}$$
#
# `q` is `(B, H, T_q, D)`, `k` is `(B, H_kv, T_k, D)`, `v` is
# `(B, H_kv, T_k, D_v)`. Return `(B, H, T_q, D_v)`. If `H_kv` does not divide
# `H`, raise a `ValueError` whose message says both numbers.
#
# **By hand.** Four query heads, two of keys and values: heads 0 and 1 share
# key head 0, heads 2 and 3 share key head 1. With one token everybody's
# weight is 1; if the values are $(10)$ and $(20)$, the four heads find
# $10, 10, 20, 20$.
#
# **The ladder**
# 1. *Loop.* For every query head `h`: which key head is its own?
# 2. *Batch.* Repeat the keys and values so that there are `H` of them. In
#    which order: 0, 0, 1, 1 or 0, 1, 0, 1?
# 3. *Library.* Without any copy: give `q` the axes `(B, H_kv, group, T_q, D)`
#    and let `@` spread the keys over the group.
#
# **Closed** here: torch's attentions, because
# `F.scaled_dot_product_attention` can do it, and
# `minitx.multihead.MultiHeadAttention.forward`. Open is
# `functional.scaled_dot_product_attention(q, k, v)` for equally many heads.

# %%
def grouped_attention(q, k, v):
    """Attention in which neighbouring query heads share keys and values.

        out[b, h] = attention(q[b, h], k[b, g], v[b, g]), g = h // (H // H_kv)

    Args:
        q: (B, H, T_q, D).
        k: (B, H_kv, T_k, D).
        v: (B, H_kv, T_k, D_v).

    Returns:
        (B, H, T_q, D_v).

    Raises:
        ValueError: if H_kv does not divide H.

    Closed:
        torch's attentions, minitx.multihead.MultiHeadAttention.forward.
    """
    raise NotImplementedError(
        "Exercise 3.6 is yours to write: Grouped heads. Put your code in "
        "place of this line; `minitx hint 03.6` gives a first nudge."
    )


# %% [markdown]
# Try it: which query heads hear a change of key head 0?

# %%
torch.manual_seed(0)
q, k, v = (torch.randn(1, n, 3, 4) for n in (6, 2, 2))
louder = v.clone()
louder[:, 0] += 1
moved = (grouped_attention(q, k, louder) - grouped_attention(q, k, v)).abs()
print("heads that hear head 0:", moved.amax((0, 2, 3)).gt(1e-4).tolist())

# %%
check("03.6", grouped_attention)

# %% [markdown]
# **Predict.** A model has 32 heads of width 128, a context of 8,192 tokens,
# and keeps its cache in 16 bits. How large is the cache of one layer with 32
# heads of keys and values, and with 8?
#
# <details><summary>Answer</summary>
#
# Keys and values, 8,192 tokens, 32 heads, 128 numbers of 2 bytes:
# 2 · 8,192 · 32 · 128 · 2 bytes = 128 MiB. With 8 heads of keys and values a
# quarter: 32 MiB. The scores cost the same in both.
#
# </details>

# %% [markdown]
# ## Exercise 3.7: Weights from torch
#
# Somebody trained a `torch.nn.MultiheadAttention(C, H)`. Its `state_dict()`
# has four entries:
#
# | name | shape | what |
# |---|---|---|
# | `in_proj_weight` | `(3C, C)` | the rows of q, of k, of v |
# | `in_proj_bias` | `(3C)` | in the same order |
# | `out_proj.weight` | `(C, C)` | |
# | `out_proj.bias` | `(C)` | |
#
# Translate: take such a dictionary, and return the dictionary that our module
# of Exercise 3.4 can load, with the eight entries `q_proj.weight`,
# `q_proj.bias`, `k_proj.weight`, `k_proj.bias`, `v_proj.weight`,
# `v_proj.bias`, `out_proj.weight` and `out_proj.bias`. Leave the dictionary
# that you are given as it is.
#
# Two variants are in use. With `bias=False` the two biases are missing, and
# our dictionary then has four entries, without biases. With `kdim` or `vdim`,
# for a memory of another width, `in_proj_weight` is missing, and three
# matrices `q_proj_weight`, `k_proj_weight`, `v_proj_weight` stand there
# instead (with `_weight`, not `.weight`). Everything else, `bias_k` for
# instance, is something our module has no place for: raise a `ValueError`
# that names it, or weights would be lost without a word.
#
# **By hand.** `C = 1`: `in_proj_weight` is `[[1], [2], [3]]` and
# `in_proj_bias` is `[4, 5, 6]`. Then `q_proj.weight` is `[[1]]`,
# `k_proj.weight` is `[[2]]`, `v_proj.weight` is `[[3]]`, and the biases are
# `[4]`, `[5]` and `[6]`.
#
# **The ladder**
# 1. *Loop.* Three blocks of `C` rows, cut out one after the other.
# 2. *Vectors.* `chunk(3)` cuts along axis 0. Which axis of an `(out, in)`
#    matrix are the results on?
# 3. *Special cases.* No biases; three matrices in place of one; a name that
#    nobody knows. A square block may be transposed by mistake, and still fit.
#
# **Closed** here: nothing. No function of the library does it.

# %%
def load_torch_weights(state):
    """The state of torch's multi-head attention under our names.

    Args:
        state: state_dict() of a torch.nn.MultiheadAttention.

    Returns:
        A dict with q_proj.weight, k_proj.weight, v_proj.weight and
        out_proj.weight, and the four biases where there are any.

    Raises:
        ValueError: if the state holds anything else; the message names it.
    """
    raise NotImplementedError(
        "Exercise 3.7 is yours to write: Weights from torch. Put your code "
        "in place of this line; `minitx hint 03.7` gives a first nudge."
    )


# %% [markdown]
# Try it: torch's module and the library's with the same weights.

# %%
torch.manual_seed(0)
theirs = nn.MultiheadAttention(8, 2, batch_first=True)
with torch.no_grad():
    theirs.in_proj_bias.normal_()  # they begin at 0, which would hide a slip
    theirs.out_proj.bias.normal_()
librarys = MultiHeadAttention(8, 2)
librarys.load_state_dict(load_torch_weights(theirs.state_dict()))
x = torch.randn(2, 5, 8)
with torch.no_grad():
    difference = (theirs(x, x, x)[0] - librarys(x)).abs().max()
print("the same output?", bool(difference < 1e-6))

# %%
check("03.7", load_torch_weights)

# %% [markdown]
# **Question.** You load the weights with the blocks of q and k exchanged by
# mistake. All shapes fit. Is there an input for which the output is right all
# the same?
#
# <details><summary>Answer</summary>
#
# Yes: wherever the scores are symmetric, $q_i \cdot k_j = q_j \cdot k_i$, for
# example for one token, or for tokens that are all equal. In general the
# table of scores is transposed: who asked is now who was asked.
#
# </details>
