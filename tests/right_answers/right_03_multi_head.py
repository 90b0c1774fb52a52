"""Right answers to the exercises of chapter 3, written differently from the worked ones."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from minitx import functional
from minitx.grading import right_answer
from minitx.masks import Mask, padding

# ---------------------------------------------------------------------------------------------
# 03.1


@right_answer("03.1")
def chunks_stacked(x, num_heads):
    return torch.stack(x.chunk(num_heads, dim=-1), dim=1)


@right_answer("03.1")
def reshaped_and_permuted(x, num_heads):
    return x.reshape(x.size(0), x.size(1), num_heads, -1).permute(0, 2, 1, 3).contiguous()


@right_answer("03.1")
def unflattened(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


@right_answer("03.1")
def with_an_index(x, num_heads):
    D = x.shape[-1] // num_heads
    columns = torch.arange(num_heads)[:, None] * D + torch.arange(D)
    return x[:, :, columns].swapaxes(1, 2)


@right_answer("03.1")
def copied_token_by_token(x, num_heads):
    T, C = x.shape[1:]
    D = C // num_heads
    rows = [[x[:, t, h * D : (h + 1) * D] for t in range(T)] for h in range(num_heads)]
    return torch.stack([torch.stack(head, dim=1) for head in rows], dim=1)


@right_answer("03.1")
def turned_before_it_is_cut(x, num_heads):
    B, T, C = x.shape
    return x.mT.reshape(B, num_heads, C // num_heads, T).mT


# ---------------------------------------------------------------------------------------------
# 03.2


@right_answer("03.2")
def permuted_and_reshaped(heads):
    B, H, T, D = heads.shape
    return heads.permute(0, 2, 1, 3).reshape(B, T, H * D)


@right_answer("03.2")
def made_contiguous_for_a_view(heads):
    B, H, T, D = heads.shape
    return heads.transpose(1, 2).contiguous().view(B, T, H * D)


@right_answer("03.2")
def heads_concatenated(heads):
    return torch.cat(heads.unbind(1), dim=-1)


@right_answer("03.2")
def with_einsum_and_flatten(heads):
    return torch.einsum("bhtd->bthd", heads).flatten(start_dim=2)


@right_answer("03.2")
def written_into_place(heads):
    B, H, T, D = heads.shape
    out = heads.new_zeros(B, T, H * D)
    for h in range(H):
        out[..., h * D : (h + 1) * D] = heads[:, h]
    return out


@right_answer("03.2")
def turned_twice(heads):
    return heads.mT.flatten(1, 2).mT


# ---------------------------------------------------------------------------------------------
# 03.3


@right_answer("03.3")
def three_products(x, W, b, num_heads):
    parts = []
    for weight, bias in zip(W.chunk(3), b.chunk(3), strict=True):
        part = x @ weight.T + bias
        parts.append(part.unflatten(-1, (num_heads, -1)).transpose(1, 2))
    return tuple(parts)


@right_answer("03.3")
def thirds_then_heads(x, W, b, num_heads):
    q, k, v = (x @ W.mT + b).split(W.size(0) // 3, dim=2)

    def cut(part):
        return part.view(*part.shape[:2], num_heads, -1).permute(0, 2, 1, 3)

    return cut(q), cut(k), cut(v)


@right_answer("03.3")
def with_einsum(x, W, b, num_heads):
    C = x.shape[-1]
    D = W.shape[0] // (3 * num_heads)
    made = torch.einsum("btc,phdc->pbhtd", x, W.reshape(3, num_heads, D, C))
    made = made + b.reshape(3, 1, num_heads, 1, D)
    return made[0], made[1], made[2]


@right_answer("03.3")
def head_by_head(x, W, b, num_heads):
    D = W.shape[0] // 3 // num_heads
    results = []
    for part in range(3):
        start = part * num_heads
        heads = []
        for h in range(start, start + num_heads):
            heads.append(F.linear(x, W[h * D : (h + 1) * D], b[h * D : (h + 1) * D]))
        results.append(torch.stack(heads, 1))
    return results[0], results[1], results[2]


@right_answer("03.3")
def unbound(x, W, b, num_heads):
    B, T, _ = x.shape
    packed = (torch.matmul(x, W.t()) + b).reshape(B, T, 3, num_heads, -1)
    return tuple(part.transpose(1, 2) for part in packed.unbind(2))


@right_answer("03.3")
def as_a_list_of_chunks(x, W, b, num_heads):
    blocks = (F.linear(x, W) + b).chunk(3 * num_heads, dim=-1)
    return [torch.stack(blocks[p * num_heads : (p + 1) * num_heads], dim=1) for p in range(3)]


# ---------------------------------------------------------------------------------------------
# 03.4 and 03.5: modules


class Projections(nn.Module):
    """The four projections, and a few ways to cut and to join."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError(f"{d_model} columns cannot be shared by {num_heads} heads")
        self.heads, self.width = num_heads, d_model // num_heads
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self, name, nn.Linear(d_model, d_model))

    def cut(self, x):
        return x.unflatten(-1, (self.heads, self.width)).transpose(1, 2)

    def join(self, heads):
        return self.out_proj(heads.permute(0, 2, 1, 3).reshape(heads.size(0), heads.size(2), -1))


@right_answer("03.4")
class OneHeadAfterAnother(Projections):
    def forward(self, x, allowed=None):
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        found = []
        for q_h, k_h, v_h in zip(
            q.split(self.width, -1), k.split(self.width, -1), v.split(self.width, -1), strict=True
        ):
            scores = q_h @ k_h.mT / math.sqrt(self.width)
            found.append(functional.masked_softmax(scores, allowed) @ v_h)
        return self.out_proj(torch.cat(found, dim=-1))


@right_answer("03.4")
class WithTheMaskOfTheLibrary(Projections):
    def forward(self, x, allowed=None):
        q, k, v = (self.cut(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        mask = Mask()
        if allowed is not None:
            B, T, _ = x.shape
            mask = Mask(allowed=allowed.expand(B, T, T)[:, None])
        return self.join(functional.scaled_dot_product_attention(q, k, v, mask=mask))


@right_answer("03.4")
class WithTorchsAttention(Projections):
    def forward(self, x, allowed=None):
        q, k, v = (self.cut(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        if allowed is None:
            return self.join(F.scaled_dot_product_attention(q, k, v))
        allowed = allowed[..., None, :, :]
        some = allowed.any(-1, keepdim=True)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed | ~some)
        return self.join(heads * some)


@right_answer("03.4")
class BatchAndHeadsFolded(Projections):
    def forward(self, x, allowed=None):
        B, T, _ = x.shape
        q, k, v = (
            self.cut(p(x)).reshape(B * self.heads, T, self.width)
            for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        if allowed is not None:
            allowed = allowed.expand(B, T, T).repeat_interleave(self.heads, dim=0)
        weights = functional.masked_softmax(functional.attention_scores(q, k), allowed)
        return self.join((weights @ v).view(B, self.heads, T, self.width))


@right_answer("03.4")
class WithEinsumsAndAnOutputProjectionByHead(Projections):
    def forward(self, x, allowed=None):
        B, T, C = x.shape
        q, k, v = (
            p(x).view(B, T, self.heads, self.width) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        scores = torch.einsum("bihd,bjhd->bhij", q, k) * self.width**-0.5
        if allowed is not None and allowed.dim() == 3:
            allowed = allowed[:, None]
        weights = functional.masked_softmax(scores, allowed)
        heads = torch.einsum("bhij,bjhd->bihd", weights, v)
        by_head = self.out_proj.weight.view(C, self.heads, self.width)
        return torch.einsum("bihd,chd->bic", heads, by_head) + self.out_proj.bias


@right_answer("03.4")
def a_function_that_makes_one(d_model, num_heads):
    """A factory, with another mask: filled by hand."""
    return FilledByHand(d_model, num_heads)


class FilledByHand(Projections):
    def forward(self, x, allowed=None):
        q, k, v = (self.cut(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        scores = (q / math.sqrt(self.width)).matmul(k.transpose(2, 3))
        if allowed is None:
            return self.join(scores.softmax(dim=3) @ v)
        allowed = allowed.unsqueeze(-3).expand_as(scores)
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
        return self.join(torch.where(allowed, scores.softmax(dim=-1), 0.0) @ v)


@right_answer("03.5")
class OneMemoryAfterAnother(Projections):
    def forward(self, x, memory, lengths=None):
        outputs = []
        for b in range(len(x)):
            words = memory[b : b + 1] if lengths is None else memory[b : b + 1, : lengths[b]]
            q, k, v = (
                self.cut(p(tokens))
                for p, tokens in (
                    (self.q_proj, x[b : b + 1]),
                    (self.k_proj, words),
                    (self.v_proj, words),
                )
            )
            weights = torch.softmax(q @ k.mT / self.width**0.5, dim=-1)
            outputs.append(self.join(weights @ v))
        return torch.cat(outputs)


@right_answer("03.5")
class WithTheLibrarysPadding(Projections):
    def forward(self, x, memory, lengths=None):
        q, k, v = (
            self.cut(self.q_proj(x)),
            self.cut(self.k_proj(memory)),
            self.cut(self.v_proj(memory)),
        )
        mask = Mask() if lengths is None else padding(lengths, memory.size(1))
        return self.join(functional.scaled_dot_product_attention(q, k, v, mask=mask))


@right_answer("03.5")
class AllLengthsWhereNoneIsGiven(Projections):
    def forward(self, x, memory, lengths=None):
        T_m = memory.size(1)
        if lengths is None:
            lengths = torch.full((memory.size(0),), T_m)
        allowed = torch.arange(T_m).expand(memory.size(0), 1, x.size(1), T_m) < lengths.view(
            -1, 1, 1, 1
        )
        q, k, v = (
            self.cut(self.q_proj(x)),
            self.cut(self.k_proj(memory)),
            self.cut(self.v_proj(memory)),
        )
        return self.join(functional.masked_softmax(functional.attention_scores(q, k), allowed) @ v)


@right_answer("03.5")
class FoldedWithRepeatedLengths(Projections):
    def forward(self, x, memory, lengths=None):
        B, T_q, _ = x.shape
        T_m = memory.shape[1]
        q = self.cut(self.q_proj(x)).reshape(-1, T_q, self.width)
        k = self.cut(self.k_proj(memory)).reshape(-1, T_m, self.width)
        v = self.cut(self.v_proj(memory)).reshape(-1, T_m, self.width)
        rules = None
        if lengths is not None:
            of_heads = lengths.repeat_interleave(self.heads)
            rules = (torch.arange(T_m) < of_heads.unsqueeze(1)).unsqueeze(1)
        weights = functional.masked_softmax(torch.bmm(q, k.mT) / math.sqrt(self.width), rules)
        return self.join(torch.bmm(weights, v).view(B, self.heads, T_q, self.width))


@right_answer("03.5")
class MemoryProjectedInOneProduct(Projections):
    def forward(self, x, memory, lengths=None):
        W = torch.cat([self.k_proj.weight, self.v_proj.weight])
        b = torch.cat([self.k_proj.bias, self.v_proj.bias])
        k, v = (self.cut(part) for part in F.linear(memory, W, b).chunk(2, dim=-1))
        scores = self.cut(self.q_proj(x)) @ k.mT / math.sqrt(self.width)
        if lengths is None:
            return self.join(scores.softmax(-1) @ v)
        real = torch.arange(memory.size(1)).lt(lengths.unsqueeze(-1))[:, None, None, :]
        shifted = scores.masked_fill(~real, torch.finfo(scores.dtype).min)
        exponentials = (shifted - shifted.amax(-1, keepdim=True)).exp() * real
        total = exponentials.sum(-1, keepdim=True)
        return self.join(exponentials / torch.where(total > 0, total, 1.0) @ v)


# ---------------------------------------------------------------------------------------------
# 03.6


@right_answer("03.6")
def repeated_with_an_index(q, k, v):
    H, H_kv = q.shape[1], k.shape[1]
    if H % H_kv != 0:
        raise ValueError(f"{H_kv} does not divide {H}")
    own = torch.arange(H) // (H // H_kv)
    return functional.scaled_dot_product_attention(q, k[:, own], v[:, own])


@right_answer("03.6")
def expanded_and_flattened(q, k, v):
    H, H_kv = q.size(1), k.size(1)
    group, rest = divmod(H, H_kv)
    if rest:
        raise ValueError(f"H={H} is no multiple of H_kv={H_kv}")
    k, v = (part.unsqueeze(2).expand(-1, -1, group, -1, -1).flatten(1, 2) for part in (k, v))
    weights = (q @ k.mT / math.sqrt(q.size(-1))).softmax(dim=-1)
    return weights @ v


@right_answer("03.6")
def group_by_group(q, k, v):
    H, H_kv = q.shape[1], k.shape[1]
    if H % H_kv:
        raise ValueError(f"cannot share {H_kv} heads among {H}")
    found = []
    for g, of_group in enumerate(q.split(H // H_kv, dim=1)):
        scores = functional.attention_scores(of_group, k[:, g : g + 1])
        found.append(scores.softmax(-1) @ v[:, g : g + 1])
    return torch.cat(found, dim=1)


@right_answer("03.6")
def grouped_einsum(q, k, v):
    B, H, T_q, D = q.shape
    if H % k.shape[1]:
        raise ValueError(f"H = {H}, H_kv = {k.shape[1]}")
    q = q.reshape(B, k.shape[1], -1, T_q, D)
    weights = torch.einsum("bgnid,bgjd->bgnij", q, k).mul(D**-0.5).softmax(-1)
    return torch.einsum("bgnij,bgjd->bgnid", weights, v).reshape(B, H, T_q, -1)


@right_answer("03.6")
def queries_of_a_group_as_more_rows(q, k, v):
    B, H, T_q, D = q.shape
    H_kv = k.shape[1]
    if H % H_kv:
        raise ValueError(f"{H} % {H_kv} != 0")
    rows = q.reshape(B, H_kv, H // H_kv * T_q, D)
    return functional.scaled_dot_product_attention(rows, k, v).reshape(B, H, T_q, -1)


# ---------------------------------------------------------------------------------------------
# 03.7


@right_answer("03.7")
def with_pops(state):
    left = dict(state)
    made = {name: left.pop(name) for name in ("out_proj.weight", "out_proj.bias") if name in left}
    packed = left.pop("in_proj_weight", None)
    blocks = (
        packed.chunk(3) if packed is not None else [left.pop(f"{n}_proj_weight") for n in "qkv"]
    )
    bias = left.pop("in_proj_bias", None)
    for place, name in enumerate("qkv"):
        made[f"{name}_proj.weight"] = blocks[place]
        if bias is not None:
            made[f"{name}_proj.bias"] = bias.chunk(3)[place]
    if left:
        raise ValueError(f"unknown: {sorted(left)}")
    return made


@right_answer("03.7")
def entry_by_entry(state):
    made = {}
    for name, part in state.items():
        if name in ("in_proj_weight", "in_proj_bias"):
            kind = name.rpartition("_")[2]
            for letter, block in zip("qkv", part.clone().chunk(3, dim=0), strict=True):
                made[f"{letter}_proj.{kind}"] = block
        elif name in ("out_proj.weight", "out_proj.bias"):
            made[name] = part.clone()
        elif name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
            made[name.replace("_weight", ".weight")] = part.clone()
        else:
            raise ValueError(f"{name} has no place in our module")
    return made


@right_answer("03.7")
def with_views(state):
    known = {"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"}
    known |= {f"{letter}_proj_weight" for letter in "qkv"}
    if not set(state) <= known:
        raise ValueError(f"do not know {set(state) - known}")
    made = {name: state[name] for name in ("out_proj.weight", "out_proj.bias") if name in state}
    if "in_proj_weight" in state:
        q, k, v = state["in_proj_weight"].unflatten(0, (3, -1))
    else:
        q, k, v = (state[f"{letter}_proj_weight"] for letter in "qkv")
    made |= {"q_proj.weight": q, "k_proj.weight": k, "v_proj.weight": v}
    if "in_proj_bias" in state:
        biases = state["in_proj_bias"].view(3, -1)
        made |= {f"{letter}_proj.bias": biases[i] for i, letter in enumerate("qkv")}
    return made


@right_answer("03.7")
def with_slices_from_the_output_width(state):
    C = state["out_proj.weight"].shape[0]
    result = {}
    names = set(state)
    for i, letter in enumerate(("q", "k", "v")):
        if f"{letter}_proj_weight" in names:
            result[letter + "_proj.weight"] = state[letter + "_proj_weight"]
            names.remove(letter + "_proj_weight")
        else:
            result[letter + "_proj.weight"] = state["in_proj_weight"][i * C : i * C + C, :]
        if "in_proj_bias" in state:
            result[letter + "_proj.bias"] = state["in_proj_bias"][i * C : i * C + C]
    names -= {"in_proj_weight", "in_proj_bias"}
    for name in list(names):
        if name in ("out_proj.weight", "out_proj.bias"):
            result[name] = state[name]
            names.remove(name)
    if names:
        raise ValueError("left over: " + ", ".join(names))
    return result


@right_answer("03.7")
def with_split_and_get(state):
    usual = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    own = [f"{letter}_proj_weight" for letter in "qkv"]
    for name in state:
        if name not in usual and name not in own:
            raise ValueError(f"got {name}, wanted one of {usual} or {own}")
    whole, bias = state.get("in_proj_weight"), state.get("in_proj_bias")
    parts = [state[n] for n in own] if whole is None else whole.split(whole.shape[0] // 3)
    made = {n.replace("_weight", ".weight"): part for n, part in zip(own, parts, strict=True)}
    if bias is not None:
        for n, part in zip(own, bias.split(len(bias) // 3), strict=True):
            made[n.replace("_weight", ".bias")] = part
    made.update((n, part) for n, part in state.items() if n.startswith("out_proj"))
    return made
