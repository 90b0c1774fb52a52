"""Sines and cosines added to the embeddings."""

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
        ValueError: if d_model is odd.

    Source: Vaswani et al. 2017, §3.5.

    >>> Sinusoidal(4).table(torch.tensor([0, 1])).round(decimals=3)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8410, 0.5400, 0.0100, 1.0000]], dtype=torch.float64)
    """

    def __init__(self, d_model: int, *, base: float = 10_000.0) -> None:
        super().__init__()
        if d_model % 2:
            raise ValueError(f"d_model must be even, sine and cosine come in pairs; got {d_model}")
        self.d_model = d_model
        self.base = base

    def table(self, pos: Int[Tensor, "*T"]) -> Float[Tensor, "*T C"]:
        """The encodings of these positions, in float64."""
        angles = pos[..., None] * frequencies(self.d_model, self.base, pos.device)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)

    def embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        return x + self.table(pos).to(x.dtype)


def frequencies(
    width: int, base: float, device: torch.device | None = None
) -> Float[Tensor, " half"]:
    """base^(-2i/width) for every pair i: 1 for the first, nearly 1/base for the last.

    In float64, because an angle of 10⁵ radians in float32 is right to two digits only.
    """
    return base ** (-torch.arange(0, width, 2, device=device, dtype=torch.float64) / width)
