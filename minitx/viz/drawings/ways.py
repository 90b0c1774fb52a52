"""A stack with residual connections is a sum over all ways through it."""

from itertools import combinations

from minitx.viz.colours import LIT
from minitx.viz.drawings.bypass import GAIN, SUBLAYERS
from minitx.viz.svg import Box, Drawing, Part, arrow, line, text

WIDE = 48.0  # of a sublayer


def ways() -> list[tuple[int, ...]]:
    """Which sublayers each way goes through, the shortest first.

    >>> ways()[:4], len(ways())
    ([(), (0,), (1,), (2,)], 8)
    """
    layers = range(SUBLAYERS)
    return [way for length in range(SUBLAYERS + 1) for way in combinations(layers, length)]


def residual_paths() -> Drawing:
    """Every way of the gradient, one in a row, with its factor; their sum and the one product."""
    top, pitch, left, end = 66.0, 32.0, 14.0, 290.0
    parts: list[Part] = [
        text(2, 12, "the ways through three sublayers", anchor="start", bold=True),
        text(414, 12, "factor", anchor="end", bold=True),
        text(2, 36, "each *f* passed or skipped: 2 · 2 · 2 ways", anchor="start", role="score"),
    ]
    for row, way in enumerate(ways()):
        y = top + pitch * row
        taken = [48.0 + 78 * layer for layer in way]
        starts, stops = [left, *(x + WIDE for x in taken)], [*taken, end]
        for start, stop in zip(starts, stops, strict=True):
            if skips := stop - start > 78 - WIDE:
                band = f"M{start + 8:g},{y:g} H{stop - 8:g}"
                parts += [f'<path d="{band}" stroke="{LIT}" stroke-width="14"/>'] * skips
            parts += [arrow((start, y), (stop, y))]
        parts += [Box(x, y - 12, WIDE, 24, f"*f*_{layer + 1}", fill=0.06)
                  for x, layer in zip(taken, way, strict=True)]  # fmt: skip
        parts += [text(414, y, f"{GAIN ** len(way):.3g}", anchor="end", bold=row in (0, 7))]
        if len(way) == SUBLAYERS:
            parts += [text(end + 10, y, "no roads:", anchor="start")]
    total = sum(GAIN ** len(way) for way in ways())
    low = top + pitch * len(ways()) - 10
    parts += [line((330, low), (414, low))]
    parts += [text(414, low + 18, f"{total:.4g}", anchor="end", bold=True)]
    parts += [text(350, low + 18, "sum with roads:", anchor="end", bold=True)]
    alt = (
        f"The {len(ways())} ways through {SUBLAYERS} sublayers, one in each row: at every sublayer "
        f"the gradient either goes through f or past it. Each f has the factor {GAIN:g}. The way "
        "past all of them has the factor 1, three ways go through one f, 0.1 each, three through "
        "two, 0.01 each, and one through all three, 0.001. Without roads there is only the last. "
        f"With them the gradient is the sum of all: {total:.4g}."
    )
    return Drawing("A sum over all ways", alt, 416, low + 34, parts)
