"""What sixteen bits do to gradients, with and without a scaled loss."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from minitx.measure.table import Table

FORMATS = {"fp16": torch.float16, "bf16": torch.bfloat16}


def gradients(model: nn.Module, loss: Tensor) -> Tensor:
    """All gradients of a model in one row, those that are 0 anyhow left out.

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> gradients(layer, layer(torch.tensor([3.0, 0.0])).sum())
    tensor([3.])
    """
    each = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    row = torch.cat([g.flatten() for g in each if g is not None])
    return row[row != 0]


def lost(numbers: Tensor, dtype: torch.dtype, scale: float = 1.0) -> tuple[float, float]:
    """Which share of numbers becomes 0 in this format, and which becomes infinite.

    >>> lost(torch.tensor([1e-9, 1.0, 1e5, 2.0]), torch.float16)
    (0.25, 0.25)
    """
    there = (numbers * scale).to(dtype)
    return float((there == 0).double().mean()), float(there.isinf().double().mean())


def table(numbers: Tensor, powers: Sequence[int]) -> Table:
    """The share that is lost, too small or too large, in both formats.

    Args:
        numbers: gradients.
        powers: of two, by which the loss is multiplied.
    """
    raised = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    rows = [
        [f"{name}, loss × 2{str(power).translate(raised)}", *lost(numbers, dtype, 2.0**power)]
        for name, dtype in FORMATS.items()
        for power in powers
    ]
    return Table(["gradients in", "become 0", "become infinite"], rows, ["", ".1%", ".1%"])
