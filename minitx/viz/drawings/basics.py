"""What the chapters take for granted: a dot product, and a step of training."""

import numpy as np

from minitx.viz.svg import Drawing, Number, Part, Point, arrow, dot, line, signed, text

# How sweet and how sour: what is wanted, and what there is.
WISH = (2, -1)
THINGS = {"honey": (3, 0), "lemonade": (2, 2), "lemon": (0, 3)}
RATE, START = 0.1, 1.0  # of one step of training, for the loss (2w - 6)²


def dot_products() -> Drawing:
    """A wish as a vector among things as vectors: on its side dot products are positive."""
    origin, unit = (84, 216), 64

    def at(vector: tuple[Number, Number]) -> Point:
        return origin[0] + unit * vector[0], origin[1] - unit * vector[1]

    across, down = at(WISH)
    square = (-WISH[1], WISH[0])  # a quarter turn to the left
    parts: list[Part] = [
        line(origin, at((1.2 * square[0], 1.2 * square[1])), role="score", dashed=True),
        text(170, 58, "at right angles: 0", role="score", anchor="start"),
        arrow(origin, (across, down), role="q", width=3),
        text(across + 10, down, _named("wish", WISH), role="q", anchor="start", bold=True),
        dot(*origin, 3),
    ]
    told = []
    for name, thing in THINGS.items():
        x, y = at(thing)
        fit = signed(int(np.dot(WISH, thing)))
        parts += [
            arrow(origin, (x, y), role="k", width=2),
            text(x + 10, y - 9, name, role="k", anchor="start", bold=True),
            text(x + 10, y + 9, f"dot product {fit}", anchor="start"),
        ]
        told += [f"{_named(name, thing)} has dot product {fit}"]
    alt = (
        "Arrows from one point: to the right how sweet, upwards how sour. The wish "
        f"{signed(WISH[0])}, {signed(WISH[1])} points to the right and a little down. "
        f"{'; '.join(told)}. A dashed line at right angles to the wish parts what fits from what "
        "does not."
    )
    return Drawing("A dot product compares", alt, 400, 296, parts)


def training_step() -> Drawing:
    """A loss over one parameter, and one step against its slope."""
    floor = 206.0

    def loss(w: Number) -> Number:
        return (2 * w - 6) ** 2

    def at(w: Number, height: Number) -> Point:
        return 16 + 70 * w, floor - 10 * height

    slope = 4 * (2 * START - 6)
    after = START - RATE * slope
    bowl = [at(w, loss(w)) for w in np.linspace(0.9, 5.1, 43).tolist()]
    tangent = [at(START + way, loss(START) + slope * way) for way in (-0.2, 0.62)]
    parts: list[Part] = [
        line(*bowl, width=2),
        line(at(0, 0), at(5.3, 0), role="score"),
        line(*tangent, role="score", dashed=True),
        text(112, 128, f"slope {signed(slope)}", role="score", anchor="end"),
        text(356, 60, "the loss", anchor="end"),
    ]
    for w, across, up in ((START, 46, 2), (after, 28, 25)):
        x, y = at(w, loss(w))
        parts += [
            dot(x, y, 5),
            text(x + across, y - up, f"loss {loss(w):.3g}", bold=True),
            text(x, floor + 16, f"*w* = {w:.3g}"),
        ]
    start, end = at(START, 0)[0], at(after, 0)[0]
    parts += [
        arrow((start, floor + 38), (end, floor + 38), width=2.5),
        text((start + end) / 2, floor + 58, f"step: {RATE:g} × {-slope:g} = {after - START:.2g}"),
    ]
    alt = (
        f"The loss (2w − 6)² as a bowl over the parameter w. At w = {START:g} it is "
        f"{loss(START):g}, and its slope is {signed(slope)}. One step against the slope, {RATE:g} "
        f"times as long, leads to w = {after:.3g}, where the loss is {loss(after):.2g}."
    )
    return Drawing("One step of training", alt, 400, 280, parts)


def _named(name: str, vector: tuple[int, int]) -> str:
    return f"{name} ({', '.join(map(signed, vector))})"
