"""Typical wrong answers to the exercises of chapter 6, each with the sentence that names it."""

import math
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from minitx import blocks
from minitx.blocks import Residual
from minitx.grading import mistake
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import IGNORE, Mask
from minitx.multihead import MultiHeadAttention
from minitx.positions import Sinusoidal

# ---------------------------------------------------------------------------------------------
# 06.1


def triangle(T):
    return torch.ones(T, T, dtype=torch.bool).tril()


def own_mask(tgt, pad_id):
    """As it should be."""
    return triangle(tgt.shape[1]) & (tgt != pad_id)[:, None]


def cross_mask(src, tgt, pad_id):
    """As it should be."""
    return (src != pad_id)[:, None].repeat(1, tgt.shape[1], 1)


@mistake("06.1", caught_by="test_masks_own")
def own_sees_what_is_ahead(src, tgt, pad_id):
    """the own mask hides padding only: every token sees those that come after it.

    In training the answer stands there to be read. Join it with a triangle: `tril()`.
    """
    everything = torch.ones_like(triangle(tgt.shape[1]))
    return everything & (tgt != pad_id)[:, None], cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_by_hand")
def own_hides_itself(src, tgt, pad_id):
    """a token does not see itself: the triangle leaves the diagonal out.

    j <= i, with the equal sign: `tril()` and not `tril(-1)`. The first token would see nothing.
    """
    return own_mask(tgt, pad_id) & triangle(tgt.shape[1]).tril(-1), cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_own")
def triangle_turned_round(src, tgt, pad_id):
    """the triangle is turned round: a token sees itself and what comes after it.

    True means *may attend*, and what may be attended to lies before: `tril()`, not `triu()`.
    """
    T = tgt.shape[1]
    return triangle(T).T & (tgt != pad_id)[:, None], cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_own")
def own_hides_rows(src, tgt, pad_id):
    """the padding of the target hides rows of own, not columns, or rows as well as columns.

    A row is a token that asks, a column one that is asked. Nobody *reads* padding: `[:, None, :]`,
    not `[:, :, None]`.
    """
    own = triangle(tgt.shape[1]) & (tgt != pad_id)[:, :, None]
    return own, cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_own")
def rows_of_padding_are_empty(src, tgt, pad_id):
    """the padding of the target hides its rows in both masks.

    What a row of padding computes is never read, and an empty row makes NaN of a softmax. Both
    formulas ask about column j only.
    """
    rows = (tgt != pad_id)[:, :, None]
    return own_mask(tgt, pad_id) & rows, cross_mask(src, tgt, pad_id) & rows


@mistake("06.1", caught_by="test_masks_own")
def rules_joined_with_or(src, tgt, pad_id):
    """the two rules of own are joined with *or*.

    Each of them must hold: `&`. With `|` a token ahead is seen because it is a word.
    """
    own = triangle(tgt.shape[1]) | (tgt != pad_id)[:, None]
    return own, cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_own")
def own_without_padding(src, tgt, pad_id):
    """own is the triangle alone, and the padding of the target is seen.

    Join it with the row of its words, `(tgt != pad_id)[:, None]`.
    """
    T = tgt.shape[1]
    return triangle(T).repeat(len(tgt), 1, 1), cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_shapes")
def own_without_sentences(src, tgt, pad_id):
    """own is one triangle (T_tgt, T_tgt) for the whole batch.

    Each sentence has padding of its own: (B, T_tgt, T_tgt).
    """
    return triangle(tgt.shape[1]), cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_cross")
def cross_looks_not_ahead(src, tgt, pad_id):
    """cross is causal: token i of the target sees the first i + 1 tokens of the source.

    The source is there as a whole before the first word is written. The triangle belongs to own.
    """
    T_src, T_tgt = src.shape[1], tgt.shape[1]
    before = torch.ones(T_tgt, T_src, dtype=torch.bool).tril()
    return own_mask(tgt, pad_id), cross_mask(src, tgt, pad_id) & before


@mistake("06.1", caught_by="test_masks_cross")
def cross_hides_rows_of_padding(src, tgt, pad_id):
    """the padding of the target hides rows of cross.

    cross asks about the source only. What a row of padding computes is never read.
    """
    rows = (tgt != pad_id)[:, :, None]
    return own_mask(tgt, pad_id), cross_mask(src, tgt, pad_id) & rows


@mistake("06.1", caught_by="test_masks_cross")
def cross_allows_everything(src, tgt, pad_id):
    """cross allows everything: the padding of the source is seen.

    Nothing else hides it. Columns of cross are tokens of the source: `(src != pad_id)[:, None]`.
    """
    return own_mask(tgt, pad_id), torch.ones_like(cross_mask(src, tgt, pad_id))


@mistake("06.1", caught_by="test_masks_shapes")
def cross_with_one_row(src, tgt, pad_id):
    """cross has one row for all tokens of the target, (B, 1, T_src).

    It would broadcast, but a row for each is asked for: `.expand(-1, T_tgt, -1)`.
    """
    return own_mask(tgt, pad_id), (src != pad_id)[:, None]


@mistake("06.1", caught_by="test_masks_shapes")
def cross_transposed(src, tgt, pad_id):
    """cross is transposed, (B, T_src, T_tgt).

    Who asks comes first: rows are tokens of the target, columns tokens of the source.
    """
    return own_mask(tgt, pad_id), cross_mask(src, tgt, pad_id).mT


@mistake("06.1", caught_by="test_masks_any_padding")
def zero_is_padding(src, tgt, pad_id):
    """padding is taken to be token 0, whatever pad_id is.

    Which number fills sentences up is the vocabulary's choice: compare with pad_id.
    """
    return own_mask(tgt, 0), cross_mask(src, tgt, 0)


@mistake("06.1", caught_by="test_masks_any_padding")
def words_are_larger_than_the_padding(src, tgt, pad_id):
    """words are taken to be those tokens that are larger than pad_id.

    A word may have a smaller number: `!=`, not `>`.
    """
    own = triangle(tgt.shape[1]) & (tgt > pad_id)[:, None]
    return own, (src > pad_id)[:, None].repeat(1, tgt.shape[1], 1)


@mistake("06.1", caught_by="test_masks_own")
def both_masks_turned_round(src, tgt, pad_id):
    """both masks are turned round: True stands where attending is forbidden.

    Throughout this course True means *may attend*. (torch's `key_padding_mask` is the other way
    round.)
    """
    return ~own_mask(tgt, pad_id), ~cross_mask(src, tgt, pad_id)


@mistake("06.1", caught_by="test_masks_shapes")
def masks_to_be_added(src, tgt, pad_id):
    """the masks hold 0 and minus infinity, to be added to scores.

    Truth values are wanted: whoever uses them fills the scores.
    """
    masks = own_mask(tgt, pad_id), cross_mask(src, tgt, pad_id)
    return tuple(torch.zeros(m.shape).masked_fill(~m, -math.inf) for m in masks)


@mistake("06.1", caught_by="test_masks_equal_sizes")
def masks_of_the_first_sentence(src, tgt, pad_id):
    """all sentences get the masks of the first.

    Each has padding of its own: keep the axis of the sentences.
    """
    own, cross = own_mask(tgt, pad_id)[:1], cross_mask(src, tgt, pad_id)[:1]
    return own.repeat(len(tgt), 1, 1), cross.repeat(len(src), 1, 1)


@mistake("06.1", caught_by="test_masks_shapes")
def masks_in_the_other_order(src, tgt, pad_id):
    """the two masks are returned in the other order, cross first.

    Return `own, cross`.
    """
    return cross_mask(src, tgt, pad_id), own_mask(tgt, pad_id)


@mistake("06.1", caught_by="test_masks_extremes")
def one_length_for_both(src, tgt, pad_id):
    """the first token is never hidden, so that a sentence of nothing but padding shows one.

    Nothing may be read there. A row in which all is forbidden is left to the softmax.
    """
    own, cross = own_mask(tgt, pad_id), cross_mask(src, tgt, pad_id)
    own[..., 0] = True
    cross[..., 0] = True
    return own, cross


@mistake("06.1", caught_by="test_masks_own")
def padding_sees_itself(src, tgt, pad_id):
    """the diagonal of own is always open, so that padding is seen by itself.

    Padding is nobody's key. Rows stay without a True only where a sentence begins with padding,
    and attention answers them with zeros.
    """
    own = own_mask(tgt, pad_id) | torch.eye(tgt.shape[1], dtype=torch.bool)
    return own, cross_mask(src, tgt, pad_id)


# ---------------------------------------------------------------------------------------------
# 06.2


def shifted_inputs(tgt, bos_id):
    """As they should be."""
    return F.pad(tgt, (1, 0), value=bos_id)


def shifted_targets(tgt, eos_id, pad_id, *, fill=IGNORE):
    """As they should be, unless told otherwise."""
    words = tgt != pad_id
    made = F.pad(tgt.masked_fill(~words, fill), (0, 1), value=fill)
    return made.scatter(1, words.sum(1, keepdim=True), eos_id)


@mistake("06.2", caught_by="test_shift_inputs")
def not_shifted(tgt, bos_id, eos_id, pad_id):
    """nothing is shifted: what goes in are the words and the end token, just what is asked for.

    The decoder is given the token that it must predict. The loss falls to 0, and the model has
    learned to copy. Put bos_id in front of the words.
    """
    return shifted_targets(tgt, eos_id, pad_id, fill=pad_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_by_hand")
def exchanged_inputs_and_targets(tgt, bos_id, eos_id, pad_id):
    """the two are returned in the other order.

    What goes in comes first, `inputs, targets`.
    """
    return shifted_targets(tgt, eos_id, pad_id), shifted_inputs(tgt, bos_id)


@mistake("06.2", caught_by="test_shift_targets")
def end_never_asked_for(tgt, bos_id, eos_id, pad_id):
    """the end token is never asked for.

    Then no place teaches the model to end, and every translation runs on. Write eos_id behind the
    last word.
    """
    return shifted_inputs(tgt, bos_id), shifted_targets(tgt, IGNORE, pad_id)


@mistake("06.2", caught_by="test_shift_targets")
def padding_asked_for(tgt, bos_id, eos_id, pad_id):
    """the padding is asked for: targets hold pad_id where IGNORE belongs.

    The loss would count how well padding is foretold. Put IGNORE, -100, in its place.
    """
    return shifted_inputs(tgt, bos_id), shifted_targets(tgt, eos_id, pad_id, fill=pad_id)


@mistake("06.2", caught_by="test_shift_targets")
def end_in_the_last_column(tgt, bos_id, eos_id, pad_id):
    """the end token always stands in the last column, behind the padding.

    It stands directly behind the last *word*: at column n of a sentence of n words.
    """
    targets = F.pad(tgt.masked_fill(tgt == pad_id, IGNORE), (0, 1), value=eos_id)
    return shifted_inputs(tgt, bos_id), targets


@mistake("06.2", caught_by="test_shift_targets")
def end_behind_the_longest(tgt, bos_id, eos_id, pad_id):
    """all sentences get their end where the longest has it.

    Each has a length of its own: n is one number for a row, `(tgt != pad_id).sum(1, keepdim=True)`.
    """
    words = tgt != pad_id
    made = F.pad(tgt.masked_fill(~words, IGNORE), (0, 1), value=IGNORE)
    made[:, int(words.sum(1).max())] = eos_id
    return shifted_inputs(tgt, bos_id), made


@mistake("06.2", caught_by="test_shift_targets")
def end_over_the_last_word(tgt, bos_id, eos_id, pad_id):
    """the end token overwrites the last word.

    A sentence of n words has them in columns 0 to n - 1: its end is column n.
    """
    words = tgt != pad_id
    made = F.pad(tgt.masked_fill(~words, IGNORE), (0, 1), value=IGNORE)
    last = (words.sum(1, keepdim=True) - 1).clamp(min=0)
    return shifted_inputs(tgt, bos_id), made.scatter(1, last, eos_id)


@mistake("06.2", caught_by="test_shift_targets")
def end_asked_for_everywhere(tgt, bos_id, eos_id, pad_id):
    """the end token is asked for in the padding, too.

    It is asked for once. What stands behind it is IGNORE.
    """
    return shifted_inputs(tgt, bos_id), shifted_targets(tgt, eos_id, pad_id, fill=eos_id)


@mistake("06.2", caught_by="test_shift_inputs")
def end_goes_in(tgt, bos_id, eos_id, pad_id):
    """the end token goes in, in shorter sentences: inputs are the targets, moved by one place.

    That is what shifting the finished targets gives. Nothing is asked for behind the end, so it
    need not go in: build inputs from the words, with pad_id behind them.
    """
    with_end = shifted_targets(tgt, eos_id, pad_id, fill=pad_id)
    return shifted_inputs(with_end[:, :-1], bos_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_inputs")
def ignored_goes_in(tgt, bos_id, eos_id, pad_id):
    """IGNORE goes in, where pad_id belongs.

    -100 is the number of no token: an embedding would fail on it. It is for targets only.
    """
    words = tgt.masked_fill(tgt == pad_id, IGNORE)
    return shifted_inputs(words, bos_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_inputs")
def padding_for_the_start(tgt, bos_id, eos_id, pad_id):
    """the first place of inputs holds pad_id, not bos_id.

    In `F.pad(tgt, (1, 0), value=bos_id)` the value must be given.
    """
    return shifted_inputs(tgt, pad_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_inputs")
def end_for_the_start(tgt, bos_id, eos_id, pad_id):
    """the first place of inputs holds eos_id, not bos_id.

    Some models use one token for both; here each has its own.
    """
    return shifted_inputs(tgt, eos_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_shapes")
def last_place_lost(tgt, bos_id, eos_id, pad_id):
    """the last column is cut off both, so that they are as long as tgt.

    A full sentence loses its last word on the way in, and its end is never asked for. There are
    T + 1 places.
    """
    targets = shifted_targets(tgt, eos_id, pad_id)
    return shifted_inputs(tgt[:, :-1], bos_id), targets[:, :-1]


@mistake("06.2", caught_by="test_shift_shapes")
def inputs_cut_targets_not(tgt, bos_id, eos_id, pad_id):
    """inputs have T places and targets T + 1.

    Each place that goes in is answered by one that is asked for. tgt here has no end token that
    could be cut off: put bos_id in front of all of it.
    """
    return shifted_inputs(tgt[:, :-1], bos_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_shapes")
def start_over_the_first_word(tgt, bos_id, eos_id, pad_id):
    """the start token overwrites the first word of inputs.

    Put it in front: the words move by one place.
    """
    inputs = tgt.clone()
    inputs[:, 0] = bos_id
    return F.pad(inputs, (0, 1), value=pad_id), shifted_targets(tgt, eos_id, pad_id)[
        :, : tgt.shape[1]
    ]


@mistake("06.2", caught_by="test_shift_targets")
def start_asked_for(tgt, bos_id, eos_id, pad_id):
    """the start token is asked for: targets begin with bos_id.

    Nobody has to foretell it, it is always there. targets begin with the first word.
    """
    words = tgt != pad_id
    made = F.pad(tgt.masked_fill(~words, IGNORE), (1, 0), value=bos_id)
    return shifted_inputs(tgt, bos_id), made


@mistake("06.2", caught_by="test_shift_inputs")
def shifted_twice(tgt, bos_id, eos_id, pad_id):
    """inputs are shifted by two places: two start tokens stand in front.

    Each token of targets must stand below the one *before* it: one place.
    """
    inputs = F.pad(tgt, (2, 0), value=bos_id)[:, :-1]
    return inputs, shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_targets")
def ignored_as_zero(tgt, bos_id, eos_id, pad_id):
    """what is not asked for is 0 in targets, or some other number than -100.

    The loss leaves out `IGNORE`, -100, and nothing else; 0 is a token.
    """
    made = shifted_targets(tgt, eos_id, pad_id)
    return shifted_inputs(tgt, bos_id), torch.where(made == IGNORE, -1, made)


@mistake("06.2", caught_by="test_shift_other_numbers")
def end_ignored_as_padding(tgt, bos_id, eos_id, pad_id):
    """the end token is written first and ignored with the padding where both are the same token.

    Such a model never learns to end. Ignore the padding first, then write the end.
    """
    made = shifted_targets(tgt, eos_id, pad_id, fill=pad_id)
    return shifted_inputs(tgt, bos_id), made.masked_fill(made == pad_id, IGNORE)


@mistake("06.2", caught_by="test_shift_other_numbers")
def zero_is_padding_of_words(tgt, bos_id, eos_id, pad_id):
    """padding is taken to be token 0, whatever pad_id is.

    Count the words by `tgt != pad_id`.
    """
    return shifted_inputs(tgt, bos_id), shifted_targets(tgt, eos_id, 0)


@mistake("06.2", caught_by="test_shift_extremes")
def end_at_the_first_padding(tgt, bos_id, eos_id, pad_id):
    """the end is looked for with argmax of the padding, which is 0 in a sentence without any.

    Its first word is overwritten then. Count the words, `(tgt != pad_id).sum(1)`.
    """
    made = F.pad(tgt.masked_fill(tgt == pad_id, IGNORE), (0, 1), value=IGNORE)
    place = (tgt == pad_id).int().argmax(1, keepdim=True)
    return shifted_inputs(tgt, bos_id), made.scatter(1, place, eos_id)


@mistake("06.2", caught_by="test_shift_square")
def shifted_from_sentence_to_sentence(tgt, bos_id, eos_id, pad_id):
    """the shift goes from sentence to sentence, along axis 0.

    A row is a sentence; its tokens move along axis 1.
    """
    inputs = torch.cat([torch.full_like(tgt[:1], bos_id), tgt[:-1]])
    return F.pad(inputs, (0, 1), value=pad_id), shifted_targets(tgt, eos_id, pad_id)


@mistake("06.2", caught_by="test_shift_targets")
def padding_of_tgt_asked_for(tgt, bos_id, eos_id, pad_id):
    """the padding that stands in tgt is asked for, and only the new last column is ignored.

    IGNORE, -100, belongs behind the end token, wherever that stands.
    """
    B = len(tgt)
    inputs = torch.cat([torch.full((B, 1), bos_id), tgt], dim=1)
    targets = torch.cat([tgt, torch.full((B, 1), IGNORE)], dim=1)
    targets[torch.arange(B), (tgt != pad_id).sum(dim=1)] = eos_id
    return inputs, targets


@mistake("06.2", caught_by="test_shift_targets")
def no_end_without_padding(tgt, bos_id, eos_id, pad_id):
    """a sentence that fills its row gets no end token: it is put in place of the first padding.

    The targets have T + 1 columns, so that there is room behind the longest: write the end at
    column n, the number of words.
    """
    full = (tgt != pad_id).all(dim=1)
    made = shifted_targets(tgt, eos_id, pad_id)
    made[full, -1] = IGNORE
    return shifted_inputs(tgt, bos_id), made


@mistake("06.2", caught_by="test_shift_extremes")
def empty_sentences_have_no_end(tgt, bos_id, eos_id, pad_id):
    """a sentence without a word has no end token.

    Its end is asked for all the same, in column 0: the model may say nothing.
    """
    empty = (tgt == pad_id).all(dim=1)
    made = shifted_targets(tgt, eos_id, pad_id)
    made[empty] = IGNORE
    return shifted_inputs(tgt, bos_id), made


# ---------------------------------------------------------------------------------------------
# 06.3

SHARED = {}


class Encoder(nn.Module):
    """The block as it should be; what is wrong overrides one of its steps."""

    ACTIVATION = staticmethod(F.relu)

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff, activation=self.ACTIVATION)
        self.attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    @property
    def norms(self):
        return self.attention_residual.norm, self.feed_forward_residual.norm

    def mask(self, real):
        return Mask(key_padding=real)

    def attend(self, x, real):
        return self.attention(x, mask=self.mask(real))

    def around(self, x, norm, sublayer):
        return x + sublayer(norm(x)) if self.pre_norm else norm(x + sublayer(x))

    def forward(self, x, real=None):
        first, second = self.norms
        y = self.around(x, first, lambda x: self.attend(x, real))
        return self.around(y, second, self.feed_forward)


@mistake("06.3", caught_by="test_encoder_pre_norm")
def norms_always_behind(d_model, num_heads, d_ff, pre_norm=False):
    """the norms always stand behind the sums: pre_norm is not used.

    Hand it on: `Residual(LayerNorm(d_model), pre_norm=pre_norm)`.
    """
    return Encoder(d_model, num_heads, d_ff)


@mistake("06.3", caught_by="test_encoder_post_norm")
def norms_always_before(d_model, num_heads, d_ff, pre_norm=False):
    """the norms always stand before the sublayers: pre_norm is not used.

    Without it the norm stands behind the sum, as in 2017.
    """
    return Encoder(d_model, num_heads, d_ff, True)


@mistake("06.3", caught_by="test_encoder_post_norm")
def norms_the_other_way_round(d_model, num_heads, d_ff, pre_norm=False):
    """the norms stand before the sublayers with pre_norm=False, and behind with True.

    *pre* is before.
    """
    return Encoder(d_model, num_heads, d_ff, not pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def only_one_residual_is_told(d_model, num_heads, d_ff, pre_norm=False):
    """the norm of the feed-forward network stands before it, that of attention behind, or so.

    Both are told pre_norm.
    """

    class Mixed(Encoder):
        def forward(self, x, real=None):
            first, second = self.norms
            y = self.around(x, first, lambda x: self.attend(x, real))
            self.pre_norm = not self.pre_norm
            z = self.around(y, second, self.feed_forward)
            self.pre_norm = not self.pre_norm
            return z

    return Mixed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_pre_norm")
def second_norm_always_behind(d_model, num_heads, d_ff, pre_norm=False):
    """the norm of the feed-forward network always stands behind: only attention's is told pre_norm.

    Both are told: `Residual(LayerNorm(d_model), pre_norm=pre_norm)`.
    """
    block = Encoder(d_model, num_heads, d_ff, pre_norm)
    block.around = lambda x, norm, sublayer: (
        x + sublayer(norm(x)) if pre_norm and norm is block.norms[0] else norm(x + sublayer(x))
    )
    return block


@mistake("06.3", caught_by="test_encoder_pre_norm")
def first_norm_always_behind(d_model, num_heads, d_ff, pre_norm=False):
    """the norm of attention always stands behind: only the feed-forward network's is told pre_norm.

    Both are told: `Residual(LayerNorm(d_model), pre_norm=pre_norm)`.
    """
    block = Encoder(d_model, num_heads, d_ff, pre_norm)
    block.around = lambda x, norm, sublayer: (
        x + sublayer(norm(x)) if pre_norm and norm is block.norms[1] else norm(x + sublayer(x))
    )
    return block


@mistake("06.3", caught_by="test_encoder_post_norm")
def attention_without_residual(d_model, num_heads, d_ff, pre_norm=False):
    """x is not added to the result of attention.

    Without the road past it a token loses what it was: x + attention(x).
    """

    class Bare(Encoder):
        def forward(self, x, real=None):
            first, second = self.norms
            y = self.attend(first(x), real) if self.pre_norm else first(self.attend(x, real))
            return self.around(y, second, self.feed_forward)

    return Bare(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def feed_forward_without_residual(d_model, num_heads, d_ff, pre_norm=False):
    """y is not added to the result of the feed-forward network.

    Both sublayers have a road past them: y + ffn(y).
    """

    class Bare(Encoder):
        def forward(self, x, real=None):
            first, second = self.norms
            y = self.around(x, first, lambda x: self.attend(x, real))
            return self.feed_forward(second(y)) if self.pre_norm else second(self.feed_forward(y))

    return Bare(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_by_hand")
def no_residual_at_all(d_model, num_heads, d_ff, pre_norm=False):
    """nothing is added to the results of the sublayers: there is no residual connection.

    x + attention(x), y + ffn(y). Without them deep stacks do not learn.
    """

    class Bare(Encoder):
        def around(self, x, norm, sublayer):
            return sublayer(norm(x)) if self.pre_norm else norm(sublayer(x))

    return Bare(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def no_norm_at_all(d_model, num_heads, d_ff, pre_norm=False):
    """there is no norm: x + f(x), twice.

    The norms are made, and must be used: before the sublayers, or behind the sums.
    """

    class Unnormed(Encoder):
        def around(self, x, norm, sublayer):
            return x + sublayer(x)

    return Unnormed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def second_norm_missing(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network has no norm.

    Each sublayer has one of its own.
    """

    class Unnormed(Encoder):
        def forward(self, x, real=None):
            y = self.around(x, self.norms[0], lambda x: self.attend(x, real))
            return y + self.feed_forward(y)

    return Unnormed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def one_norm_used_twice(d_model, num_heads, d_ff, pre_norm=False):
    """the norm of attention is used for the feed-forward network as well.

    Each sublayer has a norm with weights of its own.
    """

    class Twice(Encoder):
        @property
        def norms(self):
            return (self.attention_residual.norm,) * 2

    return Twice(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def norms_exchanged(d_model, num_heads, d_ff, pre_norm=False):
    """the two norms are exchanged.

    attention_residual goes with attention, feed_forward_residual with the feed-forward network.
    """

    class Exchanged(Encoder):
        @property
        def norms(self):
            return self.feed_forward_residual.norm, self.attention_residual.norm

    return Exchanged(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_pre_norm")
def residual_carries_the_normalised(d_model, num_heads, d_ff, pre_norm=False):
    """in pre-norm the normalised token is added, not the token itself.

    `x = norm(x); x + f(x)` cuts the road past the sublayer. x + f(norm(x)): x itself stays.
    """

    class Carried(Encoder):
        def around(self, x, norm, sublayer):
            if self.pre_norm:
                x = norm(x)
                return x + sublayer(x)
            return norm(x + sublayer(x))

    return Carried(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def norm_of_the_sublayer_only(d_model, num_heads, d_ff, pre_norm=False):
    """with the norms behind, only the sublayer's result is normalised: x + norm(f(x)).

    It is the sum that is normalised: norm(x + f(x)).
    """

    class Inner(Encoder):
        def around(self, x, norm, sublayer):
            return x + (sublayer(norm(x)) if self.pre_norm else norm(sublayer(x)))

    return Inner(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_pre_norm")
def normalised_before_and_behind(d_model, num_heads, d_ff, pre_norm=False):
    """in pre-norm the sum is normalised as well.

    The norm stands before the sublayer only. A stack has one more norm at its very end, not every
    block.
    """

    class Both(Encoder):
        def around(self, x, norm, sublayer):
            return norm(x + sublayer(norm(x) if self.pre_norm else x))

    return Both(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def feed_forward_first(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network comes before attention.

    First the tokens look at each other, then each works on what it found.
    """

    class Turned(Encoder):
        def forward(self, x, real=None):
            first, second = self.norms
            y = self.around(x, second, self.feed_forward)
            return self.around(y, first, lambda x: self.attend(x, real))

    return Turned(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def sublayers_side_by_side(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network reads x, not what attention made of it.

    The second line starts from the first one's result: y + ffn(y).
    """

    class Parallel(Encoder):
        def forward(self, x, real=None):
            first, second = self.norms
            y = self.around(x, first, lambda x: self.attend(x, real))
            if self.pre_norm:
                return y + self.feed_forward(second(x))
            return second(y + self.feed_forward(x))

    return Parallel(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def first_x_added_again(d_model, num_heads, d_ff, pre_norm=False):
    """the second sum adds the block's input x, not y.

    The road past the second sublayer begins behind the first one: y + ffn(y).
    """

    class Again(Encoder):
        def forward(self, x, real=None):
            first, second = self.norms
            y = self.around(x, first, lambda x: self.attend(x, real))
            if self.pre_norm:
                return x + self.feed_forward(second(y))
            return second(x + self.feed_forward(y))

    return Again(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def feed_forward_missing(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network is missing: the result of attention is returned.

    A block has two sublayers.
    """

    class Half(Encoder):
        def forward(self, x, real=None):
            return self.around(x, self.norms[0], lambda x: self.attend(x, real))

    return Half(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def attention_missing(d_model, num_heads, d_ff, pre_norm=False):
    """attention is missing: only the feed-forward network works.

    A block has two sublayers, and attention is the only one in which tokens meet.
    """

    class Half(Encoder):
        def forward(self, x, real=None):
            return self.around(x, self.norms[1], self.feed_forward)

    return Half(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_padding")
def padding_not_hidden(d_model, num_heads, d_ff, pre_norm=False):
    """real is not used: all attend to padding.

    `self.attention(x, mask=Mask(key_padding=real))`.
    """

    class Open(Encoder):
        def mask(self, real):
            return Mask()

    return Open(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_padding")
def real_turned_round(d_model, num_heads, d_ff, pre_norm=False):
    """real is turned round: words are hidden, and padding is attended to.

    True means word, in `real` and in `Mask(key_padding=real)`. Nothing has to be turned.
    """

    class Turned(Encoder):
        def mask(self, real):
            return Mask(key_padding=None if real is None else ~real)

    return Turned(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_padding")
def padding_set_to_zero(d_model, num_heads, d_ff, pre_norm=False):
    """padding is set to 0 before attention, and not hidden.

    A key of zeros still has the weight e⁰ before it is divided. Hide it in the mask.
    """

    class Zeroed(Encoder):
        def attend(self, x, real):
            return self.attention(x if real is None else x * real[..., None])

    return Zeroed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_padding")
def keys_of_padding_set_to_zero(d_model, num_heads, d_ff, pre_norm=False):
    """padding is set to 0 among keys and values, and not hidden.

    A key of zeros still has the weight e⁰ before it is divided. Hide it in the mask.
    """

    class Zeroed(Encoder):
        def attend(self, x, real):
            return self.attention(x, x if real is None else x * real[..., None])

    return Zeroed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_equal_sizes")
def output_of_padding_set_to_zero(d_model, num_heads, d_ff, pre_norm=False):
    """the output at the padding is set to 0.

    Nobody reads it, and it is not asked for: the mask is one of attention only.
    """

    class Zeroed(Encoder):
        def forward(self, x, real=None):
            out = super().forward(x, real)
            return out if real is None else out * real[..., None]

    return Zeroed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def encoder_looks_not_ahead(d_model, num_heads, d_ff, pre_norm=False):
    """nobody looks ahead: a causal mask is applied.

    An encoder sees the whole sentence. Looking back only is the decoder's rule.
    """

    class Causal(Encoder):
        def mask(self, real):
            return Mask(causal=True, key_padding=real)

    return Causal(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_post_norm")
def another_curve(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network has a GELU where the ReLU belongs.

    `FeedForward(d_model, d_ff)` as it is: the ReLU of 2017.
    """

    class Smooth(Encoder):
        ACTIVATION = staticmethod(F.gelu)

    return Smooth(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_parameters")
def one_norm_shared_by_both(d_model, num_heads, d_ff, pre_norm=False):
    """one LayerNorm is made and shared by both residual connections.

    Make two: each sublayer has a norm of its own.
    """

    class Sharing(Encoder):
        def __init__(self):
            super().__init__(d_model, num_heads, d_ff, pre_norm)
            self.feed_forward_residual = self.attention_residual

    return Sharing()


@mistake("06.3", caught_by="test_encoder_parameters")
def norms_under_other_names(d_model, num_heads, d_ff, pre_norm=False):
    """the norms have other names, such as norm1 and norm2.

    The names are part of what is asked: a file of weights knows its numbers by name. Keep the two
    Residuals as attention_residual and feed_forward_residual.
    """

    class Named(Encoder):
        def __init__(self):
            super().__init__(d_model, num_heads, d_ff, pre_norm)
            self.norm1, self.norm2 = LayerNorm(d_model), LayerNorm(d_model)
            del self.attention_residual, self.feed_forward_residual

        @property
        def norms(self):
            return self.norm1, self.norm2

    return Named()


@mistake("06.3", caught_by="test_encoder_parameters")
def width_of_the_model_for_both(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network is as wide inside as outside: d_ff is not used.

    `FeedForward(d_model, d_ff)`.
    """
    return Encoder(d_model, num_heads, d_model, pre_norm)


@mistake("06.3", caught_by="test_encoder_dtype")
def block_in_single_precision(d_model, num_heads, d_ff, pre_norm=False):
    """attention is computed in float32, whatever x is.

    Leave .float() out: float64 carries 16 digits, float32 7.
    """

    class Single(Encoder):
        def attend(self, x, real):
            return super().attend(x.float().to(x.dtype), real).float().to(x.dtype)

        def forward(self, x, real=None):
            return super().forward(x, real).float()

    return Single(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_gradients")
def attention_detached(d_model, num_heads, d_ff, pre_norm=False):
    """the result of attention is detached, so that attention never learns.

    Leave .detach() out: keep to tensor operations.
    """

    class Cut(Encoder):
        def attend(self, x, real):
            return super().attend(x, real).detach()

    return Cut(d_model, num_heads, d_ff, pre_norm)


@mistake("06.3", caught_by="test_encoder_instances")
def parts_shared_by_all(d_model, num_heads, d_ff, pre_norm=False):
    """all blocks of the class share their parts, which stand in the class body.

    What stands in the class body is made once. Make the parts in __init__, on self.
    """
    sizes = "encoder", d_model, num_heads, d_ff
    if sizes not in SHARED:
        SHARED[sizes] = Encoder(*sizes[1:])
    block = Encoder(d_model, num_heads, d_ff, pre_norm)
    block.attention = SHARED[sizes].attention
    block.feed_forward = SHARED[sizes].feed_forward
    return block.float()


class Reading(Encoder):
    """A sublayer named here reads what its residual connection was given, not the norm of it."""

    UNNORMED: tuple = ()

    def forward(self, x, real=None):
        first, second = self.norms
        given = x
        y = self.around(
            x, first, lambda n: self.attend(given if "attention" in self.UNNORMED else n, real)
        )
        return self.around(
            y, second, lambda n: self.feed_forward(y if "ffn" in self.UNNORMED else n)
        )


@mistake("06.3", caught_by="test_encoder_pre_norm")
class AttentionReadsX(Reading):
    """in pre-norm attention reads x itself, not norm(x).

    `Residual` hands the normalised token to the sublayer, as the argument of the lambda:
    `lambda normed: self.attention(normed, mask=…)`.
    """

    UNNORMED = ("attention",)


@mistake("06.3", caught_by="test_encoder_pre_norm")
class FeedForwardReadsY(Reading):
    """in pre-norm the feed-forward network reads y itself, not norm(y).

    `Residual` hands the normalised token to the sublayer: give it `self.feed_forward`, or a lambda
    that uses its own argument.
    """

    UNNORMED = ("ffn",)


@mistake("06.3", caught_by="test_encoder_pre_norm")
class BothReadUnnormed(Reading):
    """in pre-norm both sublayers read x and y themselves, not the norms of them.

    `Residual` hands the normalised token to the sublayer, as the argument of the lambda:
    `lambda normed: self.attention(normed, mask=…)`.
    """

    UNNORMED = ("attention", "ffn")


class AddedTwice(Encoder):
    """A token is added by the residual connection and once more, inside of it or around it."""

    PLACES: tuple = ()
    INSIDE = True

    def around(self, x, norm, sublayer):
        place = "attention" if norm is self.norms[0] else "ffn"
        if place not in self.PLACES:
            return super().around(x, norm, sublayer)
        if self.INSIDE:
            return super().around(x, norm, lambda n: n + sublayer(n))
        return x + super().around(x, norm, sublayer)


@mistake("06.3", caught_by="test_encoder_by_hand")
class AddedInsideAttention(AddedTwice):
    """the token is added twice around attention: `Residual` adds it, the sublayer too.

    Give `Residual` the sublayer alone: `lambda normed: self.attention(normed, mask=…)`.
    """

    PLACES = ("attention",)


@mistake("06.3", caught_by="test_encoder_by_hand")
class AddedInsideBoth(AddedTwice):
    """the token is added twice around both sublayers: `Residual` adds it, and so do these.

    Give `Residual` the sublayers alone, without a sum of their own.
    """

    PLACES = ("attention", "ffn")


@mistake("06.3", caught_by="test_encoder_by_hand")
class AddedAroundAttention(AddedTwice):
    """x is added to what attention_residual returns, which holds it already.

    `self.attention_residual(x, sublayer)` adds and normalises: its result is y.
    """

    PLACES = ("attention",)
    INSIDE = False


@mistake("06.3", caught_by="test_encoder_by_hand")
class AddedAroundBoth(AddedTwice):
    """x and y are added to what the two Residuals return, which hold them already.

    `self.attention_residual(x, sublayer)` adds and normalises: its result is y.
    """

    PLACES = ("attention", "ffn")
    INSIDE = False


@mistake("06.3", caught_by="test_encoder_padding")
class PaddingSetToZero(Encoder):
    """padding is set to zeros, and attended to.

    A vector of zeros still gets a share of the weights, and what a norm or a bias makes of it is
    no zero any more. Hide it: `mask=Mask(key_padding=real)`.
    """

    def forward(self, x, real=None):
        return super().forward(x if real is None else x * real[..., None])


# ---------------------------------------------------------------------------------------------
# 06.4


class Decoder(nn.Module):
    """The block as it should be; what is wrong overrides one of its steps."""

    ACTIVATION = staticmethod(F.relu)
    ORDER = "look_back", "look_over", "think"

    def __init__(self, d_model, num_heads, d_ff, pre_norm=False):
        super().__init__()
        self.pre_norm = pre_norm
        self.self_attention = MultiHeadAttention(d_model, num_heads)
        self.cross_attention = MultiHeadAttention(d_model, num_heads)
        self.feed_forward = FeedForward(d_model, d_ff, activation=self.ACTIVATION)
        self.self_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.cross_attention_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)
        self.feed_forward_residual = Residual(LayerNorm(d_model), pre_norm=pre_norm)

    def norm_of(self, step):
        return {
            "look_back": self.self_attention_residual.norm,
            "look_over": self.cross_attention_residual.norm,
            "think": self.feed_forward_residual.norm,
        }[step]

    def own(self, real):
        return Mask(causal=True, key_padding=real)

    def cross(self, memory_real):
        return Mask(key_padding=memory_real)

    def look_back(self, x, memory, real, memory_real):
        return self.self_attention(x, mask=self.own(real))

    def look_over(self, x, memory, real, memory_real):
        return self.cross_attention(x, memory, mask=self.cross(memory_real))

    def think(self, x, memory, real, memory_real):
        return self.feed_forward(x)

    def around(self, step, x, norm, sublayer):
        return x + sublayer(norm(x)) if self.pre_norm else norm(x + sublayer(x))

    def forward(self, x, memory, real=None, memory_real=None):
        for step in self.ORDER:
            sublayer = getattr(self, step)
            x = self.around(
                step, x, self.norm_of(step), lambda x, f=sublayer: f(x, memory, real, memory_real)
            )
        return x


@mistake("06.4", caught_by="test_decoder_pre_norm")
def decoder_norms_always_behind(d_model, num_heads, d_ff, pre_norm=False):
    """the norms always stand behind the sums: pre_norm is not used.

    Hand it on: `Residual(LayerNorm(d_model), pre_norm=pre_norm)`.
    """
    return Decoder(d_model, num_heads, d_ff)


@mistake("06.4", caught_by="test_decoder_post_norm")
def decoder_norms_always_before(d_model, num_heads, d_ff, pre_norm=False):
    """the norms always stand before the sublayers: pre_norm is not used.

    Without it the norm stands behind the sum, as in 2017.
    """
    return Decoder(d_model, num_heads, d_ff, True)


@mistake("06.4", caught_by="test_decoder_post_norm")
def decoder_looks_ahead(d_model, num_heads, d_ff, pre_norm=False):
    """the decoder's own tokens look ahead: no mask is causal.

    In training the next token stands there to be copied. `Mask(causal=True, key_padding=real)`,
    always.
    """

    class Open(Decoder):
        def own(self, real):
            return Mask(key_padding=real)

    return Open(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_own_padding")
def causal_only_without_padding(d_model, num_heads, d_ff, pre_norm=False):
    """the mask is causal only where real is None.

    Both rules hold at once: `Mask(causal=True, key_padding=real)`.
    """

    class Either(Decoder):
        def own(self, real):
            return Mask(causal=True) if real is None else Mask(key_padding=real)

    return Either(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def causal_only_with_padding(d_model, num_heads, d_ff, pre_norm=False):
    """the decoder's own tokens look ahead where real is None: no mask is given then.

    The block is causal always: `Mask(causal=True, key_padding=real)`, whose key_padding may be
    None.
    """

    class Either(Decoder):
        def own(self, real):
            return Mask() if real is None else Mask(causal=True, key_padding=real)

    return Either(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def causal_mask_for_the_memory(d_model, num_heads, d_ff, pre_norm=False):
    """the mask of the memory is causal as well: its last tokens are hidden from the first of x.

    The source is there as a whole before the first word is written. The causal rule is for the
    decoder's own tokens.
    """

    class Causal(Decoder):
        def cross(self, memory_real):
            return Mask(causal=True, key_padding=memory_real)

    return Causal(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def memory_read_causally(d_model, num_heads, d_ff, pre_norm=False):
    """the memory is read causally, aligned at the top left: token i sees its tokens 0 to i.

    The source is there as a whole before the first word is written. The causal rule is for the
    decoder's own tokens.
    """

    class Causal(Decoder):
        def look_over(self, x, memory, real, memory_real):
            T, T_src = x.shape[1], memory.shape[1]
            table = torch.ones(T, T_src, dtype=torch.bool).tril()[None, None]
            mask = Mask(allowed=table, key_padding=memory_real)
            return self.cross_attention(x, memory, mask=mask)

    return Causal(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def memory_never_read(d_model, num_heads, d_ff, pre_norm=False):
    """the memory is never read: there is no cross-attention.

    Then the source has no part in what is written. It is the second sublayer.
    """

    class Deaf(Decoder):
        ORDER = "look_back", "think"

    return Deaf(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def cross_attention_to_itself(d_model, num_heads, d_ff, pre_norm=False):
    """cross_attention gets no memory, and attends to x.

    Its keys and values come from the memory: `self.cross_attention(x, memory, mask=…)`.
    """

    class Inward(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return self.cross_attention(x)

    return Inward(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def queries_of_the_memory(d_model, num_heads, d_ff, pre_norm=False):
    """queries come from the memory, keys and values from x.

    The decoder asks, and the memory is asked: `self.cross_attention(x, memory, …)`.
    """

    class Turned(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return self.cross_attention(memory, x)

    return Turned(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def memory_first(d_model, num_heads, d_ff, pre_norm=False):
    """the memory is read before the decoder's own tokens.

    First self-attention, then cross-attention: a query knows what was written so far.
    """

    class Turned(Decoder):
        ORDER = "look_over", "look_back", "think"

    return Turned(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def feed_forward_in_the_middle(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network comes between the two attentions.

    It is the last sublayer: it works on what both have found.
    """

    class Turned(Decoder):
        ORDER = "look_back", "think", "look_over"

    return Turned(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def decoder_without_feed_forward(d_model, num_heads, d_ff, pre_norm=False):
    """the feed-forward network is missing.

    The decoder's block has three sublayers.
    """

    class Short(Decoder):
        ORDER = "look_back", "look_over"

    return Short(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def decoder_without_self_attention(d_model, num_heads, d_ff, pre_norm=False):
    """self-attention is missing: a token knows nothing of those before it.

    The decoder's block has three sublayers.
    """

    class Short(Decoder):
        ORDER = "look_over", "think"

    return Short(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def attentions_exchanged(d_model, num_heads, d_ff, pre_norm=False):
    """the two attentions are exchanged: cross_attention looks back, self_attention reads memory.

    Each has weights of its own, under its own name.
    """

    class Exchanged(Decoder):
        def look_back(self, x, memory, real, memory_real):
            return self.cross_attention(x, mask=self.own(real))

        def look_over(self, x, memory, real, memory_real):
            return self.self_attention(x, memory, mask=self.cross(memory_real))

    return Exchanged(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def self_attention_used_twice(d_model, num_heads, d_ff, pre_norm=False):
    """self_attention also reads the memory, and cross_attention is never used.

    Each has weights of its own.
    """

    class Twice(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return self.self_attention(x, memory, mask=self.cross(memory_real))

    return Twice(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def norms_of_cross_and_feed_forward_exchanged(d_model, num_heads, d_ff, pre_norm=False):
    """the norms of cross-attention and of the feed-forward network are exchanged.

    cross_attention_residual goes with the second sublayer, feed_forward_residual with the third.
    """

    class Exchanged(Decoder):
        def norm_of(self, step):
            other = {"look_over": "think", "think": "look_over"}
            return super().norm_of(other.get(step, step))

    return Exchanged(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def first_norm_used_for_all(d_model, num_heads, d_ff, pre_norm=False):
    """the norm of self-attention is used for all three sublayers.

    Each has one of its own.
    """

    class Same(Decoder):
        def norm_of(self, step):
            return super().norm_of("look_back")

    return Same(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_pre_norm")
def memory_normalised_as_well(d_model, num_heads, d_ff, pre_norm=False):
    """in pre-norm the memory is normalised as well, with the norm of cross-attention.

    The memory is taken as it comes: the encoder's stack has a norm at its end.
    """

    class Twice(Decoder):
        def look_over(self, x, memory, real, memory_real):
            if self.pre_norm:
                memory = self.norm_of("look_over")(memory)
            return super().look_over(x, memory, real, memory_real)

    return Twice(d_model, num_heads, d_ff, pre_norm)


def without_road(missing, sizes):
    class Bare(Decoder):
        def around(self, step, x, norm, sublayer):
            if step not in missing:
                return super().around(step, x, norm, sublayer)
            return sublayer(norm(x)) if self.pre_norm else norm(sublayer(x))

    return Bare(*sizes)


@mistake("06.4", caught_by="test_decoder_post_norm")
def self_attention_without_road(d_model, num_heads, d_ff, pre_norm=False):
    """x is not added to the result of self-attention.

    Each of the three sublayers has a road past it.
    """
    return without_road(("look_back",), (d_model, num_heads, d_ff, pre_norm))


@mistake("06.4", caught_by="test_decoder_post_norm")
def cross_attention_without_road(d_model, num_heads, d_ff, pre_norm=False):
    """nothing is added to the result of cross-attention, which replaces what was written so far.

    Each of the three sublayers has a road past it: y + cross(y, memory).
    """
    return without_road(("look_over",), (d_model, num_heads, d_ff, pre_norm))


@mistake("06.4", caught_by="test_decoder_post_norm")
def feed_forward_without_road(d_model, num_heads, d_ff, pre_norm=False):
    """nothing is added to the result of the feed-forward network.

    Each of the three sublayers has a road past it.
    """
    return without_road(("think",), (d_model, num_heads, d_ff, pre_norm))


@mistake("06.4", caught_by="test_decoder_by_hand")
def decoder_without_any_road(d_model, num_heads, d_ff, pre_norm=False):
    """nothing is added to the results of the sublayers: there is no residual connection.

    x + f(x), three times.
    """
    return without_road(Decoder.ORDER, (d_model, num_heads, d_ff, pre_norm))


@mistake("06.4", caught_by="test_decoder_post_norm")
def decoder_without_norms(d_model, num_heads, d_ff, pre_norm=False):
    """there is no norm: x + f(x), three times.

    The norms are made, and must be used: before the sublayers, or behind the sums.
    """

    class Unnormed(Decoder):
        def around(self, step, x, norm, sublayer):
            return x + sublayer(x)

    return Unnormed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_pre_norm")
def decoder_carries_the_normalised(d_model, num_heads, d_ff, pre_norm=False):
    """in pre-norm the normalised token is added, not the token itself.

    x + f(norm(x)): x itself stays.
    """

    class Carried(Decoder):
        def around(self, step, x, norm, sublayer):
            if self.pre_norm:
                x = norm(x)
                return x + sublayer(x)
            return norm(x + sublayer(x))

    return Carried(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def queries_from_the_input_of_the_block(d_model, num_heads, d_ff, pre_norm=False):
    """cross-attention asks with the block's input x, not with what self-attention made of it.

    Each sublayer starts from the result of the one before.
    """

    class Early(Decoder):
        def forward(self, x, memory, real=None, memory_real=None):
            self.start = x
            return super().forward(x, memory, real, memory_real)

        def look_over(self, x, memory, real, memory_real):
            asks = self.norm_of("look_over")(self.start) if self.pre_norm else self.start
            return super().look_over(asks, memory, real, memory_real)

    return Early(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_memory_padding")
def padding_of_the_memory_read(d_model, num_heads, d_ff, pre_norm=False):
    """memory_real is not used: the padding of the memory is read.

    `mask=Mask(key_padding=memory_real)` in cross-attention.
    """

    class Open(Decoder):
        def cross(self, memory_real):
            return Mask()

    return Open(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_own_padding")
def own_padding_read(d_model, num_heads, d_ff, pre_norm=False):
    """real is not used: the padding of x is attended to.

    `Mask(causal=True, key_padding=real)` in self-attention.
    """

    class Open(Decoder):
        def own(self, real):
            return Mask(causal=True)

    return Open(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_equal_sizes")
def masks_exchanged(d_model, num_heads, d_ff, pre_norm=False):
    """the two masks are exchanged: real hides the memory, memory_real the block's own tokens.

    It fails unless both are equally long. `real` speaks of x, `memory_real` of the memory.
    """

    class Exchanged(Decoder):
        def forward(self, x, memory, real=None, memory_real=None):
            return super().forward(x, memory, memory_real, real)

    return Exchanged(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_memory_padding")
def memory_real_turned_round(d_model, num_heads, d_ff, pre_norm=False):
    """memory_real is turned round: words of the memory are hidden, its padding is read.

    True means word. Nothing has to be turned.
    """

    class Turned(Decoder):
        def cross(self, memory_real):
            return Mask(key_padding=None if memory_real is None else ~memory_real)

    return Turned(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_parameters")
def one_attention_made(d_model, num_heads, d_ff, pre_norm=False):
    """one attention is made and used for both.

    Make two: looking back and reading the source are learned apart.
    """

    class One(Decoder):
        def __init__(self):
            super().__init__(d_model, num_heads, d_ff, pre_norm)
            self.cross_attention = self.self_attention

    return One()


@mistake("06.4", caught_by="test_decoder_parameters")
def decoder_under_other_names(d_model, num_heads, d_ff, pre_norm=False):
    """the attentions have other names, such as self_attn and cross_attn.

    The names are part of what is asked: self_attention and cross_attention.
    """

    class Named(Decoder):
        def __init__(self):
            super().__init__(d_model, num_heads, d_ff, pre_norm)
            self.self_attn, self.cross_attn = self.self_attention, self.cross_attention
            del self.self_attention, self.cross_attention

        def look_back(self, x, memory, real, memory_real):
            return self.self_attn(x, mask=self.own(real))

        def look_over(self, x, memory, real, memory_real):
            return self.cross_attn(x, memory, mask=self.cross(memory_real))

    return Named()


@mistake("06.4", caught_by="test_decoder_dtype")
def decoder_in_single_precision(d_model, num_heads, d_ff, pre_norm=False):
    """the result is float32, whatever x is.

    Leave .float() out: float64 carries 16 digits, float32 7.
    """

    class Single(Decoder):
        def forward(self, x, memory, real=None, memory_real=None):
            return super().forward(x, memory, real, memory_real).float()

    return Single(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_gradients")
def memory_detached(d_model, num_heads, d_ff, pre_norm=False):
    """the memory is detached, so that the encoder never learns.

    Leave .detach() out: the encoder learns from what the decoder makes of its output.
    """

    class Cut(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return super().look_over(x, memory.detach(), real, memory_real)

    return Cut(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_instances")
def decoder_parts_shared_by_all(d_model, num_heads, d_ff, pre_norm=False):
    """all blocks of the class share their parts, which stand in the class body.

    What stands in the class body is made once. Make the parts in __init__, on self.
    """
    sizes = "decoder", d_model, num_heads, d_ff
    if sizes not in SHARED:
        SHARED[sizes] = Decoder(*sizes[1:])
    block = Decoder(d_model, num_heads, d_ff, pre_norm)
    for name in ("self_attention", "cross_attention", "feed_forward"):
        setattr(block, name, getattr(SHARED[sizes], name))
    return block.float()


class LookingOver(Decoder):
    """Steps named here read what their residual connection was given, not the norm of it."""

    UNNORMED: tuple = ()

    def around(self, step, x, norm, sublayer):
        if step in self.UNNORMED:
            return super().around(step, x, norm, lambda n: sublayer(x))
        return super().around(step, x, norm, sublayer)


@mistake("06.4", caught_by="test_decoder_pre_norm")
class SelfAttentionReadsX(LookingOver):
    """in pre-norm self_attention reads x itself, not norm(x).

    `Residual` hands the normalised token to the sublayer, as the argument of the lambda:
    `lambda normed: self.self_attention(normed, mask=…)`.
    """

    UNNORMED = ("look_back",)


@mistake("06.4", caught_by="test_decoder_pre_norm")
class CrossAttentionReadsY(LookingOver):
    """in pre-norm the queries of cross_attention are y itself, not norm(y).

    `Residual` hands the normalised token to the sublayer, as the argument of the lambda:
    `lambda normed: self.cross_attention(normed, memory, mask=…)`.
    """

    UNNORMED = ("look_over",)


@mistake("06.4", caught_by="test_decoder_pre_norm")
class BothAttentionsReadUnnormed(LookingOver):
    """in pre-norm both attentions read x and y themselves, not the norms of them.

    `Residual` hands the normalised token to the sublayer, as the argument of the lambda:
    `lambda normed: self.self_attention(normed, mask=…)`.
    """

    UNNORMED = ("look_back", "look_over")


class AddedAgain(Decoder):
    """A token is added by the residual connection and once more, inside of it or around it."""

    PLACES: tuple = ()
    INSIDE = True

    def around(self, step, x, norm, sublayer):
        if step not in self.PLACES:
            return super().around(step, x, norm, sublayer)
        if self.INSIDE:
            return super().around(step, x, norm, lambda n: n + sublayer(n))
        return x + super().around(step, x, norm, sublayer)


@mistake("06.4", caught_by="test_decoder_by_hand")
class AddedInsideSelfAttention(AddedAgain):
    """the token is added twice around self_attention: `Residual` adds it, the sublayer too.

    Give `Residual` the sublayer alone: `lambda normed: self.self_attention(normed, mask=…)`.
    """

    PLACES = ("look_back",)


@mistake("06.4", caught_by="test_decoder_by_hand")
class AddedInsideCrossAttention(AddedAgain):
    """the token is added twice around cross_attention: `Residual` adds it, the sublayer too.

    Give `Residual` the sublayer alone: `lambda normed: self.cross_attention(normed, memory, …)`.
    """

    PLACES = ("look_over",)


@mistake("06.4", caught_by="test_decoder_by_hand")
class AddedInsideAll(AddedAgain):
    """the token is added twice around all three sublayers: `Residual` adds it, and so do these.

    Give `Residual` the sublayers alone, without a sum of their own.
    """

    PLACES = Decoder.ORDER


@mistake("06.4", caught_by="test_decoder_by_hand")
class AddedAroundAll(AddedAgain):
    """the token is added to what each Residual returns, which holds it already.

    `self.self_attention_residual(x, sublayer)` adds and normalises: its result is y.
    """

    PLACES = Decoder.ORDER
    INSIDE = False


@mistake("06.4", caught_by="test_decoder_post_norm")
def cross_attention_to_itself_causally(d_model, num_heads, d_ff, pre_norm=False):
    """cross_attention gets no memory, and attends to x with the mask of x: self-attention again.

    Its keys and values come from the memory: `self.cross_attention(x, memory, mask=…)`.
    """

    class Inward(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return self.cross_attention(x, mask=self.own(real))

    return Inward(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def only_the_mask_of_the_memory(d_model, num_heads, d_ff, pre_norm=False):
    """cross_attention gets the mask of the memory, and not the memory itself.

    Its keys and values come from the memory: `self.cross_attention(x, memory, mask=…)`.
    """

    class Inward(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return self.cross_attention(x, mask=self.cross(memory_real))

    return Inward(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def memory_always_normalised(d_model, num_heads, d_ff, pre_norm=False):
    """the memory is normalised before it is read, with the norms before and behind.

    It is taken as it comes: only what the decoder itself says is normalised.
    """

    class Normed(Decoder):
        def look_over(self, x, memory, real, memory_real):
            memory = self.cross_attention_residual.norm(memory)
            return self.cross_attention(x, memory, mask=self.cross(memory_real))

    return Normed(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_memory_padding")
def real_for_the_memory(d_model, num_heads, d_ff, pre_norm=False):
    """cross_attention gets `real`, the padding of x, where the memory's belongs.

    `mask=Mask(key_padding=memory_real)` in cross-attention: keys are the memory's tokens.
    """

    class Mistaken(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return super().look_over(x, memory, real, real)

    return Mistaken(d_model, num_heads, d_ff, pre_norm)


@mistake("06.4", caught_by="test_decoder_post_norm")
def queries_of_the_memory_with_its_mask(d_model, num_heads, d_ff, pre_norm=False):
    """queries come from the memory, keys and values from x, and the mask is the memory's.

    The decoder asks, and the memory is asked: `self.cross_attention(x, memory, mask=…)`.
    """

    class Turned(Decoder):
        def look_over(self, x, memory, real, memory_real):
            return self.cross_attention(memory, x, mask=self.cross(memory_real))

    return Turned(d_model, num_heads, d_ff, pre_norm)


# ---------------------------------------------------------------------------------------------
# 06.5


def encoder_block(d_model, num_heads, d_ff):
    return blocks.EncoderBlock(
        MultiHeadAttention(d_model, num_heads), FeedForward(d_model, d_ff),
        norm=partial(LayerNorm, d_model), pre_norm=False,
    )  # fmt: skip


def decoder_block(d_model, num_heads, d_ff):
    return blocks.DecoderBlock(
        MultiHeadAttention(d_model, num_heads), MultiHeadAttention(d_model, num_heads),
        FeedForward(d_model, d_ff), norm=partial(LayerNorm, d_model), pre_norm=False,
    )  # fmt: skip


class Model(nn.Module):
    """The model as it should be; what is wrong overrides one of its steps."""

    def __init__(self, src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
        super().__init__()
        sizes = d_model, num_heads, d_ff
        self.src_embedding = nn.Embedding(src_vocab_size, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, d_model)
        self.position, self.root = Sinusoidal(d_model), math.sqrt(d_model)
        self.encoder = nn.ModuleList(encoder_block(*sizes) for _ in range(num_layers))
        self.decoder = nn.ModuleList(decoder_block(*sizes) for _ in range(num_layers))

    def places(self, token_ids):
        return torch.arange(token_ids.shape[1])[None]

    def embed(self, token_ids, table, which):
        return self.position.embed(table(token_ids) * self.root, self.places(token_ids))

    def own(self, tgt_real):
        return Mask(causal=True, key_padding=tgt_real)

    def read(self, x, src_real):
        """What each encoder block said, what went in first."""
        said = [x]
        for block in self.encoder:
            said.append(block(said[-1], mask=Mask(key_padding=src_real)))
        return said

    def memory(self, said, i):
        return said[-1]

    def out(self, y):
        return y @ self.tgt_embedding.weight.T

    def forward(self, src, tgt, src_real=None, tgt_real=None):
        said = self.read(self.embed(src, self.src_embedding, "src"), src_real)
        y = self.embed(tgt, self.tgt_embedding, "tgt")
        of_src = Mask(key_padding=src_real)
        for i, block in enumerate(self.decoder):
            y = block(y, self.memory(said, i), mask=self.own(tgt_real), memory_mask=of_src)
        return self.out(y)


@mistake("06.5", caught_by="test_model_definition")
def block_reads_block(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """decoder block i reads what encoder block i said.

    Some drawings show it so. In the transformer of 2017 every decoder block reads the *last*
    encoder block's output: keep it as `memory` before the decoder begins.
    """

    class Paired(Model):
        def memory(self, said, i):
            return said[i + 1]

    return Paired(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def first_encoder_block_is_the_memory(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """the decoder reads what the first encoder block said.

    The encoder's blocks lie one on the other, and the last one's output is the memory.
    """

    class Early(Model):
        def memory(self, said, i):
            return said[min(1, len(said) - 1)]

    return Early(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def embeddings_are_the_memory(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the decoder reads the embedded source: the encoder's blocks are not used.

    `x = block(x, …)` for each of them; what is left at the end is the memory.
    """

    class Raw(Model):
        def memory(self, said, i):
            return said[0]

    return Raw(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def blocks_side_by_side(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """each encoder block reads the embedded source, not the block below it.

    Blocks lie one on the other: `x = block(x, …)`, with the same name on both sides.
    """

    class Flat(Model):
        def read(self, x, src_real):
            mask = Mask(key_padding=src_real)
            return [x, *(block(x, mask=mask) for block in self.encoder)]

    return Flat(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def memory_overwritten(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the second decoder block reads what the first one said: the memory was overwritten.

    The target's tokens and the memory need two names: `y = block(y, memory, …)`.
    """

    class Overwritten(Model):
        def forward(self, src, tgt, src_real=None, tgt_real=None):
            memory = self.read(self.embed(src, self.src_embedding, "src"), src_real)[-1]
            y = self.embed(tgt, self.tgt_embedding, "tgt")
            mask = Mask(key_padding=src_real)
            for block in self.decoder:
                y = block(y, memory, mask=self.own(tgt_real), memory_mask=mask)
                memory, mask = y, Mask()
            return self.out(y)

    return Overwritten(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def first_block_again_and_again(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """the first block of each stack is used num_layers times, the others never.

    Go through the list: `for block in self.encoder`.
    """

    class Again(Model):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.__dict__["stacks"] = None

        def forward(self, *inputs):
            kept = self.encoder, self.decoder
            self._modules["encoder"] = [kept[0][0]] * len(kept[0]) if len(kept[0]) else []
            self._modules["decoder"] = [kept[1][0]] * len(kept[1]) if len(kept[1]) else []
            try:
                return super().forward(*inputs)
            finally:
                self._modules["encoder"], self._modules["decoder"] = kept

    return Again(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_by_hand")
def embeddings_not_scaled(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the embeddings are not multiplied by √C.

    Their table starts small, because it is the output layer too; without √C the positions would
    drown them.
    """

    class Unscaled(Model):
        def embed(self, token_ids, table, which):
            return self.position.embed(table(token_ids), self.places(token_ids))

    return Unscaled(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def embeddings_scaled_down(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the embeddings are divided by √C.

    They are multiplied by it; it is scores that are divided by a root.
    """

    class Down(Model):
        def embed(self, token_ids, table, which):
            return self.position.embed(table(token_ids) / self.root, self.places(token_ids))

    return Down(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def only_the_source_scaled(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """only the source's embeddings are multiplied by √C, not the target's.

    Both are.
    """

    class Half(Model):
        def embed(self, token_ids, table, which):
            x = table(token_ids) * (self.root if which == "src" else 1)
            return self.position.embed(x, self.places(token_ids))

    return Half(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def positions_scaled_as_well(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the positions are multiplied by √C as well.

    First scale the embeddings, then add the positions.
    """

    class Late(Model):
        def embed(self, token_ids, table, which):
            return self.position.embed(table(token_ids), self.places(token_ids)) * self.root

    return Late(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_by_hand")
def no_positions(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """no positions are added.

    Attention sees a bag of words: `self.position.embed(x, torch.arange(T)[None])`.
    """

    class Placeless(Model):
        def embed(self, token_ids, table, which):
            return table(token_ids) * self.root

    return Placeless(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def positions_for_the_source_only(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """positions are added to the source only.

    Both sequences need them.
    """

    class Half(Model):
        def embed(self, token_ids, table, which):
            x = table(token_ids) * self.root
            return x if which == "tgt" else self.position.embed(x, self.places(token_ids))

    return Half(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def positions_from_one(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """positions are counted from 1.

    They begin with 0: `torch.arange(T)`.
    """

    class Later(Model):
        def places(self, token_ids):
            return super().places(token_ids) + 1

    return Later(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def target_looks_ahead(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the decoder looks ahead: its mask is not causal.

    The blocks do not add the rule themselves: `Mask(causal=True, key_padding=tgt_real)`.
    """

    class Open(Model):
        def own(self, tgt_real):
            return Mask(key_padding=tgt_real)

    return Open(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def source_looks_not_ahead(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the encoder is causal.

    It sees the whole source: looking back only is the decoder's rule.
    """

    class Causal(Model):
        def read(self, x, src_real):
            for block in self.encoder:
                x = block(x, mask=Mask(causal=True, key_padding=src_real))
            return [x]

    return Causal(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_source_padding")
def source_padding_read_by_the_encoder(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """the padding of the source is hidden from the decoder, but not within the encoder.

    `block(x, mask=Mask(key_padding=src_real))` in the encoder as well.
    """

    class Open(Model):
        def read(self, x, src_real):
            return super().read(x, None)

    return Open(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


def with_memory_mask(mask_of, sizes):
    class Masked(Model):
        def forward(self, src, tgt, src_real=None, tgt_real=None):
            memory = self.read(self.embed(src, self.src_embedding, "src"), src_real)[-1]
            y = self.embed(tgt, self.tgt_embedding, "tgt")
            mask = Mask(key_padding=mask_of(src_real, tgt_real))
            for block in self.decoder:
                y = block(y, memory, mask=self.own(tgt_real), memory_mask=mask)
            return self.out(y)

    return Masked(*sizes)


@mistake("06.5", caught_by="test_model_source_padding")
def source_padding_read_by_the_decoder(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """the padding of the source is hidden within the encoder, but not from the decoder.

    `memory_mask=Mask(key_padding=src_real)`: the memory is as padded as the source.
    """
    sizes = src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
    return with_memory_mask(lambda src_real, tgt_real: None, sizes)


@mistake("06.5", caught_by="test_model_source_padding")
def source_padding_never_hidden(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """src_real is not used: the padding of the source is read everywhere.

    Hide it twice: in the encoder, and from the decoder.
    """

    class Open(Model):
        def forward(self, src, tgt, src_real=None, tgt_real=None):
            return super().forward(src, tgt, None, tgt_real)

    return Open(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_equal_sizes")
def mask_of_the_target_for_the_memory(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """the memory is masked with tgt_real.

    It fails unless both are equally long. The memory's columns are tokens of the source: src_real.
    """
    sizes = src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
    return with_memory_mask(lambda src_real, tgt_real: tgt_real, sizes)


@mistake("06.5", caught_by="test_model_target_padding")
def target_padding_never_hidden(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """tgt_real is not used.

    `Mask(causal=True, key_padding=tgt_real)` holds both rules.
    """

    class Open(Model):
        def own(self, tgt_real):
            return Mask(causal=True)

    return Open(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def probabilities_for_logits(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """probabilities are returned, not logits.

    The loss takes the softmax itself: return the dot products as they are.
    """

    class Soft(Model):
        def out(self, y):
            return super().out(y).softmax(-1)

    return Soft(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_definition")
def logits_divided_by_the_root(
    src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
):
    """the logits are divided by √C, or made with the scaled table.

    The table is used as it is for the output: `y @ self.tgt_embedding.weight.T`.
    """

    class Divided(Model):
        def out(self, y):
            return super().out(y) / self.root

    return Divided(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_parameters")
def logits_of_the_last_token(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """only the last token's logits are returned.

    In training every place is asked: (B, T_tgt, V).
    """

    class Last(Model):
        def out(self, y):
            return super().out(y)[:, -1]

    return Last(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_parameters")
def tied_to_the_source(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the output uses the source's table: logits over the source's vocabulary.

    What is written are tokens of the target: tgt_embedding.
    """

    class Wrong(Model):
        def out(self, y):
            return y @ self.src_embedding.weight.T

    return Wrong(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_equal_sizes")
def one_table_for_both(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the target's tokens are looked up in the source's table.

    With two vocabularies the same number means two words: tgt_embedding for the target.
    """

    class One(Model):
        def embed(self, token_ids, table, which):
            return super().embed(token_ids, self.src_embedding, which)

    return One(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_parameters")
def output_layer_of_its_own(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the output layer has weights of its own.

    Many models do; here the target's table serves twice: `y @ self.tgt_embedding.weight.T`.
    """

    class Untied(Model):
        def __init__(self):
            super().__init__(
                src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
            )  # fmt: skip
            self.output = nn.Linear(d_model, tgt_vocab_size, bias=False)

        def out(self, y):
            return self.output(y)

    return Untied()


@mistake("06.5", caught_by="test_model_parameters")
def blocks_in_a_plain_list(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the blocks are kept in plain lists, where torch does not find them.

    They would not be trained, saved or moved: `nn.ModuleList(…)`.
    """

    class Hidden(Model):
        def __init__(self):
            super().__init__(
                src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
            )  # fmt: skip
            stacks = list(self.encoder), list(self.decoder)
            del self.encoder, self.decoder
            self.encoder, self.decoder = stacks

    return Hidden()


@mistake("06.5", caught_by="test_model_parameters")
def one_block_many_times(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """one block is made and put into the list num_layers times.

    `[block] * n` holds the same block n times, with one set of weights. Make each anew:
    `nn.ModuleList(encoder_block(…) for _ in range(num_layers))`.
    """

    class Same(Model):
        def __init__(self):
            super().__init__(
                src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
            )  # fmt: skip
            if num_layers:
                self.encoder = nn.ModuleList([self.encoder[0]] * num_layers)
                self.decoder = nn.ModuleList([self.decoder[0]] * num_layers)

    return Same()


@mistake("06.5", caught_by="test_model_dtype")
def model_in_single_precision(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the logits are float32, whatever the weights are.

    Leave .float() out.
    """

    class Single(Model):
        def out(self, y):
            return super().out(y).float()

    return Single(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_gradients")
def encoder_without_gradients(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """the memory is detached, so that the encoder never learns.

    Leave .detach() out: the encoder learns from what the decoder makes of its output.
    """

    class Cut(Model):
        def memory(self, said, i):
            return said[-1].detach()

    return Cut(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)


@mistake("06.5", caught_by="test_model_instances")
def tables_shared_by_all(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
    """all models of the class share their tables, which stand in the class body.

    What stands in the class body is made once. Make the parts in __init__, on self.
    """
    sizes = src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers
    if ("model", *sizes) not in SHARED:
        SHARED["model", *sizes] = Model(*sizes)
    model = Model(*sizes)
    model.src_embedding = SHARED["model", *sizes].src_embedding
    model.tgt_embedding = SHARED["model", *sizes].tgt_embedding
    return model.float()


def as_a_plain_list(model, name):
    blocks = list(getattr(model, name))
    delattr(model, name)
    setattr(model, name, blocks)


def one_block_again_and_again(model, name):
    blocks = getattr(model, name)
    setattr(model, name, nn.ModuleList([*blocks[:1]] * len(blocks)))


@mistake("06.5", caught_by="test_model_parameters")
class EncoderInAPlainList(Model):
    """`self.encoder` is a plain list: torch does not look into it.

    Its weights are neither found nor trained: `self.encoder = nn.ModuleList(…)`.
    """

    def __init__(self, *sizes):
        super().__init__(*sizes)
        as_a_plain_list(self, "encoder")


@mistake("06.5", caught_by="test_model_parameters")
class OneEncoderBlockManyTimes(Model):
    """one encoder block stands num_layers times in the list.

    `[block] * n` holds the same block n times, with one set of weights. Make each anew:
    `nn.ModuleList(encoder_block(…) for _ in range(num_layers))`.
    """

    def __init__(self, *sizes):
        super().__init__(*sizes)
        one_block_again_and_again(self, "encoder")


@mistake("06.5", caught_by="test_model_parameters")
class DecoderInAPlainList(Model):
    """`self.decoder` is a plain list: torch does not look into it.

    Its weights are neither found nor trained: `self.decoder = nn.ModuleList(…)`.
    """

    def __init__(self, *sizes):
        super().__init__(*sizes)
        as_a_plain_list(self, "decoder")


@mistake("06.5", caught_by="test_model_parameters")
class OneDecoderBlockManyTimes(Model):
    """one decoder block stands num_layers times in the list.

    `[block] * n` holds the same block n times, with one set of weights. Make each anew:
    `nn.ModuleList(decoder_block(…) for _ in range(num_layers))`.
    """

    def __init__(self, *sizes):
        super().__init__(*sizes)
        one_block_again_and_again(self, "decoder")


@mistake("06.5", caught_by="test_model_by_hand")
class TiedToACopy(Model):
    """the output layer has a copy of the target's table, made at the beginning.

    When the table learns, or weights are loaded, the copy stays as it was. Take the table itself,
    in forward: `y @ self.tgt_embedding.weight.T`.
    """

    def __init__(self, src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers):
        super().__init__(src_vocab_size, tgt_vocab_size, d_model, num_heads, d_ff, num_layers)
        self.copied = self.tgt_embedding.weight.detach().clone()

    def out(self, y):
        return y @ self.copied.to(y.dtype).T


# ---------------------------------------------------------------------------------------------
# 06.6


def write(
    logits, bos_id, eos_id, max_new_tokens, *,
    choose=lambda rows: rows.argmax(-1), fill=None, over=torch.all, early=True, feed=True,
):  # fmt: skip
    """The loop as it should be, unless told otherwise; a list of columns."""
    rows = torch.arange(len(logits))
    newest = start = torch.full((len(logits),), bos_id)
    ended, chosen = torch.zeros(len(logits), dtype=torch.bool), []
    for _ in range(max_new_tokens):
        newest = choose(logits[rows, newest if feed else start])
        said = newest.masked_fill(ended, eos_id if fill is None else fill)
        ended = ended | (newest == eos_id)
        chosen.append(said)
        if early and over(ended):
            break
    return chosen


def columns(chosen):
    return torch.stack(chosen, dim=1)


@mistake("06.6", caught_by="test_greedy_ended")
def goes_on_behind_the_end(logits, bos_id, eos_id, max_new_tokens):
    """a sentence goes on behind its end until the others have ended.

    Its row is still asked, but the answer is not wanted: `newest.masked_fill(ended, eos_id)`.
    """
    rows = torch.arange(len(logits))
    newest = torch.full((len(logits),), bos_id)
    ended, chosen = torch.zeros(len(logits), dtype=torch.bool), []
    for _ in range(max_new_tokens):
        newest = logits[rows, newest].argmax(-1)
        ended = ended | (newest == eos_id)
        chosen.append(newest)
        if ended.all():
            break
    return columns(chosen)


@mistake("06.6", caught_by="test_greedy_by_hand")
def stops_with_the_first(logits, bos_id, eos_id, max_new_tokens):
    """it stops as soon as one sentence has ended.

    The others are cut off. Ask for all of them: `ended.all()`, not `ended.any()`.
    """
    return columns(write(logits, bos_id, eos_id, max_new_tokens, over=torch.any))


@mistake("06.6", caught_by="test_greedy_stops")
def never_stops_early(logits, bos_id, eos_id, max_new_tokens):
    """it never stops before max_new_tokens, and goes on filling up.

    Leave the loop when all have ended: every further step of a real model would be paid for.
    """
    return columns(write(logits, bos_id, eos_id, max_new_tokens, early=False))


@mistake("06.6", caught_by="test_greedy_ended")
def asks_for_all_in_one_step(logits, bos_id, eos_id, max_new_tokens):
    """it stops only when all sentences say the end in the same step.

    Who ended earlier says something else by then. Remember who has ended, and fill up with eos_id.
    """
    rows = torch.arange(len(logits))
    newest = torch.full((len(logits),), bos_id)
    chosen = []
    for _ in range(max_new_tokens):
        newest = logits[rows, newest].argmax(-1)
        chosen.append(newest)
        if (newest == eos_id).all():
            break
    return columns(chosen)


@mistake("06.6", caught_by="test_greedy_stops")
def stops_one_step_late(logits, bos_id, eos_id, max_new_tokens):
    """it stops one step late: a column of nothing but ends is added.

    Ask whether all have ended after the newest token was looked at, not before.
    """
    chosen = write(logits, bos_id, eos_id, max_new_tokens)
    if len(chosen) < max_new_tokens:
        chosen.append(torch.full_like(chosen[0], eos_id))
    return columns(chosen)


@mistake("06.6", caught_by="test_greedy_shape")
def start_returned(logits, bos_id, eos_id, max_new_tokens):
    """the start token is returned in front of the new ones.

    Only new tokens are asked for: it was there already.
    """
    chosen = write(logits, bos_id, eos_id, max_new_tokens)
    return columns([torch.full_like(chosen[0], bos_id), *chosen])


@mistake("06.6", caught_by="test_greedy_shape")
def end_cut_off(logits, bos_id, eos_id, max_new_tokens):
    """the end token of the longest sentence is cut off.

    The end is one of the tokens that were written: return it.
    """
    chosen = write(logits, bos_id, eos_id, max_new_tokens)
    ended = (columns(chosen) == eos_id).any(1).all()
    return columns(chosen)[:, : -1 if ended else None]


@mistake("06.6", caught_by="test_greedy_limit")
def one_token_too_many(logits, bos_id, eos_id, max_new_tokens):
    """there may be one token more than max_new_tokens.

    `range(max_new_tokens)` has that many steps; the start token is none of them.
    """
    return columns(write(logits, bos_id, eos_id, max_new_tokens + 1))


@mistake("06.6", caught_by="test_greedy_limit")
def one_token_too_few(logits, bos_id, eos_id, max_new_tokens):
    """there is at most one token less than max_new_tokens.

    The start token does not count: only what is new.
    """
    return columns(write(logits, bos_id, eos_id, max(max_new_tokens - 1, 1)))


@mistake("06.6", caught_by="test_greedy_definition")
def least_probable(logits, bos_id, eos_id, max_new_tokens):
    """the least probable token is taken.

    The largest logit belongs to the most probable one: `argmax`.
    """
    return columns(
        write(logits, bos_id, eos_id, max_new_tokens, choose=lambda rows: rows.argmin(-1))
    )


@mistake("06.6", caught_by="test_greedy_definition")
def columns_of_the_table(logits, bos_id, eos_id, max_new_tokens):
    """the column of the newest token is read, not its row: which token comes *before* it.

    Row i holds what follows token i: `logits[rows, newest]`.
    """
    return columns(write(logits.mT, bos_id, eos_id, max_new_tokens))


@mistake("06.6", caught_by="test_greedy_definition")
def table_of_the_first_sentence(logits, bos_id, eos_id, max_new_tokens):
    """all sentences follow the table of the first.

    `logits[b]` belongs to sentence b: index both axes, `logits[torch.arange(B), newest]`.
    """
    return columns(write(logits[:1].expand_as(logits), bos_id, eos_id, max_new_tokens))


@mistake("06.6", caught_by="test_greedy_definition")
def always_what_follows_the_start(logits, bos_id, eos_id, max_new_tokens):
    """each step asks again what follows the start token.

    The newest token must go in next: overwrite it with the one that was chosen.
    """
    return columns(write(logits, bos_id, eos_id, max_new_tokens, feed=False))


@mistake("06.6", caught_by="test_greedy_definition")
def drawn_at_random(logits, bos_id, eos_id, max_new_tokens):
    """tokens are drawn at random, by their probabilities.

    Greedy decoding takes the most probable one: `argmax`.
    """

    def draw(rows):
        return torch.multinomial((rows / 4).softmax(-1), 1)[:, 0]

    return columns(write(logits, bos_id, eos_id, max_new_tokens, choose=draw))


@mistake("06.6", caught_by="test_greedy_ended")
def filled_with_zeros(logits, bos_id, eos_id, max_new_tokens):
    """sentences are filled up with 0.

    Fill up with eos_id; 0 may be a word, and here it often is the start.
    """
    return columns(write(logits, bos_id, eos_id, max_new_tokens, fill=0))


@mistake("06.6", caught_by="test_greedy_ended")
def last_token_repeated(logits, bos_id, eos_id, max_new_tokens):
    """the end itself is replaced: an ended sentence repeats its last word.

    The end token is written, and the rest is filled up with it.
    """
    found = columns(write(logits, bos_id, eos_id, max_new_tokens))
    for t in range(1, found.shape[1]):
        found[:, t] = torch.where(found[:, t] == eos_id, found[:, t - 1], found[:, t])
    return found


@mistake("06.6", caught_by="test_greedy_other_numbers")
def starts_with_token_zero(logits, bos_id, eos_id, max_new_tokens):
    """the first token asked about is token 0, whatever bos_id is.

    Begin with `torch.full((B,), bos_id)`.
    """
    return columns(write(logits, 0, eos_id, max_new_tokens))


@mistake("06.6", caught_by="test_greedy_other_numbers")
def ends_with_token_one(logits, bos_id, eos_id, max_new_tokens):
    """the end is taken to be token 1, whatever eos_id is.

    Compare with eos_id, and fill up with it.
    """
    return columns(write(logits, bos_id, 1, max_new_tokens))


@mistake("06.6", caught_by="test_greedy_shape")
def steps_before_sentences(logits, bos_id, eos_id, max_new_tokens):
    """the result is (T_new, B): a row for each step.

    A row is a sentence: `torch.stack(chosen, dim=1)`.
    """
    return torch.stack(write(logits, bos_id, eos_id, max_new_tokens))


@mistake("06.6", caught_by="test_greedy_limit")
def end_forced_at_the_limit(logits, bos_id, eos_id, max_new_tokens):
    """a sentence that has not ended after max_new_tokens gets the end token for its last one.

    It has not ended: give back what the model has written.
    """
    made = columns(write(logits, bos_id, eos_id, max_new_tokens))
    made[~(made == eos_id).any(dim=1), -1] = eos_id
    return made


# ---------------------------------------------------------------------------------------------
# 06.7


def require_share(p):
    if not 0 < p <= 1:
        raise ValueError(f"p must lie in (0, 1], got {p}")


def nucleus(logits, p, *, beyond=lambda before, own, p: before >= p, back=True, shares=None):
    """As it should be, unless told otherwise."""
    require_share(p)
    if p == 1:
        return logits.clone()
    shares = logits.softmax(-1) if shares is None else shares
    ordered, order = shares.sort(-1, descending=True)
    before = F.pad(ordered.cumsum(-1)[:, :-1], (1, 0))
    gone = beyond(before, ordered, p)
    if back:
        gone = torch.zeros_like(gone).scatter(-1, order, gone)
    return logits.masked_fill(gone, -math.inf)


@mistake("06.7", caught_by="test_nucleus_first")
def crossing_token_dropped(logits, p):
    """the token that carries the sum over p goes, and a sure first token, too.

    The sum *with* a token decides then. What those before it have decides: move the cumsum right by
    one place.
    """
    return nucleus(logits, p, beyond=lambda before, own, p: before + own > p)


@mistake("06.7", caught_by="test_nucleus_definition")
def crossing_token_dropped_but_the_first(logits, p):
    """the token that carries the sum over p goes, unless it is the first.

    Those that are kept then have less than p together. Move the whole row of decisions right by one
    place, not its first entry only.
    """

    def beyond(before, own, p):
        gone = before + own > p
        gone[:, 0] = False
        return gone

    return nucleus(logits, p, beyond=beyond)


@mistake("06.7", caught_by="test_nucleus_definition")
def one_token_more(logits, p):
    """one token too many stays: the decisions are moved right by two places.

    Move them by one: a token goes when those before it have p.
    """
    return nucleus(
        logits, p, beyond=lambda before, own, p: F.pad((before >= p)[:, :-1], (1, 0), value=False)
    )


@mistake("06.7", caught_by="test_nucleus_definition")
def decisions_not_brought_back(logits, p):
    """the decisions are left in sorted order, and fall on the wrong tokens.

    `sort` also returns where each stood: `beyond.scatter(-1, order, beyond)`.
    """
    return nucleus(logits, p, back=False)


@mistake("06.7", caught_by="test_nucleus_definition")
def gathered_in_place_of_scattered(logits, p):
    """the decisions are brought back with gather, where scatter belongs.

    order[n] is the token that stands at place n: *write* decision n there. gather reads from there.
    """

    def back(gone, order):
        return gone.gather(-1, order)

    require_share(p)
    if p == 1:
        return logits
    ordered, order = logits.softmax(-1).sort(-1, descending=True)
    before = F.pad(ordered.cumsum(-1)[:, :-1], (1, 0))
    return logits.masked_fill(back(before >= p, order), -math.inf)


@mistake("06.7", caught_by="test_nucleus_definition")
def logits_gathered_in_place_of_scattered(logits, p):
    """the sorted logits are brought back with `gather(order)`, where scatter belongs.

    order[n] is the token that stands at place n: *write* logit n there. gather reads from there,
    which turns the order once more.
    """
    order = logits.argsort(-1, descending=True)
    return nucleus(logits, p).gather(-1, order).gather(-1, order) if p < 1 else nucleus(logits, p)


@mistake("06.7", caught_by="test_nucleus_definition")
def logits_left_sorted(logits, p):
    """the logits are returned sorted.

    Who draws from them needs to know which token is which: leave them in their places.
    """
    require_share(p)
    return nucleus(logits, p).sort(-1, descending=True).values if p < 1 else logits


@mistake("06.7", caught_by="test_nucleus_definition")
def least_probable_first(logits, p):
    """the tokens are sorted from the least probable up, and the most probable go.

    `sort(descending=True)`: the nucleus is filled from the top.
    """
    require_share(p)
    if p == 1:
        return logits
    ordered, order = logits.softmax(-1).sort(-1)
    gone = F.pad(ordered.cumsum(-1)[:, :-1], (1, 0)) >= p
    return logits.masked_fill(torch.zeros_like(gone).scatter(-1, order, gone), -math.inf)


@mistake("06.7", caught_by="test_nucleus_definition")
def likelier_than_p(logits, p):
    """those tokens are kept that have the probability p each.

    It is what they have *together* that must reach p.
    """
    require_share(p)
    return logits if p == 1 else logits.masked_fill(logits.softmax(-1) < p, -math.inf)


@mistake("06.7", caught_by="test_nucleus_definition")
def share_of_the_largest(logits, p):
    """those tokens are kept that have p times the probability of the largest, or more (min-p).

    That is another rule. The nucleus adds up probabilities until p is reached.
    """
    require_share(p)
    shares = logits.softmax(-1)
    gone = shares < p * shares.amax(-1, keepdim=True)
    return logits if p == 1 else logits.masked_fill(gone, -math.inf)


@mistake("06.7", caught_by="test_nucleus_definition")
def share_of_the_tokens(logits, p):
    """a share p of the *number* of tokens is kept (top-k).

    How many stay is decided by the probabilities, row by row.
    """
    require_share(p)
    k = max(math.ceil(p * logits.shape[-1]), 1)
    lowest = logits.topk(k).values[:, -1:]
    return logits if p == 1 else logits.masked_fill(logits < lowest, -math.inf)


@mistake("06.7", caught_by="test_nucleus_definition")
def probabilities_returned(logits, p):
    """probabilities are returned, not logits.

    Whoever draws takes the softmax of them once more. Return the logits, -inf for what goes.
    """
    return nucleus(logits, p).softmax(-1)


@mistake("06.7", caught_by="test_nucleus_definition")
def probabilities_kept(logits, p):
    """the probabilities of the tokens that are kept are returned, not their logits.

    Whoever draws takes the softmax of them once more. Return the logits as they are.
    """
    kept = nucleus(logits, p)
    return torch.where(kept.isinf(), kept, logits.softmax(-1))


@mistake("06.7", caught_by="test_nucleus_definition")
def filled_with_zero(logits, p):
    """what goes becomes the logit 0, which is no small probability at all.

    exp(0) is 1. Only -inf gives probability 0.
    """
    kept = nucleus(logits, p)
    return torch.where(kept.isinf() & ~logits.isinf(), 0.0, kept)


@mistake("06.7", caught_by="test_nucleus_by_hand")
def filled_with_a_billion(logits, p):
    """what goes becomes a finite number, such as -1e9.

    It works as a rule, but -inf was asked for: whoever counts what is left looks for it.
    """
    kept = nucleus(logits, p)
    return torch.where(kept.isinf() & ~logits.isinf(), -1e9, kept)


@mistake("06.7", caught_by="test_nucleus_definition")
def logits_summed(logits, p):
    """the logits themselves are added up, without a softmax.

    p is a probability: take `logits.softmax(-1)` first.
    """
    return nucleus(logits, p, shares=logits)


@mistake("06.7", caught_by="test_nucleus_square")
def probabilities_over_the_batch(logits, p):
    """the softmax runs over the rows of the batch, axis 0.

    Each row has probabilities of its own that sum to 1: `softmax(dim=-1)`.
    """
    return nucleus(logits, p, shares=logits.softmax(0))


@mistake("06.7", caught_by="test_nucleus_definition")
def order_of_the_first_row(logits, p):
    """the order of the first row is used for all rows.

    Each row has its own: keep the batch axis of `order`.
    """
    require_share(p)
    if p == 1:
        return logits
    shares = logits.softmax(-1)
    order = shares[:1].argsort(-1, descending=True).expand(len(logits), -1)
    before = F.pad(shares.gather(-1, order).cumsum(-1)[:, :-1], (1, 0))
    gone = torch.zeros_like(before >= p).scatter(-1, order, before >= p)
    return logits.masked_fill(gone, -math.inf)


@mistake("06.7", caught_by="test_nucleus_border")
def more_than_p(logits, p):
    """the sum must be more than p: where it is exactly p, one token too many stays.

    A token goes when those before it have p *or more*: `>=`.
    """
    return nucleus(logits, p, beyond=lambda before, own, p: before > p)


@mistake("06.7", caught_by="test_nucleus_everything")
def rounded_sum_reaches_one(logits, p):
    """with p = 1 tokens go, because a rounded sum reaches 1 before the last of them.

    Treat p = 1 on its own, and return the logits.
    """
    require_share(p)
    return nucleus(logits, min(p, 1 - 1e-16) if p < 1 else 0.9999999999999999)


@mistake("06.7", caught_by="test_nucleus_infinite")
def exponentials_overflow(logits, p):
    """probabilities are computed with exp of the logits as they are, which overflows.

    `softmax` subtracts the largest logit of each row first.
    """
    exponentials = logits.exp()
    return nucleus(logits, p, shares=exponentials / exponentials.sum(-1, keepdim=True))


@mistake("06.7", caught_by="test_nucleus_refuses")
def any_share_accepted(logits, p):
    """a p of 0, below 0 or above 1 is accepted.

    Compare first: `if not 0 < p <= 1: raise ValueError(…)` with p in the message.
    """
    if p <= 0:
        return nucleus(logits, 1e-9)
    return logits if p >= 1 else nucleus(logits, p)


@mistake("06.7", caught_by="test_nucleus_refuses")
def share_asserted(logits, p):
    """an assertion refuses p, so that it raises an AssertionError.

    `assert` vanishes with python -O. Write `raise ValueError(…)` with p in the message.
    """
    assert 0 < p <= 1, f"p is {p}"
    return nucleus(logits, p)


@mistake("06.7", caught_by="test_nucleus_shape")
def nucleus_in_double(logits, p):
    """the result is float64, whatever the logits are.

    Sum in float64 if you like, but return the logits in their own dtype.
    """
    return nucleus(logits.double(), p)


@mistake("06.7", caught_by="test_nucleus_definition")
def probabilities_with_zeros(logits, p):
    """probabilities are returned, not logits, and 0 for what goes.

    What is kept keeps its logit, and what goes becomes -inf: `logits.masked_fill(gone, -inf)`.
    """
    kept = nucleus(logits, p)
    return logits.softmax(-1).masked_fill(kept.isinf() & ~logits.isinf(), 0.0)


@mistake("06.7", caught_by="test_nucleus_definition")
def log_probabilities_kept(logits, p):
    """the logits are returned as log probabilities, `log_softmax`.

    As they came, please: `logits.masked_fill(gone, -inf)`.
    """
    kept = nucleus(logits, p)
    return torch.where(kept.isinf(), kept, logits.log_softmax(-1))


@mistake("06.7", caught_by="test_nucleus_definition")
def log_probabilities_of_the_kept(logits, p):
    """the log probabilities of the tokens that are kept are returned, which sum to 1 again.

    The logits as they came, please: `logits.masked_fill(gone, -inf)`.
    """
    return nucleus(logits, p).log_softmax(-1)


# ---------------------------------------------------------------------------------------------
# 06.8


def search(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6, *,
    logs=lambda logits: logits.log_softmax(-1),
    penal=lambda total, n, alpha: total / ((5 + n) / 6) ** alpha,
    length=lambda tokens: len(tokens) - 1, told=lambda score, total: score,
    unfinished=True, aside=True, first=1, branch=None, by_sum=False, least=False, mixed=False,
    feed=True, early=False,
):  # fmt: skip
    """The search as it should be, unless told otherwise; tokens with bos_id, and the score."""
    table = logs(logits)
    V = len(table)
    beginnings, finished = [([bos_id], table.new_zeros(()))] * first, []
    for n in range(1, max_new_tokens + 1):
        candidates = []
        for tokens, total in beginnings:
            row = table[tokens[-1] if feed else bos_id]
            best = range(V) if branch is None else row.topk(branch).indices.tolist()
            candidates += [([*tokens, j], total + row[j]) for j in best]
        ends = [c for c in candidates if c[0][-1] == eos_id]
        others = [c for c in candidates if c[0][-1] != eos_id]
        order = 1 if least else -1
        others.sort(key=lambda pair: order * float(pair[1]))
        if not aside:  # ends count among the K best only, and take a beam
            candidates.sort(key=lambda pair: -float(pair[1]))
            ends = [c for c in candidates[:num_beams] if c[0][-1] == eos_id]
            others = [c for c in candidates[:num_beams] if c[0][-1] != eos_id]
        if n == max_new_tokens and unfinished:
            ends = ends + others if not aside else candidates
        finished += [(penal(t, length(s), length_penalty), t, s) for s, t in ends]
        if mixed and others:
            kept = others[:num_beams]
            turned = kept[1:] + kept[:1]
            others = [([*t[0][:-1], k[0][-1]], k[1]) for k, t in zip(kept, turned, strict=True)]
        beginnings = others[:num_beams]
        if (early and finished) or not beginnings:
            break
    if not finished:
        finished = [(penal(t, length(s), length_penalty), t, s) for s, t in beginnings]
    score, total, tokens = max(finished, key=lambda each: float(each[1 if by_sum else 0]))
    return torch.tensor(tokens), told(score, total)


def without_start(found):
    return found[0][1:], found[1]


@mistake("06.8", caught_by="test_beam_other_numbers")
def logits_added_up(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the logits are added up as they are.

    Only log probabilities can be compared from row to row: `logits.log_softmax(-1)`.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, logs=lambda x: x)
    )


@mistake("06.8", caught_by="test_beam_definition")
def probabilities_added_up(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """probabilities are added up, not their logarithms.

    Probabilities of tokens are multiplied; it is their logarithms that add up: `log_softmax`.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            logs=lambda x: x.softmax(-1),
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_definition")
def probabilities_multiplied(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the score is made of the probability, not of its logarithm.

    The sum of log probabilities is divided by the penalty.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            penal=lambda total, n, alpha: total.exp() / ((5 + n) / 6) ** alpha,
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_definition")
def lengths_not_penalised(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the score is the plain sum: length_penalty is not used.

    Sentences of different lengths are compared after a division by ((5 + n) / 6) ** length_penalty.
    """
    return without_start(search(logits, bos_id, eos_id, num_beams, max_new_tokens, 0.0))


@mistake("06.8", caught_by="test_beam_definition")
def divided_by_the_length(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the sum is divided by n ** length_penalty.

    That is done, too, but here the length is softened: ((5 + n) / 6) ** length_penalty.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            penal=lambda total, n, alpha: total / n**alpha,
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_definition")
def penalty_not_divided_by_six(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    """the penalty is (5 + n) ** length_penalty, without the division by 6.

    The 6 makes the penalty of one token 1: ((5 + n) / 6) ** length_penalty.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            penal=lambda total, n, alpha: total / (5 + n) ** alpha,
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_definition")
def multiplied_by_the_penalty(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    """the sum is multiplied by the penalty.

    Sums are negative, so that makes long sentences worse still. Divide.
    """
    return without_start(search(logits, bos_id, eos_id, num_beams, max_new_tokens, -length_penalty))


@mistake("06.8", caught_by="test_beam_definition")
def end_not_counted(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the end token is not counted in n.

    n counts all new tokens, the end among them.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            length=lambda tokens: sum(token != eos_id for token in tokens[1:]),
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_definition")
def steps_counted_from_zero(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """n is one too small: the steps are counted from 0.

    n counts the new tokens, and in the first step there is one: `range(1, max_new_tokens + 1)`.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            penal=lambda total, n, alpha: total / ((4 + n) / 6) ** alpha,
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_definition")
def start_counted(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the start token is counted in n.

    n counts *new* tokens: len(tokens) - 1, if bos_id stands in front.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            penal=lambda total, n, alpha: total / ((6 + n) / 6) ** alpha,
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_ends_take_no_beam")
def ends_take_a_beam(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """ends are among the K best candidates and take a beam from the others.

    Put all ends aside first; then K of those that have not ended go on.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, aside=False)
    )


@mistake("06.8", caught_by="test_beam_of_one")
def first_end_wins(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """it stops at the first step in which a sentence ends.

    A longer one may have a better score. Go on to max_new_tokens, and compare all.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, early=True)
    )


@mistake("06.8", caught_by="test_beam_definition")
def first_end_among_the_best_wins(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    """it stops at the first step in which an end is among the K best candidates.

    A longer sentence may have a better score. Put ends aside, go on to max_new_tokens, and compare
    all.
    """
    table = logits.log_softmax(-1)
    beginnings = [([], table.new_zeros(()))]
    for n in range(1, max_new_tokens + 1):
        candidates = [
            ([*tokens, j], total + row)
            for tokens, total in beginnings
            for j, row in enumerate(table[tokens[-1] if tokens else bos_id])
        ]
        candidates.sort(key=lambda pair: -float(pair[1]))
        ends = [pair for pair in candidates[:num_beams] if pair[0][-1] == eos_id]
        if ends or n == max_new_tokens:
            tokens, total = (ends if n < max_new_tokens else candidates)[0]
            return torch.tensor(tokens), total / ((5 + n) / 6) ** length_penalty
        beginnings = candidates[:num_beams]
    return None


@mistake("06.8", caught_by="test_beam_by_hand")
def one_beam_always(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """only one beginning is kept, or num_beams times the same.

    Keep the num_beams best candidates. And begin with one: K copies of bos_id have K times the same
    candidates, and their K best are copies again.
    """
    return without_start(search(logits, bos_id, eos_id, 1, max_new_tokens, length_penalty))


@mistake("06.8", caught_by="test_beam_definition")
def sum_returned_as_score(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the score that is returned is the plain sum; the sentence was chosen by the right one.

    Return the sum divided by the penalty.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty,
            told=lambda score, total: total,
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_length_penalty")
def chosen_by_the_sum(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """among finished sentences the largest sum wins, not the largest score.

    Their lengths differ: compare scores.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, by_sum=True)
    )


@mistake("06.8", caught_by="test_beam_shapes")
def start_returned_with_the_rest(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    """the start token is returned in front of the new ones.

    Leave it out: `tokens[1:]`.
    """
    return search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty)


@mistake("06.8", caught_by="test_beam_by_hand")
def end_left_out(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the end token is left out of the sentence.

    It is one of the new tokens: return it where the sentence has one.
    """
    tokens, score = search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty)
    return tokens[1:][tokens[1:] != eos_id], score


@mistake("06.8", caught_by="test_beam_limit")
def unfinished_do_not_count(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """only sentences with an end count, also in the last step.

    A model that does not end by max_new_tokens has written something all the same: then every
    candidate counts as it is.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, unfinished=False
        )
    )  # fmt: skip


@mistake("06.8", caught_by="test_beam_limit")
def one_step_too_many(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """there may be one token more than max_new_tokens.

    Step n writes new token n; step max_new_tokens is the last.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens + 1, length_penalty)
    )


@mistake("06.8", caught_by="test_beam_definition")
def worst_beginnings_kept(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the beginnings with the smallest sums are kept.

    Log probabilities are negative, and the largest is the one nearest to 0.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, least=True)
    )


@mistake("06.8", caught_by="test_beam_exhaustive")
def beginnings_do_not_branch(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """each beginning is extended by its two best tokens only.

    Extend it by all V tokens: one beginning may give several of the K best.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, branch=2)
    )


@mistake("06.8", caught_by="test_beam_definition")
def beginnings_mixed_up(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """new tokens are put behind other beginnings than they belong to.

    A candidate is a beginning *and* a token: with place // V find the row, and take that row's
    tokens before the new one is put behind them.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, mixed=True)
    )


@mistake("06.8", caught_by="test_beam_definition")
def always_behind_the_start(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """each step asks what follows the start token.

    What follows the *newest* token of each beginning is its row: `log_probs[tokens[:, -1]]`.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, feed=False)
    )


@mistake("06.8", caught_by="test_beam_definition")
def another_penalty_unless_given(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=1.0
):
    """the penalty is 1 unless it is given.

    The signature says 0.6: leave it as it stands.
    """
    return without_start(search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty))


@mistake("06.8", caught_by="test_beam_of_one")
def stops_when_as_many_have_ended(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6
):
    """the search stops when num_beams sentences have ended.

    A beginning that is still there may end better than all of them: go on until none is left, or
    to max_new_tokens.
    """
    table, beginnings, finished = logits.log_softmax(-1), [([bos_id], logits.new_zeros(()))], []
    for n in range(1, max_new_tokens + 1):
        made = [
            ([*tokens, j], total + table[tokens[-1], j])
            for tokens, total in beginnings
            for j in range(len(table))
        ]
        ended = [c for c in made if c[0][-1] == eos_id or n == max_new_tokens]
        finished += [(total / ((5 + n) / 6) ** length_penalty, tokens) for tokens, total in ended]
        others = sorted((c for c in made if c[0][-1] != eos_id), key=lambda c: -float(c[1]))
        beginnings = others[:num_beams]
        if len(finished) >= num_beams or not beginnings:
            break
    score, tokens = max(finished, key=lambda each: float(each[0]))
    return torch.tensor(tokens[1:]), score


# ---------------------------------------------------------------------------------------------
# 06.9


def cut(x, H):
    """(B, T, H · D) -> (B, H, T, D), as it should be."""
    return x.unflatten(-1, (H, -1)).transpose(1, 2)


def joined(heads):
    """(B, H, T, D) -> (B, T, H · D), as it should be."""
    return heads.transpose(1, 2).flatten(2)


def behind(old, new):
    return torch.cat([old, new], dim=2)


def bottom_right(T, T_k):
    return torch.ones(T, T_k, dtype=torch.bool).tril(T_k - T)


def step(
    x, k_cache, v_cache, W_q, W_k, W_v, W_o, H, *,
    cut=cut, join=joined, add=behind, mask=bottom_right, scale=None, product=torch.matmul,
    kept=lambda old, new, whole: whole, out=True, axis=-1,
):  # fmt: skip
    """The step as it should be, unless told otherwise."""
    q, k_new, v_new = (cut(product(x, W), H) for W in (W_q, W_k, W_v))
    k, v = add(k_cache, k_new), add(v_cache, v_new)
    scores = q @ k.mT / (math.sqrt(q.shape[-1]) if scale is None else scale)
    allowed = mask(scores.shape[-2], scores.shape[-1])
    some = allowed.any(-1, keepdim=True)
    weights = scores.masked_fill(~allowed & some, -math.inf).softmax(axis) * allowed
    y = join(weights @ v)
    y = product(y, W_o) if out else y
    return y, kept(k_cache, k_new, k), kept(v_cache, v_new, v)


@mistake("06.9", caught_by="test_step_of_one")
def cache_not_attended_to(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new tokens attend to themselves only, though the caches grow.

    Keys and values of attention are the old ones with the new ones behind them.
    """
    y, _, _ = step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, add=lambda old, new: new
    )  # fmt: skip
    return y, *step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads)[1:]


@mistake("06.9", caught_by="test_step_caches")
def cache_overwritten(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new keys and values replace the old ones: the cache never grows.

    Each step then sees itself only. Put the new ones behind: `torch.cat([k_cache, k_new], dim=2)`.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, add=lambda old, new: new
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_several")
def new_tokens_look_ahead(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """nothing is masked: of several new tokens each sees those that come after it.

    With one new token that is right, with a prompt it is not: `mask=Mask(causal=True)`.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        mask=lambda T, T_k: torch.ones(T, T_k, dtype=torch.bool),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_one")
def aligned_at_the_top_left(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the triangle is aligned at the top left: new token 0 sees column 0 only.

    So does `is_causal=True` of torch. New token i is token S + i: `tril(T_k - T)`, or
    `Mask(causal=True)`.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        mask=lambda T, T_k: torch.ones(T, T_k, dtype=torch.bool).tril(),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_several")
def aligned_at_the_top_left_if_several(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """of several new tokens the triangle is aligned at the top left: token 0 sees column 0 only.

    So does `is_causal=T > 1` of torch, which is right for one new token and for an empty cache. New
    token i is token S + i: `tril(T_k - T)`, or `Mask(causal=True)`.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        mask=lambda T, T_k: torch.ones(T, T_k, dtype=torch.bool).tril(0 if T > 1 else T_k),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_one")
def new_token_does_not_see_itself(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """a new token does not see itself.

    The diagonal belongs to what may be seen: `tril(T_k - T)`, not one less.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        mask=lambda T, T_k: torch.ones(T, T_k, dtype=torch.bool).tril(T_k - T - 1),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_several")
def one_token_ahead(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """a new token sees one token that comes after it.

    New token i sees columns up to S + i, itself: `tril(T_k - T)`, not one more.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        mask=lambda T, T_k: torch.ones(T, T_k, dtype=torch.bool).tril(T_k - T + 1),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_several")
def new_tokens_see_the_cache_only(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """of several new tokens each sees the cache and itself, not the new ones before it.

    New token i also sees new tokens 0 to i - 1: they stand before it in the text.
    """

    def mask(T, T_k):
        own = torch.eye(T, dtype=torch.bool)
        return torch.cat([torch.ones(T, T_k - T, dtype=torch.bool), own], dim=1)

    return step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, mask=mask)


@mistake("06.9", caught_by="test_step_by_hand")
def new_in_front_of_the_old(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new keys and values are put in front of the old ones.

    Oldest first: `torch.cat([k_cache, k_new], dim=2)`. With one new token the output does not
    show it, with several the mask hides the wrong ones.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        add=lambda old, new: torch.cat([new, old], dim=2),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_by_hand")
def new_in_front_and_masked_so(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new keys and values are put in front of the old ones, in the mask as well.

    The output is right, but the next step takes the first columns for the oldest tokens. Oldest
    first: `torch.cat([k_cache, k_new], dim=2)`.
    """

    def mask(T, T_k):
        own = torch.ones(T, T, dtype=torch.bool).tril()
        return torch.cat([own, torch.ones(T, T_k - T, dtype=torch.bool)], dim=1)

    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, mask=mask,
        add=lambda old, new: torch.cat([new, old], dim=2),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_shapes")
def old_caches_returned(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the old caches are returned.

    The next step needs the new keys and values as well: return what was joined.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, kept=lambda old, new, whole: old
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_shapes")
def new_ones_returned(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """only the new keys and values are returned.

    The next step needs the old ones as well: return what was joined.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, kept=lambda old, new, whole: new
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_pieces")
def only_the_last_is_cached(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """of several new tokens only the last is cached.

    All tokens of the prompt are needed later: keep the keys and values of all T.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        kept=lambda old, new, whole: torch.cat([old, new[:, :, -1:]], dim=2),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_caches")
def caches_exchanged(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the caches are returned in the other order, values first.

    Return `y, k, v`.
    """
    y, k, v = step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads)
    return y, v, k


@mistake("06.9", caught_by="test_step_caches")
def keys_behind_the_values(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new keys are put behind the old values, and the new values behind the old keys.

    k goes with k_cache, v with v_cache.
    """
    return step(x, v_cache, k_cache, W_q, W_k, W_v, W_o, num_heads)


@mistake("06.9", caught_by="test_step_caches")
def keys_made_by_the_queries(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the keys are made with W_q and the queries with W_k.

    q = x W_q asks, k = x W_k is asked, now and in all later steps.
    """
    return step(x, k_cache, v_cache, W_k, W_q, W_v, W_o, num_heads)


@mistake("06.9", caught_by="test_step_caches")
def values_made_by_the_keys(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new values are made with W_k.

    Values have a projection of their own: x W_v.
    """
    return step(x, k_cache, v_cache, W_q, W_k, W_k, W_o, num_heads)


@mistake("06.9", caught_by="test_step_of_one")
def heads_not_mixed(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the heads are laid side by side and returned, without W_o.

    The last product mixes the heads: `@ W_o`.
    """
    return step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, out=False)


@mistake("06.9", caught_by="test_step_of_one")
def step_without_scale(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the scores are not divided by √D.

    Divide by the root of the width of one head, or use functional.attention_scores.
    """
    return step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, scale=1.0)


@mistake("06.9", caught_by="test_step_of_one")
def step_scaled_by_the_model_width(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the scores are divided by √C, the root of the width of all heads together.

    A dot product is a sum of D terms: √D, the width of one head.
    """
    scale = math.sqrt(x.shape[-1])
    return step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, scale=scale)


@mistake("06.9", caught_by="test_step_caches")
def step_cut_by_reshape(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """q, k and v are brought to (B, H, T, D) by a view or reshape alone.

    With one new token that is right. With several, first cut the last axis, (B, T, H, D), then
    exchange tokens and heads.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        cut=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_several")
def step_joined_by_reshape(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the heads are joined by a reshape alone, without exchanging heads and tokens back.

    With one new token that is right. `.transpose(1, 2)` first, then `.flatten(2)`.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        join=lambda heads: heads.reshape(heads.shape[0], heads.shape[2], -1),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_caches")
def step_heads_interleaved(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the heads are interleaved: head h takes every H-th number.

    Head 0 has the first D columns: cut the last axis as (H, D), not as (D, H).
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        cut=lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_caches")
def step_cut_and_joined_by_reshape(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the heads are cut and joined by a view or reshape alone, without exchanging tokens and heads.

    With one new token that is right. With several, cut the last axis, (B, T, H, D), then exchange
    tokens and heads, and exchange them back before the heads are joined.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        cut=lambda x, H: x.reshape(x.shape[0], H, x.shape[1], -1),
        join=lambda heads: heads.reshape(heads.shape[0], heads.shape[2], -1),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_caches")
def step_heads_interleaved_both_ways(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the heads are interleaved, where they are cut and where they are joined.

    Head 0 has the first D columns: cut the last axis as (H, D), not as (D, H).
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        cut=lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2),
        join=lambda heads: heads.permute(0, 2, 3, 1).flatten(2),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_of_one")
def weights_used_as_in_linear(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the weights are used transposed, x @ W.T, as nn.Linear keeps them.

    Here they are used as `x @ W`. They are square, so both fit.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads, product=lambda x, W: x @ W.mT
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_shapes")
def output_of_the_last_token(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """only the output of the last new token is returned.

    The next layer needs all of them: (B, T, C).
    """
    y, k, v = step(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads)
    return y[:, -1:], k, v


@mistake("06.9", caught_by="test_step_empty")
def empty_cache_without_a_mask(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """with an empty cache nothing is masked: the tokens of the prompt look ahead.

    The first call has the most tokens. Its mask is the plain triangle.
    """
    open_ = k_cache.shape[2] == 0
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        mask=(lambda T, T_k: torch.ones(T, T_k, dtype=torch.bool)) if open_ else bottom_right,
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_equal_sizes")
def cached_along_the_heads(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the caches are joined along the heads, dim=1.

    It fails unless as many tokens are cached as are new, and is wrong then: tokens are axis 2 of
    (B, H, S, D).
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        add=lambda old, new: torch.cat([old, new], dim=1),
        join=lambda heads: joined(heads.unflatten(1, (2, -1)).mean(1)),
    )  # fmt: skip


@mistake("06.9", caught_by="test_step_dtype")
def step_in_single_precision(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """everything is computed in float32, whatever x is.

    Leave .float() out: the results have the dtype of x.
    """
    tensors = (part.float() for part in (x, k_cache, v_cache, W_q, W_k, W_v, W_o))
    return step(*tensors, num_heads)


@mistake("06.9", caught_by="test_step_gradients")
def cache_detached(x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads):
    """the new keys and values are detached before they are cached and attended to.

    W_k and W_v would never learn. When a model only writes, `torch.no_grad()` belongs around the
    call, not into it.
    """
    return step(
        x, k_cache, v_cache, W_q, W_k, W_v, W_o, num_heads,
        add=lambda old, new: behind(old, new.detach()),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------
# 06.10


def gaps(
    token_ids, chance, fate, drawn, mask_id, special_ids, *,
    chosen=None, masked=lambda fate: fate < 0.8,
    exchanged=lambda fate: (fate >= 0.8) & (fate < 0.9),
    asked=lambda chosen, fate: chosen, ignore=IGNORE,
):  # fmt: skip
    """As it should be, unless told otherwise."""
    if chosen is None:
        chosen = (chance < 0.15) & ~torch.isin(token_ids, special_ids)
    inputs = torch.where(chosen & exchanged(fate), drawn, token_ids)
    inputs = torch.where(chosen & masked(fate), mask_id, inputs)
    return inputs, torch.where(asked(chosen, fate), token_ids, ignore)


@mistake("06.10", caught_by="test_gaps_targets")
def everything_asked_for(token_ids, chance, fate, drawn, mask_id, special_ids):
    """every token is asked for.

    What was not chosen stands in the input, and foretelling it is copying: IGNORE in its place.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
        asked=lambda chosen, fate: torch.ones_like(chosen),
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_targets")
def only_masked_asked_for(token_ids, chance, fate, drawn, mask_id, special_ids):
    """only the masked tokens are asked for, not those that are exchanged or stay.

    All the chosen are asked for: that is why the others are there.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
        asked=lambda chosen, fate: chosen & (fate < 0.8),
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_targets")
def changed_ones_asked_for(token_ids, chance, fate, drawn, mask_id, special_ids):
    """the tokens that stay as they are, from 0.9 on, are not asked for.

    They were chosen too. If only changed tokens were asked for, the model could trust all others.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
        asked=lambda chosen, fate: chosen & (fate < 0.9),
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_targets")
def corrupted_tokens_asked_for(token_ids, chance, fate, drawn, mask_id, special_ids):
    """targets hold the corrupted tokens, not the original ones.

    The model sees the corrupted text. What it is asked for is what stood there before.
    """
    inputs, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    return inputs, torch.where(targets == IGNORE, IGNORE, inputs)


@mistake("06.10", caught_by="test_gaps_targets")
def ignored_as_minus_one(token_ids, chance, fate, drawn, mask_id, special_ids):
    """what is not asked for is -1 in targets, not IGNORE.

    The loss leaves out IGNORE, -100, and nothing else.
    """
    return gaps(token_ids, chance, fate, drawn, mask_id, special_ids, ignore=-1)


@mistake("06.10", caught_by="test_gaps_targets")
def ignored_as_token_zero(token_ids, chance, fate, drawn, mask_id, special_ids):
    """what is not asked for is 0 in targets, not IGNORE.

    0 is a token, and the model would learn to say it. IGNORE is -100.
    """
    return gaps(token_ids, chance, fate, drawn, mask_id, special_ids, ignore=0)


@mistake("06.10", caught_by="test_gaps_special")
def special_tokens_chosen(token_ids, chance, fate, drawn, mask_id, special_ids):
    """special tokens are chosen like all others.

    Nothing is learned from foretelling padding or a start token: `& ~torch.isin(token_ids,
    special_ids)`.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, chosen=chance < 0.15
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_special")
def one_special_token_spared(token_ids, chance, fate, drawn, mask_id, special_ids):
    """only the first of the special tokens is spared.

    Each of them is: `torch.isin(token_ids, special_ids)`.
    """
    return gaps(token_ids, chance, fate, drawn, mask_id, special_ids[:1])


@mistake("06.10", caught_by="test_gaps_special")
def special_tokens_spared_but_asked_for(token_ids, chance, fate, drawn, mask_id, special_ids):
    """special tokens stay as they are, but are asked for.

    They are not chosen at all: IGNORE in targets, too.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
    )[0], torch.where(chance < 0.15, token_ids, IGNORE)  # fmt: skip


@mistake("06.10", caught_by="test_gaps_special")
def small_numbers_spared(token_ids, chance, fate, drawn, mask_id, special_ids):
    """all tokens up to the largest special number are spared.

    Special tokens may have any number: ask for each of them.
    """
    chosen = (chance < 0.15) & (token_ids > special_ids.max())
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, chosen=chosen
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def all_chosen_are_masked(token_ids, chance, fate, drawn, mask_id, special_ids):
    """all chosen tokens are masked.

    From 0.8 on they are exchanged or stay: texts in later use have no masks.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
        masked=lambda fate: fate < 2, exchanged=lambda fate: fate > 2,
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def none_exchanged(token_ids, chance, fate, drawn, mask_id, special_ids):
    """no token is exchanged: from 0.8 on they all stay.

    From 0.8 to below 0.9 the drawn token takes their place.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, exchanged=lambda fate: fate > 2
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def none_stays(token_ids, chance, fate, drawn, mask_id, special_ids):
    """all that are not masked are exchanged, and none stays.

    From 0.9 on a chosen token stays as it was.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, exchanged=lambda fate: fate >= 0.8
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def masks_overwritten(token_ids, chance, fate, drawn, mask_id, special_ids):
    """the masks are written first and then overwritten: all below 0.9 are exchanged.

    Below 0.8 is below 0.9 as well. Write the mask last, or ask for both ends.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
        masked=lambda fate: fate > 2, exchanged=lambda fate: fate < 0.9,
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def exchanged_below_a_tenth(token_ids, chance, fate, drawn, mask_id, special_ids):
    """tokens are exchanged where fate is below 0.1, and masked where it is below 0.8.

    The tenth that is exchanged lies behind the eight that are masked: from 0.8 to below 0.9.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids,
        masked=lambda fate: (fate >= 0.1) & (fate < 0.8), exchanged=lambda fate: fate < 0.1,
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def stays_before_exchanged(token_ids, chance, fate, drawn, mask_id, special_ids):
    """tokens stay from 0.8 to below 0.9, and are exchanged from 0.9 on.

    The other way round.
    """
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, exchanged=lambda fate: fate >= 0.9
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_inputs")
def corrupted_whether_chosen_or_not(token_ids, chance, fate, drawn, mask_id, special_ids):
    """tokens are masked and exchanged by their fate, whether they are chosen or not.

    Only chosen tokens change: `torch.where(chosen, …, token_ids)`.
    """
    _, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    everything = torch.ones_like(chance, dtype=torch.bool)
    inputs, _ = gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, chosen=everything
    )  # fmt: skip
    return inputs, targets


@mistake("06.10", caught_by="test_gaps_targets")
def the_others_are_chosen(token_ids, chance, fate, drawn, mask_id, special_ids):
    """those tokens are chosen whose chance is not below 0.15: 85 % of them.

    `chance < 0.15` is true for 15 %.
    """
    chosen = (chance >= 0.15) & ~torch.isin(token_ids, special_ids)
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, chosen=chosen
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_targets")
def dice_exchanged(token_ids, chance, fate, drawn, mask_id, special_ids):
    """the two dice are exchanged: fate says who is chosen, chance what becomes of them.

    chance decides about the 15 %, fate about 80, 10 and 10.
    """
    return gaps(token_ids, fate, chance, drawn, mask_id, special_ids)


@mistake("06.10", caught_by="test_gaps_shapes")
def targets_of_the_chosen_only(token_ids, chance, fate, drawn, mask_id, special_ids):
    """targets are a list of the chosen tokens, without their places.

    They have the shape of the texts, (B, T), so that each stands below the logits that answer it.
    """
    inputs, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    return inputs, targets[targets != IGNORE]


@mistake("06.10", caught_by="test_gaps_by_hand")
def targets_first(token_ids, chance, fate, drawn, mask_id, special_ids):
    """the two are returned in the other order.

    What goes in comes first: `inputs, targets`.
    """
    return gaps(token_ids, chance, fate, drawn, mask_id, special_ids)[::-1]


@mistake("06.10", caught_by="test_gaps_borders")
def borders_included(token_ids, chance, fate, drawn, mask_id, special_ids):
    """the borders are included: a chance of exactly 0.15 is chosen, a fate of 0.8 is masked.

    *Below* 0.15, below 0.8, below 0.9: `<`, so that the shares of numbers from [0, 1) are exact.
    """
    chosen = (chance <= 0.15) & ~torch.isin(token_ids, special_ids)
    return gaps(
        token_ids, chance, fate, drawn, mask_id, special_ids, chosen=chosen,
        masked=lambda fate: fate <= 0.8, exchanged=lambda fate: (fate > 0.8) & (fate <= 0.9),
    )  # fmt: skip


@mistake("06.10", caught_by="test_gaps_extremes")
def token_four_is_the_mask(token_ids, chance, fate, drawn, mask_id, special_ids):
    """the mask token is written as a number, 4, whatever mask_id is.

    Each vocabulary has its own: write mask_id.
    """
    return gaps(token_ids, chance, fate, drawn, 4, special_ids)


@mistake("06.10", caught_by="test_gaps_by_hand")
def masked_whether_chosen_or_not(token_ids, chance, fate, drawn, mask_id, special_ids):
    """tokens whose fate is below 0.8 are masked, chosen or not; only special ones are spared.

    The chance decides first: below 0.15, and not special. Only then comes the fate.
    """
    inputs, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    free = ~torch.isin(token_ids, special_ids)
    return torch.where(free & (fate < 0.8), mask_id, inputs), targets


@mistake("06.10", caught_by="test_gaps_by_hand")
def corrupted_unless_special(token_ids, chance, fate, drawn, mask_id, special_ids):
    """tokens are masked and exchanged by their fate, chosen or not, and only special ones spared.

    The chance decides first: below 0.15, and not special. Only then comes the fate.
    """
    _, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    free = ~torch.isin(token_ids, special_ids)
    inputs, _ = gaps(token_ids, chance, fate, drawn, mask_id, special_ids, chosen=free)
    return inputs, targets


@mistake("06.10", caught_by="test_gaps_by_hand")
def masked_chosen_or_special(token_ids, chance, fate, drawn, mask_id, special_ids):
    """every token whose fate is below 0.8 is masked, chosen or not, special or not.

    Only the chosen ones are: `chosen & (fate < 0.8)`.
    """
    inputs, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    return torch.where(fate < 0.8, mask_id, inputs), targets


@mistake("06.10", caught_by="test_gaps_inputs")
def exchanged_whether_chosen_or_not(token_ids, chance, fate, drawn, mask_id, special_ids):
    """tokens whose fate is from 0.8 to 0.9 are exchanged, chosen or not.

    The chance decides first: `chosen & (fate >= 0.8) & (fate < 0.9)`.
    """
    inputs, targets = gaps(token_ids, chance, fate, drawn, mask_id, special_ids)
    return torch.where((fate >= 0.8) & (fate < 0.9), drawn, inputs), targets


# ---------------------------------------------------------------------------------------------
# 06.11


def spans_of(
    token_ids, taken_out, sentinels, *,
    begins=lambda out: out & ~F.pad(out[:-1].int(), (1, 0)).bool(), need=1, last=True,
    number=lambda begins: begins.cumsum(0) - 1, in_source=True, in_target=True, refuse=ValueError,
):  # fmt: skip
    """As it should be, unless told otherwise; two lists of pairs (sentinel?, token)."""
    starts = begins(taken_out)
    spans = int(starts.sum())
    if refuse and spans + need > len(sentinels):
        raise refuse(f"{spans} spans need {spans + 1} sentinels, got {len(sentinels)}")
    which = number(starts)
    source, target = [], []
    for t, token in enumerate(token_ids.tolist()):
        if starts[t]:
            sentinel = int(sentinels[min(int(which[t]), len(sentinels) - 1)])
            source += [sentinel] * in_source
            target += [sentinel] * in_target
        (target if taken_out[t] else source).append(token)
    if last:
        target.append(int(sentinels[min(spans, len(sentinels) - 1)]))
    return torch.tensor(source).long(), torch.tensor(target).long()


@mistake("06.11", caught_by="test_spans_source")
def sentinel_for_every_token(token_ids, taken_out, sentinels):
    """every token that is taken out gets a sentinel of its own.

    Neighbours belong to one span: a sentinel only where the token before was not taken out.
    """
    return spans_of(token_ids, taken_out, sentinels, begins=lambda out: out)


@mistake("06.11", caught_by="test_spans_source")
def one_sentinel_for_all(token_ids, taken_out, sentinels):
    """all spans get the first sentinel.

    The decoder must know which span it is asked for: the first sentinel for the first span, the
    second for the second.
    """
    return spans_of(
        token_ids, taken_out, sentinels, number=lambda begins: torch.zeros_like(begins).long()
    )


@mistake("06.11", caught_by="test_spans_source")
def sentinels_counted_from_one(token_ids, taken_out, sentinels):
    """the sentinels begin with the second.

    cumsum counts the first span as 1, and Python counts from 0: `begins.cumsum(0) - 1`.
    """
    return spans_of(token_ids, taken_out, sentinels, number=lambda begins: begins.cumsum(0))


@mistake("06.11", caught_by="test_spans_source")
def sentinels_from_the_end(token_ids, taken_out, sentinels):
    """the sentinels are used from the last to the first.

    In the order in which they are given.
    """
    return spans_of(token_ids, taken_out, sentinels.flip(0))


@mistake("06.11", caught_by="test_spans_at_the_ends")
def span_at_the_end_lost(token_ids, taken_out, sentinels):
    """a span at the end of the text is lost: nothing comes behind it that would have it written.

    A span that is written when the next token that stays is met needs one look more behind the
    loop.
    """
    stays = (~taken_out).nonzero()
    end = int(stays[-1]) + 1 if len(stays) else 0
    spans_of(token_ids, taken_out, sentinels)  # refuses too few
    return spans_of(token_ids[:end], taken_out[:end], sentinels)


@mistake("06.11", caught_by="test_spans_target")
def target_without_its_end(token_ids, taken_out, sentinels):
    """the target lacks the sentinel at its end.

    One more than there are spans: it says that nothing is missing any more.
    """
    return spans_of(token_ids, taken_out, sentinels, last=False)


@mistake("06.11", caught_by="test_spans_target")
def target_ends_with_the_last_given(token_ids, taken_out, sentinels):
    """the target ends with the last of all sentinels, not with the next one.

    After spans 0 to n - 1 comes sentinel n, whatever stands behind it.
    """
    source, target = spans_of(token_ids, taken_out, sentinels)
    return source, torch.cat([target[:-1], sentinels[-1:]])


@mistake("06.11", caught_by="test_spans_target")
def target_ends_with_the_same_again(token_ids, taken_out, sentinels):
    """the target ends with the sentinel of the last span once more.

    The end is the *next* sentinel.
    """
    source, target = spans_of(token_ids, taken_out, sentinels)
    spans = int((sentinels == target[-1]).int().argmax())
    return source, torch.cat([target[:-1], sentinels[max(spans - 1, 0)][None]])


@mistake("06.11", caught_by="test_spans_source")
def source_without_sentinels(token_ids, taken_out, sentinels):
    """the source has no sentinels: the spans are just missing.

    Where something is missing must be seen: one sentinel in the place of each span.
    """
    return spans_of(token_ids, taken_out, sentinels, in_source=False)


@mistake("06.11", caught_by="test_spans_target")
def target_without_sentinels(token_ids, taken_out, sentinels):
    """the target has no sentinels between the spans.

    Each span comes behind the sentinel that stands for it in the source.
    """
    return spans_of(token_ids, taken_out, sentinels, in_target=False)


@mistake("06.11", caught_by="test_spans_source")
def taken_out_turned_round(token_ids, taken_out, sentinels):
    """what is to stay is taken out, and what is to be taken out stays.

    True in taken_out means that a token goes into the target.
    """
    return spans_of(token_ids, ~taken_out, sentinels)


@mistake("06.11", caught_by="test_spans_target")
def sentinel_behind_its_span(token_ids, taken_out, sentinels):
    """in the target each sentinel stands behind its span.

    First the sentinel, then the span: the decoder says which gap it fills before it fills it.
    """
    source, _ = spans_of(token_ids, taken_out, sentinels)
    target, number, out = [], 0, [*taken_out.tolist(), False]
    for t, token in enumerate(token_ids.tolist()):
        if out[t]:
            target.append(token)
            if not out[t + 1]:
                target.append(int(sentinels[number]))
                number += 1
    return source, torch.tensor([*target, int(sentinels[number])])


@mistake("06.11", caught_by="test_spans_source")
def source_with_an_end(token_ids, taken_out, sentinels):
    """the last sentinel ends the source as well.

    It belongs to the target only.
    """
    source, target = spans_of(token_ids, taken_out, sentinels)
    return torch.cat([source, target[-1:]]), target


@mistake("06.11", caught_by="test_spans_shapes")
def source_as_long_as_the_text(token_ids, taken_out, sentinels):
    """the source is as long as the text: each token of a span becomes its sentinel.

    A span becomes *one* token, however long it is.
    """
    _, target = spans_of(token_ids, taken_out, sentinels)
    begins = taken_out & ~F.pad(taken_out[:-1].int(), (1, 0)).bool()
    number = (begins.cumsum(0) - 1).clamp(min=0)
    return torch.where(taken_out, sentinels[number], token_ids), target


@mistake("06.11", caught_by="test_spans_source")
def text_left_in_the_source(token_ids, taken_out, sentinels):
    """the spans stay in the source, with a sentinel in front.

    The answer stands there to be read: the sentinel takes the place of the span.
    """
    _, target = spans_of(token_ids, taken_out, sentinels)
    begins = taken_out & ~F.pad(taken_out[:-1].int(), (1, 0)).bool()
    source, number = [], 0
    for t, token in enumerate(token_ids.tolist()):
        if begins[t]:
            source.append(int(sentinels[number]))
            number += 1
        source.append(token)
    return torch.tensor(source), target


@mistake("06.11", caught_by="test_spans_at_the_ends")
def before_wraps_around(token_ids, taken_out, sentinels):
    """the token before the first is taken to be the last: roll(1) goes round.

    Where both are taken out, the first span does not begin. Put False in front:
    `torch.cat([taken_out.new_zeros(1), taken_out[:-1]])`.
    """
    whole = bool(taken_out.all())
    return spans_of(
        token_ids, taken_out, sentinels,
        begins=lambda out: out & ~(out.roll(1) if not whole else F.pad(out[1:].int(), (1, 0)) > 0),
    )  # fmt: skip


@mistake("06.11", caught_by="test_spans_at_the_ends")
def first_token_never_begins(token_ids, taken_out, sentinels):
    """a span that begins with the first token gets no sentinel.

    Before the first token there is none, so nothing was taken out there: False.
    """
    return spans_of(
        token_ids, taken_out, sentinels,
        begins=lambda out: out & ~F.pad(out[:-1].int(), (1, 0), value=1).bool(),
    )  # fmt: skip


@mistake("06.11", caught_by="test_spans_extremes")
def nothing_to_do_without_spans(token_ids, taken_out, sentinels):
    """without a span the target is empty.

    It has its end all the same: the first sentinel.
    """
    source, target = spans_of(token_ids, taken_out, sentinels)
    return source, target if taken_out.any() else target[:0]


@mistake("06.11", caught_by="test_spans_refused")
def too_few_sentinels_reused(token_ids, taken_out, sentinels):
    """too few sentinels are not refused, and the last is used again.

    Count the spans first, and raise a ValueError with both numbers.
    """
    return spans_of(token_ids, taken_out, sentinels, refuse=None)


@mistake("06.11", caught_by="test_spans_refused")
def too_few_sentinels_asserted(token_ids, taken_out, sentinels):
    """an assertion refuses too few sentinels, so that it raises an AssertionError.

    `assert` vanishes with python -O. Write `raise ValueError(…)` with both numbers.
    """
    return spans_of(token_ids, taken_out, sentinels, refuse=AssertionError)


@mistake("06.11", caught_by="test_spans_refused")
def too_few_sentinels_are_an_index_error(token_ids, taken_out, sentinels):
    """too few sentinels are left to torch, which raises an IndexError.

    Whoever reads it does not know what to change. Count first, and raise a ValueError.
    """
    return spans_of(token_ids, taken_out, sentinels, refuse=IndexError)


@mistake("06.11", caught_by="test_spans_by_hand")
def one_more_sentinel_wanted(token_ids, taken_out, sentinels):
    """just enough sentinels are refused.

    n spans need n + 1 of them, and n + 1 are enough: `spans >= len(sentinels)`.
    """
    return spans_of(token_ids, taken_out, sentinels, need=2)
