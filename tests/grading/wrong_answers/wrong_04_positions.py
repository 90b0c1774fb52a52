"""Wrong answers to chapter 4, written without the bank: each says what is wrong in truth."""
# mypy: ignore-errors

import math

import torch

from minitx import functional
from minitx.masks import Mask
from minitx.positions import Rotary


@wrong("04.1")
def loop_indexes_by_position(positions, d_model, base=10_000.0):
    """Table[p, ..] uses the position itself as row number, not the row where it stands in
    `positions`.
    """
    if d_model % 2:
        raise ValueError(f"d_model must be even, got {d_model}")
    table = torch.zeros(len(positions), d_model)
    for p in positions.tolist():
        for i in range(d_model // 2):
            angle = p * base ** (-2 * i / d_model)
            table[p, 2 * i] = math.sin(angle)
            table[p, 2 * i + 1] = math.cos(angle)
    return table


@wrong("04.1")
def floor_division_in_exponent(positions, d_model, base=10_000.0):
    """-2 * i // d_model is a whole number: the exponent is 0 or -1 (floor), never a fraction."""
    if d_model % 2 != 0:
        raise ValueError("d_model must be even")
    table = torch.zeros(len(positions), d_model)
    for row, p in enumerate(positions):
        for i in range(d_model // 2):
            angle = p.item() * base ** (-2 * i // d_model)
            table[row, 2 * i] = math.sin(angle)
            table[row, 2 * i + 1] = math.cos(angle)
    return table


@wrong("04.1")
def precedence_power(positions, d_model, base=10_000.0):
    """Base ** -2 * i / d_model is (base**-2) * i / d_model: brackets around the exponent are
    missing.
    """
    if d_model % 2:
        raise ValueError("odd d_model cannot be cut into pairs")
    i = torch.arange(d_model // 2, dtype=torch.float64)
    omega = base**-2 * i / d_model
    angles = positions[:, None].double() * omega
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@wrong("04.1")
def frequencies_from_float32(positions, d_model, base=10_000.0):
    """Arange(0, C, 2) / d_model is float32, so the frequencies have 7 digits although the angles
    are then multiplied in float64.
    """
    if d_model % 2:
        raise ValueError("d_model must be even")
    omega = base ** (-torch.arange(0, d_model, 2) / d_model)
    angles = positions.double()[:, None] * omega.double()[None, :]
    table = torch.empty(positions.shape[0], d_model)
    table[:, 0::2] = angles.sin().float()
    table[:, 1::2] = angles.cos().float()
    return table


@wrong("04.1")
def tensor2tensor_timescales(positions, d_model, base=10_000.0):
    """Divides by number of pairs minus one (tensor2tensor's log_timescale_increment), so the
    slowest pair has frequency 1/base.
    """
    if d_model % 2:
        raise ValueError("d_model must be even")
    num_timescales = d_model // 2
    log_timescale_increment = math.log(base) / max(num_timescales - 1, 1)
    inv_timescales = torch.exp(
        torch.arange(num_timescales, dtype=torch.float64) * -log_timescale_increment
    )
    scaled_time = positions[:, None].double() * inv_timescales[None]
    return torch.stack([scaled_time.sin(), scaled_time.cos()], dim=2).flatten(1).float()


@wrong("04.1")
def repeat_instead_of_repeat_interleave(positions, d_model, base=10_000.0):
    """Angles.repeat(1, 2) tiles the angles, so column c gets angle c mod C/2 rather than c // 2."""
    if d_model % 2:
        raise ValueError("d_model must be even")
    omega = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angles = (positions[:, None] * omega).repeat(1, 2)
    even = torch.arange(d_model) % 2 == 0
    return torch.where(even, angles.sin(), angles.cos()).float()


@wrong("04.2")
def sine_slice_without_diagonal(k, d_model, base=10_000.0):
    """M[0::2, 1::2] = sin fills every row of the slice, not its diagonal."""
    angle = k * base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    M = torch.zeros(d_model, d_model)
    M[0::2, 0::2] = torch.diag(angle.cos()).float()
    M[1::2, 1::2] = torch.diag(angle.cos()).float()
    M[0::2, 1::2] = angle.sin().float()
    M[1::2, 0::2] = -angle.sin().float()
    return M


@wrong("04.2")
def repeated_steps_for_negative_k(k, d_model, base=10_000.0):
    """Multiplies the step of one k times: range(k) is empty for a negative k, so the identity
    comes back.
    """
    step = torch.zeros(d_model, d_model, dtype=torch.float64)
    for i in range(d_model // 2):
        w = base ** (-2 * i / d_model)
        step[2 * i, 2 * i] = step[2 * i + 1, 2 * i + 1] = math.cos(w)
        step[2 * i, 2 * i + 1] = math.sin(w)
        step[2 * i + 1, 2 * i] = -math.sin(w)
    M = torch.eye(d_model, dtype=torch.float64)
    for _ in range(k):
        M = step @ M
    return M.float()


@wrong("04.2")
def negative_k_not_transposed(k, d_model, base=10_000.0):
    """For negative k the matrix of -k is returned, the transposition has been forgotten."""
    if k < 0:
        return negative_k_not_transposed(-k, d_model, base)
    M = torch.zeros(d_model, d_model)
    for i in range(d_model // 2):
        theta = k * base ** (-2 * i / d_model)
        c, s = math.cos(theta), math.sin(theta)
        M[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor([[c, s], [-s, c]])
    return M


@wrong("04.2")
def lstsq_of_the_chapter(k, d_model, base=10_000.0):
    """Least squares as in the chapter: its matrix multiplies rows (is the transpose), and
    pe[:-k] is empty for k = 0 and wrong for negative k.
    """
    pe = Sinusoidal(d_model, base=base).table(torch.arange(1000))
    return torch.linalg.lstsq(pe[:-k], pe[k:]).solution.float()


@wrong("04.2")
def superdiagonal_between_pairs(k, d_model, base=10_000.0):
    """The super- and subdiagonal are filled without gaps, also between one pair and the next."""
    theta = k * base ** (-torch.arange(0, d_model, 2).double() / d_model)
    cos = theta.cos().repeat_interleave(2)
    sin = theta.sin().repeat_interleave(2)
    M = torch.diag(cos) + torch.diag(sin[:-1], 1) - torch.diag(sin[:-1], -1)
    return M.float()


@wrong("04.2")
def one_block_for_all(k, d_model, base=10_000.0):
    """Torch.kron repeats the block of the first frequency for every pair."""
    block = torch.tensor([[math.cos(k), math.sin(k)], [-math.sin(k), math.cos(k)]])
    return torch.kron(torch.eye(d_model // 2), block)


@wrong("04.3")
def last_but_one_queries(T_q, T_k, max_distance):
    """Slice [-T_q - 1:-1] takes the queries one position too early (and too few where T_q =
    T_k).
    """
    k_pos = torch.arange(T_k)
    q_pos = k_pos[-T_q - 1 : -1]
    d = k_pos[None, :] - q_pos[:, None]
    return d.clamp(-max_distance, max_distance) + max_distance


@wrong("04.3")
def modulo_instead_of_clip(T_q, T_k, max_distance):
    """Wraps far distances round with % rather than clipping them."""
    m = max_distance
    i = torch.arange(T_q)[:, None] + T_k - T_q
    j = torch.arange(T_k)[None, :]
    return (j - i + m) % (2 * m + 1)


@wrong("04.3")
def clamp_upper_exclusive(T_q, T_k, max_distance):
    """Clamps to m - 1 as if the upper end did not count."""
    m = max_distance
    i = torch.arange(T_k - T_q, T_k).unsqueeze(1)
    j = torch.arange(T_k).unsqueeze(0)
    return torch.clamp(j - i, -m, m - 1) + m


@wrong("04.3")
def where_misses_minus(T_q, T_k, max_distance):
    """The second where asks d < m, not d < -m: everything below m becomes -m."""
    m = max_distance
    d = torch.arange(T_k)[None, :] - torch.arange(T_k - T_q, T_k)[:, None]
    d = torch.where(d > m, m, d)
    d = torch.where(d < m, -m, d)
    return d + m


@wrong("04.3")
def roll_wraps(T_q, T_k, max_distance):
    """Each row is the row before rolled by one: what leaves at the right comes in again at the
    left.
    """
    m = max_distance
    row = torch.arange(T_k) - (T_k - T_q)
    row = row.clamp(-m, m) + m
    return torch.stack([torch.roll(row, i) for i in range(T_q)])


@wrong("04.3")
def meshgrid_xy(T_q, T_k, max_distance):
    """Meshgrid with indexing="xy" gives (T_k, T_q): the table is transposed."""
    q_pos = torch.arange(T_k - T_q, T_k)
    k_pos = torch.arange(T_k)
    q, k = torch.meshgrid(q_pos, k_pos, indexing="xy")
    return (k - q).clamp(-max_distance, max_distance) + max_distance


@wrong("04.4")
def extra_slopes_consecutive(num_heads, q_pos, k_pos):
    """(after BLOOM's code) extra powers 1, 2, 3 ... of the double's ratio rather than 1, 3, 5."""
    closest = 2 ** math.floor(math.log2(num_heads))
    base = 2.0 ** (-(2.0 ** -(math.log2(closest) - 3)))
    slopes = base ** torch.arange(1, 1 + closest)
    if closest != num_heads:
        extra_base = 2.0 ** (-(2.0 ** -(math.log2(2 * closest) - 3)))
        remaining = min(closest, num_heads - closest)
        extra = extra_base ** torch.arange(1, 1 + remaining)
        slopes = torch.cat([slopes, extra])
    distance = (k_pos[None, :] - q_pos[:, None]).abs()
    return -slopes[:, None, None] * distance


@wrong("04.4")
def slopes_sorted(num_heads, q_pos, k_pos):
    """The slopes are sorted at the end, steep heads first, when H is no power of two."""

    def power(n):
        return [2.0 ** (-8.0 * h / n) for h in range(1, n + 1)]

    P = 1
    while num_heads >= P * 2:
        P *= 2
    slopes = power(P) + power(2 * P)[0::2][: num_heads - P]
    slopes = torch.tensor(sorted(slopes, reverse=True))
    return -slopes.view(-1, 1, 1) * (k_pos - q_pos[:, None]).abs()


@wrong("04.4")
def power_above(num_heads, q_pos, k_pos):
    """Takes the power of two above H (ceil) and its first H slopes."""
    P = 2 ** math.ceil(math.log2(num_heads))
    slopes = 2.0 ** (-8 * torch.arange(1, P + 1) / P)
    slopes = slopes[:num_heads]
    return -slopes[:, None, None] * (q_pos[:, None] - k_pos[None, :]).abs()


@wrong("04.4")
def keys_ahead_free(num_heads, q_pos, k_pos):
    """Clamps the signed distance at 0: keys ahead get no fine."""
    P = 2 ** int(math.log2(num_heads))
    slopes = [2 ** (-8 * h / P) for h in range(1, P + 1)]
    slopes += [2 ** (-8 * h / (2 * P)) for h in range(1, 2 * P + 1, 2)][: num_heads - P]
    distance = (k_pos[None, :] - q_pos[:, None]).clamp(max=0)
    return torch.tensor(slopes)[:, None, None] * distance


@wrong("04.4")
def key_position_only(num_heads, q_pos, k_pos):
    """BLOOM's shortcut: slope times key position (the same after a softmax, another bias)."""
    P = 2 ** int(math.log2(num_heads))
    slopes = [2 ** (-8 * h / P) for h in range(1, P + 1)]
    slopes += [2 ** (-4 * h / P) for h in range(1, 2 * P + 1, 2)][: num_heads - P]
    slopes = torch.tensor(slopes)
    bias = slopes[:, None, None] * k_pos[None, None, :]
    return bias.expand(num_heads, len(q_pos), len(k_pos))


@wrong("04.4")
def causal_mask_put_in(num_heads, q_pos, k_pos):
    """Keys ahead are filled with -inf, a causal mask that nobody asked for."""
    P = 2 ** int(math.log2(num_heads))
    slopes = 2.0 ** (-8.0 * torch.arange(1, P + 1) / P)
    more = 2.0 ** (-4.0 * torch.arange(1, 2 * P + 1, 2) / P)
    slopes = torch.cat([slopes, more[: num_heads - P]])
    relative = k_pos[None, :] - q_pos[:, None]
    bias = slopes[:, None, None] * relative
    return bias.masked_fill(relative > 0, float("-inf"))


@wrong("04.5")
def rounded(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """Rounds the logarithmic bucket to the nearest whole number rather than down."""
    n = num_buckets
    ahead = torch.zeros_like(distance)
    if bidirectional:
        n = num_buckets // 2
        ahead = (distance > 0).long() * n
        d = distance.abs()
    else:
        d = (-distance).clamp(min=0)
    e = n // 2
    log = torch.log(d.clamp(min=1).double() / e) / math.log(max_distance / e) * (n - e)
    far = (e + log.round().long()).clamp(max=n - 1)
    return ahead + torch.where(d < e, d, far)


@wrong("04.5")
def e_from_all_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """E = num_buckets // 4 in both modes: right with two directions, half of what it should be
    with one.
    """
    e = num_buckets // 4
    if bidirectional:
        n = num_buckets // 2
        start = torch.where(distance > 0, n, 0)
        d = distance.abs()
    else:
        n = num_buckets
        start = 0
        d = torch.clamp(-distance, min=0)
    ratio = torch.log(d.clamp(min=1).double() / e) / math.log(max_distance / e)
    far = torch.clamp(e + (ratio * (n - e)).floor().long(), max=n - 1)
    return start + torch.where(d < e, d, far)


@wrong("04.5")
def floor_before_multiplying(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """The quotient of logarithms is made whole before it is multiplied by n - e."""
    bucket = torch.zeros_like(distance)
    n = num_buckets
    if bidirectional:
        n //= 2
        bucket = bucket + (distance > 0).long() * n
        distance = distance.abs()
    else:
        distance = -torch.min(distance, torch.zeros_like(distance))
    e = n // 2
    large = e + (torch.log(distance.clamp(min=1) / e) / math.log(max_distance / e)).long() * (n - e)
    large = torch.min(large, torch.full_like(large, n - 1))
    return bucket + torch.where(distance < e, distance, large)


@wrong("04.5")
def cap_at_num_buckets(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """The last bucket is min(.., num_buckets - 1), not n - 1: with two directions far keys
    behind run into the other half.
    """
    n = num_buckets // 2 if bidirectional else num_buckets
    d = distance.abs() if bidirectional else (-distance).clamp(min=0)
    e = n // 2
    x = (d.double().clamp(min=e) / e).log() / math.log(max_distance / e)
    far = (e + (x * (n - e)).long()).clamp(max=num_buckets - 1)
    out = torch.where(d < e, d, far)
    if bidirectional:
        out = torch.where(distance > 0, out + n, out)
    return out


@wrong("04.5")
def floor_division_in_log(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """D // e inside the logarithm loses the fraction of d / e."""
    out = []
    for x in distance.flatten().tolist():
        n, offset = num_buckets, 0
        if bidirectional:
            n = num_buckets // 2
            if x > 0:
                offset = n
            d = abs(x)
        else:
            d = max(0, -x)
        e = n // 2
        if d < e:
            bucket = d
        else:
            bucket = e + int(math.log(d // e) / math.log(max_distance // e) * (n - e))
            bucket = min(bucket, n - 1)
        out.append(bucket + offset)
    return torch.tensor(out).reshape(distance.shape)


@wrong("04.5")
def stays_flat(distance, num_buckets=32, max_distance=128, bidirectional=True):
    """Flattened at first and never reshaped: the result is one-dimensional."""
    result = []
    for d in distance.flatten():
        d = int(d)
        n = num_buckets // 2 if bidirectional else num_buckets
        ahead = n if bidirectional and d > 0 else 0
        d = abs(d) if bidirectional else max(-d, 0)
        e = n // 2
        if d >= e:
            d = min(e + math.floor(math.log(d / e) / math.log(max_distance / e) * (n - e)), n - 1)
        result.append(ahead + d)
    return torch.tensor(result)


@wrong("04.6")
def neox_angles_gptj_halves(x, pos, base=10_000.0):
    """Neighbours are swapped (GPT-J), the angles are laid out for halves (GPT-NeoX, cat of freqs
    twice).
    """
    D = x.shape[-1]
    inv_freq = 1.0 / (base ** (torch.arange(0, D, 2).double() / D))
    freqs = pos[:, None, :, None].double() * inv_freq
    emb = torch.cat((freqs, freqs), dim=-1)
    cos, sin = emb.cos().to(x.dtype), emb.sin().to(x.dtype)
    x1, x2 = x[..., ::2], x[..., 1::2]
    turned = torch.stack((-x2, x1), dim=-1).flatten(-2)
    return x * cos + turned * sin


@wrong("04.6")
def stack_on_axis_before_last(x, pos, base=10_000.0):
    """The partner vector is stacked along axis -2 and flattened, so its halves do not take
    turns.
    """
    D = x.shape[-1]
    theta = pos[:, None, :, None].double() * base ** (-torch.arange(0, D, 2).double() / D)
    theta = theta.repeat_interleave(2, dim=-1)
    cos, sin = theta.cos().to(x.dtype), theta.sin().to(x.dtype)
    partner = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-2).flatten(-2)
    return x * cos + partner * sin


@wrong("04.6")
def overwrites_what_it_still_needs(x, pos, base=10_000.0):
    """The second line uses y[..., 0::2], which the first has already turned."""
    D = x.shape[-1]
    theta = pos[:, None, :, None].double() * base ** (-torch.arange(0, D, 2).double() / D)
    cos, sin = theta.cos().to(x.dtype), theta.sin().to(x.dtype)
    y = x.clone()
    y[..., 0::2] = y[..., 0::2] * cos - y[..., 1::2] * sin
    y[..., 1::2] = y[..., 0::2] * sin + y[..., 1::2] * cos
    return y


@wrong("04.6")
def first_sentence_for_all(x, pos, base=10_000.0):
    """Pos[0] is used for every sentence."""
    _B, _H, T, D = x.shape
    out = torch.empty_like(x)
    for t in range(T):
        for i in range(D // 2):
            theta = float(pos[0, t]) * base ** (-2 * i / D)
            c, s = math.cos(theta), math.sin(theta)
            a, b = x[:, :, t, 2 * i], x[:, :, t, 2 * i + 1]
            out[:, :, t, 2 * i] = a * c - b * s
            out[:, :, t, 2 * i + 1] = a * s + b * c
    return out


@wrong("04.6")
def angles_in_dtype_of_x(x, pos, base=10_000.0):
    """Positions and frequencies are turned into the dtype of x before they are multiplied."""
    D = x.shape[-1]
    inv_freq = (base ** (-torch.arange(0, D, 2).double() / D)).to(x.dtype)
    theta = pos.to(x.dtype)[:, None, :, None] * inv_freq
    a, b = x[..., 0::2], x[..., 1::2]
    y = torch.stack([a * theta.cos() - b * theta.sin(), a * theta.sin() + b * theta.cos()], -1)
    return y.flatten(-2)


@wrong("04.6")
def llama_layout_BTHD(x, pos, base=10_000.0):
    """Pos gets its axes for (B, T, H, D) as in Llama's own code, but x is (B, H, T, D)."""
    D = x.shape[-1]
    freqs = 1.0 / (base ** (torch.arange(0, D, 2).double() / D))
    theta = pos[:, :, None, None].double() * freqs
    cis = torch.polar(torch.ones_like(theta), theta)
    pairs = torch.view_as_complex(x.double().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * cis).flatten(-2).to(x.dtype)


@wrong("04.7")
def rotary_of_heads(q, k, v, pos, cached_k, cached_v, real, bias):
    """Rotary is made for the number of heads, q.shape[1], not for D_k."""
    _B, D_k, _T, _H = q.shape
    q, k = Rotary(D_k).rotate(q, k, pos, pos)
    k = torch.cat([cached_k, k], dim=2)
    v = torch.cat([cached_v, v], dim=2)
    mask = Mask(causal=True, key_padding=real)
    return functional.scaled_dot_product_attention(q, k, v, mask=mask, bias=bias[None])


@wrong("04.7")
def triu_off_by_one(q, k, v, pos, cached_k, cached_v, real, bias):
    """Triu(diagonal=S) forbids column S + i as well: no new token sees itself."""
    S, T = cached_k.shape[2], q.shape[2]
    q, k = Rotary(q.shape[-1]).rotate(q, k, pos, pos)
    keys = torch.cat([cached_k, k], dim=-2)
    values = torch.cat([cached_v, v], dim=-2)
    scores = q @ keys.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    ahead = torch.ones(T, S + T).triu(diagonal=S).bool()
    scores = scores.masked_fill(ahead | ~real[:, None, None, :], float("-inf"))
    return scores.softmax(dim=-1).nan_to_num(0.0) @ values


@wrong("04.7")
def cache_never_padded(q, k, v, pos, cached_k, cached_v, real, bias):
    """Takes for granted that the cache holds words only: real is used for the new columns alone."""
    S = cached_k.shape[2]
    q, k = Rotary(q.size(-1)).rotate(q, k, pos, pos)
    k = torch.cat([cached_k, k], dim=2)
    v = torch.cat([cached_v, v], dim=2)
    real = torch.cat([torch.ones_like(real[:, :S]), real[:, S:]], dim=1)
    return functional.scaled_dot_product_attention(
        q, k, v, mask=Mask(causal=True, key_padding=real), bias=bias[None]
    )


@wrong("04.7")
def new_before_cache(q, k, v, pos, cached_k, cached_v, real, bias):
    """Cat([new, cache]): the columns are in another order than bias, real and the causal rule
    suppose.
    """
    q, k = Rotary(q.shape[-1]).rotate(q, k, pos, pos)
    k = torch.cat((k, cached_k), dim=2)
    v = torch.cat((v, cached_v), dim=2)
    mask = Mask(causal=True, key_padding=real)
    return functional.scaled_dot_product_attention(q, k, v, mask=mask, bias=bias.unsqueeze(0))


@wrong("04.7")
def cat_on_heads_axis(q, k, v, pos, cached_k, cached_v, real, bias):
    """Cat along axis 1 (a habit from (B, T, H, D)): cache and new become more heads."""
    q, k = Rotary(q.shape[-1]).rotate(q, k, pos, pos)
    k = torch.cat([cached_k, k], dim=1)
    v = torch.cat([cached_v, v], dim=1)
    mask = Mask(causal=True, key_padding=real)
    return functional.scaled_dot_product_attention(q, k, v, mask=mask, bias=bias[None])


@wrong("04.7")
def pos_plus_cache_length(q, k, v, pos, cached_k, cached_v, real, bias):
    """Adds the cache's length to pos, which holds it already."""
    S = cached_k.shape[2]
    q, k = Rotary(q.shape[-1]).rotate(q, k, pos + S, pos + S)
    k = torch.cat([cached_k, k], dim=2)
    v = torch.cat([cached_v, v], dim=2)
    return functional.scaled_dot_product_attention(
        q, k, v, mask=Mask(causal=True, key_padding=real), bias=bias[None]
    )


@wrong("04.8")
def only_table_part_divided(q, k, v, table):
    """Only q·a is divided by the root, q·k is not any more."""
    m = table.shape[0] // 2
    T_q, T_k = q.shape[2], k.shape[2]
    i = torch.arange(T_k - T_q, T_k)[:, None]
    j = torch.arange(T_k)
    vectors = table[(j - i).clamp(-m, m) + m]
    scores = q @ k.transpose(-2, -1)
    scores = scores + torch.einsum("bhid,ijd->bhij", q, vectors) / math.sqrt(q.shape[-1])
    return scores.softmax(dim=-1) @ v


@wrong("04.8")
def key_with_vector(q, k, v, table):
    """Compares the vectors with the keys, k·a, not with the queries."""
    m = table.shape[0] // 2
    i = torch.arange(q.shape[2])[:, None] + k.shape[2] - q.shape[2]
    j = torch.arange(k.shape[2])
    vectors = table[(j - i).clamp(-m, m) + m]
    scores = q @ k.transpose(-2, -1) + torch.einsum("bhjd,ijd->bhij", k, vectors)
    return (scores / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v


@wrong("04.8")
def index_without_column(q, k, v, table):
    """Rel[:, :, arange(T_q), rows]: the row numbers lack an axis, so entry (i, j) reads query j
    (and fails if T_q and T_k differ).
    """
    m = table.shape[0] // 2
    T_q, T_k = q.shape[2], k.shape[2]
    rows = (torch.arange(T_k) - torch.arange(T_k - T_q, T_k)[:, None]).clamp(-m, m) + m
    rel = q @ table.T
    rel = rel[:, :, torch.arange(T_q), rows]
    scores = (q @ k.transpose(-2, -1) + rel) / math.sqrt(q.shape[-1])
    return scores.softmax(-1) @ v


@wrong("04.8")
def absolute_distance(q, k, v, table):
    """Avoids negative row numbers by abs(): keys behind and ahead share rows 0 to m."""
    m = table.shape[0] // 2
    i = torch.arange(q.shape[2])[:, None] + (k.shape[2] - q.shape[2])
    j = torch.arange(k.shape[2])
    vectors = table[(j - i).abs().clamp(max=m)]
    scores = q @ k.transpose(-2, -1)
    scores = scores + torch.einsum("bhid,ijd->bhij", q, vectors)
    return (scores / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v


@wrong("04.8")
def m_rounded_up(q, k, v, table):
    """M = (W + 1) // 2 is one too many: rows are shifted by one, and row 2m does not exist."""
    m = (table.shape[0] + 1) // 2
    i = torch.arange(q.shape[2])[:, None] + (k.shape[2] - q.shape[2])
    j = torch.arange(k.shape[2])
    rows = (j - i).clamp(-m, m) + m
    scores = q @ k.transpose(-2, -1) + torch.einsum("bhid,ijd->bhij", q, table[rows])
    return (scores / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v


@wrong("04.8")
def shift_inside_the_clip(q, k, v, table):
    """Shifted first, then clipped to -m .. m: everything from distance 0 on gets row m, and far
    keys behind count from the end.
    """
    m = table.shape[0] // 2
    offset = k.shape[2] - q.shape[2]
    i = torch.arange(q.shape[2])[:, None] + offset
    j = torch.arange(k.shape[2])
    vectors = table[(j - i + m).clamp(-m, m)]
    scores = q @ k.transpose(-2, -1) + torch.einsum("bhid,ijd->bhij", q, vectors)
    scores = scores / math.sqrt(q.shape[-1])
    return scores.softmax(dim=-1) @ v
