"""A trained vector for each position, added to the embedding."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.positions.base import Position


class Learned(Position):
    """One trained vector per position, added to the embedding; nothing beyond max_len.

    Args:
        max_len: number of positions that have a vector.
        d_model: width C.

    Raises:
        ValueError: if max_len is below 1; in `embed`, if a position has no vector. Positions on an
            accelerator are not looked at, which would wait for it: there torch's own check of an
            index stops the program.

    Source: Gehring et al. 2017, §3.1; Devlin et al. 2019, §3; Radford et al. 2018, §3.1.
    """

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__(d_model=d_model)
        if max_len < 1:
            raise ValueError(f"max_len must be at least 1, got {max_len}")
        self.table = nn.Embedding(max_len, d_model)

    def _embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        if pos.device.type == "cpu" and not torch.compiler.is_compiling():
            self._require_vectors(pos)
        return x + self.table(pos)

    def _require_vectors(self, pos: Tensor) -> None:
        max_len = self.table.num_embeddings
        if pos.numel() and not 0 <= int(pos.min()) <= int(pos.max()) < max_len:
            raise ValueError(
                f"learned positions run from 0 to {max_len - 1}, got {int(pos.min())} to "
                f"{int(pos.max())}: give a shorter text or a larger max_len"
            )
