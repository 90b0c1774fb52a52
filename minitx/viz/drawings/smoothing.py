"""Label smoothing: the target of four classes, certain and a little less than certain."""

import numpy as np

from minitx.viz.svg import Box, Drawing, Part, line, text

CLASSES, RIGHT, SMOOTHING = 4, 2, 0.1


def target(smoothing: float) -> np.ndarray:
    """The probabilities that a model is trained towards.

    >>> target(0.1).round(3).tolist()
    [0.025, 0.025, 0.925, 0.025]
    """
    return (1 - smoothing) * np.eye(CLASSES)[RIGHT] + smoothing / CLASSES


def smoothed_target() -> Drawing:
    """Two sets of four bars: everything on the right class; a tenth of it shared among all."""
    floor, unit, wide = 238.0, 170.0, 34.0
    taken, share = unit * SMOOTHING, unit * SMOOTHING / CLASSES
    parts: list[Part] = []
    told = []
    for left, name, smoothing in ((8.0, "one-hot", 0.0), (218.0, f"ε = {SMOOTHING:g}", SMOOTHING)):
        numbers = target(smoothing)
        parts += [text(left + 94, 12, name, bold=True), line((left, floor), (left + 190, floor))]
        for i, number in enumerate(numbers):
            x, right = left + 7 + 47 * i, i == RIGHT
            kept = unit * (1 - SMOOTHING) if right else 0.0
            if right:
                parts += [Box(x, floor - kept, wide, kept, fill=0.2, radius=0)]
            high = kept + share if smoothing else kept + taken * right
            if high > kept:
                parts += [Box(x, floor - high, wide, high - kept, lit=True, radius=0)]
            parts += [text(x + wide / 2, floor - high - 12, f"{number:.3g}", bold=right)]
            parts += [text(x + wide / 2, floor + 16, "right" if right else "wrong",
                           role="ink" if right else "score")]  # fmt: skip
        told += [f"{name}: {', '.join(f'{number:.3g}' for number in numbers)}"]
    parts += [text(92, floor - unit + taken / 2, f"{SMOOTHING:g} is shared", anchor="end")]
    parts += [Box(8, floor + 38, 14, 14, lit=True, radius=0)]
    parts += [text(30, floor + 45, f"ε = {SMOOTHING:g}, shared by all {CLASSES} classes: "
                   f"{SMOOTHING / CLASSES:g} each,", anchor="start")]  # fmt: skip
    parts += [text(30, floor + 65, "the right one too", anchor="start")]
    alt = (
        f"The target of {CLASSES} classes as bars, twice. {'; '.join(told)}. A tenth is taken from "
        f"the right class and shared by all {CLASSES}, {SMOOTHING / CLASSES:g} each, the right one "
        f"too, which keeps {1 - SMOOTHING:g} plus {SMOOTHING / CLASSES:g}. Together both make 1."
    )
    return Drawing("A smoothed target", alt, 416, floor + 80, parts)
