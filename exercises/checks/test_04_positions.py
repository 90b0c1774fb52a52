"""Checks of the exercises of chapter 4.

Oracles are Python's own `math`, one number at a time, and the laws of turns. Positions have gaps
and do not begin at 0, sizes differ from each other, and where a mistake shows only when two sizes
are equal, a check of its own makes them equal.
"""

import math

import numpy as np
import torch

from minitx.grading import Tolerance, exercise, expect, expect_close, expect_equal, expect_raises
from minitx.tensor_checks import expect_gradients, normal, require_dtype, require_life

PAGE = "book/04_positions.md"
BY_HAND = Tolerance(rtol=1e-4, atol=1e-6, because="a few small numbers in float32")
NEAR = Tolerance(rtol=0.0, atol=1e-4, because="float32 angles below 1000 keep four places")
FAR = Tolerance(
    rtol=0.0, atol=1e-6, because="a sine of a float64 angle, rounded to float32, keeps six places"
)
SLOPES = Tolerance(rtol=1e-5, atol=0.0, because="float32 keeps 7 digits")
TURNED = Tolerance(rtol=1e-5, atol=1e-5, because="a few products of numbers near 1 in float32")
OUTPUTS = Tolerance(
    rtol=1e-5, atol=1e-5, because="float64, with room for sines that were rounded to float32"
)
GRADIENT = Tolerance(
    rtol=1e-4, atol=1e-4, because="gradients up to 10 in size, sines perhaps in float32"
)
KEPT = {
    torch.float16: Tolerance(rtol=1e-2, atol=1e-2, because="sums of terms with 11 bits each"),
    torch.bfloat16: Tolerance(rtol=5e-2, atol=5e-2, because="sums of terms with 8 bits each"),
    torch.float32: Tolerance(rtol=1e-5, atol=1e-5, because="sums of float32 numbers"),
}


def scattered(rng, *shape, below=400):
    """Positions in no order, with gaps."""
    return torch.from_numpy(rng.integers(1, below, size=shape))


def angle(p, i, width, base):
    """The angle of pair i at position p, in Python's float64."""
    return p / base ** (2 * i / width)


# ---------------------------------------------------------------------------------------------
# 04.1

sinusoidal_table = exercise(
    "04.1",
    function="sinusoidal_table",
    title="The table of sines and cosines",
    page=f"{PAGE}#clock-hands",
    returns="tensor",
    closed=(
        "minitx.positions.Sinusoidal.table",
        "minitx.positions.Sinusoidal.embed",
        "minitx.positions.Sinusoidal._embed",
        "minitx.positions.sinusoidal.angles",
        "minitx.positions.Rotary.rotate",
    ),
    hints=(
        "Two steps: a table of angles, one for every position and every pair; then two columns of "
        "the result for each column of it.",
        "Read how a clock hand's angle becomes its sine and cosine, and which pair has which "
        "frequency. 2i runs over 0, 2, 4, …: that is `torch.arange(0, d_model, 2)` already.",
        "`angles = positions[:, None] * base ** (-two_i / d_model)` with two_i in float64; then "
        "`torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).float()`.",
    ),
)


def table_loops(positions, width, base=10_000.0):
    rows = [
        [
            value
            for i in range(width // 2)
            for value in (math.sin(angle(p, i, width, base)), math.cos(angle(p, i, width, base)))
        ]
        for p in positions.tolist()
    ]
    return torch.tensor(rows)


@sinusoidal_table.check(
    points=1,
    title="the worked example: positions 0 and 1, four columns",
    hint="Sine and cosine of 1, then sine and cosine of 0.01.",
)
def test_two_positions_by_hand(sub, rng):
    want = [[0.0, 1.0, 0.0, 1.0], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    got = sub.sinusoidal_table(torch.tensor([0, 1]), 4)
    expect_close(got, torch.tensor(want), BY_HAND, what="the table")


@sinusoidal_table.check(
    points=1,
    title="one row per position, d_model columns",
    hint="Half as many angles as columns: each angle gives a sine and a cosine.",
)
def test_shape_of_the_table(sub, rng):
    for T, width in ((3, 8), (1, 6), (7, 2)):
        got = require_life(sub.sinusoidal_table(scattered(rng, T), width), "the table")
        expect(
            tuple(got.shape) == (T, width),
            f"{T} positions and d_model = {width} make a table of shape {(T, width)}; yours has "
            f"shape {tuple(got.shape)}.",
        )


@sinusoidal_table.check(
    points=3,
    title="every column has its frequency",
    hint="Compare the last pair: at width 64 its frequency is 10000^(-62/64).",
)
def test_every_column(sub, rng):
    for T, width in ((6, 64), (5, 10), (4, 128), (3, 4)):
        positions = scattered(rng, T)
        got = sub.sinusoidal_table(positions, width)
        what = f"the table of width {width}"
        expect_close(got, table_loops(positions, width), NEAR, what=what)


@sinusoidal_table.check(
    points=1,
    title="positions are used as they are given",
    hint="They need not begin at 0 nor follow one another, and the row of a position is the same "
    "whatever other positions are asked for.",
)
def test_positions_as_given(sub, rng):
    positions = torch.tensor([7, 3, 3, 0, 40])
    got = sub.sinusoidal_table(positions, 12)
    expect_close(got, table_loops(positions, 12), NEAR, what="the table of five positions")
    alone = sub.sinusoidal_table(torch.tensor([40]), 12)
    want = table_loops(torch.tensor([40]), 12)
    expect_close(alone, want, NEAR, what="the table of position 40 alone")


@sinusoidal_table.check(
    points=1,
    title="another base",
    hint="10,000 is only what is used unless a base is given.",
)
def test_base_of_the_table(sub, rng):
    for base in (100.0, 500_000.0, 10.0):
        positions = scattered(rng, 5)
        got = sub.sinusoidal_table(positions, 10, base)
        want = table_loops(positions, 10, base)
        expect_close(got, want, NEAR, what=f"the table with base {base:,.0f}")


@sinusoidal_table.check(
    points=2,
    title="far positions are exact",
    hint="Angles of 100,000 radians need float64: dtype=torch.float64 for the frequencies.",
)
def test_far_positions(sub, rng):
    for start in (100_000, 900_000):
        positions = start + scattered(rng, 5)
        got = sub.sinusoidal_table(positions, 16)
        want = table_loops(positions, 16)
        expect_close(got, want, FAR, what=f"the table of positions beyond {start:,}")


@sinusoidal_table.check(
    points=1,
    title="the table is float32",
    hint="Angles in float64, the finished table in float32: .float() at the end.",
)
def test_table_is_float32(sub, rng):
    for T, width in ((5, 8), (2, 6)):
        got = sub.sinusoidal_table(scattered(rng, T), width)
        require_dtype(require_life(got, "the table"), torch.float32, "the table")


@sinusoidal_table.check(
    points=1,
    title="an odd width is refused",
    hint="`if d_model % 2: raise ValueError(...)` before anything else.",
)
def test_odd_width(sub, rng):
    for width in (7, 3, 1):
        expect_raises(
            ValueError,
            lambda width=width: sub.sinusoidal_table(torch.arange(4), width),
            what=f"d_model = {width}",
        )


sinusoidal_table.waive(
    "sinusoidal_table:L1:2->-2",
    reason="the remainder by -2 is 0 for even numbers, and not for odd ones, as by 2",
)

# ---------------------------------------------------------------------------------------------
# 04.2

offset_rotation = exercise(
    "04.2",
    function="offset_rotation",
    legal=lambda sizes: sizes.get("d_model", 0) % 2 == 0,
    title="Moving on by k is a turn",
    page=f"{PAGE}#turn",
    uses=("04.1",),
    returns="tensor",
    hints=(
        "Each pair is turned by itself: the matrix is zero outside 2 × 2 blocks on the diagonal.",
        "Read the addition rules for sin(p + k) and cos(p + k) as the two rows of a block: which "
        "factor stands before sin p, which before cos p?",
        "The block of pair i is [[cos a, sin a], [-sin a, cos a]] with a = k·base^(-2i/C); "
        "`torch.block_diag` puts blocks on the diagonal.",
    ),
)


def rotation_loops(k, width, base=10_000.0):
    M = torch.zeros(width, width, dtype=torch.float64)
    for i in range(width // 2):
        a = angle(k, i, width, base)
        M[2 * i, 2 * i], M[2 * i, 2 * i + 1] = math.cos(a), math.sin(a)
        M[2 * i + 1, 2 * i], M[2 * i + 1, 2 * i + 1] = -math.sin(a), math.cos(a)
    return M.float()


@offset_rotation.check(
    points=1,
    title="the worked example: one pair, one position further",
    hint="The first row makes the new sine: cos 1 times the old sine and sin 1 times the cosine.",
)
def test_one_pair_by_hand(sub, rng):
    c, s = math.cos(1), math.sin(1)
    want = torch.tensor([[c, s], [-s, c]])
    expect_close(sub.offset_rotation(1, 2), want, BY_HAND, what="the matrix")


@offset_rotation.check(
    points=3,
    title="it takes PE[p] to PE[p + k], whatever p is",
    hint="Multiply your matrix with one row of the table, written as a column, and compare.",
)
def test_takes_p_to_p_plus_k(sub, rng):
    for k, width in ((3, 8), (11, 6), (200, 16)):
        positions = scattered(rng, 5)
        M = sub.offset_rotation(k, width)
        expect(
            tuple(M.shape) == (width, width),
            f"the matrix must have shape {(width, width)}, but has {tuple(M.shape)}.",
        )
        moved = table_loops(positions, width).double() @ M.double().T
        want = table_loops(positions + k, width).double()
        expect_close(moved, want, NEAR, what=f"M PE[p] for k = {k}, which should be PE[p + k]")


@offset_rotation.check(
    points=2,
    title="every block has its own angle",
    hint="Pair i turns by k·base^(-2i/C); outside the blocks there are zeros.",
)
def test_every_block(sub, rng):
    for k, width in ((5, 64), (1, 10), (37, 4), (2, 128)):
        got = sub.offset_rotation(k, width)
        want = rotation_loops(k, width)
        expect_close(got, want, NEAR, what=f"the matrix for k = {k} at width {width}")


@offset_rotation.check(
    points=1,
    title="k = 0 changes nothing, and -k turns back",
    hint="A negative k is an angle like any other: use it with its sign.",
)
def test_backwards(sub, rng):
    for k in (0, -1, -6):
        got = sub.offset_rotation(k, 8)
        expect_close(got, rotation_loops(k, 8), NEAR, what=f"the matrix for k = {k}")


@offset_rotation.check(
    points=1,
    title="another base",
    hint="10,000 is only what is used unless a base is given.",
)
def test_base_of_the_rotation(sub, rng):
    for base in (100.0, 500_000.0, 10.0):
        got, want = sub.offset_rotation(7, 10, base), rotation_loops(7, 10, base)
        expect_close(got, want, NEAR, what=f"the matrix with base {base:,.0f}")


@offset_rotation.check(
    points=1,
    title="far offsets are exact",
    hint="Angles of 100,000 radians need float64.",
)
def test_far_offsets(sub, rng):
    for start in (100_000, 900_000):
        k = start + int(rng.integers(1000))
        got, want = sub.offset_rotation(k, 16), rotation_loops(k, 16)
        expect_close(got, want, FAR, what=f"the matrix for k = {k:,}")


@offset_rotation.check(
    points=1,
    title="the matrix is float32",
    hint="Angles in float64, the finished matrix in float32: .float() at the end.",
)
def test_matrix_is_float32(sub, rng):
    for k, width in ((5, 8), (2, 6)):
        got = sub.offset_rotation(k, width)
        require_dtype(require_life(got, "the matrix"), torch.float32, "the matrix")


# ---------------------------------------------------------------------------------------------
# 04.3

relative_positions = exercise(
    "04.3",
    function="relative_positions",
    title="How far apart? A table of relative positions",
    page=f"{PAGE}#by-distance",
    returns="tensor",
    closed=("minitx.positions.distances",),
    legal=lambda sizes: sizes.get("T_q", 0) <= sizes.get("T_k", 0),
    hints=(
        "Where does query i stand, and where key j? The distance is the second less the first.",
        "Draw the table for 2 queries and 4 keys: distances first, then clipped, then shifted. "
        "The queries stand at 2 and 3.",
        "`(torch.arange(T_k) - torch.arange(T_k - T_q, T_k)[:, None]).clamp(-m, m) + m`.",
    ),
)


def index_loops(T_q, T_k, m):
    return torch.tensor(
        [[max(-m, min(m, j - (i + T_k - T_q))) + m for j in range(T_k)] for i in range(T_q)]
    )


@relative_positions.check(
    points=1,
    title="the worked example: two queries, four keys, m = 2",
    hint="Distances -2, -1, 0, 1 and -3, -2, -1, 0; clip to ±2; add 2.",
)
def test_two_queries_by_hand(sub, rng):
    want = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 2]])
    expect_equal(sub.relative_positions(2, 4, 2), want, what="the table")


@relative_positions.check(
    points=2,
    title="as many queries as keys",
    hint="m on the diagonal, smaller numbers to the left of it: those keys came before.",
)
def test_square_table(sub, rng):
    for T, m in ((5, 2), (7, 3), (4, 1)):
        got = sub.relative_positions(T, T, m)
        what = f"the table of {T} queries, {T} keys and m = {m}"
        expect_equal(got, index_loops(T, T, m), what=what)


@relative_positions.check(
    points=2,
    title="fewer queries than keys: the queries are the last positions",
    hint="Query i stands at position i + T_k - T_q.",
)
def test_last_positions(sub, rng):
    for T_q, T_k, m in ((3, 7, 2), (2, 5, 4), (5, 11, 3)):
        got = sub.relative_positions(T_q, T_k, m)
        what = f"the table of {T_q} queries, {T_k} keys and m = {m}"
        expect_equal(got, index_loops(T_q, T_k, m), what=what)


@relative_positions.check(
    points=1,
    title="one new query and a cache of keys",
    hint="The last entry of the row is m, the distance 0, and all others are below it.",
)
def test_one_new_query(sub, rng):
    for T_k, m in ((9, 3), (4, 6)):
        got, want = sub.relative_positions(1, T_k, m), index_loops(1, T_k, m)
        expect_equal(got, want, what=f"the table of 1 query, {T_k} keys and m = {m}")


@relative_positions.check(
    points=1,
    title="distances beyond m count as m, on both sides",
    hint="clamp(-m, m) before m is added: the numbers run from 0 to 2m.",
)
def test_clipped(sub, rng):
    for T_q, T_k, m in ((40, 40, 3), (30, 50, 1), (25, 31, 16)):
        got = sub.relative_positions(T_q, T_k, m)
        what = f"the table of {T_q} queries, {T_k} keys and m = {m}"
        expect_equal(got, index_loops(T_q, T_k, m), what=what)


@relative_positions.check(
    points=1,
    title="nothing is cut where m is larger than every distance",
    hint="The shift is m itself, not the largest distance that turns up.",
)
def test_wide_enough(sub, rng):
    for T_q, T_k, m in ((4, 4, 16), (2, 6, 9), (3, 3, 2)):
        got = sub.relative_positions(T_q, T_k, m)
        what = f"the table of {T_q} queries, {T_k} keys and m = {m}"
        expect_equal(got, index_loops(T_q, T_k, m), what=what)


@relative_positions.check(
    points=1,
    title="whole numbers that can pick rows",
    hint="torch.arange makes int64; an index must not be a float.",
)
def test_index_is_int64(sub, rng):
    for T_q, T_k, m in ((3, 5, 2), (4, 4, 3)):
        got = sub.relative_positions(T_q, T_k, m)
        require_dtype(require_life(got, "the table"), torch.int64, "the table")


# ---------------------------------------------------------------------------------------------
# 04.4

alibi_bias = exercise(
    "04.4",
    function="alibi_bias",
    title="ALiBi: the farther, the quieter",
    page=f"{PAGE}#by-distance",
    returns="tensor",
    closed=(
        "minitx.positions.ALiBi.slopes",
        "minitx.positions.ALiBi.bias",
        "minitx.positions.ALiBi._bias",
        "minitx.positions.alibi._geometric",
    ),
    hints=(
        "Two parts: a list of H slopes, which knows nothing of positions, and a table of "
        "distances, which knows nothing of heads.",
        "Write the slopes for 2, 4 and 3 heads down first. For 3 the third is the first of 4 "
        "heads. Then: which sign must a fine have?",
        "`slopes = 2.0 ** (-8 * parts)` with parts h/P for h = 1 … P and then 1/(2P), 3/(2P), …; "
        "`-slopes[:, None, None] * (k_pos - q_pos[:, None]).abs()`.",
    ),
)


def slopes_loops(H):
    P = 1
    while 2 * P <= H:
        P *= 2
    slopes = [2 ** (-8 * h / P) for h in range(1, P + 1)]
    return slopes + [2 ** (-8 * h / (2 * P)) for h in range(1, 2 * (H - P), 2)]


def bias_loops(H, q_pos, k_pos):
    return torch.tensor(
        [
            [[-slope * abs(j - i) for j in k_pos.tolist()] for i in q_pos.tolist()]
            for slope in slopes_loops(H)
        ]
    )


@alibi_bias.check(
    points=1,
    title="the worked example: three heads, a query at 5, keys at 3, 5 and 6",
    hint="The slopes are 1/16, 1/256 and 1/4, the distances 2, 0 and 1.",
)
def test_three_heads_by_hand(sub, rng):
    far = [2.0, 0.0, 1.0]
    want = torch.tensor([[[-slope * d for d in far]] for slope in (1 / 16, 1 / 256, 1 / 4)])
    got = sub.alibi_bias(3, torch.tensor([5]), torch.tensor([3, 5, 6]))
    expect_close(got, want, BY_HAND, what="the bias")


@alibi_bias.check(
    points=1,
    title="heads, then queries, then keys",
    hint="slopes[:, None, None] times a table (T_q, T_k) is (H, T_q, T_k).",
)
def test_shape_of_the_bias(sub, rng):
    for H, T_q, T_k in ((2, 3, 7), (5, 4, 6), (1, 2, 3)):
        got = sub.alibi_bias(H, torch.arange(T_q), torch.arange(T_k))
        require_life(got, "the bias")
        expect(
            tuple(got.shape) == (H, T_q, T_k),
            f"{H} heads, {T_q} queries and {T_k} keys make a bias of shape {(H, T_q, T_k)}; yours "
            f"has {tuple(got.shape)}.",
        )


@alibi_bias.check(
    points=2,
    title="a power of two: one geometric series",
    hint="With 8 heads the slopes are 1/2, 1/4, …, 1/256; with 16 they begin at 1/√2.",
)
def test_powers_of_two(sub, rng):
    q_pos, k_pos = torch.tensor([1]), torch.tensor([0, 1])
    for H in (8, 4, 16, 2, 1):
        got, want = sub.alibi_bias(H, q_pos, k_pos), bias_loops(H, q_pos, k_pos)
        expect_close(got, want, SLOPES, what=f"the bias of {H} head{'s' * (H > 1)}")


@alibi_bias.check(
    points=3,
    title="any number of heads",
    hint="The series of the power of two below first, then every other slope of its double.",
)
def test_other_numbers_of_heads(sub, rng):
    q_pos, k_pos = torch.tensor([1]), torch.tensor([0, 1])
    for H in (12, 3, 7, 5, 6, 13):
        got, want = sub.alibi_bias(H, q_pos, k_pos), bias_loops(H, q_pos, k_pos)
        expect_close(got, want, SLOPES, what=f"the bias of {H} heads")


@alibi_bias.check(
    points=2,
    title="the fine grows with the distance, back and ahead",
    hint="abs of key position minus query position, with a minus sign in front of the slope.",
)
def test_both_sides(sub, rng):
    for H, T_q, T_k in ((4, 5, 5), (2, 3, 8), (8, 6, 4)):
        q_pos, k_pos = torch.arange(T_q), torch.arange(T_k)
        got, want = sub.alibi_bias(H, q_pos, k_pos), bias_loops(H, q_pos, k_pos)
        expect_close(got, want, SLOPES, what=f"the bias of {T_q} queries and {T_k} keys")


@alibi_bias.check(
    points=1,
    title="positions are used as they are given",
    hint="Use the numbers in q_pos and k_pos, not their places in the tensors.",
)
def test_given_positions(sub, rng):
    for T_q, T_k in ((2, 9), (4, 5), (1, 6)):
        q_pos, k_pos = scattered(rng, T_q), scattered(rng, T_k)
        got, want = sub.alibi_bias(4, q_pos, k_pos), bias_loops(4, q_pos, k_pos)
        expect_close(got, want, SLOPES, what="the bias of positions with gaps")


@alibi_bias.check(
    points=1,
    title="the bias is float32",
    hint="A whole number times a float32 slope is float32.",
)
def test_bias_is_float32(sub, rng):
    for H in (4, 3):
        got = sub.alibi_bias(H, torch.arange(3), torch.arange(5))
        require_dtype(require_life(got, "the bias"), torch.float32, "the bias")


alibi_bias.waive(
    "alibi_bias:L3:2->3", reason="what is made beyond the H - P slopes that are wanted is cut off"
)
alibi_bias.waive(
    "alibi_bias:L6:k_pos - q_pos[:, None]->q_pos[:, None] - k_pos",
    reason="the absolute value of a difference is that of its opposite",
)

# ---------------------------------------------------------------------------------------------
# 04.5

t5_bucket = exercise(
    "04.5",
    function="t5_bucket",
    title="T5's buckets",
    page=f"{PAGE}#by-distance",
    returns="tensor",
    closed=("minitx.positions.t5_bias.bucket", "minitx.positions.T5Bias.bucket"),
    legal=lambda sizes: sizes.get("max_distance", 128) > sizes.get("num_buckets", 32) >= 4,
    hints=(
        "Three questions to each distance: which side is it on, is it exact, and if not, which "
        "logarithmic bucket?",
        "Follow -10 through the worked example in both directions. Mind what n and e are: in two "
        "directions both are computed from half of the buckets.",
        "`far = e + (torch.log(d.clamp(min=1) / e) / math.log(max_distance / e) * (n - e)).long()`,"
        " cut at n - 1; `torch.where(d < e, d, far)`; plus n where the key is ahead.",
    ),
)


def buckets_loops(distance, num_buckets, max_distance, bidirectional):
    result = []
    for d in distance.reshape(-1).tolist():
        n, first = num_buckets, 0
        if bidirectional:
            n //= 2
            first, d = (n if d > 0 else 0), abs(d)
        else:
            d = max(-d, 0)
        e = n // 2
        if d >= e:
            grown = e + math.floor(math.log(d / e) / math.log(max_distance / e) * (n - e))
            d = min(grown, n - 1)
        result.append(first + d)
    return torch.tensor(result).reshape(distance.shape)


SIZES = ((32, 128), (8, 30), (12, 50), (16, 20))


def on_the_edge(d, num_buckets, max_distance, bidirectional):
    """Whether rounding may decide which of two buckets a distance falls into."""
    n = num_buckets // 2 if bidirectional else num_buckets
    e = n // 2
    if not e < d < max_distance:
        return False
    share = math.log(d / e) / math.log(max_distance / e) * (n - e)
    return abs(share - round(share)) < 1e-4


def clear(numbers, num_buckets, max_distance, bidirectional):
    """Those distances whose bucket no rounding can change."""
    return torch.tensor(
        [d for d in numbers if not on_the_edge(abs(d), num_buckets, max_distance, bidirectional)]
    )


@t5_bucket.check(
    points=1,
    title="the worked example: 8 buckets up to 30",
    hint="-3, -10, -100 and +2 in one direction; -10 and +10 in both.",
)
def test_six_distances_by_hand(sub, rng):
    got = sub.t5_bucket(torch.tensor([-3, -10, -100, 2]), 8, 30, False)
    expect_equal(got, torch.tensor([3, 5, 7, 0]), what="the buckets in one direction")
    got = sub.t5_bucket(torch.tensor([-10, 10]), 8, 30, True)
    expect_equal(got, torch.tensor([3, 7]), what="the buckets in both directions")


@t5_bucket.check(
    points=2,
    title="near distances have a bucket each",
    hint="d < e has bucket d, with e = n // 2; the key itself, distance 0, has bucket 0.",
)
def test_near_distances(sub, rng):
    for sizes in SIZES:
        for both in (False, True):
            e = sizes[0] // (4 if both else 2)
            distance = torch.arange(-e + 1, e)
            got = sub.t5_bucket(distance, *sizes, both)
            what = f"the buckets of distances below {e} (num_buckets {sizes[0]}, both ways: {both})"
            expect_equal(got, buckets_loops(distance, *sizes, both), what=what)


@t5_bucket.check(
    points=2,
    title="one direction: far distances share buckets",
    hint="All n = num_buckets are for keys behind. Keys ahead count as distance 0.",
)
def test_one_direction(sub, rng):
    for sizes in SIZES:
        distance = clear(range(-sizes[1], sizes[1]), *sizes, False)
        got = sub.t5_bucket(distance, *sizes, False)
        what = f"the buckets with num_buckets {sizes[0]}, max_distance {sizes[1]}, one direction"
        expect_equal(got, buckets_loops(distance, *sizes, False), what=what)


@t5_bucket.check(
    points=2,
    title="both directions: keys ahead come in the second half",
    hint="n = num_buckets // 2, e = n // 2; where distance > 0, add n.",
)
def test_both_directions(sub, rng):
    for sizes in SIZES:
        distance = clear(range(-sizes[1], sizes[1]), *sizes, True)
        got = sub.t5_bucket(distance, *sizes, True)
        what = f"the buckets with num_buckets {sizes[0]}, max_distance {sizes[1]}, both directions"
        expect_equal(got, buckets_loops(distance, *sizes, True), what=what)


@t5_bucket.check(
    points=1,
    title="everything far away is in the last bucket",
    hint="The logarithm goes on growing: cut it at n - 1.",
)
def test_beyond_the_largest_distance(sub, rng):
    distance = torch.tensor([-10_000, -500, -131, -1, 1, 131, 500, 10_000])
    for sizes in SIZES:
        for both in (False, True):
            got = sub.t5_bucket(distance, *sizes, both)
            what = f"the buckets of far distances (num_buckets {sizes[0]}, both ways: {both})"
            expect_equal(got, buckets_loops(distance, *sizes, both), what=what)


@t5_bucket.check(
    points=1,
    title="any shape, and T5's own sizes unless others are given",
    hint="Tensor operations keep the shape; a loop must reshape at the end.",
)
def test_any_shape(sub, rng):
    for shape in ((3, 5), (2, 3, 4), (1,), ()):
        distance = torch.from_numpy(np.array(rng.choice((-150, -41, -7, 3, 25, 77), size=shape)))
        got = sub.t5_bucket(distance)
        what = f"the buckets of distances of shape {shape}"
        expect_equal(got, buckets_loops(distance, 32, 128, True), what=what)


@t5_bucket.check(
    points=1,
    title="an odd number of buckets",
    hint="n // 2, rounded down: the logarithmic half is then the larger one, n - e.",
)
def test_odd_number_of_buckets(sub, rng):
    for sizes in ((7, 40), (10, 33), (13, 60)):
        for both in (False, True):
            distance = clear(range(-sizes[1], sizes[1]), *sizes, both)
            got = sub.t5_bucket(distance, *sizes, both)
            what = f"the buckets with num_buckets {sizes[0]}, both ways: {both}"
            expect_equal(got, buckets_loops(distance, *sizes, both), what=what)


@t5_bucket.check(
    points=1,
    title="whole numbers that can pick rows",
    hint="`.long()` makes int64 of the logarithm's share.",
)
def test_bucket_is_int64(sub, rng):
    for both in (True, False):
        got = sub.t5_bucket(torch.arange(-40, 40), 32, 128, both)
        require_dtype(
            require_life(got, "the table of buckets"), torch.int64, "the table of buckets"
        )


for _mutant in ("distance.clamp(min=1)->distance", "1->2", "1->0", "1->-1"):
    t5_bucket.waive(
        f"t5_bucket:L9:{_mutant}",
        reason="the logarithms of 0 and 1 stand where the exact bucket is chosen, or a first far "
        "bucket that is wider than from 1 to 2",
    )
t5_bucket.waive(
    "t5_bucket:L13:distance < exact->distance <= exact",
    reason="at e itself the logarithm is 0 and both give bucket e",
)

# ---------------------------------------------------------------------------------------------
# 04.6

rotate = exercise(
    "04.6",
    function="rotate",
    legal=lambda sizes: sizes.get("D_k", 0) % 2 == 0,
    title="Rotary: turn queries and keys",
    page=f"{PAGE}#rotary",
    uses=("04.2",),
    returns="tensor",
    closed=(
        "minitx.positions.Rotary.rotate",
        "minitx.positions.Rotary._rotate",
        "minitx.positions.Rotary._turn",
        "minitx.positions.sinusoidal.angles",
        "minitx.positions.Sinusoidal.table",
    ),
    hints=(
        "One angle for every token and pair, the same in all heads; each pair then is turned like "
        "a point in the plane.",
        "Read which entries are a pair, and write the two lines of the product for one pair. Then "
        "compare shapes: angles (B, 1, T, D_k/2) meet x[..., 0::2], (B, H, T, D_k/2).",
        "`one, two = x[..., 0::2], x[..., 1::2]`; `torch.stack([one * cos - two * sin, "
        "one * sin + two * cos], dim=-1).flatten(-2)`.",
    ),
)


def turn_loops(x, pos, base=10_000.0):
    B, H, T, D_k = x.shape
    pos = pos.expand(B, T)
    result = np.zeros((B, H, T, D_k))
    for b, h, t in np.ndindex(B, H, T):
        row, p = x[b, h, t].tolist(), int(pos[b, t])
        for i in range(D_k // 2):
            a = angle(p, i, D_k, base)
            pair = complex(row[2 * i], row[2 * i + 1]) * complex(math.cos(a), math.sin(a))
            result[b, h, t, 2 * i : 2 * i + 2] = pair.real, pair.imag
    return torch.from_numpy(result)


@rotate.check(
    points=1,
    title="the worked example: one pair, turned by one radian",
    hint="(1, 0) becomes (cos 1, sin 1), and (0, 1) becomes (-sin 1, cos 1).",
)
def test_one_turn_by_hand(sub, rng):
    x = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    c, s = math.cos(1), math.sin(1)
    got = sub.rotate(x, torch.tensor([[1, 1]]))
    expect_close(got, torch.tensor([[[[c, s], [-s, c]]]]), BY_HAND, what="the turned vectors")


@rotate.check(
    points=3,
    title="neighbours are turned together, each pair at its speed",
    hint="Pair i is entries 2i and 2i + 1; its angle is pos·base^(-2i/D_k).",
)
def test_every_pair(sub, rng):
    for B, H, T, D_k in ((2, 3, 5, 8), (1, 2, 4, 6), (2, 1, 3, 16)):
        x, pos = normal(rng, B, H, T, D_k), scattered(rng, B, T)
        got = sub.rotate(x, pos)
        expect_close(got, turn_loops(x, pos), TURNED, what=f"the turned vectors, D_k = {D_k}")


@rotate.check(
    points=1,
    title="positions go on from a cache",
    hint="Use pos as it comes: new tokens do not stand at 0.",
)
def test_positions_after_a_cache(sub, rng):
    for start, T in ((7, 1), (40, 3), (11, 4)):
        x, pos = normal(rng, 2, 3, T, 8), torch.arange(start, start + T)[None]
        got = sub.rotate(x, pos)
        what = f"vectors at positions from {start} on"
        expect_close(got, turn_loops(x, pos), TURNED, what=what)


@rotate.check(
    points=1,
    title="one row of positions for all sentences, or a row for each",
    hint="pos[:, None, :, None] has the shape (B, 1, T, 1), and B = 1 broadcasts.",
)
def test_rows_of_positions(sub, rng):
    for B, rows in ((3, 3), (3, 1), (1, 1)):
        x, pos = normal(rng, B, 2, 4, 6), scattered(rng, rows, 4)
        got = sub.rotate(x, pos)
        what = f"the turned vectors of {B} sentences with pos of shape {(rows, 4)}"
        expect_close(got, turn_loops(x, pos), TURNED, what=what)


@rotate.check(
    points=2,
    title="equal sizes hide nothing: B = H = T",
    hint="With B, H and T equal every wrong axis fits: all heads of a token are turned alike.",
)
def test_equal_sizes_turned(sub, rng):
    for D_k in (4, 8):
        x, pos = normal(rng, 4, 4, 4, D_k), scattered(rng, 4, 4)
        got = sub.rotate(x, pos)
        what = f"the turned vectors with B = H = T = 4 and D_k = {D_k}"
        expect_close(got, turn_loops(x, pos), TURNED, what=what)


@rotate.check(
    points=2,
    title="only the distance between query and key matters",
    hint="The dot product must stay the same when both move on by as much.",
)
def test_only_the_distance_matters(sub, rng):
    q, k = normal(rng, 1, 2, 3, 8), normal(rng, 1, 2, 3, 8)
    pos = torch.tensor([[2, 5, 11]])
    scores = []
    for further in (0, 100):
        turned_q = sub.rotate(q, pos + further + 3)
        turned_k = sub.rotate(k, pos + further)
        for part in (turned_q, turned_k):
            require_life(part, "the turned vectors")
            expect(
                tuple(part.shape) == (1, 2, 3, 8),
                f"the turned vectors must keep the shape (1, 2, 3, 8), not {tuple(part.shape)}.",
            )
        scores.append((turned_q.double() * turned_k.double()).sum(-1))
    expect_close(
        scores[1], scores[0], NEAR, what="q·k after both moved on by 100, which should be as before"
    )
    still = bool(((scores[0] - (q * k).sum(-1)).abs() < 1e-6).all())
    expect(not still, "the scores are those without positions: nothing is turned.")


@rotate.check(
    points=1,
    title="another base",
    hint="10,000 is only what is used unless a base is given.",
)
def test_base_of_the_turn(sub, rng):
    for base in (100.0, 500_000.0, 10.0):
        x, pos = normal(rng, 2, 3, 4, 10), scattered(rng, 2, 4)
        got, want = sub.rotate(x, pos, base), turn_loops(x, pos, base)
        expect_close(got, want, TURNED, what=f"the turned vectors with base {base:,.0f}")


@rotate.check(
    points=1,
    title="far positions are exact",
    hint="Angles of 100,000 radians need float64, whatever the dtype of x is.",
)
def test_far_turns(sub, rng):
    for start in (100_000, 900_000):
        x, pos = normal(rng, 2, 3, 4, 8), start + scattered(rng, 2, 4)
        got, want = sub.rotate(x, pos), turn_loops(x, pos)
        expect_close(got, want, TURNED, what=f"vectors at positions beyond {start:,}")


@rotate.check(
    points=1,
    title="the result has the dtype of x",
    hint="cos and sin .to(x.dtype) before they are multiplied with x, or the result at the end.",
)
def test_turned_keeps_the_dtype(sub, rng):
    for dtype, tolerance in KEPT.items():
        x, pos = normal(rng, 2, 3, 5, 8, dtype=dtype), scattered(rng, 2, 5)
        got = require_dtype(sub.rotate(x, pos), dtype, "the tensor of turned vectors")
        want = turn_loops(x, pos).to(dtype)
        expect_close(got, want, tolerance, what=f"the turned vectors in {dtype}")


@rotate.check(
    points=1,
    title="gradients reach x",
    hint="Keep to tensor operations from x to the result.",
)
def test_gradients_flow_through_the_turn(sub, rng):
    x, pos, cotangent = normal(rng, 2, 3, 4, 6), scattered(rng, 2, 4), normal(rng, 2, 3, 4, 6)
    expect_gradients(
        lambda x, **how: sub.rotate.vjp(x, pos, **how),
        lambda x: turned(x, pos),
        {"x": x},
        cotangent,
        GRADIENT,
        what="the tensor of turned vectors",
    )


def turned(x, pos):
    """The definition, with autograd: pairs as complex numbers."""
    width = x.shape[-1]
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    a = pos[:, None, :, None] * frequencies
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(a), a)).flatten(-2)


# ---------------------------------------------------------------------------------------------
# 04.7

attend_with_positions = exercise(
    "04.7",
    function="attend_with_positions",
    title="Attention that knows where everybody stands",
    page=f"{PAGE}#rotary",
    uses=("04.6",),
    returns="tensor",
    hints=(
        "Make a list of the six tensors that meet (q, k, v, the two of the cache, the bias): which "
        "are turned here, which were turned before, which never are?",
        "Read through which door each scheme enters. Then the order at the scores: scale, add the "
        "bias, mask, softmax.",
        "`q, k = Rotary(D_k).rotate(q, k, pos, pos)`; `torch.cat` with the cache *in front*; "
        "`functional.scaled_dot_product_attention(q, keys, values, mask=Mask(causal=True, "
        "key_padding=real), bias=bias[None])`.",
    ),
)


def attend_loops(q, k, v, pos, cached_k, cached_v, real, bias):
    keys = np.concatenate([cached_k.numpy(), turn_loops(k, pos).numpy()], axis=2)
    values = np.concatenate([cached_v.numpy(), v.numpy()], axis=2)
    q = turn_loops(q, pos).numpy()
    B, H, T, D_k = q.shape
    S = keys.shape[2] - T
    result = np.zeros((B, H, T, v.shape[-1]))
    for b, h, i in np.ndindex(B, H, T):
        seen = [j for j in range(S + i + 1) if real[b, j]]
        if not seen:
            continue
        scores = [float(q[b, h, i] @ keys[b, h, j]) / math.sqrt(D_k) for j in seen]
        scores = np.array([s + float(bias[h, i, j]) for s, j in zip(scores, seen, strict=True)])
        weights = np.exp(scores - scores.max())
        result[b, h, i] = (weights / weights.sum()) @ values[b, h, seen]
    return torch.from_numpy(result)


def generating(rng, B=2, H=3, T=4, S=5, D_k=8, D_v=6, pads=True):
    """Inputs in the middle of generating text, in the order of the parameters.

    Sentence b has b + 1 padded columns on the left, and its positions are less than the columns.
    """
    real = torch.ones(B, S + T, dtype=torch.bool)
    pos = torch.arange(S, S + T).repeat(B, 1)
    for b in range(B) if pads else ():
        gone = b + 1
        real[b, :gone] = False
        pos[b] = (pos[b] - gone).clamp(min=0)
    return (
        normal(rng, B, H, T, D_k),
        normal(rng, B, H, T, D_k),
        normal(rng, B, H, T, D_v),
        pos,
        normal(rng, B, H, S, D_k),
        normal(rng, B, H, S, D_v),
        real,
        normal(rng, H, T, S + T),
    )


@attend_with_positions.check(
    points=1,
    title="the worked example: one new token, one in the cache",
    hint="Both scores are 1 after the bias, so the output is halfway between 0 and 3.",
)
def test_one_new_token_by_hand(sub, rng):
    got = sub.attend_with_positions(
        torch.tensor([[[[math.sqrt(2), 0.0]]]]),
        torch.zeros(1, 1, 1, 2),
        torch.tensor([[[[3.0]]]]),
        torch.tensor([[1]]),
        torch.tensor([[[[math.cos(1), math.sin(1)]]]]),
        torch.zeros(1, 1, 1, 1),
        torch.ones(1, 2, dtype=torch.bool),
        torch.tensor([[[0.0, 1.0]]]),
    )
    expect_close(got, torch.tensor([[[[1.5]]]]), BY_HAND, what="the output")


@attend_with_positions.check(
    points=3,
    title="equal to the definition, with a cache and a bias",
    hint="Turn new queries and new keys, put the cache in front, scale, add the bias, no looking "
    "ahead.",
)
def test_cache_and_bias(sub, rng):
    for B, H, T, S in ((2, 3, 4, 5), (1, 2, 3, 7), (2, 1, 5, 3)):
        inputs = generating(rng, B, H, T, S, pads=False)
        got = sub.attend_with_positions(*inputs)
        what = f"the output of {T} new tokens and {S} in the cache"
        expect_close(got, attend_loops(*inputs), OUTPUTS, what=what)


@attend_with_positions.check(
    points=2,
    title="nobody attends to padding, and positions are those that are given",
    hint="real is (B, S + T), so it forbids keys: real[:, None, None, :].",
)
def test_padding_on_the_left(sub, rng):
    for B, H, T, S in ((3, 2, 4, 5), (2, 3, 2, 6), (3, 3, 3, 4)):
        inputs = generating(rng, B, H, T, S)
        got = sub.attend_with_positions(*inputs)
        what = f"the output of {B} sentences with padding"
        expect_close(got, attend_loops(*inputs), OUTPUTS, what=what)
    inputs = generating(rng, B=2, pads=False)
    inputs[6][0, -2:] = False  # the first sentence is shorter
    got = sub.attend_with_positions(*inputs)
    what = "the output of a sentence with padding at its end, and one without"
    expect_close(got, attend_loops(*inputs), OUTPUTS, what=what)


@attend_with_positions.check(
    points=1,
    title="an empty cache",
    hint="torch.cat takes a tensor with no tokens like any other.",
)
def test_empty_cache(sub, rng):
    for T in (5, 3):
        inputs = generating(rng, T=T, S=0, pads=False)
        got = sub.attend_with_positions(*inputs)
        expect_close(got, attend_loops(*inputs), OUTPUTS, what=f"the output of {T} first tokens")


@attend_with_positions.check(
    points=1,
    title="one new token sees the whole cache",
    hint="It stands last: no column is ahead of it.",
)
def test_one_new_token(sub, rng):
    for S in (6, 9):
        inputs = generating(rng, T=1, S=S, pads=False)
        got = sub.attend_with_positions(*inputs)
        expect_close(got, attend_loops(*inputs), OUTPUTS, what=f"the output with {S} in the cache")


@attend_with_positions.check(
    points=1,
    title="a query that may attend to nothing gets zeros",
    hint="Use a masked softmax that knows the empty row; functional.masked_softmax does.",
)
def test_nothing_but_padding(sub, rng):
    inputs = list(generating(rng, B=2, H=2, T=3, S=2, pads=False))
    inputs[6][1, :4] = False
    got = sub.attend_with_positions(*inputs)
    expect_close(got, attend_loops(*inputs), OUTPUTS, what="the output")


@attend_with_positions.check(
    points=2,
    title="in two steps as in one",
    hint="Tokens that come later must get what they get when all come at once: keys go into the "
    "cache turned, values do not.",
)
def test_in_two_steps(sub, rng):
    q, k, v, _, _, _, _, bias = generating(rng, B=2, H=2, T=6, S=0)
    pos, real = torch.arange(6)[None].repeat(2, 1), torch.ones(2, 6, dtype=torch.bool)
    nothing = normal(rng, 2, 2, 0, 8), normal(rng, 2, 2, 0, 6)
    whole = sub.attend_with_positions(q, k, v, pos, *nothing, real, bias)
    require_life(whole, "the output")
    expect(
        tuple(whole.shape) == (2, 2, 6, 6),
        f"the output must have shape (B=2, H=2, T=6, D_v=6), but has {tuple(whole.shape)}.",
    )
    cache = turn_loops(k, pos)[:, :, :4], v[:, :, :4]
    new = (part[:, :, 4:] for part in (q, k, v))
    later = sub.attend_with_positions(*new, pos[:, 4:], *cache, real, bias[:, 4:])
    want = attend_loops(q, k, v, pos, *nothing, real, bias)
    expect_close(whole, want, OUTPUTS, what="the output of six tokens at once")
    expect_close(later, want[:, :, 4:], OUTPUTS, what="the output of the last two, with a cache")


@attend_with_positions.check(
    points=1,
    title="equal sizes hide nothing: B = H = T = S",
    hint="When sizes are equal, every wrong axis fits: bias is (H, T, S + T), real is (B, S + T).",
)
def test_equal_sizes_attended(sub, rng):
    for pads in (True, False):
        inputs = generating(rng, 4, 4, 4, 4, 8, 8, pads=pads)
        got = sub.attend_with_positions(*inputs)
        what = "the output with B = H = T = S = 4"
        expect_close(got, attend_loops(*inputs), OUTPUTS, what=what)


@attend_with_positions.check(
    points=1,
    title="gradients reach the new queries, keys and values",
    hint="Keep to tensor operations from the inputs to the result.",
)
def test_gradients_flow_with_positions(sub, rng):
    q, k, v, *rest = generating(rng, B=2, H=2, T=3, S=4, pads=False)
    pos, cached_k, cached_v, _, bias = rest
    not_ahead = torch.ones(3, 7, dtype=torch.bool).tril(4)

    def definition(q, k, v):
        keys = torch.cat([cached_k, turned(k, pos)], dim=2)
        scores = torch.einsum("bhid,bhjd->bhij", turned(q, pos), keys) / math.sqrt(8) + bias
        weights = scores.masked_fill(~not_ahead, -math.inf).softmax(-1)
        return weights @ torch.cat([cached_v, v], dim=2)

    cotangent = normal(rng, 2, 2, 3, 6)
    expect_gradients(
        lambda q, k, v, **how: sub.attend_with_positions.vjp(q, k, v, *rest, **how),
        definition,
        {"q": q, "k": k, "v": v},
        cotangent,
        GRADIENT,
        what="the output",
    )


# ---------------------------------------------------------------------------------------------
# 04.8

shaw_attention = exercise(
    "04.8",
    function="shaw_attention",
    title="Find the bug: a distance four times wrong",
    page=f"{PAGE}#wrong-positions",
    uses=("04.3",),
    returns="tensor",
    hints=(
        "Print the row numbers for one query and three keys before you look at anything else. "
        "What should they be?",
        "Exercise 4.3 makes the right row numbers: last positions, key minus query, clip, shift. "
        "Then compare the two terms of the score: one is divided by √D_k.",
        "`rows = (j - i).clamp(-m, m) + m` with i from T_k - T_q on; both terms inside the "
        "brackets: `(q @ kᵀ + einsum(...)) / math.sqrt(D_k)`.",
    ),
)


def shaw_loops(q, k, v, table):
    B, H, T_q, D_k = q.shape
    T_k, m = k.shape[2], len(table) // 2
    result = np.zeros((B, H, T_q, v.shape[-1]))
    rows = index_loops(T_q, T_k, m).tolist()
    for b, h, i in np.ndindex(B, H, T_q):
        scores = np.array(
            [
                float(q[b, h, i] @ k[b, h, j] + q[b, h, i] @ table[rows[i][j]]) / math.sqrt(D_k)
                for j in range(T_k)
            ]
        )
        weights = np.exp(scores - scores.max())
        result[b, h, i] = (weights / weights.sum()) @ v[b, h].numpy()
    return torch.from_numpy(result)


def shaws(rng, T_q, T_k, m, B=2, H=3, D_k=8, D_v=6):
    """q, k, v and a table of 2m + 1 vectors."""
    return (
        normal(rng, B, H, T_q, D_k),
        normal(rng, B, H, T_k, D_k),
        normal(rng, B, H, T_k, D_v),
        normal(rng, 2 * m + 1, D_k),
    )


@shaw_attention.check(
    points=1,
    title="the worked example: one query, three keys, m = 1",
    hint="The scores are -1, -1 and 0.",
)
def test_three_keys_by_hand(sub, rng):
    near = 1 / (1 + 2 * math.exp(-1))
    far = (1 - near) / 2
    got = sub.shaw_attention(
        torch.ones(1, 1, 1, 1),
        torch.zeros(1, 1, 3, 1),
        torch.eye(3)[None, None],
        torch.tensor([[-1.0], [0.0], [1.0]]),
    )
    expect_close(got, torch.tensor([[[[far, far, near]]]]), BY_HAND, what="the weights")


@shaw_attention.check(
    points=3,
    title="as many queries as keys, all distances in the table",
    hint="Key position minus query position, plus m; and both terms divided by √D_k.",
)
def test_square_shaw(sub, rng):
    for T, m in ((5, 4), (4, 6), (3, 2)):
        inputs = shaws(rng, T, T, m)
        what = f"the output of {T} tokens with m = {m}"
        expect_close(sub.shaw_attention(*inputs), shaw_loops(*inputs), OUTPUTS, what=what)


@shaw_attention.check(
    points=2,
    title="distances beyond m count as m, on both sides",
    hint="Clip to -m and m first, then add m.",
)
def test_clipped_shaw(sub, rng):
    for T, m in ((7, 2), (9, 1), (8, 3)):
        inputs = shaws(rng, T, T, m)
        what = f"the output of {T} tokens with m = {m}"
        expect_close(sub.shaw_attention(*inputs), shaw_loops(*inputs), OUTPUTS, what=what)


@shaw_attention.check(
    points=2,
    title="fewer queries than keys: the queries are the last positions",
    hint="Query i stands at position i + T_k - T_q.",
)
def test_cached_shaw(sub, rng):
    for T_q, T_k, m in ((3, 7, 4), (1, 6, 9), (2, 9, 2)):
        inputs = shaws(rng, T_q, T_k, m)
        what = f"the output of {T_q} queries and {T_k} keys with m = {m}"
        expect_close(sub.shaw_attention(*inputs), shaw_loops(*inputs), OUTPUTS, what=what)


@shaw_attention.check(
    points=1,
    title="a table of one row",
    hint="With m = 0 all distances share row 0: m is the number of rows // 2.",
)
def test_one_row(sub, rng):
    for T_q, T_k in ((4, 4), (2, 5)):
        inputs = shaws(rng, T_q, T_k, 0)
        what = "the output with one vector for all distances"
        expect_close(sub.shaw_attention(*inputs), shaw_loops(*inputs), OUTPUTS, what=what)


@shaw_attention.check(
    points=1,
    title="equal sizes hide nothing",
    hint="With B = H = T_q = T_k = D_k every wrong axis fits.",
)
def test_equal_sizes_shaw(sub, rng):
    for m in (2, 4):
        inputs = shaws(rng, 4, 4, m, B=4, H=4, D_k=4, D_v=4)
        what = f"the output with B = H = T_q = T_k = D_k = 4 and m = {m}"
        expect_close(sub.shaw_attention(*inputs), shaw_loops(*inputs), OUTPUTS, what=what)


@shaw_attention.check(
    points=1,
    title="large scores neither overflow nor vanish",
    hint="Use torch's softmax, which subtracts the largest score of each row.",
)
def test_large_shaw(sub, rng):
    for what in ("scores in the thousands", "other such scores"):
        q, k, v, table = shaws(rng, 4, 6, 3)
        got = sub.shaw_attention(50 * q, 50 * k, v, 50 * table)
        want = shaw_loops(50 * q, 50 * k, v, 50 * table)
        expect_close(got, want, OUTPUTS, what=f"the output for {what}")


@shaw_attention.check(
    points=1,
    title="gradients reach q, k, v and the table",
    hint="The table is what a model learns: keep to tensor operations.",
)
def test_gradients_flow_to_the_table(sub, rng):
    inputs = dict(zip(("q", "k", "v", "table"), shaws(rng, 4, 5, 2), strict=True))
    cotangent = normal(rng, 2, 3, 4, 6)
    rows = index_loops(4, 5, 2)

    def definition(q, k, v, table):
        scores = torch.einsum("bhid,bhijd->bhij", q, k[:, :, None] + table[rows])
        return (scores / math.sqrt(8)).softmax(-1) @ v

    expect_gradients(
        sub.shaw_attention.vjp, definition, inputs, cotangent, GRADIENT, what="the output"
    )


for _mutant in ("L5:2->-2", "L6:-2->2"):
    shaw_attention.waive(
        f"shaw_attention:{_mutant}", reason="of four axes, 2 and -2 are the same: the same answer"
    )
