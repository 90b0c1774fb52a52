"""Right answers of chapter 2 that differ from the solutions as much as they can.

The grader must give each of them full points: a check that turns one down is too strict.
"""

import math

import torch
from torch.nn import functional as F

from minitx import functional
from minitx.grading import right_answer


@right_answer("02.1")
def with_sums_of_products(x, W_q, W_k, W_v):
    return tuple((x.unsqueeze(-1) * W).sum(-2) for W in (W_q, W_k, W_v))


@right_answer("02.1")
def with_einsum(x, W_q, W_k, W_v):
    return [torch.einsum("btc,cd->btd", x, W) for W in (W_q, W_k, W_v)]


@right_answer("02.1")
def with_linear_layers(x, W_q, W_k, W_v):
    return F.linear(x, W_q.T), F.linear(x, W_k.mT), F.linear(x, W_v.transpose(0, 1))


@right_answer("02.1")
def with_one_fused_product(x, W_q, W_k, W_v):
    widths = [W.shape[1] for W in (W_q, W_k, W_v)]
    return torch.cat([W_q, W_k, W_v], dim=1).T.matmul(x.mT).mT.split(widths, dim=-1)


@right_answer("02.1")
def with_loops(x, W_q, W_k, W_v):
    results = []
    for W in (W_q, W_k, W_v):
        sentences = []
        for sentence in x:
            sentences.append(torch.stack([token @ W for token in sentence]))
        results.append(torch.stack(sentences))
    q, k, v = results
    return q, k, v


@right_answer("02.2")
def with_scaled_queries(q, k):
    return (q * q.size(-1) ** -0.5).matmul(k.mT)


@right_answer("02.2")
def scaled_on_both_sides(q, k):
    fourth_root = q.shape[-1] ** 0.25
    return torch.einsum("...id,...jd->...ij", q / fourth_root, k / fourth_root)


@right_answer("02.2")
def with_broadcast_products(q, k):
    products = q[..., :, None, :] * k[..., None, :, :]
    return products.sum(dim=-1) / torch.sqrt(torch.tensor(float(q.shape[-1])))


@right_answer("02.2")
def query_by_query(q, k):
    columns = []
    for j in range(k.shape[-2]):
        columns.append((q * k[..., j : j + 1, :]).sum(-1) / math.sqrt(k.shape[-1]))
    return torch.stack(columns, dim=-1)


@right_answer("02.2")
def filled_entry_by_entry(q, k):
    *leading, T_q, D_k = q.shape
    T_k = k.shape[-2]
    scores = q.new_zeros(*leading, T_q, T_k)
    for i in range(T_q):
        for j in range(T_k):
            scores[..., i, j] = (q[..., i, :] * k[..., j, :]).sum(-1) / D_k**0.5
    return scores


@right_answer("02.3")
def with_infinities_kept_out_of_empty_rows(scores, allowed):
    some = allowed.any(dim=-1, keepdim=True)
    masked = scores.masked_fill(~allowed & some, -math.inf)
    return torch.softmax(masked, dim=-1) * some


@right_answer("02.3")
def with_exponentials_and_a_safe_divisor(scores, allowed):
    lowest = torch.finfo(scores.dtype).min
    largest = torch.where(allowed, scores, lowest).amax(-1, keepdim=True).detach()
    shifted = torch.where(allowed, scores - largest, 0)
    exponentials = torch.where(allowed, shifted.exp(), 0)
    total = exponentials.sum(-1, keepdim=True)
    return exponentials / torch.where(total > 0, total, 1)


@right_answer("02.3")
def with_log_sum_exp(scores, allowed):
    table = allowed.expand_as(scores)
    some = table.any(-1, keepdim=True)
    masked = scores.where(table | ~some, torch.tensor(-math.inf, dtype=scores.dtype))
    log_weights = masked - masked.logsumexp(dim=-1, keepdim=True)
    return log_weights.exp().where(some, torch.zeros((), dtype=scores.dtype))


@right_answer("02.3")
def row_by_row(scores, allowed):
    T_k = scores.shape[-1]
    rows = scores.reshape(-1, T_k)
    tables = torch.broadcast_to(allowed, scores.shape).reshape(-1, T_k)
    weights = []
    for row, may in zip(rows, tables, strict=True):
        if not may.any():
            weights.append(row * 0)
            continue
        seen = F.softmax(row[may], dim=0)
        weights.append(torch.zeros_like(row).masked_scatter(may, seen))
    return torch.stack(weights).reshape(scores.shape)


@right_answer("02.3")
def with_nan_covered_after_masked_fill(scores, allowed):
    return scores.masked_fill(~allowed, -math.inf).softmax(-1).nan_to_num(0.0)


@right_answer("02.3")
def with_where_and_log_softmax(scores, allowed):
    low = torch.tensor(torch.finfo(scores.dtype).min, dtype=scores.dtype)
    weights = F.log_softmax(torch.where(allowed, scores, low), dim=-1).exp()
    return torch.where(allowed, weights, torch.zeros_like(weights))


@right_answer("02.4")
def with_tril(T_q, T_k):
    return torch.ones(T_q, T_k, dtype=torch.bool).tril(diagonal=T_k - T_q)


@right_answer("02.4")
def with_triu_turned_over(T_q, T_k):
    return ~torch.triu(torch.ones(T_q, T_k), diagonal=T_k - T_q + 1).bool()


@right_answer("02.4")
def with_two_loops(T_q, T_k):
    mask = torch.zeros(T_q, T_k, dtype=torch.bool)
    for i in range(T_q):
        for j in range(T_k):
            mask[i, j] = j <= i + T_k - T_q
    return mask


@right_answer("02.4")
def cut_from_a_large_square(T_q, T_k):
    n = max(T_q, T_k)
    return torch.tensor([[j <= i for j in range(n)] for i in range(n)])[n - T_q :, n - T_k :]


@right_answer("02.4")
def from_differences(T_q, T_k):
    ahead = torch.arange(T_k).unsqueeze(0) - torch.arange(T_q).unsqueeze(1)
    return (ahead - (T_k - T_q)).le(0)


@right_answer("02.5")
def with_slices(lengths, max_len):
    mask = torch.zeros(len(lengths), max_len, dtype=torch.bool)
    for b, length in enumerate(lengths.tolist()):
        mask[b, :length] = True
    return mask


@right_answer("02.5")
def with_cumulative_ones(lengths, max_len):
    positions = torch.ones(lengths.shape[0], max_len).cumsum(dim=1)
    return positions <= lengths.unsqueeze(1)


@right_answer("02.5")
def turned_round_twice(lengths, max_len):
    return (torch.arange(max_len)[:, None] < lengths[None, :]).T


@right_answer("02.5")
def from_nested_lists(lengths, max_len):
    return torch.tensor([[t < int(length) for t in range(max_len)] for length in lengths])


@right_answer("02.5")
def with_lower_triangle(lengths, max_len):
    return torch.ones(max_len + 1, max_len, dtype=torch.bool).tril(-1)[lengths.long()]


@right_answer("02.6")
def with_the_library_parts(x, W_q, W_k, W_v, allowed=None):
    q, k, v = (torch.matmul(x, W) for W in (W_q, W_k, W_v))
    return functional.masked_softmax(functional.attention_scores(q, k), allowed) @ v


@right_answer("02.6")
def with_einsums(x, W_q, W_k, W_v, allowed=None):
    q, k, v = (torch.einsum("btc,cd->btd", x, W) for W in (W_q, W_k, W_v))
    scores = torch.einsum("bid,bjd->bij", q, k) / math.sqrt(W_q.shape[1])
    if allowed is None:
        return torch.einsum("bij,bjd->bid", scores.softmax(-1), v)
    top = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).amax(-1, keepdim=True)
    exponentials = (scores - top).masked_fill(~allowed, -math.inf).exp()
    total = exponentials.sum(-1, keepdim=True)
    return torch.einsum("bij,bjd->bid", exponentials, v) / total.clamp(min=1e-300)


@right_answer("02.6")
def token_by_token(x, W_q, W_k, W_v, allowed=None):
    B, T, _ = x.shape
    table = torch.ones(B, T, T, dtype=torch.bool) if allowed is None else allowed.expand(B, T, T)
    sentences = []
    for b in range(B):
        q, k, v = x[b] @ W_q, x[b] @ W_k, x[b] @ W_v
        outputs = []
        for i in range(T):
            may = table[b, i]
            if not may.any():
                outputs.append(torch.zeros_like(v[0]))
                continue
            scores = k[may] @ q[i] / q.shape[-1] ** 0.5
            outputs.append(torch.softmax(scores, dim=0) @ v[may])
        sentences.append(torch.stack(outputs))
    return torch.stack(sentences)


@right_answer("02.6")
def values_projected_last(x, W_q, W_k, W_v, allowed=None):
    scores = x @ (W_q @ W_k.T) @ x.mT / math.sqrt(W_k.shape[1])
    if allowed is None:
        allowed = torch.ones((), dtype=torch.bool)
    lowest = torch.finfo(scores.dtype).min
    weights = torch.where(allowed, scores, lowest).softmax(-1) * allowed
    return weights @ x @ W_v


@right_answer("02.6")
def divided_after_the_values(x, W_q, W_k, W_v, allowed=None):
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    scores = q @ k.mT * W_q.shape[-1] ** -0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    exponentials = (scores - scores.amax(-1, keepdim=True).detach()).exp()
    if allowed is not None:
        exponentials = exponentials * allowed
    total = exponentials.sum(-1, keepdim=True)
    return exponentials @ v / torch.where(total == 0, torch.ones_like(total), total)


@right_answer("02.6")
def with_matrices_in_one(x, W_q, W_k, W_v, allowed=None):
    widths = [W.shape[1] for W in (W_q, W_k, W_v)]
    q, k, v = (x @ torch.cat((W_q, W_k, W_v), dim=1)).split(widths, dim=-1)
    scores = torch.baddbmm(torch.zeros((), dtype=x.dtype), q, k.mT) / math.sqrt(widths[0])
    if allowed is None:
        return F.softmax(scores, dim=2) @ v
    weights = F.softmax(scores.masked_fill(allowed.logical_not(), -torch.inf), dim=2)
    return torch.where(allowed, weights, 0.0) @ v


@right_answer("02.7")
def head_by_head(q, k, v):
    outputs = []
    for q_h, k_h, v_h in zip(q.unbind(2), k.unbind(2), v.unbind(2), strict=True):
        weights = torch.softmax(q_h @ k_h.mT / math.sqrt(q.shape[-1]), dim=-1)
        outputs.append(weights @ v_h)
    return torch.stack(outputs, dim=2)


@right_answer("02.7")
def without_turning_anything(q, k, v):
    scores = torch.einsum("bihd,bjhd->bijh", q, k) / q.size(-1) ** 0.5
    return torch.einsum("bijh,bjhd->bihd", scores.softmax(dim=2), v)


@right_answer("02.7")
def batch_and_heads_folded_together(q, k, v):
    B, T, H, D_v = v.shape
    q, k, v = (part.permute(0, 2, 1, 3).reshape(B * H, T, -1) for part in (q, k, v))
    output = F.scaled_dot_product_attention(q, k, v)
    return output.view(B, H, T, D_v).permute(0, 2, 1, 3).contiguous()


@right_answer("02.7")
def heads_first(q, k, v):
    q, k, v = (part.movedim(2, 0) for part in (q, k, v))  # (H, B, T, D)
    scores = q.matmul(k.transpose(-1, -2)).mul(q.size(-1) ** -0.5)
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return (exponentials @ v / exponentials.sum(-1, keepdim=True)).movedim(0, 2)


@right_answer("02.7")
def with_the_library_attention(q, k, v):
    q, k, v = (torch.swapaxes(part, 1, 2) for part in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v).swapaxes(1, 2)


@right_answer("02.7")
def query_token_by_query_token(q, k, v):
    rows = []
    for i in range(q.shape[1]):
        scores = (q[:, i : i + 1] * k).sum(-1) / math.sqrt(q.shape[-1])  # (B, T, H)
        rows.append((scores.softmax(dim=1)[..., None] * v).sum(dim=1))
    return torch.stack(rows, dim=1)
