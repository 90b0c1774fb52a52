"""Pieces that the kernels share: where a tile lies in memory, and which tiles a band touches.

Every rule about who sees whom is one band: a query at position t sees the keys at positions
t - left … t + right, and of those only the first `length`. Causal is right = 0; a sliding window
is left = right = window; without a rule both reach past the ends.
"""
# mypy: ignore-errors
# ruff: noqa: RET505
# What stands under @triton.jit is Triton's language; it only looks like Python.

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


@triton.jit
def sample_of(X, b, stride_b):
    """Where sample b begins."""
    # int64: the tensor may have more than 2³¹ elements, and an overflow would be silent.
    return X + tl.cast(b, tl.int64) * stride_b


@triton.jit
def described(
    sample, H, T, stride_h, stride_t, D: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
    DESCRIBED: tl.constexpr,
):  # fmt: skip
    """The heads of one sample as a source of tiles: a tensor descriptor, or the bare pointer."""
    if DESCRIBED:
        # On Hopper one thread then asks the copy engine for a whole tile, and nobody spends
        # registers on addresses. Its bounds are this sample's, so that a tile that hangs over the
        # end of a head reads zeros and not the next one. (A bound of 0 would read as no bound.)
        shape = [H, tl.maximum(T, 1), D]
        return tl.make_tensor_descriptor(sample, shape, [stride_h, stride_t, 1], [1, ROWS, COLS])
    else:
        return sample


@triton.jit
def load_tile(
    source, h, start, T, stride_h, stride_t, stride_d, D: tl.constexpr, ROWS: tl.constexpr,
    COLS: tl.constexpr, DESCRIBED: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Rows start … start + ROWS - 1 of head h; zeros beyond T rows and D columns."""
    if DESCRIBED:
        tile = source.load([h, start, 0]).reshape(ROWS, COLS)
    else:
        pointers, inside = places(source, h, start, T, stride_h, stride_t, stride_d, D, ROWS, COLS)
        tile = tl.load(pointers, mask=inside, other=0.0)
    if UPCAST:  # see calls.py
        tile = tile.to(tl.float32)
    return tile


@triton.jit
def store_tile(
    target, tile, h, start, T, stride_h, stride_t, stride_d, D: tl.constexpr, ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Undoes `load_tile`: what lies beyond T rows and D columns is not written."""
    pointers, inside = places(target, h, start, T, stride_h, stride_t, stride_d, D, ROWS, COLS)
    tl.store(pointers, tile.to(target.dtype.element_ty), mask=inside)


@triton.jit
def places(
    sample, h, start, T, stride_h, stride_t, stride_d, D: tl.constexpr, ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Where the elements of a tile lie, and which of them are there."""
    row, col = tl.arange(0, ROWS), tl.arange(0, COLS)
    first = tl.cast(h, tl.int64) * stride_h + tl.cast(start, tl.int64) * stride_t
    # The same for every tile of a loop, and so computed once, before it.
    beside = row.to(tl.int64)[:, None] * stride_t + col.to(tl.int64)[None, :] * stride_d
    return sample + first + beside, (row < T - start)[:, None] & (col < D)[None, :]


@triton.jit
def blocks_seen(first, last, before, after, T, BLOCK: tl.constexpr):
    """The blocks of T others that the positions first … last see.

    Each position p sees p - before … p + after. Returns four block numbers: blocks start … stop - 1
    are seen by somebody; of those, whole_start … whole_stop - 1 are seen whole by everybody and
    need no mask.
    """
    start = tl.maximum(first - before, 0) // BLOCK
    stop = tl.cdiv(tl.minimum(tl.maximum(last + after + 1, 0), T), BLOCK)
    whole_start = tl.cdiv(tl.maximum(last - before, 0), BLOCK)
    whole_stop = tl.minimum(tl.maximum(first + after + 1, 0), T) // BLOCK
    whole_start = tl.minimum(tl.maximum(whole_start, start), stop)
    whole_stop = tl.maximum(tl.minimum(whole_stop, stop), whole_start)
    return start, whole_start, whole_stop, stop


@triton.jit
def keys_seen(
    i, T_q, T_k, length, left, right, B_R: tl.constexpr, B_C: tl.constexpr,
):  # fmt: skip
    """What the block of queries at i sees. The queries are the last T_q of the T_k positions.

    Returns the first and the last key of each query, and the block numbers of `blocks_seen`.
    """
    first = i + T_k - T_q
    last = tl.minimum(i + B_R, T_q) - 1 + T_k - T_q
    position = first + tl.arange(0, B_R)[:, None]
    first_key, last_key = position - left, tl.minimum(position + right, length - 1)
    start, whole_start, whole_stop, stop = blocks_seen(first, last, left, right, length, B_C)
    return first_key, last_key, start, whole_start, whole_stop, stop


@triton.jit
def between(first, x, last):
    """Whether first ≤ x ≤ last, which is what every mask comes to."""
    return (x >= first) & (x <= last)


@triton.jit
def length_of(lengths, b, T_k):
    """How many keys sample b has: all, unless its length says otherwise."""
    if lengths is None:
        return T_k
    else:
        return tl.minimum(tl.maximum(tl.load(lengths + b), 0), T_k).to(tl.int32)
