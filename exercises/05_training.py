# %% [markdown]
# # Exercises for chapter 5: training
#
# Eleven parts of a training that works: the layers that let a deep stack
# learn, the loss, the schedule, the optimiser, and what stands around them
# when memory or number formats are short. The last exercise puts them
# together into one step. They belong to
# [deep stacks that train](../book/05_training.ipynb) and
# [the training loop](../book/05_training_loop.ipynb); each exercise names the
# section to read when you are stuck.

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
# Exercises 5.3 and 5.4 ask for a **class**, a module of torch. It has two
# places for your code: `__init__`, where its parts are made, and `forward`,
# where they are used.

# %% [markdown]
# | letter | size of | letter | size of |
# |---|---|---|---|
# | `B` | batch: sentences | `C` | width of a token vector, `d_model` |
# | `T` | tokens of a sentence | `F` | inner width, `d_ff`; in code, torch's |
# | `V` | tokens in the vocabulary | `N` | examples |
#
# A *step* is one update of the weights. Steps are counted from **1**. A
# target of `-100` is padding: it does not count. Where a *number* is asked
# for, a tensor without axes will do as well.

# %%
import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx.grading import check
from minitx.layers import LayerNorm
from minitx.training import noam_rate as library_rate

# %% [markdown]
# ## Exercise 5.1: Layer norm
#
# Every token is brought to mean 0 and variance 1 over its own `C` numbers.
# Then each column is scaled and shifted by two numbers that are learned:
#
# $$\begin{aligned}
#   y_j &= \gamma_j \,\frac{x_j - \mu}{\sqrt{\sigma^2 + \varepsilon}}
#     + \beta_j, \\
#   \mu &= \frac1C \sum_j x_j, \qquad
#   \sigma^2 = \frac1C \sum_j (x_j - \mu)^2 .
#   \end{aligned}$$
#
# The variance divides by `C`, not by `C - 1`, and $\varepsilon$ stands
# *inside* the root: a token of equal numbers becomes $\beta$, not 0/0.
# `x` is `(..., C)` with any number of axes in front, `weight` ($\gamma$) and
# `bias` ($\beta$) are `(C)`. Return a tensor of the shape and dtype of `x`.
#
# **By hand.** One token $x = (1, 3)$ with $\gamma = (2, 1)$,
# $\beta = (0, 5)$ and $\varepsilon = 3$. The mean is 2, the variance is
# $\tfrac12(1 + 1) = 1$, the root of $1 + 3$ is 2. The normalised token is
# $(-\tfrac12, \tfrac12)$, and $y = (-1,\; 5.5)$.
#
# **The ladder**
# 1. *Loop.* One token at a time: its mean, its variance, its numbers.
# 2. *Vectors.* `mean(dim=-1, keepdim=True)`: why must the axis be kept?
# 3. *Special cases.* Small `C`, where dividing by `C - 1` shows; a constant
#    token; numbers near 10,000 in float32, where $\overline{x^2} - \mu^2$ is
#    a difference of two large numbers and nothing is left of it.
#
# **Closed** here: `F.layer_norm`, `nn.LayerNorm`, `F.group_norm` and
# `minitx`'s own layer norms.

# %%
def layer_norm(x, weight, bias, eps=1e-5):
    """Normalise every token over its own numbers, then scale and shift.

        y = weight · (x - μ) / √(σ² + eps) + bias

    Args:
        x: (..., C), a token in every row.
        weight: (C), the factor of every column.
        bias: (C), what is added to every column.
        eps: added to the variance, inside the root.

    Returns:
        (..., C), in the dtype of x.

    Closed:
        F.layer_norm, nn.LayerNorm, F.group_norm, minitx's layer norms.
    """
    raise NotImplementedError(
        "Exercise 5.1 is yours to write: Layer norm. Put your code in place "
        "of this line; `minitx hint 05.1` gives a first nudge."
    )


# %% [markdown]
# Try it: one token as it is, and the same token a hundred times larger.

# %%
token = torch.tensor([1.0, 2.0, 6.0])
for factor in (1, 100):
    normalised = layer_norm(factor * token, torch.ones(3), torch.zeros(3))
    print(f"{factor:3d} times:", [f"{y:.3f}" for y in normalised.tolist()])

# %%
check("05.1", layer_norm)

# %% [markdown]
# **Predict.** With $\gamma = 1$ and $\beta = 0$: what are mean and variance
# of a token after layer norm? And with the $\gamma$ and $\beta$ of a trained
# model?
#
# <details><summary>Answer</summary>
#
# Mean 0, and variance $\sigma^2 / (\sigma^2 + \varepsilon)$, a little below
# 1. After training: whatever $\gamma$ and $\beta$ make of it. "Layer norm
# gives mean 0 and variance 1" holds before these two, not after.
#
# </details>

# %% [markdown]
# ## Exercise 5.2: Layer norm, backwards
#
# The gradient by hand. `grad` is $\partial L / \partial y$ for the output $y$
# of Exercise 5.1. With $\hat x = (x - \mu) / \sqrt{\sigma^2 + \varepsilon}$
# and $g = \text{grad} \odot \gamma$, for every token:
#
# $$\frac{\partial L}{\partial x} = \frac{1}{\sqrt{\sigma^2 + \varepsilon}}
#   \Big( g - \overline{g} - \hat x \;\overline{g \odot \hat x} \Big),$$
#
# where a bar is the mean over the `C` numbers of the token. The two means are
# there because every $x_j$ also moves $\mu$ and $\sigma$. The same $\gamma$
# and $\beta$ serve all tokens, so their gradients are sums over all of them:
#
# $$\frac{\partial L}{\partial \gamma} = \sum_{\text{tokens}}
#   \text{grad} \odot \hat x, \qquad
#   \frac{\partial L}{\partial \beta} = \sum_{\text{tokens}} \text{grad} .$$
#
# `grad` and `x` are `(B, T, C)`, `weight` is `(C)`. Return the tuple
# `(grad_x, grad_weight, grad_bias)` of shapes `(B, T, C)`, `(C)` and `(C)`.
#
# **By hand.** $x = (1, 3)$, $\varepsilon = 3$, $\gamma = (1, 1)$ and
# $\text{grad} = (1, 0)$. As before $\hat x = (-\tfrac12, \tfrac12)$ with root
# 2. $\overline{g} = \tfrac12$, $\overline{g \odot \hat x} = -\tfrac14$, so
# $\partial L / \partial x$ is $\tfrac12 (1 - \tfrac12 - \tfrac18) = 0.1875$
# and $\tfrac12 (0 - \tfrac12 + \tfrac18) = -0.1875$. Further
# $\partial L / \partial \gamma = (-\tfrac12, 0)$ and
# $\partial L / \partial \beta = (1, 0)$.
#
# **The ladder**
# 1. *Loop.* One token at a time, with its whole Jacobian, the matrix of all
#    $\partial \hat x_i / \partial x_j$. It is
#    $\big(I - \tfrac1C \mathbf 1 \mathbf 1^\top
#    - \tfrac1C \hat x \hat x^\top\big) / \sqrt{\sigma^2 + \varepsilon}$,
#    where $\mathbf 1 \mathbf 1^\top$ is a square of ones.
# 2. *Batch.* All tokens at once. Along which axes is the mean taken, and
#    along which the sum?
# 3. *Special cases.* The gradient of a token sums to 0, since shifting $x$
#    changes nothing. $\gamma$ belongs inside both means.
#
# **Closed** here: whatever differentiates by itself (`backward`,
# `torch.autograd`, `torch.func`), and torch's layer norm.

# %%
def layer_norm_backward(grad, x, weight, eps=1e-5):
    """The gradients of layer norm, by hand.

        grad_x = (g - mean(g) - x_hat · mean(g · x_hat)) / √(σ² + eps)
        g = grad · weight,   x_hat = (x - μ) / √(σ² + eps)

    Args:
        grad: (B, T, C), the gradient of the loss at the output.
        x: (B, T, C), the input.
        weight: (C), the factor of every column.
        eps: added to the variance, inside the root.

    Returns:
        The tuple (grad_x, grad_weight, grad_bias): (B, T, C), (C) and (C).

    Closed:
        backward, torch.autograd, torch.func, torch's layer norm.
    """
    raise NotImplementedError(
        "Exercise 5.2 is yours to write: Layer norm, backwards. Put your "
        "code in place of this line; `minitx hint 05.2` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: autograd on one side, your formula on the other.

# %%
torch.manual_seed(0)
x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
grad = torch.randn(2, 3, 4, dtype=torch.float64)
weight = torch.randn(4, dtype=torch.float64)
(torchs,) = torch.autograd.grad(F.layer_norm(x, (4,), weight), x, grad)
mine, _, _ = layer_norm_backward(grad, x.detach(), weight)
print("the same gradient?", torch.allclose(mine, torchs))

# %%
check("05.2", layer_norm_backward)

# %% [markdown]
# **Explain.** Somebody computes $\mu$ and $\sigma$ under `torch.no_grad()`.
# The forward pass is right. What is the gradient then, and what does training
# lose?
#
# <details><summary>Answer</summary>
#
# $g / \sqrt{\sigma^2 + \varepsilon}$, without the two means. The gradient
# then also asks to shift and to stretch the token, which changes nothing in
# the output: a part of each step is spent on nothing, and the numbers of the
# tokens may grow without end.
#
# </details>

# %% [markdown]
# ## Exercise 5.3: A residual block
#
# A sublayer's result is *added* to its input. The norm stands either before
# the sublayer or behind the sum:
#
# $$\begin{aligned}
#   \text{pre-norm:}\quad
#     y &= x + \mathrm{drop}\big(f(\mathrm{norm}(x))\big), \\
#   \text{post-norm:}\quad
#     y &= \mathrm{norm}\big(x + \mathrm{drop}(f(x))\big) .
#   \end{aligned}$$
#
# With pre-norm `x` itself walks through untouched, from the first block to
# the last. With post-norm, the transformer of 2017, every block normalises
# the road itself. $\mathrm{drop}$ is *dropout*: in training each number
# becomes 0 with the probability `dropout`, and what is left is divided by
# `1 - dropout`, so that the mean stays; in evaluation nothing happens.
# `nn.Dropout` does all of that.
#
# **`__init__(d_model, pre_norm, dropout=0.0)`** makes three parts with these
# names: `self.norm = nn.LayerNorm(d_model)`,
# `self.sublayer = nn.Linear(d_model, d_model)`, which stands for an attention
# or a feed-forward network, and `self.dropout = nn.Dropout(dropout)`. Keep
# what `forward` needs, such as `self.pre_norm = pre_norm`.
#
# **`forward(x)`** takes `(B, T, C)` and returns `(B, T, C)`. Call the parts
# as `self.norm(…)`, `self.sublayer(…)` and `self.dropout(…)`: then another
# sublayer can be put in, `block.sublayer = …`, and dropout is on in training
# and off in evaluation by itself. Dropout is for what the sublayer says,
# never for `x`.
#
# **By hand.** `C = 2`, norm without effect of its own ($\gamma = 1$,
# $\beta = 0$), sublayer twice the identity, $x = (1, 3)$ with
# $\varepsilon \approx 0$, so $\mathrm{norm}(x) = (-1, 1)$. Pre-norm:
# $(1, 3) + 2\,(-1, 1) = (-1, 5)$. Post-norm: $(1, 3) + (2, 6) = (3, 9)$,
# normalised $(-1, 1)$.
#
# **The ladder**
# 1. *Loop.* One token after another: neither norm nor sublayer looks at two.
# 2. *Batch.* The whole block in one line for each kind.
# 3. *Special cases.* A sublayer that says 0: the pre-norm block must be the
#    identity, the post-norm block `norm(x)`. In training, dropout 1 does the
#    same.
#
# **Closed** here: `minitx.blocks.Residual.forward` and the finished blocks
# of `minitx` and torch.

# %%
class ResidualBlock(nn.Module):
    """A sublayer with its residual connection and its norm.

        pre-norm:   y = x + dropout(f(norm(x)))
        post-norm:  y = norm(x + dropout(f(x)))

    Args:
        d_model: width C of every token, in and out.
        pre_norm: True: before the sublayer; False: behind the sum.
        dropout: share of f's numbers set to 0 in training.

    Weights:
        norm.weight, norm.bias: (C).
        sublayer.weight: (C, C), as nn.Linear keeps it.
        sublayer.bias: (C).

    Closed:
        minitx.blocks.Residual.forward, the blocks of minitx and torch.
    """

    def __init__(self, d_model, pre_norm, dropout=0.0):
        """Make norm, sublayer and dropout."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 5.3 is yours to write: A residual block. Put your "
            "code in place of this line; `minitx hint 05.3` gives a first "
            "nudge."
        )

    def forward(self, x):
        """Add what the sublayer has to say.

        Args:
            x: (B, T, C).

        Returns:
            (B, T, C).
        """
        raise NotImplementedError(
            "Exercise 5.3 is yours to write: A residual block. Put your "
            "code in place of this line; `minitx hint 05.3` gives a first "
            "nudge."
        )


# %% [markdown]
# Try it: 64 blocks of each kind, as they are made. How large is a token after
# them, and how much of the gradient reaches the first block?

# %%
for pre_norm in (True, False):
    torch.manual_seed(0)
    stack = nn.Sequential(*[ResidualBlock(16, pre_norm) for _ in range(64)])
    y = stack(torch.randn(1, 3, 16))
    (y * torch.randn(1, 3, 16)).sum().backward()
    norms = [block.sublayer.weight.grad.norm().item() for block in stack]
    kind = "pre-norm " if pre_norm else "post-norm"
    print(f"{kind}: size {y.std().item():.1f}, ", end="")
    print(f"gradient first / last block {norms[0] / norms[-1]:.3f}")

# %%
check("05.3", ResidualBlock)

# %% [markdown]
# **Predict.** You stack twelve pre-norm blocks whose sublayers all say 0.
# What is the output? And twelve post-norm blocks ($\gamma = 1$, $\beta = 0$)?
#
# <details><summary>Answer</summary>
#
# The input itself; and the input normalised. Normalising a normalised token
# again changes nothing (but for $\varepsilon$).
#
# </details>

# %% [markdown]
# ## Exercise 5.4: The feed-forward network
#
# After every attention, each token goes through the same small network by
# itself:
#
# $$y = \mathrm{relu}(x W_1 + b_1)\, W_2 + b_2 ,$$
#
# from width `C` to a wider `F` (512 to 2,048 in 2017) and back, with
# $\mathrm{relu}(z) = \max(0, z)$ for every number. No token sees another
# here; what attention has gathered is worked on.
#
# **`__init__(d_model, d_ff)`** makes
# `self.in_proj = nn.Linear(d_model, d_ff)` and
# `self.out_proj = nn.Linear(d_ff, d_model)`, with biases.
#
# **`forward(x)`** takes `(..., C)`, with any number of axes in front, and
# returns the same shape.
#
# **By hand.** `C = 1`, `F = 2`: $W_1 = (1, -1)$, $b_1 = (0, 0)$,
# $W_2 = (1, 1)^\top$, $b_2 = 10$. For $x = -3$ the inner numbers are
# $(-3, 3)$, after relu $(0, 3)$, and $y = 13$. For $x = 3$ it is 13 as well:
# this network computes $|x| + 10$.
#
# **The ladder**
# 1. *Loop.* One position at a time.
# 2. *Vectors.* The same as a memory: row `i` of `in_proj.weight` is a key,
#    column `i` of `out_proj.weight` the value that belongs to it, and
#    $y = b_2 + \sum_i \mathrm{relu}(k_i \cdot x + b_{1,i})\, v_i$.
# 3. *Special cases.* No activation behind `out_proj`: tokens may be negative.
#
# **Closed** here: `minitx.layers.FeedForward.forward`, the experts of
# `minitx` and torch's finished blocks. `F.relu` and `nn.Linear` are open.

# %%
class FeedForward(nn.Module):
    """Two layers applied to every position by itself.

        y = relu(x W_1 + b_1) W_2 + b_2

    Args:
        d_model: width C of input and output.
        d_ff: width F between the layers.

    Weights:
        in_proj.weight: (F, C), as nn.Linear keeps it.
        in_proj.bias: (F).
        out_proj.weight: (C, F).
        out_proj.bias: (C).

    Closed:
        minitx.layers.FeedForward.forward, minitx.experts, torch's blocks.
    """

    def __init__(self, d_model, d_ff):
        """Make the projections in_proj and out_proj."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 5.4 is yours to write: The feed-forward network. Put "
            "your code in place of this line; `minitx hint 05.4` gives a "
            "first nudge."
        )

    def forward(self, x):
        """Work on every token by itself.

        Args:
            x: (..., C).

        Returns:
            (..., C).
        """
        raise NotImplementedError(
            "Exercise 5.4 is yours to write: The feed-forward network. Put "
            "your code in place of this line; `minitx hint 05.4` gives a "
            "first nudge."
        )


# %% [markdown]
# Try it: how many parameters, and which tokens hear of a change in token 1.

# %%
torch.manual_seed(0)
network = FeedForward(512, 2048)
print("parameters:", sum(p.numel() for p in network.parameters()))
x = torch.randn(1, 4, 512)
changed = x.clone()
changed[:, 1] += 1
with torch.no_grad():
    moved = (network(x) - network(changed)).abs().amax((0, 2)) > 0
print("tokens that hear of it:", moved.nonzero().flatten().tolist())

# %%
check("05.4", FeedForward)

# %% [markdown]
# **Question.** Without attention, a stack of feed-forward networks with
# residual connections translates a sentence. What can it do at best?
#
# <details><summary>Answer</summary>
#
# A function of each word alone (and of its position): word for word, with the
# same translation of a word in every sentence.
#
# </details>

# %% [markdown]
# ## Exercise 5.5: Cross-entropy with smoothed labels
#
# The model says a distribution $p$ over the `V` tokens at every position. The
# target is a little less than certain: a share $\varepsilon$ of its mass is
# spread evenly over **all** `V` tokens, the right one included:
#
# $$\begin{aligned}
#   q_k &= (1 - \varepsilon)\,[k = \text{target}] + \frac{\varepsilon}{V}, \\
#   L &= -\sum_k q_k \ln p_k .
#   \end{aligned}$$
#
# The loss is the mean over the positions that count: the sum of their $L$,
# divided by how many they are. A target equal to `ignore_index` is padding:
# nothing of its position is in the sum, neither the target's part nor the
# even share, and it is not in the number. If nothing counts, the loss is 0.
#
# `logits` is `(B, T, V)`, `targets` is `(B, T)`. Return a tensor without
# axes.
#
# **By hand.** Four tokens, $\varepsilon = 0.1$: the target of token 0 is
# $q = (0.925, 0.025, 0.025, 0.025)$, which sums to 1. If the model says
# $p = (\tfrac12, \tfrac14, \tfrac18, \tfrac18)$, the loss is
# $0.925 \ln 2 + 0.025\,(2 + 3 + 3) \ln 2$, which is
# $1.125 \ln 2 = 0.780$.
#
# **The ladder**
# 1. *Loop.* For each position that counts: write down `q`, multiply by
#    $-\ln p$, add.
# 2. *Vectors.* All targets as one table `(B, T, V)`.
# 3. *Batch.* Without the table: the loss is $(1 - \varepsilon)$ times
#    $-\ln p_{\text{target}}$ plus $\varepsilon$ times the *mean* of
#    $-\ln p_k$.
# 4. *Special cases.* An `ignore_index` of -100 is no index of a column; one
#    of 3 is. Large logits: take `log_softmax`, never the logarithm of a
#    softmax.
#
# **Closed** here: `F.cross_entropy`, `nn.CrossEntropyLoss` and the library's
# own loss. `log_softmax`, `gather`, `F.nll_loss` and `F.one_hot` are open.

# %%
def label_smoothed_loss(logits, targets, smoothing=0.1, ignore_index=-100):
    """Mean cross-entropy per token against smoothed targets.

        q = (1 - smoothing) · one-hot + smoothing / V,   loss = -Σ q ln p

    Args:
        logits: (B, T, V).
        targets: (B, T), whole numbers: the right token of each position.
        smoothing: share of the mass spread over all V tokens.
        ignore_index: positions with this target do not count.

    Returns:
        A tensor without axes, in nats; 0 if nothing counts.

    Closed:
        F.cross_entropy, nn.CrossEntropyLoss, minitx's own loss.
    """
    raise NotImplementedError(
        "Exercise 5.5 is yours to write: Cross-entropy with smoothed "
        "labels. Put your code in place of this line; `minitx hint 05.5` "
        "gives a first nudge."
    )


# %% [markdown]
# Try it: a model that is nearly certain, and right. What does it gain by
# being more certain still?

# %%
target = torch.tensor([[0]])
for size in (2.0, 4.0, 8.0, 16.0):
    logits = torch.tensor([[[size, 0.0, 0.0, 0.0]]])
    hard = label_smoothed_loss(logits, target, smoothing=0.0).item()
    soft = label_smoothed_loss(logits, target, smoothing=0.1).item()
    print(f"logit {size:4.0f}: loss {hard:.3f}, smoothed {soft:.3f}")

# %%
check("05.5", label_smoothed_loss)

# %% [markdown]
# **Predict.** What is the smallest smoothed loss any model can reach, with
# four tokens and $\varepsilon = 0.1$?
#
# <details><summary>Answer</summary>
#
# The entropy of $q$: $-0.925 \ln 0.925 - 3 \cdot 0.025 \ln 0.025 = 0.349$. A
# smoothed loss never reaches 0, so it cannot be compared with an unsmoothed
# one, and no perplexity is made of it.
#
# </details>

# %% [markdown]
# ## Exercise 5.6: The rate of 2017
#
# The learning rate grows in proportion to the step, up to step
# `warmup_steps`, and then falls with the inverse root of the step:
#
# $$\text{rate} = \frac{1}{\sqrt C}
#   \min\!\left(\frac{1}{\sqrt{\text{step}}},\;
#   \frac{\text{step}}{\text{warmup}^{3/2}}\right) .$$
#
# Steps are counted from 1. Return a number of Python: its `**` and `min`
# suffice, and a float32 tensor has too few digits. If `step` or
# `warmup_steps`
# is below 1, raise a `ValueError` whose message holds the number that is
# wrong.
#
# **By hand.** $C = 4$ and 4 steps of warm-up. At step 1 the rate is
# $\tfrac12 \cdot 1 \cdot 4^{-3/2} = \tfrac1{16}$, at step 4, the peak,
# $\tfrac12 \cdot 4^{-1/2} = \tfrac14$, and at step 16
# $\tfrac12 \cdot \tfrac14 = \tfrac18$.
#
# **The ladder**
# 1. *Branches.* Before the peak and after it.
# 2. *Formula.* The smaller of two numbers: which of them is it before the
#    peak, and are they equal there?
# 3. *Special cases.* Step 0, for which the root is infinite.
#
# **Closed** here: `minitx.training.noam_rate`.

# %%
def noam_rate(step, d_model, warmup_steps):
    """Learning rate that grows linearly, then falls as 1/√step.

        rate = d_model^-0.5 · min(step^-0.5, step · warmup_steps^-1.5)

    Args:
        step: updates so far, this one included: counted from 1.
        d_model: width of the model.
        warmup_steps: the step at which the rate is largest.

    Returns:
        A number.

    Raises:
        ValueError: if step or warmup_steps is below 1.

    Closed:
        minitx.training.noam_rate.
    """
    raise NotImplementedError(
        "Exercise 5.6 is yours to write: The rate of 2017. Put your code in "
        "place of this line; `minitx hint 05.6` gives a first nudge."
    )


# %% [markdown]
# Try it: the base model of 2017, with 4,000 steps of warm-up.

# %%
for step in (1, 1000, 4000, 16_000, 100_000):
    print(f"step {step:6d}: rate {noam_rate(step, 512, 4000):.2e}")

# %%
check("05.6", noam_rate)

# %% [markdown]
# **Predict.** You double `warmup_steps` from 4,000 to 8,000. By what factor
# does the rate change at step 100, at step 8,000, at step 100,000?
#
# <details><summary>Answer</summary>
#
# At step 100 by $2^{-3/2} = 0.35$; at step 8,000 and after it not at all: the
# falling branch does not know the warm-up.
#
# </details>

# %% [markdown]
# ## Exercise 5.7: One step of AdamW
#
# Adam keeps two running averages for every weight $\theta$: of its gradient
# $g$, called $m$, and of the square of $g$, called $v$. AdamW pulls the
# weight towards 0 beside that, by a share $\lambda$, and not through the
# gradient:
#
# $$\begin{aligned}
#   m &\leftarrow \beta_1 m + (1 - \beta_1)\, g,
#     & \hat m &= \frac{m}{1 - \beta_1^t}, \\[6pt]
#   v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2,
#     & \hat v &= \frac{v}{1 - \beta_2^t},
#   \end{aligned}$$
#
# $$\theta \leftarrow \theta - \text{rate} \cdot \lambda\, \theta
#   - \text{rate} \cdot \frac{\hat m}{\sqrt{\hat v} + \epsilon} .$$
#
# The averages begin at 0, so the first ones are too small; dividing by
# $1 - \beta^t$ corrects that. $t$ is the step, counted from 1. Both pulls
# begin at the *old* $\theta$, and here $\epsilon$ stands *outside* the root.
#
# `parameter` ($\theta$), `gradient` ($g$), `m` and `v` have the same shape,
# and every number in them is treated by itself. Return the tuple
# `(parameter, m, v)` of new tensors; leave those you are given as they are.
# What you return as `m` and `v` are the averages, not the corrected ones.
#
# **By hand.** $\theta = 2$, $g = \tfrac12$, $m = v = 0$, step 1, rate 0.1,
# $\beta_1 = 0.9$, $\beta_2 = 0.98$, $\epsilon = 0$, $\lambda = 0.1$. Then
# $m = 0.05$, $v = 0.005$, $\hat m = 0.5$, $\hat v = 0.25$: their ratio
# $\hat m / \sqrt{\hat v}$ is 1, whatever the size of the first gradient. So
# $\theta = 2 - 0.1 \cdot 0.1 \cdot 2 - 0.1 \cdot 1 = 1.88$.
#
# **The ladder**
# 1. *Loop.* One number after another.
# 2. *Vectors.* All numbers at once; nothing is summed.
# 3. *Special cases.* A late step, where the correction is 1; a gradient of 0,
#    where the decay pulls all the same.
#
# **Closed** here: torch's Adam and AdamW.

# %%
def adamw_step(
    parameter, gradient, m, v, step, rate,
    beta1=0.9, beta2=0.98, eps=1e-9, weight_decay=0.01,
):  # fmt: skip
    """One update of AdamW.

    Args:
        parameter, gradient: (N), or any other shape.
        m, v: (N), the running averages of the gradient and of its square.
        step: which update this is, counted from 1.
        rate: the learning rate of this step.
        beta1: how much of m is kept.
        beta2: how much of v is kept.
        eps: added to the root of v.
        weight_decay: λ, the pull towards 0.

    Returns:
        The tuple (parameter, m, v), each (N).

    Closed:
        torch's Adam and AdamW.
    """
    raise NotImplementedError(
        "Exercise 5.7 is yours to write: One step of AdamW. Put your code "
        "in place of this line; `minitx hint 05.7` gives a first nudge."
    )


# %% [markdown]
# Try it: two weights of size 1, one with large gradients, one with small
# ones. How far do they move in ten steps, and what of it is decay?

# %%
gradient = torch.tensor([100.0, 0.01])
for decay in (0.0, 0.5):
    weights = torch.ones(2)
    m = v = torch.zeros(2)
    for step in range(1, 11):
        weights, m, v = adamw_step(
            weights, gradient, m, v, step, rate=0.01, weight_decay=decay
        )
    print(f"decay {decay}:", weights.round(decimals=3).tolist())

# %%
check("05.7", adamw_step)

# %% [markdown]
# **Question.** You load a checkpoint with the weights, but begin with
# `m = v = 0` and go on counting at step 10,000. What happens in the first
# update?
#
# <details><summary>Answer</summary>
#
# The correction is 1 by then, so $m = 0.1\,g$ and $v = 0.02\,g^2$ are taken
# as they are: the update is $0.1 / \sqrt{0.02} = 0.71$ of the rate in size,
# in the direction of the sign of one noisy gradient, for every weight. Begin
# counting at 1 again, or better: keep the averages in the checkpoint.
#
# </details>

# %% [markdown]
# ## Exercise 5.8: Clip by the global norm
#
# One bad batch can give a gradient that throws the model far away. So the
# gradient is shortened to a given length if it is longer. All parameters
# together are **one** vector, and its direction stays:
#
# $$\begin{aligned}
#   \lVert g \rVert &= \sqrt{\sum_{\text{tensors}} \sum_i g_i^2}, \\
#   g &\leftarrow g \cdot
#   \min\!\Big(1, \frac{\text{max\_norm}}{\lVert g \rVert}\Big) .
#   \end{aligned}$$
#
# `gradients` is a list of tensors of any shapes. Return the tuple
# `(clipped, norm)`: a list of tensors, in the same order, shapes and dtypes,
# and the norm **before** clipping, a number. Change none of those you are
# given; what is short enough may come back as it is. It is what one watches
# during training.
#
# **By hand.** The gradients $(3)$ and $(4)$ of two parameters have the norm
# 5. With `max_norm` 1 both are divided by 5: $(0.6)$ and $(0.8)$. With
# `max_norm` 10 they stay as they are.
#
# **The ladder**
# 1. *Loop.* One tensor, one number after another: the sum of squares.
# 2. *Vectors.* A sum of squares for each tensor, then the sum of these.
# 3. *Special cases.* A gradient of nothing but zeros; a `max_norm` of
#    infinity, which cuts nothing; float16, in which $300^2$ is already
#    infinite: take the squares in a wider format.
#
# **Closed** here: torch's `clip_grad_norm_` and what it is made of in
# `torch.nn.utils`.

# %%
def clip_by_norm(gradients, max_norm):
    """Shorten the gradient of all parameters together, if it is too long.

        g · min(1, max_norm / ‖g‖),   ‖g‖ = √(sum of all squares)

    Args:
        gradients: a list of tensors of any shapes.
        max_norm: the length that is allowed, above 0.

    Returns:
        The tuple (clipped, norm): a list of tensors, and the norm before.

    Closed:
        torch.nn.utils.clip_grad_norm_ and its parts.
    """
    raise NotImplementedError(
        "Exercise 5.8 is yours to write: Clip by the global norm. Put your "
        "code in place of this line; `minitx hint 05.8` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: the gradients of a small network, once as they are and once after a
# batch that is a thousand times too large.

# %%
torch.manual_seed(0)
gradients = [torch.randn(4, 3), torch.randn(4)]
for factor in (0.1, 1000):
    clipped, norm = clip_by_norm([factor * g for g in gradients], 1.0)
    after = math.sqrt(sum(float(g.square().sum()) for g in clipped))
    print(f"norm {float(norm):8.2f}, after clipping {after:.2f}")

# %%
check("05.8", clip_by_norm)

# %% [markdown]
# **Explain.** Before clipping, the gradients of a batch of `N` tokens must
# have been divided by `N` already. What happens if they are clipped first and
# divided afterwards?
#
# <details><summary>Answer</summary>
#
# The sum over thousands of tokens is nearly always longer than `max_norm`, so
# every step is clipped, and then divided by thousands. Plain gradient descent
# hardly moves. Adam does, since a constant factor cancels; but a calm batch
# and a wild one now have gradients of one length, and clipping protects from
# nothing.
#
# </details>

# %% [markdown]
# ## Exercise 5.9: Accumulate gradients
#
# The batch one would like does not fit into memory. So it is cut into small
# batches, whose gradients are added up before one update. The result shall be
# *exactly* the gradient of the large batch: that of the **mean loss per
# token** over all of them. With $n_i$ tokens that count and the mean loss
# $\ell_i$ in batch $i$:
#
# $$L = \frac{\sum_i n_i\, \ell_i}{\sum_i n_i}, \qquad
#   \nabla L = \frac{\sum_i n_i \nabla \ell_i}{\sum_i n_i} .$$
#
# The mean of the means is something else as soon as the $n_i$ differ, and
# with padding they always do.
#
# The model is the last layer of a language model: `logits = x @ weight.T`.
# `weight` is `(V, C)`. `batches` is a list of pairs `(x, targets)` with `x`
# `(B, T, C)` and `targets` `(B, T)`; sizes differ from pair to pair, and a
# target of -100 is padding. The loss of a token is the plain cross-entropy.
# Return the tuple `(loss, gradient)`: the mean loss per token over all
# batches, for the log, and its gradient with respect to `weight`, `(V, C)`.
#
# What torch keeps of a forward pass, to go back through it, is its *graph*;
# that of one batch at a time is all the memory there is. So call `backward`
# (or `torch.autograd.grad`) for each batch, and keep no loss that still
# hangs on its graph. The checks count what torch keeps at one time, and
# `loss` must not require a gradient. `weight` comes without `requires_grad`;
# differentiate with respect to a copy of your own.
#
# **By hand.** Two batches: one token with loss 1 and gradient $(2)$, and
# three tokens with mean loss 3 and mean gradient $(6)$. Together the loss is
# $(1 \cdot 1 + 3 \cdot 3)/4 = 2.5$ and the gradient
# $(1 \cdot 2 + 3 \cdot 6)/4 = (5)$. The mean of the means would be 2 and
# $(4)$.
#
# **The ladder**
# 1. *Loop.* By hand, token by token: the gradient of one is
#    $(p - \text{one-hot})\, x^\top$.
# 2. *Vectors.* One `backward` for each batch. torch *adds* to `.grad`; what
#    must be divided, and when?
# 3. *Special cases.* A batch of nothing but padding, whose mean is 0/0. (At
#    least one target in all the batches counts.)
#
# **Closed** here: `torch.cat` and its other names, because the large batch
# does not fit. `F.cross_entropy` is open; it takes `(B, V, T)`, which is
# `logits.mT`, and leaves out targets of -100.

# %%
def accumulate_gradients(weight, batches):
    """The gradient of one large batch, from small ones.

    Args:
        weight: (V, C), of the last layer: logits = x @ weight.T.
        batches: a list of pairs (x, targets), (B, T, C) and (B, T); a target
            of -100 does not count.

    Returns:
        The tuple (loss, gradient): the mean loss per token over all batches,
        a number, and its gradient, (V, C).

    Closed:
        torch.cat, concat, concatenate, hstack, vstack.
    """
    raise NotImplementedError(
        "Exercise 5.9 is yours to write: Accumulate gradients. Put your "
        "code in place of this line; `minitx hint 05.9` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: eight sentences in one batch, and the same in four batches of two.
# The sentences have 3 to 10 tokens.

# %%
torch.manual_seed(0)
weight, x = torch.randn(11, 6), torch.randn(8, 10, 6)
targets = torch.randint(11, (8, 10))
targets[torch.arange(10) >= torch.arange(3, 11)[:, None]] = -100
large = accumulate_gradients(weight, [(x, targets)])
pairs = [(x[i : i + 2], targets[i : i + 2]) for i in range(0, 8, 2)]
small = accumulate_gradients(weight, pairs)
print(f"loss {float(large[0]):.4f} and {float(small[0]):.4f}")
print("the same gradient?", torch.allclose(large[1], small[1], atol=1e-6))

# %%
check("05.9", accumulate_gradients)

# %% [markdown]
# **Predict.** Four batches have 100, 100, 100 and 10 tokens. Somebody takes
# the mean of the four mean losses. How much does a token of the last batch
# count, compared with one of the first?
#
# <details><summary>Answer</summary>
#
# Ten times as much: each batch gets a quarter, which 10 tokens share in one
# case and 100 in the other.
#
# </details>

# %% [markdown]
# ## Exercise 5.10: Loss scaling
#
# Float16 knows nothing between 0 and $6 \cdot 10^{-8}$, and nothing above
# 65,504. Small gradients become 0 on their way back. So the *loss* is
# multiplied by a large `scale` before the backward pass, and the gradients
# are divided by it afterwards, in float32. If the scale was too large, some
# gradient is infinite or no number: the step is skipped, and the scale is
# halved. If all goes well for a while, it is doubled.
#
# The model is linear: `prediction = x @ weight`, computed **in float16**,
# with `weight` and `x` converted by `.half()`. The loss is the mean square of
# `prediction.float() - targets`, in float32. `weight` is `(C)`, in float32:
# it is the copy that an optimiser would update, the *master* weights. `x` is
# `(N, C)`, `targets` is `(N)`.
#
# `scale` is the factor, and `streak` says how many steps in a row went well.
# Return the tuple `(gradient, scale, streak)`:
#
# - if any entry of the gradient is not finite: `None`, half the scale, and
#   streak 0;
# - else the gradient with respect to the weights, unscaled, `(C)` in float32,
#   the scale, and a streak of one more. If the streak thereby reaches
#   `interval`, the scale is doubled and the streak begins again at 0.
#
# **By hand.** One example, $w = 1$, $x = 1$, target $\tfrac12$. The error is
# $\tfrac12$, the gradient $2 \cdot \tfrac12 \cdot 1 = 1$. With scale 1,024
# the float16 gradient is 1,024, and unscaled it is 1. With scale 65,536 it
# would be 65,536, which float16 does not know: it is infinite. The step is
# skipped, and the new scale is 32,768.
#
# **The ladder**
# 1. *Loop.* By hand, example by example, each product rounded to float16 (and
#    their sum, at the latest at its end).
# 2. *Vectors.* `half = weight.half().requires_grad_()`, then the scaled loss
#    backwards. Where do you find the gradient, and in which dtype?
# 3. *Special cases.* Divide in float32: a small gradient that is unscaled in
#    float16 vanishes all the same. NaN as well as infinity, in any entry.
#
# **Closed** here: `torch.amp.GradScaler`.

# %%
def scaled_backward(weight, x, targets, scale, streak, interval):
    """A backward pass in float16, with the loss scaled.

    Args:
        weight: (C), in float32.
        x: (N, C), the examples, in float32.
        targets: (N), in float32.
        scale: factor of the loss.
        streak: steps in a row before this one that went well; below interval.
        interval: after so many the scale is doubled.

    Returns:
        The tuple (gradient, scale, streak); the gradient is (C) in float32,
        or None if this step must be skipped.

    Closed:
        torch.amp.GradScaler.
    """
    raise NotImplementedError(
        "Exercise 5.10 is yours to write: Loss scaling. Put your code in "
        "place of this line; `minitx hint 05.10` gives a first nudge."
    )


# %% [markdown]
# Try it: small gradients at several scales, beside what float32 says.

# %%
torch.manual_seed(0)
x, targets = torch.randn(4, 3) / 1000, torch.randn(4) / 100_000
exact = (-2 * targets @ x / 4).tolist()
print("float32:       ", [f"{g:.1e}" for g in exact])
for scale in (1.0, 2.0**12, 2.0**40):
    gradient, new, _ = scaled_backward(
        torch.zeros(3), x, targets, scale, streak=0, interval=2000
    )
    shown = None if gradient is None else [f"{g:.1e}" for g in gradient]
    print(f"scale 2^{math.log2(scale):2.0f}:    ", shown, "->", new)

# %%
check("05.10", scaled_backward)

# %% [markdown]
# **Question.** bfloat16 has 8 bits for the exponent, as float32 does, and 7
# for the digits. Does it need loss scaling?
#
# <details><summary>Answer</summary>
#
# No: its range is that of float32, so nothing vanishes and nothing
# overflows. It pays with digits: some two and a half, where float16 has more
# than three.
#
# </details>

# %% [markdown]
# ## Exercise 5.11: The whole step
#
# Everything in its order, for the model of Exercise 5.9
# (`logits = x @ weight.T`, targets of -100 do not count):
#
# 1. the gradient of the mean loss per token over **all** batches;
# 2. clipped to the length `max_norm`;
# 3. the rate of this step, `library_rate(step, C, warmup_steps)`: the rate of
#    Exercise 5.6, as the first cell has imported it;
# 4. one update of AdamW with that rate, $\beta_1 = 0.9$, $\beta_2 = 0.98$,
#    $\epsilon = 10^{-9}$ (outside the root) and a weight decay of 0.01.
#
# `weight`, `m` and `v` are `(V, C)`; `m` and `v` are the running averages
# after the step before. Return the tuple `(weight, m, v, loss, norm)`: the
# new tensors, then two numbers for the log: the mean loss per token before
# the update, and the norm of the gradient **before** clipping. Leave what you
# are given as it is.
#
# **By hand.** `V = 2`, `C = 1`, one batch of one token, $x = 1$, target 0,
# weights 0, $m = v = 0$, step 1, warm-up 1, `max_norm` 1. Both tokens have
# probability $\tfrac12$: the loss is $\ln 2$, the gradient
# $(-\tfrac12, \tfrac12)$ with norm $0.707$, below 1. The rate is 1. In the
# first step $\hat m / \sqrt{\hat v}$ is the sign of the gradient, and the new
# weights are $(1, -1)$.
#
# **The ladder**
# 1. *Parts.* Four calls, one for each line above.
# 2. *Tools.* `F.cross_entropy`, `backward`, `nn.utils.clip_grad_norm_` and
#    `library_rate`; AdamW by its formula.
# 3. *Special cases.* Divide first, then clip; clip once, not in every batch.
#    Step 1 is the first.
#
# **Closed** here: `torch.cat` and its other names, torch's Adam and AdamW.
# Open are `nn.utils.clip_grad_norm_` (which adds 1e-6 to the norm that it
# divides by: either way is right here) and `library_rate`.

# %%
def train_step(weight, m, v, batches, step, warmup_steps, max_norm=1.0):
    """One update from several batches: accumulate, clip, schedule, AdamW.

    Args:
        weight: (V, C), of the last layer: logits = x @ weight.T.
        m, v: (V, C), AdamW's running averages.
        batches: a list of pairs (x, targets), (B, T, C) and (B, T); a target
            of -100 does not count.
        step: which update this is, counted from 1.
        warmup_steps: the step at which the rate is largest.
        max_norm: length to which the gradient is clipped.

    Returns:
        The tuple (weight, m, v, loss, norm): each (V, C), and two numbers.

    Closed:
        torch.cat, concat, concatenate, hstack, vstack, torch's Adam, AdamW.
    """
    raise NotImplementedError(
        "Exercise 5.11 is yours to write: The whole step. Put your code in "
        "place of this line; `minitx hint 05.11` gives a first nudge."
    )


# %% [markdown]
# Try it: sixty steps on two small batches that are always the same. Does the
# loss fall, and is the gradient clipped?

# %%
torch.manual_seed(0)
weight = m = v = torch.zeros(11, 6)
batches = [(torch.randn(2, t, 6), torch.randint(11, (2, t))) for t in (3, 5)]
for step in range(1, 61):
    weight, m, v, loss, norm = train_step(
        weight, m, v, batches, step, 10, 0.3
    )
    if step in (1, 10, 20, 60):
        print(
            f"step {step:2d}: loss {float(loss):.2f}, norm {float(norm):.2f}"
        )

# %%
check("05.11", train_step)

# %% [markdown]
# **Explain.** Adam divides the gradient by its own size. Why is it clipped
# all the same, and does clipping every gradient to half its length change the
# weights?
#
# <details><summary>Answer</summary>
#
# A constant factor cancels in $\hat m / \sqrt{\hat v}$, so halving all
# gradients changes nothing (but for $\epsilon$). Clipping shortens only the
# *exceptional* ones: without it a single bad gradient would fill both
# averages and be felt for as long as $\beta_2$ remembers, some fifty steps.
#
# </details>
