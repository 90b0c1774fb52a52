"""A pair of numbers as the hand of a dial, for the drawings of positions."""

import math

from minitx.viz.colours import Role
from minitx.viz.svg import LINE, Number, Part, Point, arrow, dot, shape


def on_clock(angle: Number) -> Point:
    """Where a hand points that was turned from 12 o'clock, clockwise: (sine, cosine).

    >>> [round(part, 2) for part in on_clock(math.pi / 2)]      # 3 o'clock: right, and not up
    [1.0, 0.0]
    """
    return math.sin(angle), math.cos(angle)


def face(middle: Point, radius: Number) -> str:
    """A round dial with a mark at 12, 3, 6 and 9 o'clock."""
    x, y = middle
    marks = [
        f"M{x + radius * a:.2f},{y - radius * b:.2f} l{-4 * a:.2f},{4 * b:.2f}"
        for a, b in (on_clock(quarter * math.pi / 2) for quarter in range(4))
    ]
    return dot(x, y, radius, role="score", fill=0) + shape(" ".join(marks), role="score")


def hand(
    middle: Point,
    radius: Number,
    pair: Point,
    *,
    role: Role = "ink",
    width: Number = 2.5,
    dashed: bool = False,
) -> str:
    """From the middle to a pair of numbers, the first to the right and the second up."""
    x, y = middle
    tip = (x + radius * pair[0], y - radius * pair[1])
    return arrow(middle, tip, role=role, width=width, dashed=dashed)


def wedge(
    middle: Point, radius: Number, start: Number, turn: Number, *, role: Role = "ink"
) -> Part:
    """What a hand sweeps that turns clockwise from an angle on, by less than a whole turn."""
    (x, y), (a, b), (c, d) = middle, on_clock(start), on_clock(start + turn)
    large, clockwise = int(abs(turn) % (2 * math.pi) > math.pi), int(turn > 0)
    path = (
        f"M{x:.2f},{y:.2f} L{x + radius * a:.2f},{y - radius * b:.2f} "
        f"A{radius:.2f},{radius:.2f} 0 {large} {clockwise} "
        f"{x + radius * c:.2f},{y - radius * d:.2f} Z"
    )
    return shape(path, role=role, fill=0.22, width=LINE / 2)
