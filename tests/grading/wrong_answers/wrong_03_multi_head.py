"""Wrong answers to chapter 3, written without the bank: each says what is wrong in truth."""
# mypy: ignore-errors
# ruff: noqa: B007, B905, F841, RET503, RUF059 (the answers are left as they were written)

import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx import functional, masks


@wrong("03.1")
def chunk_tokens(x, num_heads):
    """Cuts the token axis (dim=1) into heads instead of the columns (dim=-1)."""
    return torch.stack(x.chunk(num_heads, dim=1), dim=1)


@wrong("03.1")
def float_width(x, num_heads):
    """C / num_heads is a float, so view raises TypeError; // is needed."""
    B, T, C = x.shape
    D = C / num_heads
    return x.view(B, T, num_heads, D).transpose(1, 2)


@wrong("03.1")
def b_c_t(x, num_heads):
    """Unpacks the shape as (B, C, T): D is T // H, and the reshape is made with C as tokens."""
    B, C, T = x.shape
    D = C // num_heads
    return x.reshape(B, T, num_heads, D).permute(0, 2, 1, 3)


@wrong("03.1")
def slice_by_h(x, num_heads):
    """Slices of width num_heads instead of D (H for D)."""
    heads = [x[..., h * num_heads : (h + 1) * num_heads] for h in range(num_heads)]
    return torch.stack(heads, dim=1)


@wrong("03.1")
def swapaxes_0_2(x, num_heads):
    """Exchanges axes 0 and 2 (batch and head) instead of 1 and 2: (H, T, B, D)."""
    B, T, C = x.shape
    D = C // num_heads
    return x.reshape(B, T, num_heads, D).swapaxes(0, 2)


@wrong("03.1")
def as_strided(x, num_heads):
    """as_strided with strides of a contiguous x: wrong numbers when x is not contiguous."""
    B, T, C = x.shape
    D = C // num_heads
    return torch.as_strided(x, (B, num_heads, T, D), (T * C, D, C, 1))


@wrong("03.2")
def head0_twice(heads):
    """Starts with head 0 and then appends head 0 again: width (H + 1) * D."""
    out = heads[:, 0]
    for h in range(heads.shape[1]):
        out = torch.cat([out, heads[:, h]], dim=-1)
    return out


@wrong("03.2")
def permute_t_first(heads):
    """Tokens come before the batch, then reshape to (B, T, ...): right for B = 1 only."""
    B, H, T, D = heads.shape
    return heads.permute(2, 0, 1, 3).reshape(B, T, H * D)


@wrong("03.2")
def one_head_offset(heads):
    """Written from column h, not h * D: later heads overwrite earlier ones."""
    B, H, T, D = heads.shape
    out = heads.new_zeros(B, T, H * D)
    for h in range(H):
        out[..., h : h + D] = heads[:, h]
    return out


@wrong("03.2")
def through_lists(heads):
    """Rebuilds the tensor from Python lists: dtype (float64 -> float32) and gradient are lost."""
    B, H, T, D = heads.shape
    rows = []
    for b in range(B):
        sentence = []
        for t in range(T):
            token = []
            for h in range(H):
                token += heads[b, h, t].tolist()
            sentence.append(token)
        rows.append(sentence)
    return torch.tensor(rows)


@wrong("03.2")
def split_no_squeeze(heads):
    """split keeps the head axis of length 1: (B, 1, T, H*D)."""
    return torch.cat(heads.split(1, dim=1), dim=-1)


@wrong("03.2")
def contiguous_before(heads):
    """contiguous() stands before the transpose, so view still refuses."""
    B, H, T, D = heads.shape
    return heads.contiguous().transpose(1, 2).view(B, T, H * D)


@wrong("03.3")
def split_3(x, W, b, num_heads):
    """split(3) makes pieces of width 3, not three pieces."""
    B, T, C = x.shape
    q, k, v = F.linear(x, W, b).split(3, dim=-1)

    def heads(y):
        return y.reshape(B, T, num_heads, -1).transpose(1, 2)

    return heads(q), heads(k), heads(v)


@wrong("03.3")
def split_c(x, W, b, num_heads):
    """Cuts the result in pieces of width C, the input's width; right only where H*D == C."""
    B, T, C = x.shape
    q, k, v = F.linear(x, W, b).split(C, dim=-1)

    def heads(y):
        return y.reshape(B, T, num_heads, -1).transpose(1, 2)

    return heads(q), heads(k), heads(v)


@wrong("03.3")
def unbind_tokens(x, W, b, num_heads):
    """unbind(2) unpacks the tokens, the three are axis 3."""
    B, T, _ = x.shape
    qkv = F.linear(x, W, b).view(B, T, 3, num_heads, -1)
    qkv = qkv.permute(0, 3, 1, 2, 4)
    q, k, v = qkv.unbind(2)
    return q, k, v


@wrong("03.3")
def view_3_first(x, W, b, num_heads):
    """Views the flat result as (3, B, T, H, D): the 3 belongs to the columns."""
    B, T, C = x.shape
    y = F.linear(x.flatten(0, 1), W, b)
    q, k, v = y.view(3, B, T, num_heads, -1).transpose(2, 3)
    return q, k, v


@wrong("03.3")
def rows_by_c(x, W, b, num_heads):
    """Cuts W and b in blocks of C rows; a block has H*D rows."""
    B, T, C = x.shape
    out = []
    for i in range(3):
        y = F.linear(x, W[i * C : (i + 1) * C], b[i * C : (i + 1) * C])
        out.append(y.reshape(B, T, num_heads, -1).transpose(1, 2))
    return tuple(out)


@wrong("03.3")
def stacked_tensor(x, W, b, num_heads):
    """Returns one tensor (3, B, H, T, D) instead of a tuple of three."""
    B, T, _ = x.shape
    qkv = F.linear(x, W, b).reshape(B, T, 3, num_heads, -1)
    return qkv.permute(2, 0, 3, 1, 4)


@wrong("03.3")
def uva_layout(x, W, b, num_heads):
    """Cuts heads first and q, k, v inside each head (H, 3, D): the rows' order is (3, H, D)."""
    B, T, _ = x.shape
    qkv = F.linear(x, W, b)
    qkv = qkv.reshape(B, T, num_heads, -1)
    qkv = qkv.permute(0, 2, 1, 3)  # (B, H, T, 3 * D)
    q, k, v = qkv.chunk(3, dim=-1)
    return q, k, v


@wrong("03.4")
class ReturnInLoop(nn.Module):
    """The return stands inside the loop: only head 0 is made."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        D = self.head_dim
        heads = []
        for h in range(self.num_heads):
            cols = slice(h * D, (h + 1) * D)
            scores = functional.attention_scores(q[..., cols], k[..., cols])
            weights = functional.masked_softmax(scores, allowed)
            heads.append(weights @ v[..., cols])
            return self.out_proj(torch.cat(heads, dim=-1))


@wrong("03.4")
class ParametersNotLinear(nn.Module):
    """Projections are nn.Parameter matrices without biases: q_proj, not q_proj.weight."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Parameter(torch.randn(d_model, d_model) * 0.02)
        self.k_proj = nn.Parameter(torch.randn(d_model, d_model) * 0.02)
        self.v_proj = nn.Parameter(torch.randn(d_model, d_model) * 0.02)
        self.out_proj = nn.Parameter(torch.randn(d_model, d_model) * 0.02)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q = (x @ self.q_proj.T).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        k = (x @ self.k_proj.T).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        v = (x @ self.v_proj.T).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        if allowed is not None and allowed.dim() == 3:
            allowed = allowed.unsqueeze(1)
        weights = functional.masked_softmax(scores, allowed)
        out = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return out @ self.out_proj.T


@wrong("03.4")
class LoopKUncut(nn.Module):
    """Keys cut with a slice of h only: k[..., :D] for all heads (head 0's keys for every head)."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        D = self.head_dim
        heads = []
        for h in range(self.num_heads):
            cols = slice(h * D, (h + 1) * D)
            scores = functional.attention_scores(q[..., cols], k[..., :D])
            weights = functional.masked_softmax(scores, allowed)
            heads.append(weights @ v[..., cols])
        return self.out_proj(torch.cat(heads, dim=-1))


@wrong("03.4")
class CausalDefault(nn.Module):
    """Without a mask it is causal; None must allow everything."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q = self.q_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        if allowed is None:
            allowed = torch.ones(T, T, dtype=torch.bool).tril()
        if allowed is not None and allowed.dim() == 3:
            allowed = allowed.unsqueeze(1)
        weights = functional.masked_softmax(scores, allowed)
        out = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.out_proj(out)


@wrong("03.4")
class LoopHeadsOverwrite(nn.Module):
    """Each head's result is written over v, and its first D columns are taken for every head."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        D = self.head_dim
        heads = []
        for h in range(self.num_heads):
            cols = slice(h * D, (h + 1) * D)
            scores = functional.attention_scores(q[..., cols], k[..., cols])
            weights = functional.masked_softmax(scores, allowed)
            v = v.clone()
            v[..., cols] = weights @ v[..., cols]
            heads.append(v[..., :D])
        return self.out_proj(torch.cat(heads, dim=-1))


@wrong("03.4")
class MaskUnsqueeze0(nn.Module):
    """(B, T, T) gets its new axis in front, (1, B, T, T): read as a mask of each head."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q = self.q_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
        if allowed is not None and allowed.dim() == 3:
            allowed = allowed.unsqueeze(0)
        weights = functional.masked_softmax(scores, allowed)
        out = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.out_proj(out)


@wrong("03.4")
class SqrtNumHeads(nn.Module):
    """Divides by the root of the number of heads, not of the width of a head."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q = self.q_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        k = self.k_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        v = self.v_proj(x).view(B, T, self.num_heads, self.head_dim).transpose(1, 2)
        scores = q @ k.transpose(-2, -1) / math.sqrt(self.num_heads)
        if allowed is not None and allowed.dim() == 3:
            allowed = allowed.unsqueeze(1)
        weights = functional.masked_softmax(scores, allowed)
        out = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.out_proj(out)


@wrong("03.5")
class PaddingTq(nn.Module):
    """masks.padding is given the number of queries (x.shape[1]) instead of T_m."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        q = self.split(self.q_proj(x))
        k = self.split(self.k_proj(memory))
        v = self.split(self.v_proj(memory))
        if lengths is None:
            out = functional.scaled_dot_product_attention(q, k, v)
        else:
            mask = masks.padding(lengths, x.shape[1])
            out = functional.scaled_dot_product_attention(q, k, v, mask=mask)
        return self.out_proj(out.transpose(1, 2).flatten(2))


@wrong("03.5")
class ScoresRowsInf(nn.Module):
    """scores[b, :, n:] = -inf fills query rows, not key columns."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        q = self.split(self.q_proj(x))
        k = self.split(self.k_proj(memory))
        v = self.split(self.v_proj(memory))
        if lengths is not None:
            for b, n in enumerate(lengths.tolist()):
                scores_b = None
        scores = functional.attention_scores(q, k)
        if lengths is not None:
            for b, n in enumerate(lengths.tolist()):
                scores[b, :, n:] = -float("inf")
        weights = scores.softmax(dim=-1).nan_to_num()
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


@wrong("03.5")
class VFromK(nn.Module):
    """Values are projected from the projected keys, not from the memory."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        q = self.split(self.q_proj(x))
        memory_len = memory.shape[1]
        k = self.k_proj(memory)
        v = self.split(self.v_proj(k))
        k = self.split(k)
        scores = functional.attention_scores(q, k)
        real = None
        if lengths is not None:
            real = torch.arange(memory.shape[1]) < lengths[:, None]
            real = real[:, None, None, :]
        weights = functional.masked_softmax(scores, real)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


@wrong("03.5")
class IfLengths(nn.Module):
    """`if lengths:` asks a tensor for its truth: an error for B > 1."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        q = self.split(self.q_proj(x))
        k = self.split(self.k_proj(memory))
        v = self.split(self.v_proj(memory))
        scores = functional.attention_scores(q, k)
        real = None
        if lengths:
            real = torch.arange(memory.shape[1]) < lengths[:, None]
            real = real[:, None, None, :]
        weights = functional.masked_softmax(scores, real)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


@wrong("03.5")
class MaskB1Tm(nn.Module):
    """The mask is (B, 1, T_m): its B is laid on the heads; an axis for the heads is missing."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        q = self.split(self.q_proj(x))
        k = self.split(self.k_proj(memory))
        v = self.split(self.v_proj(memory))
        scores = functional.attention_scores(q, k)
        real = None
        if lengths is not None:
            real = torch.arange(memory.shape[1]) < lengths[:, None]
            real = real[:, None, :]
        weights = functional.masked_softmax(scores, real)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


@wrong("03.5")
class MemoryZeroed(nn.Module):
    """The padding is only set to zero in the memory; zero vectors still get weight."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        if lengths is not None:
            real = torch.arange(memory.size(1)) < lengths[:, None]
            memory = memory * real[..., None]
        q = self.split(self.q_proj(x))
        k = self.split(self.k_proj(memory))
        v = self.split(self.v_proj(memory))
        weights = functional.attention_scores(q, k).softmax(dim=-1)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


@wrong("03.5")
class ReturnsPair(nn.Module):
    """Returns (output, weights)."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{num_heads} heads do not divide d_model={d_model}")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, y):
        return y.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, memory, lengths=None):
        q = self.split(self.q_proj(x))
        k = self.split(self.k_proj(memory))
        v = self.split(self.v_proj(memory))
        scores = functional.attention_scores(q, k)
        real = None
        if lengths is not None:
            real = torch.arange(memory.shape[1]) < lengths[:, None]
            real = real[:, None, None, :]
        weights = functional.masked_softmax(scores, real)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2)), weights


@wrong("03.6")
def interleave_by_hkv(q, k, v):
    """Keys are repeated H_kv times instead of H / H_kv times."""
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    group = H // H_kv
    k = k.repeat_interleave(H_kv, dim=1)
    v = v.repeat_interleave(H_kv, dim=1)
    return functional.scaled_dot_product_attention(q, k, v)


@wrong("03.6")
def einsum_sums_group(q, k, v):
    """The einsum's output string leaves out the group: the heads of a group are summed."""
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    group = H // H_kv
    q = q.unflatten(1, (H_kv, group))
    scores = torch.einsum("bgnqd,bgkd->bgqk", q, k) / math.sqrt(D)
    out = scores.softmax(dim=-1) @ v
    return out.repeat_interleave(group, dim=1)


@wrong("03.6")
def strided_queries(q, k, v):
    """Key head g gets the query heads g, g + H_kv, … and the results are laid group by group."""
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    group = H // H_kv
    outs = []
    for g in range(H_kv):
        qs = q[:, g::H_kv]
        w = functional.attention_scores(qs, k[:, g : g + 1]).softmax(dim=-1)
        outs.append(w @ v[:, g : g + 1])
    return torch.cat(outs, dim=1)


@wrong("03.6")
def expand_front(q, k, v):
    """The new axis is put before H_kv: key heads 0, 1, 0, 1 instead of 0, 0, 1, 1."""
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    group = H // H_kv
    k = k[:, None].expand(-1, group, -1, -1, -1).reshape(B, H, *k.shape[2:])
    v = v[:, None].expand(-1, group, -1, -1, -1).reshape(B, H, *v.shape[2:])
    return functional.scaled_dot_product_attention(q, k, v)


@wrong("03.6")
def view_d_for_dv(q, k, v):
    """The result is reshaped with D, the width of the queries, where D_v belongs."""
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    group = H // H_kv
    q = q.view(B, H_kv, group, T_q, D)
    scores = q @ k.unsqueeze(2).transpose(-2, -1) / math.sqrt(D)
    out = scores.softmax(dim=-1) @ v.unsqueeze(2)
    return out.reshape(B, H, T_q, D)


@wrong("03.6")
def group_token_order(q, k, v):
    """Queries of a group laid as (group, T_q) in one axis, but cut again as (T_q, group)."""
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    group = H // H_kv
    q = q.reshape(B, H_kv, group * T_q, D)
    w = functional.attention_scores(q, k).softmax(dim=-1)
    out = w @ v
    out = out.view(B, H_kv, T_q, group, -1).transpose(2, 3)
    return out.reshape(B, H, T_q, -1)


@wrong("03.7")
def loop_never_advances(state):
    """The loop takes rows i to i + C, not i * C to (i + 1) * C."""
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
        "out_proj.bias",
    }
    for name in state:
        if name not in known:
            raise ValueError(f"unknown entry {name}")
    new = {}
    if "in_proj_weight" in state:
        W = state["in_proj_weight"]
        C = W.shape[1]
        for i, n in enumerate("qkv"):
            new[f"{n}_proj.weight"] = W[i : i + C]
    else:
        for n in "qkv":
            new[f"{n}_proj.weight"] = state[f"{n}_proj_weight"]
    if "in_proj_bias" in state:
        for n, b in zip("qkv", state["in_proj_bias"].chunk(3)):
            new[f"{n}_proj.bias"] = b
    for name in ("out_proj.weight", "out_proj.bias"):
        if name in state:
            new[name] = state[name]
    return new


@wrong("03.7")
def bias_uncut(state):
    """The whole in_proj_bias (3C) is given to each of q, k, v."""
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
        "out_proj.bias",
    }
    for name in state:
        if name not in known:
            raise ValueError(f"unknown entry {name}")
    new = {}
    if "in_proj_weight" in state:
        W = state["in_proj_weight"]
        C = W.shape[1]
        new["q_proj.weight"] = W[:C]
        new["k_proj.weight"] = W[C : 2 * C]
        new["v_proj.weight"] = W[2 * C :]
    else:
        for n in "qkv":
            new[f"{n}_proj.weight"] = state[f"{n}_proj_weight"]
    if "in_proj_bias" in state:
        for n in "qkv":
            new[f"{n}_proj.bias"] = state["in_proj_bias"]
    for name in ("out_proj.weight", "out_proj.bias"):
        if name in state:
            new[name] = state[name]
    return new


@wrong("03.7")
def get_none_chunk(state):
    """state.get('in_proj_bias') is None with bias=False, and None has no chunk."""
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
        "out_proj.bias",
    }
    for name in state:
        if name not in known:
            raise ValueError(f"unknown entry {name}")
    new = {}
    if "in_proj_weight" in state:
        W = state["in_proj_weight"]
        C = W.shape[1]
        new["q_proj.weight"] = W[:C]
        new["k_proj.weight"] = W[C : 2 * C]
        new["v_proj.weight"] = W[2 * C :]
    else:
        for n in "qkv":
            new[f"{n}_proj.weight"] = state[f"{n}_proj_weight"]
    for n, b in zip("qkv", state.get("in_proj_bias").chunk(3)):
        new[f"{n}_proj.bias"] = b
    for name in ("out_proj.weight", "out_proj.bias"):
        if name in state:
            new[name] = state[name]
    return new


@wrong("03.7")
def alias_and_del(state):
    """`new = state` is the same dictionary: the given one is changed."""
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
        "out_proj.bias",
    }
    for name in state:
        if name not in known:
            raise ValueError(f"unknown entry {name}")
    new = state
    if "in_proj_weight" in new:
        new["q_proj.weight"], new["k_proj.weight"], new["v_proj.weight"] = new[
            "in_proj_weight"
        ].chunk(3)
        del new["in_proj_weight"]
    else:
        for n in "qkv":
            new[f"{n}_proj.weight"] = new[f"{n}_proj_weight"]
            del new[f"{n}_proj_weight"]
    if "in_proj_bias" in new:
        new["q_proj.bias"], new["k_proj.bias"], new["v_proj.bias"] = new["in_proj_bias"].chunk(3)
        del new["in_proj_bias"]
    return new


@wrong("03.7")
def zero_biases(state):
    """Without biases in the state it makes four biases of zeros; four entries are asked."""
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
        "out_proj.bias",
    }
    for name in state:
        if name not in known:
            raise ValueError(f"unknown entry {name}")
    new = {}
    if "in_proj_weight" in state:
        W = state["in_proj_weight"]
        C = W.shape[1]
        new["q_proj.weight"] = W[:C]
        new["k_proj.weight"] = W[C : 2 * C]
        new["v_proj.weight"] = W[2 * C :]
    else:
        for n in "qkv":
            new[f"{n}_proj.weight"] = state[f"{n}_proj_weight"]
    if "in_proj_bias" in state:
        for n, b in zip("qkv", state["in_proj_bias"].chunk(3)):
            new[f"{n}_proj.bias"] = b
    else:
        for n in "qkv":
            new[f"{n}_proj.bias"] = torch.zeros(len(state["out_proj.weight"]))
    new["out_proj.weight"] = state["out_proj.weight"]
    new["out_proj.bias"] = state.get("out_proj.bias", torch.zeros(len(state["out_proj.weight"])))
    return new


@wrong("03.7")
def raises_keyerror(state):
    """Raises KeyError instead of ValueError."""
    known = {
        "in_proj_weight",
        "in_proj_bias",
        "q_proj_weight",
        "k_proj_weight",
        "v_proj_weight",
        "out_proj.weight",
        "out_proj.bias",
    }
    for name in state:
        if name not in known:
            raise KeyError(name)
    new = {}
    if "in_proj_weight" in state:
        W = state["in_proj_weight"]
        C = W.shape[1]
        new["q_proj.weight"] = W[:C]
        new["k_proj.weight"] = W[C : 2 * C]
        new["v_proj.weight"] = W[2 * C :]
    else:
        for n in "qkv":
            new[f"{n}_proj.weight"] = state[f"{n}_proj_weight"]
    if "in_proj_bias" in state:
        for n, b in zip("qkv", state["in_proj_bias"].chunk(3)):
            new[f"{n}_proj.bias"] = b
    for name in ("out_proj.weight", "out_proj.bias"):
        if name in state:
            new[name] = state[name]
    return new
