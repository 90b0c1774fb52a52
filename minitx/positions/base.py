"""The three doors through which positions enter, and how positions are counted."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Position(nn.Module):
    """A scheme of positions. A subclass overrides one of the three methods."""

    @property
    def only_embeds(self) -> bool:
        """Whether all is done below the first layer, so that attention layers need not know it."""
        return type(self).embed is not Position.embed

    def embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        """Mark the embeddings of the tokens, once, below the first layer."""
        return x

    def rotate(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> tuple[Float[Tensor, "B H T_q D_k"], Float[Tensor, "B H_kv T_k D_k"]]:
        """Turn queries and keys, in every layer, before they are compared (and cached)."""
        return q, k

    def bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"] | None:
        """What is added to the scores, in every layer, after scaling; None adds nothing."""
        return None


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
