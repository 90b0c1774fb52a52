"""Right answers to the exercises of chapter 6, written differently from the worked ones."""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx import blocks, functional
from minitx.blocks import Residual
from minitx.grading import right_answer
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import IGNORE, Mask
from minitx.multihead import MultiHeadAttention
from minitx.positions import Sinusoidal

# ---------------------------------------------------------------------------------------------
# 06.1


@right_answer("06.1")
def by_positions(src, tgt, pad_id):
    places = torch.arange(tgt.size(1))
    ahead = places[None, :] > places[:, None]
    own = ~(ahead | tgt.eq(pad_id).unsqueeze(1))
    cross = src.ne(pad_id).unsqueeze(1).repeat(1, tgt.size(1), 1)
    return own, cross


@right_answer("06.1")
def by_lengths(src, tgt, pad_id):
    B, T = tgt.shape
    lengths = [(tokens != pad_id).sum(1) for tokens in (src, tgt)]
    own = torch.stack([torch.ones(T, T).tril().bool() for _ in range(B)])
    own &= torch.arange(T) < lengths[1][:, None, None]
    cross = torch.arange(src.shape[1]).expand(B, T, -1) < lengths[0].view(B, 1, 1)
    return own, cross


@right_answer("06.1")
def with_triu_and_masked_fill(src, tgt, pad_id):
    T = tgt.shape[-1]
    own = torch.ones(len(tgt), T, T, dtype=torch.bool)
    own = own.masked_fill(torch.ones(T, T).triu(1).bool(), False)
    own = own.masked_fill((tgt == pad_id)[:, None, :], False)
    cross = torch.ones(len(src), T, src.shape[-1], dtype=torch.bool)
    return own, cross & (src != pad_id)[:, None, :]


@right_answer("06.1")
def row_after_row(src, tgt, pad_id):
    real = tgt != pad_id
    rows = []
    for i in range(tgt.shape[1]):
        row = real.clone()
        row[:, i + 1 :] = False
        rows.append(row)
    return torch.stack(rows, dim=1), torch.stack([src != pad_id] * tgt.shape[1], dim=1)


@right_answer("06.1")
def as_outer_products(src, tgt, pad_id):
    B, T = tgt.shape
    own = torch.einsum("ij,bj->bij", torch.ones(T, T).tril(), (tgt != pad_id).float()) > 0
    cross = torch.einsum("bi,bj->bij", torch.ones(B, T), (src != pad_id).float()) > 0
    return [own, cross]


# ---------------------------------------------------------------------------------------------
# 06.2


@right_answer("06.2")
def concatenated(tgt, bos_id, eos_id, pad_id):
    B = tgt.shape[0]
    inputs = torch.cat([tgt.new_full((B, 1), bos_id), tgt], dim=1)
    targets = torch.cat([tgt, tgt.new_full((B, 1), pad_id)], dim=1)
    targets[targets == pad_id] = IGNORE
    targets[torch.arange(B), (tgt != pad_id).sum(dim=1)] = eos_id
    return inputs, targets


@right_answer("06.2")
def by_columns(tgt, bos_id, eos_id, pad_id):
    B, T = tgt.shape
    n = (tgt != pad_id).sum(1)[:, None]
    place = torch.arange(T + 1).expand(B, -1)
    longer = F.pad(tgt, (0, 1))
    targets = torch.where(place < n, longer, torch.where(place == n, eos_id, IGNORE))
    before = F.pad(tgt, (1, 0))
    inputs = torch.where(place == 0, bos_id, torch.where(place <= n, before, pad_id))
    return inputs, targets


@right_answer("06.2")
def as_lists(tgt, bos_id, eos_id, pad_id):
    inputs, targets = [], []
    for row in tgt.tolist():
        words = [token for token in row if token != pad_id]
        rest = len(row) - len(words)
        inputs.append([bos_id, *words, *[pad_id] * rest])
        targets.append([*words, eos_id, *[IGNORE] * rest])
    return torch.tensor(inputs), torch.tensor(targets)


@right_answer("06.2")
def one_from_the_other(tgt, bos_id, eos_id, pad_id):
    B, T = tgt.shape
    whole = torch.full((B, T + 2), IGNORE)
    whole[:, 0] = bos_id
    whole[:, 1:-1] = tgt.where(tgt != pad_id, torch.tensor(IGNORE))
    inputs = whole[:, :-1].clone()
    inputs[inputs == IGNORE] = pad_id
    ends = (whole == IGNORE) & (whole.roll(1, dims=1) != IGNORE)
    return inputs, whole.masked_fill(ends, eos_id)[:, 1:]


@right_answer("06.2")
def with_new_columns(tgt, bos_id, eos_id, pad_id):
    inputs = tgt.new_empty(tgt.size(0), tgt.size(1) + 1)
    inputs[:, 0], inputs[:, 1:] = bos_id, tgt
    is_word = tgt.ne(pad_id)
    begins = F.pad(is_word, (0, 1)) | False
    has_ended = ~begins
    first_end = has_ended & (has_ended.cumsum(1) == 1)
    targets = F.pad(tgt, (0, 1)).masked_fill(has_ended, IGNORE)
    return inputs, targets.masked_fill(first_end, eos_id)


# ---------------------------------------------------------------------------------------------
# 06.3


class EncoderParts(nn.Module):
    """The parts under their names, norms of torch's own."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.attention_residual = Residual(nn.LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(nn.LayerNorm(d_model), pre_norm=pre_norm)


@right_answer("06.3")
class WithPartials(EncoderParts):
    def forward(self, x, real=None):
        from functools import partial

        attend = partial(self.attention, mask=Mask(key_padding=real))
        return self.feed_forward_residual(self.attention_residual(x, attend), self.feed_forward)


@right_answer("06.3")
class AsAFormula(EncoderParts):
    def forward(self, x, real=None):
        first, second = self.attention_residual.norm, self.feed_forward_residual.norm
        if self.pre_norm:
            x = x + self.attention(first(x), mask=Mask(key_padding=real))
            return x + self.feed_forward(second(x))
        x = first(x + self.attention(x, mask=Mask(key_padding=real)))
        return second(x + self.feed_forward(x))


@right_answer("06.3")
class WithATableOfPairs(EncoderParts):
    def forward(self, x, real=None):
        B, T, _ = x.shape
        mask = Mask()
        if real is not None:
            mask = Mask(allowed=real[:, None, None, :].expand(B, 1, T, T))

        def attend(x):
            return self.attention(x, mask=mask)

        for residual, sublayer in (
            (self.attention_residual, attend),
            (self.feed_forward_residual, self.feed_forward),
        ):
            x = residual(x, sublayer)
        return x


@right_answer("06.3")
class SentenceAfterSentence(EncoderParts):
    def forward(self, x, real=None):
        if real is None:
            return self.one(x, x)
        return torch.cat([self.one(s[None], s[r][None]) for s, r in zip(x, real, strict=True)])

    def one(self, x, words):
        first, second = self.attention_residual.norm, self.feed_forward_residual.norm
        if self.pre_norm:
            x = x + self.attention(first(x), first(words))
            return x + self.feed_forward(second(x))
        x = first(x + self.attention(x, words))
        return second(x + self.feed_forward(x))


@right_answer("06.3")
def with_normalising_by_hand(d_model, num_heads, d_ff, pre_norm=False):
    """A factory; the norm is written out."""
    return ByHand(d_model, num_heads, d_ff, pre_norm)


class ByHand(EncoderParts):
    def norm(self, which, x):
        layer = getattr(self, which).norm
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return layer.weight * centred / (variance + layer.eps).sqrt() + layer.bias

    def forward(self, x, real=None):
        for which in ("attention_residual", "feed_forward_residual"):
            inner = self.norm(which, x) if self.pre_norm else x
            if which == "attention_residual":
                found = self.attention(inner, mask=Mask(key_padding=real))
            else:
                hidden = F.relu(self.feed_forward.in_proj(inner))
                found = self.feed_forward.out_proj(hidden)
            x = x + found if self.pre_norm else self.norm(which, x + found)
        return x


# ---------------------------------------------------------------------------------------------
# 06.4


class DecoderParts(nn.Module):
    """The parts under their names, norms of torch's own."""

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        for name in ("self_attention", "cross_attention"):
            setattr(self, name, MultiHeadAttention(d_model, num_heads))
        self.feed_forward = FeedForward(d_model, d_ff)
        for name in ("self_attention", "cross_attention", "feed_forward"):
            residual = Residual(nn.LayerNorm(d_model), pre_norm=pre_norm)
            setattr(self, f"{name}_residual", residual)


@right_answer("06.4")
class WithNamedSublayers(DecoderParts):
    def forward(self, x, memory, real=None, memory_real=None):
        def look_back(x):
            return self.self_attention(x, mask=Mask(causal=True, key_padding=real))

        def look_over(x):
            return self.cross_attention(x, memory, mask=Mask(key_padding=memory_real))

        x = self.self_attention_residual(x, look_back)
        x = self.cross_attention_residual(x, look_over)
        return self.feed_forward_residual(x, self.feed_forward)


@right_answer("06.4")
class AsThreeFormulas(DecoderParts):
    def forward(self, x, memory, real=None, memory_real=None):
        a, b, c = (
            self.self_attention_residual.norm,
            self.cross_attention_residual.norm,
            self.feed_forward_residual.norm,
        )
        own, cross = Mask(causal=True) & Mask(key_padding=real), Mask(key_padding=memory_real)
        if not self.pre_norm:
            x = a(self.self_attention(x, mask=own) + x)
            x = b(self.cross_attention(x, memory, mask=cross) + x)
            return c(self.feed_forward(x) + x)
        x = x + self.self_attention(a(x), mask=own)
        x = x + self.cross_attention(b(x), memory, mask=cross)
        return x + self.feed_forward(c(x))


@right_answer("06.4")
class WithTablesOfPairs(DecoderParts):
    def forward(self, x, memory, real=None, memory_real=None):
        B, T, _ = x.shape
        own = torch.ones(T, T, dtype=torch.bool).tril().expand(B, 1, T, T)
        if real is not None:
            own = own & real[:, None, None]
        cross = torch.ones(B, 1, T, memory.shape[1], dtype=torch.bool)
        if memory_real is not None:
            cross = cross & memory_real[:, None, None]
        steps = (
            (
                self.self_attention_residual,
                lambda x: self.self_attention(x, mask=Mask(allowed=own)),
            ),
            (
                self.cross_attention_residual,
                lambda x: self.cross_attention(x, memory, mask=Mask(allowed=cross)),
            ),
            (self.feed_forward_residual, self.feed_forward),
        )
        for residual, sublayer in steps:
            x = residual(x, sublayer)
        return x


@right_answer("06.4")
class TokenAfterToken(DecoderParts):
    """Each token on its own, with those before it as a memory."""

    def forward(self, x, memory, real=None, memory_real=None):
        cross = Mask(key_padding=memory_real)
        normed = self.self_attention_residual.norm(x) if self.pre_norm else x
        outputs = []
        for t in range(x.shape[1]):
            seen = slice(0, t + 1)
            mask = Mask() if real is None else Mask(key_padding=real[:, seen])
            found = self.self_attention(normed[:, t : t + 1], normed[:, seen], mask=mask)
            y = x[:, t : t + 1] + found
            y = y if self.pre_norm else self.self_attention_residual.norm(y)
            y = self.cross_attention_residual(
                y, lambda y: self.cross_attention(y, memory, mask=cross)
            )
            outputs.append(self.feed_forward_residual(y, self.feed_forward))
        return torch.cat(outputs, dim=1)


@right_answer("06.4")
def a_decoder_from_a_factory(d_model, num_heads, d_ff, pre_norm=False):
    return MaskAlwaysThere(d_model, num_heads, d_ff, pre_norm)


class MaskAlwaysThere(DecoderParts):
    def forward(self, x, memory, real=None, memory_real=None):
        if real is None:
            real = torch.ones(x.shape[:2], dtype=torch.bool)
        if memory_real is None:
            memory_real = torch.ones(memory.shape[:2], dtype=torch.bool)
        for name in ("self_attention", "cross_attention", "feed_forward"):
            residual, sublayer = getattr(self, f"{name}_residual"), getattr(self, name)
            inner = residual.norm(x) if self.pre_norm else x
            if name == "self_attention":
                found = sublayer(inner, mask=Mask(causal=True, key_padding=real))
            elif name == "cross_attention":
                found = sublayer(inner, memory, mask=Mask(key_padding=memory_real))
            else:
                found = sublayer(inner)
            x = x + found if self.pre_norm else residual.norm(x + found)
        return x


# ---------------------------------------------------------------------------------------------
# 06.5


def a_block_of_the_encoder(C, H, width):
    return blocks.EncoderBlock(
        MultiHeadAttention(C, H), FeedForward(C, width), norm=lambda: LayerNorm(C), pre_norm=False
    )


def a_block_of_the_decoder(C, H, width):
    attentions = MultiHeadAttention(C, H), MultiHeadAttention(C, H)
    return blocks.DecoderBlock(
        *attentions, FeedForward(C, width), norm=lambda: LayerNorm(C), pre_norm=False
    )


class ModelParts(nn.Module):
    """The parts under their names."""

    def __init__(self, src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for _ in range(num_layers):
            self.encoder.append(a_block_of_the_encoder(d_model, num_heads, d_ff))
            self.decoder.append(a_block_of_the_decoder(d_model, num_heads, d_ff))


@right_answer("06.5")
class TwoMethods(ModelParts):
    def embed(self, table, token_ids):
        places = torch.arange(token_ids.size(1)).unsqueeze(0)
        return Sinusoidal(self.d_model).embed(table(token_ids) * self.d_model**0.5, places)

    def encode(self, src, mask):
        x = self.embed(self.src_embedding, src)
        for block in self.encoder:
            x = block(x, mask=mask)
        return x

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        of_src = Mask(key_padding=src_real)
        memory, y = self.encode(src, of_src), self.embed(self.tgt_embedding, tgt)
        own = Mask(causal=True) & Mask(key_padding=tgt_real)
        for block in self.decoder:
            y = block(y, memory, mask=own, memory_mask=of_src)
        return F.linear(y, self.tgt_embedding.weight)


@right_answer("06.5")
class WithTheTableOfPositions(ModelParts):
    def forward(self, src, tgt, src_real=None, tgt_real=None):
        def embedded(table, token_ids):
            x = math.sqrt(self.d_model) * table(token_ids)
            places = Sinusoidal(self.d_model).table(torch.arange(token_ids.shape[1]))
            return x + places.to(x.dtype)

        memory = embedded(self.src_embedding, src)
        for i in range(len(self.encoder)):
            memory = self.encoder[i](memory, mask=Mask(key_padding=src_real))
        y = embedded(self.tgt_embedding, tgt)
        for i in range(len(self.decoder)):
            y = self.decoder[i](
                y,
                memory,
                mask=Mask(causal=True, key_padding=tgt_real),
                memory_mask=Mask(key_padding=src_real),
            )
        return torch.einsum("btc,vc->btv", y, self.tgt_embedding.weight)


@right_answer("06.5")
class WithRowsOfTheTables(ModelParts):
    def forward(self, src, tgt, src_real=None, tgt_real=None):
        B, T = tgt.shape
        tables = self.src_embedding.weight, self.tgt_embedding.weight
        x, y = (t[ids] * self.d_model**0.5 for t, ids in zip(tables, (src, tgt), strict=True))
        position = Sinusoidal(self.d_model)
        x = position.embed(x, torch.arange(src.shape[1])[None])
        y = position.embed(y, torch.arange(T)[None])
        of_src = Mask() if src_real is None else Mask(key_padding=src_real)
        own = torch.ones(T, T, dtype=torch.bool).tril()[None, None].repeat(B, 1, 1, 1)
        if tgt_real is not None:
            own &= tgt_real[:, None, None]
        from functools import reduce

        memory = reduce(lambda x, block: block(x, mask=of_src), self.encoder, x)
        y = reduce(
            lambda y, block: block(y, memory, mask=Mask(allowed=own), memory_mask=of_src),
            self.decoder,
            y,
        )
        return y @ tables[1].mT


@right_answer("06.5")
class AllRealWhereNoneIsGiven(ModelParts):
    def forward(self, src, tgt, src_real=None, tgt_real=None):
        src_real = torch.ones_like(src, dtype=torch.bool) if src_real is None else src_real
        tgt_real = torch.ones_like(tgt, dtype=torch.bool) if tgt_real is None else tgt_real
        sequences = []
        for ids, table in ((src, self.src_embedding), (tgt, self.tgt_embedding)):
            places = torch.arange(ids.shape[1]).expand(ids.shape)
            x = table(ids).mul(math.sqrt(self.d_model))
            sequences.append(Sinusoidal(self.d_model).embed(x, places))
        x, y = sequences
        for block in self.encoder:
            x = block(x, mask=Mask(key_padding=src_real))
        masks = {
            "mask": Mask(causal=True, key_padding=tgt_real),
            "memory_mask": Mask(key_padding=src_real),
        }
        for block in self.decoder:
            y = block(y, x, **masks)
        return (y[:, :, None] * self.tgt_embedding.weight).sum(-1)


@right_answer("06.5")
def a_model_from_a_factory(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    sizes = src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
    return SentenceBySentence(*sizes)


class SentenceBySentence(TwoMethods):
    def forward(self, src, tgt, src_real=None, tgt_real=None):
        logits = []
        for b in range(len(src)):
            rows = slice(b, b + 1)
            masks = (None if m is None else m[rows] for m in (src_real, tgt_real))
            logits.append(super().forward(src[rows], tgt[rows], *masks))
        return torch.cat(logits)


# ---------------------------------------------------------------------------------------------
# 06.6


@right_answer("06.6")
def with_gather(logits, bos_id, eos_id, max_new_tokens):
    B, V, _ = logits.shape
    written = torch.full((B, 1), bos_id)
    for _ in range(max_new_tokens):
        rows = logits.gather(1, written[:, -1].view(B, 1, 1).expand(-1, 1, V))
        newest = rows.argmax(-1)
        done = (written[:, 1:] == eos_id).any(1, keepdim=True)
        written = torch.cat([written, torch.where(done, eos_id, newest)], dim=1)
        if (written[:, 1:] == eos_id).any(1).all():
            break
    return written[:, 1:]


@right_answer("06.6")
def table_of_best_tokens(logits, bos_id, eos_id, max_new_tokens):
    follows = logits.max(dim=-1).indices.tolist()
    sentences = [[] for _ in follows]
    for _ in range(max_new_tokens):
        if all(s and s[-1] == eos_id for s in sentences):
            break
        for after, s in zip(follows, sentences, strict=True):
            if s and s[-1] == eos_id:
                s.append(eos_id)
            else:
                s.append(after[s[-1] if s else bos_id])
    return torch.tensor(sentences)


@right_answer("06.6")
def unfinished_ones_only(logits, bos_id, eos_id, max_new_tokens):
    B = len(logits)
    out = torch.full((B, max_new_tokens), eos_id)
    newest, alive, t = torch.full((B,), bos_id), torch.arange(B), 0
    while t < max_new_tokens and len(alive):
        newest[alive] = logits[alive, newest[alive]].argmax(1)
        out[alive, t] = newest[alive]
        alive = alive[newest[alive] != eos_id]
        t += 1
    return out[:, :t]


@right_answer("06.6")
def filled_up_at_the_end(logits, bos_id, eos_id, max_new_tokens):
    rows, newest = torch.arange(len(logits)), torch.full((len(logits),), bos_id)
    chosen = []
    for _ in range(max_new_tokens):
        newest = logits[rows, newest].argmax(-1)
        chosen.append(newest)
    found = torch.stack(chosen, dim=1)
    behind = ((found == eos_id).cumsum(1) - (found == eos_id).int()) > 0
    found = found.masked_fill(behind, eos_id)
    longest = int((~behind).sum(1).max())
    return found[:, :longest]


@right_answer("06.6")
def one_hot_products(logits, bos_id, eos_id, max_new_tokens):
    B, V, _ = logits.shape
    table = F.one_hot(logits.argmax(-1), V)  # (B, V, V)
    state = F.one_hot(torch.full((B,), bos_id), V)
    over, chosen = torch.zeros(B, dtype=torch.bool), []
    while len(chosen) < max_new_tokens and not over.all():
        state = torch.einsum("bi,bij->bj", state, table)
        tokens = torch.where(over, eos_id, state.argmax(-1))
        over = over.logical_or(tokens == eos_id)
        chosen.append(tokens)
    return torch.stack(chosen).T


# ---------------------------------------------------------------------------------------------
# 06.7


@right_answer("06.7")
def by_a_threshold(logits, p):
    if p <= 0 or p > 1:
        raise ValueError(f"no probability: {p}")
    if p == 1:
        return logits.clone()
    probabilities = logits.softmax(-1)
    ordered, order = torch.sort(probabilities, dim=-1, descending=True)
    keep = ordered.cumsum(-1) - ordered < p
    # the subtraction rounds: decide the border with the sums themselves
    keep[:, 0] = True
    keep[:, 1:] = ordered.cumsum(-1)[:, :-1] < p
    result = torch.full_like(logits, float("-inf"))
    return result.scatter(-1, order, logits.gather(-1, order).masked_fill(~keep, float("-inf")))


@right_answer("06.7")
def with_the_inverse_order(logits, p):
    if not (p > 0 and p <= 1):
        raise ValueError(f"p = {p} is outside of (0, 1]")
    order = logits.argsort(dim=-1, descending=True)
    rank = order.argsort(dim=-1)
    sums = logits.softmax(-1).gather(-1, order).cumsum(-1)
    before = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], dim=-1)
    gone = (before >= p).gather(-1, rank)
    return logits if p == 1 else torch.where(gone, -math.inf, logits)


@right_answer("06.7")
def row_by_row_with_counts(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"wanted 0 < p <= 1, got {p}")
    if p == 1:
        return logits.clone()
    out = torch.full_like(logits, -torch.inf)
    for b in range(logits.shape[0]):
        ordered, order = logits[b].softmax(0).sort(descending=True)
        count = int((ordered.cumsum(0) < p).sum()) + 1
        out[b, order[:count]] = logits[b, order[:count]]
    return out


@right_answer("06.7")
def from_the_end(logits, p):
    if p <= 0.0 or p > 1.0:
        raise ValueError("p must be a share, got " + str(p))
    if p == 1:
        return logits + 0
    result = logits.clone()
    for b, row in enumerate(logits.double().softmax(-1)):
        total = 0.0
        for token in row.sort(descending=True).indices:
            if total >= p:
                result[b, token] = -torch.inf
            total = total + row[token].item()
    return result


@right_answer("06.7")
def by_comparing_all_pairs(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"{p} is no p")
    if p == 1:
        return logits
    shares = logits.softmax(-1)
    place = torch.arange(logits.shape[1])
    larger = shares[:, None, :] > shares[:, :, None]
    same = (shares[:, None, :] == shares[:, :, None]) & (place[None, :] < place[:, None])
    before = ((larger | same) * shares[:, None, :]).sum(-1)
    return logits.masked_fill(before >= p, -math.inf)


# ---------------------------------------------------------------------------------------------
# 06.8


@right_answer("06.8")
def with_a_dictionary(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    log_probs = logits.log_softmax(-1)
    alive, finished = {(): log_probs.new_tensor(0.0)}, {}
    for n in range(1, max_new_tokens + 1):
        longer = {
            (*tokens, j): total + log_probs[tokens[-1] if tokens else bos_id, j]
            for tokens, total in alive.items()
            for j in range(logits.shape[0])
        }
        norm = ((5 + n) / 6) ** length_penalty
        for tokens, total in longer.items():
            if tokens[-1] == eos_id or n == max_new_tokens:
                finished[tokens] = total / norm
        running = [pair for pair in longer.items() if pair[0][-1] != eos_id]
        alive = dict(sorted(running, key=lambda pair: pair[1].item(), reverse=True)[:num_beams])
    best = max(finished, key=lambda tokens: finished[tokens].item())
    return torch.tensor(best), finished[best]


@right_answer("06.8")
def with_beams_of_minus_infinity(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    log_probs, V, K = F.log_softmax(logits, dim=1), logits.size(1), num_beams
    tokens = torch.full((K, 1), bos_id)
    sums = torch.full((K,), -torch.inf, dtype=logits.dtype)
    sums[0] = 0
    finished = []
    for n in range(1, max_new_tokens + 1):
        totals = sums.unsqueeze(1) + log_probs[tokens[:, -1]]
        lp = ((5.0 + n) / 6.0) ** length_penalty
        over = totals if n == max_new_tokens else totals[:, eos_id : eos_id + 1]
        place = int(over.argmax())
        row, token = place // over.shape[1], place % over.shape[1]
        token = token if n == max_new_tokens else eos_id
        finished.append((over.max() / lp, torch.cat([tokens[row, 1:], torch.tensor([token])])))
        totals[:, eos_id] = -torch.inf
        sums, places = totals.view(-1).topk(K)
        parents = torch.div(places, V, rounding_mode="floor")
        tokens = torch.cat([tokens[parents], (places - parents * V).unsqueeze(1)], dim=1)
    score, best = max(finished, key=lambda pair: float(pair[0]))
    return best, score


@right_answer("06.8")
def with_back_pointers(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    log_probs = logits - logits.logsumexp(-1, keepdim=True)
    V = log_probs.shape[0]
    newest, sums, steps = [bos_id], [log_probs.new_zeros(())], []
    best = (-math.inf, None, None)
    for n in range(1, max_new_tokens + 1):
        made = [
            (s + log_probs[t, j], i, j)
            for i, (t, s) in enumerate(zip(newest, sums, strict=True))
            for j in range(V)
        ]
        for total, i, j in made:
            if j == eos_id or n == max_new_tokens:
                score = total / ((5 + n) / 6) ** length_penalty
                if float(score) > best[0]:
                    best = (float(score), score, (n, i, j))
        made = sorted((m for m in made if m[2] != eos_id), key=lambda m: -float(m[0]))[:num_beams]
        steps.append([(i, j) for _, i, j in made])
        newest, sums = [j for _, _, j in made], [s for s, _, _ in made]
    n, i, j = best[2]
    tokens = [j]
    for step in reversed(steps[: n - 1]):
        i, j = step[i]
        tokens.append(j)
    return torch.tensor(tokens[::-1]), best[1]


@right_answer("06.8")
def with_a_heap(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    import heapq

    log_probs = logits.log_softmax(dim=-1)
    table = log_probs.tolist()
    beams, best, best_score = [(0.0, [bos_id])], None, -math.inf
    for n in range(1, max_new_tokens + 1):
        candidates = []
        for total, tokens in beams:
            for j, log_prob in enumerate(table[tokens[-1]]):
                pair = (total + log_prob, [*tokens, j])
                finished = j == eos_id or n == max_new_tokens
                score = pair[0] / ((5 + n) / 6) ** length_penalty
                if finished and score > best_score:
                    best, best_score = pair[1], score
                if j != eos_id:
                    candidates.append(pair)
        beams = heapq.nlargest(num_beams, candidates, key=lambda pair: pair[0])
    return torch.tensor(best[1:]), log_probs.new_tensor(best_score)


@right_answer("06.8")
def with_the_end_column_cut_out(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    log_probs = logits.log_softmax(-1)
    words = torch.tensor([j for j in range(len(logits)) if j != eos_id])
    tokens, sums = torch.tensor([[bos_id]]), log_probs.new_zeros(1)
    found = []
    for n in range(1, max_new_tokens + 1):
        rows = log_probs[tokens[:, -1]] + sums[:, None]
        penalty = math.exp(length_penalty * math.log((5 + n) / 6))
        end, row = rows[:, eos_id].max(0)
        found.append((end / penalty, torch.cat([tokens[row], torch.tensor([eos_id])])))
        going = rows[:, words].flatten()
        sums, places = going.sort(descending=True)
        sums, places = sums[:num_beams], places[:num_beams]
        tokens = torch.cat([tokens[places // len(words)], words[places % len(words), None]], dim=1)
    found.append((sums[0] / penalty, tokens[0]))
    score, best = max(found, key=lambda pair: pair[0].item())
    return best[1:], score


# ---------------------------------------------------------------------------------------------
# 06.9


@right_answer("06.9")
def with_a_mask_by_hand(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    B, T, C = x.shape
    S, D = k_cache.shape[2], C // num_heads
    q = (x @ W_q).view(B, T, num_heads, D).permute(0, 2, 1, 3)
    k = torch.cat((k_cache, (x @ W_k).view(B, T, num_heads, D).permute(0, 2, 1, 3)), -2)
    v = torch.cat((v_cache, (x @ W_v).view(B, T, num_heads, D).permute(0, 2, 1, 3)), -2)
    allowed = torch.arange(S + T) <= torch.arange(S, S + T)[:, None]
    weights = functional.masked_softmax(q @ k.mT / math.sqrt(D), allowed)
    return (weights @ v).permute(0, 2, 1, 3).reshape(B, T, C) @ W_o, k, v


@right_answer("06.9")
def with_torchs_attention(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    q, k, v = (
        part.unflatten(-1, (num_heads, -1)).transpose(1, 2)
        for part in (x @ torch.cat([W_q, W_k, W_v], dim=1)).chunk(3, dim=-1)
    )
    k, v = torch.cat([k_cache, k], dim=2), torch.cat([v_cache, v], dim=2)
    T, T_k = q.shape[2], k.shape[2]
    allowed = torch.ones(T, T_k, dtype=torch.bool).tril(T_k - T)
    heads = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    return heads.transpose(1, 2).flatten(-2) @ W_o, k, v


@right_answer("06.9")
def head_after_head(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    D, S = x.shape[-1] // num_heads, k_cache.shape[2]
    y, keys, values = 0, [], []
    for h in range(num_heads):
        own = slice(h * D, h * D + D)
        k = torch.cat([k_cache[:, h], x @ W_k[:, own]], dim=1)
        v = torch.cat([v_cache[:, h], x @ W_v[:, own]], dim=1)
        scores = (x @ W_q[:, own]) @ k.mT * D**-0.5
        ahead = torch.ones_like(scores, dtype=torch.bool).triu(S + 1)
        y = y + scores.masked_fill(ahead, -torch.inf).softmax(-1) @ v @ W_o[own]
        keys.append(k)
        values.append(v)
    return y, torch.stack(keys, dim=1), torch.stack(values, dim=1)


@right_answer("06.9")
def token_after_token(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    k, v, outputs = k_cache, v_cache, []
    for token in x.split(1, dim=1):
        q, new_k, new_v = (
            (token @ W).unflatten(-1, (num_heads, -1)).transpose(1, 2) for W in (W_q, W_k, W_v)
        )
        k, v = torch.cat([k, new_k], dim=2), torch.cat([v, new_v], dim=2)
        heads = functional.scaled_dot_product_attention(q, k, v)
        outputs.append(heads.transpose(1, 2).flatten(2) @ W_o)
    return torch.cat(outputs, dim=1), k, v


@right_answer("06.9")
def with_einsums(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    C = x.shape[-1]
    by_head = (C, num_heads, C // num_heads)
    q, k, v = (torch.einsum("btc,chd->bhtd", x, W.reshape(by_head)) for W in (W_q, W_k, W_v))
    k, v = torch.cat([k_cache, k], 2), torch.cat([v_cache, v], 2)
    scores = torch.einsum("bhid,bhjd->bhij", q, k) / (C // num_heads) ** 0.5
    mask = Mask(causal=True).dense(x.shape[1], k.shape[2], "cpu")
    weights = functional.masked_softmax(scores, mask)
    mix = W_o.reshape(num_heads, C // num_heads, C)
    return torch.einsum("bhij,bhjd,hdc->bic", weights, v, mix), k, v


# ---------------------------------------------------------------------------------------------
# 06.10


@right_answer("06.10")
def written_by_index(token_ids, chance, fate, drawn, mask_id, special_ids):
    special = (token_ids[..., None] == special_ids).any(-1)
    asked = (chance < 0.15) & ~special
    inputs, targets = token_ids.clone(), torch.full_like(token_ids, IGNORE)
    targets[asked] = token_ids[asked]
    inputs[asked & (fate < 0.8)] = mask_id
    exchanged = asked & (fate >= 0.8) & (fate < 0.9)
    inputs[exchanged] = drawn[exchanged]
    return inputs, targets


@right_answer("06.10")
def as_arithmetic(token_ids, chance, fate, drawn, mask_id, special_ids):
    chosen = chance.lt(0.15).long()
    for special in special_ids:
        chosen = chosen * (token_ids != special).long()
    masked, left = chosen * (fate < 0.8), chosen * (fate >= 0.9)
    exchanged = chosen - masked - left
    inputs = token_ids * (1 - masked - exchanged) + mask_id * masked + drawn * exchanged
    return inputs, token_ids * chosen + IGNORE * (1 - chosen)


@right_answer("06.10")
def nested_where(token_ids, chance, fate, drawn, mask_id, special_ids):
    spared = torch.isin(token_ids, special_ids) | (chance >= 0.15)
    fallen = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, drawn, token_ids))
    return torch.where(spared, token_ids, fallen), torch.where(spared, IGNORE, token_ids)


@right_answer("06.10")
def row_after_row_of_texts(token_ids, chance, fate, drawn, mask_id, special_ids):
    special = set(special_ids.tolist())
    rows = []
    for tokens, chances, fates, others in zip(
        token_ids.tolist(), chance.tolist(), fate.tolist(), drawn.tolist(), strict=True
    ):
        pairs = []
        for token, luck, what, other in zip(tokens, chances, fates, others, strict=True):
            if luck >= 0.15 or token in special:
                pairs.append((token, IGNORE))
            elif what < 0.8:
                pairs.append((mask_id, token))
            else:
                pairs.append((other if what < 0.9 else token, token))
        rows.append(pairs)
    both = torch.tensor(rows)
    return both[..., 0], both[..., 1]


@right_answer("06.10")
def with_buckets(token_ids, chance, fate, drawn, mask_id, special_ids):
    borders = torch.tensor([0.8, 0.9], dtype=fate.dtype)
    kind = torch.bucketize(fate, borders, right=True)
    options = torch.stack([torch.full_like(token_ids, mask_id), drawn, token_ids])
    corrupted = options.gather(0, kind[None])[0]
    chosen = torch.logical_and(chance < 0.15, torch.isin(token_ids, special_ids, invert=True))
    return corrupted.where(chosen, token_ids), token_ids.where(chosen, torch.tensor(IGNORE))


# ---------------------------------------------------------------------------------------------
# 06.11


@right_answer("06.11")
def from_the_borders(token_ids, taken_out, sentinels):
    edges = F.pad(taken_out.int(), (1, 1)).diff()
    starts, ends = (edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0]
    if len(starts) + 1 > len(sentinels):
        raise ValueError(f"need {len(starts) + 1} sentinels, there are {len(sentinels)}")
    source, target, at = [], [], 0
    for n, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        source += [token_ids[at:start], sentinels[n : n + 1]]
        target += [sentinels[n : n + 1], token_ids[start:end]]
        at = end
    n = len(starts)
    return torch.cat([*source, token_ids[at:]]), torch.cat([*target, sentinels[n : n + 1]])


@right_answer("06.11")
def with_groupby(token_ids, taken_out, sentinels):
    from itertools import groupby

    pairs = zip(token_ids.tolist(), taken_out.tolist(), strict=True)
    groups = [(out, [t for t, _ in group]) for out, group in groupby(pairs, key=lambda p: p[1])]
    spans = sum(out for out, _ in groups)
    if spans >= len(sentinels):
        raise ValueError(f"{len(sentinels)} are too few, {spans + 1} are wanted")
    names = iter(sentinels.tolist())
    source, target = [], []
    for out, tokens in groups:
        if out:
            name = next(names)
            source.append(name)
            target += [name, *tokens]
        else:
            source += tokens
    return torch.tensor(source, dtype=torch.long), torch.tensor([*target, next(names)])


@right_answer("06.11")
def with_repeats(token_ids, taken_out, sentinels):
    begins = taken_out.clone()
    begins[1:] &= ~taken_out[:-1]
    spans = int(begins.sum())
    if len(sentinels) <= spans:
        raise ValueError(f"got {len(sentinels)} sentinels, wanted {spans + 1}")
    source = token_ids.clone()
    source[begins] = sentinels[:spans]
    source = source[begins | ~taken_out]
    places = (begins.cumsum(0) + torch.arange(len(token_ids)) * 0)[taken_out]
    words = token_ids[taken_out]
    target = sentinels.new_empty(len(words) + spans)
    at = torch.arange(len(words)) + places
    target[at] = words
    holes = torch.ones(len(target), dtype=torch.bool)
    holes[at] = False
    target[holes] = sentinels[:spans]
    return source, torch.cat([target, sentinels[spans].view(1)])


@right_answer("06.11")
def from_the_back(token_ids, taken_out, sentinels):
    out = [False, *taken_out.tolist()]
    spans = sum(now and not before for before, now in itertools.pairwise(out))
    if spans + 1 > sentinels.numel():
        raise ValueError(f"{spans + 1} > {sentinels.numel()}")
    source, target, n = [], [sentinels[spans].item()], spans
    for t in range(len(token_ids) - 1, -1, -1):
        token = int(token_ids[t])
        if not out[t + 1]:
            source.insert(0, token)
            continue
        target.insert(0, token)
        if not out[t]:
            n -= 1
            source.insert(0, int(sentinels[n]))
            target.insert(0, int(sentinels[n]))
    return torch.LongTensor(source), torch.LongTensor(target)


@right_answer("06.11")
def with_sorting_keys(token_ids, taken_out, sentinels):
    shifted = torch.zeros_like(taken_out)
    shifted[1:] = taken_out[:-1]
    starts = torch.nonzero(taken_out & ~shifted).flatten()
    if len(starts) >= len(sentinels):
        raise ValueError(f"{len(starts) + 1} sentinels needed, {len(sentinels)} given")
    place = torch.arange(len(token_ids)).double()
    marks = starts.double() - 0.5

    def merged(chosen):
        keys = torch.cat([place[chosen], marks])
        return torch.cat([token_ids[chosen], sentinels[: len(starts)]])[keys.argsort()]

    last = sentinels[len(starts)].reshape(1)
    return merged(~taken_out), torch.cat([merged(taken_out), last])
