"""Typical wrong answers to the exercises of chapter 3, each with the sentence that names it."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx import functional
from minitx.grading import mistake
from minitx.masks import padding


def split(x, H):
    """(B, T, H · D) -> (B, H, T, D), as it should be."""
    return x.unflatten(-1, (H, -1)).transpose(1, 2)


def merge(heads):
    """(B, H, T, D) -> (B, T, H · D), as it should be."""
    return heads.transpose(1, 2).flatten(2)


# ---------------------------------------------------------------------------------------------
# 03.1


@mistake("03.1", caught_by="test_split_by_hand")
def cut_along_the_sentence(x, num_heads):
    """axes are only renamed, view(B, H, T, D), so that a head gets a stretch of the sentence.

    view and reshape move nothing: they read the same numbers in the same order. First cut the last
    axis, `view(B, T, H, D)`, then exchange tokens and heads, `.transpose(1, 2)`.
    """
    B, T, C = x.shape
    return x.reshape(B, num_heads, T, C // num_heads)


@mistake("03.1", caught_by="test_split_shape")
def heads_left_behind_the_tokens(x, num_heads):
    """the last axis is cut in two and the heads stay behind the tokens: (B, T, H, D).

    The cut is right. Attention multiplies the last two axes, which must be tokens and width: bring
    the heads to the front with `.transpose(1, 2)`.
    """
    return x.unflatten(-1, (num_heads, -1))


@mistake("03.1", caught_by="test_split_every_number")
def heads_interleaved(x, num_heads):
    """head h takes every H-th number, h, h + H, h + 2H …, not D neighbours.

    The numbers of one head lie side by side: cut the last axis as (H, D), heads first, and not as
    (D, H).
    """
    B, T, C = x.shape
    return x.view(B, T, C // num_heads, num_heads).permute(0, 3, 1, 2)


@mistake("03.1", caught_by="test_split_every_number")
def tokens_and_columns_exchanged_first(x, num_heads):
    """tokens and columns are exchanged first, and the result is reshaped to (B, H, T, D).

    After `x.transpose(1, 2)` a row holds one column of all tokens, and the reshape cuts through it.
    First `view(B, T, H, D)`, then `.transpose(1, 2)`.
    """
    B, T, C = x.shape
    return x.transpose(1, 2).reshape(B, num_heads, T, C // num_heads)


@mistake("03.1", caught_by="test_split_shape")
def width_before_tokens(x, num_heads):
    """the width of a head stands before the tokens: (B, H, D, T).

    The rows of a head are its tokens: (B, H, T, D). `.transpose(1, 2)` after the cut is all.
    """
    return split(x, num_heads).mT


@mistake("03.1", caught_by="test_split_shape")
def batch_behind_the_heads(x, num_heads):
    """the heads come before the batch: (H, B, T, D).

    The batch stays the first axis. After `view(B, T, H, D)` exchange axes 1 and 2 only; permute
    must be (0, 2, 1, 3).
    """
    return split(x, num_heads).transpose(0, 1)


@mistake("03.1", caught_by="test_split_shape")
def batch_and_heads_in_one_axis(x, num_heads):
    """batch and heads are folded into one axis: (B · H, T, D).

    `@` repeats itself over any number of leading axes, so that nothing needs to be folded. Leave
    them apart, (B, H, T, D).
    """
    return split(x, num_heads).flatten(0, 1)


@mistake("03.1", caught_by="test_split_shape")
def number_of_heads_taken_for_their_width(x, num_heads):
    """num_heads is taken for the width of a head: there are C / H heads of width H.

    The width of a head is D = C // num_heads: `view(B, T, num_heads, D)`.
    """
    return split(x, x.shape[-1] // num_heads)


@mistake("03.1", caught_by="test_split_equal_sizes")
def turned_only_where_the_shape_is_wrong(x, num_heads):
    """tokens and heads are exchanged only where the shape shows that they must be.

    With T == H the shape is right either way, and the numbers are not. Exchange them always.
    """
    B, T, C = x.shape
    parts = x.unflatten(-1, (num_heads, -1))
    return parts if parts.shape == (B, num_heads, T, C // num_heads) else parts.transpose(1, 2)


@mistake("03.1", caught_by="test_split_every_number")
def heads_begin_one_apart(x, num_heads):
    """each head begins one number after the one before, x[:, :, h : h + D], so that they overlap.

    Head h begins at h * D: x[:, :, h * D : (h + 1) * D].
    """
    D = x.shape[-1] // num_heads
    return torch.stack([x[:, :, h : h + D] for h in range(num_heads)], dim=1)


@mistake("03.1", caught_by="test_split_shape")
def last_number_of_each_head_lost(x, num_heads):
    """each head lacks its last number: its columns end at (h + 1) * D - 1.

    The end of a slice is already exclusive: x[:, :, h * D : (h + 1) * D] has D columns.
    """
    D = x.shape[-1] // num_heads
    return torch.stack([x[:, :, h * D : (h + 1) * D - 1] for h in range(num_heads)], dim=1)


@mistake("03.1", caught_by="test_split_extremes")
def axes_of_length_one_dropped(x, num_heads):
    """axes of length 1 are dropped.

    Leave squeeze out: one sentence, one head or one token is still an axis.
    """
    return split(x, num_heads).squeeze()


@mistake("03.1", caught_by="test_split_keeps_the_dtype")
def split_in_single_precision(x, num_heads):
    """the result is float32, whatever x is.

    Leave .float() out, and make new tensors with `x.new_zeros(…)`, which has the dtype of x.
    """
    return split(x, num_heads).float()


@mistake("03.1", caught_by="test_split_gradients")
def split_without_gradient(x, num_heads):
    """the numbers are right, but cut off from x.

    detach(), .data, numpy(), torch.tensor(…) and torch.no_grad() cut the way back. view and
    transpose keep it.
    """
    return split(x, num_heads).detach()


@mistake("03.1", caught_by="test_split_shape")
def tokens_shared_out_to_the_heads(x, num_heads):
    """the sentence is cut in num_heads pieces, not the columns: each head gets some of the tokens.

    Every head sees all tokens, and D columns of each: cut the last axis,
    `chunk(num_heads, dim=-1)`, and stack the pieces with `dim=1`.
    """
    return torch.stack(x.chunk(num_heads, dim=1), dim=1)


@mistake("03.1", caught_by="test_split_shape")
def tokens_and_columns_unpacked_in_the_other_order(x, num_heads):
    """the shape is unpacked as (B, C, T), so that the tokens are cut into heads.

    x is (B, T, C): `B, T, C = x.shape`, and D = C // num_heads. No error comes where num_heads
    divides T.
    """
    B, C, T = x.shape
    return x.reshape(B, T, num_heads, C // num_heads).transpose(1, 2)


@mistake("03.1", caught_by="test_split_shape")
def slices_as_wide_as_there_are_heads(x, num_heads):
    """the slices are num_heads wide: x[..., h * H : (h + 1) * H].

    A head is D = C // num_heads wide, and begins at h * D: x[..., h * D : (h + 1) * D].
    """
    H = num_heads
    return torch.stack([x[..., h * H : (h + 1) * H] for h in range(H)], dim=1)


@mistake("03.1", caught_by="test_split_shape")
def token_h_taken_for_head_h(x, num_heads):
    """after view(B, T, H, D) the index h is put on axis 1, the tokens: head h is token h.

    The heads are axis 2 there: x[:, :, h], stacked with dim=1, or one `.transpose(1, 2)`.
    """
    cut = x.unflatten(-1, (num_heads, -1))
    return torch.stack([cut[:, h] for h in range(num_heads)], dim=1)


# ---------------------------------------------------------------------------------------------
# 03.2


@mistake("03.2", caught_by="test_merge_by_hand")
def joined_without_exchange(heads):
    """heads are joined by a reshape alone, so that a token gets several tokens of one head.

    reshape moves nothing. Bring the tokens in front of the heads first, `.transpose(1, 2)`, then
    join the last two axes.
    """
    B, H, T, D = heads.shape
    return heads.reshape(B, T, H * D)


@mistake("03.2", caught_by="test_merge_every_number")
def view_behind_a_transpose(heads):
    """view is asked of a transposed tensor, which it refuses.

    After `.transpose(1, 2)` the numbers no longer lie in memory in the order of the axes. Use
    `.reshape(…)` or `.flatten(2)`, or put `.contiguous()` before view.
    """
    B, H, T, D = heads.shape
    return heads.transpose(1, 2).view(B, T, H * D)


@mistake("03.2", caught_by="test_merge_shape")
def heads_not_joined(heads):
    """tokens and heads are exchanged and the heads stay apart: (B, T, H, D).

    The exchange is right. Join the last two axes: `.flatten(2)`.
    """
    return heads.transpose(1, 2)


@mistake("03.2", caught_by="test_merge_every_number")
def joined_number_by_number(heads):
    """the first numbers of all heads come first, then the second ones: width before heads.

    All of head 0 comes first, then all of head 1. The axes to be joined are (H, D) in this order:
    exchange tokens and heads only.
    """
    return heads.permute(0, 2, 3, 1).flatten(2)


@mistake("03.2", caught_by="test_merge_shape")
def heads_added_up(heads):
    """the heads are added up: (B, T, D).

    Heads are laid side by side, not added: the width becomes H · D, and the next projection
    decides how they are mixed.
    """
    return heads.sum(dim=1)


@mistake("03.2", caught_by="test_merge_shape")
def heads_averaged(heads):
    """the heads are averaged: (B, T, D).

    Heads are laid side by side, not averaged: the width becomes H · D.
    """
    return heads.mean(dim=1)


@mistake("03.2", caught_by="test_merge_shape")
def heads_below_one_another(heads):
    """the heads stand below one another, as more tokens: (B, H · T, D).

    What is joined is heads and *width*. Exchange tokens and heads first, `.transpose(1, 2)`; then
    the last two axes are the right ones.
    """
    return heads.flatten(1, 2)


@mistake("03.2", caught_by="test_merge_every_number")
def heads_in_reverse(heads):
    """the heads are laid side by side in reverse, the last one first.

    Head 0 comes first: out[b, t, h * D + d] = heads[b, h, t, d].
    """
    return merge(heads.flip(1))


@mistake("03.2", caught_by="test_merge_every_number")
def tokens_and_width_exchanged(heads):
    """tokens and width are exchanged before a reshape, in place of tokens and heads.

    With four axes (B, H, T, D) the two to be exchanged are 1 and 2; -2 and -1 are tokens and width.
    """
    B, H, T, D = heads.shape
    return heads.transpose(-2, -1).reshape(B, T, H * D)


@mistake("03.2", caught_by="test_merge_equal_sizes")
def exchanged_unless_as_many_heads_as_tokens(heads):
    """tokens and heads are exchanged only where their numbers differ.

    With T == H the shape is right either way, and the numbers are not. Exchange them always.
    """
    B, H, T, D = heads.shape
    return merge(heads) if H != T else heads.reshape(B, T, H * D)


@mistake("03.2", caught_by="test_merge_extremes")
def joined_and_squeezed(heads):
    """axes of length 1 are dropped.

    Leave squeeze out: one sentence or one token is still an axis.
    """
    return merge(heads).squeeze()


@mistake("03.2", caught_by="test_merge_keeps_the_dtype")
def joined_in_single_precision(heads):
    """the result is float32, whatever the heads are.

    Leave .float() out, and make new tensors with `heads.new_zeros(…)`, which has their dtype.
    """
    return merge(heads).float()


@mistake("03.2", caught_by="test_merge_gradients")
def joined_without_gradient(heads):
    """the numbers are right, but cut off from the heads.

    detach(), .data, numpy(), torch.tensor(…) and torch.no_grad() cut the way back.
    """
    return merge(heads).detach()


@mistake("03.2", caught_by="test_merge_every_number")
def tokens_brought_in_front_of_the_batch(heads):
    """the tokens are brought in front of the batch, (T, B, H, D), and the reshape mixes them.

    The sentences are mixed, except where there is one. The batch stays the first axis: exchange
    tokens and heads only, `.transpose(1, 2)` or permute(0, 2, 1, 3).
    """
    B, H, T, D = heads.shape
    return heads.permute(2, 0, 1, 3).reshape(B, T, H * D)


@mistake("03.2", caught_by="test_merge_shape")
def first_head_laid_down_twice(heads):
    """head 0 is there twice: the result begins with it, and the loop adds it again.

    Begin with an empty list, or let the loop begin at 1.
    """
    return torch.cat([heads[:, 0], merge(heads)], dim=-1)


@mistake("03.2", caught_by="test_merge_shape")
def width_squared_for_the_width_of_all_heads(heads):
    """the result is D · D wide, where there are H heads of width D.

    All heads side by side are H * D wide.
    """
    B, H, T, D = heads.shape
    out = heads.new_zeros(B, T, D * D)
    for h in range(H):
        out[:, :, h * D : (h + 1) * D] = heads[:, h]
    return out


@mistake("03.2", caught_by="test_merge_every_number")
def heads_written_one_apart(heads):
    """each head is written one number after the one before, out[..., h : h + D], over part of it.

    Head h begins at h * D: out[..., h * D : (h + 1) * D].
    """
    B, H, T, D = heads.shape
    out = heads.new_zeros(B, T, H * D)
    for h in range(H):
        out[..., h : h + D] = heads[:, h]
    return out


@mistake("03.2", caught_by="test_merge_every_number")
def heads_and_width_exchanged(heads):
    """heads and width are exchanged before a reshape, in place of heads and tokens.

    In (B, H, T, D) the two to be exchanged are axes 1 and 2, so that heads and width become
    neighbours: `.transpose(1, 2)`.
    """
    B, H, T, D = heads.shape
    return heads.transpose(1, 3).reshape(B, T, H * D)


# ---------------------------------------------------------------------------------------------
# 03.3


def thirds(x, W, b, H):
    """q, k and v as they should be."""
    return [split(part, H) for part in F.linear(x, W, b).chunk(3, dim=-1)]


@mistake("03.3", caught_by="test_packed_by_hand")
def keys_come_first(x, W, b, num_heads):
    """the first third is taken for the keys and the second for the queries.

    The rows of W are those of q, then of k, then of v. Shapes do not tell.
    """
    k, q, v = thirds(x, W, b, num_heads)
    return q, k, v


@mistake("03.3", caught_by="test_packed_by_hand")
def values_before_keys(x, W, b, num_heads):
    """the second third is taken for the values and the last for the keys.

    The rows of W are those of q, then of k, then of v. Shapes do not tell.
    """
    q, v, k = thirds(x, W, b, num_heads)
    return q, k, v


@mistake("03.3", caught_by="test_packed_by_hand")
def values_come_first(x, W, b, num_heads):
    """the thirds are taken in reverse, v, k, q.

    The rows of W are those of q, then of k, then of v. Shapes do not tell.
    """
    return tuple(thirds(x, W, b, num_heads)[::-1])


@mistake("03.3", caught_by="test_packed_square")
def packed_matrix_transposed(x, W, b, num_heads):
    """x is multiplied by W as it is stored, x @ W, where x Wᵀ is wanted.

    A Linear keeps (out, in): `x @ W.T + b`, or `F.linear(x, W, b)`, which transposes by itself.
    With a square W the wrong product fits as well.
    """
    return tuple(split(part, num_heads) for part in (x @ W + b).chunk(3, dim=-1))


@mistake("03.3", caught_by="test_packed_by_hand")
def packed_bias_forgotten(x, W, b, num_heads):
    """the bias is not added.

    `F.linear(x, W, b)` takes it as its third argument; with `@` write `x @ W.T + b`.
    """
    return tuple(thirds(x, W, torch.zeros_like(b), num_heads))


@mistake("03.3", caught_by="test_packed_by_hand")
def bias_of_the_queries_for_all(x, W, b, num_heads):
    """all three parts get the first third of the bias, that of the queries.

    b is packed like W: cut it in three as well, or add it before anything is cut.
    """
    first = b.chunk(3)[0]
    return tuple(thirds(x, W, torch.cat([first, first, first]), num_heads))


@mistake("03.3", caught_by="test_packed_every_number")
def thirds_inside_the_heads(x, W, b, num_heads):
    """the packed numbers are read head by head, (B, T, H, 3, D): q, k, v of head 0, then of head 1.

    Here all of q comes first, for all heads: (B, T, 3, H, D). Some models are stored in the other
    way, and only the numbers tell.
    """
    packed = F.linear(x, W, b).unflatten(-1, (num_heads, 3, -1))
    return tuple(packed.permute(3, 0, 2, 1, 4))


@mistake("03.3", caught_by="test_packed_every_number")
def every_third_number(x, W, b, num_heads):
    """every third number is taken: q, k and v alternate.

    The parts are blocks: `chunk(3, dim=-1)`, or `view(B, T, 3, H, D)` with the 3 in front.
    """
    packed = F.linear(x, W, b)
    return tuple(split(packed[..., part::3], num_heads) for part in range(3))


@mistake("03.3", caught_by="test_packed_shapes", page="book/03_multi_head.md#project-split")
def parts_without_exchange(x, W, b, num_heads):
    """the heads stay behind the tokens: (B, T, H, D).

    The cut is right. Exchange tokens and heads in each part: `.transpose(1, 2)`.
    """
    return tuple(part.transpose(1, 2) for part in thirds(x, W, b, num_heads))


@mistake("03.3", caught_by="test_packed_shapes", page="book/03_multi_head.md#project-split")
def parts_not_cut_into_heads(x, W, b, num_heads):
    """the three parts are not cut into heads: (B, T, H · D).

    Cut each into (B, T, H, D) and exchange tokens and heads.
    """
    return tuple(F.linear(x, W, b).chunk(3, dim=-1))


@mistake("03.3", caught_by="test_packed_every_number", page="book/03_multi_head.md#wrong-order")
def parts_cut_along_the_sentence(x, W, b, num_heads):
    """each part is brought to (B, H, T, D) by a view or reshape alone, which moves no number.

    Cut the last axis, `view(B, T, H, D)`, then exchange tokens and heads, `.transpose(1, 2)`.
    """
    B, T, _ = x.shape
    parts = F.linear(x, W, b).chunk(3, dim=-1)
    return tuple(part.reshape(B, num_heads, T, -1) for part in parts)


@mistake("03.3", caught_by="test_packed_every_number", page="book/03_multi_head.md#wrong-order")
def everything_reshaped_at_once(x, W, b, num_heads):
    """the product (B, T, 3 · H · D) is reshaped to (B, 3, H, T, D) in one step.

    A reshape moves no number. Cut the last axis first, `view(B, T, 3, H, D)`, and bring the axes
    into order with permute or transpose.
    """
    B, T, _ = x.shape
    return tuple(F.linear(x, W, b).reshape(B, 3, num_heads, T, -1).unbind(1))


@mistake("03.3", caught_by="test_packed_every_number", page="book/03_multi_head.md#project-split")
def parts_interleaved(x, W, b, num_heads):
    """head h takes every H-th number of each part, not D neighbours.

    Rows h · D to (h + 1) · D of a block belong to head h: the width is the last axis of the cut.
    """
    packed = F.linear(x, W, b).unflatten(-1, (3, -1, num_heads))
    return tuple(packed.permute(2, 0, 4, 1, 3))


@mistake("03.3", caught_by="test_packed_every_number")
def queries_scaled_here(x, W, b, num_heads):
    """the queries are divided by √D here already.

    The scale belongs to the scores, in the next step; in both places it would be done twice.
    """
    q, k, v = thirds(x, W, b, num_heads)
    return q / math.sqrt(q.shape[-1]), k, v


@mistake("03.3", caught_by="test_packed_by_hand")
def bias_for_the_queries_only(x, W, b, num_heads):
    """only the queries get their bias.

    Each part has a third of b: cut b as W is cut, or add it before anything is cut.
    """
    return tuple(thirds(x, W, torch.cat([b[: len(b) // 3], 0 * b[len(b) // 3 :]]), num_heads))


@mistake("03.3", caught_by="test_packed_by_hand")
def values_from_the_key_rows(x, W, b, num_heads):
    """the values are made with the rows of the keys.

    Row block 0 is W_q, block 1 is W_k, block 2 is W_v.
    """
    rows = W.chunk(3)
    return tuple(thirds(x, torch.cat([rows[0], rows[1], rows[1]]), b, num_heads))


@mistake("03.3", caught_by="test_packed_every_number")
def first_block_for_all(x, W, b, num_heads):
    """queries, keys and values are all made with the first block of W, that of the queries.

    Row block 0 is W_q, block 1 is W_k, block 2 is W_v: in a loop the start must move by H · D.
    """
    q, _, _ = thirds(x, W, b, num_heads)
    return q, q, q


@mistake("03.3", caught_by="test_packed_every_number", page="book/03_multi_head.md#project-split")
def width_of_a_head_from_the_tokens(x, W, b, num_heads):
    """the width of a head is taken to be C / H, the width of a token shared by the heads.

    H · D need not be C: the width is W.shape[0] // (3 * num_heads), or -1 in the view.
    """
    B, T, C = x.shape
    parts = F.linear(x, W, b).chunk(3, dim=-1)
    return tuple(part.view(B, T, num_heads, C // num_heads).transpose(1, 2) for part in parts)


@mistake("03.3", caught_by="test_packed_keeps_the_dtype")
def projected_in_single_precision(x, W, b, num_heads):
    """everything is computed in float32, whatever x is.

    Leave .float() out: the parts have the dtype of x.
    """
    return tuple(thirds(x.float(), W.float(), b.float(), num_heads))


@mistake("03.3", caught_by="test_packed_gradients")
def parts_without_gradient(x, W, b, num_heads):
    """the numbers are right, but cut off from W and b.

    detach(), .data, numpy(), torch.tensor(…) and torch.no_grad() cut the way back; W and b would
    never learn.
    """
    return tuple(thirds(x, W.detach(), b.detach(), num_heads))


@mistake("03.3", caught_by="test_packed_every_number")
def thirds_taken_for_the_first_axis(x, W, b, num_heads):
    """the product is viewed as (3, B, T, H, D): the first third of the *tokens* is taken for q.

    view moves no number. q, k and v stand side by side in each token: `view(B, T, 3, H, D)` first,
    then bring the 3 to the front with permute, or `chunk(3, dim=-1)`.
    """
    B, T, _ = x.shape
    return tuple(F.linear(x, W, b).view(3, B, T, num_heads, -1).transpose(2, 3))


@mistake("03.3", caught_by="test_packed_by_hand")
def packed_matrix_reshaped(x, W, b, num_heads):
    """W is taken as it lies in memory, x @ W.reshape(C, 3 · H · D), where x Wᵀ is wanted.

    A reshape moves no number and reads across the rows. `x @ W.T + b`, or `F.linear(x, W, b)`.
    """
    parts = (x @ W.reshape(x.shape[-1], -1) + b).chunk(3, dim=-1)
    return tuple(split(part, num_heads) for part in parts)


@mistake("03.3", caught_by="test_packed_by_hand")
def blocks_as_high_as_x_is_wide(x, W, b, num_heads):
    """W and b are cut in blocks of C rows, the width of x.

    A block has H · D rows, len(W) // 3, and H · D need not be C: C is the number of columns.
    """
    B, T, C = x.shape
    rows = [slice(part * C, (part + 1) * C) for part in range(3)]
    made = [F.linear(x, W[of], b[of]) for of in rows]
    return tuple(part.reshape(B, T, num_heads, -1).transpose(1, 2) for part in made)


@mistake("03.3", caught_by="test_packed_by_hand")
def pieces_as_wide_as_x(x, W, b, num_heads):
    """the product is cut in pieces of width C, the width of x.

    A third of it is H · D wide, which need not be C: `chunk(3, dim=-1)`, or
    `split(len(W) // 3, dim=-1)`.
    """
    B, T, C = x.shape
    q, k, v = F.linear(x, W, b).split(C, dim=-1)
    return tuple(part.reshape(B, T, num_heads, -1).transpose(1, 2) for part in (q, k, v))


@mistake("03.3", caught_by="test_packed_by_hand")
def packed_matrix_cut_along_the_columns(x, W, b, num_heads):
    """W is cut along its columns, dim=1, which are the numbers of x.

    q, k and v are blocks of *rows*: `W.chunk(3, dim=0)`.
    """
    made = [x @ w.T + own for w, own in zip(W.chunk(3, dim=1), b.chunk(3), strict=True)]
    return tuple(split(part, num_heads) for part in made)


@mistake("03.3", caught_by="test_packed_by_hand")
def keys_without_their_bias(x, W, b, num_heads):
    """the keys get no bias.

    Each part has a third of b: cut b as W is cut, or add it before anything is cut.
    """
    q, k, v = b.chunk(3)
    return tuple(thirds(x, W, torch.cat([q, 0 * k, v]), num_heads))


@mistake("03.3", caught_by="test_packed_by_hand", page="book/03_multi_head.md#project-split")
def width_of_a_head_three_times_too_large(x, W, b, num_heads):
    """the width of a head is taken to be len(W) // H, three times too much.

    W has the rows of q, k *and* v: D = len(W) // (3 * num_heads).
    """
    B, T, _ = x.shape
    parts = F.linear(x, W, b).chunk(3, dim=-1)
    D = len(W) // num_heads
    return tuple(part.view(B, T, num_heads, D).transpose(1, 2) for part in parts)


# ---------------------------------------------------------------------------------------------
# Modules: right but for what they are given


def scaled(q, k):
    return q @ k.mT / math.sqrt(q.shape[-1])


def softmax(scores, allowed):
    """The masked softmax, as it should be."""
    if allowed is None:
        return scores.softmax(-1)
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~allowed, lowest).softmax(-1).masked_fill(~allowed, 0.0)


def of_tokens(allowed, scores):
    """A mask of sentences beside scores of heads, as it should be."""
    return allowed.unsqueeze(-3)


def of_lengths(lengths, scores):
    """Which columns are real, as it should be."""
    return (torch.arange(scores.shape[-1]) < lengths[:, None])[:, None, None]


class Attention(nn.Module):
    """The module with a step exchanged; `rules` makes the mask out of the second argument."""

    def __init__(
        self, d_model, num_heads, *, cut=split, join=merge, scores=scaled, weigh=softmax,
        rules=of_tokens, use=lambda weights, v: weights @ v, refuse=True, bias=True,
    ):  # fmt: skip
        super().__init__()
        if refuse and d_model % num_heads:
            raise ValueError(f"{d_model} and {num_heads}")
        self.heads = num_heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(d_model, d_model, bias=bias))
        self.steps = cut, join, scores, weigh, rules, use

    def attend(self, asking, known, told, given):
        cut, join, scores, weigh, rules, use = self.steps
        q = cut(self.q_proj(asking), self.heads)
        k, v = cut(self.k_proj(known), self.heads), cut(self.v_proj(told), self.heads)
        table = scores(q, k)
        allowed = None if given is None else rules(given, table)
        return join(use(weigh(table, allowed), v))


class SelfAttention(Attention):
    def forward(self, x, allowed=None):
        return self.out_proj(self.attend(x, x, x, allowed))


class CrossAttention(Attention):
    def __init__(self, d_model, num_heads, *, rules=of_lengths, **steps):
        super().__init__(d_model, num_heads, rules=rules, **steps)

    def forward(self, x, memory, lengths=None):
        return self.out_proj(self.attend(x, memory, memory, lengths))


# ---------------------------------------------------------------------------------------------
# 03.4


@mistake("03.4", caught_by="test_module_definition")
def output_projection_not_applied(d_model, num_heads):
    """the heads are laid side by side and returned, without out_proj.

    The last step mixes the heads: `return self.out_proj(heads)`. Without it no head could ever say
    anything to the numbers of another.
    """

    class Unmixed(SelfAttention):
        def forward(self, x, allowed=None):
            return self.attend(x, x, x, allowed)

    return Unmixed(d_model, num_heads)


@mistake("03.4", caught_by="test_module_by_hand", page="book/03_multi_head.md#wrong-heads")
def scaled_by_the_model_width(d_model, num_heads):
    """the scores are divided by √C, the root of the width of all heads together.

    A dot product is a sum of D terms, the width of *one* head: divide by √D, `q.shape[-1]` after
    the cut.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: q @ k.mT / math.sqrt(d_model))


@mistake("03.4", caught_by="test_module_definition")
def module_without_scale(d_model, num_heads):
    """the scores are not divided by √D.

    Divide by the root of the width of one head, or use functional.attention_scores, which does.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: q @ k.mT)


@mistake("03.4", caught_by="test_module_definition")
def module_scaled_twice(d_model, num_heads):
    """the scores are divided by √D twice.

    functional.attention_scores and scaled_dot_product_attention scale by themselves: give them q
    as it is.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: q @ k.mT / q.shape[-1])


@mistake("03.4", caught_by="test_module_definition")
def module_scaled_by_the_heads(d_model, num_heads):
    """the scores are divided by √H, the root of the number of heads.

    Divide by the root of the width of a head, D = C / H.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: q @ k.mT / math.sqrt(num_heads))


@mistake("03.4", caught_by="test_module_definition")
def module_scaled_by_the_length(d_model, num_heads):
    """the scores are divided by √T, the root of the number of tokens.

    Divide by the root of the width of a head, D = C / H, which does not depend on the sentence.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: q @ k.mT / math.sqrt(k.shape[-2]))


@mistake("03.4", caught_by="test_module_definition")
def weights_over_the_heads(d_model, num_heads):
    """the softmax runs over the heads, axis 1 of (B, H, T, T).

    The weights of a query sum to 1 over the tokens attended to, the last axis: `softmax(dim=-1)`.
    """

    def weigh(scores, allowed):
        if allowed is not None:
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return scores.softmax(dim=1)

    return SelfAttention(d_model, num_heads, weigh=weigh)


@mistake("03.4", caught_by="test_module_definition")
def weights_over_the_queries(d_model, num_heads):
    """the softmax runs over the queries: the columns of the weights sum to 1, not the rows.

    Normalise over the tokens attended to, the last axis of (B, H, T, T): `softmax(dim=-1)`.
    """

    def weigh(scores, allowed):
        if allowed is not None:
            scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return scores.softmax(dim=-2)

    return SelfAttention(d_model, num_heads, weigh=weigh)


def cut_by_reshape(x, H):
    B, T, _ = x.shape
    return x.reshape(B, H, T, -1)


def join_by_reshape(heads):
    B, _, T, _ = heads.shape
    return heads.reshape(B, T, -1)


@mistake("03.4", caught_by="test_module_definition")
def module_cut_by_reshape(d_model, num_heads):
    """q, k and v are brought to (B, H, T, D) by a view or reshape alone.

    A reshape moves no number, and a head gets a stretch of the sentence. Cut the last axis,
    `view(B, T, H, D)`, then exchange tokens and heads, `.transpose(1, 2)`.
    """
    return SelfAttention(d_model, num_heads, cut=cut_by_reshape)


@mistake("03.4", caught_by="test_module_definition")
def module_joined_by_reshape(d_model, num_heads):
    """the heads are joined by a reshape alone, without exchanging heads and tokens back.

    (B, H, T, D) becomes (B, T, H, D) by `.transpose(1, 2)`; only then join the last two axes.
    """
    return SelfAttention(d_model, num_heads, join=join_by_reshape)


@mistake("03.4", caught_by="test_module_definition")
def module_reshaped_there_and_back(d_model, num_heads):
    """a reshape alone cuts the heads, and a reshape alone joins them.

    The one undoes the other, which looks right, but each head attended over a stretch of the
    sentence. `view(B, T, H, D).transpose(1, 2)` there, `.transpose(1, 2).flatten(2)` back.
    """
    return SelfAttention(d_model, num_heads, cut=cut_by_reshape, join=join_by_reshape)


@mistake("03.4", caught_by="test_module_equal_sizes")
def heads_attend_to_heads(d_model, num_heads):
    """tokens and heads are never exchanged: the heads of each token attend to one another.

    `@` multiplies the last two axes, which are heads and width in (B, T, H, D). Put the tokens
    there first: `.transpose(1, 2)`.
    """
    return SelfAttention(
        d_model, num_heads, cut=lambda x, H: x.unflatten(-1, (H, -1)),
        join=lambda heads: heads.flatten(2),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_definition")
def module_heads_interleaved(d_model, num_heads):
    """the heads are interleaved: head h takes every H-th number.

    The columns of a head are neighbours: cut the last axis as (H, D), not as (D, H).
    """
    return SelfAttention(
        d_model, num_heads,
        cut=lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2),
        join=lambda heads: heads.permute(0, 2, 3, 1).flatten(2),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_definition")
def module_joined_number_by_number(d_model, num_heads):
    """the heads are joined number by number, the first numbers of all heads first.

    All of head 0 comes first: exchange tokens and heads, `.transpose(1, 2)`, and join (H, D).
    """
    return SelfAttention(
        d_model, num_heads, join=lambda heads: heads.permute(0, 2, 3, 1).flatten(2)
    )


def laid_below(heads):
    return torch.cat(heads.unbind(1))


@mistake("03.4", caught_by="test_module_by_hand")
def module_heads_laid_below(d_model, num_heads):
    """the heads are laid one below the other, not side by side, and out_proj gets D numbers of C.

    torch.cat joins along axis 0 unless told otherwise. What the heads found for a token belongs
    into its one row: `torch.cat(heads, dim=-1)`.
    """
    return SelfAttention(d_model, num_heads, join=laid_below)


@mistake("03.4", caught_by="test_module_by_hand")
def one_wide_head(d_model, num_heads):
    """there is one wide head: num_heads is not used.

    Cut q, k and v into heads, each with scores and a softmax of its own.
    """
    return SelfAttention(d_model, num_heads, cut=lambda x, H: split(x, 1))


@mistake("03.4", caught_by="test_module_definition")
def queries_and_keys_exchanged(d_model, num_heads):
    """queries and keys are exchanged: q is made by k_proj and k by q_proj.

    q_proj makes what asks, the rows of the scores; k_proj what is asked, their columns.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: scaled(k, q))


@mistake("03.4", caught_by="test_module_definition")
def projected_one_after_another(d_model, num_heads):
    """each projection starts from the result of the one before: k_proj(q), v_proj(k).

    All three are made of the same tokens. Give their results names of their own, and do not
    overwrite x.
    """

    class Chained(SelfAttention):
        def forward(self, x, allowed=None):
            q = self.q_proj(x)
            k = self.k_proj(q)
            q, k, v = (split(part, self.heads) for part in (q, k, self.v_proj(k)))
            table = scaled(q, k)
            rules = None if allowed is None else of_tokens(allowed, table)
            return self.out_proj(merge(softmax(table, rules) @ v))

    return Chained(d_model, num_heads)


@mistake("03.4", caught_by="test_module_definition")
def outputs_of_the_values_transposed(d_model, num_heads):
    """the weights are transposed before they meet the values.

    Row i of the weights belongs to query i: `weights @ v`.
    """
    return SelfAttention(d_model, num_heads, use=lambda w, v: w.mT @ v)


@mistake("03.4", caught_by="test_module_definition")
def weights_averaged_over_the_heads(d_model, num_heads):
    """the weights of all heads are averaged, and all heads use the average.

    Each head keeps its own weights: that is what several heads are for.
    """
    return SelfAttention(d_model, num_heads, use=lambda w, v: w.mean(1, keepdim=True) @ v)


@mistake("03.4", caught_by="test_module_definition")
def values_made_by_the_keys(d_model, num_heads):
    """the values are made by k_proj, so that v_proj is never used.

    Each of the three has a projection of its own: `self.v_proj(x)`.
    """

    class KeysAsValues(SelfAttention):
        def forward(self, x, allowed=None):
            made, self.v_proj = self.v_proj, self.k_proj
            try:
                return super().forward(x, allowed)
            finally:
                self.v_proj = made

    return KeysAsValues(d_model, num_heads)


@mistake("03.4", caught_by="test_module_definition")
def tokens_as_values(d_model, num_heads):
    """the tokens themselves are averaged, without v_proj.

    The values are projected as queries and keys are: `self.v_proj(x)`.
    """

    class Unprojected(SelfAttention):
        def forward(self, x, allowed=None):
            made, self.v_proj = self.v_proj, nn.Identity()
            try:
                return super().forward(x, allowed)
            finally:
                self.v_proj = made

    return Unprojected(d_model, num_heads)


@mistake("03.4", caught_by="test_module_definition")
def tokens_added_to_the_output(d_model, num_heads):
    """x is added to the output, as a residual connection.

    The residual connection belongs to the block around this module: return out_proj's result.
    """

    class Residual(SelfAttention):
        def forward(self, x, allowed=None):
            return x + super().forward(x, allowed)

    return Residual(d_model, num_heads)


@mistake("03.4", caught_by="test_module_definition")
def nobody_looks_ahead(d_model, num_heads):
    """a causal mask is applied always, though nobody asked for one.

    The rules come in as `allowed`; with None every token may attend to every other.
    """

    def weigh(scores, allowed):
        past = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        return softmax(scores, past if allowed is None else past & allowed)

    return SelfAttention(d_model, num_heads, weigh=weigh)


@mistake("03.4", caught_by="test_module_parameters")
def projections_without_biases(d_model, num_heads):
    """the projections have no biases.

    Leave `bias=False` out: nn.Linear has a bias unless told otherwise, and the weights that are
    loaded have one for each.
    """
    return SelfAttention(d_model, num_heads, bias=False)


@mistake("03.4", caught_by="test_module_parameters")
def projections_in_a_list(d_model, num_heads):
    """the projections are kept in a Python list, where torch does not find them.

    What is assigned to self as a module is found: `self.q_proj = nn.Linear(…)`. A plain list hides
    what is in it from parameters(), state_dict(), to() and every optimiser (nn.ModuleList does not,
    but gives it other names).
    """

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = [SelfAttention(d_model, num_heads)]

        def forward(self, x, allowed=None):
            return self.inner[0](x, allowed)

    return Hidden()


@mistake("03.4", caught_by="test_module_parameters")
def one_packed_projection(d_model, num_heads):
    """q, k and v are made by one packed nn.Linear(d_model, 3 * d_model).

    That is a good way, but here each projection has a name of its own: q_proj, k_proj and v_proj,
    so that weights can be loaded by these names.
    """

    class Packed(SelfAttention):
        def __init__(self):
            super().__init__(d_model, num_heads)
            del self.q_proj, self.k_proj, self.v_proj
            self.in_proj = nn.Linear(d_model, 3 * d_model)

        def forward(self, x, allowed=None):
            q, k, v = (split(part, num_heads) for part in self.in_proj(x).chunk(3, -1))
            table = scaled(q, k)
            rules = None if allowed is None else of_tokens(allowed, table)
            return self.out_proj(merge(softmax(table, rules) @ v))

    return Packed()


@mistake("03.4", caught_by="test_module_parameters")
def other_names(d_model, num_heads):
    """the projections have other names, such as W_q, W_k, W_v and W_o.

    The names are part of what is asked: q_proj, k_proj, v_proj and out_proj, for a file of weights
    knows its matrices by name.
    """

    class Named(SelfAttention):
        def __init__(self):
            super().__init__(d_model, num_heads)
            self.W_q, self.W_k, self.W_v, self.W_o = (
                self.q_proj, self.k_proj, self.v_proj, self.out_proj
            )  # fmt: skip
            del self.q_proj, self.k_proj, self.v_proj, self.out_proj

        def forward(self, x, allowed=None):
            q, k, v = (split(made(x), num_heads) for made in (self.W_q, self.W_k, self.W_v))
            table = scaled(q, k)
            rules = None if allowed is None else of_tokens(allowed, table)
            return self.W_o(merge(softmax(table, rules) @ v))

    return Named()


@mistake("03.4", caught_by="test_module_masks")
def mask_turned_round(d_model, num_heads):
    """the mask is turned round: True is taken for forbidden.

    Throughout this course True means *may attend*: fill the places `~allowed`.
    """
    return SelfAttention(d_model, num_heads, rules=lambda a, s: ~of_tokens(a, s))


@mistake("03.4", caught_by="test_module_masks")
def mask_ignored(d_model, num_heads):
    """the mask is not used.

    Give it to the softmax: `functional.masked_softmax(scores, allowed)`.
    """
    return SelfAttention(d_model, num_heads, rules=lambda a, s: None)


@mistake("03.4", caught_by="test_module_masks")
def mask_added_as_numbers(d_model, num_heads):
    """the mask is added to the scores as 0 and 1.

    Adding 1 favours a key a little and forbids none. Forbidden scores must leave before the
    softmax.
    """
    return SelfAttention(
        d_model, num_heads,
        weigh=lambda s, a: (s if a is None else s + a.to(s.dtype)).softmax(-1),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_masks")
def mask_after_the_softmax(d_model, num_heads):
    """the weights are multiplied by the mask after the softmax, and no longer sum to 1.

    The forbidden keys had their share of the sum. They must leave before the softmax.
    """
    return SelfAttention(
        d_model, num_heads, weigh=lambda s, a: s.softmax(-1) * (1 if a is None else a)
    )


@mistake("03.4", caught_by="test_module_masks")
def mask_transposed(d_model, num_heads):
    """the mask is transposed: rows for columns.

    allowed[b, i, j] says whether i may attend to j, as scores[b, h, i, j] does: no axis is turned.
    """
    return SelfAttention(d_model, num_heads, rules=lambda a, s: of_tokens(a, s).mT)


@mistake("03.4", caught_by="test_module_masks")
def mask_of_the_first_sentence(d_model, num_heads):
    """all sentences keep to the mask of the first.

    Leave the batch axis of the mask where it is, and give it one for the heads.
    """
    return SelfAttention(
        d_model, num_heads, rules=lambda a, s: of_tokens(a if a.dim() == 2 else a[:1], s)
    )


@mistake("03.4", caught_by="test_module_masks")
def mask_for_the_first_head_only(d_model, num_heads):
    """only the first head keeps to the mask.

    All heads keep to the same rules: an axis of length 1 for the heads, `unsqueeze(-3)`, is spread
    over all of them.
    """

    def rules(allowed, scores):
        table = of_tokens(allowed, scores).expand_as(scores).clone()
        table[:, 1:] = True
        return table

    return SelfAttention(d_model, num_heads, rules=rules)


@mistake("03.4", caught_by="test_module_mask_of_sentences")
def sentences_taken_for_heads(d_model, num_heads):
    """a mask (B, T, T) is put beside scores (B, H, T, T) as it is: sentences are taken for heads.

    Broadcasting lines axes up from the right, so that B meets H: an error where they differ, and
    wrong where B == H. Put an axis for the heads between: `allowed.unsqueeze(-3)`.
    """
    return SelfAttention(d_model, num_heads, rules=lambda a, s: a)


@mistake("03.4", caught_by="test_module_masks")
def axis_for_the_heads_counted_from_the_front(d_model, num_heads):
    """the axis for the heads is put in by unsqueeze(1), whatever the mask.

    That is right for (B, T, T). Of (T, T) it makes (T, 1, T), a mask of T sentences. Count from the
    end: `allowed.unsqueeze(-3)`.
    """
    return SelfAttention(
        d_model, num_heads, rules=lambda a, s: a.unsqueeze(1), weigh=functional.masked_softmax
    )


@mistake("03.4", caught_by="test_module_masks")
def mask_repeated_head_by_head(d_model, num_heads):
    """batch and heads are folded sentence by sentence, and the masks are repeated as a whole.

    With (B · H, T, D) the heads of sentence 0 come first, so its mask must come H times in a row:
    `repeat_interleave(H, dim=0)`. `repeat(H, 1, 1)` gives 0, 1, 0, 1 …
    """

    def rules(allowed, scores):
        B, H, T, _ = scores.shape
        return allowed.expand(B, T, T).repeat(H, 1, 1).view(B, H, T, T)

    return SelfAttention(d_model, num_heads, rules=rules)


@mistake("03.4", caught_by="test_module_empty_row")
def empty_row_is_nan(d_model, num_heads):
    """a token that may attend to nothing gets NaN, because all its scores are -∞.

    0/0 is computed there. functional.masked_softmax gives zeros, forwards and backwards.
    """
    return SelfAttention(
        d_model, num_heads,
        weigh=lambda s, a: (s if a is None else s.masked_fill(~a, -math.inf)).softmax(-1),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_empty_row")
def empty_row_is_the_average(d_model, num_heads):
    """a token that may attend to nothing gets the plain average of all values.

    A finite number in all places of a row leaves equal weights. functional.masked_softmax sets the
    forbidden weights to 0 at the end.
    """

    def weigh(scores, allowed):
        lowest = torch.finfo(scores.dtype).min
        return (scores if allowed is None else scores.masked_fill(~allowed, lowest)).softmax(-1)

    return SelfAttention(d_model, num_heads, weigh=weigh)


@mistake("03.4", caught_by="test_module_empty_row")
def empty_row_is_zero_after_out_proj(d_model, num_heads):
    """the output of a token that may attend to nothing is set to 0, behind out_proj.

    Its *heads* give zeros, and out_proj then adds its bias as it does for every token: the output
    is the bias. Set the weights to 0 before out_proj, as functional.masked_softmax does.
    """

    class Zeroed(SelfAttention):
        def forward(self, x, allowed=None):
            out = super().forward(x, allowed)
            return out if allowed is None else out * allowed.any(-1, keepdim=True)

    return Zeroed(d_model, num_heads)


@mistake("03.4", caught_by="test_module_large_scores")
def module_without_a_maximum(d_model, num_heads):
    """scores are exponentiated without subtracting the largest of their row.

    exp(1000) is infinite. `.softmax(dim=-1)` and functional.masked_softmax subtract it.
    """

    def weigh(scores, allowed):
        exponentials = scores.exp() * (1 if allowed is None else allowed)
        total = exponentials.sum(-1, keepdim=True)
        return exponentials / torch.where(total == 0, torch.ones_like(total), total)

    return SelfAttention(d_model, num_heads, weigh=weigh)


@mistake("03.4", caught_by="test_module_refuses")
def any_number_of_heads(d_model, num_heads):
    """a number of heads that does not divide the width is accepted when the module is made.

    The first forward pass would fail, far from the cause. Compare in __init__, and raise a
    ValueError with both numbers.
    """
    return SelfAttention(d_model, num_heads, refuse=False)


@mistake("03.4", caught_by="test_module_refuses")
def refused_by_an_assertion(d_model, num_heads):
    """an assertion refuses the number of heads, so that it raises an AssertionError.

    `assert` is for what you take for certain yourself, and vanishes with python -O. Write
    `raise ValueError(…)` with both numbers.
    """
    assert d_model % num_heads == 0, f"{d_model} % {num_heads}"
    return SelfAttention(d_model, num_heads)


@mistake("03.4", caught_by="test_module_dtype")
def attended_in_single_precision(d_model, num_heads):
    """attention is computed in float32, whatever x is.

    Leave .float() out: float64 carries 16 digits, float32 7.
    """
    return SelfAttention(
        d_model, num_heads,
        weigh=lambda s, a: softmax(s.float(), a),
        use=lambda w, v: (w @ v.float()).to(v.dtype),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_gradients")
def weights_detached(d_model, num_heads):
    """the weights are detached, so that q_proj and k_proj never learn.

    Leave .detach() out: the gradient reaches queries and keys through the weights.
    """
    return SelfAttention(d_model, num_heads, use=lambda w, v: w.detach() @ v)


@mistake("03.4", caught_by="test_module_instances")
def projections_shared_by_all(d_model, num_heads):
    """all modules of the class share their projections, which stand in the class body.

    What stands in the class body is made once. Make the projections in __init__, on self.
    """
    if (d_model, num_heads) not in SHARED:
        SHARED[d_model, num_heads] = SelfAttention(d_model, num_heads)
    module = SelfAttention(d_model, num_heads)
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        setattr(module, name, getattr(SHARED[d_model, num_heads], name).float())
    return module


SHARED = {}


@mistake("03.4", caught_by="test_module_definition")
def out_proj_given_one_head(d_model, num_heads):
    """out_proj is given what is as wide as one head, D numbers a token, not all heads side by side.

    Does `return` stand inside the loop over the heads, so that head 0 is all there is? Or are the
    heads added up? Collect all, and join them behind the loop: `torch.cat(heads, dim=-1)`.
    """
    return SelfAttention(d_model, num_heads, join=lambda heads: heads[:, 0])


@mistake("03.4", caught_by="test_module_definition")
def keys_of_head_zero_for_all(d_model, num_heads):
    """all heads use the keys of head 0, k[..., :D].

    Head h has columns h * D to (h + 1) * D of q, of k and of v.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: scaled(q, k[:, :1]))


@mistake("03.4", caught_by="test_module_definition")
def queries_of_head_zero_for_all(d_model, num_heads):
    """all heads use the queries of head 0, q[..., :D].

    Head h has columns h * D to (h + 1) * D of q, of k and of v.
    """
    return SelfAttention(d_model, num_heads, scores=lambda q, k: scaled(q[:, :1].expand_as(k), k))


@mistake("03.4", caught_by="test_module_definition")
def values_of_head_zero_for_all(d_model, num_heads):
    """all heads use the values of head 0, v[..., :D].

    Head h has columns h * D to (h + 1) * D of q, of k and of v.
    """
    return SelfAttention(d_model, num_heads, use=lambda w, v: w @ v[:, :1])


@mistake("03.4", caught_by="test_module_definition")
def values_not_cut(d_model, num_heads):
    """the values are not cut: every head averages all C columns, and out_proj is given H · C.

    Head h reads its own D columns of the values too: v[..., h * D : (h + 1) * D].
    """
    return SelfAttention(d_model, num_heads, use=lambda w, v: w @ merge(v).unsqueeze(1))


@mistake("03.4", caught_by="test_module_definition")
def causal_unless_told(d_model, num_heads):
    """a causal mask is applied where no mask is given.

    None forbids nothing: every token may attend to every other.
    """

    def weigh(scores, allowed):
        past = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        return softmax(scores, past if allowed is None else allowed)

    return SelfAttention(d_model, num_heads, weigh=weigh)


@mistake("03.4", caught_by="test_module_masks")
def causal_whatever_is_told(d_model, num_heads):
    """a causal mask stands in place of the one that is given.

    `is_causal=True` knows one rule only. Which token may attend to which is in `allowed`.
    """
    return SelfAttention(
        d_model, num_heads,
        rules=lambda a, s: torch.ones(s.shape[-2:], dtype=torch.bool).tril(),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_masks")
def oneself_always_allowed(d_model, num_heads):
    """every token may attend to itself, whatever the mask says.

    Padding must not, and a row of zeros is no error: functional.masked_softmax gives zeros where
    nothing is allowed.
    """
    return SelfAttention(
        d_model, num_heads,
        rules=lambda a, s: of_tokens(a | torch.eye(a.shape[-1], dtype=torch.bool), s),
    )  # fmt: skip


@mistake("03.4", caught_by="test_module_mask_of_sentences")
def row_of_a_mask_stood_upright(d_model, num_heads):
    """a mask (B, 1, T) is turned to (B, T, 1): it forbids queries, not keys.

    One row for all queries is just what (B, 1, T) says, and broadcasting repeats it for each of
    them. Put the axis for the heads in, `allowed.unsqueeze(-3)`, and turn nothing.
    """

    def rules(allowed, scores):
        upright = allowed.dim() == 3 and allowed.shape[1] == 1
        return of_tokens(allowed.mT if upright else allowed, scores)

    return SelfAttention(d_model, num_heads, rules=rules)


@mistake("03.4", caught_by="test_module_definition")
def number_and_width_of_heads_exchanged(d_model, num_heads):
    """the number of heads and their width are exchanged: there are C / H heads of width H.

    num_heads is how many there are, D = d_model // num_heads is how wide each is.
    """
    return SelfAttention(d_model, num_heads, cut=lambda x, H: split(x, d_model // H))


# ---------------------------------------------------------------------------------------------
# 03.5


def crossing(asking, known, told):
    """A class whose queries, keys and values come from these of (x, memory)."""

    class Crossing(CrossAttention):
        def forward(self, x, memory, lengths=None):
            both = x, memory
            mixed = self.attend(both[asking], both[known], both[told], lengths)
            return self.out_proj(mixed)

    return Crossing


@mistake("03.5", caught_by="test_cross_definition")
def memory_never_read(d_model, num_heads):
    """keys and values come from x: the memory is never read.

    Keys and values are made of the memory: `self.k_proj(memory)`, `self.v_proj(memory)`. Only the
    queries are made of x.
    """
    return crossing(0, 0, 0)(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_equal_sizes")
def values_from_the_asking_tokens(d_model, num_heads):
    """the values come from x, and only the keys from the memory.

    What is found in the memory must also be read from it: `self.v_proj(memory)`.
    """
    return crossing(0, 1, 0)(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_equal_sizes")
def keys_from_the_asking_tokens(d_model, num_heads):
    """the keys come from x, and only the values from the memory.

    The scores compare x with the *memory*: `self.k_proj(memory)`.
    """
    return crossing(0, 0, 1)(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_by_hand")
def memory_asks_x(d_model, num_heads):
    """the memory asks and x is asked: queries from the memory, keys and values from x.

    x is what is being written, and asks; the output has one row for each of *its* tokens.
    """

    class Crossed(CrossAttention):
        def forward(self, x, memory, lengths=None):
            return self.out_proj(self.attend(memory, x, x, None))

    return Crossed(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_definition")
def memory_attends_to_itself(d_model, num_heads):
    """queries, keys and values all come from the memory.

    The queries come from x: `self.q_proj(x)`.
    """
    return crossing(1, 1, 1)(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_by_hand")
def lengths_ignored(d_model, num_heads):
    """the lengths are not used, and the padding is attended to.

    Make a mask of them, `torch.arange(T_m) < lengths[:, None]`, and give it to the softmax.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: None)


@mistake("03.5", caught_by="test_cross_by_hand")
def only_the_padding(d_model, num_heads):
    """the mask is turned round, and only the padding is attended to.

    True means may attend, so True is a real token: position < length.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: ~of_lengths(n, s))


@mistake("03.5", caught_by="test_cross_by_hand")
def one_token_too_many(d_model, num_heads):
    """one token of padding is attended to: positions up to and including the length.

    Positions count from 0, so the last real one is length - 1: position < length.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n + 1, s))


@mistake("03.5", caught_by="test_cross_padding")
def last_token_lost(d_model, num_heads):
    """the last real token is forbidden as well.

    Positions count from 0, so the last real one is length - 1: position < length.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n - 1, s))


@mistake("03.5", caught_by="test_cross_padding")
def length_of_the_first_for_all(d_model, num_heads):
    """all memories have the length of the first.

    lengths[b] belongs to sentence b: keep the batch axis, `lengths[:, None]`.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n[:1].expand_as(n), s))


@mistake("03.5", caught_by="test_cross_padding")
def cut_to_the_longest(d_model, num_heads):
    """the memory is cut to its longest sentence, and the shorter ones keep their padding.

    Cutting saves work, but every sentence has a length of its own: a mask is needed all the same.
    """

    class Cut(CrossAttention):
        def forward(self, x, memory, lengths=None):
            if lengths is not None:
                memory = memory[:, : int(lengths.max())]
            return super().forward(x, memory)

    return Cut(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_padding")
def cut_to_the_shortest(d_model, num_heads):
    """all memories are cut to the shortest, so that the longer ones lose real tokens.

    Every sentence has a length of its own: a mask is needed.
    """

    class Cut(CrossAttention):
        def forward(self, x, memory, lengths=None):
            if lengths is not None:
                memory = memory[:, : max(int(lengths.min()), 1)]
            return super().forward(x, memory)

    return Cut(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_padding")
def mask_as_long_as_the_queries(d_model, num_heads):
    """the mask has a column for each query, T_q, not for each token of the memory.

    The lengths are those of the memory: `torch.arange(memory.shape[1])`.
    """

    def rules(lengths, scores):
        return (torch.arange(scores.shape[-2]) < lengths[:, None])[:, None, None]

    return CrossAttention(d_model, num_heads, rules=rules)


@mistake("03.5", caught_by="test_cross_padding")
def mask_object_for_a_table(d_model, num_heads):
    """a Mask, which minitx.masks.padding makes, stands where a table of True and False is needed.

    functional.masked_softmax takes a tensor. Give the Mask to
    `functional.scaled_dot_product_attention(q, k, v, mask=…)`, or make the table yourself.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: padding(n, s.shape[-1]))


@mistake("03.5", caught_by="test_cross_definition")
def x_and_memory_side_by_side(d_model, num_heads):
    """keys and values come from the memory and x together, one behind the other.

    Cross-attention looks at the memory only; looking at its own tokens is self-attention, a layer
    of its own.
    """

    class Both(CrossAttention):
        def forward(self, x, memory, lengths=None):
            both = torch.cat([memory, x], dim=1)
            own = x.shape[1]

            def rules(lengths, scores):
                real = of_lengths(lengths, scores[..., :-own])
                return torch.cat([real, torch.ones_like(real[..., :1]).expand(-1, -1, -1, own)], -1)

            self.steps = (*self.steps[:4], rules, self.steps[5])
            return self.out_proj(self.attend(x, both, both, lengths))

    return Both(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_padding")
def padding_zeroed_and_attended_to(d_model, num_heads):
    """the padding of the memory is set to 0 and attended to.

    A key of zeros still has a score, and a weight. Forbid it before the softmax.
    """

    class Zeroed(CrossAttention):
        def forward(self, x, memory, lengths=None):
            if lengths is not None:
                real = torch.arange(memory.shape[1]) < lengths[:, None]
                memory = memory * real[..., None]
            return super().forward(x, memory)

    return Zeroed(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_padding")
def padding_after_the_softmax(d_model, num_heads):
    """the weights of the padding are set to 0 after the softmax, and the others no longer sum to 1.

    The padding had its share of the sum. It must leave before the softmax.
    """
    return CrossAttention(
        d_model, num_heads, weigh=lambda s, a: s.softmax(-1) * (1 if a is None else a)
    )


@mistake("03.5", caught_by="test_cross_padding")
def filled_in_front(d_model, num_heads):
    """the padding is taken to stand in front: the last tokens of each memory count as real.

    Sentences are padded at their end: position < length.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n, s).flip(-1))


@mistake("03.5", caught_by="test_cross_padding_equal_sizes")
def lengths_taken_for_heads(d_model, num_heads):
    """the mask has too few axes, (B, 1, T_m), and B meets the heads.

    Beside scores (B, H, T_q, T_m) it must be (B, 1, 1, T_m): `real[:, None, None]`. With
    (B, 1, T_m) it fails, except where B == H, and there head 1 keeps to the length of sentence 1.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n, s)[:, 0])


@mistake("03.5", caught_by="test_cross_padding_equal_sizes")
def queries_forbidden_in_place_of_keys(d_model, num_heads):
    """the lengths forbid rows of the scores, that is queries, and not columns.

    Padding is a property of the memory, the last axis of (B, H, T_q, T_m): (B, 1, 1, T_m).
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n, s).mT)


@mistake("03.5", caught_by="test_cross_padding")
def lengths_repeated_head_by_head(d_model, num_heads):
    """batch and heads are folded sentence by sentence, and the lengths are repeated as a whole.

    The heads of sentence 0 come first, so its length must come H times in a row:
    `lengths.repeat_interleave(H)`. `repeat(H)` gives 0, 1, 0, 1 …
    """

    def rules(lengths, scores):
        B, H, _, T_m = scores.shape
        return (torch.arange(T_m) < lengths.repeat(H)[:, None]).view(B, H, 1, T_m)

    return CrossAttention(d_model, num_heads, rules=rules)


@mistake("03.5", caught_by="test_cross_loud_padding")
def padding_pushed_down_by_ten(d_model, num_heads):
    """forbidden scores are filled with -10, or lowered by a number, which a loud key outbids.

    Put the lowest number of the dtype in their place, or use functional.masked_softmax.
    """
    return CrossAttention(
        d_model, num_heads,
        weigh=lambda s, a: s.softmax(-1) if a is None else (s - 1e4 * ~a).softmax(-1) * a,
    )  # fmt: skip


@mistake("03.5", caught_by="test_cross_empty_memory")
def empty_memory_is_nan(d_model, num_heads):
    """a memory without a real token gives NaN, because all scores are -∞.

    0/0 is computed there. functional.masked_softmax gives zeros.
    """
    return CrossAttention(
        d_model, num_heads,
        weigh=lambda s, a: (s if a is None else s.masked_fill(~a, -math.inf)).softmax(-1),
    )  # fmt: skip


@mistake("03.5", caught_by="test_cross_empty_memory")
def empty_memory_is_averaged(d_model, num_heads):
    """a memory without a real token gives the average of its padding.

    A finite number in all places of a row leaves equal weights. functional.masked_softmax sets the
    forbidden weights to 0 at the end.
    """

    def weigh(scores, allowed):
        lowest = torch.finfo(scores.dtype).min
        return (scores if allowed is None else scores.masked_fill(~allowed, lowest)).softmax(-1)

    return CrossAttention(d_model, num_heads, weigh=weigh)


@mistake("03.5", caught_by="test_cross_empty_memory")
def empty_memory_is_zero_after_out_proj(d_model, num_heads):
    """the output is set to 0, behind out_proj, where the memory has no real token.

    The *heads* give zeros there, and out_proj then adds its bias as it does everywhere: the output
    is the bias. Set the weights to 0 before out_proj, as functional.masked_softmax does.
    """

    class Zeroed(CrossAttention):
        def forward(self, x, memory, lengths=None):
            out = super().forward(x, memory, lengths)
            return out if lengths is None else out * (lengths > 0)[:, None, None]

    return Zeroed(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_empty_memory")
def empty_memory_given_one_token(d_model, num_heads):
    """a length of 0 is raised to 1, so that the first token of the padding is attended to.

    There is no NaN in this way, but a memory without a real token has nothing to say: its weights
    are zeros, in every head. functional.masked_softmax gives them.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: of_lengths(n.clamp(min=1), s))


@mistake("03.5", caught_by="test_cross_definition")
def crossed_without_output_projection(d_model, num_heads):
    """the heads are laid side by side and returned, without out_proj.

    The last step mixes the heads: `return self.out_proj(heads)`.
    """

    class Unmixed(CrossAttention):
        def forward(self, x, memory, lengths=None):
            return self.attend(x, memory, memory, lengths)

    return Unmixed(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_definition", page="book/03_multi_head.md#wrong-heads")
def crossed_with_the_model_width(d_model, num_heads):
    """the scores are divided by √C, the root of the width of all heads together.

    Divide by √D, the root of the width of one head, `q.shape[-1]` after the cut.
    """
    return CrossAttention(d_model, num_heads, scores=lambda q, k: q @ k.mT / math.sqrt(d_model))


@mistake("03.5", caught_by="test_cross_definition")
def crossed_and_joined_by_reshape(d_model, num_heads):
    """the heads are joined by a reshape alone, without exchanging heads and tokens back.

    (B, H, T_q, D) becomes (B, T_q, H, D) by `.transpose(1, 2)`; only then join the last two axes.
    """
    return CrossAttention(d_model, num_heads, join=join_by_reshape)


@mistake("03.5", caught_by="test_cross_definition")
def crossed_heads_laid_below(d_model, num_heads):
    """the heads are laid one below the other, not side by side, and out_proj gets D numbers of C.

    torch.cat joins along axis 0 unless told otherwise: `torch.cat(heads, dim=-1)`.
    """
    return CrossAttention(d_model, num_heads, join=laid_below)


@mistake("03.5", caught_by="test_cross_definition")
def crossed_and_cut_by_reshape(d_model, num_heads):
    """q, k and v are brought to (B, H, T, D) by a view or reshape alone.

    A reshape moves no number. Cut the last axis, `view(B, T, H, D)`, then exchange tokens and
    heads, `.transpose(1, 2)`.
    """
    return CrossAttention(d_model, num_heads, cut=cut_by_reshape)


@mistake("03.5", caught_by="test_cross_parameters")
def crossed_without_biases(d_model, num_heads):
    """the projections have no biases.

    Leave `bias=False` out: the weights that are loaded have a bias for each projection.
    """
    return CrossAttention(d_model, num_heads, bias=False)


@mistake("03.5", caught_by="test_cross_large_scores")
def crossed_without_a_maximum(d_model, num_heads):
    """scores are exponentiated without subtracting the largest of their row.

    exp(1000) is infinite. `.softmax(dim=-1)` and functional.masked_softmax subtract it.
    """

    def weigh(scores, allowed):
        exponentials = scores.exp() * (1 if allowed is None else allowed)
        total = exponentials.sum(-1, keepdim=True)
        return exponentials / torch.where(total == 0, torch.ones_like(total), total)

    return CrossAttention(d_model, num_heads, weigh=weigh)


@mistake("03.5", caught_by="test_cross_dtype")
def crossed_in_single_precision(d_model, num_heads):
    """attention is computed in float32, whatever x is.

    Leave .float() out: float64 carries 16 digits, float32 7.
    """
    return CrossAttention(
        d_model, num_heads,
        weigh=lambda s, a: softmax(s.float(), a),
        use=lambda w, v: (w @ v.float()).to(v.dtype),
    )  # fmt: skip


@mistake("03.5", caught_by="test_cross_gradients")
def memory_detached(d_model, num_heads):
    """the memory is detached, so that whatever made it never learns.

    Leave .detach() out: the encoder is trained through the keys and values of the memory.
    """

    class Detached(CrossAttention):
        def forward(self, x, memory, lengths=None):
            return super().forward(x, memory.detach(), lengths)

    return Detached(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_instances")
def first_memory_kept(d_model, num_heads):
    """the first memory is kept on self and used for ever.

    A module that keeps something of a call must know when it no longer holds. Compute keys and
    values of the memory that comes in.
    """

    class Kept(CrossAttention):
        def forward(self, x, memory, lengths=None):
            if not hasattr(self, "memory"):
                self.memory = memory.detach().clone().requires_grad_(memory.requires_grad)
            if self.memory.shape == memory.shape and not memory.requires_grad:
                memory = self.memory
            return super().forward(x, memory, lengths)

    return Kept(d_model, num_heads)


class Handed(CrossAttention):
    """Attention by the library, whose Mask `table` makes of x, the memory and the lengths."""

    def __init__(self, d_model, num_heads, table):
        super().__init__(d_model, num_heads)
        self.table = table

    def forward(self, x, memory, lengths=None):
        made = (self.q_proj(x), self.k_proj(memory), self.v_proj(memory))
        rules = {} if lengths is None else {"mask": self.table(x, memory, lengths)}
        heads = [split(part, self.heads) for part in made]
        return self.out_proj(merge(functional.scaled_dot_product_attention(*heads, **rules)))


@mistake("03.5", caught_by="test_cross_by_hand")
def padding_made_for_the_queries(d_model, num_heads):
    """masks.padding is given the number of queries, T_q, where the length of the memory belongs.

    The lengths are those of the memory: `masks.padding(lengths, memory.shape[1])`.
    """
    return Handed(d_model, num_heads, lambda x, m, n: padding(n, x.shape[1]))


@mistake("03.5", caught_by="test_cross_by_hand")
def padding_as_wide_as_the_longest(d_model, num_heads):
    """masks.padding is not told how long the memory is, and its table ends with the longest.

    A memory may be padded further than its longest sentence:
    `masks.padding(lengths, memory.shape[1])`.
    """
    return Handed(d_model, num_heads, lambda x, m, n: padding(n))


@mistake("03.5", caught_by="test_cross_by_hand")
def only_the_padding_of_the_first(d_model, num_heads):
    """the mask is turned round, and the length of the first counts for all.

    True means may attend, here as in functional: position < length. And lengths[b] belongs to
    sentence b: `lengths[:, None]`.
    """
    return CrossAttention(d_model, num_heads, rules=lambda n, s: ~of_lengths(n[:1].expand_as(n), s))


@mistake("03.5", caught_by="test_cross_by_hand")
def divided_by_the_length(d_model, num_heads):
    """the padding is taken out after the softmax, and the rest divided by the length, not its sum.

    The padding had its share of the sum, and a count is not that share. It must leave before the
    softmax.
    """

    class Divided(CrossAttention):
        def forward(self, x, memory, lengths=None):
            def weigh(scores, allowed):
                weights = scores.softmax(-1)
                if allowed is None:
                    return weights
                return weights * allowed / lengths.clamp(min=1)[:, None, None, None]

            self.steps = (*self.steps[:3], weigh, *self.steps[4:])
            return super().forward(x, memory, lengths)

    return Divided(d_model, num_heads)


def rows_of_lengths(lengths, scores):
    return (torch.arange(scores.shape[-2]) < lengths[:, None])[:, None, :, None]


@mistake("03.5", caught_by="test_cross_by_hand")
def rows_filled_in_place_of_columns(d_model, num_heads):
    """rows of the scores are forbidden from lengths[b] on, which are queries, not columns.

    scores is (B, H, T_q, T_m): scores[b, :, n:] cuts the queries. The memory is the last axis:
    scores[b, :, :, n:], or scores[b, ..., n:].
    """
    return CrossAttention(
        d_model, num_heads, rules=rows_of_lengths,
        weigh=lambda s, a: (s if a is None else s.masked_fill(~a, -math.inf))
        .softmax(-1).nan_to_num(),
    )  # fmt: skip


class FilledKeys(CrossAttention):
    """Something is done to the keys of the padding."""

    def forward(self, x, memory, lengths=None):
        def scores(q, k):
            padded = torch.arange(k.shape[-2]) >= lengths[:, None]
            return scaled(q, k.masked_fill(padded[:, None, :, None], -math.inf))

        filled = scaled if lengths is None else scores
        self.steps = (*self.steps[:2], filled, *self.steps[3:])
        return self.out_proj(self.attend(x, memory, memory, None))


@mistake("03.5", caught_by="test_cross_by_hand")
def keys_filled_with_minus_infinity(d_model, num_heads):
    """-∞ is written into the keys of the padding, not into their scores.

    A product with -∞ is ∞, -∞ or NaN, as the numbers of the query are negative, positive or 0.
    Forbid the *scores*, or give the mask to functional.masked_softmax.
    """
    return FilledKeys(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_by_hand")
def real_tokens_lowered(d_model, num_heads):
    """a large number is taken off the scores of the real tokens, not those of the padding.

    True marks what is real. What is added must be 0 there, and -∞ elsewhere; simpler is
    functional.masked_softmax(scores, real).
    """
    return CrossAttention(
        d_model, num_heads,
        weigh=lambda s, a: (s if a is None else s - 1e9 * a.to(s.dtype)).softmax(-1),
    )  # fmt: skip


@mistake("03.5", caught_by="test_cross_padding")
def sliced_with_a_tensor_of_lengths(d_model, num_heads):
    """scores and values are sliced with the whole tensor of lengths, `[..., :lengths]`.

    A slice has one end, and every sentence has its own: that fails from two sentences on. Make a
    mask, `torch.arange(T_m) < lengths[:, None]`.
    """
    return CrossAttention(
        d_model, num_heads, rules=lambda n, s: n,
        weigh=lambda s, n: (s if n is None else s[..., :n]).softmax(-1),
        use=lambda w, v: w @ v[:, :, : w.shape[-1]],
    )  # fmt: skip


@mistake("03.5", caught_by="test_cross_definition")
def values_made_of_the_keys(d_model, num_heads):
    """the values are made of the projected keys, v_proj(k), not of the memory.

    Both start from the memory: `self.k_proj(memory)`, `self.v_proj(memory)`.
    """

    class Chained(CrossAttention):
        def forward(self, x, memory, lengths=None):
            return self.out_proj(self.attend(x, memory, self.k_proj(memory), lengths))

    return Chained(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_definition")
def x_behind_the_memory(d_model, num_heads):
    """keys and values come from the memory with x behind it, and the lengths are counted in both.

    Cross-attention looks at the memory only; looking at its own tokens is self-attention, a layer
    of its own.
    """

    class Both(CrossAttention):
        def forward(self, x, memory, lengths=None):
            both = torch.cat([memory, x], dim=1)
            return self.out_proj(self.attend(x, both, both, lengths))

    return Both(d_model, num_heads)


@mistake("03.5", caught_by="test_cross_padding")
def truth_of_the_lengths_asked(d_model, num_heads):
    """`if lengths:` asks for the truth of a tensor, which has one only if it holds one number.

    Two lengths are an error, and a single 0 counts as no lengths at all. Ask
    `if lengths is not None`.
    """

    class Asked(CrossAttention):
        def forward(self, x, memory, lengths=None):
            return super().forward(x, memory, lengths if lengths else None)

    return Asked(d_model, num_heads)


# ---------------------------------------------------------------------------------------------
# 03.6


def require_groups(q, k):
    if q.shape[1] % k.shape[1]:
        raise ValueError(f"{q.shape[1]} and {k.shape[1]}")
    return q.shape[1] // k.shape[1]


def spread(q, k, v):
    """Keys and values for every query head, as it should be."""
    group = require_groups(q, k)
    return k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)


@mistake("03.6", caught_by="test_grouped_by_hand")
def every_second_head_shares(q, k, v):
    """key heads are repeated as a whole, 0, 1, 0, 1, so that query head h uses key head h mod H_kv.

    Neighbours share: 0, 0, 1, 1. That is `repeat_interleave(group, dim=1)`, or h // group in a
    loop; `repeat` and `tile` repeat the whole.
    """
    group = require_groups(q, k)
    return scaled(q, k.repeat(1, group, 1, 1)).softmax(-1) @ v.repeat(1, group, 1, 1)


@mistake("03.6", caught_by="test_grouped_definition")
def values_repeated_as_a_whole(q, k, v):
    """keys are shared by neighbours, but the values are repeated as a whole, 0, 1, 0, 1.

    Keys and values belong together: the same `repeat_interleave` for both.
    """
    group = require_groups(q, k)
    return scaled(q, spread(q, k, v)[0]).softmax(-1) @ v.repeat(1, group, 1, 1)


@mistake("03.6", caught_by="test_grouped_ends")
def first_key_head_for_all(q, k, v):
    """all query heads use the first head of keys and values.

    That is right for H_kv = 1 only. Query head h belongs to key head h // (H // H_kv).
    """
    require_groups(q, k)
    return scaled(q, k[:, :1]).softmax(-1) @ v[:, :1]


@mistake("03.6", caught_by="test_grouped_definition")
def number_of_groups_for_their_size(q, k, v):
    """query head h uses key head h // H_kv: the number of groups stands where their size belongs.

    A group has H // H_kv heads, so g = h // (H // H_kv).
    """
    require_groups(q, k)
    own = [h // k.shape[1] for h in range(q.shape[1])]
    found = [scaled(q[:, h], k[:, g]).softmax(-1) @ v[:, g] for h, g in enumerate(own)]
    return torch.stack(found, dim=1)


@mistake("03.6", caught_by="test_grouped_definition")
def key_heads_averaged(q, k, v):
    """the key and value heads are averaged into one.

    Each group has its own: nothing is averaged.
    """
    require_groups(q, k)
    return scaled(q, k.mean(1, keepdim=True)).softmax(-1) @ v.mean(1, keepdim=True)


@mistake("03.6", caught_by="test_grouped_shape")
def queries_of_a_group_averaged(q, k, v):
    """the queries of a group are averaged: only H_kv heads come out.

    Every query head keeps its own scores and weights. What a group shares are keys and values.
    """
    group = require_groups(q, k)
    return scaled(q.unflatten(1, (-1, group)).mean(2), k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def heads_of_a_group_alike(q, k, v):
    """the queries of a group are averaged, so that all its heads return the same.

    Every query head keeps its own scores and weights. What a group shares are keys and values.
    """
    group = require_groups(q, k)
    averaged = q.unflatten(1, (-1, group)).mean(2)
    return (scaled(averaged, k).softmax(-1) @ v).repeat_interleave(group, dim=1)


@mistake("03.6", caught_by="test_grouped_shape")
def groups_not_joined(q, k, v):
    """the result keeps the axis of the groups: (B, H_kv, group, T_q, D_v).

    The attention is right. Join the two axes at the end: `.flatten(1, 2)`.
    """
    group = require_groups(q, k)
    k, v = k[:, :, None], v[:, :, None]
    return scaled(q.unflatten(1, (-1, group)), k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def grouped_without_scale(q, k, v):
    """the scores are not divided by √D.

    Divide by `math.sqrt(q.shape[-1])`, or use functional.attention_scores.
    """
    k, v = spread(q, k, v)
    return (q @ k.mT).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def scaled_by_the_value_width(q, k, v):
    """the scores are divided by √D_v, the root of the width of a value.

    Dot products are between queries and keys: √D, `q.shape[-1]`.
    """
    k, v = spread(q, k, v)
    return (q @ k.mT / math.sqrt(v.shape[-1])).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def grouped_softmax_over_heads(q, k, v):
    """the softmax runs over the heads.

    The weights of a query sum to 1 over its keys, the last axis of the scores.
    """
    k, v = spread(q, k, v)
    return scaled(q, k).softmax(1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def grouped_softmax_over_queries(q, k, v):
    """the softmax runs over the queries: the columns of the weights sum to 1, not the rows.

    Normalise over the keys, the last axis of the scores.
    """
    k, v = spread(q, k, v)
    return scaled(q, k).softmax(-2) @ v


@mistake("03.6", caught_by="test_grouped_equal_sizes")
def key_heads_from_the_end(q, k, v):
    """the groups get the key heads in reverse.

    The first group of query heads shares key head 0.
    """
    k, v = spread(q, k.flip(1), v.flip(1))
    return scaled(q, k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def groups_joined_in_the_other_order(q, k, v):
    """the groups are right but joined in the other order: the first head of each group comes first.

    Join (H_kv, group) in this order, `.flatten(1, 2)`, without exchanging the two.
    """
    group = require_groups(q, k)
    k, v = k[:, :, None], v[:, :, None]
    found = scaled(q.unflatten(1, (-1, group)), k).softmax(-1) @ v
    return found.transpose(1, 2).flatten(1, 2)


@mistake("03.6", caught_by="test_grouped_shape")
def tokens_repeated_in_place_of_heads(q, k, v):
    """the tokens are repeated, dim=2, in place of the heads.

    Heads are axis 1 of (B, H_kv, T_k, D): `repeat_interleave(group, dim=1)`.
    """
    group = require_groups(q, k)
    k, v = k.repeat_interleave(group, dim=2), v.repeat_interleave(group, dim=2)
    if k.shape[1] != q.shape[1]:
        raise ValueError(f"k has {k.shape[1]} heads, q has {q.shape[1]}")
    return scaled(q, k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_shape")
def right_groups_refused(q, k, v):
    """what can be grouped is refused: H_kv % H is asked where H % H_kv belongs.

    The number of query heads must be a multiple of the number of key heads: `H % H_kv`.
    """
    H, H_kv = q.shape[1], k.shape[1]
    if H_kv % H:
        raise ValueError(f"num_heads ({H}) must be divisible by num_kv_heads ({H_kv})")
    k, v = spread(q, k, v)
    return scaled(q, k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_refuses")
def rest_of_the_heads_ungrouped(q, k, v):
    """heads that cannot be grouped are not refused: the last ones share what is left.

    Compare before anything is computed: `if H % H_kv: raise ValueError(…)` with both numbers.
    """
    group = max(q.shape[1] // k.shape[1], 1)
    own = (torch.arange(q.shape[1]) // group).clamp(max=k.shape[1] - 1)
    return scaled(q, k[:, own]).softmax(-1) @ v[:, own]


@mistake("03.6", caught_by="test_grouped_refuses")
def groups_refused_by_an_assertion(q, k, v):
    """an assertion refuses what cannot be grouped, so that it raises an AssertionError.

    `assert` vanishes with python -O. Write `raise ValueError(…)` with both numbers.
    """
    assert q.shape[1] % k.shape[1] == 0, "cannot be grouped"
    k, v = spread(q, k, v)
    return scaled(q, k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_refuses")
def groups_refused_by_torch(q, k, v):
    """what cannot be grouped is left to torch, which raises a RuntimeError about shapes.

    Compare first, and raise a ValueError that says both numbers: whoever reads it knows what to
    change.
    """
    if q.shape[1] % k.shape[1]:
        raise RuntimeError(f"shape of {q.shape[1]} heads is invalid")
    k, v = spread(q, k, v)
    return scaled(q, k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_large_scores")
def grouped_without_a_maximum(q, k, v):
    """scores are exponentiated without subtracting the largest of their row.

    exp(1000) is infinite. `.softmax(dim=-1)` subtracts the row's maximum.
    """
    k, v = spread(q, k, v)
    exponentials = scaled(q, k).exp()
    return exponentials / exponentials.sum(-1, keepdim=True) @ v


@mistake("03.6", caught_by="test_grouped_dtype")
def grouped_in_single_precision(q, k, v):
    """everything is computed in float32, whatever q is.

    Leave .float() out: the result has the dtype of q, and its precision.
    """
    k, v = spread(q, k, v)
    return scaled(q.float(), k.float()).softmax(-1) @ v.float()


@mistake("03.6", caught_by="test_grouped_gradients")
def shared_keys_detached(q, k, v):
    """the repeated keys and values are cut off from k and v.

    detach(), .data and torch.tensor(…) cut the way back. repeat_interleave keeps it, and adds up
    what the heads of a group send back.
    """
    k, v = spread(q, k.detach(), v.detach())
    return scaled(q, k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def repeated_once_for_each_key_head(q, k, v):
    """keys and values are repeated H_kv times, where each is needed H / H_kv times.

    The number of key heads is not the size of a group: group = H // H_kv, and
    `repeat_interleave(group, dim=1)`.
    """
    require_groups(q, k)
    k, v = (each.repeat_interleave(k.shape[1], dim=1) for each in (k, v))
    return functional.scaled_dot_product_attention(q, k, v)


@mistake("03.6", caught_by="test_grouped_definition")
def scores_of_a_group_added_up(q, k, v):
    """the scores of a group are added up, so that all its heads return the same.

    einsum sums over every letter that is missing behind the arrow. Every query head keeps its own
    scores: name the group there too.
    """
    group = require_groups(q, k)
    summed = q.unflatten(1, (-1, group)).sum(2)
    return (scaled(summed, k).softmax(-1) @ v).repeat_interleave(group, dim=1)


@mistake("03.6", caught_by="test_grouped_definition")
def first_head_of_a_group_for_all(q, k, v):
    """only the first query head of each group is used, and its result repeated.

    Every query head keeps its own scores and weights. What a group shares are keys and values.
    """
    group = require_groups(q, k)
    return (scaled(q[:, ::group], k).softmax(-1) @ v).repeat_interleave(group, dim=1)


@mistake("03.6", caught_by="test_grouped_definition")
def groups_begin_one_head_early(q, k, v):
    """the groups are shifted by one: query head h uses key head (h + 1) // group.

    Heads count from 0, so the first group is heads 0 to group - 1: h // group.
    """
    group = require_groups(q, k)
    own = [min((h + 1) // group, k.shape[1] - 1) for h in range(q.shape[1])]
    return scaled(q, k[:, own]).softmax(-1) @ v[:, own]


@mistake("03.6", caught_by="test_grouped_definition")
def every_second_query_in_a_group(q, k, v):
    """key head g gets the query heads g, g + H_kv …, and the results are laid group by group.

    A group are neighbours, q[:, g * group : (g + 1) * group]; only so do the results come out in
    the order of the queries.
    """
    require_groups(q, k)
    H_kv = k.shape[1]
    own = [h for g in range(H_kv) for h in range(g, q.shape[1], H_kv)]
    k, v = spread(q, k, v)
    return scaled(q[:, own], k).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def scaled_by_the_whole_group(q, k, v):
    """the scores are divided by √(D · group), as if the heads of a group were one.

    A dot product is a sum of D terms, whoever shares the keys: √D.
    """
    group = require_groups(q, k)
    k, v = spread(q, k, v)
    return (scaled(q, k) / math.sqrt(group)).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def axis_for_the_group_in_front(q, k, v):
    """keys and values get their axis for the group in front of their heads, (B, 1, H_kv, T_k, D).

    Beside q of (B, H_kv, group, T_q, D) the key heads then meet the group. Put the axis behind
    them, (B, H_kv, 1, T_k, D): `k.unsqueeze(2)`.
    """
    group = require_groups(q, k)
    q = q.unflatten(1, (-1, group))
    return (scaled(q, k.unsqueeze(1)).softmax(-1) @ v.unsqueeze(1)).flatten(1, 2)


@mistake("03.6", caught_by="test_grouped_by_hand")
def values_not_repeated(q, k, v):
    """the keys are repeated for the heads of a group, the values are not.

    There are weights for H heads, so there must be values for H: the same `repeat_interleave` for
    both.
    """
    return scaled(q, spread(q, k, v)[0]).softmax(-1) @ v


@mistake("03.6", caught_by="test_grouped_definition")
def group_and_tokens_joined_and_cut_in_the_other_order(q, k, v):
    """group and tokens are joined in one axis as (group, T_q), and cut again as (T_q, group).

    A view counts anew and moves nothing: cut in the order in which you joined.
    """
    group = require_groups(q, k)
    B, H, T, _ = q.shape
    found = scaled(q.reshape(B, -1, group * T, q.shape[-1]), k).softmax(-1) @ v
    return found.unflatten(2, (T, group)).transpose(2, 3).reshape(B, H, T, -1)


@mistake("03.6", caught_by="test_grouped_shape")
def as_many_heads_as_keys(q, k, v):
    """only the first H_kv query heads are asked, one for each key head.

    All H query heads return something: loop over the query heads, and take key head h // group.
    """
    require_groups(q, k)
    return scaled(q[:, : k.shape[1]], k).softmax(-1) @ v


# ---------------------------------------------------------------------------------------------
# 03.7

SAME = ("out_proj.weight", "out_proj.bias")
OWN = ("q_proj_weight", "k_proj_weight", "v_proj_weight")


def translated(state, *, order="qkv", cut=lambda packed: packed.chunk(3), refuse=True):
    """The state under our names, as it should be unless told otherwise."""
    unknown = set(state) - {"in_proj_weight", "in_proj_bias", *SAME, *OWN}
    if unknown and refuse:
        raise ValueError(f"unknown: {unknown}")
    made = {name: state[name] for name in SAME if name in state}
    whole = state.get("in_proj_weight")
    parts = cut(whole) if whole is not None else [state[f"{n}_proj_weight"] for n in order]
    made |= {f"{n}_proj.weight": part for n, part in zip(order, parts, strict=True)}
    if "in_proj_bias" in state:
        biases = cut(state["in_proj_bias"])
        made |= {f"{n}_proj.bias": part for n, part in zip(order, biases, strict=True)}
    return made


@mistake("03.7", caught_by="test_state_by_hand")
def state_with_keys_first(state):
    """the first block is taken for the keys and the second for the queries.

    The rows are those of q, then of k, then of v. All shapes fit either way.
    """
    return translated(state, order="kqv")


@mistake("03.7", caught_by="test_state_by_hand")
def state_with_values_before_keys(state):
    """the second block is taken for the values and the last for the keys.

    The rows are those of q, then of k, then of v. All shapes fit either way.
    """
    return translated(state, order="qvk")


@mistake("03.7", caught_by="test_state_of_torch")
def blocks_transposed(state):
    """the blocks of weights are transposed.

    torch's packed matrix and our nn.Linear both keep (out, in): copy the rows as they are.
    """

    def cut(packed):
        return [p.T if p.dim() == 2 else p for p in packed.chunk(3)]

    return translated(state, cut=cut)


@mistake("03.7", caught_by="test_state_of_torch")
def every_third_row(state):
    """every third row is taken: q, k and v alternate.

    The blocks lie below one another: rows 0 to C - 1 are q. `chunk(3)` cuts them.
    """
    return translated(state, cut=lambda packed: [packed[i::3] for i in range(3)])


@mistake("03.7", caught_by="test_state_of_torch")
def weights_cut_along_the_columns(state):
    """in_proj_weight is cut along its columns: its blocks are (3C, C / 3).

    The results are on axis 0 of an (out, in) matrix: `chunk(3, dim=0)`.
    """

    def cut(packed):
        width = packed.shape[-1] // 3
        if packed.dim() == 1:
            return packed.chunk(3)
        return [packed[:, i * width : (i + 1) * width] for i in range(3)]

    return translated(state, cut=cut)


@mistake("03.7", caught_by="test_state_by_hand")
def output_projection_left_out(state):
    """out_proj is left out.

    Its two entries have the right names already: copy them.
    """
    made = translated(state)
    return {name: part for name, part in made.items() if name not in SAME}


@mistake("03.7", caught_by="test_state_of_torch")
def output_projection_transposed(state):
    """out_proj.weight is transposed.

    torch's out_proj is an nn.Linear, as ours is: copy it as it is.
    """
    made = translated(state)
    return {**made, "out_proj.weight": made["out_proj.weight"].T}


@mistake("03.7", caught_by="test_state_by_hand")
def biases_left_out(state):
    """the biases of q, k and v are left out.

    `in_proj_bias` is packed as the weights are: cut it in three as well.
    """
    made = translated(state)
    return {name: part for name, part in made.items() if name[1:] != "_proj.bias"}


@mistake("03.7", caught_by="test_state_by_hand")
def names_with_an_underscore(state):
    """the names have an underscore where a dot belongs, q_proj_weight for q_proj.weight.

    A dot leads from a module to what it holds: `q_proj` is the module, `weight` its parameter.
    """
    made = translated(state)
    return {n if n in SAME else n.replace(".", "_"): part for n, part in made.items()}


@mistake("03.7", caught_by="test_state_by_hand")
def packed_entries_kept(state):
    """the packed entries are returned beside the new ones.

    Our module has no `in_proj_weight`: load_state_dict would refuse it. Begin with an empty
    dictionary.
    """
    return {**state, **translated(state)}


@mistake("03.7", caught_by="test_state_without_biases")
def biases_taken_for_granted(state):
    """biases are taken for granted: without them it raises a KeyError.

    With bias=False neither in_proj_bias nor out_proj.bias is there: `if "in_proj_bias" in state`.
    """
    if not set(state) - {"in_proj_weight", "in_proj_bias", *SAME, *OWN}:
        state["in_proj_bias"]
    return translated(state)


@mistake("03.7", caught_by="test_state_without_biases")
def biases_of_zeros(state):
    """biases of zeros are made up where there are none.

    The output would be the same, but a module with bias=False has no place for them: leave out what
    is not there.
    """
    made = translated(state)
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        weight = made[f"{name}.weight"]
        made.setdefault(f"{name}.bias", torch.zeros(len(weight), dtype=weight.dtype))
    return made


@mistake("03.7", caught_by="test_state_with_other_widths")
def one_matrix_taken_for_granted(state):
    """in_proj_weight is taken for granted: with kdim or vdim it raises a KeyError.

    Then the three matrices are q_proj_weight, k_proj_weight and v_proj_weight: ask first.
    """
    if not set(state) - {"in_proj_weight", "in_proj_bias", *SAME, *OWN}:
        state["in_proj_weight"]
    return translated(state)


@mistake("03.7", caught_by="test_state_with_other_widths")
def only_the_four_usual_entries(state):
    """only the four usual entries are read: others are left behind, a missing one is a KeyError.

    With bias=False the biases are missing, with kdim or vdim the packed matrix; ask which names
    are there. And raise a ValueError for names that you do not know.
    """
    q, k, v = state["in_proj_weight"].chunk(3)
    made = {"q_proj.weight": q, "k_proj.weight": k, "v_proj.weight": v}
    for name, bias in zip("qkv", state["in_proj_bias"].chunk(3), strict=True):
        made[f"{name}_proj.bias"] = bias
    return {**made, **{name: state[name] for name in SAME}}


@mistake("03.7", caught_by="test_state_of_torch")
def all_matrices_transposed(state):
    """all matrices are transposed, out_proj.weight as well.

    torch's matrices and those of our nn.Linear are both (out, in): copy them as they are.
    """
    made = translated(state)
    return {n: part.T if n.endswith("weight") else part for n, part in made.items()}


@mistake("03.7", caught_by="test_state_of_torch")
def weights_of_queries_and_keys_exchanged(state):
    """the weights of queries and keys are exchanged, their biases are not.

    Rows 0 to C - 1 are q, rows C to 2C - 1 are k, in the weights and in the biases.
    """
    made = translated(state)
    q, k = made["q_proj.weight"], made["k_proj.weight"]
    return {**made, "q_proj.weight": k, "k_proj.weight": q}


@mistake("03.7", caught_by="test_state_refuses")
def unknown_entries_left_behind(state):
    """entries that nobody knows are left behind without a word.

    A weight that is not loaded makes a model worse and breaks nothing, so nobody notices. Compare
    the names, and raise a ValueError that names the unknown ones.
    """
    return translated(state, refuse=False)


@mistake("03.7", caught_by="test_state_refuses")
def unknown_entries_raise_a_key_error(state):
    """an unknown entry raises a KeyError.

    Whoever calls cannot tell that from a slip in your code. Raise a ValueError that names it.
    """
    unknown = set(state) - {"in_proj_weight", "in_proj_bias", *SAME, *OWN}
    if unknown:
        raise KeyError(", ".join(unknown))
    return translated(state)


@mistake("03.7", caught_by="test_state_of_torch")
def taken_out_of_the_state(state):
    """the entries are taken out of the dictionary that was given.

    It belongs to whoever calls: pop and del empty it for good. Read with state[name], or begin with
    `dict(state)`, a copy.
    """
    made = translated(state)
    state.clear()
    return made


@mistake("03.7", caught_by="test_state_gives_the_same_output")
def queries_scaled_already(state):
    """the query weights are divided by a root of the width.

    torch scales in the forward pass, as we do. No number changes here.
    """
    made = translated(state)
    return {
        n: part / math.sqrt(len(made["q_proj.weight"])) if n.startswith("q_proj") else part
        for n, part in made.items()
    }


@mistake("03.7", caught_by="test_state_of_torch")
def blocks_begin_one_row_apart(state):
    """block i begins at row i, W[i : i + C], so that the blocks overlap.

    Block i begins at i * C: W[i * C : (i + 1) * C].
    """

    def cut(packed):
        C = len(packed) // 3
        return [packed[i : i + C] for i in range(3)] if packed.dim() == 2 else packed.chunk(3)

    return translated(state, cut=cut)


@mistake("03.7", caught_by="test_state_by_hand")
def biases_not_cut(state):
    """q, k and v each get the whole of in_proj_bias.

    It is packed as the weights are: `chunk(3)` gives each its third.
    """
    return translated(
        state, cut=lambda packed: [packed] * 3 if packed.dim() == 1 else packed.chunk(3)
    )


@mistake("03.7", caught_by="test_state_of_torch")
def last_block_ends_at_three(state):
    """the last block ends at row 3, W[2 * C : 3], and is empty from C = 2 on.

    The slice ends at 3 * C: W[2 * C :] is simplest.
    """

    def cut(packed):
        q, k, v = packed.chunk(3)
        return (q, k, packed[2 * len(q) : 3]) if packed.dim() == 2 else (q, k, v)

    return translated(state, cut=cut)


@mistake("03.7", caught_by="test_state_of_torch")
def blocks_of_three_rows(state):
    """split(3) cuts in_proj_weight in pieces of 3 rows, not in three pieces.

    chunk takes the number of pieces, `chunk(3)`; split takes their length, `split(C)`.
    """

    def cut(packed):
        if packed.dim() == 1:
            return packed.chunk(3)
        q, k, v = packed.split(3)
        return q, k, v

    return translated(state, cut=cut)


@mistake("03.7", caught_by="test_state_of_torch")
def every_third_row_of_the_weights(state):
    """every third row of the weights is taken, W[0::3], W[1::3], W[2::3]; the biases are right.

    The blocks lie below one another, in the weights as in the biases: rows 0 to C - 1 are q.
    """

    def cut(packed):
        return [packed[i::3] for i in range(3)] if packed.dim() == 2 else packed.chunk(3)

    return translated(state, cut=cut)
