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
    between,
    described,
    keys_seen,
    length_of,
    load_tile,
    sample_of,
    store_tile,
)


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

    K_b, V_b = sample_of(K, b, stride_kb), sample_of(V, b, stride_vb)
    K_b = described(K_b, H // GROUP, length, stride_kh, stride_kt, D_K, B_C, COLS_K, DESCRIBED)
    V_b = described(V_b, H // GROUP, length, stride_vh, stride_vt, D_V, B_C, COLS_V, DESCRIBED)
    Q_i = load_tile(
        sample_of(Q, b, stride_qb), h, i, T_q, stride_qh, stride_qt, stride_qd,
        D_K, B_R, COLS_K, False, UPCAST,
    )  # fmt: skip
    O_i = tl.zeros([B_R, COLS_V], accumulator)
    l_i = tl.zeros([B_R], accumulator)
    m_i = tl.full([B_R], float("-inf"), accumulator)

    # Blocks that nobody sees are skipped, and most others need no mask. So the compiled kernel has
    # the loop twice: over the blocks seen whole, and over those at both edges of the band.
    first_key, last_key, start, whole_start, whole_stop, stop = keys_seen(
        i, T_q, T_k, length, left, right, B_R, B_C
    )
    whole = whole_stop - whole_start
    for MASKED in tl.static_range(2):
        for n in range(start if MASKED else whole_start, stop - whole if MASKED else whole_stop):
            j = (tl.where(n < whole_start, n, n + whole) if MASKED else n) * B_C
            K_j = load_tile(
                K_b, h // GROUP, j, length, stride_kh, stride_kt, stride_kd,
                D_K, B_C, COLS_K, DESCRIBED, UPCAST,
            )  # fmt: skip
            S_ij = tl.dot(Q_i, K_j.T, input_precision=PRECISION, out_dtype=accumulator)
            if MASKED:
                key = j + tl.arange(0, B_C)[None, :]
                S_ij = tl.where(between(first_key, key, last_key), S_ij, float("-inf"))
            m_new = tl.maximum(m_i, tl.max(S_ij, 1) * qk_scale)
            # For a row that has seen nothing yet, -inf - -inf would be NaN.
            shift = tl.where(m_new == float("-inf"), 0.0, m_new) if MASKED else m_new
            # exp(scale·s - m) in base 2, which is what the hardware has: log₂e is in qk_scale,
            # and the product and the difference are one multiply-add.
            P_ij = tl.exp2(S_ij * qk_scale - shift[:, None])
            correction = tl.exp2(m_i - shift)
            V_j = load_tile(
                V_b, h // GROUP, j, length, stride_vh, stride_vt, stride_vd,
                D_V, B_C, COLS_V, DESCRIBED, UPCAST,
            )  # fmt: skip
            O_i = O_i * correction[:, None]
            O_i = tl.dot(
                P_ij.to(V_j.dtype), V_j, O_i, input_precision=PRECISION, out_dtype=accumulator
            )
            # Only now, so that the sum can run beside the matrix product.
            l_i = l_i * correction + tl.sum(P_ij, 1)
            m_i = m_new

    # A row that saw nothing has ℓ = 0 and m = -inf: its output is 0, its L is -inf.
    l_i = tl.where(l_i == 0.0, 1.0, l_i)
    O_i = O_i / l_i[:, None]
    L_i = (m_i + tl.log2(l_i)) * LN_2
    O_b = sample_of(O, b, stride_ob)
    store_tile(O_b, O_i, h, i, T_q, stride_oh, stride_ot, stride_od, D_V, B_R, COLS_V)
    row = i + tl.arange(0, B_R)
    tl.store(sample_of(L, b * H + h, T_q) + row, L_i, mask=row < T_q)
