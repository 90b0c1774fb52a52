"""Sines and cosines added to the embeddings."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.positions.base import Position


class Sinusoidal(Position):
    """Sines and cosines of geometrically growing wavelengths, added to the embeddings.

        PE[p, 2i]     = sin(p / base^(2i/C))
        PE[p, 2i + 1] = cos(p / base^(2i/C))

    Low features are fast (wavelength 2π), high ones slow (up to 2π·base). No parameters, any
    position; that it also *works* beyond the trained length is a hope, not a fact.

    Args:
        d_model: width C, even.
        base: 10000 in the paper.

    Raises:
        ValueError: if d_model is odd, or base below 1.

    Source: Vaswani et al. 2017, §3.5.

    >>> Sinusoidal(4).table(torch.tensor([0, 1])).round(decimals=3)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8410, 0.5400, 0.0100, 1.0000]], dtype=torch.float64)
    """

    frequencies: Tensor

    def __init__(self, d_model: int, *, base: float = 10_000.0) -> None:
        super().__init__(d_model=d_model)
        if d_model % 2:
            raise ValueError(f"d_model must be even, sine and cosine come in pairs; got {d_model}")
        self.register_buffer("frequencies", frequencies(d_model, base), persistent=False)

    def table(
        self, pos: Int[Tensor, "*T"], dtype: torch.dtype = torch.float64
    ) -> Float[Tensor, "*T C"]:
        """The encodings of these positions, exact to the last digits of dtype."""
        angle = angles(pos, self.frequencies, dtype)
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)

    def _embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        return x + self.table(pos, torch.promote_types(x.dtype, torch.float32)).to(x.dtype)


def frequencies(width: int, base: float) -> Int[Tensor, " half"]:
    """base^(-2i/width) radians per position for every pair i, in parts of 2⁶⁴ to a turn.

    Raises:
        ValueError: if base is below 1.
    """
    if not base >= 1:
        raise ValueError(f"base must be at least 1, got {base}")
    # In float64 and so on the CPU: Apple's GPUs have none.
    exact = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
    return (exact / (2 * math.pi) * 2.0**64).long()


def angles(
    pos: Int[Tensor, "*T"], frequencies: Int[Tensor, " half"], dtype: torch.dtype
) -> Float[Tensor, "*T half"]:
    """position · frequency in radians, less whole turns: between -π and π.

    An angle of 10⁵ radians in float32 is right to two digits only, and float64 is not everywhere.
    A 64-bit integer that counts parts of a turn overflows where a turn is whole, and what is left
    of it is exact.

    >>> angles(torch.tensor([0, 1, 44, 10**9]), frequencies(2, 10_000.0), torch.float64).flatten()
    tensor([0.0000, 1.0000, 0.0177, 0.5774], dtype=torch.float64)
    """
    turned = pos[..., None] * frequencies.to(pos.device)
    return turned.to(dtype) * (2 * math.pi / 2.0**64)
