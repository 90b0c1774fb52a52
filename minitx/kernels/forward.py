"""The forward pass: exact attention, one tile of scores at a time.

Names and order are those of FlashAttention-2 (Dao 2023), algorithm 1: T_r blocks of B_r queries,
T_c blocks of B_c keys, running maximum m, running sum ℓ, and the log-sum-exp L kept for the
backward pass. The outer loop over blocks of queries is the grid: one program each.
"""
# mypy: ignore-errors
# ruff: noqa: E741
# What stands under @triton.jit is Triton's language; it only looks like Python.

import triton
import triton.language as tl

from minitx.kernels.tiles import (
    LN_2,
    LOG2_E,
    blocks_seen,
    described,
    head_of,
    length_of,
    load_tile,
    sees,
    store_tile,
)


@triton.jit
def attend(
    O_i, l_i, m_i, Q_i, K_head, V_head, start, stop, gap, gap_size, position, length, left, right,
    qk_scale, stride_kt, stride_kd, stride_vt, stride_vd,
    D_K: tl.constexpr, D_V: tl.constexpr, B_C: tl.constexpr, COLS_K: tl.constexpr,
    COLS_V: tl.constexpr, MASKED: tl.constexpr, DESCRIBED: tl.constexpr,
    PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Algorithm 1, lines 7 to 10, for key blocks start … stop - 1, leaving out the gap."""
    for n in range(start, stop):
        j = tl.where(n < gap, n, n + gap_size) * B_C
        K_j = load_tile(
            K_head, j, length, stride_kt, stride_kd, D_K, B_C, COLS_K, DESCRIBED, UPCAST
        )
        S_ij = tl.dot(Q_i, K_j.T, input_precision=PRECISION, out_dtype=O_i.dtype)
        if MASKED:
            key = j + tl.arange(0, B_C)
            visible = sees(position[:, None], key[None, :], left, right) & (key < length)[None, :]
            S_ij = tl.where(visible, S_ij, float("-inf"))
        m_new = tl.maximum(m_i, tl.max(S_ij, 1) * qk_scale)
        shift = m_new
        if MASKED:  # a row that has seen nothing yet: -inf - -inf would be NaN
            shift = tl.where(m_new == float("-inf"), 0.0, m_new)
        # exp(scale·s - m) in base 2, which is what the hardware has: the scale times log₂e is in
        # qk_scale, and its product and the difference are one multiply-add.
        P_ij = tl.exp2(S_ij * qk_scale - shift[:, None])
        correction = tl.exp2(m_i - shift)
        V_j = load_tile(
            V_head, j, length, stride_vt, stride_vd, D_V, B_C, COLS_V, DESCRIBED, UPCAST
        )
        O_i = O_i * correction[:, None]
        O_i = tl.dot(P_ij.to(V_j.dtype), V_j, O_i, input_precision=PRECISION, out_dtype=O_i.dtype)
        # Only now, so that the sum can run beside the matrix product.
        l_i = l_i * correction + tl.sum(P_ij, 1)
        m_i = m_new
    return O_i, l_i, m_i


@triton.jit(do_not_specialize=["T_q", "T_k", "left", "right"])
def flash_forward(
    Q, K, V, O, L, lengths,
    stride_qb, stride_qh, stride_qt, stride_qd, stride_kb, stride_kh, stride_kt, stride_kd,
    stride_vb, stride_vh, stride_vt, stride_vd, stride_ob, stride_oh, stride_ot, stride_od,
    H, T_q, T_k, left, right, scale,
    GROUP: tl.constexpr, D_K: tl.constexpr, D_V: tl.constexpr,
    B_R: tl.constexpr, B_C: tl.constexpr, COLS_K: tl.constexpr, COLS_V: tl.constexpr,
    DESCRIBED: tl.constexpr, PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """O = softmax(scale · Q Kᵀ) V and L = log Σ exp(scale · Q Kᵀ) for one block of queries.

    Grid: T_r · B · H programs. D_K and D_V columns lie in tiles of COLS_K and COLS_V.
    """
    T_r = tl.cdiv(T_q, B_R)
    # The last block of queries sees the most keys under causality: begin with it, so that
    # what is left for the end is short.
    i = (T_r - 1 - tl.program_id(0) % T_r) * B_R
    b, h = tl.program_id(0) // T_r // H, tl.program_id(0) // T_r % H
    length = length_of(lengths, b, T_k)
    accumulator = L.dtype.element_ty
    qk_scale = tl.cast(scale, accumulator) * LOG2_E

    Q_head = head_of(Q, b, h, stride_qb, stride_qh)
    K_head = head_of(K, b, h // GROUP, stride_kb, stride_kh)
    V_head = head_of(V, b, h // GROUP, stride_vb, stride_vh)
    K_head = described(K_head, length, stride_kt, D_K, B_C, COLS_K, DESCRIBED)
    V_head = described(V_head, length, stride_vt, D_V, B_C, COLS_V, DESCRIBED)

    Q_i = load_tile(Q_head, i, T_q, stride_qt, stride_qd, D_K, B_R, COLS_K, False, UPCAST)
    O_i = tl.zeros([B_R, COLS_V], accumulator)
    l_i = tl.zeros([B_R], accumulator)
    m_i = tl.full([B_R], float("-inf"), accumulator)

    # The queries are the last T_q of the T_k positions.
    first = i + T_k - T_q
    last = tl.minimum(i + B_R, T_q) - 1 + T_k - T_q
    position = first + tl.arange(0, B_R)
    # Blocks that nobody sees are skipped; most of the others need no mask; the masked loop runs
    # over both edges and jumps over what lies between.
    start, whole_start, whole_stop, stop = blocks_seen(first, last, left, right, length, B_C)
    whole = whole_stop - whole_start
    O_i, l_i, m_i = attend(
        O_i, l_i, m_i, Q_i, K_head, V_head, whole_start, whole_stop, whole_stop, 0, position,
        length, left, right, qk_scale, stride_kt, stride_kd, stride_vt, stride_vd,
        D_K, D_V, B_C, COLS_K, COLS_V, False, DESCRIBED, PRECISION, UPCAST,
    )  # fmt: skip
    O_i, l_i, m_i = attend(
        O_i, l_i, m_i, Q_i, K_head, V_head, start, stop - whole, whole_start, whole, position,
        length, left, right, qk_scale, stride_kt, stride_kd, stride_vt, stride_vd,
        D_K, D_V, B_C, COLS_K, COLS_V, True, DESCRIBED, PRECISION, UPCAST,
    )  # fmt: skip

    # A row that saw nothing has ℓ = 0 and m = -inf: its output is 0, its L is -inf.
    l_i = tl.where(l_i == 0.0, 1.0, l_i)
    O_i = O_i / l_i[:, None]
    L_i = (m_i + tl.log2(l_i)) * LN_2
    O_head = head_of(O, b, h, stride_ob, stride_oh)
    store_tile(O_head, O_i, i, T_q, stride_ot, stride_od, D_V, B_R, COLS_V)
    row = i + tl.arange(0, B_R)
    L_head = head_of(L, 0, b * H + h, 0, T_q)
    tl.store(L_head + row, L_i, mask=row < T_q)
