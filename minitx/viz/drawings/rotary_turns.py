"""Query and key turned by their places: what is between them is the distance."""

import math

import numpy as np

from minitx.viz.drawings.dials import face, hand, wedge
from minitx.viz.svg import Drawing, Part, text

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
    radius, wide, y = 58.0, 136.0, 132.0
    parts: list[Part] = []
    told = []
    for number, (q_place, k_place) in enumerate(PAIRS):
        x = 72 + number * wide
        q, k = turned(q_place), turned(k_place)
        parts += [text(x, 12, f"*q* at {q_place}", role="q", bold=True)]
        parts += [text(x, 34, f"*k* at {k_place}", role="k", bold=True)]
        parts += [face((x, y), radius)]
        parts += [wedge((x, y), 30, math.atan2(*k), -(q_place - k_place))]
        parts += [hand((x, y), radius - 2, tuple(k), role="k", width=3)]
        parts += [hand((x, y), radius - 2, tuple(q), role="q", width=3)]
        product = f"{q @ k:.2f}".replace("-", "−")
        parts += [text(x, y + radius + 22, f"angle {q_place - k_place}")]
        parts += [text(x, y + radius + 44, f"*q* · *k* = {product}", bold=True)]
        told += [f"query at {q_place}, key at {k_place}: their angle is {q_place - k_place}, "
                 f"and q times k {product}"]  # fmt: skip
    alt = (
        "Three dials with the hands of a query and a key, both (1, 0) before they are turned, by 1 "
        f"radian per place. {'. '.join(told)}. The first two have turned far apart, and the same "
        "angle is between them."
    )
    return Drawing("Turned by their places", alt, 416, y + radius + 58, parts)
