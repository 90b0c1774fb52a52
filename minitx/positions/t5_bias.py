"""A trained number for each bucket of distances."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.positions.base import Position, distances


class T5Bias(Position):
    """One trained number per head and bucket of distances, added to the score.

    Half of the buckets hold one distance each; the other half grow logarithmically up to
    max_distance, and everything farther shares the last bucket.

    Args:
        num_heads: H.
        num_buckets: in all; in both directions half are for keys ahead of the query.
        max_distance: where the logarithmic half ends; the last bucket also has all beyond.
        bidirectional: True in an encoder; False in a decoder, where keys ahead count as distance 0.

    Raises:
        ValueError: if there are too few buckets, or max_distance lies among those of one distance.

    Source: Raffel et al. 2020, §2.1, and the authors' code for the buckets. T5 does not scale its
    scores by 1/√D_k; that is the attention's affair, not this table's.
    """

    no_weight_decay = ("table.weight",)  # biases, one per head and bucket

    def __init__(
        self,
        num_heads: int,
        *,
        num_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
    ) -> None:
        super().__init__(num_heads=num_heads)
        fewest = 4 if bidirectional else 2
        if num_buckets < fewest:
            raise ValueError(f"num_buckets must be at least {fewest}, got {num_buckets}")
        exact = num_buckets // fewest
        if max_distance <= exact:
            raise ValueError(
                f"max_distance must be above {exact}, where buckets of one distance end; "
                f"got {max_distance}"
            )
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.table = nn.Embedding(num_buckets, num_heads)

    def bucket(self, distance: Int[Tensor, "*T"]) -> Int[Tensor, "*T"]:
        """The bucket of each distance (key position minus query position).

        >>> T5Bias(1, num_buckets=8, max_distance=20).bucket(torch.tensor([-9, -2, -1, 0, 1, 2, 9]))
        tensor([3, 2, 1, 0, 5, 6, 7])
        """
        return bucket(distance, self.num_buckets, self.max_distance, self.bidirectional)

    def _bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"]:
        buckets = self.bucket(distances(q_pos, k_pos))
        return self.table(buckets).permute(0, 3, 1, 2).to(q.dtype)


def bucket(
    distance: Int[Tensor, "*T"], num_buckets: int, max_distance: int, bidirectional: bool
) -> Int[Tensor, "*T"]:
    """The bucket of each distance d, where one direction has n buckets, e = n // 2 of them exact.

        d < e:  d
        else:   min(e + ⌊ln(d / e) / ln(max_distance / e) · (n - e)⌋, n - 1)

    In both directions n is half of num_buckets, and keys ahead of the query come after the others.

    >>> bucket(torch.tensor([-100, -10, -3, 0, 2]), 8, 30, bidirectional=False)
    tensor([7, 5, 3, 0, 0])
    """
    first = torch.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        first = num_buckets * (distance > 0)
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = num_buckets // 2
    growth = torch.log(distance.clamp(min=1) / exact)
    share = growth / math.log(max_distance / exact)
    far = exact + (share * (num_buckets - exact)).long()
    far = far.clamp(max=num_buckets - 1)
    return first + torch.where(distance < exact, distance, far)
