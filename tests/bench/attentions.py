"""Attention as plain as can be, in the place of the kernel, so that a test takes milliseconds."""

import math
import sys
from types import ModuleType

import torch


def plain(
    q, k, v, *, causal=False, window=None, key_lengths=None, scale=None,
    top_left=False, wider=0, ignore_lengths=False, factor=1.0,
):  # fmt: skip
    """What `flash_attention` computes; the last four make it wrong."""
    group, T_q, T_k = q.size(1) // k.size(1), q.size(2), k.size(2)
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    dtype = q.dtype
    if torch.is_autocast_enabled(q.device.type) and dtype != torch.float64:
        dtype = torch.get_autocast_dtype(q.device.type)
        q, k, v = (x.to(dtype) for x in (q, k, v))
    q, k, v = q.to(wide), *(x.to(wide).repeat_interleave(group, dim=1) for x in (k, v))
    i, j = torch.arange(T_q)[:, None] + (0 if top_left else T_k - T_q), torch.arange(T_k)
    table = torch.ones(q.size(0), 1, T_q, T_k, dtype=torch.bool)
    if causal:
        table &= j <= i
    if window is not None:
        table &= (i - j).abs() <= window + wider
    if key_lengths is not None and not ignore_lengths:
        table &= j < key_lengths[:, None, None, None]
    scale = (1 / math.sqrt(q.size(-1)) if scale is None else scale) * factor
    with torch.autocast(q.device.type, enabled=False):
        scores = (q @ k.mT * scale).masked_fill(~table, torch.finfo(wide).min)
        weights = scores.softmax(dim=-1) * table
        return (weights @ v).to(dtype)


class Once(torch.autograd.Function):
    """Attention that refuses a second derivative."""

    @staticmethod
    def forward(ctx, q, k, v, options):
        ctx.save_for_backward(q, k, v)
        ctx.options = options
        return plain(q, k, v, **options)

    @staticmethod
    def backward(ctx, gradient):
        return *Gradients.apply(gradient, *ctx.saved_tensors, ctx.options), None


class Gradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient, q, k, v, options):
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in (q, k, v)]
            output = plain(*leaves, **options)
        return torch.autograd.grad(output, leaves, gradient)

    @staticmethod
    def backward(ctx, *gradients):
        raise RuntimeError("no second derivative")


def once(q, k, v, **options):
    return Once.apply(q, k, v, options)


def stand_in(monkeypatch, attention=plain):
    """Let `from minitx.kernels import flash_attention` give this one."""
    module = ModuleType("minitx.kernels")
    module.flash_attention = attention
    monkeypatch.setitem(sys.modules, "minitx.kernels", module)
