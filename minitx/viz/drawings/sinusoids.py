"""The table of sinusoids, and how its waves get longer from pair to pair."""

import math

import numpy as np

from minitx.viz.colours import SCORE
from minitx.viz.drawings.clocks import C as WAVES
from minitx.viz.drawings.clocks import speeds
from minitx.viz.svg import Drawing, Number, Part, arrow, bracket, line, text

T, C = 24, 16


def table(T: int, C: int) -> np.ndarray:
    """Sinusoids, a row per place.

    >>> table(2, 4).round(2).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.84, 0.54, 0.01, 1.0]]
    """
    import torch

    from minitx.positions import Sinusoidal

    made: np.ndarray = Sinusoidal(C).table(torch.arange(T)).numpy()
    return made


def sinusoid_table() -> Drawing:
    """A heat map of places by components: stripes at the left, hardly a change at the right."""
    wide, high, left, top = 22.0, 11.0, 56.0, 62.0
    numbers = table(T, C)
    parts: list[Part] = [
        text(left + C * wide / 2, 12, "component: sine, cosine, sine …", bold=True)
    ]
    for component in range(C):
        parts += [text(left + (component + 0.5) * wide, 36, str(component), role="score")]
    for place, row in enumerate(numbers):
        y = top + place * high
        if place % 8 == 0 or place == T - 1:
            parts += [text(left - 8, y + high / 2, str(place), anchor="end")]
        parts += [
            f'<rect x="{left + j * wide:g}" y="{y:g}" width="{wide:g}" height="{high:g}" '
            f'fill="{SCORE}" fill-opacity="{_strength(number):.2f}"/>'
            for j, number in enumerate(row)
        ]
    bottom = top + T * high
    right = left + C * wide
    for pair in range(1, C // 2):
        x = left + 2 * pair * wide
        parts += [line((x, top - 8), (x, bottom), role="score", width=0.75)]
    parts += [text(4, top + 4.5 * high, "place", anchor="start", bold=True)]
    parts += [bracket((left, bottom + 4), (left + 2 * wide, bottom + 4), side="bottom",
                      label="pair 0")]  # fmt: skip
    parts += [bracket((right - 2 * wide, bottom + 4), (right, bottom + 4), side="bottom",
                      label=f"pair {C // 2 - 1}")]  # fmt: skip
    y = bottom + 22
    parts += [arrow((left + 86, y), (right - 76, y), width=2)]
    parts += [text((left + right) / 2 - 90, y + 16, "fast", bold=True)]
    parts += [text((left + right) / 2 + 90, y + 16, "slow", bold=True)]
    y += 46
    for i, number in enumerate((-1, 0, 1)):
        x = left + 60 + i * 92
        parts += [f'<rect x="{x:g}" y="{y - 8:g}" width="22" height="16" fill="{SCORE}" '
                  f'fill-opacity="{_strength(number):.2f}" stroke="{SCORE}"/>']  # fmt: skip
        parts += [text(x + 30, y, f"{number}".replace("-", "−"), anchor="start")]
    alt = (
        f"A heat map of the sinusoids of {T} places, a row each, and {C} components, sine and "
        "cosine of each pair side by side. Faint is −1, strong is 1. The columns of pair 0 change "
        "from faint to strong and back every six rows; further to the right the stripes get "
        f"longer; in pair {C // 2 - 1} the sine stays at 0 and the cosine at 1 in all rows."
    )
    return Drawing("The table of sinusoids", alt, 416, y + 16, parts)


def _strength(number: Number) -> float:
    """Of the colour, for a number from -1 to 1."""
    return 0.04 + 0.45 * (number + 1)


def wavelengths() -> Drawing:
    """Sines of four pairs over the same places: each wave ten times as long as the one before."""
    left, right, row, top, height, places = 62.0, 396.0, 84.0, 56.0, 22.0, 100
    lengths = [2 * math.pi / speed for speed in speeds()]
    scale = (right - left) / places
    parts: list[Part] = []
    for pair, long in enumerate(lengths):
        y = top + pair * row
        parts += [text(4, y, f"pair {pair}", anchor="start", bold=True)]
        parts += [line((left, y), (right, y), role="score", width=0.75)]
        points = [
            (left + place / 4 * scale, y - height * math.sin(place / 4 * 2 * math.pi / long))
            for place in range(4 * places + 1)
        ]
        parts += [line(*points, width=2.5)]
        until = min(right, left + long * scale)
        ruler = y - height - 10
        parts += [line((left, ruler - 4), (left, ruler + 4), width=2)]
        said = f"{long:,.1f} places" if long < 100 else f"{long:,.0f} places"
        if left + long * scale > right:  # goes on beyond the edge
            parts += [arrow((left, ruler), (right + 12, ruler), width=2)]
        else:
            parts += [line((left, ruler), (until, ruler), width=2)]
            parts += [line((until, ruler - 4), (until, ruler + 4), width=2)]
        beside = until < left + 80
        parts += [text(until + 8 if beside else (left + until) / 2, ruler - (0 if beside else 12),
                       f"one wave: {said}", anchor="start" if beside else "middle",
                       bold=True)]  # fmt: skip
        if pair:
            parts += [text(4, y - row / 2, f"× {long / lengths[pair - 1]:.0f}", anchor="start")]
    bottom = top + len(lengths) * row - row + height + 12
    for place in range(0, places + 1, 20):
        x = left + place * scale
        parts += [line((x, bottom), (x, bottom + 5)), text(x, bottom + 16, str(place))]
    parts += [line((left, bottom), (right, bottom))]
    parts += [text(4, bottom + 16, "place", anchor="start")]
    alt = (
        f"The sines of the {WAVES // 2} pairs of width {WAVES} over {places} places, one below the "
        f"other. One wave takes {', '.join(f'{long:,.1f}' for long in lengths)} places: each ten "
        "times as long as the one before. Pair 0 goes up and down sixteen times, pair 1 once and a "
        "half; pair 2 has only begun to rise, and pair 3 looks flat."
    )
    return Drawing("Short waves and long ones", alt, 416, bottom + 30, parts)
