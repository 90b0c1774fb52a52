"""The three doors through which positions enter, and how positions are counted."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Position(nn.Module):
    """A scheme of positions.

    A subclass tells the sizes it is made for and overrides one of `_embed`, `_rotate` and `_bias`.
    The doors themselves are the same for all: they refuse tensors of other sizes, which otherwise
    broadcasting would make fit.

    Args:
        d_model: width C of the embeddings; None if any will do.
        num_heads: H; None if any number will do.
        d_head: width D_k of one head; None if any will do.

    Raises:
        ValueError: if a size is below 1; at a door, if a size is another one than was told, or
            there is not one position per token.
        TypeError: if a subclass overrides a door.
    """

    def __init__(
        self,
        *,
        d_model: int | None = None,
        num_heads: int | None = None,
        d_head: int | None = None,
    ) -> None:
        super().__init__()
        sizes = {"d_model": d_model, "num_heads": num_heads, "d_head": d_head}
        self._sizes = {name: size for name, size in sizes.items() if size is not None}
        for name, size in self._sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for door in ("embed", "rotate", "bias"):
            if door in vars(cls):
                raise TypeError(
                    f"{cls.__name__} must define _{door}, not {door}: Position's own makes sure "
                    "that sizes fit"
                )

    @property
    def only_embeds(self) -> bool:
        """Whether all is done below the first layer, so that attention layers need not know it."""
        return type(self)._embed is not Position._embed

    def embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        """Mark the embeddings of the tokens, once, below the first layer."""
        self._require_size("d_model", x.size(2))
        _require_one_each("pos", pos, x.size(0), x.size(1))
        return self._embed(x, pos)

    def rotate(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> tuple[Float[Tensor, "B H T_q D_k"], Float[Tensor, "B H_kv T_k D_k"]]:
        """Turn queries and keys, in every layer, before they are compared (and cached)."""
        self._require_sizes(q, k, q_pos, k_pos)
        return self._rotate(q, k, q_pos, k_pos)

    def bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"] | None:
        """What is added to the scores, in every layer, after scaling; None adds nothing."""
        self._require_sizes(q, k, q_pos, k_pos)
        return self._bias(q, k, q_pos, k_pos)

    def _embed(self, x: Tensor, pos: Tensor) -> Tensor:
        return x

    def _rotate(self, q: Tensor, k: Tensor, q_pos: Tensor, k_pos: Tensor) -> tuple[Tensor, Tensor]:
        return q, k

    def _bias(self, q: Tensor, k: Tensor, q_pos: Tensor, k_pos: Tensor) -> Tensor | None:
        return None

    def _require_sizes(self, q: Tensor, k: Tensor, q_pos: Tensor, k_pos: Tensor) -> None:
        self._require_size("num_heads", q.size(1))
        self._require_size("d_head", q.size(3))
        self._require_size("d_head", k.size(3))
        _require_one_each("q_pos", q_pos, q.size(0), q.size(2))
        _require_one_each("k_pos", k_pos, k.size(0), k.size(2))

    def _require_size(self, name: str, got: int) -> None:
        if (wanted := self._sizes.get(name, got)) != got:
            raise ValueError(f"{type(self).__name__} was made for {name} {wanted}, got {got}")


class NoPosition(Position):
    """No positions at all: the layer sees a bag of tokens."""


def positions_from(
    start: int, length: int, device: torch.device | None = None
) -> Int[Tensor, "1 T"]:
    """The positions start, start + 1, … of `length` tokens that follow one another."""
    return torch.arange(start, start + length, device=device)[None]


def distances(
    q_pos: Int[Tensor, "#B T_q"], k_pos: Int[Tensor, "#B T_k"]
) -> Int[Tensor, "#B T_q T_k"]:
    """Key position minus query position, for every pair: negative means the key came before."""
    return k_pos[:, None, :] - q_pos[:, :, None]


def _require_one_each(name: str, pos: Tensor, B: int, T: int) -> None:
    if pos.dim() != 2 or pos.size(0) not in (1, B) or pos.size(1) != T:
        raise ValueError(f"{name} must have shape ({B} or 1, {T}), got {tuple(pos.shape)}")
