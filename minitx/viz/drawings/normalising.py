"""Layer norm on the numbers of one token, and over which numbers the kinds of norm take a mean."""

import numpy as np

from minitx import numpy_core
from minitx.viz.svg import Box, Drawing, Part, arrow, line, signed, text

TOKEN = np.array([2.0, 4, 4, 4, 5, 5, 7, 9])  # mean 5, standard deviation 2
GAMMA = np.array([1.0, 1, 1, 3, 1, 1, 1, 1])
BETA = np.array([0.0, 0, 0, 0, 0, 2, 0, 0])


def normalised(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The token after layer norm.

    >>> normalised(np.ones(8), np.zeros(8)).round(2).tolist()
    [-1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 1.0, 2.0]
    """
    return numpy_core.layer_norm(TOKEN[None], weight, bias, eps=1e-5)[0]


def normalise_row() -> Drawing:
    """Eight features of a token as bars: as they come, normalised, scaled and shifted."""
    before = normalised(np.ones_like(TOKEN), np.zeros_like(TOKEN))
    after = normalised(GAMMA, BETA)
    mean, spread = TOKEN.mean(), TOKEN.std()
    changed = (after - before).round(3) != 0
    plain = np.zeros_like(changed)
    unit = 13.0
    parts: list[Part] = [text(2, 12, "eight features of one token", anchor="start", bold=True)]
    parts += _bars(168.0, TOKEN, unit, plain, inside=True)
    parts += [line((20, 168 - unit * mean), (396, 168 - unit * mean), dashed=True, role="score")]
    parts += [text(24, 168 - unit * mean - 12, f"mean {mean:g}", anchor="start", role="score")]
    parts += [arrow((40, 182), (40, 214), width=2)]
    parts += [text(56, 198, f"− mean {mean:g}, ÷ standard deviation {spread:g}", anchor="start")]
    parts += _bars(266.0, before, unit, plain)
    parts += [arrow((40, 308), (40, 340), width=2)]
    parts += [text(56, 324, "× γ, + β: two numbers per feature, trained", anchor="start")]
    parts += _bars(392.0, after, unit, changed)
    labels = [f"γ = {g:g}" if g != 1 else f"β = {b:g}" if b else ""
              for g, b in zip(GAMMA, BETA, strict=True)]  # fmt: skip
    parts += [text(43 + 47 * i, 440, label, bold=True) for i, label in enumerate(labels) if label]
    alt = (
        f"Eight features of one token as bars: {_said(TOKEN)}, with mean {mean:g} and standard "
        f"deviation {spread:g}. Minus the mean and divided by the standard deviation they are "
        f"{_said(before)}: mean 0, variance 1, and the same shape. Then each feature is multiplied "
        "by its own γ and its own β is added, both trained: here γ is 3 for the fourth and β is 2 "
        f"for the sixth, and the numbers are {_said(after)}: mean 0 and variance 1 no longer."
    )
    return Drawing("Layer norm on one token", alt, 416, 454, parts)


def _bars(
    floor: float, numbers: np.ndarray, unit: float, lit: np.ndarray, *, inside: bool = False
) -> list[Part]:
    """Bars from a line, up or down, with their numbers beyond their ends or inside."""
    parts: list[Part] = []
    for i, (number, stands_out) in enumerate(zip(numbers, lit, strict=True)):
        x, high = 20 + 47.0 * i, unit * abs(float(number))
        if high > 1:
            top = floor - high if number > 0 else floor
            parts += [Box(x + 6, top, 34, high, role="score", fill=0.25, radius=0,
                          lit=bool(stands_out))]  # fmt: skip
        beyond = -14 if inside else -high - 10 if number > -0.05 else high + 10
        parts += [text(x + 23, floor + beyond, signed(round(float(number), 1)))]
    return [*parts, line((20, floor), (396, floor))]


def _said(numbers: np.ndarray) -> str:
    return ", ".join(signed(round(float(number), 1)) for number in numbers)
