"""Linformer: keys and values are mixed down to a few before anybody attends."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitx.cores.base import AttentionCore
from minitx.cores.fused import fused_attention
from minitx.cores.packing import rows, tokens_first
from minitx.cores.segments import averaging
from minitx.masks import Mask


class Linformer(AttentionCore):
    """Attention to `rank` learned mixtures of the keys and values, in time and memory O(T · rank).

        output = softmax(q (E k)ᵀ / √D_k) F v,   E, F of shape (rank, max_len)

    Not causal: every mixture contains every position. A sequence shorter than max_len uses the
    first T columns of E and F, counted from its first token: padding has no column, wherever it
    lies, which gives what the sequence alone would give. A mixture that no token enters is not
    attended to; with that, E = F = identity is full attention at every length, padded or not.

    Args:
        max_len: the longest sequence of keys.
        rank: number of mixtures, called k in the paper.
        num_heads: heads that have their own E and F; 1 shares them between all heads.
        share_kv: use E for the values, too.
        start: "normal" draws E and F from N(0, 1/rank); "segments" makes each mixture the mean of
            its own segment of the sequence. At rank = max_len that is the identity.
        scale: factor on the dot products, 1/√D_k unless given.

    Raises:
        ValueError: if rank is not between 1 and max_len, the keys are longer than max_len, or
            there are more heads than the projections were made for.

    Source: Wang et al. 2020, §4, eq. 7; "headwise" and "key-value sharing" and the mean pooling are
    its §4, "layerwise sharing" is one core passed to every layer. Deviations: E and F are
    parameters with the paper's random matrices only as a start (the paper learns them without
    saying how they start); it says nothing about padding or shorter sequences, where the
    package `linformer` also takes the first T rows of its transposed E and F.

    >>> zeros, v = torch.zeros(1, 1, 4, 2), torch.tensor([1.0, 3.0, 10.0, 20.0]).view(1, 1, 4, 1)
    >>> Linformer(4, 2, start="segments")(zeros, zeros, v).flatten().tolist()  # of 2 and 15
    [8.5, 8.5, 8.5, 8.5]
    """

    supports = frozenset({"key_padding"})
    skips_padding = True

    def __init__(
        self,
        max_len: int,
        rank: int,
        *,
        num_heads: int = 1,
        share_kv: bool = False,
        start: Literal["normal", "segments"] = "normal",
        scale: float | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= rank <= max_len:
            raise ValueError(f"rank ({rank}) must lie between 1 and max_len ({max_len})")
        self.max_len = max_len
        self.num_heads = num_heads
        self.E = nn.Parameter(_start(start, num_heads, rank, max_len))
        self.F = self.E if share_kv else nn.Parameter(_start(start, num_heads, rank, max_len))
        self.scale = scale

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        self._require_room(k)
        E, F = (matrix[:, :, : k.size(2)].to(q.dtype) for matrix in (self.E, self.F))
        entered = (E != 0).any(dim=2).any(dim=0).expand(k.size(0), -1)
        if mask.key_padding is not None:
            places = tokens_first(mask.key_padding)
            k, v = (rows(mask.zero_padding(x), places) for x in (k, v))
            is_token = mask.key_padding.gather(1, places)
            used = (E != 0).any(dim=0).to(q.dtype)
            entered = (used @ is_token.to(q.dtype).T > 0).T
        k, v = _mixed(E, k), _mixed(F, v)  # in which padding has no part, being 0
        return fused_attention(q, k, v, Mask(key_padding=entered), scale=self.scale)

    def _require_room(self, k: Tensor) -> None:
        _, H, T_k, _ = k.shape
        if T_k > self.max_len:
            raise ValueError(f"keys ({T_k}) must not outnumber max_len ({self.max_len})")
        if self.num_heads not in (1, H):
            raise ValueError(f"the core was made for {self.num_heads} heads, got {H}")


def _mixed(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("hrt,bhtd->bhrd", matrix.expand(x.size(1), -1, -1), x)


def _start(start: str, num_heads: int, rank: int, max_len: int) -> Tensor:
    if start == "normal":
        return torch.randn(num_heads, rank, max_len) * rank**-0.5
    if start == "segments":
        everyone = torch.ones(1, max_len, dtype=torch.bool)
        return averaging(everyone, rank).repeat(num_heads, 1, 1)
    raise ValueError(f'start must be "normal" or "segments", got {start!r}')
