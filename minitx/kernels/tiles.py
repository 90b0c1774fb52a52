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
def head_of(X, b, h, stride_b, stride_h):
    """Where head h of sample b begins."""
    # int64: the tensor may have more than 2³¹ elements, and an overflow would be silent.
    return X + tl.cast(b, tl.int64) * stride_b + tl.cast(h, tl.int64) * stride_h


@triton.jit
def described(
    head, T, stride_t, D: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
    DESCRIBED: tl.constexpr,
):  # fmt: skip
    """One head as a source of tiles: a tensor descriptor, or the bare pointer."""
    if DESCRIBED:
        # On Hopper one thread then asks the copy engine for a whole tile, and nobody spends
        # registers on addresses. Its bounds are this head's, so that a tile that hangs over the
        # end reads zeros and not the next head. (A bound of 0 would read as no bound.)
        return tl.make_tensor_descriptor(head, [tl.maximum(T, 1), D], [stride_t, 1], [ROWS, COLS])
    else:
        return head


@triton.jit
def load_tile(
    source, start, T, stride_t, stride_d, D: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
    DESCRIBED: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Rows start … start + ROWS - 1 of a head; zeros beyond T rows and D columns."""
    if DESCRIBED:
        tile = source.load([start, 0])
    else:
        rows = start + tl.arange(0, ROWS)
        cols = tl.arange(0, COLS)
        offsets = rows.to(tl.int64)[:, None] * stride_t + cols.to(tl.int64)[None, :] * stride_d
        inside = (rows < T)[:, None] & (cols < D)[None, :]
        tile = tl.load(source + offsets, mask=inside, other=0.0)
    if UPCAST:  # Triton's interpreter computes in bfloat16 wrongly, but converts rightly.
        tile = tile.to(tl.float32)
    return tile


@triton.jit
def store_tile(
    target, tile, start, T, stride_t, stride_d, D: tl.constexpr, ROWS: tl.constexpr,
    COLS: tl.constexpr,
):  # fmt: skip
    """Undoes `load_tile`: what lies beyond T rows and D columns is not written."""
    rows = start + tl.arange(0, ROWS)
    cols = tl.arange(0, COLS)
    offsets = rows.to(tl.int64)[:, None] * stride_t + cols.to(tl.int64)[None, :] * stride_d
    inside = (rows < T)[:, None] & (cols < D)[None, :]
    tl.store(target + offsets, tile.to(target.dtype.element_ty), mask=inside)


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
def sees(query, key, left, right):
    """Whether a query at this position may attend to that key, as far as the band goes."""
    return (key >= query - left) & (key <= query + right)


@triton.jit
def length_of(lengths, b, T_k):
    """How many keys sample b has: all, unless its length says otherwise."""
    if lengths is None:
        return T_k
    else:
        return tl.minimum(tl.maximum(tl.load(lengths + b).to(tl.int32), 0), T_k)
