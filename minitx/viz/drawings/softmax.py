"""Saturation: where one key has all the weight, the softmax has no slope left."""

import math

import numpy as np

from minitx import numpy_core
from minitx.viz.svg import Box, Drawing, Number, Part, arrow, line, text

SCORES = np.array([1.7, 0.9, 0.5, 0.3, -0.2, -0.6, -1.0, -1.6])  # mean 0, variance 1
D_K = 64


def saturation() -> Drawing:
    """The weights of eight keys, and the curve they sit on, with and without the division."""
    parts: list[Part] = []
    told = []
    for left, name, scores in (
        (0, "divided by √D_k", SCORES),
        (216, f"not divided, D_k = {D_K}", SCORES * math.sqrt(D_K)),
    ):
        weights = numpy_core.softmax(scores)
        first = float(weights[0])
        slope = first * (1 - first)
        parts += [text(left + 100, 12, name, bold=True)]
        for i, weight in enumerate(weights):
            high = 100 * float(weight)
            box = Box(
                left + 9 + 23 * i, 142 - high, 18, high, role="score", radius=0,
                fill=0.65 if i == 0 else 0.25,
            )  # fmt: skip
            parts += [box]
        parts += [line((left + 4, 142), (left + 196, 142))]
        parts += [text(left + 18, 130 - 100 * first, f"{first:.2f}", bold=True)]
        parts += [text(left + 100, 156, "weights of eight keys")]
        parts += _curve(left + 8, 188, first, slope)
        digits = 2 if slope > 0.01 else 4
        parts += [text(left + 100, 324, f"slope {slope:.{digits}f}", bold=True)]
        told += [f"{name}: largest weight {first:.2f}, slope {slope:.{digits}f}"]
    parts += [text(208, 352, "slope: how far the weight follows its score")]
    alt = (
        f"The same eight scores of variance 1, twice. {told[0]}; the bars have all sizes, and "
        "the point on the curve of weight against score lies where it is steep. "
        f"{told[1]}; one bar has everything, and the point lies where the curve is flat."
    )
    return Drawing("Saturation of the softmax", alt, 416, 364, parts)


def _curve(x: Number, y: Number, weight: float, slope: float) -> list[Part]:
    """Weight of one key against its score, 0 where it has half; the point, and the tangent."""
    low, high, wide, tall = -4.0, 8.0, 184.0, 90.0
    at = math.log(weight / (1 - weight))

    def place(score: Number, value: Number) -> tuple[float, float]:
        return x + (score - low) / (high - low) * wide, y + tall * (1 - value)

    points = [place(s, 1 / (1 + math.exp(-s))) for s in np.linspace(low, high, 61)]
    reach = 1.6
    middle = place(at, weight)
    tangent = [place(at + step, weight + slope * step) for step in (-reach, reach)]
    return [
        line(place(low, 0), place(high, 0), role="score"),
        line(place(low, 0), place(low, 1.05), role="score"),
        line(*points, role="score", width=2.5),
        line(*tangent, width=3),
        f'<circle cx="{middle[0]:.2f}" cy="{middle[1]:.2f}" r="6" fill="currentColor"/>',
        text(x + 8, y + 4, "its weight", anchor="start", role="score"),
        text(x + wide / 2 - 8, y + tall + 16, "score of key 1", role="score"),
        arrow((x + wide / 2 + 46, y + tall + 16), (x + wide - 8, y + tall + 16), role="score"),
    ]
