"""Cutting a sequence into chunks of equal size, for cores that attend chunk by chunk."""

from torch import Tensor
from torch.nn import functional as F


def in_chunks(x: Tensor, size: int, *, fill: float | bool = 0) -> Tensor:
    """(*, T, D) as (*, N, size, D) with N = ⌈T / size⌉; the last chunk is filled up.

    >>> import torch
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

    >>> import torch
    >>> with_neighbours(torch.tensor([[[1], [2]], [[3], [4]]])).squeeze(-1)
    tensor([[0, 0, 1, 2],
            [1, 2, 3, 4]])
    """
    filled = F.pad(chunks, (0, 0, 0, 0, before, after), value=fill)
    # A view: neighbouring windows share what they have in common.
    size = chunks.size(-2)
    return filled.flatten(-3, -2).unfold(-2, (before + 1 + after) * size, size).mT
