"""A fixed penalty that grows with the distance."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.positions.base import Position, distances


class ALiBi(Position):
    """A fixed penalty that grows with distance, steeper in some heads than in others.

        bias[h, i, j] = -slope[h] · |i - j|,   slope[h] = 2^(-8h/H),  h = 1 … H

    for H a power of two; for other H the slopes of the next lower power, then every other slope
    of twice that power. No parameters; meant to be used at lengths beyond the trained ones.

    Args:
        num_heads: H.

    Raises:
        ValueError: if num_heads is below 1.

    Source: Press et al. 2022, §3; for H that is no power of two the authors' code, which does not
    follow the paper's formula there. With causal attention |i - j| is i - j; the two-sided form
    for encoders is the symmetric one that the authors' repository proposes.

    >>> ALiBi(4).slopes()
    tensor([0.2500, 0.0625, 0.0156, 0.0039], dtype=torch.float64)
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__(num_heads=num_heads)
        self.num_heads = num_heads

    def slopes(
        self, *, dtype: torch.dtype = torch.float64, device: torch.device | None = None
    ) -> Float[Tensor, " H"]:
        """The penalty per token of distance, for each head."""
        H = self.num_heads
        power = 2 ** math.floor(math.log2(H))
        between = _geometric(2 * power, dtype, device)[::2][: H - power]
        return torch.cat([_geometric(power, dtype, device), between])

    def _bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"]:
        far = distances(q_pos, k_pos).abs()[:, None]
        # bfloat16 cannot tell distance 256 from 257: round the product, not its factors.
        wide = torch.promote_types(q.dtype, torch.float32)
        slopes = self.slopes(dtype=wide, device=q.device)[:, None, None]
        return (-slopes * far).to(q.dtype)


def _geometric(H: int, dtype: torch.dtype, device: torch.device | None) -> Float[Tensor, " H"]:
    return 2.0 ** (-8 / H * torch.arange(1, H + 1, dtype=dtype, device=device))
