"""The optimiser, and which parameters it pulls towards zero."""

from collections.abc import Iterator

import torch
from torch import nn


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters in two groups: matrices decay; biases, norms and other vectors do not.

    What a parameter is does not show in its number of axes: the biases of N experts are a
    tensor of three. So what belongs to a norm or has "bias" in its name does not
    decay, nor does what a module names in its `no_weight_decay`, nor what has one axis.

    A table that two modules share stands in one group once. Frozen parameters are left out.

    Raises:
        ValueError: if weight_decay is negative, or nothing is left to train.
    """
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("the model has no parameter that requires a gradient")
    vectors = {id(parameter) for module in model.modules() for parameter in _vectors(module)}
    return [
        {"params": [p for p in trained if id(p) not in vectors], "weight_decay": weight_decay},
        {"params": [p for p in trained if id(p) in vectors], "weight_decay": 0.0},
    ]


def _vectors(module: nn.Module) -> Iterator[nn.Parameter]:
    """Of this module's parameters those that are no matrices."""
    is_norm = "Norm" in type(module).__name__
    for name, parameter in module.named_parameters(recurse=False):
        if is_norm or "bias" in name or parameter.dim() < 2:
            yield parameter
    for name in getattr(module, "no_weight_decay", ()):
        yield module.get_parameter(name)


def adamw(
    model: nn.Module, *, weight_decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.98)
) -> torch.optim.AdamW:
    """AdamW over `decay_groups`; the rate is set anew at every step by the schedule.

    Source: Loshchilov & Hutter 2019, algorithm 2; β₂ = 0.98 and ε = 1e-9 as in Vaswani et al.
    2017, §5.3.
    """
    return torch.optim.AdamW(decay_groups(model, weight_decay), lr=0.0, betas=betas, eps=1e-9)
