"""Cutting a sequence into chunks of equal size, for cores that attend chunk by chunk."""

import torch
from torch import Tensor
from torch.nn import functional as F


def in_chunks(x: Tensor, size: int, *, fill: float | bool = 0) -> Tensor:
    """(*, T, D) as (*, N, size, D) with N = ⌈T / size⌉; the last chunk is filled up.

    >>> in_chunks(torch.tensor([[1], [2], [3]]), 2).squeeze(-1)
    tensor([[1, 2],
            [3, 0]])
    """
    missing = -x.size(-2) % size
    if missing:  # padding by nothing would copy
        x = F.pad(x, (0, 0, 0, missing), value=fill)
    return x.unflatten(-2, (-1, size))


def joined(chunks: Tensor, T: int) -> Tensor:
    """The first T rows of (*, N, size, D), as (*, T, D): undoes `in_chunks`."""
    return chunks.flatten(-3, -2)[..., :T, :]


def with_neighbours(
    chunks: Tensor, *, before: int = 1, after: int = 0, fill: float | bool = 0
) -> Tensor:
    """Each chunk between its neighbours: (*, N, size, D) as (*, N, (before + 1 + after)·size, D).

    Beyond the ends there are chunks of fill.

    >>> with_neighbours(torch.tensor([[[1], [2]], [[3], [4]]])).squeeze(-1)
    tensor([[0, 0, 1, 2],
            [1, 2, 3, 4]])
    """
    N = chunks.size(-3)
    filled = F.pad(chunks, (0, 0, 0, 0, before, after), value=fill)
    rows = [filled.narrow(-3, offset, N) for offset in range(before + 1 + after)]
    return torch.cat(rows, dim=-2)
