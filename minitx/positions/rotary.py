"""Queries and keys turned by angles proportional to their positions."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.positions.base import Position
from minitx.positions.sinusoidal import angles, frequencies


class Rotary(Position):
    """Turns each pair of features of queries and keys by an angle proportional to the position.

        (x[2i], x[2i+1]) turned by the angle  p · base^(-2i/D_k)

    The dot product of a turned query and a turned key depends on their distance only.

    Args:
        d_head: width D_k of one head, even.
        base: 10000 in the paper; `ntk_base` gives one for texts longer than the trained ones.
        stretch: positions are divided by it, for texts so many times longer than the trained ones.

    Raises:
        ValueError: if d_head is odd, or base or stretch below 1.

    Source: Su et al. 2021 (RoFormer), §3.2.2, eq. 14-15 and the form of eq. 34. Neighbouring
    features are paired, as there; many published weights pair feature i with i + D_k/2 instead,
    which is the same up to a permutation of the features. The division is position interpolation,
    Chen et al. 2023, eq. 4.

    >>> q = torch.tensor([[[[1.0, 0.0]]]])
    >>> Rotary(2).rotate(q, q, torch.tensor([[1]]), torch.tensor([[0]]))[0]      # cos 1, sin 1
    tensor([[[[0.5403, 0.8415]]]])
    """

    frequencies: Tensor

    def __init__(self, d_head: int, *, base: float = 10_000.0, stretch: int = 1) -> None:
        super().__init__(d_head=d_head)
        if d_head % 2:
            raise ValueError(f"d_head must be even, features are turned in pairs; got {d_head}")
        require_stretch(stretch)
        slowed = scaled(frequencies(d_head, base), 1 / stretch)
        self.register_buffer("frequencies", slowed, persistent=False)

    def _rotate(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> tuple[Float[Tensor, "B H T_q D_k"], Float[Tensor, "B H_kv T_k D_k"]]:
        return self._turn(q, q_pos), self._turn(k, k_pos)

    def _turn(
        self, x: Float[Tensor, "B H T D_k"], pos: Int[Tensor, "#B T"]
    ) -> Float[Tensor, "B H T D_k"]:
        wide = torch.promote_types(x.dtype, torch.float32)
        angle = angles(pos[:, None], self.frequencies, wide)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
        return turned.flatten(-2)


def ntk_base(stretch: int, d_head: int, *, base: float = 10_000.0) -> float:
    """A larger base, with which the slowest pair turns as far on a text `stretch` times as long.

        base · stretch^(D_k / (D_k - 2))

    The fastest pair turns as before, and those between are slowed the more the slower they are.

    Args:
        stretch: how many times longer a text is than the trained ones.
        d_head: width D_k of one head, even.
        base: with which the model was trained.

    Raises:
        ValueError: if d_head is below 4, where there is no slowest pair beside the fastest, or
            stretch below 1.

    Source: Peng et al. 2024 (YaRN), §3, "NTK-aware" interpolation.

    >>> round(ntk_base(4, 64))
    41829
    """
    if d_head < 4:
        raise ValueError(f"d_head must be at least 4, got {d_head}")
    require_stretch(stretch)
    return float(base * stretch ** (d_head / (d_head - 2)))


def require_stretch(stretch: int) -> None:
    """Refuses to make texts shorter.

    Raises:
        ValueError: if stretch is below 1.
    """
    if stretch < 1:
        raise ValueError(f"stretch must be at least 1, got {stretch}")


def scaled(
    frequencies: Int[Tensor, " half"], by: float | Float[Tensor, " half"]
) -> Int[Tensor, " half"]:
    """Frequencies in parts of a turn, each times a factor from 0 to 1."""
    return (frequencies.double() * by).long()
