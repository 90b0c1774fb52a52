"""What each scheme of positions does to the scores of one token, repeated."""

import torch
from torch import Tensor

from minitx.functional import attention_scores
from minitx.positions import (
    ALiBi,
    Learned,
    NoPosition,
    Position,
    Rotary,
    Shaw,
    Sinusoidal,
    T5Bias,
    TransformerXL,
    positions_from,
)

WIDTH = 32


def scores(position: Position, *, T: int = 24) -> Tensor:
    """Every place against every place, where one and the same token stands at all of them.

    The token is its own query and key, one head of 32 numbers, so whatever differs between two
    scores comes from the positions.

    Args:
        position: for width 32 and one head.
        T: how often the token stands there.

    Returns:
        (T, T), a row per query.

    >>> scores(NoPosition(), T=3).unique().numel()
    1
    """
    random = torch.Generator().manual_seed(0)
    token = torch.randn(WIDTH, generator=random).expand(1, T, WIDTH)
    pos = positions_from(0, T)
    with torch.no_grad():
        x = position.embed(token, pos)[:, None]
        q, k = position.rotate(x, x, pos, pos)
        bias = position.bias(q, k, pos, pos)
        table: Tensor = attention_scores(q, k)[0, 0]
        return table if bias is None else table + bias[0, 0]


def schemes(T: int = 24) -> dict[str, Position]:
    """Every scheme by its name, untrained: what is learned in them is drawn at random."""
    torch.manual_seed(0)
    made: dict[str, Position] = {
        "sinusoids": Sinusoidal(WIDTH),
        "learned": Learned(T, WIDTH),
        "Shaw": Shaw(WIDTH, max_distance=8),
        "T5": T5Bias(1, num_buckets=16, max_distance=T),
        "ALiBi": ALiBi(1),
        "Transformer-XL": TransformerXL(1, WIDTH),
        "rotary": Rotary(WIDTH),
        "none": NoPosition(),
    }
    return made
