# %% [markdown]
# # Exercises for chapter 6: encoder, decoder, and how they write
#
# The masks and the shift, two blocks and the whole model of 2017, four ways
# to write with it, and the two games that BERT and T5 learn by. They belong
# to [chapter 6](../book/06_encoder_decoder.ipynb) and to its second page on
# [the three families](../book/06_families.ipynb); each exercise names the
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
# Exercises 6.3, 6.4 and 6.5 ask for a **class**, a module of torch. It has
# two places for your code: `__init__`, where its parts are made, and
# `forward`, where they are used.

# %% [markdown]
# | letter | size of | letter | size of |
# |---|---|---|---|
# | `B` | batch: sentences | `C` | width of a token vector, `d_model` |
# | `T` | tokens | `F` | width inside the feed-forward network, `d_ff` |
# | `T_src` | tokens of the source | `H` | heads |
# | `T_tgt` | tokens of the target | `D` | width of one head, `C / H` |
# | `S` | tokens in a cache | `V` | tokens in the vocabulary (the target's) |
# | `U` | tokens in the source's vocabulary | `K` | beams |
#
# Tokens are whole numbers. Some of them have a job: `bos_id` begins a
# sentence, `eos_id` ends it, `pad_id` fills it up to the length of the batch.
# A mask is a boolean tensor, and `True` always means **may attend**.

# %%
import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from minitx import blocks, functional
from minitx.blocks import Residual
from minitx.grading import check
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import IGNORE, Mask
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.multihead import MultiHeadAttention
from minitx.positions import Sinusoidal

# %% [markdown]
# ## Exercise 6.1: Two masks for a decoder
#
# A decoder attends twice: to its own tokens, where nobody may look ahead, and
# to the source, which is there as a whole. In a padded batch nobody attends
# to padding either:
#
# $$\begin{aligned}
#   \text{own}[b, i, j] &= (j \le i) \text{ and }
#     (\text{tgt}[b, j] \ne \text{pad}) \\
#   \text{cross}[b, i, j] &= (\text{src}[b, j] \ne \text{pad}) .
#   \end{aligned}$$
#
# `src` is `(B, T_src)`, `tgt` is `(B, T_tgt)`, both token numbers, padded at
# their end with `pad_id`, which may be any number. Return the tuple
# `(own, cross)` of boolean tensors `(B, T_tgt, T_tgt)` and
# `(B, T_tgt, T_src)`. Rows are those who ask, columns those who are asked;
# the rows of padding follow the same formula.
#
# **By hand.** `pad_id = 0`, one source $(5, 6, 0)$, one target $(7, 8, 0)$:
#
# $$\text{own} = \begin{pmatrix} 1 & 0 & 0 \\ 1 & 1 & 0 \\ 1 & 1 & 0
#   \end{pmatrix}, \qquad
#   \text{cross} = \begin{pmatrix} 1 & 1 & 0 \\ 1 & 1 & 0 \\ 1 & 1 & 0
#   \end{pmatrix} .$$
#
# **The ladder**
# 1. *Loop.* For every sentence `b`, row `i` and column `j`: both questions.
# 2. *Batch.* A triangle `(T_tgt, T_tgt)` that all sentences share, and a row
#    of truth values `(B, 1, T_tgt)` that all rows share. Which operation
#    joins two rules that must both hold?
# 3. *Special cases.* `cross` is the same in every row: `expand` repeats it
#    without a copy. Source and target have different lengths, and a word may
#    have the number 0.
#
# **Closed** here: the library's own `masks.Mask.dense`.

# %%
def decoder_masks(src, tgt, pad_id):
    """Who may attend to whom in a decoder, for a padded batch.

        own[b, i, j]   = j <= i and tgt[b, j] != pad_id
        cross[b, i, j] = src[b, j] != pad_id

    Args:
        src: source tokens, (B, T_src).
        tgt: target tokens, (B, T_tgt).
        pad_id: the token that fills sentences up.

    Returns:
        The tuple (own, cross), bool, (B, T_tgt, T_tgt) and
        (B, T_tgt, T_src); True = may attend.

    Closed:
        minitx.masks.Mask.dense.
    """
    raise NotImplementedError(
        "Exercise 6.1 is yours to write: Two masks for a decoder. Put your "
        "code in place of this line; `minitx hint 06.1` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: two sentences of different lengths, `pad_id = 0`.

# %%
src = torch.tensor([[5, 6, 9, 4], [5, 8, 0, 0]])
tgt = torch.tensor([[1, 7, 7], [1, 3, 0]])
own, cross = decoder_masks(src, tgt, 0)
print("own, second sentence:\n", own[1].int())
print("cross, second sentence:\n", cross[1].int())

# %%
check("06.1", decoder_masks)

# %% [markdown]
# **Explain.** Without the padding of the target in `own`, would any *word* of
# the target see something it should not?
#
# <details><summary>Answer</summary>
#
# No. The padding stands behind the last word, and the triangle forbids what
# stands behind already. In a decoder the rule about its own padding matters
# for rows of padding only, whose output nobody reads, or where the padding
# stands on the left. In `cross` it is needed: nothing else hides the padding
# of the source.
#
# </details>

# %% [markdown]
# ## Exercise 6.2: Shifted by one
#
# In training the decoder is given the right translation and asked, at every
# place at once, for the *next* token (teacher forcing). What goes in is the
# sentence behind a start token; what is asked for is the sentence with an end
# token:
#
# | place | 0 | 1 | 2 |
# |---|---|---|---|
# | goes in | BOS | deux | cents |
# | is asked for | deux | cents | EOS |
#
# `tgt` is `(B, T)`: words, without start or end, padded at the end with
# `pad_id`, which no word has. Return the tuple `(inputs, targets)`, both
# `(B, T + 1)`:
#
# - `inputs`: `bos_id`, the words, then `pad_id`;
# - `targets`: the words, `eos_id` once, then `IGNORE` (−100), the target that
#   no loss counts.
#
# **By hand.** `bos_id = 1`, `eos_id = 2`, `pad_id = 0`. The sentence
# $(7, 8, 0)$ becomes `inputs` $(1, 7, 8, 0)$ and `targets`
# $(7, 8, 2, -100)$.
#
# **The ladder**
# 1. *Loop.* For every sentence: its words, then both rows.
# 2. *Batch.* `inputs` needs one column in front. The end token stands at
#    column `n` of `targets`, where `n` counts the words of a sentence: one
#    place per row, for `scatter` or for an index of rows and columns.
# 3. *Special cases.* A sentence that fills its row; one without a word; and
#    models such as GPT-2 that pad with the end token: `pad_id == eos_id`,
#    where the end is asked for all the same, once.
#
# **Closed** here: nothing. No function of the library does it.

# %%
def shift_right(tgt, bos_id, eos_id, pad_id):
    """What goes into the decoder, and what is asked of it.

        inputs  = BOS w_1 … w_n PAD …
        targets = w_1 … w_n EOS IGNORE …

    Args:
        tgt: words, (B, T), padded at the end.
        bos_id: the token that begins a sentence.
        eos_id: the token that ends one.
        pad_id: the token that fills up; it may equal eos_id.

    Returns:
        The tuple (inputs, targets), integers, each (B, T + 1).
    """
    raise NotImplementedError(
        "Exercise 6.2 is yours to write: Shifted by one. Put your code in "
        "place of this line; `minitx hint 06.2` gives a first nudge."
    )


# %% [markdown]
# Try it: each token of the first row is answered by the one below it.

# %%
sentence = torch.tensor([[7, 8, 0]])
inputs, targets = shift_right(sentence, bos_id=1, eos_id=2, pad_id=0)
print("goes in:     ", inputs[0].tolist())
print("is asked for:", targets[0].tolist())

# %%
check("06.2", shift_right)

# %% [markdown]
# **Predict.** Somebody forgets the end token in `targets` and masks that
# place as well. The loss is about the same. What does the translator do?
#
# <details><summary>Answer</summary>
#
# It never ends. No place ever asked for the end token, so nothing makes it
# probable, and every translation runs on to the greatest length.
#
# </details>

# %% [markdown]
# ## Exercise 6.3: The encoder's block
#
# Two sublayers, each in a residual connection with a layer norm: first
# self-attention, then the feed-forward network that works on each position
# alone. In 2017 the norm stood behind the sum:
#
# $$\begin{aligned}
#   y &= \mathrm{norm}_1\big(x + \mathrm{attention}(x)\big) \\
#   z &= \mathrm{norm}_2\big(y + \mathrm{ffn}(y)\big) ;
#   \end{aligned}$$
#
# today it mostly stands before the sublayer,
# $y = x + \mathrm{attention}(\mathrm{norm}_1(x))$ and so on.
#
# **`__init__(d_model, num_heads, d_ff, pre_norm=False)`** makes the parts
# under these names, by which the checks load weights:
#
# - `attention`: `MultiHeadAttention(d_model, num_heads)`
# - `feed_forward`: `FeedForward(d_model, d_ff)`
# - `attention_residual`: `Residual(LayerNorm(d_model), pre_norm=…)`
# - `feed_forward_residual`: the same, another one
#
# **`forward(x, real=None)`** takes tokens `(B, T, C)` and returns
# `(B, T, C)`. `real` is `None` or boolean, `(B, T)`: `True` for words,
# `False` for padding, to which nobody attends.
#
# **By hand.** Say attention and feed-forward network give zeros (all their
# weights are 0), and the norms are as they are made: they multiply by 1 and
# add 0. Then the token $(3, 5)$ is all there is: the first norm makes
# $(-1, 1)$ of it, the second leaves that as it is. With `pre_norm=True` the
# token comes out as it went in, $(3, 5)$: the road past both sublayers is
# untouched.
#
# **The ladder**
# 1. *Written out.* The sums and the norms as in the formula;
#    `self.attention_residual.norm` is the norm.
# 2. *With the parts.* `Residual` is a function of two things, `x` and the
#    sublayer: `self.attention_residual(x, sublayer)` adds and normalises. A
#    sublayer with a mask needs a `lambda`. Its argument is what the sublayer
#    is to read: in pre-norm that is norm(x), not x.
# 3. *Special cases.* A norm for each sublayer, not one for both; padding, for
#    which `self.attention(x, mask=Mask(key_padding=real))` has a mask. Its
#    `key_padding` may be `None`.
#
# **Closed** here: `minitx.blocks.EncoderBlock.forward` and torch's
# `TransformerEncoderLayer`. All parts in the table are open.

# %%
class EncoderBlock(nn.Module):
    """Self-attention, then a feed-forward network, each with a residual.

        y = norm(x + attention(x)),   z = norm(y + ffn(y))
        pre-norm: y = x + attention(norm(x)),   z = y + ffn(norm(y))

    Args:
        d_model: width of every token, in and out.
        num_heads: heads of the attention.
        d_ff: width inside the feed-forward network.
        pre_norm: the norms stand before the sublayers, not behind the sums.

    Weights:
        attention.q_proj.weight, attention.k_proj.weight: (C, C).
        attention.v_proj.weight, attention.out_proj.weight: (C, C).
        attention.q_proj.bias, attention.k_proj.bias: (C).
        attention.v_proj.bias, attention.out_proj.bias: (C).
        feed_forward.in_proj.weight: (F, C).
        feed_forward.in_proj.bias: (F).
        feed_forward.out_proj.weight: (C, F).
        feed_forward.out_proj.bias: (C).
        attention_residual.norm.weight, attention_residual.norm.bias: (C).
        feed_forward_residual.norm.weight: (C).
        feed_forward_residual.norm.bias: (C).

    Closed:
        minitx.blocks.EncoderBlock.forward, torch's TransformerEncoderLayer.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        """Make the parts under the names that the exercise gives."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 6.3 is yours to write: The encoder's block. Put your "
            "code in place of this line; `minitx hint 06.3` gives a first "
            "nudge."
        )

    def forward(self, x, real=None):
        """Let every token look at the words of its sentence, then think.

        Args:
            x: (B, T, C).
            real: None, or bool (B, T); False = padding.

        Returns:
            (B, T, C).
        """
        raise NotImplementedError(
            "Exercise 6.3 is yours to write: The encoder's block. Put your "
            "code in place of this line; `minitx hint 06.3` gives a first "
            "nudge."
        )


# %% [markdown]
# Try it: what has mean 0 and variance 1 at the end, and what has not.

# %%
torch.manual_seed(0)
x = 3 * torch.randn(1, 4, 8) + 5
with torch.no_grad():
    for pre_norm in (False, True):
        out = EncoderBlock(8, 2, 32, pre_norm)(x)
        mean = out.mean().item()
        print(f"pre_norm={pre_norm}: mean {mean:.2f}, std {out.std():.2f}")

# %%
check("06.3", EncoderBlock)

# %% [markdown]
# **Predict.** You exchange two words of `x` (and their entries in `real`).
# What happens to the output of the block, and what to that of twelve of them?
#
# <details><summary>Answer</summary>
#
# The same two rows are exchanged, and nothing else changes; for twelve blocks
# the same. Attention is equivariant, and norm and feed-forward network know
# no neighbours. Order comes from positions alone, below the first block.
#
# </details>

# %% [markdown]
# ## Exercise 6.4: The decoder's block
#
# Three sublayers: self-attention that does not look ahead, attention to the
# memory (the encoder's output), and the feed-forward network:
#
# $$\begin{aligned}
#   y &= \mathrm{norm}_1\big(x + \mathrm{self}(x)\big) \\
#   z &= \mathrm{norm}_2\big(y + \mathrm{cross}(y, \text{memory})\big) \\
#   u &= \mathrm{norm}_3\big(z + \mathrm{ffn}(z)\big) ,
#   \end{aligned}$$
#
# or, with `pre_norm=True`, the norm before each sublayer. It is the decoder's
# own $x$ that is normalised there; the memory is taken as it comes.
#
# **`__init__(d_model, num_heads, d_ff, pre_norm=False)`** makes
# `self_attention` and `cross_attention` (each a `MultiHeadAttention`),
# `feed_forward` (`FeedForward`), and a `Residual` with a `LayerNorm` for
# each: `self_attention_residual`, `cross_attention_residual`,
# `feed_forward_residual`.
#
# **`forward(x, memory, real=None, memory_real=None)`** takes `x`
# `(B, T_tgt, C)` and `memory` `(B, T_src, C)`, and returns `(B, T_tgt, C)`.
# The block is causal always. `real` is `None` or boolean `(B, T_tgt)`,
# `memory_real` `None` or boolean `(B, T_src)`: `False` for padding, to which
# nobody attends.
#
# **By hand.** All weights are 0 but two: the norms are as they are made, and
# the `out_proj` of `cross_attention` has the biases $(4, 0)$. So the
# sublayers give $(0, 0)$, $(4, 0)$ and $(0, 0)$. With `pre_norm=True` the
# token $(3, 5)$ becomes $(7, 5)$, whatever the memory holds. With the norms
# behind, $(3, 5)$ becomes $(-1, 1)$, then the norm of $(3, 1)$, which is
# $(1, -1)$, and the last norm leaves that as it is.
#
# **The ladder**
# 1. *Written out.* Three sums, three norms.
# 2. *With the parts.* `self.cross_attention(x, memory, mask=…)` takes queries
#    from `x`, keys and values from the memory.
# 3. *Special cases.* Three rules, and each has its place:
#    `Mask(causal=True, key_padding=real)` for the block's own tokens,
#    `Mask(key_padding=memory_real)` for the memory, which is there as a
#    whole: nothing about it lies ahead.
#
# **Closed** here: `minitx.blocks.DecoderBlock.forward` and torch's
# `TransformerDecoderLayer`. All parts are open.

# %%
class DecoderBlock(nn.Module):
    """Causal self-attention, attention to memory, feed-forward network.

        y = norm(x + self(x)),   z = norm(y + cross(y, memory)),
        u = norm(z + ffn(z))
        pre-norm: x + f(norm(x)) for each; memory is not normalised

    Args:
        d_model: width of every token, in and out.
        num_heads: heads of both attentions.
        d_ff: width inside the feed-forward network.
        pre_norm: the norms stand before the sublayers, not behind the sums.

    Weights:
        self_attention.q_proj.weight, self_attention.k_proj.weight: (C, C).
        self_attention.v_proj.weight, self_attention.out_proj.weight: (C, C).
        self_attention.q_proj.bias, self_attention.k_proj.bias: (C).
        self_attention.v_proj.bias, self_attention.out_proj.bias: (C).
        cross_attention.q_proj.weight, cross_attention.k_proj.weight: (C, C).
        cross_attention.v_proj.weight: (C, C).
        cross_attention.out_proj.weight: (C, C).
        cross_attention.q_proj.bias, cross_attention.k_proj.bias: (C).
        cross_attention.v_proj.bias, cross_attention.out_proj.bias: (C).
        feed_forward.in_proj.weight: (F, C).
        feed_forward.in_proj.bias: (F).
        feed_forward.out_proj.weight: (C, F).
        feed_forward.out_proj.bias: (C).
        self_attention_residual.norm.weight: (C).
        self_attention_residual.norm.bias: (C).
        cross_attention_residual.norm.weight: (C).
        cross_attention_residual.norm.bias: (C).
        feed_forward_residual.norm.weight: (C).
        feed_forward_residual.norm.bias: (C).

    Closed:
        minitx.blocks.DecoderBlock.forward, torch's TransformerDecoderLayer.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        """Make the parts under the names that the exercise gives."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 6.4 is yours to write: The decoder's block. Put your "
            "code in place of this line; `minitx hint 06.4` gives a first "
            "nudge."
        )

    def forward(self, x, memory, real=None, memory_real=None):
        """Look back, look at the source, then think.

        Args:
            x: (B, T_tgt, C).
            memory: (B, T_src, C).
            real: None, or bool (B, T_tgt); False = padding of x.
            memory_real: None, or bool (B, T_src); False = its padding.

        Returns:
            (B, T_tgt, C).
        """
        raise NotImplementedError(
            "Exercise 6.4 is yours to write: The decoder's block. Put your "
            "code in place of this line; `minitx hint 06.4` gives a first "
            "nudge."
        )


# %% [markdown]
# Try it: token 2 of the target changes, then token 2 of the memory. Which
# outputs hear of it?

# %%
torch.manual_seed(0)
block = DecoderBlock(8, 2, 32)
x, memory = torch.randn(1, 4, 8), torch.randn(1, 3, 8)
with torch.no_grad():
    before = block(x, memory)
    for name, changed in (("target", x), ("memory", memory)):
        kept = changed.clone()
        changed[:, 2] += 1
        moved = (block(x, memory) - before).abs().amax(-1) > 1e-6
        print(f"token 2 of the {name} changes:", moved[0].tolist())
        changed.copy_(kept)

# %%
check("06.4", DecoderBlock)

# %% [markdown]
# **Question.** A GPT is a stack of decoders. Which of the sublayers above has
# it, and which of the two blocks that you wrote is nearer to its own?
#
# <details><summary>Answer</summary>
#
# There is no source, so there is no cross-attention: two sublayers, and a
# causal mask. That is the *encoder's* block of Exercise 6.3 with another
# mask. What makes it a decoder is that it does not look ahead, and that it is
# asked for the next token.
#
# </details>

# %% [markdown]
# ## Exercise 6.5: Every arrow is one call
#
# The whole model of 2017, from tokens to logits. The parts are there; what
# you write is the arrows between them:
#
# $$\begin{aligned}
#   x &= E_\text{src}[\text{src}]\,\sqrt C + \mathrm{PE} \\
#   \text{memory} &= \mathrm{encoder}(x) \\
#   y &= E_\text{tgt}[\text{tgt}]\,\sqrt C + \mathrm{PE} \\
#   u &= \mathrm{decoder}(y, \text{memory}) \\
#   \text{logits} &= u\, E_\text{tgt}^\top .
#   \end{aligned}$$
#
# In both stacks one block stands on the other, and **every** decoder block
# reads the same memory, the output of the *last* encoder block. The output
# layer has no weights of its own: it uses the target's table once more
# (weight tying), so a logit is the dot product with a token's vector.
#
# **`__init__(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff,
# num_layers)`** makes `src_embedding` and `tgt_embedding`
# (`nn.Embedding(…, d_model)`), `encoder` and `decoder` (each an
# `nn.ModuleList` of `num_layers` blocks from the two functions below), and
# whatever has no weights, such as the positions. There are no other weights:
# those of the tables and of the blocks are all.
#
# **`forward(src, tgt, src_real=None, tgt_real=None)`** takes tokens
# `(B, T_src)` and `(B, T_tgt)` (the inputs of Exercise 6.2) and returns
# logits `(B, T_tgt, V)`. `src_real` and `tgt_real` are `None` or boolean,
# `False` for padding.
#
# | part | how it is called |
# |---|---|
# | encoder block | `block(x, mask=…)` |
# | decoder block | `block(y, memory, mask=…, memory_mask=…)` |
# | positions | `Sinusoidal(d_model).embed(x, positions)`, which adds |
# | masks | `Mask(key_padding=real)`, and `causal=True` in it |
#
# `positions` is `torch.arange(T)[None]`, `(1, T)`.
#
# **By hand.** `C = 2`, no blocks at all (`num_layers = 0`). The target's
# table is $(1, 0)$ for token 0 and $(0, 1)$ for token 1. Token 1 at place 0:
# $y = (0, 1)\sqrt 2 + (\sin 0, \cos 0) = (0, 2.414)$. Its logits are the dot
# products with the two rows: $0$ and $2.414$.
#
# **The ladder**
# 1. *Loop.* One `for` over the encoder's blocks, one over the decoder's.
# 2. *Masks.* Three rules: the source's padding for the encoder **and** for
#    the memory; causal and the target's padding for the decoder's own tokens.
# 3. *Special cases.* Different lengths, different vocabularies; a list of
#    blocks that torch does not see (`nn.ModuleList` it does); one block used
#    `num_layers` times is not the same as `num_layers` blocks.
#
# **Closed** here: `minitx.models.seq2seq.Transformer.forward`, with its
# `encode` and `decode`, the library's stacks `blocks.Encoder` and
# `blocks.Decoder`, and torch's `nn.Transformer`.


# %%
def encoder_block(d_model, num_heads, d_ff):
    """A block as in Exercise 6.3, from the library, norms behind."""
    return blocks.EncoderBlock(
        MultiHeadAttention(d_model, num_heads),
        FeedForward(d_model, d_ff),
        norm=partial(LayerNorm, d_model),
        pre_norm=False,
    )


def decoder_block(d_model, num_heads, d_ff):
    """A block as in Exercise 6.4, from the library, norms behind."""
    return blocks.DecoderBlock(
        MultiHeadAttention(d_model, num_heads),
        MultiHeadAttention(d_model, num_heads),
        FeedForward(d_model, d_ff),
        norm=partial(LayerNorm, d_model),
        pre_norm=False,
    )


# %%
class EncoderDecoder(nn.Module):
    """The encoder-decoder of 2017, from tokens to logits.

        memory = encoder(E_src[src] √C + PE)
        logits = decoder(E_tgt[tgt] √C + PE, memory) E_tgtᵀ

    Args:
        src_vocab_size: U, tokens of the source's vocabulary.
        tgt_vocab_size: V, tokens of the target's.
        d_model: width C of every token.
        num_heads: heads of every attention.
        d_ff: width inside every feed-forward network.
        num_layers: blocks of the encoder, and of the decoder.

    Weights:
        src_embedding.weight: (U, C).
        tgt_embedding.weight: (V, C).

    Closed:
        minitx.models.seq2seq.Transformer.forward, .encode and .decode,
        minitx.blocks.Encoder and Decoder, torch's nn.Transformer.
    """

    def __init__(
        self,
        src_vocab_size,
        tgt_vocab_size,
        d_model,
        num_heads,
        d_ff,
        num_layers,
    ):
        """Make two tables and two lists of blocks."""
        super().__init__()
        raise NotImplementedError(
            "Exercise 6.5 is yours to write: Every arrow is one call. Put "
            "your code in place of this line; `minitx hint 06.5` gives a "
            "first nudge."
        )

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        """Logits of every next target token, given the tokens before it.

        Args:
            src: source tokens, (B, T_src).
            tgt: target tokens, (B, T_tgt), the start token first.
            src_real: None, or bool (B, T_src); False = padding.
            tgt_real: None, or bool (B, T_tgt); False = padding.

        Returns:
            (B, T_tgt, V).
        """
        raise NotImplementedError(
            "Exercise 6.5 is yours to write: Every arrow is one call. Put "
            "your code in place of this line; `minitx hint 06.5` gives a "
            "first nudge."
        )


# %% [markdown]
# Try it: the library's model with the same weights, under your names.

# %%
torch.manual_seed(0)
sizes = {"d_model": 8, "num_heads": 2, "d_ff": 16}
config = TransformerConfig(
    11, 13, **sizes, num_encoder_layers=2, num_decoder_layers=2, dropout=0.0
)
librarys, ours = Transformer(config), EncoderDecoder(11, 13, 8, 2, 16, 2)
state = {
    name.replace(".blocks.", "."): weight
    for name, weight in librarys.state_dict().items()
    if name != "output.weight"  # it is tgt_embedding.weight
}
ours.load_state_dict(state)
src, tgt = torch.tensor([[2, 7, 1, 8]]), torch.tensor([[0, 3, 1]])
with torch.no_grad():
    difference = (ours(src, tgt) - librarys(src, tgt)).abs().max()
print("the same logits?", bool(difference < 1e-5))

# %%
check("06.5", EncoderDecoder)

# %% [markdown]
# **Explain.** Some drawings lead an arrow from encoder block $i$ to decoder
# block $i$. What would be lost, and what would be gained?
#
# <details><summary>Answer</summary>
#
# The first decoder block would read a memory that has been worked on once
# only, and the encoder's upper blocks would serve the last decoder blocks
# alone. Encoder and decoder would need the same depth. It is a model, and
# could be trained, but it is not that of 2017: there the encoder finishes
# first, and its last output is read by all.
#
# </details>

# %% [markdown]
# ## Exercise 6.6: Greedy decoding of a batch
#
# Writing is a loop: ask for the logits of the next token, take the most
# probable one, put it behind the others, ask again. A sentence is finished
# with `eos_id`; a batch when all its sentences are.
#
# So that nothing but the loop counts, the model is a table here. `logits` is
# `(B, V, V)`: for sentence `b`, row `i` of `logits[b]` holds the logits of
# what follows token `i`. (A real decoder looks at all tokens so far; the loop
# is the same.) Each sentence begins with `bos_id`, which is not returned.
#
# Return the new tokens, int64, `(B, T_new)`: each sentence up to its
# `eos_id`, filled up with `eos_id` until the longest has ended. Stop as soon
# as all have ended, and after `max_new_tokens` at the latest.
#
# **By hand.** Two sentences, tokens 0 = BOS, 1 = EOS, 2, 3. In the first, 3
# follows BOS, and EOS follows 3; in the second, 2 follows BOS, 3 follows 2,
# EOS follows 3. Then the result is $\begin{pmatrix} 3 & 1 & 1 \\ 2 & 3 & 1
# \end{pmatrix}$: three steps, though more were allowed.
#
# **The ladder**
# 1. *Loop.* One sentence after the other, until its end; then fill up.
# 2. *Batch.* All sentences at once: the rows `logits[all_b, newest]`, their
#    `argmax`, and a row of truth values that says who has ended.
# 3. *Special cases.* What a sentence says behind its end is not wanted,
#    whatever the table says; a batch in which nobody ends; an end token in
#    the first step.
#
# **Closed** here: `minitx.generate.greedy`.

# %%
def greedy_decode(logits, bos_id, eos_id, max_new_tokens):
    """The most probable token, again and again, for all sentences at once.

    Args:
        logits: (B, V, V); logits[b, i] are those of what follows token i.
        bos_id: where each sentence begins.
        eos_id: ends a sentence, and fills it up.
        max_new_tokens: where to stop at the latest; at least 1.

    Returns:
        The new tokens, int64, as many columns as the longest sentence has.

    Closed:
        minitx.generate.greedy.
    """
    raise NotImplementedError(
        "Exercise 6.6 is yours to write: Greedy decoding of a batch. Put "
        "your code in place of this line; `minitx hint 06.6` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: two sentences, one of which ends at once: `[1, 1, 1]` and
# `[2, 3, 1]`.

# %%
follows = torch.tensor([[1, 1, 1, 1], [2, 0, 3, 1]])  # [b, i]: after token i
table = torch.eye(4)[follows]  # (2, 4, 4)
print(greedy_decode(table, 0, 1, 10))

# %%
check("06.6", greedy_decode)

# %% [markdown]
# **Question.** A batch holds one long sentence and fifteen short ones. What
# does the loop above waste, and what do programs that serve many users do?
#
# <details><summary>Answer</summary>
#
# It goes on computing fifteen sentences that have ended. Servers take a
# sentence out of the batch when it ends and put a new one in its place
# (continuous batching); every row then has a length of its own.
#
# </details>

# %% [markdown]
# ## Exercise 6.7: The nucleus
#
# Drawing from all tokens draws nonsense now and then: each unlikely token is
# unlikely, but there are thousands. Top-p, or nucleus sampling, keeps the
# **fewest** tokens whose probabilities together reach `p`, and draws among
# them. With a sure model that is one token, with an unsure one a hundred.
#
# `logits` is `(B, V)`. Return `(B, V)`, in the dtype of `logits`: the logits
# of the tokens that are kept, as they are, and $-\infty$ for all others.
# Order the tokens of a row by probability, the largest first; a token goes
# when those *before* it already have `p` or more together. So the first one
# always stays. `p` must lie above 0 and not above 1: otherwise raise a
# `ValueError` whose message holds the value of `p`. With `p = 1` everything
# stays.
#
# **By hand.** Probabilities $(0.2, 0.5, 0.3)$ and $p = 0.6$: in order they
# are $0.5, 0.3, 0.2$. Before the second there is $0.5 < 0.6$: it stays, and
# both have $0.8$. Before the third there is $0.8 \ge 0.6$: it goes. The
# result is $(-\infty, \ln 0.5, \ln 0.3)$ if the logits were logarithms.
#
# **The ladder**
# 1. *Loop.* For every row: walk through the tokens in order, and keep a sum.
# 2. *Vectors.* `sort(descending=True)` returns the order as well, `cumsum`
#    the sums. Which of its entries belong to the tokens *before*?
# 3. *Batch.* What is to go is known in sorted order. `scatter` brings truth
#    values back to where the tokens stand.
# 4. *Special cases.* A first token that has more than `p` alone; tokens that
#    have $-\infty$ already; large logits; `p = 1`, where a rounded sum can
#    reach 1 too early.
#
# **Closed** here: `minitx.generate.truncated`.

# %%
def top_p(logits, p):
    """Keep the fewest tokens that have probability p together.

        in order of probability, token n goes if p_1 + … + p_{n-1} >= p

    Args:
        logits: (B, V).
        p: above 0, at most 1; 1 keeps everything.

    Returns:
        (B, V): the logits that are kept, -inf elsewhere.

    Raises:
        ValueError: if p is not in (0, 1]; the message holds its value.

    Closed:
        minitx.generate.truncated.
    """
    raise NotImplementedError(
        "Exercise 6.7 is yours to write: The nucleus. Put your code in "
        "place of this line; `minitx hint 06.7` gives a first nudge."
    )


# %% [markdown]
# Try it: a sure row and an unsure one, the same `p`.

# %%
probabilities = torch.tensor([[0.9, 0.05, 0.03, 0.02], [0.3, 0.3, 0.2, 0.2]])
kept = top_p(probabilities.log(), 0.7).softmax(dim=-1)
for row in kept.tolist():
    print([round(share, 3) for share in row])

# %%
check("06.7", top_p)

# %% [markdown]
# **Predict.** The temperature is raised from 1 to 2 before top-p with
# `p = 0.9`. Are more tokens kept, or fewer?
#
# <details><summary>Answer</summary>
#
# More, or as many: a flatter distribution needs more tokens to reach 0.9.
# Applied *after* top-p the temperature would only reshape what was kept.
#
# </details>

# %% [markdown]
# ## Exercise 6.8: Beam search
#
# Greedy decoding never looks back: a good first word may lead nowhere. Beam
# search keeps the `K` best beginnings. Log probabilities of tokens add up,
# and a longer sentence has a smaller sum, so the sums are compared after a
# division that grows with the length:
#
# $$\text{score} = \frac{\sum_t \log P(\text{token}_t)}
#   {\big((5 + n) / 6\big)^{\alpha}} .$$
#
# $n$ counts the new tokens, the end token included; $\alpha$ is the argument
# `length_penalty`, $K$ is `num_beams`.
#
# The model is a table again, for one sentence: `logits` is `(V, V)`, row `i`
# what follows token `i`; log probabilities are its log-softmax. Begin with
# `bos_id` alone and a sum of 0. In step `n = 1, 2, …`:
#
# 1. Extend every beginning by every token: the candidates.
# 2. Candidates that end with `eos_id` are finished. Put them aside, with
#    their score.
# 3. Of all others keep the `num_beams` with the largest **sums** (all, if
#    there are fewer) as the beginnings of the next step.
# 4. In step `n = max_new_tokens` all candidates are finished as they are.
#
# Return the tuple `(tokens, score)` of the finished candidate with the
# largest score: its new tokens without `bos_id`, int64 `(n,)`, and its score,
# a tensor without axes.
#
# **By hand.** Tokens 0 = BOS, 1 = EOS, 2, 3. From BOS: 2 with 0.6, 3 with
# 0.4. From 2: EOS 0.55, 3 with 0.45. From 3: EOS with certainty. Two beams
# and $\alpha = 0$: the sentences are 2 EOS with $0.6 \cdot 0.55 = 0.33$, 3
# EOS with $0.4$, and 2 3 EOS with $0.27$. The best is 3 EOS,
# $\ln 0.4 = -0.916$. Greedy decoding would have begun with 2. With
# $\alpha = 0.6$ its score would be $-0.916 / (7/6)^{0.6} = -0.835$: $n = 2$,
# EOS counted and BOS not.
#
# **The ladder**
# 1. *Loop.* Beginnings as pairs of a list and a sum; two loops, a `sort`.
# 2. *Vectors.* All candidates are a table `(K, V)`. Flattened, place `m` is
#    beginning `m // V` and token `m % V`, and `topk` finds the best.
# 3. *Special cases.* In the first step there is one beginning, not `K`. One
#    beam, and more beams than there are candidates. A finished sentence is
#    never extended, and takes no beam from the others.
#
# **Closed** here: `minitx.generate.beam_search`.

# %%
def beam_search(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    """The best finished sentence when K beginnings are kept at each step.

        score = log probability / ((5 + n) / 6)**length_penalty

    Args:
        logits: (V, V); logits[i] are those of what follows token i.
        bos_id: where the sentence begins.
        eos_id: ends it, and counts as one of its tokens.
        num_beams: K, beginnings kept, by their sums.
        max_new_tokens: where to stop at the latest.
        length_penalty: the exponent; 0 compares plain sums.

    Returns:
        The tuple (tokens, score): new tokens, int64 with one axis, and a
        tensor without axes.

    Closed:
        minitx.generate.beam_search.
    """
    raise NotImplementedError(
        "Exercise 6.8 is yours to write: Beam search. Put your code in "
        "place of this line; `minitx hint 06.8` gives a first nudge."
    )


# %% [markdown]
# Try it: the example above, with one beam and with two.

# %%
chances = torch.tensor(
    [[0, 0, 0.6, 0.4], [0, 1, 0, 0], [0, 0.55, 0, 0.45], [0, 1, 0, 0]]
)
logits = chances.clamp(min=1e-9).log()
for K in (1, 2):
    tokens, score = beam_search(logits, 0, 1, K, 5, 0.0)
    chance = score.exp().item()
    print(f"{K} beams: {tokens.tolist()}, probability {chance:.2f}")

# %%
check("06.8", beam_search)

# %% [markdown]
# **Explain.** With ever more beams the probability of what is found rises.
# Why do translations get worse all the same, beyond some tens of beams?
#
# <details><summary>Answer</summary>
#
# Because the most probable sentence is not the best one. Models give short
# sentences, even the empty one, a probability that long ones cannot reach as
# a product of many factors; a narrow beam never finds them. The length
# penalty repairs part of it. Search errors had been hiding a fault of the
# model.
#
# </details>

# %% [markdown]
# ## Exercise 6.9: A step with a cache
#
# When a model writes, all keys and values but the newest were computed
# before. Self-attention with a cache projects the newest tokens only, puts
# their keys and values behind the old ones, and attends to all:
#
# $$\begin{aligned}
#   q &= x W_q \\
#   k &= [\,k_\text{cached},\, x W_k\,] \\
#   v &= [\,v_\text{cached},\, x W_v\,] \\
#   y &= \mathrm{softmax}\!\left(\frac{q k^\top}{\sqrt D}
#   \text{, causal}\right) v\, W_o .
#   \end{aligned}$$
#
# | argument | shape | |
# |---|---|---|
# | `x` | `(B, T, C)` | the newest tokens: often one, at first the prompt |
# | `k_cache`, `v_cache` | `(B, H, S, D)` | tokens before; `S` may be 0 |
# | `W_q`, `W_k`, `W_v`, `W_o` | `(C, C)` | used as `x @ W` |
# | `num_heads` | | `H`; head 0 has the first `D = C / H` columns |
#
# Return the tuple `(y, k, v)`: the output `(B, T, C)` and the new caches,
# `(B, H, S + T, D)`, oldest first. Leave the old ones as they are. Feeding a
# text in pieces must give, at **every** position, what one pass over the
# whole text gives.
#
# **By hand.** `C = H = 1`, all four weights 1. The cache holds the key 0 with
# the value 0. The newest token is $x = 1$: its query, key and value are 1.
# The scores are $0$ and $1$, the weights $0.269$ and $0.731$, so
# $y = 0.731$, and the new caches are both $(0, 1)$.
#
# **The ladder**
# 1. *Loop.* One new token at a time: its key and value behind the others,
#    then attention of one query to all keys there are.
# 2. *Batch.* All new tokens at once. New token `i` is token `S + i` of the
#    text: which columns may it see?
# 3. *Special cases.* An empty cache; several new tokens, where a mask that
#    begins at the top left is wrong: `is_causal=True` of
#    `F.scaled_dot_product_attention` is such a one.
#
# **Closed** here: `minitx.multihead.MultiHeadAttention.forward` and torch's
# multi-head attention. Open are `functional.attention_scores`,
# `functional.masked_softmax` and
# `functional.scaled_dot_product_attention(q, k, v, mask=…)`, which takes
# `Mask(causal=True)`, aligned at the bottom right.

# %%
def decode_step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """Causal self-attention of the newest tokens, with a cache.

        k = [k_cache, x W_k],   v = [v_cache, x W_v]
        y = softmax(q kᵀ / √D, not ahead) v W_o,   q = x W_q

    Args:
        x: the newest tokens, (B, T, C).
        k_cache: keys of the tokens before, (B, H, S, D).
        v_cache: their values, (B, H, S, D).
        W_q, W_k, W_v, W_o: (C, C), used as x @ W.
        num_heads: H.

    Returns:
        The tuple (y, k, v): the output, (B, T, C), and the caches with the
        newest tokens behind the others, each of S + T tokens.

    Closed:
        minitx.multihead.MultiHeadAttention.forward, torch's multi-head
        attention.
    """
    raise NotImplementedError(
        "Exercise 6.9 is yours to write: A step with a cache. Put your code "
        "in place of this line; `minitx hint 06.9` gives a first nudge."
    )


# %% [markdown]
# Try it: seven tokens at once, and the same seven in pieces of 3, 2, 1 and 1.

# %%
torch.manual_seed(0)
x, weights = torch.randn(1, 7, 8), torch.randn(4, 8, 8) / 3
empty = torch.empty(1, 2, 0, 4)
whole, _, _ = decode_step(x, empty, empty, *weights, 2)
k = v = empty
pieces = []
for piece in x.split([3, 2, 1, 1], dim=1):
    y, k, v = decode_step(piece, k, v, *weights, 2)
    pieces.append(y)
same = torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
print("the same output at every position?", same, "| cached:", k.shape[2])

# %%
check("06.9", decode_step)

# %% [markdown]
# **Predict.** With one new token the mask forbids nothing. Somebody leaves it
# out. Which test notices, and which does not?
#
# <details><summary>Answer</summary>
#
# Word by word everything is right. Wrong is the *prompt*, several tokens at
# once: all of them but the last see tokens ahead. The output of the last is
# right in the first layer, and wrong from the second layer on, whose keys
# were made from the spoiled ones. A test of the last position of one layer
# does not notice; one of every position does.
#
# </details>

# %% [markdown]
# ## Exercise 6.10: The gaps that BERT fills
#
# BERT is given a text with some tokens hidden, and asked for them. A token is
# chosen with probability 15 %. Of the chosen ones 80 % become the mask token,
# 10 % become a random token, and 10 % stay as they are; all the chosen are
# asked for. Special tokens (start, end, padding, the mask itself) are never
# chosen.
#
# Chance would make two right answers differ, so the dice are thrown for you:
#
# | argument | shape | |
# |---|---|---|
# | `token_ids` | `(B, T)` | the texts |
# | `chance` | `(B, T)` | from $[0, 1)$: chosen are those below 0.15 |
# | `fate` | `(B, T)` | from $[0, 1)$: what becomes of the chosen |
# | `drawn` | `(B, T)` | what they are exchanged for |
# | `mask_id` | | the mask token |
# | `special_ids` | `(N)` | tokens that are never chosen |
#
# A chosen token whose `fate` is below 0.8 is masked; from 0.8 to below 0.9 it
# is exchanged for the drawn one; from 0.9 on it stays.
#
# Return the tuple `(inputs, targets)`, both `(B, T)`: the corrupted texts,
# and the original tokens where they are asked for, `IGNORE` (−100) elsewhere.
#
# **By hand.** Tokens $(7, 8, 9, 1)$, where 1 is special, mask 4, `drawn`
# $(6, 6, 6, 6)$. `chance` is $(0.1, 0.1, 0.5, 0.1)$ and `fate` is
# $(0.3, 0.85, 0.3, 0.3)$. Token 7 is masked, 8 is exchanged, 9 is not chosen,
# 1 is spared: `inputs` $(4, 6, 9, 1)$, `targets` $(7, 8, -100, -100)$.
#
# **The ladder**
# 1. *Loop.* One token at a time, with `if` and `elif`.
# 2. *Batch.* Who is chosen is one table of truth values; `torch.isin` knows
#    the special ones. Two applications of `torch.where`.
# 3. *Special cases.* The tokens that stay are asked for as well. Nobody asks
#    for a token that was not chosen, whatever its fate.
#
# **Closed** here: `minitx.data.corruption.mask_tokens`.

# %%
def corrupt_for_mlm(token_ids, chance, fate, drawn, mask_id, special_ids):
    """Hide some tokens from BERT, and ask for them.

    Args:
        token_ids: the texts, (B, T).
        chance: numbers from [0, 1), (B, T); below 0.15 a token is chosen.
        fate: numbers from [0, 1), (B, T); below 0.8 the chosen token
            becomes mask_id, from 0.8 to below 0.9 the drawn one.
        drawn: tokens, (B, T).
        mask_id: the token that hides another.
        special_ids: tokens that are never chosen, (N).

    Returns:
        The tuple (inputs, targets), integers, each (B, T); targets are
        IGNORE where nothing is asked.

    Closed:
        minitx.data.corruption.mask_tokens.
    """
    raise NotImplementedError(
        "Exercise 6.10 is yours to write: The gaps that BERT fills. Put "
        "your code in place of this line; `minitx hint 06.10` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: ten thousand tokens, and what became of them.

# %%
torch.manual_seed(0)
shape = (10, 1000)
tokens = torch.randint(10, 100, shape)
dice = torch.rand(shape), torch.rand(shape), torch.randint(10, 100, shape)
inputs, targets = corrupt_for_mlm(tokens, *dice, 4, torch.arange(10))
asked = targets != IGNORE
masked = inputs[asked] == 4
print(f"asked for: {asked.float().mean():.1%} of all")
print(f"masked: {masked.float().mean():.1%} of those asked for")

# %%
check("06.10", corrupt_for_mlm)

# %% [markdown]
# **Explain.** Why are 10 % left as they are, if they are asked for all the
# same?
#
# <details><summary>Answer</summary>
#
# In later use no text holds mask tokens. If only masked places were asked
# for, the model could stop caring about all others. As it is, any token may
# be the one that is asked for, and may be wrong: the model must keep a good
# vector at every place.
#
# </details>

# %% [markdown]
# ## Exercise 6.11: The spans that T5 writes
#
# T5 takes whole spans out of a text. In the source each span becomes one
# token, a *sentinel*; the target is each sentinel with the span it stands
# for, and one sentinel more as the end:
#
# | | |
# |---|---|
# | text | our **old cat** slept all day **on** the roof |
# | source | our ⟨0⟩ slept all day ⟨1⟩ the roof |
# | target | ⟨0⟩ old cat ⟨1⟩ on ⟨2⟩ |
#
# `token_ids` is `(T)`, the text; `taken_out` is boolean, `(T)`, and
# neighbours that are both `True` belong to the same span; `sentinels` is
# `(N)`: the token for the first span, for the second, and so on. Return the
# tuple `(source, target)`, two tensors of tokens with one axis each. At
# least one sentinel more is needed than there are spans; further ones are
# left over. If there are fewer, raise a `ValueError` whose message holds both
# numbers, how many there are and how many are needed.
#
# **By hand.** Text $(5, 6, 7, 8, 9)$, taken out are 6, 7 and 9; sentinels
# $(99, 98, 97)$. The source is $(5, 99, 8, 98)$, the target
# $(99, 6, 7, 98, 9, 97)$.
#
# **The ladder**
# 1. *Loop.* One token at a time. A span begins where a token is taken out and
#    the one before was not.
# 2. *Vectors.* Where spans begin is `taken_out & ~before`; the number of the
#    span that each place belongs to is a `cumsum` of that. Put a sentinel
#    beside every token, `(T, 2)`, and choose from these pairs.
# 3. *Special cases.* A text that begins or ends with a span; no span at all;
#    everything taken out.
#
# **Closed** here: `minitx.data.corruption.corrupt_spans`.

# %%
def corrupt_spans(token_ids, taken_out, sentinels):
    """A text with a sentinel for each span, and the spans as the target.

    Args:
        token_ids: the text, (T).
        taken_out: bool, (T); neighbours belong to one span.
        sentinels: tokens for the spans in order, (N), N above their number.

    Returns:
        The tuple (source, target): integers with one axis each.

    Raises:
        ValueError: if there are too few sentinels; the message says how many
            there are and how many are needed.

    Closed:
        minitx.data.corruption.corrupt_spans.
    """
    raise NotImplementedError(
        "Exercise 6.11 is yours to write: The spans that T5 writes. Put "
        "your code in place of this line; `minitx hint 06.11` gives a first "
        "nudge."
    )


# %% [markdown]
# Try it: the sentence above.

# %%
text = ["our", "old", "cat", "slept", "all", "day", "on", "the", "roof"]
words = [*text, "<0>", "<1>", "<2>"]
out = torch.tensor([word in ("old", "cat", "on") for word in text])
for part in corrupt_spans(torch.arange(9), out, torch.arange(9, 12)):
    print(" ".join(words[i] for i in part))

# %%
check("06.11", corrupt_spans)

# %% [markdown]
# **Question.** The target is much shorter than the text. Why is that an
# advantage, and over which other way of filling gaps?
#
# <details><summary>Answer</summary>
#
# A decoder pays for every token of its target. BART, for instance, writes the
# whole text again, though most of it stood in the source; T5 writes only
# what is missing, and learns as much from it with less computing.
#
# </details>
