"""The optimiser, and which parameters it pulls towards zero."""

import torch
from torch import nn


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters in two groups: matrices decay; biases, norms and other vectors do not.

    A table that two modules share stands in one group once. Frozen parameters are left out.

    Raises:
        ValueError: if weight_decay is negative, or nothing is left to train.
    """
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("the model has no parameter that requires a gradient")
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]


def adamw(
    model: nn.Module, *, weight_decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.98)
) -> torch.optim.AdamW:
    """AdamW over `decay_groups`; the rate is set anew at every step by the schedule.

    Source: Loshchilov & Hutter 2019, algorithm 2; β₂ = 0.98 and ε = 1e-9 as in Vaswani et al.
    2017, §5.3.
    """
    return torch.optim.AdamW(decay_groups(model, weight_decay), lr=0.0, betas=betas, eps=1e-9)
