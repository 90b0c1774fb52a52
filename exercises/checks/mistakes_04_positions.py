"""Typical wrong answers to the exercises of chapter 4, each with the sentence that names it."""

import math

import torch
from torch.nn import functional as F

from minitx import functional
from minitx.grading import mistake
from minitx.masks import Mask
from minitx.positions import Rotary

# ---------------------------------------------------------------------------------------------
# 04.1


def even(width):
    """0, 2, 4 … in float64, or the refusal of an odd width."""
    if width % 2:
        raise ValueError(f"d_model must be even, got {width}")
    return torch.arange(0, width, 2, dtype=torch.float64)


def angles(positions, width, base):
    return positions[:, None] * base ** (-even(width) / width)


def in_turn(first, second):
    return torch.stack([first, second], dim=-1).flatten(-2).float()


def hands(a):
    return in_turn(a.sin(), a.cos())


@mistake("04.1", caught_by="test_two_positions_by_hand")
def cosines_before_sines(positions, d_model, base=10_000.0):
    """sine and cosine are exchanged: position 0 becomes 1, 0, 1, 0 in place of 0, 1, 0, 1.

    The even columns, 0, 2, 4 …, are sines, the odd ones cosines.
    """
    a = angles(positions, d_model, base)
    return in_turn(a.cos(), a.sin())


@mistake("04.1", caught_by="test_two_positions_by_hand")
def all_sines_before_all_cosines(positions, d_model, base=10_000.0):
    """the sines fill the first half of the columns and the cosines the second.

    That is a valid variant (the authors' own code has it), but here sine and cosine take turns:
    stack them along a new last axis and flatten it, do not concatenate.
    """
    a = angles(positions, d_model, base)
    return torch.cat([a.sin(), a.cos()], dim=-1).float()


@mistake("04.1", caught_by="test_every_column")
def exponent_counted_twice(positions, d_model, base=10_000.0):
    """the exponent is twice as large: 4i/C where 2i/C belongs.

    `torch.arange(0, d_model, 2)` is 2i already: do not multiply it by 2 again.
    """
    return hands(positions[:, None] * base ** (-2 * even(d_model) / d_model))


@mistake("04.1", caught_by="test_every_column")
def exponent_counted_half(positions, d_model, base=10_000.0):
    """the exponent is half as large: i/C where 2i/C belongs.

    With i = 0, 1, 2 … the pair, the exponent is 2i/C, which runs up to nearly 1 in the last pair.
    """
    return hands(positions[:, None] * base ** (-even(d_model) / 2 / d_model))


@mistake("04.1", caught_by="test_every_column")
def a_frequency_for_every_column(positions, d_model, base=10_000.0):
    """every column j has the exponent j/C, so that a sine and its cosine have different angles.

    Two neighbouring columns are one clock hand: both have the exponent 2i/C with i = j // 2.
    """
    even(d_model)
    column = torch.arange(d_model)
    a = positions[:, None] * base ** (-column.double() / d_model)
    return torch.where(column % 2 == 0, a.sin(), a.cos()).float()


@mistake("04.1", caught_by="test_two_positions_by_hand")
def positions_counted_from_one(positions, d_model, base=10_000.0):
    """positions are counted from 1: every row is the one that belongs to the next position.

    Use the positions as they are given; the first token stands at 0.
    """
    return hands(angles(positions + 1, d_model, base))


@mistake("04.1", caught_by="test_positions_as_given")
def places_for_positions(positions, d_model, base=10_000.0):
    """row t is the code of position t, whatever stands in `positions`.

    Only their number is used. The rows belong to the positions that are given, which may begin
    anywhere and be in any order.
    """
    return hands(angles(torch.arange(len(positions)), d_model, base))


@mistake("04.1", caught_by="test_every_column")
def positions_divided_by_the_length(positions, d_model, base=10_000.0):
    """positions are divided by the number of positions.

    A position then has another code in a longer text. Use it as it is.
    """
    return hands(angles(positions / len(positions), d_model, base))


@mistake("04.1", caught_by="test_base_of_the_table")
def base_fixed(positions, d_model, base=10_000.0):
    """the base is 10,000 whatever base is given.

    Use the argument `base`, not the number.
    """
    return hands(angles(positions, d_model, 10_000.0))


@mistake("04.1", caught_by="test_every_column")
def base_one_thousand(positions, d_model, base=1_000.0):
    """the base is 1,000 where 10,000 belongs.

    Count the zeros.
    """
    return hands(angles(positions, d_model, base))


@mistake("04.1", caught_by="test_every_column")
def frequencies_growing(positions, d_model, base=10_000.0):
    """the sign of the exponent is turned, so that later pairs are faster.

    Low pairs are fast, high ones slow: base^(-2i/C), or divide by base^(2i/C).
    """
    return hands(positions[:, None] * base ** (even(d_model) / d_model))


@mistake("04.1", caught_by="test_every_column")
def one_frequency(positions, d_model, base=10_000.0):
    """all pairs have the frequency of the first, 1.

    Each pair i has its own, base^(-2i/C).
    """
    return hands(positions[:, None] * base ** (0 * even(d_model)))


@mistake("04.1", caught_by="test_every_column")
def frequency_outside(positions, d_model, base=10_000.0):
    """the sine and the cosine of the bare position are multiplied by the frequency.

    The frequency belongs inside: sin(p·ω), not ω·sin(p).
    """
    w = base ** (-even(d_model) / d_model)
    p = positions[:, None].double()
    return in_turn(p.sin() * w, p.cos() * w)


@mistake("04.1", caught_by="test_far_positions")
def angles_in_single_precision(positions, d_model, base=10_000.0):
    """the angles are computed in float32.

    Near 100,000 a float32 has two places behind the point left, so sines are wrong in the third
    place. Make the frequencies with dtype=torch.float64, and turn the finished table into float32.
    """
    w = base ** (-even(d_model).float() / d_model)
    return hands(positions[:, None].float() * w)


@mistake("04.1", caught_by="test_far_positions")
def exponentials_in_single_precision(positions, d_model, base=10_000.0):
    """the frequencies are exponentials in float32, and so are the angles.

    Near 100,000 a float32 has two places behind the point left, so sines are wrong in the third
    place. Begin with torch.arange(..., dtype=torch.float64), and turn the finished table into
    float32.
    """
    w = torch.exp(even(d_model).float() * (-math.log(base) / d_model))
    return hands(positions[:, None].float() * w)


@mistake("04.1", caught_by="test_far_positions")
def quotients_in_single_precision(positions, d_model, base=10_000.0):
    """the positions are divided by powers in float32.

    Near 100,000 a float32 has two places behind the point left, so sines are wrong in the third
    place. Begin with torch.arange(..., dtype=torch.float64), and turn the finished table into
    float32.
    """
    return hands(positions[:, None].float() / base ** (even(d_model).float() / d_model))


@mistake("04.1", caught_by="test_odd_width")
def as_in_the_tutorial(positions, d_model, base=10_000.0):
    """two things at once: the angles are computed in float32, and an odd width is not refused.

    Begin with `if d_model % 2: raise ValueError(...)`, and with
    torch.arange(0, d_model, 2, dtype=torch.float64): near 100,000 a float32 has two places behind
    the point left.
    """
    table = torch.zeros(len(positions), d_model)
    w = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(base) / d_model))
    a = positions[:, None].float() * w
    table[:, 0::2], table[:, 1::2] = a.sin(), a.cos()
    return table


@mistake("04.1", caught_by="test_table_is_float32")
def table_in_float64(positions, d_model, base=10_000.0):
    """the table stays float64.

    The angles need float64, the table does not: end with .float().
    """
    even(d_model)
    a = angles(positions, d_model, base)
    return torch.stack([a.sin(), a.cos()], dim=-1).flatten(-2)


@mistake("04.1", caught_by="test_two_positions_by_hand")
def sines_only(positions, d_model, base=10_000.0):
    """all columns are sines.

    A sine alone does not say whether the hand goes up or down: the odd columns are cosines of the
    same angles.
    """
    a = angles(positions, d_model, base)
    return in_turn(a.sin(), a.sin())


@mistake("04.1", caught_by="test_every_column")
def last_exponent_is_one(positions, d_model, base=10_000.0):
    """the exponents run from 0 to exactly 1: i/(C/2 - 1) where 2i/C belongs.

    Some published code spreads them so. Here the last pair has the exponent (C - 2)/C.
    """
    half = d_model // 2
    i = even(d_model) / 2
    return hands(positions[:, None] * base ** (-i / max(half - 1, 1)))


@mistake("04.1", caught_by="test_every_column")
def angles_in_degrees(positions, d_model, base=10_000.0):
    """the angles are taken for degrees and converted into radians.

    torch.sin and math.sin want radians, and p·ω is in radians already.
    """
    return hands(angles(positions, d_model, base) * math.pi / 180)


@mistake("04.1", caught_by="test_two_positions_by_hand")
def whole_turns(positions, d_model, base=10_000.0):
    """the angles are multiplied by 2π.

    The formula has no 2π: the first pair goes on by one radian per position, not by one turn.
    """
    return hands(angles(positions, d_model, base) * 2 * math.pi)


@mistake("04.1", caught_by="test_odd_width")
def odd_width_accepted(positions, d_model, base=10_000.0):
    """an odd width is accepted.

    `if d_model % 2: raise ValueError(...)` before anything is computed: a sine without its cosine
    would be half a hand.
    """
    column = torch.arange(d_model)
    a = positions[:, None] * base ** (-(column - column % 2).double() / d_model)
    return torch.where(column % 2 == 0, a.sin(), a.cos()).float()


@mistake("04.1", caught_by="test_odd_width")
def odd_width_asserted(positions, d_model, base=10_000.0):
    """an odd width is refused with another exception than a ValueError.

    An assert raises an AssertionError, and disappears under `python -O`: raise a ValueError with
    what was wrong.
    """
    assert d_model % 2 == 0, "d_model must be even"
    return hands(angles(positions, d_model, base))


@mistake("04.1", caught_by="test_shape_of_the_table")
def columns_are_positions(positions, d_model, base=10_000.0):
    """the table is transposed: positions run along its columns.

    One *row* per position: the positions are the column in `positions[:, None] * frequencies`.
    """
    return hands(angles(positions, d_model, base)).T


@mistake("04.1", caught_by="test_shape_of_the_table")
def twice_as_wide(positions, d_model, base=10_000.0):
    """there is a pair for every one of the d_model columns, so that the table is twice as wide.

    There are d_model / 2 pairs: `torch.arange(0, d_model, 2)`.
    """
    even(d_model)
    w = base ** (-torch.arange(d_model).double() / d_model)
    return hands(positions[:, None] * w)


@mistake("04.1", caught_by="test_every_column")
def columns_taken_for_pairs(positions, d_model, base=10_000.0):
    """column j has the exponent 2j/C, as if it were the pair j.

    Columns 2i and 2i + 1 are pair i: both have the exponent 2i/C, with i = j // 2.
    """
    even(d_model)
    column = torch.arange(d_model)
    a = positions[:, None] * base ** (-2 * column.double() / d_model)
    return torch.where(column % 2 == 0, a.sin(), a.cos()).float()


@mistake("04.1", caught_by="test_two_positions_by_hand")
def cosine_of_the_next_pair(positions, d_model, base=10_000.0):
    """the cosine has the frequency of the next pair, its exponent is (2i + 2)/C.

    Sine and cosine of a pair are one clock hand: both have the exponent 2i/C.
    """
    a = angles(positions, d_model, base)
    return in_turn(a.sin(), (a * base ** (-2 / d_model)).cos())


@mistake("04.1", caught_by="test_every_column")
def powers_of_e_for_the_base(positions, d_model, base=10_000.0):
    """the frequencies are powers of e: the base has no effect.

    `base ** (-2i/C)`, or exp(-2i/C · log(base)): in the second form the logarithm is easily lost.
    """
    return hands(positions[:, None] * torch.exp(-even(d_model) / d_model))


@mistake("04.1", caught_by="test_two_positions_by_hand")
def even_width_refused(positions, d_model, base=10_000.0):
    """even widths are refused and odd ones accepted.

    `d_model % 2` is 1, and so true, for odd widths: those are to be refused.
    """
    if d_model % 2 == 0:
        raise ValueError("d_model must be even")
    two_i = torch.arange(0, d_model, 2, dtype=torch.float64)
    return hands(positions[:, None] * base ** (-two_i / d_model))


@mistake("04.1", caught_by="test_shape_of_the_table")
def one_column_for_a_pair(positions, d_model, base=10_000.0):
    """sine and cosine are added up, so that a pair has one column.

    Each angle gives two columns, its sine and its cosine side by side.
    """
    a = angles(positions, d_model, base)
    return (a.sin() + a.cos()).float()


@mistake("04.1", caught_by="test_far_positions")
def frequencies_in_single_precision(positions, d_model, base=10_000.0):
    """the frequencies are computed in float32, though the angles are float64.

    A position of 100,000 multiplies what was rounded off. Begin with
    torch.arange(0, d_model, 2, dtype=torch.float64): .double() afterwards brings nothing back.
    """
    w = base ** (-even(d_model).float() / d_model)
    return hands(positions[:, None] * w.double())


@mistake("04.1", caught_by="test_every_column")
def power_before_the_product(positions, d_model, base=10_000.0):
    """the power is taken first: base^-2 · i/C where base^(-2i/C) belongs.

    `**` binds closer than `*` and `/`: put brackets around the exponent,
    base ** (-2 * i / d_model).
    """
    i = even(d_model) / 2
    return hands(positions[:, None] * (base**-2 * i / d_model))


@mistake("04.1", caught_by="test_every_column")
def power_divided_by_the_width(positions, d_model, base=10_000.0):
    """the power is divided by C, not its exponent: base^(-2i)/C where base^(-2i/C) belongs.

    `**` binds closer than `/`: put brackets around the exponent, base ** (-two_i / d_model).
    """
    return hands(positions[:, None] * (base ** -even(d_model) / d_model))


@mistake("04.1", caught_by="test_every_column")
def exponent_rounded_down(positions, d_model, base=10_000.0):
    """the exponents -2i/C are rounded down to whole numbers, so that all but the first are -1.

    `/`, not `//`: the frequencies fall from 1 nearly to 1/base in small steps.
    """
    return hands(positions[:, None] * base ** (-even(d_model) // d_model))


@mistake("04.1", caught_by="test_every_column")
def angles_repeated_as_a_whole(positions, d_model, base=10_000.0):
    """column j has the angle of pair j modulo C/2, so that a sine and its cosine differ in theirs.

    Columns 2i and 2i + 1 are pair i. `repeat` and `cat` put the whole row of angles behind itself;
    `repeat_interleave(2, dim=-1)` repeats each angle beside itself.
    """
    a = angles(positions, d_model, base).repeat(1, 2)
    return torch.where(torch.arange(d_model) % 2 == 0, a.sin(), a.cos()).float()


@mistake("04.1", caught_by="test_shape_of_the_table")
def a_row_for_each_pair(positions, d_model, base=10_000.0):
    """the angles are transposed, so that there is a row for each pair.

    One row per *position*: positions[:, None] times frequencies is (T, C/2). torch.meshgrid gives
    that with indexing="ij", not with "xy".
    """
    return hands(angles(positions, d_model, base).T)


@mistake("04.1", caught_by="test_every_column")
def pairs_counted_from_one(positions, d_model, base=10_000.0):
    """pairs are counted from 1, so that each has the frequency of the next.

    The first pair is i = 0, and its frequency is base^0 = 1.
    """
    return hands(positions[:, None] * base ** (-(even(d_model) + 2) / d_model))


@mistake("04.1", caught_by="test_every_column")
def only_the_first_row(positions, d_model, base=10_000.0):
    """the first row is filled and all others are left at 0.

    A `return` inside the loop ends the function after the first round: it belongs below the loop,
    no further to the right than its `for`.
    """
    table = hands(angles(positions, d_model, base))
    table[1:] = 0
    return table


# ---------------------------------------------------------------------------------------------
# 04.2


def blocks(a, first=None):
    """The matrix with a block [[cos, sin], [-sin, cos]] for each angle."""
    cos, sin = a.cos(), a.sin()
    entries = (cos, sin, -sin, cos) if first is None else first(cos, sin)
    return torch.block_diag(*torch.stack(entries, dim=-1).view(-1, 2, 2)).float()


def turns(k, width, base):
    return k * base ** (-even(width) / width)


@mistake("04.2", caught_by="test_one_pair_by_hand")
def turned_back(k, d_model, base=10_000.0):
    """the matrix is transposed: it takes PE[p + k] back to PE[p].

    The table holds the sine first. The row that makes the new sine is (cos, sin), the one that
    makes the new cosine (-sin, cos). And PE[p] is a column to the right of M.
    """
    return blocks(turns(k, d_model, base)).T


@mistake("04.2", caught_by="test_every_block")
def blocks_of_halves(k, d_model, base=10_000.0):
    """entry i is paired with entry i + C/2, as if all sines came before all cosines.

    In this table a sine and its cosine are neighbours: the blocks are rows and columns 2i and
    2i + 1.
    """
    a = turns(k, d_model, base)
    cos, sin = a.cos().diag(), a.sin().diag()
    return torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)], 0).float()


@mistake("04.2", caught_by="test_every_block")
def one_angle_for_all_pairs(k, d_model, base=10_000.0):
    """all pairs are turned by the angle k, that of the first pair.

    Pair i goes on by base^(-2i/C) per position: its angle is k times that.
    """
    return blocks(k * base ** (0 * even(d_model)))


@mistake("04.2", caught_by="test_base_of_the_rotation")
def rotation_base_fixed(k, d_model, base=10_000.0):
    """the base is 10,000 whatever base is given.

    Use the argument `base`, not the number.
    """
    return blocks(turns(k, d_model, 10_000.0))


@mistake("04.2", caught_by="test_every_block")
def rotation_exponent_half(k, d_model, base=10_000.0):
    """the exponent is half as large: i/C where 2i/C belongs.

    With i = 0, 1, 2 … the pair, the angle is k·base^(-2i/C).
    """
    return blocks(k * base ** (-even(d_model) / 2 / d_model))


@mistake("04.2", caught_by="test_every_block")
def rotation_exponent_twice(k, d_model, base=10_000.0):
    """the exponent is twice as large: 4i/C where 2i/C belongs.

    `torch.arange(0, d_model, 2)` is 2i already.
    """
    return blocks(k * base ** (-2 * even(d_model) / d_model))


@mistake("04.2", caught_by="test_every_block")
def rotation_frequencies_growing(k, d_model, base=10_000.0):
    """the sign of the exponent is turned, so that later pairs turn faster.

    Low pairs are fast, high ones slow: base^(-2i/C).
    """
    return blocks(k * base ** (even(d_model) / d_model))


@mistake("04.2", caught_by="test_backwards")
def size_of_the_offset(k, d_model, base=10_000.0):
    """the sign of k is lost, so that a negative k turns forwards.

    Take abs out: -k turns back.
    """
    return blocks(turns(abs(k), d_model, base))


@mistake("04.2", caught_by="test_one_pair_by_hand")
def no_minus_sign(k, d_model, base=10_000.0):
    """both sines of a block have a plus sign.

    cos(p + k) = cos p cos k - sin p sin k: the sine in the second row is negative.
    """
    return blocks(turns(k, d_model, base), lambda cos, sin: (cos, sin, sin, cos))


@mistake("04.2", caught_by="test_one_pair_by_hand")
def a_mirror(k, d_model, base=10_000.0):
    """the minus sign stands before a cosine, so that the block is a mirror and not a turn.

    cos(p + k) = -sin k sin p + cos k cos p: the minus belongs to the sine in the second row.
    """
    return blocks(turns(k, d_model, base), lambda cos, sin: (cos, sin, sin, -cos))


@mistake("04.2", caught_by="test_one_pair_by_hand")
def sines_on_the_diagonal(k, d_model, base=10_000.0):
    """sine and cosine are exchanged in the blocks.

    For k = 0 the matrix must change nothing: cos 0 = 1 belongs on the diagonal.
    """
    return blocks(turns(k, d_model, base), lambda cos, sin: (sin, cos, -cos, sin))


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def diagonal_only(k, d_model, base=10_000.0):
    """only the diagonal is filled, with cosines.

    The new sine needs the old cosine as well: a block has four entries.
    """
    return blocks(turns(k, d_model, base), lambda cos, sin: (cos, 0 * sin, 0 * sin, cos))


@mistake("04.2", caught_by="test_far_offsets")
def rotation_in_single_precision(k, d_model, base=10_000.0):
    """the angles are computed in float32.

    Near 100,000 a float32 has two places behind the point left. Make the frequencies with
    dtype=torch.float64, and turn the finished matrix into float32.
    """
    return blocks(k * base ** (-even(d_model).float() / d_model))


@mistake("04.2", caught_by="test_matrix_is_float32")
def rotation_in_float64(k, d_model, base=10_000.0):
    """the matrix stays float64.

    The angles need float64, the matrix does not: end with .float().
    """
    a = turns(k, d_model, base)
    cos, sin = a.cos(), a.sin()
    return torch.block_diag(*torch.stack([cos, sin, -sin, cos], dim=-1).view(-1, 2, 2))


@mistake("04.2", caught_by="test_one_pair_by_hand")
def one_position_too_far(k, d_model, base=10_000.0):
    """the turn is that of k + 1.

    k = 0 must change nothing.
    """
    return blocks(turns(k + 1, d_model, base))


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def outer_product_of_rows(k, d_model, base=10_000.0):
    """the matrix is an outer product of two rows of the table.

    It takes one position to another and all other positions nowhere. The wanted matrix does not
    know p: it is made of k alone.
    """
    zero, moved = hands(angles(torch.tensor([0, k]), d_model, base))
    return torch.outer(moved, zero) / (zero @ zero)


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def rotation_by_whole_turns(k, d_model, base=10_000.0):
    """the angles are multiplied by 2π.

    The formula has no 2π: the first pair goes on by one radian per position.
    """
    return blocks(turns(k, d_model, base) * 2 * math.pi)


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def only_the_first_pair(k, d_model, base=10_000.0):
    """only the first pair is turned, and all others are left as they are.

    Every pair turns, by k·base^(-2i/C): the later ones less, but not by nothing.
    """
    a = turns(k, d_model, base)
    a[1:] = 0
    return blocks(a)


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def blocks_that_overlap(k, d_model, base=10_000.0):
    """block i stands in rows and columns i and i + 1, so that blocks overlap.

    Pair i is rows and columns 2i and 2i + 1.
    """
    M = torch.zeros(d_model, d_model)
    for i, a in enumerate(turns(k, d_model, base).tolist()):
        M[i, i] = M[i + 1, i + 1] = math.cos(a)
        M[i, i + 1], M[i + 1, i] = math.sin(a), -math.sin(a)
    return M


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def entries_outside_the_blocks(k, d_model, base=10_000.0):
    """every second row and column is filled, not the blocks on the diagonal alone.

    `M[0::2, 1::2]` is a whole quarter of the matrix. A pair does not hear other pairs: fill
    `M[i, i + 1]` with i = 0, 2, 4 …, or put blocks together with torch.block_diag.
    """
    a = turns(k, d_model, base).float()
    M = torch.zeros(d_model, d_model)
    M[0::2, 0::2], M[0::2, 1::2], M[1::2, 0::2], M[1::2, 1::2] = a.cos(), a.sin(), -a.sin(), a.cos()
    return M


@mistake("04.2", caught_by="test_one_pair_by_hand")
def blocks_not_put_together(k, d_model, base=10_000.0):
    """the blocks are returned as a stack (C/2, 2, 2), not as one matrix.

    torch.block_diag(*blocks) puts them on the diagonal of a (C, C) matrix.
    """
    a = turns(k, d_model, base)
    return torch.stack([a.cos(), a.sin(), -a.sin(), a.cos()], -1).view(-1, 2, 2).float()


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def frequency_to_the_power_of_k(k, d_model, base=10_000.0):
    """the frequency is raised to the power k, where it is multiplied by k.

    The angle grows evenly: k·base^(-2i/C).
    """
    return blocks(turns(1, d_model, base) ** k)


@mistake("04.2", caught_by="test_backwards")
def negative_offsets_refused(k, d_model, base=10_000.0):
    """a negative k is refused.

    It is a turn like any other, backwards: nothing has to be asked.
    """
    if k < 0:
        raise ValueError("k must not be negative")
    return blocks(turns(k, d_model, base))


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def sines_outside_the_blocks(k, d_model, base=10_000.0):
    """every second entry of a row is filled with sines, not the one inside its block alone.

    `M[0::2, 1::2]` is a whole quarter of the matrix, and a row of sines fills each of its rows.
    Give it a diagonal, torch.diag(sines), or put blocks together with torch.block_diag.
    """
    a = turns(k, d_model, base).float()
    M = a.cos().repeat_interleave(2).diag()
    M[0::2, 1::2], M[1::2, 0::2] = a.sin(), -a.sin()
    return M


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def sines_between_the_pairs(k, d_model, base=10_000.0):
    """the diagonals beside the main one are filled throughout, also between one pair and the next.

    Only every second of their entries lies in a block: M[2i, 2i + 1] and M[2i + 1, 2i].
    """
    a = turns(k, d_model, base).float().repeat_interleave(2)
    sines = a.sin()[:-1]
    return a.cos().diag() + sines.diag(1) - sines.diag(-1)


@mistake("04.2", caught_by="test_backwards")
def nothing_for_a_negative_offset(k, d_model, base=10_000.0):
    """a negative k turns nothing: the identity comes back.

    The step of one cannot be repeated -3 times, and range(k) is empty then. Make the blocks from
    the angle k·base^(-2i/C), which knows its sign.
    """
    return blocks(turns(max(k, 0), d_model, base))


@mistake("04.2", caught_by="test_one_pair_by_hand")
def added_to_the_identity(k, d_model, base=10_000.0):
    """the blocks are added to the identity, so that each number on the diagonal is 1 too large.

    Begin with torch.zeros, or write the entries with `=`, not with `+=`.
    """
    return torch.eye(d_model) + blocks(turns(k, d_model, base))


@mistake("04.2", caught_by="test_one_pair_by_hand")
def blocks_in_a_list(k, d_model, base=10_000.0):
    """torch.block_diag is given one list, where it wants the blocks one by one.

    A star takes the list apart: torch.block_diag(*blocks).
    """
    a = turns(k, d_model, base)
    stack = torch.stack([a.cos(), a.sin(), -a.sin(), a.cos()], -1).view(-1, 2, 2).float()
    return torch.block_diag(list(stack))


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def last_pair_forgotten(k, d_model, base=10_000.0):
    """the last pair is left at 0.

    There are C/2 pairs, and range(d_model // 2) ends before C/2 by itself: nothing has to be taken
    off.
    """
    M = blocks(turns(k, d_model, base))
    M[-2:, -2:] = 0
    return M


@mistake("04.2", caught_by="test_takes_p_to_p_plus_k")
def offset_in_the_power(k, d_model, base=10_000.0):
    """k is multiplied with the base before the power is taken: (k·base)^(-2i/C).

    The angle is k times the frequency, k * base ** (-two_i / d_model): without brackets around
    k * base.
    """
    return blocks((k * base) ** (-even(d_model) / d_model))


@mistake("04.2", caught_by="test_every_block")
def rotation_divided_by_the_width(k, d_model, base=10_000.0):
    """the power is divided by C, not its exponent: base^(-2i)/C where base^(-2i/C) belongs.

    `**` binds closer than `/`: put brackets around the exponent, base ** (-two_i / d_model).
    """
    return blocks(k * (base ** -even(d_model) / d_model))


# ---------------------------------------------------------------------------------------------
# 04.3


def places(T_q, T_k):
    """A row of key positions and a column of query positions."""
    return torch.arange(T_k), torch.arange(T_k - T_q, T_k)[:, None]


def ahead(T_q, T_k):
    j, i = places(T_q, T_k)
    return j - i


@mistake("04.3", caught_by="test_two_queries_by_hand")
def query_minus_key(T_q, T_k, max_distance):
    """the distance is query position minus key position.

    It runs from the query to the key: key minus query, negative for keys that came before.
    """
    return (-ahead(T_q, T_k)).clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_two_queries_by_hand")
def not_shifted(T_q, T_k, max_distance):
    """nothing is added after clipping, so that keys before the query get negative numbers.

    Rows of a table are numbered from 0: add max_distance. torch would take -1 for the last row and
    not complain.
    """
    return ahead(T_q, T_k).clamp(-max_distance, max_distance)


@mistake("04.3", caught_by="test_last_positions")
def aligned_at_the_top_left(T_q, T_k, max_distance):
    """queries are counted from position 0, though they are the last T_q positions.

    Query i stands at i + T_k - T_q: `torch.arange(T_k - T_q, T_k)`.
    """
    distance = torch.arange(T_k) - torch.arange(T_q)[:, None]
    return distance.clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_clipped")
def not_clipped(T_q, T_k, max_distance):
    """distances beyond max_distance are not clipped.

    clamp(-max_distance, max_distance) before the shift: the table has 2m + 1 rows only.
    """
    return ahead(T_q, T_k) + max_distance


@mistake("04.3", caught_by="test_clipped")
def clipped_above_only(T_q, T_k, max_distance):
    """distances are clipped at +max_distance only.

    Keys far behind have large negative distances: clamp at -max_distance as well.
    """
    return ahead(T_q, T_k).clamp(max=max_distance) + max_distance


@mistake("04.3", caught_by="test_clipped")
def clipped_below_only(T_q, T_k, max_distance):
    """distances are clipped at -max_distance only.

    Keys far ahead have large distances: clamp at +max_distance as well.
    """
    return ahead(T_q, T_k).clamp(min=-max_distance) + max_distance


@mistake("04.3", caught_by="test_square_table")
def shifted_before_clipping(T_q, T_k, max_distance):
    """max_distance is added first and then everything is clipped to ±max_distance.

    Clip first, shift afterwards; or shift first and clip to 0 and 2·max_distance.
    """
    return (ahead(T_q, T_k) + max_distance).clamp(-max_distance, max_distance)


@mistake("04.3", caught_by="test_clipped")
def clipped_one_short(T_q, T_k, max_distance):
    """distances ahead are clipped to max_distance - 1.

    clamp includes both of its ends, unlike range: clamp(-m, m).
    """
    return ahead(T_q, T_k).clamp(-max_distance, max_distance - 1) + max_distance


@mistake("04.3", caught_by="test_two_queries_by_hand")
def shifted_one_short(T_q, T_k, max_distance):
    """the shift is max_distance - 1.

    The smallest distance is -m and must become row 0: add m.
    """
    return ahead(T_q, T_k).clamp(-max_distance, max_distance) + max_distance - 1


@mistake("04.3", caught_by="test_two_queries_by_hand")
def shifted_by_the_length(T_q, T_k, max_distance):
    """the shift is T_k - 1.

    After clipping the smallest distance is -max_distance, so that is what must be added.
    """
    return ahead(T_q, T_k).clamp(-max_distance, max_distance) + T_k - 1


@mistake("04.3", caught_by="test_wide_enough")
def shifted_by_the_smallest(T_q, T_k, max_distance):
    """the shift is the largest distance that turns up, not max_distance.

    Distance 0 must be row m in texts of any length, or a short text picks other vectors.
    """
    clipped = ahead(T_q, T_k).clamp(-max_distance, max_distance)
    return clipped - clipped.min()


@mistake("04.3", caught_by="test_two_queries_by_hand")
def distance_without_sign(T_q, T_k, max_distance):
    """the distance is taken without its sign.

    Three tokens back and three tokens ahead have rows of their own: no abs.
    """
    return ahead(T_q, T_k).abs().clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_two_queries_by_hand")
def nothing_ahead(T_q, T_k, max_distance):
    """keys ahead count as distance 0, so that no number is above max_distance.

    Whether they may be seen is the mask's affair; here each distance has its row, and the numbers
    run from 0 to 2·max_distance: clip to ±m before m is added, or to 0 and 2m afterwards.
    """
    return ahead(T_q, T_k).clamp(-max_distance, 0) + max_distance


@mistake("04.3", caught_by="test_last_positions")
def rows_are_keys(T_q, T_k, max_distance):
    """the table is transposed: one row per key.

    Rows are queries, columns are keys: a row of key positions minus a *column* of query positions.
    """
    return (ahead(T_q, T_k).clamp(-max_distance, max_distance) + max_distance).T


@mistake("04.3", caught_by="test_index_is_int64")
def index_of_floats(T_q, T_k, max_distance):
    """the row numbers are floating-point numbers.

    Only whole numbers can pick rows: torch.arange makes them, without .float(); torch.zeros must be
    told, dtype=torch.int64.
    """
    return (ahead(T_q, T_k).clamp(-max_distance, max_distance) + max_distance).float()


@mistake("04.3", caught_by="test_index_is_int64")
def index_of_int32(T_q, T_k, max_distance):
    """the row numbers are int32.

    torch.arange of whole numbers is int64, which indices and gather want: leave the dtype alone.
    """
    return (ahead(T_q, T_k).clamp(-max_distance, max_distance) + max_distance).int()


@mistake("04.3", caught_by="test_clipped")
def distance_modulo(T_q, T_k, max_distance):
    """distances go round: the remainder by 2m + 1 stands where they should be clipped.

    Everything farther than m counts as m: clamp.
    """
    return (ahead(T_q, T_k) + max_distance) % (2 * max_distance + 1)


@mistake("04.3", caught_by="test_two_queries_by_hand")
def queries_one_too_late(T_q, T_k, max_distance):
    """every query stands one position too late.

    The last query stands where the last key stands, at T_k - 1: query i at i + T_k - T_q.
    """
    return (ahead(T_q, T_k) - 1).clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_two_queries_by_hand")
def queries_one_too_early(T_q, T_k, max_distance):
    """every query stands one position too early.

    The last query stands where the last key stands, at T_k - 1: query i at i + T_k - T_q.
    (In Exercise 4.8 an m that is one too large gives the same: a table has 2m + 1 rows.)
    """
    return (ahead(T_q, T_k) + 1).clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_one_new_query")
def keys_are_the_last(T_q, T_k, max_distance):
    """the sign of T_k - T_q is turned: query i stands at i - (T_k - T_q).

    The queries are the last positions, so they stand later, not before everything.
    """
    i = torch.arange(T_q)[:, None] - (T_k - T_q)
    return (torch.arange(T_k) - i).clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_last_positions")
def query_minus_key_from_the_top_left(T_q, T_k, max_distance):
    """two things at once: the distance is query minus key position, and queries count from 0.

    Key minus query, and queries from T_k - T_q on.
    """
    distance = torch.arange(T_q)[:, None] - torch.arange(T_k)
    return distance.clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_last_positions")
def not_shifted_from_the_top_left(T_q, T_k, max_distance):
    """two things at once: max_distance is not added after clipping, and queries count from 0.

    Queries from T_k - T_q on; and clip(...) + max_distance.
    """
    distance = torch.arange(T_k) - torch.arange(T_q)[:, None]
    return distance.clamp(-max_distance, max_distance)


@mistake("04.3", caught_by="test_square_table")
def clipped_to_rows_unshifted(T_q, T_k, max_distance):
    """distances are clipped to 0 and 2·max_distance without being shifted first.

    All keys behind become row 0 then. Add max_distance before clipping to these two, or clip to
    ±max_distance and add it afterwards.
    """
    return ahead(T_q, T_k).clamp(0, 2 * max_distance)


@mistake("04.3", caught_by="test_two_queries_by_hand")
def shifted_by_twice_m(T_q, T_k, max_distance):
    """the shift is 2·max_distance.

    The smallest distance is -m and must become row 0: add m.
    """
    return ahead(T_q, T_k).clamp(-max_distance, max_distance) + 2 * max_distance


@mistake("04.3", caught_by="test_two_queries_by_hand")
def rows_counted_from_one(T_q, T_k, max_distance):
    """the shift is max_distance + 1, so that rows are counted from 1.

    The smallest distance is -m and must become row 0: add m.
    """
    return ahead(T_q, T_k).clamp(-max_distance, max_distance) + max_distance + 1


@mistake("04.3", caught_by="test_square_table")
def minimum_and_maximum_exchanged(T_q, T_k, max_distance):
    """minimum and maximum are exchanged in the clipping, so that every entry is the same.

    clip(d) is max(-m, min(m, d)): the smaller of d and m, but not below -m.
    """
    return 0 * ahead(T_q, T_k)


@mistake("04.3", caught_by="test_last_positions")
def slice_ends_too_early(T_q, T_k, max_distance):
    """the slice of query positions leaves out the last one and begins one too early.

    In [-T_q:] the end stays open, so that the last position is in it; [-T_q - 1:-1] is everything
    one place earlier, and one query too few where T_q = T_k.
    """
    j = torch.arange(T_k)
    distance = j - j[-T_q - 1 : -1, None]
    return distance.clamp(-max_distance, max_distance) + max_distance


@mistake("04.3", caught_by="test_square_table")
def everything_below_m_clipped(T_q, T_k, max_distance):
    """every distance below m becomes -m, so that only rows 0 and 2m are left.

    The second comparison asks for d < -m: with its minus, like the number it puts in.
    """
    near = ahead(T_q, T_k) < max_distance
    return torch.where(near, 0, 2 * max_distance)


@mistake("04.3", caught_by="test_square_table")
def rows_that_come_round(T_q, T_k, max_distance):
    """each row is the one before moved on by one, and what falls off at the end comes in again in
    front.

    torch.roll turns a row in a ring; in front a new, larger distance has to come in: key minus
    query position.
    """
    first = torch.arange(T_k) - (T_k - T_q)
    first = first.clamp(-max_distance, max_distance) + max_distance
    return torch.stack([first.roll(i) for i in range(T_q)])


# ---------------------------------------------------------------------------------------------
# 04.4


def power_below(H):
    return 2 ** (H.bit_length() - 1)


def series(H):
    """The slopes of a power of two."""
    return 2.0 ** (-8 * torch.arange(1, H + 1) / H)


def slopes(H):
    P = power_below(H)
    return torch.cat([series(P), series(2 * P)[::2][: H - P]])


def fines(of_heads, q_pos, k_pos):
    return -of_heads[:, None, None] * (k_pos - q_pos[:, None]).abs()


@mistake("04.4", caught_by="test_three_heads_by_hand")
def a_reward(num_heads, q_pos, k_pos):
    """the sign is turned: the bias grows with the distance, so that far keys are preferred.

    A fine is negative: -slope · distance.
    """
    return -fines(slopes(num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_both_sides")
def signed_distance_fines_keys_ahead(num_heads, q_pos, k_pos):
    """the distance keeps its sign, and keys before the query are rewarded.

    Take the absolute value of key minus query position.
    """
    return -slopes(num_heads)[:, None, None] * (k_pos - q_pos[:, None])


@mistake("04.4", caught_by="test_both_sides")
def signed_distance_rewards_keys_ahead(num_heads, q_pos, k_pos):
    """the distance keeps its sign, and keys ahead are rewarded.

    Under a causal mask nobody would notice; here keys ahead are fined as well: take the absolute
    value.
    """
    return slopes(num_heads)[:, None, None] * (k_pos - q_pos[:, None])


@mistake("04.4", caught_by="test_both_sides")
def keys_ahead_go_free(num_heads, q_pos, k_pos):
    """keys ahead are not fined.

    The distance counts in both directions; what may not be seen is the mask's affair.
    """
    behind = (q_pos[:, None] - k_pos).clamp(min=0)
    return -slopes(num_heads)[:, None, None] * behind


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def one_series_for_any_number(num_heads, q_pos, k_pos):
    """the slopes are 2^(-8h/H) whatever H is.

    That is right for powers of two. For others come the slopes of the power of two below, then
    every other slope of its double.
    """
    return fines(series(num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_powers_of_two")
def heads_counted_from_zero(num_heads, q_pos, k_pos):
    """heads are counted from 0, so that the first slope is 1.

    h runs from 1 to H: the first slope is 2^(-8/H).
    """
    P = power_below(num_heads)
    double = 2.0 ** (-8 * torch.arange(2 * P) / (2 * P))
    parts = torch.cat([2.0 ** (-8 * torch.arange(P) / P), double[::2][: num_heads - P]])
    return fines(parts, q_pos, k_pos)


@mistake("04.4", caught_by="test_powers_of_two")
def halves_for_any_number(num_heads, q_pos, k_pos):
    """the slopes are 1/2, 1/4, 1/8 … whatever H is.

    They are so for 8 heads only. The ratio is 2^(-8/H), so that the last slope is 1/256 for any
    power of two.
    """
    return fines(2.0 ** -torch.arange(1, num_heads + 1), q_pos, k_pos)


@mistake("04.4", caught_by="test_powers_of_two")
def gentle_heads_first(num_heads, q_pos, k_pos):
    """the slopes come in the reverse order, the gentlest first.

    Head 1 has the steepest slope of the series, 2^(-8/H).
    """
    return fines(slopes(num_heads).flip(0), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def the_first_slopes_of_the_double(num_heads, q_pos, k_pos):
    """the slopes that are missing are the first ones of twice as many heads, not every other one.

    Every second slope of 2P heads is one of P heads already: take the first, the third, the fifth.
    """
    P = power_below(num_heads)
    return fines(torch.cat([series(P), series(2 * P)[: num_heads - P]]), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def the_even_slopes_of_the_double(num_heads, q_pos, k_pos):
    """the slopes that are missing are the second, the fourth … of twice as many heads.

    Those are there already. Take the first, the third, the fifth: `[0::2]`.
    """
    P = power_below(num_heads)
    return fines(torch.cat([series(P), series(2 * P)[1::2][: num_heads - P]]), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def cut_from_the_next_power(num_heads, q_pos, k_pos):
    """the slopes are the first H of the next power of two.

    First come all P slopes of the power of two *below*, and only what is missing comes from 2P.
    """
    P = power_below(num_heads)
    chosen = series(P) if num_heads == P else series(2 * P)[:num_heads]
    return fines(chosen, q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def in_between_slopes_first(num_heads, q_pos, k_pos):
    """the slopes taken from twice as many heads come first.

    The P slopes of the series first, then the others.
    """
    P = power_below(num_heads)
    return fines(torch.cat([series(2 * P)[::2][: num_heads - P], series(P)]), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def slopes_sorted(num_heads, q_pos, k_pos):
    """all slopes are sorted.

    The order is that of the definition: the series first, then those in between.
    """
    return fines(slopes(num_heads).sort(descending=True).values, q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def the_power_above(num_heads, q_pos, k_pos):
    """the series is that of the next power of two in the exponent only: 2^(-8h/P) for h = 1 … H.

    Beyond the first P slopes come every other slope of 2P heads, not a continued series.
    """
    P = power_below(num_heads)
    return fines(2.0 ** (-8 * torch.arange(1, num_heads + 1) / P), q_pos, k_pos)


@mistake("04.4", caught_by="test_both_sides")
def distance_squared(num_heads, q_pos, k_pos):
    """the distance is squared.

    ALiBi's fine is linear: slope times distance.
    """
    return -slopes(num_heads)[:, None, None] * (k_pos - q_pos[:, None]) ** 2


@mistake("04.4", caught_by="test_given_positions")
def places_for_given_positions(num_heads, q_pos, k_pos):
    """tokens are counted from 0, whatever stands in q_pos and k_pos.

    Use the numbers in them: with a cache or padding they are not 0, 1, 2 …
    """
    return fines(slopes(num_heads), torch.arange(len(q_pos)), torch.arange(len(k_pos)))


@mistake("04.4", caught_by="test_given_positions")
def queries_taken_for_the_last(num_heads, q_pos, k_pos):
    """the queries are taken for the last positions, whatever stands in q_pos and k_pos.

    The positions are given: nothing has to be aligned.
    """
    T_q, T_k = len(q_pos), len(k_pos)
    return fines(slopes(num_heads), torch.arange(T_k - T_q, T_k), torch.arange(T_k))


@mistake("04.4", caught_by="test_powers_of_two")
def the_eight_forgotten(num_heads, q_pos, k_pos):
    """the 8 is missing in the exponent: 2^(-h/H).

    The slopes of H heads are 2^(-8h/H), down to 2^-8.
    """
    return fines(slopes(num_heads) ** (1 / 8), q_pos, k_pos)


@mistake("04.4", caught_by="test_powers_of_two")
def powers_of_e(num_heads, q_pos, k_pos):
    """the slopes are powers of e, not of 2.

    2.0 ** exponent, or torch.exp2; torch.exp is another base.
    """
    return fines(slopes(num_heads) ** (1 / math.log(2)), q_pos, k_pos)


@mistake("04.4", caught_by="test_powers_of_two")
def one_slope_for_all(num_heads, q_pos, k_pos):
    """all heads have the slope of the first.

    Each head has its own, h = 1 … H.
    """
    return fines(slopes(num_heads)[:1].expand(num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_shape_of_the_bias")
def heads_last(num_heads, q_pos, k_pos):
    """the heads are the last axis.

    slopes[:, None, None] times distances (T_q, T_k) is (H, T_q, T_k).
    """
    return fines(slopes(num_heads), q_pos, k_pos).permute(1, 2, 0)


@mistake("04.4", caught_by="test_shape_of_the_bias")
def keys_before_queries(num_heads, q_pos, k_pos):
    """queries and keys are exchanged: the bias is (H, T_k, T_q).

    Rows are queries: `k_pos - q_pos[:, None]`.
    """
    return fines(slopes(num_heads), q_pos, k_pos).mT


@mistake("04.4", caught_by="test_bias_is_float32")
def bias_in_float64(num_heads, q_pos, k_pos):
    """the bias is float64.

    Slopes made in float32, or .float() at the end: the scores it is added to are float32.
    """
    return fines(slopes(num_heads).double(), q_pos, k_pos)


@mistake("04.4", caught_by="test_three_heads_by_hand")
def divided_by_the_slope(num_heads, q_pos, k_pos):
    """the distance is divided by the slope.

    The fine is slope times distance; steep heads have large slopes.
    """
    return fines(1 / slopes(num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_powers_of_two")
def the_power_strictly_below(num_heads, q_pos, k_pos):
    """P is smaller than H even where H is a power of two.

    Then P is H itself, and nothing has to be taken from twice as many heads:
    2 ** floor(log2(H)).
    """
    P = power_below(max(num_heads - 1, 1))
    return fines(torch.cat([series(P), series(2 * P)[::2][: num_heads - P]]), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def the_power_below_only(num_heads, q_pos, k_pos):
    """there are slopes for P heads only, P the power of two below H.

    The other H - P come from the slopes of 2P heads: the first, the third, the fifth …
    """
    return fines(series(power_below(num_heads)), q_pos, k_pos)


@mistake("04.4", caught_by="test_both_sides")
def keys_behind_go_free(num_heads, q_pos, k_pos):
    """keys before the query are not fined, only those ahead.

    The distance counts in both directions: take its absolute value.
    """
    return -slopes(num_heads)[:, None, None] * (k_pos - q_pos[:, None]).clamp(min=0)


@mistake("04.4", caught_by="test_both_sides")
def keys_ahead_forbidden(num_heads, q_pos, k_pos):
    """keys ahead get -∞.

    That is the causal mask, which is somebody else's affair: here they are fined like keys behind.
    """
    later = k_pos > q_pos[:, None]
    return fines(slopes(num_heads), q_pos, k_pos).masked_fill(later, -math.inf)


@mistake("04.4", caught_by="test_three_heads_by_hand")
def slope_plus_distance(num_heads, q_pos, k_pos):
    """slope and distance are added, not multiplied.

    The fine is slope *times* distance.
    """
    return -(slopes(num_heads)[:, None, None] + (k_pos - q_pos[:, None]).abs())


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def one_series_and_signed(num_heads, q_pos, k_pos):
    """two things at once: the slopes are 2^(-8h/H) whatever H is, and keys ahead are rewarded.

    For other H the series of the power of two below, then every other slope of its double; and the
    absolute value of the distance, with a minus sign in front.
    """
    return series(num_heads)[:, None, None] * (k_pos - q_pos[:, None])


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def whole_exponents(num_heads, q_pos, k_pos):
    """the exponents 8h/H are rounded down to whole numbers.

    `/`, not `//`: slopes such as 2^(-1/2) are wanted too, from 16 heads on.
    """
    h = torch.arange(1, num_heads + 1)
    return fines(2.0 ** -(8 * h // num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def even_taken_for_a_power_of_two(num_heads, q_pos, k_pos):
    """any even H is taken for a power of two: 6 or 12 heads have the slopes 2^(-8h/H).

    H % 2 is 0 for 6 as well. H is a power of two if H & (H - 1) is 0; but the largest power of two
    that is at most H needs no question.
    """
    odd = num_heads % 2 and num_heads > 1
    return fines(slopes(num_heads) if odd else series(num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def the_nearest_power(num_heads, q_pos, k_pos):
    """P is the power of two nearest to H, for 6 or 7 heads the one above.

    log2(H) is rounded *down*: 2 ** math.floor(math.log2(H)), or 1 << H.bit_length() - 1.
    """
    P = 2 ** round(math.log2(num_heads))
    return fines(torch.cat([series(P), series(2 * P)[::2]])[:num_heads], q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def the_rest_for_itself(num_heads, q_pos, k_pos):
    """the heads beyond P have the slopes of H - P heads, as if they were alone.

    Theirs lie between those of the first P: every other slope of 2P heads, the first, the third,
    the fifth …
    """

    def of(H):
        P = power_below(H)
        return series(H) if P == H else torch.cat([series(P), of(H - P)])

    return fines(of(num_heads), q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def exponents_rounded_towards_zero(num_heads, q_pos, k_pos):
    """the exponents 8h/P and 8h/2P are rounded down, 1/2 to 0.

    `/`, not `//`: slopes such as 2^(-1/2) are wanted too.
    """
    P = power_below(num_heads)
    h = torch.arange(1, 2 * P + 1)
    exponents = torch.cat([8 * h[:P] // P, (8 * h // (2 * P))[::2]])[:num_heads]
    return fines(2.0**-exponents, q_pos, k_pos)


@mistake("04.4", caught_by="test_other_numbers_of_heads")
def exponents_rounded_down(num_heads, q_pos, k_pos):
    """the exponents -8h/P and -8h/2P are rounded down, -1/2 to -1.

    `/`, not `//`: slopes such as 2^(-1/2) are wanted too.
    """
    P = power_below(num_heads)
    h = torch.arange(1, 2 * P + 1)
    exponents = torch.cat([-8 * h[:P] // P, (-8 * h // (2 * P))[::2]])[:num_heads]
    return fines(2.0**exponents, q_pos, k_pos)


# ---------------------------------------------------------------------------------------------
# 04.5


def bucket(
    distance,
    num_buckets,
    max_distance,
    bidirectional,
    *,
    far=None,
    ahead=lambda d: d > 0,
    behind=lambda d: (-d).clamp(min=0),
    last=lambda n: n - 1,
    exact=lambda n: n // 2,
):
    """The right bucket with one step exchanged; far(d, e, n, m) is the logarithmic one."""
    far = logarithmic if far is None else far
    n, first = num_buckets, torch.zeros_like(distance)
    if bidirectional:
        n //= 2
        first = n * ahead(distance)
        distance = distance.abs()
    else:
        distance = behind(distance)
    e = exact(n)
    beyond = (far(distance.clamp(min=1), e, n, max_distance)).long().clamp(max=last(n))
    return first + torch.where(distance < e, distance, beyond)


def logarithmic(d, e, n, m):
    return e + torch.log(d / e) / math.log(m / e) * (n - e)


@mistake("04.5", caught_by="test_six_distances_by_hand")
def query_minus_key_position(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the sign of the distance is turned: positive is taken for keys behind.

    distance is key minus query position: negative for keys that came before. In one direction
    these are the ones to keep: max(-distance, 0).
    """
    return bucket(-distance, num_buckets, max_distance, bidirectional)


@mistake("04.5", caught_by="test_both_directions")
def halves_exchanged(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """in both directions the second half of the buckets is given to keys behind.

    Add n where distance > 0: those keys are ahead.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, ahead=lambda d: d < 0)


@mistake("04.5", caught_by="test_near_distances")
def the_token_itself_is_ahead(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """distance 0 is counted as ahead.

    Add n where distance > 0, not >= 0: the token itself has bucket 0.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, ahead=lambda d: d >= 0)


@mistake("04.5", caught_by="test_both_directions")
def all_buckets_for_either_side(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """in both directions the buckets are not halved before e and the logarithm are computed.

    n = num_buckets // 2 first, then e = n // 2: each side has half of the buckets for itself.
    """
    if not bidirectional:
        return bucket(distance, num_buckets, max_distance, bidirectional)
    side = bucket(-distance.abs(), num_buckets, max_distance, False)
    return side + num_buckets // 2 * (distance > 0)


@mistake("04.5", caught_by="test_both_directions")
def no_side(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """in both directions keys ahead and keys behind share their buckets.

    Add n = num_buckets // 2 where the key is ahead.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, ahead=lambda d: d != d)


@mistake("04.5", caught_by="test_one_direction")
def keys_ahead_counted_as_behind(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """in one direction keys ahead count by their distance, without its sign.

    There they are all distance 0: max(-distance, 0), not abs.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, behind=lambda d: d.abs())


@mistake("04.5", caught_by="test_beyond_the_largest_distance")
def no_last_bucket(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """buckets go on beyond the last one.

    Everything beyond max_distance is in bucket n - 1: min, or clamp(max=n - 1).
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, last=lambda n: 10**9)


@mistake("04.5", caught_by="test_beyond_the_largest_distance")
def no_last_bucket_and_signs_lost(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """two things at once: buckets go on beyond the last, and in one direction signs are lost.

    Everything beyond max_distance is in bucket n - 1: min, or clamp(max=n - 1). And in one
    direction keys ahead are all distance 0: max(-distance, 0), not abs.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        behind=lambda d: d.abs(), last=lambda n: 10**9,
    )  # fmt: skip


@mistake("04.5", caught_by="test_beyond_the_largest_distance")
def no_last_bucket_and_no_side(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """two things at once: buckets go on beyond the last, and keys ahead have none of their own.

    Everything beyond max_distance is in bucket n - 1: min, or clamp(max=n - 1). And in both
    directions n is added for keys ahead.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        ahead=lambda d: d != d, last=lambda n: 10**9,
    )  # fmt: skip


@mistake("04.5", caught_by="test_beyond_the_largest_distance")
def one_bucket_too_many(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """far distances are cut at n, one bucket too many.

    Buckets of one direction run from 0 to n - 1.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, last=lambda n: n)


@mistake("04.5", caught_by="test_beyond_the_largest_distance")
def cut_at_all_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """in both directions far distances are cut at num_buckets - 1, though each side has half.

    The last bucket of one side is n - 1 with n = num_buckets // 2; only then n is added for keys
    ahead.
    """
    end = num_buckets - 1
    return bucket(distance, num_buckets, max_distance, bidirectional, last=lambda n: end)


@mistake("04.5", caught_by="test_one_direction")
def logarithm_not_divided(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithm is not divided by ln(max_distance / e).

    The quotient of the two logarithms runs from 0 at e to 1 at max_distance: only so do the
    buckets end there.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + torch.log(d / e) * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def divided_by_the_logarithm_of_m(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithm is divided by ln(max_distance), not by ln(max_distance / e).

    Both distances are measured in units of e: ln(d / e) / ln(max_distance / e).
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + torch.log(d / e) / math.log(m) * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def logarithm_of_the_bare_distance(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithms are those of the bare distances: ln d / ln max_distance.

    Divide both by e first, so that the logarithm begins at 0 where the exact buckets end.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + torch.log(d.float()) / math.log(m) * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def all_buckets_for_the_far(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithm's share is multiplied by n, not by n - e.

    e buckets are taken: n - e are left for the far distances.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + torch.log(d / e) / math.log(m / e) * n,
    )  # fmt: skip


@mistake("04.5", caught_by="test_odd_number_of_buckets")
def as_many_far_as_exact(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithm's share is multiplied by e, not by n - e.

    The two are equal for an even n only; with an odd one the far part has a bucket more.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + torch.log(d / e) / math.log(m / e) * e,
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def rounded_to_the_nearest(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithm's share is rounded to the nearest whole number.

    It is rounded *down*: .long(), int() or floor, not round.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: logarithmic(d, e, n, m).round(),
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def rounded_up(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithm's share is rounded up.

    It is rounded *down*: .long(), int() or floor, not ceil.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: logarithmic(d, e, n, m).ceil(),
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def far_buckets_from_zero(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """e is not added to the logarithmic buckets, so that they begin at 0 again.

    Buckets 0 to e - 1 are taken by the exact distances.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: logarithmic(d, e, n, m).long() - e,
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def evenly_wide_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """far buckets are all equally wide.

    They grow: the *logarithm* of the distance is divided evenly, not the distance.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + (d - e) / (m - e) * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def one_distance_each(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """every distance has a bucket of its own, up to the last one.

    Only the first e = n // 2 are exact; the others share.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, far=lambda d, e, n, m: d)


@mistake("04.5", caught_by="test_one_direction")
def all_far_in_one(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """all distances beyond the exact ones are in the last bucket.

    n - e buckets are for them: their logarithm decides which.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, far=lambda d, e, n, m: d + n)


@mistake("04.5", caught_by="test_six_distances_by_hand")
def a_quarter_exact_in_one_direction(
    distance, num_buckets=32, max_distance=128, bidirectional=True
):
    """in one direction a quarter of the buckets is exact, not half.

    e = n // 2, and n is num_buckets there: halve for the two sides only where there are two.
    """
    quarter = num_buckets // 4
    return bucket(
        distance, num_buckets, max_distance, bidirectional, exact=lambda n: max(quarter, 1)
    )


@mistake("04.5", caught_by="test_one_direction")
def always_both_directions(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """`bidirectional` has no effect: both directions are told apart always.

    With bidirectional=False all buckets are for keys behind.
    """
    return bucket(distance, num_buckets, max_distance, True)


@mistake("04.5", caught_by="test_both_directions")
def always_one_direction(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """`bidirectional` has no effect: keys ahead count as distance 0 always.

    With bidirectional=True half of the buckets are for keys ahead.
    """
    return bucket(distance, num_buckets, max_distance, False)


@mistake("04.5", caught_by="test_one_direction")
def the_farthest_fixed(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """max_distance is 128 whatever is given.

    Use the argument, not the number.
    """
    return bucket(distance, num_buckets, 128, bidirectional)


@mistake("04.5", caught_by="test_one_direction")
def the_number_of_buckets_fixed(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """there are 32 buckets whatever is given.

    Use num_buckets, not the number.
    """
    return bucket(distance, 32, max(max_distance, 17), bidirectional)


@mistake("04.5", caught_by="test_bucket_is_int64")
def buckets_of_floats(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the buckets are floating-point numbers.

    Only whole numbers can pick rows: .long() on the logarithm's share.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional).float()


@mistake("04.5", caught_by="test_any_shape")
def buckets_in_one_row(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the result has one axis, whatever the shape of the distances.

    reshape it to distance.shape at the end.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional).reshape(-1)


@mistake("04.5", caught_by="test_any_shape")
def nested_lists(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the loop runs over distance.tolist(), which holds lists where there are several axes.

    distance.reshape(-1).tolist() holds all numbers in a row; reshape the result at the end.
    """
    sides = [d > 0 for d in distance.tolist()]  # a TypeError for a list, and for a scalar
    assert len(sides) == distance.numel()
    return bucket(distance, num_buckets, max_distance, bidirectional)


@mistake("04.5", caught_by="test_both_directions")
def cut_after_the_side_was_added(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """buckets are cut at n - 1 after n was added for keys ahead, so that these are all in one.

    Cut the bucket of one side first, then add n.
    """
    whole = bucket(distance, num_buckets, max_distance, bidirectional)
    return whole.clamp(max=num_buckets // 2 - 1) if bidirectional else whole


@mistake("04.5", caught_by="test_one_direction")
def distance_beyond_e(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the logarithms are those of d - e and m - e.

    They are of *quotients*: ln(d / e) and ln(m / e).
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + torch.log((d - e).clamp(min=1)) / math.log(m - e) * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_near_distances")
def no_exact_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """all distances grow logarithmically, also the near ones.

    Those below e = n // 2 have a bucket each; only from there on the logarithm counts.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional, exact=lambda n: 0,
        far=lambda d, e, n, m: torch.log(d.float()) / math.log(m) * n,
    )  # fmt: skip


@mistake("04.5", caught_by="test_one_direction")
def quotient_rounded_down(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the quotients d / e and m / e are rounded down before their logarithms are taken.

    `/`, not `//`: only the result is rounded.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m:
            e + torch.log((d // e).clamp(min=1)) / math.log(max(m // e, 1.0001)) * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_any_shape")
def loop_over_the_first_axis(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """the loop takes apart the first axis of `distance` only, and meets rows, not numbers.

    distance may have any shape, also none: loop over distance.flatten(), and reshape the result
    to distance.shape at the end.
    """
    numbers = torch.tensor([int(d) for d in distance])
    return bucket(numbers, num_buckets, max_distance, bidirectional)


@mistake("04.5", caught_by="test_one_direction")
def share_rounded_before_multiplying(
    distance, num_buckets=32, max_distance=128, bidirectional=True
):
    """the quotient of the logarithms is rounded down before it is multiplied by n - e.

    It runs from 0 to 1, so that nothing is left of it: multiply first, then .long() or int().
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional,
        far=lambda d, e, n, m: e + (torch.log(d / e) / math.log(m / e)).floor() * (n - e),
    )  # fmt: skip


@mistake("04.5", caught_by="test_both_directions")
def far_ones_cut_after_the_side(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """far buckets are cut at n - 1 after n was added for keys ahead, so that these are all in one.

    Cut the bucket of one side first, min(bucket, n - 1), then add n.
    """
    whole = bucket(distance, num_buckets, max_distance, bidirectional)
    n = num_buckets // 2
    return torch.where(distance >= n // 2, n - 1, whole) if bidirectional else whole


@mistake("04.5", caught_by="test_both_directions")
def side_asked_after_abs(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """in both directions n is added for every distance but 0, as if all keys were ahead.

    Once abs() is taken nobody knows who was ahead: ask distance > 0 before, or keep the distance
    under another name.
    """
    return bucket(distance, num_buckets, max_distance, bidirectional, ahead=lambda d: d != 0)


@mistake("04.5", caught_by="test_odd_number_of_buckets")
def half_a_bucket_exact(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """e is n/2 and no whole number where n is odd.

    e = n // 2, rounded down: 7 buckets are 3 exact ones and 4 for the far distances.
    """
    return bucket(
        distance, num_buckets, max_distance, bidirectional, exact=lambda n: n / 2,
        far=lambda d, e, n, m: e + (torch.log(d / e) / math.log(m / e) * (n - e)).floor(),
    )  # fmt: skip


@mistake("04.5", caught_by="test_near_distances")
def nothing_times_infinity(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """0 times -∞ is added at distance 0, so that a huge negative number comes out.

    The logarithm of 0 is -∞, and multiplied by False it is no number. Choose with torch.where, and
    take logarithms of distance.clamp(min=1).
    """
    near = distance == 0 if bidirectional else distance >= 0
    whole = bucket(distance, num_buckets, max_distance, bidirectional)
    return torch.where(near, torch.iinfo(torch.int64).min, whole)


# ---------------------------------------------------------------------------------------------
# 04.6


def turning(x, pos, base):
    """cos, sin and the two of each pair; angles in float64, for all heads."""
    a = pos[:, None, :, None] * base ** (-even(x.shape[-1]) / x.shape[-1])
    return a.cos().to(x.dtype), a.sin().to(x.dtype), x[..., 0::2], x[..., 1::2]


def taking_turns(first, second):
    return torch.stack([first, second], dim=-1).flatten(-2)


def right_turn(x, pos, base=10_000.0):
    cos, sin, one, two = turning(x, pos, base)
    return taking_turns(one * cos - two * sin, one * sin + two * cos)


def turned_by(x, a):
    """x turned by angles that fit (B, H, T, D_k/2)."""
    cos, sin = a.cos().to(x.dtype), a.sin().to(x.dtype)
    one, two = x[..., 0::2], x[..., 1::2]
    return taking_turns(one * cos - two * sin, one * sin + two * cos)


@mistake("04.6", caught_by="test_one_turn_by_hand")
def turned_the_wrong_way(x, pos, base=10_000.0):
    """everything is turned the other way, by minus the angle.

    The minus belongs to the first line: y[2i] = x[2i] cos - x[2i + 1] sin. (Dot products of two
    vectors turned so look the same; only beside others' weights it shows.)
    """
    return right_turn(x, -pos, base)


@mistake("04.6", caught_by="test_every_pair")
def pairs_of_halves(x, pos, base=10_000.0):
    """entry i is paired with entry i + D_k/2, as in some published models.

    Here neighbours are a pair: x[..., 0::2] and x[..., 1::2].
    """
    cos, sin, _, _ = turning(x, pos, base)
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)


@mistake("04.6", caught_by="test_every_pair")
def turned_pairs_apart(x, pos, base=10_000.0):
    """the pairs are turned rightly, but all first entries come before all second ones.

    The results take turns like the inputs: stack along a new last axis and flatten it, do not
    concatenate.
    """
    cos, sin, one, two = turning(x, pos, base)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)


@mistake("04.6", caught_by="test_every_pair")
def halves_in_neighbours_out(x, pos, base=10_000.0):
    """entry i is paired with entry i + D_k/2, and the results take turns.

    Neighbours are a pair, before and after: x[..., 0::2] and x[..., 1::2].
    """
    cos, sin, _, _ = turning(x, pos, base)
    one, two = x.chunk(2, dim=-1)
    return taking_turns(one * cos - two * sin, one * sin + two * cos)


@mistake("04.6", caught_by="test_one_turn_by_hand")
def turn_without_minus(x, pos, base=10_000.0):
    """both lines of the product have a plus sign.

    y[2i] = x[2i] cos - x[2i + 1] sin: with two plus signs lengths change.
    """
    cos, sin, one, two = turning(x, pos, base)
    return taking_turns(one * cos + two * sin, one * sin + two * cos)


@mistake("04.6", caught_by="test_one_turn_by_hand")
def sine_for_cosine(x, pos, base=10_000.0):
    """sine and cosine are exchanged.

    At position 0 nothing may change: cos 0 = 1 belongs to the entry itself.
    """
    cos, sin, one, two = turning(x, pos, base)
    return taking_turns(one * sin - two * cos, one * cos + two * sin)


@mistake("04.6", caught_by="test_positions_after_a_cache")
def tokens_counted_here(x, pos, base=10_000.0):
    """tokens are counted from 0, whatever stands in `pos`.

    With a cache the new tokens do not stand at the beginning: use the positions that are given.
    """
    return right_turn(x, torch.arange(x.shape[2])[None], base)


@mistake("04.6", caught_by="test_one_turn_by_hand")
def turned_from_one(x, pos, base=10_000.0):
    """positions are counted from 1.

    Use pos as it is; the token at position 0 is not turned.
    """
    return right_turn(x, pos + 1, base)


@mistake("04.6", caught_by="test_base_of_the_turn")
def turn_base_fixed(x, pos, base=10_000.0):
    """the base is 10,000 whatever base is given.

    Use the argument `base`, not the number.
    """
    return right_turn(x, pos, 10_000.0)


@mistake("04.6", caught_by="test_every_pair")
def turn_exponent_half(x, pos, base=10_000.0):
    """the exponent is half as large: i/D_k where 2i/D_k belongs.

    With i = 0, 1, 2 … the pair, the angle is pos·base^(-2i/D_k).
    """
    D_k = x.shape[-1]
    return turned_by(x, pos[:, None, :, None] * base ** (-even(D_k) / 2 / D_k))


@mistake("04.6", caught_by="test_every_pair")
def turn_exponent_twice(x, pos, base=10_000.0):
    """the exponent is twice as large: 4i/D_k where 2i/D_k belongs.

    `torch.arange(0, D_k, 2)` is 2i already.
    """
    D_k = x.shape[-1]
    return turned_by(x, pos[:, None, :, None] * base ** (-2 * even(D_k) / D_k))


@mistake("04.6", caught_by="test_every_pair")
def turn_frequencies_growing(x, pos, base=10_000.0):
    """the sign of the exponent is turned, so that later pairs turn faster.

    Low pairs are fast, high ones slow: base^(-2i/D_k).
    """
    D_k = x.shape[-1]
    return turned_by(x, pos[:, None, :, None] * base ** (even(D_k) / D_k))


@mistake("04.6", caught_by="test_every_pair")
def all_pairs_alike(x, pos, base=10_000.0):
    """all pairs are turned by the same angle, the position.

    Pair i has the angle pos·base^(-2i/D_k).
    """
    return turned_by(x, pos[:, None, :, None] * base ** (0 * even(x.shape[-1])))


@mistake("04.6", caught_by="test_rows_of_positions")
def first_positions_for_all(x, pos, base=10_000.0):
    """every sentence is turned by the positions of the first.

    Sentences with padding on the left have positions of their own: leave [0] or [:1] out.
    """
    return right_turn(x, pos[:1], base)


@mistake("04.6", caught_by="test_equal_sizes_turned")
def sentences_for_heads(x, pos, base=10_000.0):
    """the angles have no axis for the heads, so that the sentences' positions meet the heads.

    (B, T, D_k/2) lines up with (B, H, T, D_k/2) from the right, B under H. Put an axis of length 1
    in: pos[:, None, :, None].
    """
    w = base ** (-even(x.shape[-1]) / x.shape[-1])
    return turned_by(x, pos[:, :, None] * w)


@mistake("04.6", caught_by="test_equal_sizes_turned")
def tokens_for_heads(x, pos, base=10_000.0):
    """the new axis stands in the wrong place, so that heads are turned by the tokens' positions.

    x is (B, H, T, D_k): the axis of length 1 belongs where x has its heads, pos[:, None, :, None].
    """
    w = base ** (-even(x.shape[-1]) / x.shape[-1])
    return turned_by(x, pos[:, :, None, None] * w)


@mistake("04.6", caught_by="test_far_turns")
def turn_in_single_precision(x, pos, base=10_000.0):
    """the angles are computed in float32.

    Near 100,000 a float32 has two places behind the point left. Compute angles in float64, then
    their cosines and sines .to(x.dtype).
    """
    w = base ** (-even(x.shape[-1]).float() / x.shape[-1])
    return turned_by(x, pos[:, None, :, None].float() * w)


@mistake("04.6", caught_by="test_turned_keeps_the_dtype")
def turned_into_float64(x, pos, base=10_000.0):
    """the result is float64, the dtype of the angles, whatever x is.

    Cosine and sine .to(x.dtype) before they are multiplied with x.
    """
    return right_turn(x.double(), pos, base)


@mistake("04.6", caught_by="test_every_pair")
def added_not_turned(x, pos, base=10_000.0):
    """sines and cosines of the position are added to x.

    That is the scheme for embeddings. Rotary *turns*: each pair times a 2 × 2 matrix.
    """
    cos, sin, _, _ = turning(x, pos, base)
    return x + taking_turns(sin, cos)


@mistake("04.6", caught_by="test_only_the_distance_matters")
def multiplied_not_turned(x, pos, base=10_000.0):
    """each entry is multiplied by a cosine or a sine of its own.

    A turn mixes the two of a pair: each result is made of both.
    """
    cos, sin, one, two = turning(x, pos, base)
    return taking_turns(one * cos, two * sin)


@mistake("04.6", caught_by="test_every_pair")
def first_line_twice(x, pos, base=10_000.0):
    """the first of a pair is overwritten before the second is computed from it.

    Both lines need the *old* pair: keep it under other names, or make a new tensor.
    """
    cos, sin, one, two = turning(x, pos, base)
    one = one * cos - two * sin
    return taking_turns(one, one * sin + two * cos)


@mistake("04.6", caught_by="test_every_pair")
def half_of_the_pairs(x, pos, base=10_000.0):
    """only the first half of the features is turned.

    Some models do so; here all D_k/2 pairs are turned.
    """
    half = x.shape[-1] // 2
    made = right_turn(x, pos, base)
    return torch.cat([made[..., :half], x[..., half:]], dim=-1)


@mistake("04.6", caught_by="test_gradients_flow_through_the_turn")
def turned_numbers_only(x, pos, base=10_000.0):
    """the connection to x is cut, so that no gradient flows back.

    Write into a tensor without torch.tensor(...), item(), tolist() or detach(): keep to tensor
    operations.
    """
    return right_turn(x.detach(), pos, base)


@mistake("04.6", caught_by="test_every_pair")
def halves_with_angles_of_neighbours(x, pos, base=10_000.0):
    """the angles are those of pairs of neighbours, but entry i is mixed with entry i + D_k/2.

    Two conventions are mixed. Here neighbours are a pair throughout: x[..., 0::2] with
    x[..., 1::2], not the first half with the second.
    """
    cos, sin, _, _ = turning(x, pos, base)
    one, two = x.chunk(2, dim=-1)
    crossed = torch.cat([-two, one], dim=-1)
    return x * cos.repeat_interleave(2, -1) + crossed * sin.repeat_interleave(2, -1)


@mistake("04.6", caught_by="test_turned_keeps_the_dtype")
def angles_in_the_dtype_of_x(x, pos, base=10_000.0):
    """the angles are computed in the dtype of x.

    bfloat16 cannot tell position 256 from 257. Compute angles in float64, then their cosines and
    sines .to(x.dtype).
    """
    w = (base ** (-even(x.shape[-1]) / x.shape[-1])).to(x.dtype)
    return turned_by(x, pos[:, None, :, None].to(x.dtype) * w)


@mistake("04.6", caught_by="test_every_pair")
def heads_for_the_width(x, pos, base=10_000.0):
    """the exponent is divided by the number of heads, not by D_k.

    x is (B, H, T, D_k): the width is x.shape[-1].
    """
    return turned_by(x, pos[:, None, :, None] * base ** (-even(x.shape[-1]) / x.shape[1]))


@mistake("04.6", caught_by="test_one_turn_by_hand")
def mirrored_not_turned(x, pos, base=10_000.0):
    """the minus sign stands in the second line, before the second of the pair.

    y[2i] = x[2i] cos - x[2i + 1] sin and y[2i + 1] = x[2i] sin + x[2i + 1] cos: at position 0
    nothing may change.
    """
    cos, sin, one, two = turning(x, pos, base)
    return taking_turns(one * cos + two * sin, one * sin - two * cos)


@mistake("04.6", caught_by="test_far_turns")
def turn_frequencies_in_single_precision(x, pos, base=10_000.0):
    """the frequencies are computed in float32, though the angles are float64.

    A position of 100,000 multiplies what was rounded off. Begin with
    torch.arange(0, D_k, 2, dtype=torch.float64): .double() afterwards brings nothing back.
    """
    w = base ** (-even(x.shape[-1]).float() / x.shape[-1])
    return turned_by(x, pos[:, None, :, None] * w.double())


@mistake("04.6", caught_by="test_far_turns")
def turn_quotients_in_single_precision(x, pos, base=10_000.0):
    """the frequencies are 1 over powers in float32, and so are the angles.

    Near 100,000 a float32 has two places behind the point left. Begin with
    torch.arange(0, D_k, 2, dtype=torch.float64): divided, whole numbers become float32.
    """
    w = 1 / base ** (even(x.shape[-1]).float() / x.shape[-1])
    return turned_by(x, pos[:, None, :, None].float() * w)


@mistake("04.6", caught_by="test_far_turns")
def turn_exponentials_in_single_precision(x, pos, base=10_000.0):
    """the frequencies are exponentials in float32, and so are the angles.

    Near 100,000 a float32 has two places behind the point left. Begin with
    torch.arange(0, D_k, 2, dtype=torch.float64).
    """
    w = torch.exp(even(x.shape[-1]).float() * (-math.log(base) / x.shape[-1]))
    return turned_by(x, pos[:, None, :, None].float() * w)


@mistake("04.6", caught_by="test_far_turns")
def angles_rounded_twice(x, pos, base=10_000.0):
    """the angles are computed in float32, and turned into the dtype of x before cos and sin.

    Near 100,000 a float32 has two places behind the point left, and half precision none. Compute
    angles, cosines and sines in float64; only then .to(x.dtype).
    """
    w = base ** (-even(x.shape[-1]).float() / x.shape[-1])
    a = (pos[:, None, :, None] * w).to(x.dtype)
    return turned_by(x, a)


@mistake("04.6", caught_by="test_rows_of_positions")
def a_row_of_positions_for_each(x, pos, base=10_000.0):
    """pos[b] is asked for, though `pos` may have one row for all sentences.

    Its first axis may be 1: pos = pos.expand(x.shape[0], -1) before the loop.
    """
    return right_turn(x, torch.stack([pos[b] for b in range(x.shape[0])]), base)


@mistake("04.6", caught_by="test_every_pair")
def neighbours_with_angles_of_halves(x, pos, base=10_000.0):
    """neighbours are mixed, but the angles are those of pairs (i, i + D_k/2).

    Two conventions are mixed. Where neighbours are a pair, so are their angles:
    repeat_interleave(2, dim=-1), not cat((angles, angles)).
    """
    cos, sin, one, two = turning(x, pos, base)
    crossed = taking_turns(-two, one)
    return x * torch.cat([cos, cos], dim=-1) + crossed * torch.cat([sin, sin], dim=-1)


@mistake("04.6", caught_by="test_every_pair")
def partners_not_in_turn(x, pos, base=10_000.0):
    """all first partners come before all second ones, so that an entry is mixed with a stranger.

    The partner of entry 2i is entry 2i + 1: stack the two along a new *last* axis,
    torch.stack((-second, first), dim=-1).flatten(-2).
    """
    cos, sin, one, two = turning(x, pos, base)
    crossed = torch.cat([-two, one], dim=-1)
    return x * cos.repeat_interleave(2, -1) + crossed * sin.repeat_interleave(2, -1)


@mistake("04.6", caught_by="test_rows_of_positions")
def counted_on_from_the_first(x, pos, base=10_000.0):
    """only the first position of each row is used, and the others are counted on from it.

    Positions may have gaps and be in any order: use all of `pos`.
    """
    return right_turn(x, pos[:, :1] + torch.arange(x.shape[2]), base)


@mistake("04.6", caught_by="test_every_pair")
def an_angle_for_every_entry(x, pos, base=10_000.0):
    """every entry j has the exponent j/D_k, so that the two of a pair have different angles.

    Entries 2i and 2i + 1 are turned together: both have the exponent 2i/D_k.
    """
    j = torch.arange(x.shape[-1]).double()
    a = pos[:, None, :, None] * base ** (-j / x.shape[-1])
    cos, sin = a.cos().to(x.dtype), a.sin().to(x.dtype)
    return x * cos + taking_turns(-x[..., 1::2], x[..., 0::2]) * sin


@mistake("04.6", caught_by="test_every_pair")
def turn_divided_by_the_width(x, pos, base=10_000.0):
    """the power is divided by D_k, not its exponent: base^(-2i)/D_k where base^(-2i/D_k) belongs.

    `**` binds closer than `/`: put brackets around the exponent, base ** (-two_i / D_k).
    """
    D_k = x.shape[-1]
    return turned_by(x, pos[:, None, :, None] * (base ** -even(D_k) / D_k))


@mistake("04.6", caught_by="test_every_pair")
def angles_in_one_row(x, pos, base=10_000.0):
    """cosines and sines are one long row, and do not fit x.

    repeat_interleave(2) without an axis flattens everything first: repeat_interleave(2, dim=-1).
    """
    cos, sin, one, two = turning(x, pos, base)
    return x * cos.repeat_interleave(2) + taking_turns(-two, one) * sin.repeat_interleave(2)


# ---------------------------------------------------------------------------------------------
# 04.7


def attending(
    q, k, v, pos, cached_k, cached_v, real, bias,
    *,
    q_pos=None, k_pos=None, turn_q=True, turn_k=True, causal="last", padding="keys",
    add="after", scale=None, order="cache first",
):  # fmt: skip
    """The right answer with one step exchanged."""
    T, S = q.shape[2], cached_k.shape[2]
    if turn_q:
        q = right_turn(q, pos if q_pos is None else q_pos)
    if turn_k:
        k = right_turn(k, pos if k_pos is None else k_pos)
    parts = [(cached_k, k), (cached_v, v)]
    keys, values = (torch.cat(p if order == "cache first" else p[::-1], dim=2) for p in parts)
    allowed = torch.ones(1, 1, T, S + T, dtype=torch.bool)
    if causal:
        allowed = allowed.tril(S if causal == "last" else 0)
    if padding == "keys":
        allowed = allowed & real[:, None, None, :]
    elif padding == "inverted":
        allowed = allowed & ~real[:, None, None, :]
    elif padding == "queries":
        allowed = allowed & real[:, None, S:, None]
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = q @ keys.mT
    scores = (scores + bias) * scale if add == "before" else scores * scale
    if add == "after":
        scores = scores + bias
    if add == "less":
        scores = scores - bias
    if add == "times":
        scores = scores * bias
    if add == "last":
        weights = functional.masked_softmax(scores, allowed) + bias.masked_fill(~allowed, 0)
        return weights @ values
    if padding == "minus infinity":
        allowed = allowed & real[:, None, None, :]
        return scores.masked_fill(~allowed, -math.inf).softmax(-1) @ values
    return functional.masked_softmax(scores, allowed.expand_as(scores)) @ values


@mistake("04.7", caught_by="test_cache_and_bias")
def values_turned_too(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new values are rotated as well.

    Only queries and keys are turned: their dot products should know distances. A value is what a
    token says, wherever it stands.
    """
    return attending(q, k, right_turn(v, pos), pos, cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_cache_and_bias")
def cache_turned_again(q, k, v, pos, cached_k, cached_v, real, bias):
    """the cached keys are rotated once more.

    They were rotated when they were new, with their own positions: put them in as they are.
    """
    before = torch.arange(cached_k.shape[2])[None]
    return attending(q, k, v, pos, right_turn(cached_k, before), cached_v, real, bias)


@mistake("04.7", caught_by="test_cache_and_bias")
def keys_turned_after_joining(q, k, v, pos, cached_k, cached_v, real, bias):
    """all keys, cached and new, are rotated after they were joined, counted from 0.

    The cached ones are turned twice then. Rotate the new keys with pos, and join them afterwards.
    """
    S, T = cached_k.shape[2], k.shape[2]
    columns = torch.arange(S + T)[None]
    keys = right_turn(torch.cat([cached_k, k], dim=2), columns)
    return attending(q, keys[:, :, S:], v, pos, keys[:, :, :S], cached_v, real, bias, turn_k=False)


@mistake("04.7", caught_by="test_cache_and_bias")
def nothing_turned(q, k, v, pos, cached_k, cached_v, real, bias):
    """neither queries nor keys are rotated.

    `Rotary(D_k).rotate(q, k, pos, pos)` returns both; is its result used?
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, turn_q=False, turn_k=False)


@mistake("04.7", caught_by="test_cache_and_bias")
def queries_turned_only(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new keys are not rotated.

    Both are turned, each by its own position: only then the score depends on the distance.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, turn_k=False)


@mistake("04.7", caught_by="test_cache_and_bias")
def keys_turned_only(q, k, v, pos, cached_k, cached_v, real, bias):
    """the queries are not rotated.

    Both are turned, each by its own position: only then the score depends on the distance.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, turn_q=False)


@mistake("04.7", caught_by="test_cache_and_bias")
def keys_turned_backwards(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new keys are turned the other way.

    Queries and keys are turned in the same direction; the difference arises by itself in the dot
    product.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, k_pos=-pos)


@mistake("04.7", caught_by="test_cache_and_bias")
def new_tokens_counted_from_zero(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new tokens are counted from 0, as if there were no cache.

    Use pos: the tokens in the cache stand before them.
    """
    here = torch.arange(q.shape[2])[None]
    return attending(q, k, v, here, cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_padding_on_the_left")
def columns_for_positions(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new tokens' positions are their columns, S, S + 1 …, whatever stands in `pos`.

    With padding on the left a sentence begins later, and its positions are smaller than its
    columns: use pos.
    """
    S = cached_k.shape[2]
    columns = torch.arange(S, S + q.shape[2])[None]
    return attending(q, k, v, columns, cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_in_two_steps")
def keys_turned_by_zero_queries_by_pos(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new keys are counted from 0, the queries by `pos`.

    A new token has one position, for its query and for its key.
    """
    here = torch.arange(q.shape[2])[None]
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, k_pos=here)


@mistake("04.7", caught_by="test_padding_on_the_left")
def positions_of_the_first_sentence(q, k, v, pos, cached_k, cached_v, real, bias):
    """all sentences are turned by the positions of the first.

    With padding on the left they differ: pos is (B, T).
    """
    return attending(q, k, v, pos[:1], cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_before_scaling(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is added before the scaling, so that it is divided by √D_k as well.

    Scale first, then add the bias.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, add="before")


@mistake("04.7", caught_by="test_one_new_token_by_hand")
def bias_forgotten(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is not added.

    `functional.scaled_dot_product_attention(..., bias=bias[None])`, or scores + bias.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, add="never")


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_subtracted(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is subtracted.

    It is added: ALiBi's numbers are negative already.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, add="less")


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_multiplied(q, k, v, pos, cached_k, cached_v, real, bias):
    """the scores are multiplied by the bias.

    It is added.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, add="times")


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_after_the_softmax(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is added to the weights, after the softmax.

    It belongs to the scores: rows of weights must sum to 1.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, add="last")


@mistake("04.7", caught_by="test_cache_and_bias")
def looking_ahead(q, k, v, pos, cached_k, cached_v, real, bias):
    """new tokens look ahead at later new tokens.

    Mask(causal=True): new token i sees columns up to S + i.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, causal="")


@mistake("04.7", caught_by="test_cache_and_bias")
def causal_at_the_top_left(q, k, v, pos, cached_k, cached_v, real, bias):
    """the causal mask is aligned at the top left, as if the new tokens were the first columns.

    They are the last T of the S + T columns: tril(S), or Mask(causal=True).
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, causal="first")


@mistake("04.7", caught_by="test_padding_on_the_left")
def columns_compared_with_positions(q, k, v, pos, cached_k, cached_v, real, bias):
    """who is ahead is decided by comparing columns with positions.

    With padding on the left a sentence's positions are smaller than its columns: new token i
    stands in column S + i, and sees the columns up to there.
    """
    keys = torch.cat([cached_k, right_turn(k, pos)], 2)
    allowed = torch.arange(keys.shape[2]) <= pos[:, None, :, None]
    allowed = allowed & real[:, None, None]
    scores = right_turn(q, pos) @ keys.mT / math.sqrt(q.shape[-1]) + bias
    weights = functional.masked_softmax(scores, allowed.expand_as(scores))
    return weights @ torch.cat([cached_v, v], 2)


@mistake("04.7", caught_by="test_cache_and_bias")
def not_even_itself(q, k, v, pos, cached_k, cached_v, real, bias):
    """a new token does not see itself.

    Columns up to S + i are allowed, its own included.
    """
    T, S = q.shape[2], cached_k.shape[2]
    itself = torch.arange(S + T) == torch.arange(S, S + T)[:, None]
    q, k = right_turn(q, pos), right_turn(k, pos)
    allowed = torch.ones(T, S + T, dtype=torch.bool).tril(S) & ~itself & real[:, None, None, :]
    return functional.scaled_dot_product_attention(
        q,
        torch.cat([cached_k, k], 2),
        torch.cat([cached_v, v], 2),
        mask=Mask(allowed=allowed),
        bias=bias[None],
    )


@mistake("04.7", caught_by="test_padding_on_the_left")
def padding_ignored(q, k, v, pos, cached_k, cached_v, real, bias):
    """padding is attended to.

    Both rules must hold: Mask(causal=True, key_padding=real).
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, padding="")


@mistake("04.7", caught_by="test_padding_on_the_left")
def padding_inverted(q, k, v, pos, cached_k, cached_v, real, bias):
    """`real` is read the wrong way round: only padding is attended to.

    True means a word, which may be attended to; masked_fill wants the opposite, `~`.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, padding="inverted")


@mistake("04.7", caught_by="test_padding_on_the_left")
def padding_of_queries(q, k, v, pos, cached_k, cached_v, real, bias):
    """padding forbids rows of the scores, not columns.

    It is the *keys* that must not be heard: real[:, None, None, :].
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, padding="queries")


@mistake("04.7", caught_by="test_nothing_but_padding")
def nan_for_nothing(q, k, v, pos, cached_k, cached_v, real, bias):
    """forbidden scores become -∞, and a query with nothing to attend to becomes 0/0.

    It gets zeros: functional.masked_softmax knows such rows.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, padding="minus infinity")


@mistake("04.7", caught_by="test_in_two_steps")
def cache_behind(q, k, v, pos, cached_k, cached_v, real, bias):
    """the cache stands behind the new tokens.

    Columns are in the order of time, and bias and mask go by them: torch.cat([cached, new]).
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, order="new first")


@mistake("04.7", caught_by="test_one_new_token")
def cache_unused(q, k, v, pos, cached_k, cached_v, real, bias):
    """the cache is not used: new tokens see one another only.

    Join the cached keys and values with the new ones along the tokens.
    """
    S = cached_k.shape[2]
    return attending(
        q, k, v, pos, cached_k[:, :, :0], cached_v[:, :, :0], real[:, S:], bias[..., S:]
    )


@mistake("04.7", caught_by="test_cache_and_bias")
def scores_not_scaled(q, k, v, pos, cached_k, cached_v, real, bias):
    """the scores are not divided by √D_k.

    scale first, then the bias.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, scale=1.0)


@mistake("04.7", caught_by="test_cache_and_bias")
def scaled_by_the_width(q, k, v, pos, cached_k, cached_v, real, bias):
    """the scores are divided by D_k, not by its root.

    The spread of a dot product grows like √D_k.
    """
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, scale=1 / q.shape[-1])


@mistake("04.7", caught_by="test_cache_and_bias")
def pairs_of_halves_turned(q, k, v, pos, cached_k, cached_v, real, bias):
    """queries and keys are turned in pairs (i, i + D_k/2), not in pairs of neighbours.

    The cached keys were turned in pairs of neighbours: both must be turned alike.
    """
    q, k = pairs_of_halves(q, pos), pairs_of_halves(k, pos)
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, turn_q=False, turn_k=False)


@mistake("04.7", caught_by="test_gradients_flow_with_positions")
def keys_detached(q, k, v, pos, cached_k, cached_v, real, bias):
    """the new keys are cut off, so that no gradient reaches them.

    What goes into the cache for later may be detached; what is attended to now may not.
    """
    return attending(q, k.detach(), v, pos, cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_equal_sizes_attended")
def bias_of_sentences(q, k, v, pos, cached_k, cached_v, real, bias):
    """the first axis of the bias is taken for the sentences, not for the heads.

    bias is (H, T, S + T): bias[None] has the four axes, with 1 for the sentences.
    """
    heads = bias[:, None].expand(-1, q.shape[1], -1, -1)
    return attending(q, k, v, pos, cached_k, cached_v, real, heads)


@mistake("04.7", caught_by="test_empty_cache")
def empty_cache_refused(q, k, v, pos, cached_k, cached_v, real, bias):
    """with an empty cache everybody sees everybody.

    The rules are the same at the beginning of a text: nobody looks ahead.
    """
    causal = "last" if cached_k.shape[2] else ""
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, causal=causal)


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_of_three_axes(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is handed over with three axes, and the library wants four.

    bias[None] puts an axis of length 1 in front, for the sentences.
    """
    mask = Mask(causal=True, key_padding=real)
    q, k = right_turn(q, pos), right_turn(k, pos)
    keys, values = torch.cat([cached_k, k], 2), torch.cat([cached_v, v], 2)
    return functional.scaled_dot_product_attention(q, keys, values, mask=mask, bias=bias)


@mistake("04.7", caught_by="test_cache_and_bias")
def joined_along_the_heads(q, k, v, pos, cached_k, cached_v, real, bias):
    """cache and new tokens are joined along the heads, axis 1, not along the tokens.

    The tokens are axis 2: torch.cat([cached_k, k], dim=2), or dim=-2.
    """
    mask = Mask(causal=True, key_padding=real)
    q, k = right_turn(q, pos), right_turn(k, pos)
    keys, values = torch.cat([cached_k, k], 1), torch.cat([cached_v, v], 1)
    return functional.scaled_dot_product_attention(q, keys, values, mask=mask, bias=bias[None])


@mistake("04.7", caught_by="test_cache_and_bias")
def cache_counted_twice(q, k, v, pos, cached_k, cached_v, real, bias):
    """S is added to the positions, which count the cache already.

    Use pos as it is.
    """
    return attending(q, k, v, pos + cached_k.shape[2], cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_nothing_but_padding")
def an_average_for_nothing(q, k, v, pos, cached_k, cached_v, real, bias):
    """a query with nothing to attend to gets the average of what it may not see.

    It gets zeros: set forbidden weights to 0 after the softmax, or use functional.masked_softmax.
    """
    T, S = q.shape[2], cached_k.shape[2]
    keys = torch.cat([cached_k, right_turn(k, pos)], 2)
    allowed = torch.ones(T, S + T, dtype=torch.bool).tril(S) & real[:, None, None]
    scores = right_turn(q, pos) @ keys.mT / math.sqrt(q.shape[-1]) + bias
    return scores.masked_fill(~allowed, -1e9).softmax(-1) @ torch.cat([cached_v, v], 2)


@mistake("04.7", caught_by="test_padding_on_the_left")
def padding_in_the_cache_ignored(q, k, v, pos, cached_k, cached_v, real, bias):
    """padding in the cache is attended to, and only that among the new tokens is not.

    `real` has S + T columns, first those of the cache: all of them count.
    """
    S = cached_k.shape[2]
    real = torch.cat([torch.ones_like(real[:, :S]), real[:, S:]], dim=1)
    return attending(q, k, v, pos, cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_cache_and_bias")
def rotary_for_the_heads(q, k, v, pos, cached_k, cached_v, real, bias):
    """`Rotary` is made for the number of heads, H, not for their width.

    q is (B, H, T, D_k): the width is q.shape[-1].
    """
    q, k = Rotary(q.shape[1]).rotate(q, k, pos, pos)
    return attending(q, k, v, pos, cached_k, cached_v, real, bias, turn_q=False, turn_k=False)


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_of_the_new_only(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is added to the scores of the new keys only, not to those of the cached ones.

    It has S + T columns, one for each key: join the keys first, then add all of it.
    """
    S = cached_k.shape[2]
    bias = torch.cat([0 * bias[..., :S], bias[..., S:]], dim=-1)
    return attending(q, k, v, pos, cached_k, cached_v, real, bias)


@mistake("04.7", caught_by="test_cache_and_bias")
def bias_on_every_weight(q, k, v, pos, cached_k, cached_v, real, bias):
    """the bias is added to the weights, after the softmax, also where nothing may be seen.

    It belongs to the scores: scale, add the bias, mask, then the softmax.
    """
    weights = attending(q, k, v, pos, cached_k, cached_v, real, bias, add="never")
    return weights + bias @ torch.cat([cached_v, v], dim=2)


@mistake("04.7", caught_by="test_padding_on_the_left")
def bias_counted_from_the_first_word(q, k, v, pos, cached_k, cached_v, real, bias):
    """the keys that may be seen get the first columns of the bias, whatever columns are theirs.

    Whoever leaves padding out of the keys has to leave it out of the bias as well: bias[h, i, seen]
    with the list of columns, not bias[h, i, :len(seen)].
    """
    T, S = q.shape[2], cached_k.shape[2]
    seen = torch.ones(T, S + T, dtype=torch.bool).tril(S) & real[:, None, None, :]
    column = (seen.cumsum(-1) - 1).clamp(min=0).expand(-1, q.shape[1], -1, -1)
    moved = bias[None].expand(len(q), -1, -1, -1).gather(-1, column)
    return attending(q, k, v, pos, cached_k, cached_v, real, moved)


@mistake("04.7", caught_by="test_padding_on_the_left")
def padded_queries_get_zeros(q, k, v, pos, cached_k, cached_v, real, bias):
    """queries that are padding themselves get zeros, though they may attend to words.

    `real` forbids keys, not queries. Zeros are for a query with nothing to attend to; what a
    padded one gets nobody reads, and nobody needs to clear.
    """
    output = attending(q, k, v, pos, cached_k, cached_v, real, bias)
    return output * real[:, None, cached_k.shape[2] :, None]


# ---------------------------------------------------------------------------------------------
# 04.8


def shaw(
    q, k, v, table, *,
    sign=1, shift=True, scaled=True, last=True, clip=True, causal=False, m=None, by="q",
):  # fmt: skip
    """The right answer with one step exchanged, or with bugs that are left."""
    T_q, T_k = q.shape[2], k.shape[2]
    m = len(table) // 2 if m is None else m
    i = torch.arange(T_q)[:, None] + (T_k - T_q if last else 0)
    rows = sign * (torch.arange(T_k) - i)
    rows = rows.clamp(-m, m) if clip else rows
    rows = rows + m if shift else rows
    if by == "q":
        relative = torch.einsum("bhid,ijd->bhij", q, table[rows])
    else:
        relative = torch.einsum("bhjd,ijd->bhij", k, table[rows])
    root = math.sqrt(q.shape[-1])
    scores = (q @ k.mT + relative) / root if scaled else q @ k.mT / root + relative
    if causal:
        scores = scores.masked_fill(torch.arange(T_k) > i, -math.inf)
    return scores.softmax(dim=-1) @ v


@mistake("04.8", caught_by="test_three_keys_by_hand")
def as_it_was(q, k, v, table):
    """all four bugs are still there.

    Mend them one at a time: positions of the queries, sign of the distance, shift by m, scale of
    both terms.
    """
    return shaw(q, k, v, table, sign=-1, shift=False, scaled=False, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def sign_left(q, k, v, table):
    """the distance is still query minus key position; the other three are mended.

    Key minus query: a key that came before has a negative distance and a row below m.
    """
    return shaw(q, k, v, table, sign=-1)


@mistake("04.8", caught_by="test_square_shaw")
def shift_left(q, k, v, table):
    """m is still not added to the row numbers; the other three are mended.

    table[-1] is the last row. Distance -m must be row 0: add m after clipping.
    """
    return shaw(q, k, v, table, shift=False)


@mistake("04.8", caught_by="test_square_shaw")
def scale_left(q, k, v, table):
    """the term with the distance is still not divided by √D_k; the other three are mended.

    Both terms are products with the query: add first, then divide the sum.
    """
    return shaw(q, k, v, table, scaled=False)


@mistake("04.8", caught_by="test_cached_shaw")
def alignment_left(q, k, v, table):
    """the queries are still counted from position 0; the other three are mended.

    They are the last T_q of the T_k positions: begin at T_k - T_q.
    """
    return shaw(q, k, v, table, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def sign_and_shift_left(q, k, v, table):
    """two bugs are left: the distance is query minus key position, and m is not added.

    clip(key - query, -m, m) + m.
    """
    return shaw(q, k, v, table, sign=-1, shift=False)


@mistake("04.8", caught_by="test_square_shaw")
def sign_and_scale_left(q, k, v, table):
    """two bugs are left: the distance is query minus key position, and its term is not scaled.

    clip(key - query, -m, m) + m, and (q·k + q·a) / √D_k.
    """
    return shaw(q, k, v, table, sign=-1, scaled=False)


@mistake("04.8", caught_by="test_square_shaw")
def sign_and_alignment_left(q, k, v, table):
    """two bugs are left: the distance is query minus key position, and queries count from 0.

    clip(key - query, -m, m) + m, with queries from T_k - T_q on.
    """
    return shaw(q, k, v, table, sign=-1, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def shift_and_scale_left(q, k, v, table):
    """two bugs are left: m is not added to the row numbers, and the term is not scaled.

    clip(key - query, -m, m) + m, and (q·k + q·a) / √D_k.
    """
    return shaw(q, k, v, table, shift=False, scaled=False)


@mistake("04.8", caught_by="test_square_shaw")
def shift_and_alignment_left(q, k, v, table):
    """two bugs are left: m is not added to the row numbers, and queries count from 0.

    clip(key - query, -m, m) + m, with queries from T_k - T_q on.
    """
    return shaw(q, k, v, table, shift=False, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def scale_and_alignment_left(q, k, v, table):
    """two bugs are left: the term with the distance is not scaled, and queries count from 0.

    (q·k + q·a) / √D_k, with queries from T_k - T_q on.
    """
    return shaw(q, k, v, table, scaled=False, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def three_left_sign_mended(q, k, v, table):
    """the sign of the distance is mended and the other three bugs are left.

    Missing are: queries from T_k - T_q on, + m after clipping, and √D_k under both terms.
    """
    return shaw(q, k, v, table, shift=False, scaled=False, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def three_left_shift_mended(q, k, v, table):
    """m is added and the other three bugs are left.

    Missing are: queries from T_k - T_q on, key minus query, and √D_k under both terms.
    """
    return shaw(q, k, v, table, sign=-1, scaled=False, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def three_left_scale_mended(q, k, v, table):
    """the scale is mended and the other three bugs are left.

    Missing are: queries from T_k - T_q on, key minus query, and + m after clipping.
    """
    return shaw(q, k, v, table, sign=-1, shift=False, last=False)


@mistake("04.8", caught_by="test_square_shaw")
def three_left_alignment_mended(q, k, v, table):
    """the alignment is mended and the other three bugs are left.

    Missing are: key minus query, + m after clipping, and √D_k under both terms.
    """
    return shaw(q, k, v, table, sign=-1, shift=False, scaled=False)


@mistake("04.8", caught_by="test_clipped_shaw")
def clip_lost(q, k, v, table):
    """the distances are no longer clipped, so that far ones ask for rows that do not exist.

    Keep the clamp: clip first, then add m.
    """
    return shaw(q, k, v, table, clip=False)


@mistake("04.8", caught_by="test_square_shaw")
def keys_compared_with_distances(q, k, v, table):
    """the vectors of the distances are multiplied with the keys, not with the queries.

    The query asks for content and for distance: q·k + q·a.
    """
    return shaw(q, k, v, table, by="k")


@mistake("04.8", caught_by="test_square_shaw")
def distances_forgotten(q, k, v, table):
    """the distances have no effect: plain attention.

    The second term, q·a, belongs into the scores.
    """
    return F.scaled_dot_product_attention(q, k, v)


@mistake("04.8", caught_by="test_square_shaw")
def scaled_twice(q, k, v, table):
    """the term with the distance is divided by √D_k twice.

    Once is enough: divide the sum.
    """
    root = math.sqrt(q.shape[-1])
    return shaw(q, k, v, table / root)


@mistake("04.8", caught_by="test_square_shaw")
def nothing_scaled(q, k, v, table):
    """neither term is divided by √D_k.

    Divide the sum of both by it.
    """
    return shaw(q * math.sqrt(q.shape[-1]), k, v, table)


@mistake("04.8", caught_by="test_square_shaw")
def one_distance_less(q, k, v, table):
    """m is one too small, so that the outermost vectors are not used.

    A table of 2m + 1 rows has m = rows // 2: 5 rows are the distances -2 to 2.
    """
    m = max(len(table) // 2 - 1, 0)
    return shaw(q, k, v, table[: 2 * m + 1], m=m)


@mistake("04.8", caught_by="test_square_shaw")
def causal_as_well(q, k, v, table):
    """keys ahead are left out.

    There is no mask in this exercise: distances ahead have vectors of their own.
    """
    return shaw(q, k, v, table, causal=True)


@mistake("04.8", caught_by="test_one_row")
def at_least_one_distance(q, k, v, table):
    """m is taken to be at least 1, so that a table of one row is too short.

    One row is m = 0: all distances share it. `len(table) // 2` needs no case of its own.
    """
    return shaw(q, k, v, table, m=max(len(table) // 2, 1))


@mistake("04.8", caught_by="test_equal_sizes_shaw")
def tables_of_scores_turned(q, k, v, table):
    """the table of the second term is transposed where it fits.

    Row i belongs to query i: einsum("bhid,ijd->bhij").
    """
    if q.shape[2] != k.shape[2] or q.shape[2] != q.shape[3]:
        return shaw(q, k, v, table)
    return shaw(q, k, v, table, sign=-1)


@mistake("04.8", caught_by="test_large_shaw")
def plain_exponentials_of_shaw(q, k, v, table):
    """the softmax is made of plain exponentials, which overflow for large scores.

    Use torch's softmax, which subtracts the largest score of each row first.
    """
    one = torch.eye(k.shape[2], dtype=v.dtype).expand(*v.shape[:2], -1, -1)
    rows = torch.arange(k.shape[2]) - torch.arange(k.shape[2])[-q.shape[2] :, None]
    m = len(table) // 2
    relative = torch.einsum("bhid,ijd->bhij", q, table[rows.clamp(-m, m) + m])
    exponentials = ((q @ k.mT + relative) / math.sqrt(q.shape[-1])).exp()
    return exponentials / exponentials.sum(-1, keepdim=True) @ one @ v


@mistake("04.8", caught_by="test_gradients_flow_to_the_table")
def table_cut_off(q, k, v, table):
    """the table is cut off, so that it cannot learn.

    Index the table itself: no tolist(), no detach(), no torch.tensor(...).
    """
    return shaw(q, k, v, table.detach())


@mistake("04.8", caught_by="test_square_shaw")
def row_numbers_without_sign(q, k, v, table):
    """the sign of the clipped distance is dropped in place of adding m.

    Back and ahead then share their rows. Distance -m is row 0, distance 0 is row m: add m.
    """
    m, T_k = len(table) // 2, k.shape[2]
    i = torch.arange(T_k - q.shape[2], T_k)[:, None]
    rows = (torch.arange(T_k) - i).clamp(-m, m).abs()
    return with_rows(q, k, v, table, rows)


@mistake("04.8", caught_by="test_square_shaw")
def clipped_to_the_table(q, k, v, table):
    """distances are clipped to 0 and 2m without being shifted by m first.

    All keys behind then have row 0. Clip to ±m and add m.
    """
    m, T_k = len(table) // 2, k.shape[2]
    i = torch.arange(T_k - q.shape[2], T_k)[:, None]
    return with_rows(q, k, v, table, (torch.arange(T_k) - i).clamp(0, 2 * m))


def with_rows(q, k, v, table, rows):
    relative = torch.einsum("bhid,ijd->bhij", q, table[rows])
    return ((q @ k.mT + relative) / math.sqrt(q.shape[-1])).softmax(-1) @ v


@mistake("04.8", caught_by="test_clipped_shaw")
def as_many_as_rows(q, k, v, table):
    """m is taken to be the number of rows, so that rows are asked for that do not exist.

    A table of 2m + 1 rows has m = rows // 2.
    """
    return shaw(q, k, v, table, m=len(table))


@mistake("04.8", caught_by="test_equal_sizes_shaw")
def distances_in_the_values_too(q, k, v, table):
    """the vectors of the distances are added to the values as well.

    The paper has such a term, with a table of its own; here the values stay as they are.
    """
    if v.shape[-1] != table.shape[-1]:
        return shaw(q, k, v, table)
    one = torch.eye(k.shape[2], dtype=v.dtype).expand(*v.shape[:2], -1, -1)
    weights = shaw(q, k, one, table)
    m, T_k = len(table) // 2, k.shape[2]
    rows = (torch.arange(T_k) - torch.arange(T_k)[-q.shape[2] :, None]).clamp(-m, m) + m
    return weights @ v + torch.einsum("bhij,ijd->bhid", weights, table[rows])


@mistake("04.8", caught_by="test_square_shaw")
def distances_of_the_first_head(q, k, v, table):
    """all heads and sentences get the distance term of the first.

    gather reads only as many heads as its index has, and broadcasting hides it: expand the row
    numbers to (B, H, T_q, T_k) first.
    """
    relative = torch.einsum("id,ijd->ij", q[0, 0], table[rows_of(q, k, table)])
    return ((q @ k.mT + relative) / math.sqrt(q.shape[-1])).softmax(-1) @ v


@mistake("04.8", caught_by="test_square_shaw")
def distances_of_other_queries(q, k, v, table):
    """entry (i, j) takes query j's product with the vector of the distance from i to j.

    Where a list of queries and a table of row numbers pick together, the list is taken for a row:
    make it a column, torch.arange(T_q)[:, None].
    """
    rows = rows_of(q, k, table)
    relative = (q @ table.mT)[:, :, torch.arange(q.shape[2]), rows]
    return ((q @ k.mT + relative) / math.sqrt(q.shape[-1])).softmax(-1) @ v


@mistake("04.8", caught_by="test_three_keys_by_hand")
def a_softmax_for_each_term(q, k, v, table):
    """content and distance have a softmax each, and their weights are added.

    Rows of weights then sum to 2. Add the two scores first; then one softmax.
    """
    root, relative = math.sqrt(q.shape[-1]), table[rows_of(q, k, table)]
    place = (torch.einsum("bhid,ijd->bhij", q, relative) / root).softmax(-1)
    return ((q @ k.mT / root).softmax(-1) + place) @ v


def rows_of(q, k, table):
    """The right row numbers."""
    m, T_k = len(table) // 2, k.shape[2]
    return (torch.arange(T_k) - torch.arange(T_k - q.shape[2], T_k)[:, None]).clamp(-m, m) + m


@mistake("04.8", caught_by="test_clipped_shaw")
def half_the_rows_rounded_up(q, k, v, table):
    """m is one too large, half of the rows rounded up: rows are shifted, and the last is missing.

    A table of 2m + 1 rows has m = rows // 2: 5 rows are the distances -2 to 2.
    """
    return shaw(q, k, v, table, m=(len(table) + 1) // 2)
