"""What the width of queries and keys does to the softmax of their dot products."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from minitx.functional import attention_scores
from minitx.measure.table import Table

QUERIES, KEYS = 2000, 8


@dataclass(frozen=True)
class Saturation:
    """Scores of random queries against random keys of their own, and what a softmax makes of them.

    Args:
        size: standard deviation of the scores.
        largest: weight of each query's best key.
        slope: largest derivative of a weight with respect to a score, of each query.
    """

    size: float
    largest: Tensor
    slope: Tensor


def measure(D_k: int, *, scaled: bool, queries: int = QUERIES, keys: int = KEYS) -> Saturation:
    """The softmax of q·k, or of q·k / √D_k, for components of mean 0 and variance 1.

        slope = max over i of a[i] (1 - a[i])

    which no entry of the table of derivatives, a[i] (δ[i, j] - a[j]), exceeds.

    >>> measure(64, scaled=True).size < 1.1 < measure(64, scaled=False).size
    True
    """
    random = torch.Generator().manual_seed(D_k)
    q, k = (torch.randn(queries, n, D_k, generator=random, dtype=torch.float64) for n in (1, keys))
    scores = attention_scores(q, k, scale=None if scaled else 1.0).squeeze(1)
    weights = scores.softmax(dim=-1)
    return Saturation(
        size=float(scores.std()),
        largest=weights.amax(dim=-1),
        slope=(weights * (1 - weights)).amax(dim=-1),
    )


def table(widths: Iterable[int] = (4, 16, 64, 256, 512, 1024)) -> Table:
    """Size of a score, largest weight and slope of the median query, without and with the scale."""
    rows = []
    for D_k in widths:
        plain, scaled = (measure(D_k, scaled=scaled) for scaled in (False, True))
        rows.append(
            [
                D_k, plain.size, plain.largest.median(), plain.slope.median(),
                scaled.largest.median(), scaled.slope.median(),
            ]
        )  # fmt: skip
    return Table(
        ["width", "size of q·k", "largest weight", "slope", "largest, scaled", "slope, scaled"],
        rows,
        ["d", ".1f", ".2f", ".4f", ".2f", ".4f"],
    )
