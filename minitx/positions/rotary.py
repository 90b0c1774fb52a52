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
        base: 10000 in the paper.

    Raises:
        ValueError: if d_head is odd, or base below 1.

    Source: Su et al. 2021 (RoFormer), §3.2.2, eq. 14-15 and the form of eq. 34. Neighbouring
    features are paired, as there; many published weights pair feature i with i + D_k/2 instead,
    which is the same up to a permutation of the features.

    >>> q = torch.tensor([[[[1.0, 0.0]]]])
    >>> Rotary(2).rotate(q, q, torch.tensor([[1]]), torch.tensor([[0]]))[0]      # cos 1, sin 1
    tensor([[[[0.5403, 0.8415]]]])
    """

    frequencies: Tensor

    def __init__(self, d_head: int, *, base: float = 10_000.0) -> None:
        super().__init__(d_head=d_head)
        if d_head % 2:
            raise ValueError(f"d_head must be even, features are turned in pairs; got {d_head}")
        self.register_buffer("frequencies", frequencies(d_head, base), persistent=False)

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
