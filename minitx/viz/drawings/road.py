"""A residual connection as the chapters draw it: a straight road, and detours through sublayers."""

from collections.abc import Sequence
from itertools import pairwise

from minitx.viz.colours import LIT, PAPER
from minitx.viz.svg import Box, Number, Part, arrow, elbow, joint, line

RING = 10.0
STEP = 40.0  # from box to box, from a turn-off to the first of them, from the last to the sum


def road(x: Number, top: Number, bottom: Number) -> list[Part]:
    """Straight down, and lit: what goes here is changed by nothing on the way."""
    band = f'<path d="M{x:g},{top:g} V{bottom - 4:g}" stroke="{LIT}" stroke-width="16"/>'
    return [band, arrow((x, top), (x, bottom), width=2.5)]


def detour(x: Number, y: Number, boxes: Sequence[Box]) -> list[Part]:
    """From the road at x through boxes below each other, and back to it as a sum.

    Args:
        x: of the road.
        y: where the way turns off.
        boxes: from `stops`.
    """
    parts: list[Part] = [elbow((x, y), boxes[0].top)]
    parts += boxes
    parts += [arrow(before.bottom, after.top) for before, after in pairwise(boxes)]
    out, back = boxes[-1].bottom, rejoins(y, len(boxes))
    parts += [line(out, (out[0], back)), arrow((out[0], back), (x + RING, back))]
    return [*parts, *sum_on_road(x, back)]


def stops(left: Number, wide: Number, y: Number, labels: Sequence[str]) -> list[Box]:
    """The boxes of a detour that turns off at y; what is called norm is lit."""
    return [
        Box(left, y + 18 + STEP * i, wide, 26, label, fill=0.06, lit=label == "norm")
        for i, label in enumerate(labels)
    ]


def rejoins(y: Number, boxes: int) -> float:
    """Where a detour that turns off at y is back on the road."""
    return y + 18 + STEP * boxes + 4


def sum_on_road(x: Number, y: Number) -> list[Part]:
    """A ring with a plus, whose inside hides the road."""
    ground = f'<circle cx="{x:g}" cy="{y:g}" r="{RING:g}" fill="{LIT}"/>'
    return [ground, joint(x, y, radius=RING)]


def on_road(x: Number, y: Number, label: str, *, lit: bool = False) -> list[Part]:
    """A box across the road: all that goes there goes through it."""
    ground = f'<rect x="{x - 30:g}" y="{y:g}" width="60" height="26" rx="4" fill="{PAPER}"/>'
    return [ground, Box(x - 30, y, 60, 26, label, fill=0.06, lit=lit)]
