"""Right answers of chapter 4 that differ from the solutions as much as they can.

The grader must give each of them full points: a check that turns one down is too strict.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

from minitx.cores import FullAttention, FusedAttention
from minitx.grading import right_answer
from minitx.masks import Mask
from minitx.positions import Rotary


@right_answer("04.1")
def with_an_exponential_of_logarithms(positions, d_model, base=10_000.0):
    if d_model % 2 != 0:
        raise ValueError("an odd width")
    frequencies = torch.exp(torch.arange(0, d_model, 2).double() * (-math.log(base) / d_model))
    table = torch.zeros(positions.size(0), d_model)
    table[:, 0::2] = torch.sin(positions.double().unsqueeze(1) * frequencies)
    table[:, 1::2] = torch.cos(positions.double().unsqueeze(1) * frequencies)
    return table


@right_answer("04.1")
def column_by_column(positions, d_model, base=10_000.0):
    if d_model & 1:
        raise ValueError(f"{d_model} columns cannot be paired")
    columns = []
    for j in range(d_model):
        angles = positions.double() / base ** (2 * (j // 2) / d_model)
        columns.append(torch.cos(angles) if j % 2 else torch.sin(angles))
    return torch.stack(columns, dim=1).to(torch.float32)


@right_answer("04.1")
def with_numpy(positions, d_model, base=10_000.0):
    if d_model % 2 == 1:
        raise ValueError("d_model is odd")
    angles = positions.numpy()[:, None] / np.power(base, np.arange(0, d_model, 2) / d_model)
    table = np.empty((len(angles), d_model), dtype=np.float32)
    table[:, ::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return torch.from_numpy(table)


@right_answer("04.1")
def with_a_quarter_turn_more(positions, d_model, base=10_000.0):
    if d_model % 2:
        raise ValueError(d_model)
    column = torch.arange(d_model)
    frequencies = base ** (-(column - column % 2).to(torch.float64) / d_model)
    shift = (column % 2) * math.pi / 2
    return torch.sin(positions[:, None] * frequencies + shift.double()).float()


@right_answer("04.1")
def with_complex_numbers(positions, d_model, base=10_000.0):
    if d_model % 2:
        raise ValueError("odd")
    angles = torch.outer(
        positions.double(), base ** (-torch.arange(0, d_model, 2).double() / d_model)
    )
    hands = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(hands).flip(-1).reshape(len(positions), d_model).float()


@right_answer("04.2")
def written_into_diagonals(k, d_model, base=10_000.0):
    angles = k / base ** (torch.arange(0, d_model, 2).double() / d_model)
    M = torch.diag(angles.cos().repeat_interleave(2))
    M[0::2, 1::2] += torch.diag(angles.sin())
    M[1::2, 0::2] -= torch.diag(angles.sin())
    return M.to(torch.float32)


@right_answer("04.2")
def with_an_exponential_of_a_generator(k, d_model, base=10_000.0):
    # Angles beyond a turn are brought back: the exponential of a large matrix is not exact.
    blocks = []
    for i in range(0, d_model, 2):
        a = math.remainder(k * base ** (-i / d_model), 2 * math.pi)
        blocks.append(torch.matrix_exp(torch.tensor([[0.0, a], [-a, 0.0]], dtype=torch.float64)))
    return torch.block_diag(*blocks).float()


@right_answer("04.2")
def entry_by_entry(k, d_model, base=10_000.0):
    def entry(row, column):
        if row // 2 != column // 2:
            return 0.0
        a = k * base ** (-2 * (row // 2) / d_model)
        return math.cos(a) if row == column else (1 if row < column else -1) * math.sin(a)

    return torch.tensor([[entry(r, c) for c in range(d_model)] for r in range(d_model)])


@right_answer("04.2")
def with_a_kronecker_product(k, d_model, base=10_000.0):
    angles = k * base ** (-np.arange(0, d_model, 2) / d_model)
    same, turn = np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])
    M = np.kron(np.diag(np.cos(angles)), same) + np.kron(np.diag(np.sin(angles)), turn)
    return torch.from_numpy(M).float()


@right_answer("04.2")
def solved_from_two_positions(k, d_model, base=10_000.0):
    blocks = []
    for i in range(d_model // 2):
        w = base ** (-2 * i / d_model)
        before = np.array([[0.0, math.sin(1.0)], [1.0, math.cos(1.0)]])  # angles 0 and 1
        after = np.array(
            [[math.sin(k * w), math.sin(k * w + 1)], [math.cos(k * w), math.cos(k * w + 1)]]
        )
        blocks.append(torch.from_numpy(after @ np.linalg.inv(before)))
    return torch.block_diag(*blocks).float()


@right_answer("04.3")
def with_minimum_and_maximum(T_q, T_k, max_distance):
    j, i = torch.meshgrid(torch.arange(T_k), torch.arange(T_q), indexing="xy")
    ahead = j - i - (T_k - T_q) + max_distance
    return ahead.clip(0, 2 * max_distance)


@right_answer("04.3")
def last_rows_of_the_square(T_q, T_k, max_distance):
    steps = torch.arange(T_k)
    square = steps.unsqueeze(0) - steps.unsqueeze(1)
    square = torch.where(square > max_distance, max_distance, square)
    square = torch.where(square < -max_distance, -max_distance, square)
    return (square + max_distance)[T_k - T_q :]


@right_answer("04.3")
def sliding_over_one_long_row(T_q, T_k, max_distance):
    long_row = torch.arange(-(T_k - 1), T_q).clamp(-max_distance, max_distance) + max_distance
    return torch.stack([long_row[T_q - 1 - i :][:T_k] for i in range(T_q)])


@right_answer("04.3")
def filled_in_place(T_q, T_k, max_distance):
    table = torch.zeros(T_q, T_k, dtype=torch.long)
    for i in range(T_q):
        for j in range(T_k):
            table[i, j] = sorted((-max_distance, j - i - T_k + T_q, max_distance))[1]
    return table + max_distance


@right_answer("04.3")
def with_numpy_clip(T_q, T_k, max_distance):
    distance = np.subtract.outer(np.arange(T_k - T_q, T_k), np.arange(T_k))
    return torch.from_numpy(max_distance - np.clip(distance, -max_distance, max_distance))


@right_answer("04.4")
def as_the_authors_do(num_heads, q_pos, k_pos):
    def slopes(n):
        if math.log2(n).is_integer():
            start = 2 ** (-(2 ** -(math.log2(n) - 3)))
            return [start * start**i for i in range(n)]
        below = 2 ** math.floor(math.log2(n))
        return slopes(below) + slopes(2 * below)[0::2][: n - below]

    slope = torch.tensor(slopes(num_heads)).view(num_heads, 1, 1)
    return slope * -torch.abs(k_pos[None, :] - q_pos[:, None]).unsqueeze(0)


@right_answer("04.4")
def in_float64_first(num_heads, q_pos, k_pos):
    P = 1 << (num_heads.bit_length() - 1)
    parts = [h / P for h in range(1, P + 1)] + [(h + 0.5) / P for h in range(num_heads - P)]
    slopes = torch.tensor([math.pow(256, -part) for part in parts], dtype=torch.float64)
    far = (q_pos[:, None] - k_pos).abs().double()
    return torch.einsum("h,ij->hij", -slopes, far).float()


@right_answer("04.4")
def as_powers_of_the_first_slope(num_heads, q_pos, k_pos):
    P = 2 ** int(np.log2(num_heads))
    first = 2.0 ** (-8.0 / P)
    halfway = first**0.5
    slopes = np.concatenate(
        [first ** np.arange(1, P + 1), halfway ** (2 * np.arange(num_heads - P) + 1)]
    )
    far = np.abs(np.subtract.outer(q_pos.numpy(), k_pos.numpy()))
    return torch.from_numpy(-slopes[:, None, None] * far).to(torch.float32)


@right_answer("04.4")
def head_by_head(num_heads, q_pos, k_pos):
    P = max(p for p in (1, 2, 4, 8, 16, 32, 64) if p <= num_heads)
    bias = torch.zeros(num_heads, len(q_pos), len(k_pos))
    for h in range(num_heads):
        exponent = -8 * (h + 1) / P if h < P else -4 * (2 * (h - P) + 1) / P
        for i, p in enumerate(q_pos):
            bias[h, i] = -(2**exponent) * (p - k_pos).abs()
    return bias


@right_answer("04.4")
def with_the_larger_minus_the_smaller(num_heads, q_pos, k_pos):
    P = 2 ** int(math.log2(num_heads))
    every = 2.0 ** (-8 * torch.arange(1, 2 * P + 1) / (2 * P))  # of 2P heads
    slopes = torch.cat([every[1::2], every[0::2]])[:num_heads]
    q, k = q_pos.unsqueeze(-1), k_pos.unsqueeze(0)
    far = torch.maximum(q, k) - torch.minimum(q, k)
    return torch.stack([-slope * far for slope in slopes])


@right_answer("04.5")
def with_sets_of_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    n = num_buckets // 2 if bidirectional else num_buckets
    size = distance.abs() if bidirectional else torch.relu(-distance)
    e = n // 2
    grown = torch.log2(size.double() / e) / math.log2(max_distance / e) * (n - e)
    far = torch.floor(grown).clamp(0, n - e - 1).long() + e
    result = size.clone()
    result[size >= e] = far[size >= e]
    return result + n * (distance > 0).long() if bidirectional else result


@right_answer("04.5")
def distance_by_distance(distance, num_buckets=32, max_distance=128, bidirectional=True):
    def one(d):
        if bidirectional:
            half = num_buckets // 2
            return near_or_far(abs(d), half) + (half if d > 0 else 0)
        return near_or_far(-min(d, 0), num_buckets)

    def near_or_far(d, n):
        e = n // 2
        if d < e:
            return d
        return min(n - 1, e + math.floor(math.log(d / e, max_distance / e) * (n - e)))

    flat = [one(int(d)) for d in distance.flatten()]
    return torch.tensor(flat, dtype=torch.long).view(distance.shape)


@right_answer("04.5")
def with_thresholds(distance, num_buckets=32, max_distance=128, bidirectional=True):
    n = num_buckets // 2 if bidirectional else num_buckets
    e = n // 2
    steps = torch.arange(1, n - e, dtype=torch.float64) / (n - e)
    begins = e * (max_distance / e) ** steps  # where each logarithmic bucket but the first begins
    begins = torch.cat([torch.arange(1, e + 1).double(), begins])
    size = distance.abs() if bidirectional else (-distance).clamp(min=0)
    ahead = n * (distance > 0) if bidirectional else 0
    return torch.bucketize(size.double(), begins, right=True) + ahead


@right_answer("04.5")
def with_numpy_where(distance, num_buckets=32, max_distance=128, bidirectional=True):
    d = distance.numpy()
    n = num_buckets
    first = np.zeros_like(d)
    if bidirectional:
        n = n // 2
        first = np.where(d > 0, n, 0)
        d = np.abs(d)
    else:
        d = np.maximum(-d, 0)
    e = n // 2
    logs = np.log(np.maximum(d, e) / e) / np.log(max_distance / e) * (n - e)
    far = np.minimum(e + logs.astype(np.int64), n - 1)
    return torch.from_numpy(np.asarray(first + np.where(d < e, d, far), dtype=np.int64))


@right_answer("04.5")
def as_hugging_face_does(distance, num_buckets=32, max_distance=128, bidirectional=True):
    buckets = 0
    if bidirectional:
        num_buckets //= 2
        buckets = (distance > 0).to(torch.long) * num_buckets
        distance = torch.abs(distance)
    else:
        distance = -torch.min(distance, torch.zeros_like(distance))
    max_exact = num_buckets // 2
    far = max_exact + (
        torch.log(distance.float() / max_exact)
        / math.log(max_distance / max_exact)
        * (num_buckets - max_exact)
    ).to(torch.long)
    far = torch.min(far, torch.full_like(far, num_buckets - 1))
    return buckets + torch.where(distance < max_exact, distance, far)


@right_answer("04.6")
def with_complex_pairs(x, pos, base=10_000.0):
    half = torch.arange(0, x.size(-1), 2, dtype=torch.float64)
    angles = pos.double()[:, None, :, None] * base ** (-half / x.size(-1))
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    pairs = torch.view_as_complex(wide.reshape(*x.shape[:-1], -1, 2).contiguous())
    hands = torch.polar(torch.ones_like(angles), angles).to(pairs.dtype)
    return torch.view_as_real(pairs * hands).flatten(-2).to(x.dtype)


@right_answer("04.6")
def with_a_half_turned_copy(x, pos, base=10_000.0):
    D_k = x.shape[-1]
    i = torch.arange(D_k // 2).repeat_interleave(2)
    angles = pos.unsqueeze(1).unsqueeze(-1) / base ** (2 * i.double() / D_k)
    crossed = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).reshape(x.shape)
    return x * angles.cos().to(x.dtype) + crossed * angles.sin().to(x.dtype)


@right_answer("04.6")
def with_small_matrices(x, pos, base=10_000.0):
    D_k = x.shape[-1]
    angles = pos.double()[..., None] * torch.tensor(
        [base ** (-2 * i / D_k) for i in range(D_k // 2)], dtype=torch.float64
    )
    cos, sin = angles.cos(), angles.sin()
    R = torch.stack([cos, -sin, sin, cos], dim=-1).unflatten(-1, (2, 2)).to(x.dtype)
    R = R.expand(x.shape[0], *R.shape[1:])
    pairs = x.unflatten(-1, (D_k // 2, 2))
    return torch.einsum("btirc,bhtic->bhtir", R, pairs).flatten(-2)


@right_answer("04.6")
def written_into_a_new_tensor(x, pos, base=10_000.0):
    turned = torch.empty_like(x)
    for i in range(x.shape[-1] // 2):
        theta = (pos.double() * base ** (-2 * i / x.shape[-1]))[:, None]
        cos, sin = theta.cos().to(x.dtype), theta.sin().to(x.dtype)
        turned[..., 2 * i] = x[..., 2 * i] * cos - x[..., 2 * i + 1] * sin
        turned[..., 2 * i + 1] = x[..., 2 * i] * sin + x[..., 2 * i + 1] * cos
    return turned


@right_answer("04.6")
def sentence_by_sentence_in_float64(x, pos, base=10_000.0):
    B, H, T, D_k = x.shape
    frequencies = torch.exp(-math.log(base) * torch.arange(0, D_k, 2).double() / D_k)
    rows = []
    for b in range(B):
        angles = torch.outer(pos[b % len(pos)].double(), frequencies)
        one, two = x[b].double().unflatten(-1, (-1, 2)).unbind(-1)
        row = torch.stack(
            (one * angles.cos() - two * angles.sin(), two * angles.cos() + one * angles.sin()), -1
        )
        rows.append(row.reshape(H, T, D_k))
    return torch.stack(rows).to(x.dtype)


@right_answer("04.7")
def with_a_core(q, k, v, pos, cached_k, cached_v, real, bias):
    q, k = Rotary(q.size(-1)).rotate(q, k, pos, pos)
    keys, values = torch.cat((cached_k, k), 2), torch.cat((cached_v, v), 2)
    mask = Mask(causal=True) & Mask(key_padding=real)
    return FullAttention()(q, keys, values, mask=mask, bias=bias.unsqueeze(0))


@right_answer("04.7")
def with_torch_alone(q, k, v, pos, cached_k, cached_v, real, bias):
    frequencies = 1e4 ** (-torch.arange(0, q.shape[-1], 2).double() / q.shape[-1])
    a = (pos[..., None] * frequencies)[:, None]

    def turn(x):
        one, two = x[..., ::2], x[..., 1::2]
        cos, sin = a.cos().to(x.dtype), a.sin().to(x.dtype)
        return torch.stack((one * cos - two * sin, one * sin + two * cos), -1).reshape(x.shape)

    keys, values = torch.cat([cached_k, turn(k)], 2), torch.cat([cached_v, v], 2)
    T, S = q.shape[2], cached_k.shape[2]
    allowed = torch.arange(S + T) <= torch.arange(S, S + T)[:, None]
    allowed = allowed & real[:, None, None]
    some = allowed.any(-1, keepdim=True)
    added = torch.where(allowed | ~some, bias.to(q.dtype), -math.inf)
    return F.scaled_dot_product_attention(turn(q), keys, values, attn_mask=added) * some


@right_answer("04.7")
def with_a_fused_core_and_a_table(q, k, v, pos, cached_k, cached_v, real, bias):
    T, S = q.shape[2], cached_k.shape[2]
    q, k = Rotary(q.shape[3]).rotate(q, k, pos, pos)
    table = torch.ones(T, S + T, dtype=torch.bool).tril(S) & real[:, None, None, :]
    keys, values = torch.cat([cached_k, k], dim=-2), torch.cat([cached_v, v], dim=-2)
    return FusedAttention()(q, keys, values, mask=Mask(allowed=table), bias=bias[None])


@right_answer("04.7")
def token_by_token(q, k, v, pos, cached_k, cached_v, real, bias):
    q, k = Rotary(q.shape[-1]).rotate(q, k, pos, pos)
    outputs = []
    for i in range(q.shape[2]):
        end = cached_k.shape[2] + i + 1
        keys = torch.cat([cached_k, k[:, :, : i + 1]], dim=2)
        values = torch.cat([cached_v, v[:, :, : i + 1]], dim=2)
        scores = torch.einsum("bhd,bhjd->bhj", q[:, :, i], keys) / q.shape[-1] ** 0.5
        scores = scores + bias[None, :, i, :end]
        may = real[:, None, :end]
        exponentials = torch.exp(scores - scores.detach().amax(-1, keepdim=True)) * may
        total = exponentials.sum(-1, keepdim=True)
        weights = exponentials / torch.where(total > 0, total, 1)
        outputs.append(torch.einsum("bhj,bhjd->bhd", weights, values))
    return torch.stack(outputs, dim=2)


@right_answer("04.7")
def turned_one_after_the_other(q, k, v, pos, cached_k, cached_v, real, bias):
    turn = Rotary(q.shape[-1])
    turned_q, _ = turn.rotate(q, q, pos, pos)
    turned_k, _ = turn.rotate(k, k, pos, pos)
    keys = torch.cat([cached_k, turned_k], dim=2)
    scores = turned_q.matmul(keys.transpose(2, 3)) * q.shape[-1] ** -0.5 + bias
    ahead = torch.ones(scores.shape[-2:]).triu(1 + cached_k.shape[2]).bool()
    forbidden = ahead | ~real.view(len(real), 1, 1, -1)
    weights = scores.masked_fill(forbidden, -math.inf).softmax(-1)
    weights = weights.masked_fill(forbidden, 0.0)  # the way back leaves filled places out
    return weights @ torch.cat([cached_v, v], dim=2)


@right_answer("04.8")
def the_vectors_added_to_the_keys(q, k, v, table):
    T_q, T_k, m = q.shape[2], k.shape[2], (table.shape[0] - 1) // 2
    j, i = torch.arange(T_k), torch.arange(T_q) + T_k - T_q
    a = table[torch.clamp(j[None] - i[:, None], -m, m) + m]
    scores = (q[:, :, :, None] * (k[:, :, None] + a)).sum(-1) * q.size(-1) ** -0.5
    return F.softmax(scores, dim=-1) @ v


@right_answer("04.8")
def as_a_bias_of_torchs_own(q, k, v, table):
    m, T_k = len(table) // 2, k.shape[-2]
    square = torch.arange(T_k)[None] - torch.arange(T_k)[:, None]
    rows = (square + m).clamp(0, 2 * m)[T_k - q.shape[-2] :]
    bias = torch.einsum("bhid,ijd->bhij", q / math.sqrt(q.shape[-1]), table[rows])
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


@right_answer("04.8")
def with_a_one_hot_choice(q, k, v, table):
    m, T_q, T_k = len(table) // 2, q.shape[2], k.shape[2]
    distance = torch.arange(T_k) - torch.arange(T_k - T_q, T_k).unsqueeze(1)
    chosen = F.one_hot(distance.clamp(min=-m, max=m) + m, 2 * m + 1).to(q.dtype)
    relative = torch.einsum("bhiw,ijw->bhij", q @ table.mT, chosen)
    scores = torch.einsum("bhid,bhjd->bhij", q, k) + relative
    return (scores / math.sqrt(k.size(-1))).softmax(-1).matmul(v)


@right_answer("04.8")
def query_by_query(q, k, v, table):
    m, T_q, T_k = len(table) // 2, q.shape[2], k.shape[2]
    outputs = []
    for i in range(T_q):
        here = T_k - T_q + i
        rows = [min(max(j - here, -m), m) + m for j in range(T_k)]
        scores = (q[:, :, i : i + 1] @ (k + table[rows]).mT) / math.sqrt(q.shape[-1])
        outputs.append(scores.softmax(dim=-1) @ v)
    return torch.cat(outputs, dim=2)


@right_answer("04.8")
def with_logarithms(q, k, v, table):
    m, T_k = len(table) // 2, k.shape[2]
    q = q / q.shape[-1] ** 0.5
    rows = (torch.arange(T_k) - torch.arange(T_k)[-q.shape[2] :, None]).clamp(-m, m) + m
    scores = q @ k.mT
    for w in range(len(table)):
        scores = scores + (rows == w) * (q @ table[w])[..., None]
    return (scores - scores.logsumexp(-1, keepdim=True)).exp() @ v
