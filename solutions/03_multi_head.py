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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
def split_heads_loop(x, num_heads):
    """Rung 1: one head at a time, its columns."""
    D = x.shape[-1] // num_heads
    heads = [x[:, :, h * D : (h + 1) * D] for h in range(num_heads)]
    return torch.stack(heads, dim=1)


# %% [markdown] tags=["solution"]
# **The answer**


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
    ### BEGIN SOLUTION
    B, T, C = x.shape
    return x.view(B, T, num_heads, C // num_heads).transpose(1, 2)
    ### END SOLUTION


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

# %% [markdown] tags=["solution"]
# **About the answer.** `view` cuts the last axis in two and moves nothing:
# `(B, T, H, D)` is still token after token. `transpose(1, 2)` then makes the
# head an axis that `@` repeats itself over. A `view(B, H, T, D)` in one step
# would read the same numbers in the same order and only *call* them
# differently. The library does these two steps in
# `minitx.multihead.MultiHeadAttention`.

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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
def merge_heads_loop(heads):
    """Rung 1: the heads side by side."""
    return torch.cat([heads[:, h] for h in range(heads.shape[1])], dim=-1)


# %% [markdown] tags=["solution"]
# **The answer**


# %%
def merge_heads(heads):
    """Lay what the heads found for a token side by side.

        out[b, t, h * D + d] = heads[b, h, t, d]

    Args:
        heads: (B, H, T, D).

    Returns:
        (B, T, H · D), in the dtype of heads.
    """
    ### BEGIN SOLUTION
    return heads.transpose(1, 2).flatten(-2)
    ### END SOLUTION


# %% [markdown]
# Try it: cut by hand, then joined. The tokens must come back as they were.

# %%
x = torch.arange(24).reshape(1, 4, 6)
heads = torch.stack([x[..., :2], x[..., 2:4], x[..., 4:]], dim=1)
print("heads:", tuple(heads.shape))
print("the same tokens again?", torch.equal(merge_heads(heads), x))

# %%
check("03.2", merge_heads)

# %% [markdown] tags=["solution"]
# **About the answer.** First the tokens move in front of the heads, then the
# last two axes, head and width, are joined. A `reshape(B, T, -1)` without the
# transpose has the right shape as well, and fills token 0 with head 0 of the
# first few tokens.

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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
def project_and_split_loop(x, W, b, num_heads):
    """Rung 1: one block of rows, one head at a time."""
    width = W.shape[0] // 3
    D = width // num_heads
    results = []
    for block in range(3):
        heads = []
        for h in range(num_heads):
            start = block * width + h * D
            rows = slice(start, start + D)
            heads.append(x @ W[rows].T + b[rows])
        results.append(torch.stack(heads, dim=1))
    return tuple(results)


# %% [markdown] tags=["solution"]
# **From the parts of earlier exercises**


# %% tags=["solution"]
def project_and_split_from_parts(x, W, b, num_heads):
    """With the cut of Exercise 3.1."""
    q, k, v = F.linear(x, W, b).chunk(3, dim=-1)
    q, k = split_heads(q, num_heads), split_heads(k, num_heads)
    return q, k, split_heads(v, num_heads)


# %% [markdown] tags=["solution"]
# **The answer**


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
    ### BEGIN SOLUTION
    B, T, _ = x.shape
    packed = F.linear(x, W, b)  # (B, T, 3 · H · D)
    packed = packed.view(B, T, 3, num_heads, -1)  # (B, T, 3, H, D)
    q, k, v = packed.permute(2, 0, 3, 1, 4)  # three of (B, H, T, D)
    return q, k, v
    ### END SOLUTION


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

# %% [markdown] tags=["solution"]
# **About the answer.** The last axis is cut in three once: the part, the
# head, the width, in the order in which the rows of `W` stand. `permute` then
# brings the part to the front, so that it can be unpacked, and the heads in
# front of the tokens. `F.linear` transposes `W` itself.

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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
class MultiHeadSelfAttention_loop(nn.Module):
    """Rung 1: one head at a time, as in chapter 2."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads:
            raise ValueError(
                f"{num_heads} heads do not divide a width of {d_model}"
            )
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        D = x.shape[-1] // self.num_heads
        found = []
        for h in range(self.num_heads):
            own = slice(h * D, (h + 1) * D)
            scores = functional.attention_scores(q[..., own], k[..., own])
            weights = functional.masked_softmax(scores, allowed)
            found.append(weights @ v[..., own])
        return self.out_proj(torch.cat(found, dim=-1))


# %% [markdown] tags=["solution"]
# **From the parts of earlier exercises**


# %% tags=["solution"]
class MultiHeadSelfAttention_from_parts(MultiHeadSelfAttention_loop):
    """With 3.1 and 3.2; the projections are those of rung 1."""

    def forward(self, x, allowed=None):
        projections = self.q_proj, self.k_proj, self.v_proj
        q, k, v = (
            split_heads(proj(x), self.num_heads) for proj in projections
        )
        scores = functional.attention_scores(q, k)
        rules = None if allowed is None else allowed.unsqueeze(-3)
        weights = functional.masked_softmax(scores, rules)
        return self.out_proj(merge_heads(weights @ v))


# %% [markdown] tags=["solution"]
# **The answer**


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
        ### BEGIN SOLUTION
        if d_model % num_heads:
            raise ValueError(
                f"d_model ({d_model}) must be divisible by"
                f" num_heads ({num_heads})"
            )
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        ### END SOLUTION

    def forward(self, x, allowed=None):
        """Let every token attend to the tokens of its sentence.

        Args:
            x: (B, T, C).
            allowed: None, or bool (T, T), (B, 1, T) or (B, T, T), the same
                for all heads; True = may attend.

        Returns:
            (B, T, C).
        """
        ### BEGIN SOLUTION
        B, T, C = x.shape
        cut = B, T, self.num_heads, C // self.num_heads
        q = self.q_proj(x).view(cut).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(x).view(cut).transpose(1, 2)
        v = self.v_proj(x).view(cut).transpose(1, 2)
        if allowed is not None:
            allowed = allowed.unsqueeze(-3)  # an axis for the heads
        scores = functional.attention_scores(q, k)  # (B, H, T, T)
        weights = functional.masked_softmax(scores, allowed)
        heads = (weights @ v).transpose(1, 2)  # (B, T, H, D)
        return self.out_proj(heads.flatten(2))
        ### END SOLUTION


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

# %% [markdown] tags=["solution"]
# **About the answer.** `unsqueeze(-3)` puts the axis of the heads where it
# belongs, counted from the end, so that `(T, T)` becomes `(1, T, T)` and
# `(B, T, T)` becomes `(B, 1, T, T)`: broadcasting does the rest. Without it a
# mask `(B, T, T)` fails, unless `B` happens to equal `H`; then head 1 keeps
# to the rules of sentence 1, in every sentence.
#
# **The library's module** `minitx.multihead.MultiHeadAttention` has the same
# four projections under the same names, so that weights go from one to the
# other. Its core, positions, cache and grouped heads are what later chapters
# need.

# %% tags=["solution"]
ours, librarys = MultiHeadSelfAttention(8, 2), MultiHeadAttention(8, 2)
librarys.load_state_dict(ours.state_dict())
with torch.no_grad():
    difference = ours(x, not_ahead) - librarys(x, mask=masks.causal())
print("the same output?", bool(difference.abs().max() < 1e-6))

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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
class MultiHeadCrossAttention_loop(nn.Module):
    """Rung 1: one sentence at a time, its real memory; one head at a time."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, memory, lengths=None):
        B, T_m, C = memory.shape
        real = [T_m] * B if lengths is None else lengths.tolist()
        D = C // self.num_heads
        sentences = []
        for b in range(B):
            words = memory[b, : real[b]]
            q, k, v = (
                self.q_proj(x[b]),
                self.k_proj(words),
                self.v_proj(words),
            )
            found = []
            for h in range(self.num_heads):
                own = slice(h * D, (h + 1) * D)
                scores = functional.attention_scores(q[:, own], k[:, own])
                found.append(scores.softmax(dim=-1) @ v[:, own])
            sentences.append(torch.cat(found, dim=-1))
        return self.out_proj(torch.stack(sentences))


# %% [markdown] tags=["solution"]
# **From the parts of earlier exercises**


# %% tags=["solution"]
class MultiHeadCrossAttention_from_parts(MultiHeadCrossAttention_loop):
    """With 3.1 and 3.2; the projections are those of rung 1."""

    def forward(self, x, memory, lengths=None):
        q = split_heads(self.q_proj(x), self.num_heads)
        k = split_heads(self.k_proj(memory), self.num_heads)
        v = split_heads(self.v_proj(memory), self.num_heads)
        rules = None
        if lengths is not None:
            places = torch.arange(memory.shape[1], device=memory.device)
            rules = (places < lengths[:, None])[:, None, None]
        scores = functional.attention_scores(q, k)
        weights = functional.masked_softmax(scores, rules)
        return self.out_proj(merge_heads(weights @ v))


# %% [markdown] tags=["solution"]
# **The answer**


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
        ### BEGIN SOLUTION
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        ### END SOLUTION

    def forward(self, x, memory, lengths=None):
        """Let every token of x attend to the real tokens of the memory.

        Args:
            x: (B, T_q, C).
            memory: (B, T_m, C), padded at its end.
            lengths: None, or integers (B), the real tokens of each memory.

        Returns:
            (B, T_q, C).
        """
        ### BEGIN SOLUTION
        B, T_q, C = x.shape
        T_m, H = memory.shape[1], self.num_heads
        asked, known = (B, T_q, H, C // H), (B, T_m, H, C // H)
        q = self.q_proj(x).view(asked).transpose(1, 2)  # (B, H, T_q, D)
        k = self.k_proj(memory).view(known).transpose(1, 2)  # (B, H, T_m, D)
        v = self.v_proj(memory).view(known).transpose(1, 2)
        allowed = None
        if lengths is not None:
            places = torch.arange(T_m, device=memory.device)
            real = places < lengths[:, None]  # (B, T_m)
            allowed = real[:, None, None]  # for all heads and all queries
        scores = functional.attention_scores(q, k)  # (B, H, T_q, T_m)
        weights = functional.masked_softmax(scores, allowed)
        heads = (weights @ v).transpose(1, 2)  # (B, T_q, H, D)
        return self.out_proj(heads.flatten(2))
        ### END SOLUTION


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

# %% [markdown] tags=["solution"]
# **About the answer.** Only two things changed from 3.4: where keys and
# values come from, and that the two lengths differ. The mask has no row for
# every query: padding is a property of the *keys*, and
# `real[:, None, None]` is `(B, 1, 1, T_m)`. In the library one class does
# both: `MultiHeadAttention.forward(x, memory)`.

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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
def grouped_attention_loop(q, k, v):
    """Rung 1: one query head at a time, with the key head of its group."""
    H, H_kv = q.shape[1], k.shape[1]
    if H % H_kv:
        raise ValueError(f"{H} heads cannot share {H_kv} of keys and values")
    found = []
    for h in range(H):
        g = h // (H // H_kv)
        scores = functional.attention_scores(q[:, h], k[:, g])
        found.append(scores.softmax(dim=-1) @ v[:, g])
    return torch.stack(found, dim=1)


# %% [markdown] tags=["solution"]
# **The keys repeated**


# %% tags=["solution"]
def grouped_attention_vectors(q, k, v):
    """Rung 2: as many key heads as query heads, by copies."""
    H, H_kv = q.shape[1], k.shape[1]
    if H % H_kv:
        raise ValueError(f"{H} heads cannot share {H_kv} of keys and values")
    k = k.repeat_interleave(H // H_kv, dim=1)  # 0, 0, 1, 1
    v = v.repeat_interleave(H // H_kv, dim=1)
    return functional.scaled_dot_product_attention(q, k, v)


# %% [markdown] tags=["solution"]
# **The answer**


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
    ### BEGIN SOLUTION
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv:
        raise ValueError(
            f"num_heads ({H}) must be divisible by num_kv_heads ({H_kv})"
        )
    grouped = q.reshape(B, H_kv, H // H_kv, T_q, D)
    scores = grouped @ k[:, :, None].transpose(-2, -1) / math.sqrt(D)
    weights = scores.softmax(dim=-1)  # (B, H_kv, group, T_q, T_k)
    found = weights @ v[:, :, None]
    return found.flatten(1, 2)  # (B, H, T_q, D_v)
    ### END SOLUTION


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

# %% [markdown] tags=["solution"]
# **About the answer.** `(B, H_kv, group, T_q, D) @ (B, H_kv, 1, D, T_k)`:
# the axis of length 1 is spread over the group, and no key is copied. Rung 2
# is what the library does, with `repeat_interleave`; `repeat` would give
# 0, 1, 0, 1 and hand every head a stranger's keys.

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

# %% [markdown] tags=["solution"]
# **A loop**


# %% tags=["solution"]
def load_torch_weights_loop(state):
    """Rung 1: block after block of rows."""
    state = dict(state)
    made = {}
    for place, name in enumerate("qkv"):
        if "in_proj_weight" in state:
            C = state["in_proj_weight"].shape[1]
            rows = state["in_proj_weight"][place * C : (place + 1) * C]
            made[f"{name}_proj.weight"] = rows
        else:
            made[f"{name}_proj.weight"] = state.pop(f"{name}_proj_weight")
        if "in_proj_bias" in state:
            C = len(state["in_proj_bias"]) // 3
            entries = state["in_proj_bias"][place * C : (place + 1) * C]
            made[f"{name}_proj.bias"] = entries
    for known in ("in_proj_weight", "in_proj_bias"):
        state.pop(known, None)
    for known in ("out_proj.weight", "out_proj.bias"):
        if known in state:
            made[known] = state.pop(known)
    if state:
        raise ValueError(f"no place for {', '.join(state)}")
    return made


# %% [markdown] tags=["solution"]
# **The answer**


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
    ### BEGIN SOLUTION
    names = ["q_proj", "k_proj", "v_proj"]
    separate = [f"{name}_weight" for name in names]
    same = ["out_proj.weight", "out_proj.bias"]
    known = {"in_proj_weight", "in_proj_bias", *separate, *same}
    unknown = [name for name in state if name not in known]
    if unknown:
        raise ValueError(f"our module has no place for {', '.join(unknown)}")
    made = {name: state[name] for name in same if name in state}
    if "in_proj_weight" in state:
        weights = state["in_proj_weight"].chunk(3)
    else:
        weights = [state[name] for name in separate]
    for name, weight in zip(names, weights, strict=True):
        made[f"{name}.weight"] = weight
    if "in_proj_bias" in state:
        biases = state["in_proj_bias"].chunk(3)
        for name, bias in zip(names, biases, strict=True):
            made[f"{name}.bias"] = bias
    return made
    ### END SOLUTION


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

# %% [markdown] tags=["solution"]
# **About the answer.** No number changes: torch's blocks are `(out, in)` as
# those of our `nn.Linear` are, so `chunk` along the rows is all. The check
# for unknown names comes first. Weights that are silently left behind are the
# usual reason why a loaded model is worse than it should be, and nothing
# crashes.

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
