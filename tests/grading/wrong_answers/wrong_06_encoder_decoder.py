"""Wrong answers to chapter 6, written without the bank: each says what is wrong in truth."""
# mypy: ignore-errors
# ruff: noqa: B905, E731, RET503, RET504, RUF005, RUF059, SIM300 (left as they were written)

import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from minitx import blocks, functional
from minitx.blocks import Residual
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import Mask
from minitx.multihead import MultiHeadAttention
from minitx.positions import Sinusoidal


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


@wrong("06.1")
def strict_triangle(src, tgt, pad_id):
    """The triangle leaves out the diagonal, so no token may attend to itself."""
    T = tgt.shape[1]
    i = torch.arange(T)
    before = i[None, :] < i[:, None]
    own = before[None] & (tgt != pad_id)[:, None, :]
    cross = (src != pad_id)[:, None, :].expand(-1, T, -1)
    return own, cross


@wrong("06.1")
def rows_of_padding_too(src, tgt, pad_id):
    """Rows of padding are forbidden as well, though the formula asks about columns only."""
    t = tgt != pad_id
    s = src != pad_id
    own = torch.tril(t[:, :, None] & t[:, None, :])
    cross = t[:, :, None] & s[:, None, :]
    return own, cross


@wrong("06.1")
def or_for_and(src, tgt, pad_id):
    """The triangle and the padding are joined with or, so words that lie ahead are allowed."""
    B, T_tgt = tgt.shape
    tri = torch.ones(T_tgt, T_tgt, dtype=torch.bool).tril()
    own = tri.unsqueeze(0) | tgt.ne(pad_id).unsqueeze(1)
    cross = src.ne(pad_id).unsqueeze(1).repeat(1, T_tgt, 1)
    return own, cross


@wrong("06.1")
def zero_is_padding(src, tgt, pad_id):
    """Truth values of the tokens are taken with .bool(), so 0 is padding whatever pad_id is."""
    T_tgt = tgt.size(1)
    causal = torch.tril(torch.ones(T_tgt, T_tgt)).bool()
    own = causal & tgt.bool()[:, None, :]
    cross = src.bool()[:, None, :].expand(src.size(0), T_tgt, src.size(1))
    return own, cross


@wrong("06.1")
def cross_is_causal(src, tgt, pad_id):
    """The mask for the source has a triangle too, so target token i sees only the source up to
    i.
    """
    B, T_src = src.shape
    T_tgt = tgt.shape[1]
    own = torch.zeros(B, T_tgt, T_tgt, dtype=torch.bool)
    cross = torch.zeros(B, T_tgt, T_src, dtype=torch.bool)
    for b in range(B):
        for i in range(T_tgt):
            for j in range(T_tgt):
                own[b, i, j] = j <= i and tgt[b, j] != pad_id
            for j in range(T_src):
                cross[b, i, j] = j <= i and src[b, j] != pad_id
    return own, cross


@wrong("06.1")
def true_means_forbidden(src, tgt, pad_id):
    """The masks follow torch's key_padding_mask, where True means that a key is left out."""
    T_tgt = tgt.shape[1]
    ahead = torch.triu(torch.ones(T_tgt, T_tgt, dtype=torch.bool), diagonal=1)
    own = ahead[None] | (tgt == pad_id)[:, None, :]
    cross = (src == pad_id)[:, None, :].expand(-1, T_tgt, -1)
    return own, cross


@wrong("06.1")
def axis_of_one_kept(src, tgt, pad_id):
    """Cross is not expanded and has the shape (B, 1, T_src) instead of (B, T_tgt, T_src)."""
    n = tgt.shape[-1]
    tri = torch.ones((n, n), dtype=torch.bool).tril()
    own = tri & (tgt != pad_id).unsqueeze(-2)
    cross = (src != pad_id).unsqueeze(-2)
    return own, cross


@wrong("06.1")
def integers(src, tgt, pad_id):
    """The masks are products of integers 0 and 1, not booleans."""
    T_tgt = tgt.shape[1]
    tri = torch.tril(torch.ones(T_tgt, T_tgt, dtype=torch.long))
    own = tri[None, :, :] * (tgt != pad_id).long()[:, None, :]
    cross = torch.ones(T_tgt, 1, dtype=torch.long) * (src != pad_id).long()[:, None, :]
    return own, cross


@wrong("06.2")
def end_behind_the_padding(tgt, bos_id, eos_id, pad_id):
    """The end token stands in the last column of every row, behind the padding, instead of right
    behind the last word.
    """
    B = tgt.shape[0]
    bos = torch.full((B, 1), bos_id, dtype=tgt.dtype)
    eos = torch.full((B, 1), eos_id, dtype=tgt.dtype)
    inputs = torch.cat([bos, tgt], dim=1)
    targets = torch.cat([tgt.masked_fill(tgt == pad_id, -100), eos], dim=1)
    return inputs, targets


@wrong("06.2")
def padding_is_asked_for(tgt, bos_id, eos_id, pad_id):
    """Behind the end token the targets keep pad_id instead of IGNORE."""
    B, T = tgt.shape
    inputs = torch.full((B, T + 1), pad_id, dtype=torch.long)
    targets = torch.full((B, T + 1), pad_id, dtype=torch.long)
    for b in range(B):
        words = [int(w) for w in tgt[b] if w != pad_id]
        n = len(words)
        inputs[b, : n + 1] = torch.tensor([bos_id] + words)
        targets[b, : n + 1] = torch.tensor(words + [eos_id])
    return inputs, targets


@wrong("06.2")
def pad_replaced_after_end(tgt, bos_id, eos_id, pad_id):
    """The end token is set first and then everything equal to pad_id becomes IGNORE, so the end
    is lost where pad_id == eos_id.
    """
    n = (tgt != pad_id).sum(dim=1)
    inputs = F.pad(tgt, (1, 0), value=bos_id)
    targets = F.pad(tgt, (0, 1), value=pad_id)
    targets[torch.arange(len(tgt)), n] = eos_id
    targets = torch.where(targets == pad_id, -100, targets)
    return inputs, targets


@wrong("06.2")
def end_over_the_last_word(tgt, bos_id, eos_id, pad_id):
    """The end token is written at column n - 1, over the last word, instead of at column n."""
    real = tgt != pad_id
    n = real.sum(1, keepdim=True)
    inputs = F.pad(tgt, (1, 0), value=bos_id)
    targets = F.pad(tgt.masked_fill(~real, -100), (0, 1), value=-100)
    targets = targets.scatter(1, (n - 1).clamp(min=0), eos_id)
    return inputs, targets


@wrong("06.2")
def last_column_dropped(tgt, bos_id, eos_id, pad_id):
    """The inputs are BOS and tgt[:, :-1], so a sentence that fills its row loses its last word,
    and both have T columns.
    """
    inputs = torch.roll(tgt, 1, dims=1)
    inputs[:, 0] = bos_id
    targets = tgt.clone()
    targets[tgt == pad_id] = -100
    n = (tgt != pad_id).sum(1)
    for b in range(tgt.shape[0]):
        if n[b] < tgt.shape[1]:
            targets[b, n[b]] = eos_id
    return inputs, targets


@wrong("06.2")
def end_goes_in(tgt, bos_id, eos_id, pad_id):
    """The end token stands in the inputs as well, where padding should follow the last word."""
    B, T = tgt.shape
    n = (tgt != pad_id).sum(1)
    whole = torch.full((B, T + 2), pad_id, dtype=tgt.dtype)
    whole[:, 0] = bos_id
    whole[:, 1 : T + 1] = tgt
    whole[torch.arange(B), n + 1] = eos_id
    inputs, targets = whole[:, :-1].clone(), whole[:, 1:].clone()
    targets[torch.arange(T + 1) > n[:, None]] = -100
    return inputs, targets


@wrong("06.2")
def one_length_for_all(tgt, bos_id, eos_id, pad_id):
    """The end token stands at the length of the longest sentence in every row, so shorter ones
    have it behind their padding.
    """
    B, T = tgt.shape
    n = int((tgt != pad_id).sum(dim=1).max())
    inputs = torch.cat((torch.full((B, 1), bos_id), tgt), dim=1)
    targets = torch.full((B, T + 1), -100)
    targets[:, :T][tgt != pad_id] = tgt[tgt != pad_id]
    targets[:, n] = eos_id
    return inputs, targets


@wrong("06.2")
def no_end(tgt, bos_id, eos_id, pad_id):
    """The end token is never asked for: everything behind the last word is IGNORE."""
    inputs = F.pad(tgt, (1, 0), value=bos_id)
    targets = F.pad(tgt, (0, 1), value=pad_id)
    targets = targets.masked_fill(targets == pad_id, -100)
    return inputs, targets


@wrong("06.3")
class OneNormForBoth(nn.Module):
    """Both residuals share the same LayerNorm object, so there is one set of norm weights
    instead of two.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        norm = LayerNorm(d_model)
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(norm, pre_norm=pre_norm)
        self.feed_forward_residual = Residual(norm, pre_norm=pre_norm)

    def forward(self, x, real=None):
        mask = Mask(key_padding=real)
        x = self.attention_residual(x, lambda h: self.attention(h, mask=mask))
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.3")
class PaddingNotMasked(nn.Module):
    """Real is taken but never given to the attention."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, real=None):
        y = self.attention_residual(x, self.attention)
        return self.feed_forward_residual(y, self.feed_forward)


@wrong("06.3")
class MaskTurnedRound(nn.Module):
    """The mask is inverted with ~, so tokens attend to the padding and not to the words."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, real=None):
        padding = None if real is None else ~real
        mask = Mask(key_padding=padding)

        def look(h):
            return self.attention(h, mask=mask)

        x = self.attention_residual(x, look)
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.3")
class PreNormForgottenOnce(nn.Module):
    """The second Residual is made with pre_norm=False always, so a pre-norm block has one norm
    before and one behind.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=False)

    def forward(self, x, real=None):
        mask = Mask(key_padding=real)
        x = self.attention_residual(x, lambda t: self.attention(t, mask=mask))
        x = self.feed_forward_residual(x, lambda t: self.feed_forward(t))
        return x


@wrong("06.3")
class SecondRoadFromX(nn.Module):
    """The feed-forward network works on y, but its result is added to the block's input x
    instead of to y.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, real=None):
        mask = Mask(key_padding=real)
        norm1 = self.attention_residual.norm
        norm2 = self.feed_forward_residual.norm
        if self.pre_norm:
            y = x + self.attention(norm1(x), mask=mask)
            return x + self.feed_forward(norm2(y))
        y = norm1(x + self.attention(x, mask=mask))
        return norm2(x + self.feed_forward(y))


@wrong("06.3")
class LooksBackOnly(nn.Module):
    """The mask is causal as in a decoder, so no token sees the words behind it."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, real=None):
        mask = Mask(causal=True, key_padding=real)
        x = self.attention_residual(x, lambda h: self.attention(h, mask=mask))
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.3")
class PaddingSetToZero(nn.Module):
    """Padding is multiplied with 0 before the attention instead of being masked, so it still
    gets attention weights.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def attend(self, h, real):
        if real is None:
            return self.attention(h)
        return self.attention(h, h * real[..., None])

    def forward(self, x, real=None):
        x = self.attention_residual(x, lambda h: self.attend(h, real))
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.4")
class MemoryIsCausal(nn.Module):
    """The mask of the cross-attention is causal too, so parts of the memory are hidden as if
    they lay ahead.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, memory, real=None, memory_real=None):
        own = Mask(causal=True, key_padding=real)
        other = Mask(causal=True, key_padding=memory_real)
        x = self.self_attention_residual(x, lambda h: self.self_attention(h, mask=own))
        x = self.cross_attention_residual(x, lambda h: self.cross_attention(h, memory, mask=other))
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.4")
class MemoryPaddingNotMasked(nn.Module):
    """Memory_real is ignored, so the decoder attends to the padding of the source."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        for name in ("self_attention", "cross_attention", "feed_forward"):
            setattr(self, name + "_residual", Residual(LayerNorm(d_model), pre_norm=pre_norm))

    def forward(self, x, memory, real=None, memory_real=None):
        mask = Mask(causal=True, key_padding=real)
        y = self.self_attention_residual(x, lambda t: self.self_attention(t, mask=mask))
        z = self.cross_attention_residual(y, lambda t: self.cross_attention(t, memory))
        return self.feed_forward_residual(z, self.feed_forward)


@wrong("06.4")
class CausalOnlyWithPadding(nn.Module):
    """Without real no mask at all is given to the self-attention, so the block looks ahead then."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, memory, real=None, memory_real=None):
        own = Mask() if real is None else Mask(causal=True, key_padding=real)
        cross = Mask(key_padding=memory_real)
        x = self.self_attention_residual(x, lambda h: self.self_attention(h, mask=own))
        x = self.cross_attention_residual(x, lambda h: self.cross_attention(h, memory, mask=cross))
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.4")
class MemoryNormalised(nn.Module):
    """With pre_norm the memory goes through the norm of the cross-attention as well."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, memory, real=None, memory_real=None):
        own = Mask(causal=True, key_padding=real)
        other = Mask(key_padding=memory_real)
        n1 = self.self_attention_residual.norm
        n2 = self.cross_attention_residual.norm
        n3 = self.feed_forward_residual.norm
        if self.pre_norm:
            x = x + self.self_attention(n1(x), mask=own)
            x = x + self.cross_attention(n2(x), n2(memory), mask=other)
            return x + self.feed_forward(n3(x))
        x = n1(x + self.self_attention(x, mask=own))
        x = n2(x + self.cross_attention(x, memory, mask=other))
        return n3(x + self.feed_forward(x))


@wrong("06.4")
class AsksWithTheOldX(nn.Module):
    """The queries of the cross-attention come from the block's input x instead of from y."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, memory, real=None, memory_real=None):
        own = Mask(causal=True, key_padding=real)
        other = Mask(key_padding=memory_real)
        question = self.cross_attention_residual.norm(x) if self.pre_norm else x
        y = self.self_attention_residual(x, lambda h: self.self_attention(h, mask=own))
        z = self.cross_attention_residual(
            y, lambda h: self.cross_attention(question, memory, mask=other)
        )
        return self.feed_forward_residual(z, self.feed_forward)


@wrong("06.4")
class CrossFirst(nn.Module):
    """The cross-attention stands before the self-attention."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        make = lambda: Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.self_attention_residual = make()
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention_residual = make()
        self.feed_forward = FeedForward(d_model, d_ff)
        self.feed_forward_residual = make()

    def forward(self, x, memory, real=None, memory_real=None):
        def cross(h):
            return self.cross_attention(h, memory, mask=Mask(key_padding=memory_real))

        def own(h):
            return self.self_attention(h, mask=Mask(causal=True, key_padding=real))

        x = self.cross_attention_residual(x, cross)
        x = self.self_attention_residual(x, own)
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.4")
class OneAttentionForBoth(nn.Module):
    """Cross_attention is the same module as self_attention, so both share their weights."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.self_attention = self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, memory, real=None, memory_real=None):
        own = Mask(causal=True, key_padding=real)
        cross = Mask(key_padding=memory_real)
        x = self.self_attention_residual(x, lambda h: self.self_attention(h, mask=own))
        x = self.cross_attention_residual(x, lambda h: self.cross_attention(h, memory, mask=cross))
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.4")
class OwnPaddingNotMasked(nn.Module):
    """The self-attention is causal but does not get real, so it attends to padding that stands
    before a token.
    """

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def forward(self, x, memory, real=None, memory_real=None):
        x = self.self_attention_residual(
            x, lambda h: self.self_attention(h, mask=Mask(causal=True))
        )
        x = self.cross_attention_residual(
            x, lambda h: self.cross_attention(h, memory, mask=Mask(key_padding=memory_real))
        )
        return self.feed_forward_residual(x, self.feed_forward)


@wrong("06.5")
class RootAfterPositions(nn.Module):
    """The factor sqrt(C) multiplies the sum of embedding and position, not the embedding alone."""

    def __init__(
        self,
        src_vocab_size,
        tgt_vocab_size,
        d_model,
        num_heads,
        d_ff,
        num_layers,
    ):
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = nn.ModuleList(
            [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = self.position.embed(table(tokens), torch.arange(tokens.shape[1])[None])
        return x * self.d_model**0.5

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask, memory_mask=src_mask)
        return y @ self.tgt_embedding.weight.T


@wrong("06.5")
class NoRoot(nn.Module):
    """The embeddings are not multiplied by sqrt(C)."""

    def __init__(
        self,
        src_vocab_size,
        tgt_vocab_size,
        d_model,
        num_heads,
        d_ff,
        num_layers,
    ):
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = nn.ModuleList(
            [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = table(tokens)
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask, memory_mask=src_mask)
        return y @ self.tgt_embedding.weight.T


@wrong("06.5")
class LayerByLayer(nn.Module):
    """Decoder block i reads the output of encoder block i instead of that of the last one."""

    def __init__(
        self,
        src_vocab_size,
        tgt_vocab_size,
        d_model,
        num_heads,
        d_ff,
        num_layers,
    ):
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = nn.ModuleList(
            [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = table(tokens) * self.d_model**0.5
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        x = self.embed(src, self.src_embedding)
        y = self.embed(tgt, self.tgt_embedding)
        for enc, dec in zip(self.encoder, self.decoder):
            x = enc(x, mask=src_mask)
            y = dec(y, x, mask=tgt_mask, memory_mask=src_mask)
        return y @ self.tgt_embedding.weight.T


@wrong("06.5")
class MemoryMaskForgotten(nn.Module):
    """The encoder hides the padding of the source, but the decoder attends to it since
    memory_mask is not given.
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
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = nn.ModuleList(
            [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = table(tokens) * self.d_model**0.5
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask)
        return y @ self.tgt_embedding.weight.T


@wrong("06.5")
class OneBlockManyTimes(nn.Module):
    """[block] * num_layers puts one and the same block into the list num_layers times, so all
    layers share their weights.
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
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList([encoder_block(d_model, num_heads, d_ff)] * num_layers)
        self.decoder = nn.ModuleList([decoder_block(d_model, num_heads, d_ff)] * num_layers)
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = table(tokens) * self.d_model**0.5
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask, memory_mask=src_mask)
        return y @ self.tgt_embedding.weight.T


@wrong("06.5")
class PlainList(nn.Module):
    """The decoder is a plain list, whose blocks torch does not see: they are missing from
    parameters() and state_dict().
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
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = table(tokens) * self.d_model**0.5
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask, memory_mask=src_mask)
        return y @ self.tgt_embedding.weight.T


@wrong("06.5")
class HeadOfItsOwn(nn.Module):
    """The output layer is an nn.Linear with weights of its own instead of the table of the
    target.
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
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = nn.ModuleList(
            [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.position = Sinusoidal(d_model)
        self.output = nn.Linear(d_model, tgt_vocab_size, bias=False)

    def embed(self, tokens, table):
        x = table(tokens) * self.d_model**0.5
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask, memory_mask=src_mask)
        return self.output(y)


@wrong("06.5")
class Probabilities(nn.Module):
    """A softmax stands behind the output layer, so probabilities are returned instead of logits."""

    def __init__(
        self,
        src_vocab_size,
        tgt_vocab_size,
        d_model,
        num_heads,
        d_ff,
        num_layers,
    ):
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder = nn.ModuleList(
            [encoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.decoder = nn.ModuleList(
            [decoder_block(d_model, num_heads, d_ff) for _ in range(num_layers)]
        )
        self.position = Sinusoidal(d_model)

    def embed(self, tokens, table):
        x = table(tokens) * self.d_model**0.5
        return self.position.embed(x, torch.arange(tokens.shape[1])[None])

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_mask = Mask(key_padding=src_real)
        tgt_mask = Mask(causal=True, key_padding=tgt_real)
        memory = self.embed(src, self.src_embedding)
        for block in self.encoder:
            memory = block(memory, mask=src_mask)
        y = self.embed(tgt, self.tgt_embedding)
        for block in self.decoder:
            y = block(y, memory, mask=tgt_mask, memory_mask=src_mask)
        return (y @ self.tgt_embedding.weight.T).softmax(dim=-1)


@wrong("06.6")
def talks_behind_its_end(logits, bos_id, eos_id, max_new_tokens):
    """Nothing is done with sentences that have ended: they go on with whatever the table says,
    until all have ended.
    """
    B = logits.shape[0]
    rows = torch.arange(B)
    newest = torch.full((B,), bos_id)
    done = torch.zeros(B, dtype=torch.bool)
    out = []
    for _ in range(max_new_tokens):
        newest = logits[rows, newest].argmax(-1)
        out.append(newest)
        done |= newest == eos_id
        if done.all():
            break
    return torch.stack(out, dim=1)


@wrong("06.6")
def stops_at_the_first_end(logits, bos_id, eos_id, max_new_tokens):
    """The loop stops as soon as any sentence has ended, not when all have."""
    B = logits.size(0)
    tokens = torch.full((B, 1), bos_id, dtype=torch.long)
    ended = torch.zeros(B, dtype=torch.bool)
    for _ in range(max_new_tokens):
        step = logits[torch.arange(B), tokens[:, -1]]
        nxt = step.argmax(dim=-1).masked_fill(ended, eos_id)
        tokens = torch.cat([tokens, nxt[:, None]], dim=1)
        ended = ended | (nxt == eos_id)
        if ended.any():
            break
    return tokens[:, 1:]


@wrong("06.6")
def start_is_returned(logits, bos_id, eos_id, max_new_tokens):
    """The start token is returned as the first column."""
    B = len(logits)
    tokens = torch.full((B, 1), bos_id)
    done = torch.zeros(B, dtype=torch.bool)
    while tokens.shape[1] <= max_new_tokens and not done.all():
        nxt = logits[torch.arange(B), tokens[:, -1]].argmax(-1)
        nxt[done] = eos_id
        done = done | (nxt == eos_id)
        tokens = torch.cat((tokens, nxt.unsqueeze(1)), dim=1)
    return tokens


@wrong("06.6")
def always_to_the_maximum(logits, bos_id, eos_id, max_new_tokens):
    """The result always has max_new_tokens columns: the loop does not stop when all sentences
    have ended.
    """
    B = logits.shape[0]
    out = torch.full((B, max_new_tokens), eos_id, dtype=torch.long)
    for b in range(B):
        newest = bos_id
        for n in range(max_new_tokens):
            newest = int(logits[b, newest].argmax())
            out[b, n] = newest
            if newest == eos_id:
                break
    return out


@wrong("06.6")
def filled_with_zeros(logits, bos_id, eos_id, max_new_tokens):
    """Sentences that have ended are filled up with 0 instead of eos_id."""
    sentences = []
    for table in logits:
        words, newest = [], bos_id
        while len(words) < max_new_tokens:
            newest = table[newest].argmax().item()
            words.append(newest)
            if newest == eos_id:
                break
        sentences.append(words)
    longest = max(len(w) for w in sentences)
    return torch.tensor([w + [0] * (longest - len(w)) for w in sentences])


@wrong("06.6")
def first_table_for_all(logits, bos_id, eos_id, max_new_tokens):
    """The rows are taken from the table of the first sentence, for every sentence of the batch."""
    B = logits.shape[0]
    newest = torch.full((B,), bos_id)
    ended = torch.zeros(B, dtype=torch.bool)
    columns = []
    for _ in range(max_new_tokens):
        newest = logits[0][newest].argmax(dim=-1)
        newest = torch.where(ended, torch.full_like(newest, eos_id), newest)
        columns.append(newest)
        ended = ended | newest.eq(eos_id)
        if bool(ended.all()):
            break
    return torch.stack(columns, 1)


@wrong("06.6")
def end_is_not_returned(logits, bos_id, eos_id, max_new_tokens):
    """The end token of the longest sentence is not returned: the loop breaks before it is
    appended.
    """
    B = logits.shape[0]
    idx = torch.arange(B)
    newest = torch.full((B,), bos_id)
    done = torch.zeros(B, dtype=torch.bool)
    out = torch.empty(B, 0, dtype=torch.long)
    for _ in range(max_new_tokens):
        newest = logits[idx, newest].argmax(-1).masked_fill(done, eos_id)
        done = done | (newest == eos_id)
        if done.all():
            break
        out = torch.cat([out, newest[:, None]], dim=1)
    return out


@wrong("06.6")
def notices_the_end_too_late(logits, bos_id, eos_id, max_new_tokens):
    """Whether all have ended is asked before the newest tokens are counted, so there is one
    column too many.
    """
    B = logits.shape[0]
    tokens = [torch.full((B,), bos_id)]
    done = torch.zeros(B, dtype=torch.bool)
    for _ in range(max_new_tokens):
        new = logits[torch.arange(B), tokens[-1]].argmax(dim=1)
        new = torch.where(done, eos_id, new)
        tokens.append(new)
        if done.all():
            break
        done = done | (new == eos_id)
    return torch.stack(tokens[1:], dim=1)


@wrong("06.7")
def sum_with_itself(logits, p):
    """The running sum includes the token itself, so the token that crosses p goes, and a first
    token above p goes too.
    """
    if not 0 < p <= 1:
        raise ValueError(f"p must lie in (0, 1], got {p}")
    if p == 1:
        return logits.clone()
    probs, order = logits.softmax(-1).sort(descending=True)
    gone = probs.cumsum(-1) >= p
    gone = torch.zeros_like(gone).scatter(-1, order, gone)
    return logits.masked_fill(gone, float("-inf"))


@wrong("06.7")
def not_scattered_back(logits, p):
    """What goes is known in sorted order, and is applied to the unsorted logits as it is."""
    if p <= 0 or p > 1:
        raise ValueError(f"p={p} is not in (0, 1]")
    if p == 1:
        return logits.clone()
    ordered, order = torch.sort(logits, dim=-1, descending=True)
    probs = torch.softmax(ordered, dim=-1)
    before = torch.cumsum(probs, dim=-1) - probs
    return logits.masked_fill(before >= p, -torch.inf)


@wrong("06.7")
def probabilities_returned(logits, p):
    """The probabilities of the tokens that are kept are returned instead of their logits."""
    if not (0 < p <= 1):
        raise ValueError(f"p is {p}")
    probs = logits.softmax(dim=-1)
    out = torch.full_like(logits, float("-inf"))
    for b in range(logits.shape[0]):
        total = 0.0
        for i in probs[b].argsort(descending=True).tolist():
            if p < 1 and total >= p:
                break
            out[b, i] = probs[b, i]
            total += probs[b, i].item()
    return out


@wrong("06.7")
def p_of_zero_allowed(logits, p):
    """P is checked for above 1 only, so p = 0 or a negative p raises no error."""
    if p > 1:
        raise ValueError(f"p must be at most 1, got {p}")
    if p == 1:
        return logits.clone()
    sorted_logits, order = logits.sort(dim=-1, descending=True)
    probs = sorted_logits.softmax(-1)
    remove = (probs.cumsum(-1) - probs) >= p
    remove[..., 0] = False
    mask = torch.empty_like(remove).scatter_(-1, order, remove)
    return logits.masked_fill(mask, float("-inf"))


@wrong("06.7")
def p_of_one_rounds(logits, p):
    """P = 1 is no special case, so unlikely tokens go when a rounded sum reaches 1 before them."""
    if not 0.0 < p <= 1.0:
        raise ValueError(f"p must be above 0 and at most 1, not {p}")
    ordered, order = logits.sort(dim=-1, descending=True)
    sums = ordered.softmax(dim=-1).cumsum(dim=-1)
    gone = torch.zeros_like(sums, dtype=torch.bool)
    gone[:, 1:] = sums[:, :-1] >= p
    gone = torch.zeros_like(gone).scatter(1, order, gone)
    return logits.masked_fill(gone, float("-inf"))


@wrong("06.7")
def order_used_as_inverse(logits, p):
    """The sorted logits are brought back with gather(order) instead of with the inverse of the
    order.
    """
    if not 0 < p <= 1:
        raise ValueError(f"p must be in (0, 1], got {p}")
    if p == 1:
        return logits.clone()
    ordered, order = logits.sort(-1, descending=True)
    probs = ordered.softmax(-1)
    before = probs.cumsum(-1) - probs
    ordered = ordered.masked_fill(before >= p, float("-inf"))
    return ordered.gather(-1, order)


@wrong("06.7")
def in_place(logits, p):
    """The logits of the caller are overwritten with -inf."""
    if p <= 0 or p > 1:
        raise ValueError(f"p out of range: {p}")
    if p == 1:
        return logits
    for row in logits:
        probs = torch.softmax(row, dim=0)
        order = torch.argsort(probs, descending=True)
        before = 0.0
        for k in order:
            if before >= p:
                row[k] = float("-inf")
            before += probs[k].item()
    return logits


@wrong("06.7")
def shared_order(logits, p):
    """The order of the first row is used for all rows."""
    if not 0 < p <= 1:
        raise ValueError(f"p must be in (0, 1]: {p}")
    if p == 1:
        return logits.clone()
    order = logits[0].argsort(descending=True)
    probs = logits[:, order].softmax(-1)
    before = probs.cumsum(-1) - probs
    out = logits.clone()
    out[:, order] = logits[:, order].masked_fill(before >= p, float("-inf"))
    return out


@wrong("06.7")
def large_negative_number(logits, p):
    """Tokens that go get -1e4 instead of -inf."""
    if not 0 < p <= 1:
        raise ValueError(f"p must be in (0, 1], got {p}")
    if p == 1:
        return logits.clone()
    probs, order = logits.softmax(-1).sort(-1, descending=True)
    keep_sorted = (probs.cumsum(-1) - probs) < p
    keep = torch.zeros_like(keep_sorted).scatter(-1, order, keep_sorted)
    return torch.where(keep, logits, torch.tensor(-1e4, dtype=logits.dtype))


@wrong("06.8")
def plain_power_of_length(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """The sum is divided by n ** alpha instead of by ((5 + n) / 6) ** alpha."""
    logp = logits.log_softmax(-1)
    beams, finished = [([bos_id], logits.new_zeros(()))], []
    for n in range(1, max_new_tokens + 1):
        going = []
        for words, total in beams:
            for token in range(logp.shape[1]):
                cand = (words + [token], total + logp[words[-1], token])
                if token == eos_id or n == max_new_tokens:
                    finished.append((cand[0], cand[1] / n**length_penalty))
                else:
                    going.append(cand)
        going.sort(key=lambda c: float(c[1]), reverse=True)
        beams = going[:num_beams]
    words, score = max(finished, key=lambda c: float(c[1]))
    return torch.tensor(words[1:]), score


@wrong("06.8")
def finished_takes_a_beam(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """The K best candidates are chosen first, finished ones among them, so a finished sentence
    takes a place from the others.
    """
    logp = torch.log_softmax(logits, dim=-1)
    beams = [([], bos_id, torch.zeros((), dtype=logits.dtype))]
    best = None
    for n in range(1, max_new_tokens + 1):
        candidates = []
        for words, last, total in beams:
            for token in range(logits.shape[0]):
                candidates.append((words + [token], token, total + logp[last, token]))
        if n < max_new_tokens:
            candidates.sort(key=lambda c: c[2].item(), reverse=True)
            candidates = candidates[:num_beams]
        beams = []
        for words, last, total in candidates:
            if last == eos_id or n == max_new_tokens:
                score = total / ((5 + n) / 6) ** length_penalty
                if best is None or score > best[1]:
                    best = (words, score)
            else:
                beams.append((words, last, total))
    return torch.tensor(best[0]), best[1]


@wrong("06.8")
def end_not_counted(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """N counts the words without the end token, so finished sentences are divided by too small a
    number.
    """
    logp = logits.log_softmax(dim=-1)
    V = logp.shape[0]
    beams, done = [([bos_id], logp.new_zeros(()))], []
    for step in range(1, max_new_tokens + 1):
        new = []
        for seq, s in beams:
            for k in range(V):
                new.append((seq + [k], s + logp[seq[-1], k]))
        last_step = step == max_new_tokens
        for seq, s in new:
            if seq[-1] == eos_id or last_step:
                n = len([w for w in seq[1:] if w != eos_id])
                done.append((seq[1:], s / ((5 + n) / 6) ** length_penalty))
        alive = [c for c in new if c[0][-1] != eos_id]
        beams = sorted(alive, key=lambda c: -c[1].item())[:num_beams]
    seq, score = max(done, key=lambda c: c[1].item())
    return torch.tensor(seq), score


@wrong("06.8")
def k_beginnings_at_first(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """The search begins with K copies of the start token, so all beams hold the same beginning."""
    logp = logits.log_softmax(-1)
    V = logits.shape[-1]
    beams = torch.full((num_beams, 1), bos_id)
    sums = logp.new_zeros(num_beams)
    best, best_score = None, None
    for n in range(1, max_new_tokens + 1):
        table = sums[:, None] + logp[beams[:, -1]]
        norm = ((5 + n) / 6) ** length_penalty
        for k in range(len(beams)):
            for token in range(V):
                if token == eos_id or n == max_new_tokens:
                    score = table[k, token] / norm
                    if best is None or score > best_score:
                        best = torch.cat([beams[k, 1:], torch.tensor([token])])
                        best_score = score
        table[:, eos_id] = float("-inf")
        flat = table.flatten()
        K = min(num_beams, int((flat > float("-inf")).sum()))
        if K == 0:
            break
        sums, place = flat.topk(K)
        beams = torch.cat([beams[place // V], (place % V)[:, None]], dim=1)
    return best, best_score


@wrong("06.8")
def first_finished_wins(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """The search stops in the first step in which a finished sentence is among the K best
    candidates, and returns it.
    """
    logp = logits.log_softmax(-1)
    beams = [((), logits.new_zeros(()))]
    for n in range(1, max_new_tokens + 1):
        candidates = []
        for words, total in beams:
            last = words[-1] if words else bos_id
            for token, lp in enumerate(logp[last]):
                candidates.append((words + (token,), total + lp))
        candidates.sort(key=lambda c: c[1].item(), reverse=True)
        kept = candidates[:num_beams]
        ended = [c for c in kept if c[0][-1] == eos_id]
        if n == max_new_tokens:
            ended = candidates
        if ended:
            words, total = ended[0]
            return torch.tensor(words), total / ((5 + n) / 6) ** length_penalty
        beams = [c for c in candidates if c[0][-1] != eos_id][:num_beams]


@wrong("06.8")
def unfinished_are_lost(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """What is not finished by max_new_tokens is dropped instead of being counted as it is."""
    logp = logits.log_softmax(dim=1)
    beams = [([bos_id], torch.tensor(0.0, dtype=logits.dtype))]
    finished = []
    for n in range(1, max_new_tokens + 1):
        going = []
        for words, total in beams:
            for token in range(logits.size(1)):
                s = total + logp[words[-1], token]
                if token == eos_id:
                    finished.append((words[1:] + [token], s / ((5 + n) / 6) ** length_penalty))
                else:
                    going.append((words + [token], s))
        going.sort(key=lambda c: c[1].item(), reverse=True)
        beams = going[:num_beams]
    words, score = max(finished, key=lambda c: c[1].item())
    return torch.tensor(words, dtype=torch.long), score


@wrong("06.8")
def raw_logits(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """The raw logits are added up as if they were log probabilities."""
    beams, finished = [([bos_id], logits.new_zeros(()))], []
    for n in range(1, max_new_tokens + 1):
        candidates = [
            (words + [k], total + logits[words[-1], k])
            for words, total in beams
            for k in range(logits.shape[1])
        ]
        penalty = ((5 + n) / 6) ** length_penalty
        over = n == max_new_tokens
        finished += [(w[1:], s / penalty) for w, s in candidates if over or w[-1] == eos_id]
        beams = sorted(
            (c for c in candidates if c[0][-1] != eos_id), key=lambda c: float(c[1]), reverse=True
        )[:num_beams]
    words, score = max(finished, key=lambda c: float(c[1]))
    return torch.tensor(words), score


@wrong("06.8")
def start_in_the_answer(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """The tokens that are returned begin with bos_id."""
    logp = logits.log_softmax(-1)
    beams, best = [([bos_id], logp.new_zeros(()))], None
    for n in range(1, max_new_tokens + 1):
        alive = []
        for words, total in beams:
            for k in range(logp.shape[-1]):
                s = total + logp[words[-1], k]
                if k == eos_id or n == max_new_tokens:
                    score = s / ((5 + n) / 6) ** length_penalty
                    if best is None or score > best[1]:
                        best = (words + [k], score)
                else:
                    alive.append((words + [k], s))
        alive.sort(key=lambda c: c[1].item(), reverse=True)
        beams = alive[:num_beams]
    return torch.tensor(best[0]), best[1]


@wrong("06.9")
def no_mask(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """No mask at all: with several new tokens the earlier ones see those that come after them."""
    B, T, C = x.shape
    D = C // num_heads

    def heads(y):
        return y.view(B, T, num_heads, D).transpose(1, 2)

    q = heads(x @ W_q)
    k = torch.cat([k_cache, heads(x @ W_k)], dim=2)
    v = torch.cat([v_cache, heads(x @ W_v)], dim=2)
    weights = (q @ k.mT / D**0.5).softmax(dim=-1)
    y = (weights @ v).transpose(1, 2).reshape(B, T, C)
    return y @ W_o, k, v


@wrong("06.9")
def causal_if_several(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """Is_causal=(T > 1), as in many inference codes: right for a prompt and for one token, but
    aligned at the top left when several tokens meet a filled cache.
    """
    B, T, C = x.shape
    H, D = num_heads, C // num_heads
    q, k, v = [(x @ W).reshape(B, T, H, D).permute(0, 2, 1, 3) for W in (W_q, W_k, W_v)]
    k = torch.cat((k_cache, k), dim=-2)
    v = torch.cat((v_cache, v), dim=-2)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
    return y.permute(0, 2, 1, 3).reshape(B, T, C) @ W_o, k, v


@wrong("06.9")
def newest_first(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """The newest keys and values are put in front of the cached ones."""
    B, T, C = x.shape
    D = C // num_heads
    S = k_cache.shape[2]
    q = (x @ W_q).view(B, T, num_heads, D).transpose(1, 2)
    k = (x @ W_k).view(B, T, num_heads, D).transpose(1, 2)
    v = (x @ W_v).view(B, T, num_heads, D).transpose(1, 2)
    k = torch.cat([k, k_cache], dim=2)
    v = torch.cat([v, v_cache], dim=2)
    new = torch.ones(T, T, dtype=torch.bool).tril()
    allowed = torch.cat([new, torch.ones(T, S, dtype=torch.bool)], dim=1)
    scores = (q @ k.transpose(-1, -2)) / D**0.5
    a = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
    return (a @ v).transpose(1, 2).reshape(B, T, C) @ W_o, k, v


@wrong("06.9")
def scale_of_the_whole_width(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """The scores are divided by sqrt(C) instead of sqrt(D)."""
    B, T, C = x.shape
    S = k_cache.size(2)
    split = lambda m: m.unflatten(-1, (num_heads, -1)).transpose(1, 2)
    q = split(x @ W_q)
    k = torch.cat([k_cache, split(x @ W_k)], 2)
    v = torch.cat([v_cache, split(x @ W_v)], 2)
    scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(C)
    ahead = torch.arange(S + T)[None, :] > S + torch.arange(T)[:, None]
    weights = scores.masked_fill(ahead, -math.inf).softmax(-1)
    y = torch.einsum("bhqk,bhkd->bhqd", weights, v)
    return y.transpose(1, 2).flatten(2) @ W_o, k, v


@wrong("06.9")
def heads_cut_across_tokens(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """The projections are viewed as (B, H, T, D) without a transpose, which mixes tokens and
    heads.
    """
    B, T, C = x.shape
    D = C // num_heads
    q = (x @ W_q).reshape(B, num_heads, T, D)
    k = torch.cat([k_cache, (x @ W_k).reshape(B, num_heads, T, D)], dim=2)
    v = torch.cat([v_cache, (x @ W_v).reshape(B, num_heads, T, D)], dim=2)
    y = functional.scaled_dot_product_attention(q, k, v, mask=Mask(causal=True))
    return y.reshape(B, T, C) @ W_o, k, v


@wrong("06.9")
def heads_not_brought_back(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """The heads' results are reshaped to (B, T, C) without the transpose back, so tokens and
    heads are mixed in the output.
    """
    B, T, C = x.shape
    D = C // num_heads

    def project(W):
        return (x @ W).view(B, T, num_heads, D).transpose(1, 2)

    k = torch.cat([k_cache, project(W_k)], dim=2)
    v = torch.cat([v_cache, project(W_v)], dim=2)
    y = functional.scaled_dot_product_attention(project(W_q), k, v, mask=Mask(causal=True))
    return y.reshape(B, T, C) @ W_o, k, v


@wrong("06.9")
def one_token_too_far(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """New token i may see token S + i + 1 as well: the diagonal of the triangle is one too far."""
    B, T, C = x.shape
    H, D, S = num_heads, C // num_heads, k_cache.shape[2]
    q = (x @ W_q).view(B, T, H, D).transpose(1, 2)
    k = torch.cat([k_cache, (x @ W_k).view(B, T, H, D).transpose(1, 2)], dim=2)
    v = torch.cat([v_cache, (x @ W_v).view(B, T, H, D).transpose(1, 2)], dim=2)
    allowed = torch.ones(T, S + T, dtype=torch.bool).tril(diagonal=S + 1)
    scores = q @ k.mT / D**0.5
    w = torch.softmax(scores.masked_fill(~allowed, float("-inf")), dim=-1)
    y = (w @ v).transpose(1, 2).contiguous().view(B, T, C)
    return y @ W_o, k, v


@wrong("06.9")
def heads_interleaved(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """Head h takes every H-th column instead of a block of D neighbouring columns."""
    B, T, C = x.shape
    D = C // num_heads

    def split(y):
        return y.view(B, T, D, num_heads).permute(0, 3, 1, 2)

    q, k_new, v_new = split(x @ W_q), split(x @ W_k), split(x @ W_v)
    k = torch.cat([k_cache, k_new], dim=2)
    v = torch.cat([v_cache, v_new], dim=2)
    y = functional.scaled_dot_product_attention(q, k, v, mask=Mask(causal=True))
    return y.permute(0, 2, 3, 1).reshape(B, T, C) @ W_o, k, v


@wrong("06.10")
def kept_ones_not_asked_for(token_ids, chance, fate, drawn, mask_id, special_ids):
    """The targets are set only where the input was changed, so the chosen tokens that stay are
    not asked for.
    """
    special = torch.isin(token_ids, special_ids)
    chosen = (chance < 0.15) & ~special
    masked = chosen & (fate < 0.8)
    changed = chosen & (fate >= 0.8) & (fate < 0.9)
    inputs = torch.where(masked, mask_id, token_ids)
    inputs = torch.where(changed, drawn, inputs)
    targets = torch.where(masked | changed, token_ids, -100)
    return inputs, targets


@wrong("06.10")
def special_ones_chosen(token_ids, chance, fate, drawn, mask_id, special_ids):
    """Special tokens are not spared."""
    inputs = token_ids.clone()
    targets = torch.full_like(token_ids, -100)
    B, T = token_ids.shape
    for b in range(B):
        for t in range(T):
            if chance[b, t] < 0.15:
                targets[b, t] = token_ids[b, t]
                if fate[b, t] < 0.8:
                    inputs[b, t] = mask_id
                elif fate[b, t] < 0.9:
                    inputs[b, t] = drawn[b, t]
    return inputs, targets


@wrong("06.10")
def drawn_over_masked(token_ids, chance, fate, drawn, mask_id, special_ids):
    """The second where asks for fate < 0.9 only, so the tokens that were masked are overwritten
    by drawn ones.
    """
    chosen = (chance < 0.15) & ~torch.isin(token_ids, special_ids)
    targets = token_ids.masked_fill(~chosen, -100)
    inputs = torch.where(chosen & (fate < 0.8), torch.full_like(token_ids, mask_id), token_ids)
    inputs = torch.where(chosen & (fate < 0.9), drawn, inputs)
    return inputs, targets


@wrong("06.10")
def texts_in_place(token_ids, chance, fate, drawn, mask_id, special_ids):
    """The texts of the caller are overwritten by the corrupted ones."""
    chosen = chance < 0.15
    for s in special_ids:
        chosen &= token_ids != s
    targets = torch.where(chosen, token_ids, -100)
    inputs = token_ids
    inputs[chosen & (fate < 0.8)] = mask_id
    swap = chosen & (fate >= 0.8) & (fate < 0.9)
    inputs[swap] = drawn[swap]
    return inputs, targets


@wrong("06.10")
def targets_after_corruption(token_ids, chance, fate, drawn, mask_id, special_ids):
    """The targets are read from the corrupted texts, so the answer to a masked place is the mask
    token.
    """
    text = token_ids.clone()
    spared = (text[..., None] == special_ids).any(-1)
    chosen = (chance < 0.15) & ~spared
    text[chosen & (fate < 0.8)] = mask_id
    text = torch.where(chosen & (0.8 <= fate) & (fate < 0.9), drawn, text)
    targets = torch.full_like(text, -100)
    targets[chosen] = text[chosen]
    return text, targets


@wrong("06.10")
def everybody_has_a_fate(token_ids, chance, fate, drawn, mask_id, special_ids):
    """The fate is applied to all tokens that are not special, chosen or not."""
    ordinary = ~torch.isin(token_ids, special_ids)
    chosen = ordinary & (chance < 0.15)
    inputs = token_ids.clone()
    inputs[ordinary & (fate < 0.8)] = mask_id
    swap = ordinary & (fate >= 0.8) & (fate < 0.9)
    inputs[swap] = drawn[swap]
    targets = torch.where(chosen, token_ids, torch.tensor(-100))
    return inputs, targets


@wrong("06.10")
def boundaries_included(token_ids, chance, fate, drawn, mask_id, special_ids):
    """The comparisons are <= instead of <, so a chance of exactly 0.15 is chosen and a fate of
    exactly 0.8 is masked.
    """
    chosen = (chance <= 0.15) & torch.isin(token_ids, special_ids, invert=True)
    replacement = torch.where(fate <= 0.8, mask_id, torch.where(fate <= 0.9, drawn, token_ids))
    inputs = torch.where(chosen, replacement, token_ids)
    targets = torch.where(chosen, token_ids, -100)
    return inputs, targets


@wrong("06.10")
def first_special_only(token_ids, chance, fate, drawn, mask_id, special_ids):
    """Only the first of the special tokens is spared."""
    chosen = (chance < 0.15) & (token_ids != special_ids[0])
    inputs = token_ids.clone()
    to_mask = chosen & (fate < 0.8)
    to_swap = chosen & (fate >= 0.8) & (fate < 0.9)
    inputs[to_mask] = mask_id
    inputs[to_swap] = drawn[to_swap]
    targets = token_ids.clone()
    targets[~chosen] = -100
    return inputs, targets


@wrong("06.11")
def sentinel_for_each_token(token_ids, taken_out, sentinels):
    """Every token that is taken out gets a sentinel of its own, neighbours too."""
    source, target, k = [], [], 0
    needed = int(taken_out.sum()) + 1
    if len(sentinels) < needed:
        raise ValueError(f"there are {len(sentinels)} sentinels, {needed} are needed")
    for token, out in zip(token_ids.tolist(), taken_out.tolist()):
        if out:
            source.append(int(sentinels[k]))
            target += [int(sentinels[k]), token]
            k += 1
        else:
            source.append(token)
    target.append(int(sentinels[k]))
    return torch.tensor(source, dtype=torch.long), torch.tensor(target, dtype=torch.long)


@wrong("06.11")
def no_closing_sentinel(token_ids, taken_out, sentinels):
    """The sentinel at the end of the target is missing."""
    source, target = [], []
    spans, before = 0, False
    for t in range(len(token_ids)):
        if taken_out[t]:
            if not before:
                if spans + 1 < len(sentinels):
                    source.append(int(sentinels[spans]))
                    target.append(int(sentinels[spans]))
                spans += 1
            target.append(int(token_ids[t]))
        else:
            source.append(int(token_ids[t]))
        before = bool(taken_out[t])
    if len(sentinels) < spans + 1:
        raise ValueError(f"{len(sentinels)} sentinels, but {spans + 1} are needed")
    return torch.tensor(source, dtype=torch.long), torch.tensor(target, dtype=torch.long)


@wrong("06.11")
def one_sentinel_too_few_passes(token_ids, taken_out, sentinels):
    """The check asks for as many sentinels as there are spans, not one more, so the last one is
    missing without a ValueError.
    """
    before = torch.zeros_like(taken_out)
    before[1:] = taken_out[:-1]
    starts = taken_out & ~before
    spans = int(starts.sum())
    if len(sentinels) < spans:
        raise ValueError(f"{len(sentinels)} sentinels are too few, {spans} are needed")
    source, target, k = [], [], -1
    for i, token in enumerate(token_ids.tolist()):
        if starts[i]:
            k += 1
            source.append(sentinels[k].item())
            target.append(sentinels[k].item())
        (target if taken_out[i] else source).append(token)
    target += sentinels[spans : spans + 1].tolist()
    return torch.tensor(source, dtype=torch.long), torch.tensor(target, dtype=torch.long)


@wrong("06.11")
def rolled_round(token_ids, taken_out, sentinels):
    """The token before is found with roll, so the first token has the last one before it: a span
    at the start is not seen if the text ends with one.
    """
    starts = taken_out & ~taken_out.roll(1)
    spans = int(starts.sum())
    if len(sentinels) < spans + 1:
        raise ValueError(f"got {len(sentinels)} sentinels, need {spans + 1}")
    number = (starts.cumsum(0) - 1).clamp(min=0)
    pairs = torch.stack([sentinels[number], token_ids], dim=1)
    in_source = torch.stack([starts, ~taken_out], dim=1)
    in_target = torch.stack([starts, taken_out], dim=1)
    source = pairs[in_source]
    target = torch.cat([pairs[in_target], sentinels[spans : spans + 1]])
    return source, target


@wrong("06.11")
def always_the_last_sentinel(token_ids, taken_out, sentinels):
    """The target is closed with the last sentinel of the list instead of with the next one."""
    before = torch.cat([torch.tensor([False]), taken_out[:-1]])
    starts = taken_out & ~before
    n = starts.sum().item()
    if sentinels.numel() <= n:
        raise ValueError(f"{sentinels.numel()} sentinels for {n} spans: {n + 1} are needed")
    span = (starts.cumsum(0) - 1).clamp(min=0)
    both = torch.stack((sentinels[span], token_ids), 1)
    source = both[torch.stack((starts, ~taken_out), 1)]
    target = both[torch.stack((starts, taken_out), 1)]
    return source, torch.cat((target, sentinels[-1:]))


@wrong("06.11")
def sentinel_behind_its_span(token_ids, taken_out, sentinels):
    """In the target each sentinel stands behind the span it is for instead of before it."""
    tokens, out = token_ids.tolist(), taken_out.tolist()
    marks = sentinels.tolist()
    ends = [o and (i + 1 == len(out) or not out[i + 1]) for i, o in enumerate(out)]
    needed = sum(ends) + 1
    if len(marks) < needed:
        raise ValueError(f"{len(marks)} sentinels given, {needed} needed")
    source, target, k = [], [], 0
    for i, token in enumerate(tokens):
        if not out[i]:
            source.append(token)
            continue
        target.append(token)
        if ends[i]:
            source.append(marks[k])
            target.append(marks[k])
            k += 1
    target.append(marks[k])
    return torch.tensor(source, dtype=torch.long), torch.tensor(target, dtype=torch.long)


@wrong("06.11")
def span_at_the_end_lost(token_ids, taken_out, sentinels):
    """A span is written down when the next kept token comes, so a span at the end of the text is
    never written.
    """
    flags = taken_out.tolist()
    needed = 1 + sum(f and (i == 0 or not flags[i - 1]) for i, f in enumerate(flags))
    if len(sentinels) < needed:
        raise ValueError(f"{needed} sentinels are needed, there are {len(sentinels)}")
    source, target, span, k = [], [], [], 0
    for token, gone in zip(token_ids.tolist(), flags):
        if gone:
            span.append(token)
            continue
        if span:
            source.append(int(sentinels[k]))
            target += [int(sentinels[k]), *span]
            span, k = [], k + 1
        source.append(token)
    target.append(int(sentinels[k]))
    return torch.tensor(source, dtype=torch.long), torch.tensor(target, dtype=torch.long)


@wrong("06.11")
def source_without_sentinels(token_ids, taken_out, sentinels):
    """The spans are cut out of the source without leaving a sentinel in their place."""
    source = token_ids[~taken_out]
    starts = taken_out.clone()
    starts[1:] &= ~taken_out[:-1]
    spans = int(starts.sum())
    if len(sentinels) < spans + 1:
        raise ValueError(f"only {len(sentinels)} sentinels, {spans + 1} are needed")
    target = []
    k = 0
    for i in range(len(token_ids)):
        if starts[i]:
            target.append(sentinels[k])
            k += 1
        if taken_out[i]:
            target.append(token_ids[i])
    target.append(sentinels[k])
    return source, torch.stack(target)
