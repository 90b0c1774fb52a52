"""How many numbers a model learns, without making room for them."""

from collections.abc import Callable

import torch
from torch import nn


def count_parameters(make: Callable[[], nn.Module]) -> int:
    """The number of trained numbers of a model; a table used in two places counts once.

    The model is made on torch's meta device, where tensors have shapes and no memory: GPT-3 is
    counted in about a second.

    Args:
        make: makes the model.

    >>> count_parameters(lambda: nn.Linear(1_000_000, 1_000_000))
    1000001000000
    """
    with torch.device("meta"):
        model = make()
    return sum(parameter.numel() for parameter in model.parameters())
