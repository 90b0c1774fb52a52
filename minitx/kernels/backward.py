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
    blocks_seen,
    described,
    head_of,
    length_of,
    load_tile,
    sees,
    store_tile,
)


@triton.jit(do_not_specialize=["T_q"])
def flash_delta(
    O, dO, D,
    stride_ob, stride_oh, stride_ot, stride_od, stride_dob, stride_doh, stride_dot, stride_dod,
    H, T_q, D_V: tl.constexpr, B_R: tl.constexpr, COLS_V: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """D = rowsum(dO ∘ O) for one block of queries: algorithm 2, line 4.

    Grid: T_r · B · H programs.
    """
    T_r = tl.cdiv(T_q, B_R)
    i = tl.program_id(0) % T_r * B_R
    b, h = tl.program_id(0) // T_r // H, tl.program_id(0) // T_r % H
    O_head = head_of(O, b, h, stride_ob, stride_oh)
    dO_head = head_of(dO, b, h, stride_dob, stride_doh)
    O_i = load_tile(O_head, i, T_q, stride_ot, stride_od, D_V, B_R, COLS_V, False, UPCAST)
    dO_i = load_tile(dO_head, i, T_q, stride_dot, stride_dod, D_V, B_R, COLS_V, False, UPCAST)
    accumulator = D.dtype.element_ty
    D_i = tl.sum(O_i.to(accumulator) * dO_i.to(accumulator), 1)
    row = i + tl.arange(0, B_R)
    D_head = head_of(D, 0, b * H + h, 0, T_q)
    tl.store(D_head + row, D_i, mask=row < T_q)


@triton.jit
def sums_of(L_head, D_head, row, T_q):
    """L in base 2, and D, of some queries; such that exp2(anything - L) = 0 beyond the last.

    For a query that sees nothing L is -inf and P infinite, but masked: it has no whole block.
    """
    L_i = tl.load(L_head + row, mask=row < T_q, other=float("inf"))
    D_i = tl.load(D_head + row, mask=row < T_q, other=0.0)
    return L_i * LOG2_E, D_i


@triton.jit
def add_to_keys(
    dK_j, dV_j, K_j, V_j, Q_head, dO_head, L_head, D_head, start, stop, gap, gap_size, key, T_q,
    shift, left, right, qk_scale, stride_qt, stride_qd, stride_dot, stride_dod,
    D_K: tl.constexpr, D_V: tl.constexpr, B_R: tl.constexpr, COLS_K: tl.constexpr,
    COLS_V: tl.constexpr, MASKED: tl.constexpr, DESCRIBED: tl.constexpr,
    PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """Algorithm 2, lines 9 to 16, for query blocks start … stop - 1, leaving out the gap.

    All tiles of scores are transposed, keys by queries: then no product has to turn one around.
    """
    for n in range(start, stop):
        i = tl.where(n < gap, n, n + gap_size) * B_R
        row = i + tl.arange(0, B_R)
        Q_i = load_tile(Q_head, i, T_q, stride_qt, stride_qd, D_K, B_R, COLS_K, DESCRIBED, UPCAST)
        L_i, D_i = sums_of(L_head, D_head, row, T_q)
        S_ji = tl.dot(K_j, Q_i.T, input_precision=PRECISION, out_dtype=dK_j.dtype)
        P_ji = tl.exp2(S_ji * qk_scale - L_i[None, :])
        if MASKED:
            visible = sees(row[None, :] + shift, key[:, None], left, right)
            P_ji = tl.where(visible, P_ji, 0.0)
        dO_i = load_tile(
            dO_head, i, T_q, stride_dot, stride_dod, D_V, B_R, COLS_V, DESCRIBED, UPCAST
        )
        dV_j = tl.dot(
            P_ji.to(dO_i.dtype), dO_i, dV_j, input_precision=PRECISION, out_dtype=dV_j.dtype
        )
        dP_ji = tl.dot(V_j, dO_i.T, input_precision=PRECISION, out_dtype=dV_j.dtype)
        dS_ji = P_ji * (dP_ji - D_i[None, :])
        dK_j = tl.dot(
            dS_ji.to(Q_i.dtype), Q_i, dK_j, input_precision=PRECISION, out_dtype=dK_j.dtype
        )
    return dK_j, dV_j


@triton.jit(do_not_specialize=["T_q", "T_k", "left", "right"])
def flash_backward_keys(
    Q, K, V, dO, L, D, dK, dV, lengths,
    stride_qb, stride_qh, stride_qt, stride_qd, stride_kb, stride_kh, stride_kt, stride_kd,
    stride_vb, stride_vh, stride_vt, stride_vd, stride_dob, stride_doh, stride_dot, stride_dod,
    stride_dkb, stride_dkh, stride_dkt, stride_dkd, stride_dvb, stride_dvh, stride_dvt, stride_dvd,
    H, T_q, T_k, left, right, scale,
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
    accumulator = L.dtype.element_ty
    qk_scale = tl.cast(scale, accumulator) * LOG2_E

    K_head = head_of(K, b, h_kv, stride_kb, stride_kh)
    V_head = head_of(V, b, h_kv, stride_vb, stride_vh)
    K_j = load_tile(K_head, j, length, stride_kt, stride_kd, D_K, B_C, COLS_K, False, UPCAST)
    V_j = load_tile(V_head, j, length, stride_vt, stride_vd, D_V, B_C, COLS_V, False, UPCAST)
    dK_j = tl.zeros([B_C, COLS_K], accumulator)
    dV_j = tl.zeros([B_C, COLS_V], accumulator)

    # The band read the other way: a key at j is seen from j - right to j + left. Query i stands
    # at position i + shift. Keys beyond the length have rows of their own, zeroed at the end.
    shift = T_k - T_q
    key = j + tl.arange(0, B_C)
    last = tl.minimum(j + B_C, length) - 1 - shift
    start, whole_start, whole_stop, stop = blocks_seen(j - shift, last, right, left, T_q, B_R)
    stop = tl.where(j < length, stop, start)
    whole_start, whole_stop = tl.minimum(whole_start, stop), tl.minimum(whole_stop, stop)
    whole = whole_stop - whole_start
    for g in range(GROUP):
        h = h_kv * GROUP + g
        Q_head = head_of(Q, b, h, stride_qb, stride_qh)
        dO_head = head_of(dO, b, h, stride_dob, stride_doh)
        Q_head = described(Q_head, T_q, stride_qt, D_K, B_R, COLS_K, DESCRIBED)
        dO_head = described(dO_head, T_q, stride_dot, D_V, B_R, COLS_V, DESCRIBED)
        L_head, D_head = head_of(L, 0, b * H + h, 0, T_q), head_of(D, 0, b * H + h, 0, T_q)
        dK_j, dV_j = add_to_keys(
            dK_j, dV_j, K_j, V_j, Q_head, dO_head, L_head, D_head, whole_start, whole_stop,
            whole_stop, 0, key, T_q, shift, left, right, qk_scale, stride_qt, stride_qd,
            stride_dot, stride_dod,
            D_K, D_V, B_R, COLS_K, COLS_V, False, DESCRIBED, PRECISION, UPCAST,
        )  # fmt: skip
        dK_j, dV_j = add_to_keys(
            dK_j, dV_j, K_j, V_j, Q_head, dO_head, L_head, D_head, start, stop - whole,
            whole_start, whole, key, T_q, shift, left, right, qk_scale, stride_qt,
            stride_qd, stride_dot, stride_dod,
            D_K, D_V, B_R, COLS_K, COLS_V, True, DESCRIBED, PRECISION, UPCAST,
        )  # fmt: skip

    is_key = (key < length)[:, None]
    dK_j = tl.where(is_key, dK_j * scale, 0.0)
    dV_j = tl.where(is_key, dV_j, 0.0)
    dK_head = head_of(dK, b, h_kv, stride_dkb, stride_dkh)
    dV_head = head_of(dV, b, h_kv, stride_dvb, stride_dvh)
    store_tile(dK_head, dK_j, j, T_k, stride_dkt, stride_dkd, D_K, B_C, COLS_K)
    store_tile(dV_head, dV_j, j, T_k, stride_dvt, stride_dvd, D_V, B_C, COLS_V)


@triton.jit
def add_to_queries(
    dQ_i, Q_i, dO_i, L_i, D_i, K_head, V_head, start, stop, gap, gap_size, position, length, left,
    right, qk_scale, stride_kt, stride_kd, stride_vt, stride_vd,
    D_K: tl.constexpr, D_V: tl.constexpr, B_C: tl.constexpr, COLS_K: tl.constexpr,
    COLS_V: tl.constexpr, MASKED: tl.constexpr, DESCRIBED: tl.constexpr,
    PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """dQ's part of algorithm 2 for key blocks start … stop - 1, leaving out the gap."""
    for n in range(start, stop):
        j = tl.where(n < gap, n, n + gap_size) * B_C
        K_j = load_tile(
            K_head, j, length, stride_kt, stride_kd, D_K, B_C, COLS_K, DESCRIBED, UPCAST
        )
        V_j = load_tile(
            V_head, j, length, stride_vt, stride_vd, D_V, B_C, COLS_V, DESCRIBED, UPCAST
        )
        S_ij = tl.dot(Q_i, K_j.T, input_precision=PRECISION, out_dtype=dQ_i.dtype)
        P_ij = tl.exp2(S_ij * qk_scale - L_i[:, None])
        if MASKED:
            key = j + tl.arange(0, B_C)
            visible = sees(position[:, None], key[None, :], left, right) & (key < length)[None, :]
            P_ij = tl.where(visible, P_ij, 0.0)
        dP_ij = tl.dot(dO_i, V_j.T, input_precision=PRECISION, out_dtype=dQ_i.dtype)
        dS_ij = P_ij * (dP_ij - D_i[:, None])
        dQ_i = tl.dot(
            dS_ij.to(K_j.dtype), K_j, dQ_i, input_precision=PRECISION, out_dtype=dQ_i.dtype
        )
    return dQ_i


@triton.jit(do_not_specialize=["T_q", "T_k", "left", "right"])
def flash_backward_queries(
    Q, K, V, dO, L, D, dQ, lengths,
    stride_qb, stride_qh, stride_qt, stride_qd, stride_kb, stride_kh, stride_kt, stride_kd,
    stride_vb, stride_vh, stride_vt, stride_vd, stride_dob, stride_doh, stride_dot, stride_dod,
    stride_dqb, stride_dqh, stride_dqt, stride_dqd,
    H, T_q, T_k, left, right, scale,
    GROUP: tl.constexpr, D_K: tl.constexpr, D_V: tl.constexpr,
    B_R: tl.constexpr, B_C: tl.constexpr, COLS_K: tl.constexpr, COLS_V: tl.constexpr,
    DESCRIBED: tl.constexpr, PRECISION: tl.constexpr, UPCAST: tl.constexpr,
):  # fmt: skip
    """dQ of one block of queries. Grid: T_r · B · H programs, in the order of the forward pass."""
    T_r = tl.cdiv(T_q, B_R)
    i = (T_r - 1 - tl.program_id(0) % T_r) * B_R
    b, h = tl.program_id(0) // T_r // H, tl.program_id(0) // T_r % H
    length = length_of(lengths, b, T_k)
    accumulator = L.dtype.element_ty
    qk_scale = tl.cast(scale, accumulator) * LOG2_E

    Q_head = head_of(Q, b, h, stride_qb, stride_qh)
    dO_head = head_of(dO, b, h, stride_dob, stride_doh)
    K_head = head_of(K, b, h // GROUP, stride_kb, stride_kh)
    V_head = head_of(V, b, h // GROUP, stride_vb, stride_vh)
    K_head = described(K_head, length, stride_kt, D_K, B_C, COLS_K, DESCRIBED)
    V_head = described(V_head, length, stride_vt, D_V, B_C, COLS_V, DESCRIBED)
    Q_i = load_tile(Q_head, i, T_q, stride_qt, stride_qd, D_K, B_R, COLS_K, False, UPCAST)
    dO_i = load_tile(dO_head, i, T_q, stride_dot, stride_dod, D_V, B_R, COLS_V, False, UPCAST)
    L_head, D_head = head_of(L, 0, b * H + h, 0, T_q), head_of(D, 0, b * H + h, 0, T_q)
    L_i, D_i = sums_of(L_head, D_head, i + tl.arange(0, B_R), T_q)
    dQ_i = tl.zeros([B_R, COLS_K], accumulator)

    first = i + T_k - T_q
    last = tl.minimum(i + B_R, T_q) - 1 + T_k - T_q
    position = first + tl.arange(0, B_R)
    start, whole_start, whole_stop, stop = blocks_seen(first, last, left, right, length, B_C)
    whole = whole_stop - whole_start
    dQ_i = add_to_queries(
        dQ_i, Q_i, dO_i, L_i, D_i, K_head, V_head, whole_start, whole_stop, whole_stop, 0,
        position, length, left, right, qk_scale, stride_kt, stride_kd, stride_vt, stride_vd,
        D_K, D_V, B_C, COLS_K, COLS_V, False, DESCRIBED, PRECISION, UPCAST,
    )  # fmt: skip
    dQ_i = add_to_queries(
        dQ_i, Q_i, dO_i, L_i, D_i, K_head, V_head, start, stop - whole, whole_start, whole,
        position, length, left, right, qk_scale, stride_kt, stride_kd, stride_vt, stride_vd,
        D_K, D_V, B_C, COLS_K, COLS_V, True, DESCRIBED, PRECISION, UPCAST,
    )  # fmt: skip
    dQ_head = head_of(dQ, b, h, stride_dqb, stride_dqh)
    store_tile(dQ_head, dQ_i * scale, i, T_q, stride_dqt, stride_dqd, D_K, B_R, COLS_K)
