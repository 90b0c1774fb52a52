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


@mistake("06.1", caught_by="test_masks_own")
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
    """the padding of the target hides rows, not columns, or rows as well as columns.

    A row is a token that asks, a column one that is asked. Nobody *reads* padding: `[:, None, :]`,
    not `[:, :, None]`.
    """
    own = triangle(tgt.shape[1]) & (tgt != pad_id)[:, :, None]
    return own, cross_mask(src, tgt, pad_id)


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


@mistake("06.2", caught_by="test_shift_inputs")
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


@mistake("06.6", caught_by="test_greedy_ended")
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

    Who ended earlier says something else by then. Remember it: `ended = ended | (newest ==
    eos_id)`, and fill up.
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


@mistake("06.7", caught_by="test_nucleus_definition")
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

    `sort` also returns where each stood: `torch.zeros_like(beyond).scatter(-1, order, beyond)`.
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


# ---------------------------------------------------------------------------------------------
# 06.8


def search(
    logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6, *,
    logs=lambda logits: logits.log_softmax(-1),
    penal=lambda total, n, alpha: total / ((5 + n) / 6) ** alpha,
    told=lambda score, total: score,
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
        finished += [(penal(total, n, length_penalty), total, tokens) for tokens, total in ends]
        if mixed and others:
            kept = others[:num_beams]
            turned = kept[1:] + kept[:1]
            others = [([*t[0][:-1], k[0][-1]], k[1]) for k, t in zip(kept, turned, strict=True)]
        beginnings = others[:num_beams]
        if (early and finished) or not beginnings:
            break
    if not finished:
        finished = [(penal(t, len(s) - 1, length_penalty), t, s) for s, t in beginnings]
    score, total, tokens = max(finished, key=lambda each: float(each[1 if by_sum else 0]))
    return torch.tensor(tokens), told(score, total)


def without_start(found):
    return found[0][1:], found[1]


@mistake("06.8", caught_by="test_beam_definition")
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


@mistake("06.8", caught_by="test_beam_definition")
def first_end_wins(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """it stops at the first step in which a sentence ends.

    A longer one may have a better score. Go on to max_new_tokens, and compare all.
    """
    return without_start(
        search(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, early=True)
    )


@mistake("06.8", caught_by="test_beam_by_hand")
def one_beam_always(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """only one beginning is kept, whatever num_beams is.

    Keep the num_beams best: `topk(num_beams)`, or a slice of the sorted candidates.
    """
    return without_start(search(logits, bos_id, eos_id, 1, max_new_tokens, length_penalty))


@mistake("06.8", caught_by="test_beam_by_hand")
def beams_all_the_same(logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty=0.6):
    """the search begins with K times the same beginning, so that its beams are copies.

    In the first step there is one beginning: the K best candidates are then K different ones.
    """
    return without_start(
        search(
            logits, bos_id, eos_id, num_beams, max_new_tokens, length_penalty, first=num_beams
        )
    )  # fmt: skip


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
