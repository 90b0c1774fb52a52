"""Rectangles of the T_q × T_k table, for cores that make it piece by piece and never whole."""

from collections.abc import Iterator

import torch
from torch import Tensor

from minitx.masks import Mask


def spans(T: int, size: int) -> Iterator[slice]:
    """0 … T in slices of size; the last may be shorter.

    >>> list(spans(5, 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return (slice(start, min(start + size, T)) for start in range(0, T, size))


def tile_of(
    mask: Mask, rows: slice, keys: slice, ahead: int, device: torch.device
) -> Tensor | None:
    """The rectangle rows × keys of `mask.dense(…)`; None where every pair of it may meet.

    Args:
        mask: the rules, on that device.
        rows: of the queries.
        keys: of the keys.
        ahead: T_k - T_q: query i stands at position ahead + i.
        device: where the queries are.
    """
    table: Tensor | None = None
    if mask.allowed is not None:
        table = mask.allowed[:, :, rows, keys]
    if mask.key_padding is not None:
        padding = mask.key_padding[:, None, None, keys]
        table = padding if table is None else table & padding
    if mask.causal and keys.stop - 1 > ahead + rows.start:
        query = torch.arange(ahead + rows.start, ahead + rows.stop, device=device)
        past = torch.arange(keys.start, keys.stop, device=device) <= query[:, None]
        table = past if table is None else table & past
    return table
