"""A trained vector for each distance, compared with the query."""

import math

from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.positions.base import Position, distances


class Shaw(Position):
    """A trained vector for each distance, compared with the query.

        bias[i, j] = q[i] · a[clip(j - i, -max_distance, max_distance)] / √D_k

    The sum over keys of q·k and of q·a is the paper's q·(k + a). All heads share a.

    Args:
        d_head: width D_k of one head.
        max_distance: distances beyond it count as it, so any length can be read.

    Raises:
        ValueError: if max_distance is below 1.

    Source: Shaw et al. 2018, §3.1, eq. 4, split as in §3.3, eq. 5, with the clipping of §3.2.
    Deviations: the term on the values (eq. 3) is left out, which cost the paper's translator
    nothing (§4.3, table 3); its base model has an a for every layer and head, its big one for
    every layer (§4.1).
    """

    def __init__(self, d_head: int, *, max_distance: int = 16) -> None:
        super().__init__(d_head=d_head)
        if max_distance < 1:
            raise ValueError(f"max_distance must be at least 1, got {max_distance}")
        self.max_distance = max_distance
        self.table = nn.Embedding(2 * max_distance + 1, d_head)

    def _bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "B H T_q T_k"]:
        # Every query against all 2·max_distance + 1 vectors, then pick: no (T_q, T_k, D_k) tensor.
        by_distance = q @ self.table.weight.T / math.sqrt(q.size(-1))
        clipped = distances(q_pos, k_pos).clamp(-self.max_distance, self.max_distance)
        index = (clipped + self.max_distance)[:, None].expand(*q.shape[:3], -1)
        return by_distance.gather(-1, index)
