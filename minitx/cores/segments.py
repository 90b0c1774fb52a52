"""Averages over segments of a sequence, for cores that let a few means stand for all tokens."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def averaging(
    is_token: Bool[Tensor, "B T"], num_segments: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "B {num_segments} T"]:
    """The matrix S whose product with a sequence is the mean of each of its segments.

        S[s, t] = 1 / size of segment s   where token t is in segment s, else 0

    Padding belongs to no segment, so that a sequence has the same means with and without it. The
    n real tokens are shared out evenly: token number i goes to segment ⌊i · num_segments / n⌋.
    Where there are fewer tokens than segments, some rows are all 0.

    >>> averaging(torch.tensor([[True, True, True, False]]), 2)
    tensor([[[0.5000, 0.5000, 0.0000, 0.0000],
             [0.0000, 0.0000, 1.0000, 0.0000]]])
    """
    number = is_token.cumsum(dim=-1) - 1
    segment = number * num_segments // is_token.sum(dim=-1, keepdim=True).clamp(min=1)
    segments = torch.arange(num_segments, device=is_token.device)
    inside = (segment[:, None, :] == segments[:, None]) & is_token[:, None, :]
    return inside.to(dtype) / inside.sum(dim=-1, keepdim=True).clamp(min=1)
