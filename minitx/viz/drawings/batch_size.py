"""The critical batch: up to it twice the batch halves the steps, beyond it hardly anything."""

from minitx.viz.drawings.plane import Plane
from minitx.viz.svg import Drawing, Part, dot, line, text

LARGEST = 32  # of the batches shown, in critical batches; the smallest is as much smaller


def steps(batch: float) -> float:
    """Steps to a certain loss, in multiples of what the largest batches need.

    A model, not a measurement: McCandlish et al. 2018, §2.3, with the batch in critical ones.

    >>> steps(1.0), steps(1e9) < 1.001
    (2.0, True)
    """
    return 1 + 1 / batch


def critical_batch() -> Drawing:
    """Steps against batch, both in powers of two: a slope, a bend, and a floor."""
    plane = Plane(64, 268, 316, 200, across=(1 / LARGEST, LARGEST), up=(0.7, 40), logarithmic=True)
    batches = [2 ** (power / 4) for power in range(-20, 21)]
    parts: list[Part] = plane.axes("batch, in critical batches", "steps to a certain loss")
    parts += plane.ticks_across({1 / 16: "1/16", 1 / 4: "1/4", 1: "1", 4: "4", 16: "16"})
    parts += plane.ticks_up({1: "1", 2: "2", 8: "8", 32: "32"})
    parts += [line(plane.at(1 / 32, 32), plane.at(1.4, 1 / 1.4), role="score", dashed=True)]
    parts += [line(plane.at(1 / 4, 1), plane.at(LARGEST, 1), role="score", dashed=True)]
    parts += [line(plane.at(1, 0.7), plane.at(1, 5), role="score")]
    parts += [line(*plane.curve((batch, steps(batch)) for batch in batches), width=3)]
    x, y = plane.at(1, steps(1.0))
    parts += [
        dot(x, y, 5),
        text(x + 6, plane.at(1, 6)[1], "critical batch", bold=True, anchor="start"),
    ]
    x, y = plane.at(1 / 8, 15)
    parts += [text(x + 16, y - 34, "twice the batch:", anchor="start")]
    parts += [text(x + 16, y - 15, "half the steps", anchor="start", bold=True)]
    x, y = plane.at(LARGEST, 1.6)
    parts += [text(x, y - 32, "twice the batch:", anchor="end")]
    parts += [text(x, y - 13, "hardly fewer steps", anchor="end", bold=True)]
    alt = (
        "Steps to a certain loss against the size of the batch, both axes in powers of two; a "
        "model, not a measurement. For small batches the curve falls along a slanted line: twice "
        "the batch, half the steps. For large ones it follows a level line: twice the batch, "
        f"hardly fewer steps. In between, at the critical batch, it takes {steps(1.0):g} times as "
        "many steps as the largest batches need."
    )
    return Drawing("The critical batch", alt, 416, 314, parts)
