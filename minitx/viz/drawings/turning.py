"""Query and key turned by their places: what is between them is the distance."""

import math

import numpy as np

from minitx.viz.drawings.dials import face, hand, wedge
from minitx.viz.svg import Drawing, Part, bracket, text

PAIRS = ((5, 3), (105, 103), (5, 4))  # places of query and key


def turned(place: int) -> np.ndarray:
    """The pair (1, 0) turned by its place, one radian each.

    >>> turned(3).round(2).tolist()
    [-0.99, 0.14]
    """
    import torch

    from minitx.positions import Rotary

    pair = torch.tensor([[[[1.0, 0.0]]]], dtype=torch.float64)
    places = torch.tensor([[place]])
    found: np.ndarray = Rotary(2).rotate(pair, pair, places, places)[0].flatten().numpy()
    return found


def rotary_turns() -> Drawing:
    """Three dials: the same distance at two places, and another distance."""
    radius, wide, first, y = 46.0, 138.0, 70.0, 144.0
    parts: list[Part] = [text(208, 12, "before: both (1, 0). One radian per place", role="score")]
    told = []
    for number, (q_place, k_place) in enumerate(PAIRS):
        x = first + number * wide
        q, k = turned(q_place), turned(k_place)
        parts += [text(x, 40, f"query at {q_place}", role="q", bold=True)]
        parts += [text(x, 60, f"key at {k_place}", role="k", bold=True)]
        parts += [face((x, y), radius)]
        parts += [wedge((x, y), 0.6 * radius, math.atan2(*k), k_place - q_place)]
        for pair, role in ((k, "k"), (q, "q")):
            parts += [hand((x, y), radius - 2, tuple(pair), role=role, width=3)]  # type: ignore[arg-type]
            parts += [text(x + (radius + 13) * pair[0], y - (radius + 13) * pair[1],
                           f"*{role}*", role=role, bold=True)]  # type: ignore[arg-type]  # fmt: skip
        product = f"{q @ k:.2f}".replace("-", "−")
        parts += [text(x, y + radius + 32, f"angle between: {q_place - k_place}")]
        parts += [text(x, y + radius + 54, f"*q* · *k* = {product}", bold=True)]
        told += [f"query at {q_place}, key at {k_place}: between them {q_place - k_place}, "
                 f"and q times k is {product}"]  # fmt: skip
    low = y + radius + 70
    for start, end, says in ((0, 1, "as far apart: same score"), (2, 2, "nearer: another")):
        ends = ((first + start * wide - 54, low), (first + end * wide + 54, low))
        parts += [bracket(*ends, side="bottom", label=says)]
    alt = (
        "Three dials with a query and a key, both (1, 0) before they are turned, by one radian per "
        f"place. {'; '.join(told)}. The first two pairs have turned differently far, and the same "
        "angle is between them, so the score is the same."
    )
    return Drawing("Turned by their places", alt, 416, low + 34, parts)
