"""The backward pass by recomputation: the scores are computed again, tile by tile, and not kept.

Names are those of FlashAttention-2 (Dao 2023), algorithm 2. With P = exp(scale · Q Kᵀ - L):

    dV = Pᵀ dO     dP = dO Vᵀ     D = rowsum(dO ∘ O)     dS = P ∘ (dP - D)
    dQ = scale · dS K             dK = scale · dSᵀ Q

One deviation: the algorithm adds to dQ from the loop over keys, which needs atomic additions in
any order. Here dQ has a kernel of its own. That recomputes P twice, seven matrix products in place
of five, but two runs are equal bit for bit.
"""
# mypy: ignore-errors
# ruff: noqa: E741
# What stands under @triton.jit is Triton's language; it only looks like Python.

import triton
import triton.language as tl

from minitx.kernels.tiles import (
    LOG2_E,
    between,
    blocks_seen,
    described,
    keys_seen,
    length_of,
    load_tile,
    sample_of,
    store_tile,
)


@triton.jit(do_not_specialize=["T_q"])
def flash_sums(
    O, dO, L, L_2, D,
    stride_ob, stride_oh, stride_ot, stride_od, stride_dob, stride_doh, stride_dot, stride_dod,
    H, T_q, T_sums, D_V: tl.constexpr, B_R: tl.constexpr, COLS_V: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """What the other kernels need of each query: L in base 2, and D (algorithm 2, line 4).

    Grid: T_sums / B_R · B · H programs. Where there is no query, or one that sees nothing, L is
    infinite and so every P = exp2(… - L) is 0: the loops need no mask for them.
    """
    blocks = T_sums // B_R
    i = tl.program_id(0) % blocks * B_R
    b, h = tl.program_id(0) // blocks // H, tl.program_id(0) // blocks % H
    O_i = load_tile(
        sample_of(O, b, stride_ob), h, i, T_q, stride_oh, stride_ot, stride_od,
        D_V, B_R, COLS_V, False, UPCAST,
    )  # fmt: skip
    dO_i = load_tile(
        sample_of(dO, b, stride_dob), h, i, T_q, stride_doh, stride_dot, stride_dod,
        D_V, B_R, COLS_V, False, UPCAST,
    )  # fmt: skip
    accumulator = D.dtype.element_ty
    D_i = tl.sum(O_i.to(accumulator) * dO_i.to(accumulator), 1)
    row = i + tl.arange(0, B_R)
    L_i = tl.load(sample_of(L, b * H + h, T_q) + row, mask=row < T_q, other=float("inf"))
    L_i = tl.where(L_i == float("-inf"), float("inf"), L_i)
    tl.store(sample_of(L_2, b * H + h, T_sums) + row, L_i * LOG2_E)
    tl.store(sample_of(D, b * H + h, T_sums) + row, D_i)


@triton.jit(do_not_specialize=["T_q", "T_k", "left", "right"])
def flash_backward_keys(
    Q, K, V, dO, L_2, D, dK, dV, lengths,
    stride_qb, stride_qh, stride_qt, stride_qd, stride_kb, stride_kh, stride_kt, stride_kd,
    stride_vb, stride_vh, stride_vt, stride_vd, stride_dob, stride_doh, stride_dot, stride_dod,
    stride_dkb, stride_dkh, stride_dkt, stride_dkd, stride_dvb, stride_dvh, stride_dvt, stride_dvd,
    H, T_q, T_k, left, right, scale, T_sums,
    GROUP: tl.constexpr, D_K: tl.constexpr, D_V: tl.constexpr,
    B_R: tl.constexpr, B_C: tl.constexpr, COLS_K: tl.constexpr, COLS_V: tl.constexpr,
    DESCRIBED: tl.constexpr, PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """dK and dV of one block of keys, summed over the query heads that share it.

    Grid: T_c · B · H / GROUP programs.
    """
    T_c = tl.cdiv(T_k, B_C)
    j = tl.program_id(0) % T_c * B_C  # under causality the first is seen by the most queries
    b = tl.program_id(0) // T_c // (H // GROUP)
    h_kv = tl.program_id(0) // T_c % (H // GROUP)
    length = length_of(lengths, b, T_k)
    accumulator = D.dtype.element_ty
    qk_scale = tl.cast(scale, accumulator) * LOG2_E

    K_j = load_tile(
        sample_of(K, b, stride_kb), h_kv, j, length, stride_kh, stride_kt, stride_kd,
        D_K, B_C, COLS_K, False, UPCAST,
    )  # fmt: skip
    V_j = load_tile(
        sample_of(V, b, stride_vb), h_kv, j, length, stride_vh, stride_vt, stride_vd,
        D_V, B_C, COLS_V, False, UPCAST,
    )  # fmt: skip
    Q_b, dO_b = sample_of(Q, b, stride_qb), sample_of(dO, b, stride_dob)
    Q_b = described(Q_b, H, T_q, stride_qh, stride_qt, D_K, B_R, COLS_K, DESCRIBED)
    dO_b = described(dO_b, H, T_q, stride_doh, stride_dot, D_V, B_R, COLS_V, DESCRIBED)
    dK_j = tl.zeros([B_C, COLS_K], accumulator)
    dV_j = tl.zeros([B_C, COLS_V], accumulator)

    # The band read the other way: a key is seen by the queries from `right` before it to `left`
    # after it, when keys are counted as queries are: from the first query's position.
    shift = T_k - T_q
    last = tl.minimum(j + B_C, length) - 1 - shift
    start, whole_start, whole_stop, stop = blocks_seen(j - shift, last, right, left, T_q, B_R)
    stop = tl.where(j < length, stop, start)
    whole_start, whole_stop = tl.minimum(whole_start, stop), tl.minimum(whole_stop, stop)
    whole = whole_stop - whole_start
    for MASKED in tl.static_range(2):
        begin = start if MASKED else whole_start
        blocks = stop - whole - start if MASKED else whole
        # One loop over the blocks of all heads of the group: a loop in a loop would keep what both
        # need in registers, and there are none left.
        for m in range(GROUP * blocks):
            h, n = h_kv * GROUP + m % GROUP, begin + m // GROUP
            i = (tl.where(n < whole_start, n, n + whole) if MASKED else n) * B_R
            Q_i = load_tile(
                Q_b, h, i, T_q, stride_qh, stride_qt, stride_qd,
                D_K, B_R, COLS_K, DESCRIBED, UPCAST,
            )  # fmt: skip
            # All tiles of scores are transposed, keys by queries: no product turns one around.
            S_ji = tl.dot(K_j, Q_i.T, input_precision=PRECISION, out_dtype=accumulator)
            if MASKED:
                key = j - shift + tl.arange(0, B_C)[:, None]
                distance = i + tl.arange(0, B_R)[None, :] - key
                S_ji = tl.where(between(-right, distance, left), S_ji, float("-inf"))
            row = i + tl.arange(0, B_R)
            L_i = tl.load(sample_of(L_2, b * H + h, T_sums) + row)
            P_ji = tl.exp2(S_ji * qk_scale - L_i[None, :])
            dO_i = load_tile(
                dO_b, h, i, T_q, stride_doh, stride_dot, stride_dod,
                D_V, B_R, COLS_V, DESCRIBED, UPCAST,
            )  # fmt: skip
            dV_j = tl.dot(
                P_ji.to(dO_i.dtype), dO_i, dV_j, input_precision=PRECISION, out_dtype=accumulator
            )
            dP_ji = tl.dot(V_j, dO_i.T, input_precision=PRECISION, out_dtype=accumulator)
            D_i = tl.load(sample_of(D, b * H + h, T_sums) + row)
            dS_ji = P_ji * (dP_ji - D_i[None, :])
            dK_j = tl.dot(
                dS_ji.to(Q_i.dtype), Q_i, dK_j, input_precision=PRECISION, out_dtype=accumulator
            )

    # The other keys have been computed with, in rows of their own, which may even be infinite.
    key = j - shift + tl.arange(0, B_C)[:, None]
    is_key = key < length - shift
    dK_j = tl.where(is_key, dK_j * scale, 0.0)
    dV_j = tl.where(is_key, dV_j, 0.0)
    dK_b, dV_b = sample_of(dK, b, stride_dkb), sample_of(dV, b, stride_dvb)
    store_tile(dK_b, dK_j, h_kv, j, T_k, stride_dkh, stride_dkt, stride_dkd, D_K, B_C, COLS_K)
    store_tile(dV_b, dV_j, h_kv, j, T_k, stride_dvh, stride_dvt, stride_dvd, D_V, B_C, COLS_V)


@triton.jit(do_not_specialize=["T_q", "T_k", "left", "right"])
def flash_backward_queries(
    Q, K, V, dO, L_2, D, dQ, lengths,
    stride_qb, stride_qh, stride_qt, stride_qd, stride_kb, stride_kh, stride_kt, stride_kd,
    stride_vb, stride_vh, stride_vt, stride_vd, stride_dob, stride_doh, stride_dot, stride_dod,
    stride_dqb, stride_dqh, stride_dqt, stride_dqd,
    H, T_q, T_k, left, right, scale, T_sums,
    GROUP: tl.constexpr, D_K: tl.constexpr, D_V: tl.constexpr,
    B_R: tl.constexpr, B_C: tl.constexpr, COLS_K: tl.constexpr, COLS_V: tl.constexpr,
    DESCRIBED: tl.constexpr, PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """dQ of one block of queries. Grid: T_r · B · H programs, in the order of the forward pass."""
    T_r = tl.cdiv(T_q, B_R)
    i = (T_r - 1 - tl.program_id(0) % T_r) * B_R
    b, h = tl.program_id(0) // T_r // H, tl.program_id(0) // T_r % H
    length = length_of(lengths, b, T_k)
    accumulator = D.dtype.element_ty
    qk_scale = tl.cast(scale, accumulator) * LOG2_E

    Q_i = load_tile(
        sample_of(Q, b, stride_qb), h, i, T_q, stride_qh, stride_qt, stride_qd,
        D_K, B_R, COLS_K, False, UPCAST,
    )  # fmt: skip
    dO_i = load_tile(
        sample_of(dO, b, stride_dob), h, i, T_q, stride_doh, stride_dot, stride_dod,
        D_V, B_R, COLS_V, False, UPCAST,
    )  # fmt: skip
    row = i + tl.arange(0, B_R)
    L_i = tl.load(sample_of(L_2, b * H + h, T_sums) + row)
    D_i = tl.load(sample_of(D, b * H + h, T_sums) + row)
    K_b, V_b = sample_of(K, b, stride_kb), sample_of(V, b, stride_vb)
    K_b = described(K_b, H // GROUP, length, stride_kh, stride_kt, D_K, B_C, COLS_K, DESCRIBED)
    V_b = described(V_b, H // GROUP, length, stride_vh, stride_vt, D_V, B_C, COLS_V, DESCRIBED)
    dQ_i = tl.zeros([B_R, COLS_K], accumulator)

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
            V_j = load_tile(
                V_b, h // GROUP, j, length, stride_vh, stride_vt, stride_vd,
                D_V, B_C, COLS_V, DESCRIBED, UPCAST,
            )  # fmt: skip
            S_ij = tl.dot(Q_i, K_j.T, input_precision=PRECISION, out_dtype=accumulator)
            if MASKED:
                key = j + tl.arange(0, B_C)[None, :]
                S_ij = tl.where(between(first_key, key, last_key), S_ij, float("-inf"))
            P_ij = tl.exp2(S_ij * qk_scale - L_i[:, None])
            dP_ij = tl.dot(dO_i, V_j.T, input_precision=PRECISION, out_dtype=accumulator)
            dS_ij = P_ij * (dP_ij - D_i[:, None])
            dQ_i = tl.dot(
                dS_ij.to(K_j.dtype), K_j, dQ_i, input_precision=PRECISION, out_dtype=accumulator
            )
    dQ_b = sample_of(dQ, b, stride_dqb)
    store_tile(dQ_b, dQ_i * scale, h, i, T_q, stride_dqh, stride_dqt, stride_dqd, D_K, B_R, COLS_K)
