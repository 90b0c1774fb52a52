"""Wrong answers to chapter 2, written without the bank: each says what is wrong in truth."""
# mypy: ignore-errors

import math

import torch

from minitx import functional


@wrong("02.1")
def detached(x, W_q, W_k, W_v):
    """Right numbers, no gradient for x."""
    y = x.detach()
    return y @ W_q, y @ W_k, y @ W_v


@wrong("02.1")
def values_with_bias(x, W_q, W_k, W_v):
    """1 is added to the values."""
    return x @ W_q, x @ W_k, x @ W_v + 1


@wrong("02.1")
def stacked(x, W_q, W_k, W_v):
    """A list is returned, in the order v, k, q."""
    return x @ W_v, x @ W_k, x @ W_q


@wrong("02.1")
def normalised_queries(x, W_q, W_k, W_v):
    """The queries are divided by their length."""
    q = x @ W_q
    return q / q.norm(dim=-1, keepdim=True), x @ W_k, x @ W_v


@wrong("02.1")
def last_token_dropped(x, W_q, W_k, W_v):
    """The last token is dropped."""
    x = x[:, :-1]
    return x @ W_q, x @ W_k, x @ W_v


@wrong("02.1")
def always_float(x, W_q, W_k, W_v):
    """Everything in float32."""
    return (x.float() @ W_q.float()), (x.float() @ W_k.float()), (x.float() @ W_v.float())


@wrong("02.2")
def swapped_operands(q, k):
    """k @ q.T."""
    return k @ q.transpose(-2, -1) / math.sqrt(q.shape[-1])


@wrong("02.2")
def negative_scores(q, k):
    """The sign is turned."""
    return -(q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])


@wrong("02.2")
def scaled_twice(q, k):
    """Both q and k are divided by the root."""
    s = math.sqrt(q.shape[-1])
    return (q / s) @ (k / s).transpose(-2, -1)


@wrong("02.2")
def reversed_axes(q, k):
    """k.transpose(0, 1)."""
    return q @ k.transpose(0, 1) / math.sqrt(q.shape[-1])


@wrong("02.2")
def root_of_length(q, k):
    """Divided by the root of the number of queries plus D_k."""
    return q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1] + q.shape[-2])


@wrong("02.2")
def centred_rows(q, k):
    """The mean of each row is subtracted."""
    s = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return s - s.mean(dim=-1, keepdim=True)


@wrong("02.2")
def numpy_on_the_way(q, k):
    """Through NumPy: fails where a gradient is needed."""
    return torch.tensor(q.numpy() @ k.numpy().swapaxes(-1, -2)) / math.sqrt(q.shape[-1])


@wrong("02.3")
def fill_minus_hundred(scores, allowed):
    """Forbidden scores become -100."""
    return scores.masked_fill(~allowed, -100.0).softmax(-1)


@wrong("02.3")
def mask_as_numbers_added(scores, allowed):
    """The mask is added as 0 and 1."""
    return (scores + allowed.float()).softmax(-1)


@wrong("02.3")
def nan_to_zero_by_hand(scores, allowed):
    """0/0 computed by hand and covered up."""
    e = torch.exp(scores) * allowed
    return torch.nan_to_num(e / e.sum(-1, keepdim=True))


@wrong("02.3")
def upside_down_mask(scores, allowed):
    """masked_fill(allowed)."""
    return scores.masked_fill(allowed, -float("inf")).softmax(-1)


@wrong("02.3")
def columns(scores, allowed):
    """softmax over dim=-2."""
    return scores.masked_fill(~allowed, -float("inf")).softmax(-2).nan_to_num(0)


@wrong("02.3")
def mask_of_the_first(scores, allowed):
    """allowed[0] for all."""
    return scores.masked_fill(~allowed[0], -float("inf")).softmax(-1).nan_to_num(0)


@wrong("02.3")
def half_filled(scores, allowed):
    """-1e9 in half precision."""
    return scores.masked_fill(~allowed, -1e9).softmax(-1) * allowed


@wrong("02.4")
def negative_slice(T_q, T_k):
    """Slices with a negative end."""
    a = torch.zeros(T_q, T_k, dtype=torch.bool)
    for i in range(T_q):
        a[i, : i + T_k - T_q + 1] = True
    return a


@wrong("02.4")
def square_cropped(T_q, T_k):
    """A square table, cropped from the top left."""
    n = max(T_q, T_k)
    return torch.ones(n, n, dtype=torch.bool).tril()[:T_q, :T_k]


@wrong("02.4")
def strictly_before(T_q, T_k):
    """Strictly before."""
    return torch.arange(T_k) < torch.arange(T_k - T_q, T_k)[:, None]


@wrong("02.4")
def as_floats(T_q, T_k):
    """Floats."""
    return torch.ones(T_q, T_k).tril(T_k - T_q)


@wrong("02.4")
def two_ahead(T_q, T_k):
    """One key of the future is seen."""
    return torch.ones(T_q, T_k, dtype=torch.bool).tril(T_k - T_q + 1)


@wrong("02.5")
def off_by_one(lengths, max_len):
    """t <= length."""
    return torch.arange(max_len) <= lengths[:, None]


@wrong("02.5")
def turned(lengths, max_len):
    """The table is turned."""
    return (torch.arange(max_len)[:, None] < lengths).T.contiguous().T


@wrong("02.5")
def padding_true(lengths, max_len):
    """True at the padding."""
    return torch.arange(max_len) >= lengths[:, None]


@wrong("02.5")
def fixed_width(lengths, max_len):
    """As wide as the longest."""
    return torch.arange(int(lengths.max())) < lengths[:, None]


@wrong("02.6")
def divided_by_width(x, W_q, W_k, W_v, allowed=None):
    """Divided by D_k, not its root."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    s = q @ k.transpose(-2, -1) / q.shape[-1]
    return functional.masked_softmax(s, allowed) @ v


@wrong("02.6")
def root_of_tokens(x, W_q, W_k, W_v, allowed=None):
    """Divided by the root of T."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    s = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-2])
    return functional.masked_softmax(s, allowed) @ v


@wrong("02.6")
def minus_ten(x, W_q, W_k, W_v, allowed=None):
    """Filled with -10."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    s = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if allowed is not None:
        s = s.masked_fill(~allowed, -10.0)
    return s.softmax(-1) @ v


@wrong("02.6")
def weights_masked_and_divided(x, W_q, W_k, W_v, allowed=None):
    """weights * mask / sum: 0/0."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    a = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)
    if allowed is not None:
        a = a * allowed
        a = a / a.sum(-1, keepdim=True)
    return a @ v


@wrong("02.6")
def over_dim_one(x, W_q, W_k, W_v, allowed=None):
    """softmax over dim=1."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    s = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if allowed is not None:
        s = s.masked_fill(~allowed, -1e30)
    return s.softmax(1) @ v


@wrong("02.6")
def flattened(x, W_q, W_k, W_v, allowed=None):
    """All sentences flattened together."""
    B, T, C = x.shape
    y = x.reshape(1, B * T, C)
    q, k, v = y @ W_q, y @ W_k, y @ W_v
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).matmul(v).reshape(B, T, -1)


@wrong("02.6")
def detached_weights(x, W_q, W_k, W_v, allowed=None):
    """The weights are detached."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    s = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return functional.masked_softmax(s, allowed).detach() @ v


@wrong("02.6")
def mask_none_forgotten(x, W_q, W_k, W_v, allowed=None):
    """~None."""
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    s = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return s.masked_fill(~allowed, -1e9).softmax(-1) @ v


@wrong("02.7")
def multiplied_by_root(q, k, v):
    """Multiplied by the root."""
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return ((q @ k.mT * math.sqrt(q.shape[-1])).softmax(-1) @ v).transpose(1, 2)


@wrong("02.7")
def root_of_heads(q, k, v):
    """Divided by the root of H."""
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return ((q @ k.mT / math.sqrt(q.shape[1])).softmax(-1) @ v).transpose(1, 2)


@wrong("02.7")
def merged_wrongly(q, k, v):
    """Merged with reshape."""
    B, T, H, D = v.shape
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return ((q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v).reshape(B, T, H, D)


@wrong("02.7")
def unsafe(q, k, v):
    """No maximum is subtracted."""
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    e = (q @ k.mT / math.sqrt(q.shape[-1])).exp()
    return (e / e.sum(-1, keepdim=True) @ v).transpose(1, 2)


@wrong("02.7")
def first_head_for_all(q, k, v):
    """The weights of head 0 serve all heads."""
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    a = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
    return (a[:, :1] @ v).transpose(1, 2)
