"""Dense versions of cores whose exact setting is not softmax attention of q and k."""

import torch

from minitx.cores import AttentionCore
from minitx.masks import NO_MASK


class SharedQK(AttentionCore):
    """The keys are the queries at length 1; a query attends to itself only if it must."""

    supports = frozenset({"causal", "key_padding"})

    def __init__(self, scale=None):
        super().__init__()
        self.scale = scale

    def forward(self, q, k, v, *, mask=NO_MASK, bias=None):
        self.check(q, k, v, mask, bias)
        B, H, T, D = q.shape
        scale = D**-0.5 if self.scale is None else self.scale
        scores = scale * q @ (q / q.norm(dim=-1, keepdim=True)).transpose(-2, -1)
        allowed = mask.dense(T, T, q.device).expand(B, H, T, T)
        others = allowed & ~torch.eye(T, dtype=torch.bool)
        allowed = torch.where(others.any(dim=-1, keepdim=True), others, allowed)
        weights = torch.zeros_like(scores)
        weights[allowed] = scores.exp()[allowed]
        return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-300) @ v
