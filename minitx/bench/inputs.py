"""Queries, keys and values with the habits of a trained model's, of any length.

With independent normal numbers every key gets about the same weight, and what returns the mean of
all values looks like a good approximation. The heads of a trained model are not like that.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.positions import Rotary, positions_from

WORDS = 1000  # different ones in a text
TOPIC_LENGTH = 32  # words until the values are about something else
TEXT_LENGTH = 512  # at which the strengths below were chosen

QKV = tuple[Float[Tensor, "1 H T D"], Float[Tensor, "1 H T D"], Float[Tensor, "1 H T D"]]


class Habit(NamedTuple):
    """What makes the scores of one head large.

    Args:
        near: points for the key at the query's own place; the further away, the fewer.
        word: points for a key that is the word this query looks for.
        first: points for the first key of all.
    """

    near: float
    word: float
    first: float


HABITS = (
    Habit(13, 4, 2), Habit(10, 5, 3), Habit(8, 6, 4), Habit(5, 8, 4),
    Habit(3, 8, 5), Habit(2, 4, 5), Habit(1, 4, 5), Habit(2, 3, 1),
)  # fmt: skip


class Statistics(NamedTuple):
    """How a head spreads its weights: means over its queries.

    Args:
        largest: the largest weight.
        top_64: the sum of the 64 largest.
        near: the sum of those at most 16 places away.
        first: the mean weight of the key that all queries together give most.
        keys: exp of the entropy: among so many keys even weights would be spread; the median.
    """

    largest: Float[Tensor, " H"]
    top_64: Float[Tensor, " H"]
    near: Float[Tensor, " H"]
    first: Float[Tensor, " H"]
    keys: Float[Tensor, " H"]


def trained_like(T: int, *, num_heads: int, d_head: int, seed: int) -> QKV:
    """q, k and v of one text of T words, in float32.

        score[h, i, j] = (near_h · r(i - j) + word_h · cos(wanted_hi, word_hj) + first_h · [j = 0])
                         · log T / log 512

    r is what rotary positions make of two equal vectors: 1 at distance 0, then falling slowly.
    The words follow Zipf's law (the n-th most frequent has a share ∝ 1/n); every head has a
    vector for each word, and a word that it looks for at each word. The first key gets what a
    head has no use for. Half of a head's width holds the position, the last feature the first
    key, the rest the word. Scores grow with log T, because otherwise every head would spread its
    weight evenly over a long text.

        v_j = word_j + noise + 0.8 · topic_j + 0.6 · mean,   a tenth of it for the first word

    The topic changes every 32 words, by straight lines.

    All strengths were chosen to be like those of a published encoder (all-MiniLM-L6, 6 layers of
    12 heads, 512 tokens of Python's documentation). Means over all heads, in brackets the
    smallest and the largest of a head:

        weights, T = 512   largest          top 64           near             first           keys
        MiniLM             .21 (.01–.93)    .71 (.29–1.0)    .29 (.05–.78)    .12 (.00–.37)   136
        this, seed 0       .20 (.01–.34)    .65 (.30–.93)    .33 (.08–.85)    .09 (.00–.21)   155
        independent N(0, 1)  .03            .44              .06              .00             316

        values, T = 512    share of the mean   correlation over 1, 16, 64 words   norm of the first
        MiniLM             .15                 .23   .08   .02                    .10
        this, seed 0       .16                 .17   .10  -.01                    .10

    The errors of approximations on the two are alike (at 512 tokens a window of 128 to each side
    .44 and .32, 64 Nyström landmarks .47 and .46); on independent numbers they are others, and in
    another order (1.2 and .67).

    Source of the growth with log T: Chiang & Cholak 2022. Of the weight on the first key:
    Xiao et al. 2024, §3.1; Clark et al. 2019, §3.2.
    """
    random = torch.Generator().manual_seed(seed)
    H, D = num_heads, d_head
    habits = torch.tensor([HABITS[h % len(HABITS)] for h in range(H)])
    near, word, first = habits.mul(math.log(max(T, 2)) / math.log(TEXT_LENGTH)).T[:, :, None]

    shares = 1 / torch.arange(1.0, WORDS + 1)
    text = torch.multinomial(shares, T, replacement=True, generator=random)
    wanted = torch.rand(H, WORDS, generator=random).argsort(dim=-1)[:, text]
    vectors = F.normalize(torch.randn(H, WORDS, D - D // 2 - 1, generator=random), dim=-1)
    place = torch.full((1, 1, T, D // 2), (D // 2) ** -0.5)
    position, _ = Rotary(D // 2).rotate(place, place, positions_from(0, T), positions_from(0, T))

    q, k = torch.zeros(2, 1, H, T, D)
    q[..., : D // 2], k[..., : D // 2] = near[:, None] * position, position
    q[..., D // 2 : -1] = word[:, None] * vectors[torch.arange(H)[:, None], wanted]
    k[..., D // 2 : -1] = vectors[:, text]
    q[..., -1], k[..., 0, -1] = first, 1.0
    v = torch.randn(H, WORDS, D, generator=random)[:, text]
    v += torch.randn(H, T, D, generator=random) + 0.6 * torch.randn(H, 1, D, generator=random)
    topics = torch.randn(H, D, T // TOPIC_LENGTH + 2, generator=random)
    v += 0.8 * F.interpolate(topics, size=T, mode="linear").mT
    v[:, 0] *= 0.1
    return q * D**0.5, k, v[None]


def statistics(weights: Float[Tensor, "H T T"]) -> Statistics:
    """See `Statistics`."""
    w, T = weights.double(), weights.size(-1)
    place = torch.arange(T, device=w.device)
    entropy = torch.special.entr(w).sum(-1)
    return Statistics(
        largest=w.amax(-1).mean(-1),
        top_64=w.topk(min(64, T), dim=-1).values.sum(-1).mean(-1),
        near=(w * ((place[:, None] - place).abs() <= 16)).sum(-1).mean(-1),
        first=w.mean(-2).amax(-1),
        keys=entropy.exp().median(-1).values,
    )
