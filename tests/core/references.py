"""With the whole table in memory: what cores equal that are exact in another way than softmax."""

import torch
from torch import Tensor

from minitx.cores import AttentionCore
from minitx.masks import Mask


class DenseKernel(AttentionCore):
    """Every φ(q_i)·φ(k_j) in a table, what is forbidden set to 0, each row divided by its sum."""

    supports = frozenset({"causal", "key_padding"})

    def kernel(self, q: Tensor, k: Tensor) -> Tensor:
        """(B, H, T_q, T_k): the weights before they are divided."""
        raise NotImplementedError

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None) -> Tensor:
        table = self.kernel(q, k) * mask.dense(q.size(2), k.size(2), q.device)
        sums = table.sum(dim=-1, keepdim=True)
        return torch.where(sums == 0, 0.0, table / torch.where(sums == 0, 1.0, sums)) @ v


class DenseLinearAttention(DenseKernel):
    """Katharopoulos et al. 2020, eq. 7, by torch's elu."""

    def kernel(self, q: Tensor, k: Tensor) -> Tensor:
        return (torch.nn.functional.elu(q) + 1) @ (torch.nn.functional.elu(k) + 1).mT


class DensePerformer(DenseKernel):
    """Choromanski et al. 2021, lemma 1: Σ_f exp(w_f·(q + k) - (|q|² + |k|²)/2), summed by logs."""

    def __init__(self, core: AttentionCore) -> None:
        super().__init__()
        self.projection = core.projection

    def kernel(self, q: Tensor, k: Tensor) -> Tensor:
        w = self.projection.to(q.dtype)
        q, k = (x * x.size(-1) ** -0.25 for x in (q, k))
        exponents = [x @ w.mT - x.norm(dim=-1, keepdim=True) ** 2 / 2 for x in (q, k)]
        pairs = exponents[0].unsqueeze(3) + exponents[1].unsqueeze(2)  # (B, H, T_q, T_k, M)
        logs = pairs.logsumexp(dim=-1)
        # A factor for the row cancels when the row is divided by its sum.
        return (logs - logs.detach().amax(dim=-1, keepdim=True)).exp()


class SharedQK(AttentionCore):
    """The keys are the queries at length 1; a query attends to itself only if it must."""

    supports = frozenset({"causal", "key_padding"})

    def __init__(self, scale=None):
        super().__init__()
        self.scale = scale

    def _attend(self, q, k, v, mask, bias):
        B, H, T, D = q.shape
        scale = D**-0.5 if self.scale is None else self.scale
        scores = scale * q @ (q / q.norm(dim=-1, keepdim=True)).transpose(-2, -1)
        allowed = mask.dense(T, T, q.device).expand(B, H, T, T)
        others = allowed & ~torch.eye(T, dtype=torch.bool)
        allowed = torch.where(others.any(dim=-1, keepdim=True), others, allowed)
        weights = torch.zeros_like(scores)
        weights[allowed] = scores.exp()[allowed]
        return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-300) @ v
