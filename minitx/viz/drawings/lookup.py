"""Looking something up by how well it fits: attention before it has a formula."""

from typing import SupportsFloat

import numpy as np

from minitx import numpy_core
from minitx.viz.colours import Role
from minitx.viz.svg import (
    Box,
    Drawing,
    Number,
    Part,
    Point,
    arrow,
    curve,
    grid,
    line,
    shape,
    signed,
    text,
)

# The rain gauges of chapter 1: in which direction each lies from the town, and what it measured.
DIRECTIONS = {"north": (0.0, 1.0), "east": (1.0, 0.0), "south": (0.0, -1.0), "west": (-1.0, 0.0)}
RAIN = (4.0, 8.0, 20.0, 12.0)
FARM = (2.0, 1.0)


def lookup_bars() -> Drawing:
    """Scores as bars, weights as bars, and the mixture: one soft lookup with its numbers."""
    values, query = np.array(RAIN), np.array(FARM)
    scores = np.array([*DIRECTIONS.values()]) @ query
    weights = numpy_core.softmax(scores)
    shares = [float(share) for share in weights * values]
    parts: list[Part] = [
        text(10, 18, "query: the farm", role="q", bold=True, anchor="start"),
        _pointer(152, 18, FARM, "q"),
        text(10, 60, "key", role="k", bold=True, anchor="start"),
        text(136, 60, "score", role="score", bold=True),
        text(136, 79, "query · key"),
        text(250, 60, "weight", bold=True),
        text(250, 79, "softmax"),
        text(360, 60, "value", role="v", bold=True),
        text(360, 79, "rain, mm"),
        line((136, 92), (136, 248), role="score"),
    ]
    rows = []
    for row, (name, key) in enumerate(DIRECTIONS.items()):
        y = 96 + 40 * row
        score, weight, value = (float(each[row]) for each in (scores, weights, values))
        parts += [
            text(10, y + 12, name, role="k", anchor="start"),
            _pointer(64, y + 12, key, "k"),
            *_score_bar(136, y, score),
            Box(206, y, 78 * weight, 24, fill=0.55, radius=0),
            text(212 + 78 * weight, y + 12, f"{weight:.3f}", anchor="start"),
            text(324, y + 12, "×"),
            Box(338, y, 46, 24, f"{value:.0f}", "v", fill=0.12),
        ]
        rows += [f"{name}: score {score:.0f}, weight {weight:.3f}, value {value:.0f}"]
    parts += _mixture(10, 272, dict(zip(DIRECTIONS, shares, strict=True)))
    alt = (
        "Four rain gauges, a row each: the score of the farm's query as a bar to the right or "
        f"left, the weight as a bar, the value. {'; '.join(rows)}. Below, weight times value as a "
        f"bar of four pieces, mostly east, some north: the mixture, {sum(shares):.2f} mm."
    )
    return Drawing("Scores, weights, mixture", alt, 400, 336, parts)


def _score_bar(zero: Number, y: Number, score: Number) -> list[Part]:
    side = 1 if score > 0 else -1
    long = 15 * abs(score)
    return [
        Box(
            zero + min(0.0, side * long), y, long, 24, role="score", fill=0.2, hatch=True, radius=0
        ),
        text(
            zero + side * (long + 6), y + 12, signed(score), anchor="start" if side > 0 else "end"
        ),
    ]


def _mixture(x: Number, y: Number, shares: dict[str, float]) -> list[Part]:
    """Weight times value of each, one after the other; small pieces have no name."""
    whole = sum(shares.values())
    parts: list[Part] = [
        line((x, y - 14), (390, y - 14), role="score"),
        text(x, y + 13, "mixture", role="v", bold=True, anchor="start"),
        text(390, y + 13, f"{whole:.2f} mm", role="v", bold=True, anchor="end"),
    ]
    start, scale = x + 72, 220 / whole
    for number, (name, share) in enumerate(shares.items()):
        wide = scale * share
        parts += [Box(start, y, wide, 26, role="v", fill=0.15, hatch=number % 2 == 1, radius=0)]
        if wide > 20:
            parts += [text(start + wide / 2, y + 44, f"{name} {share:.2f}")]
        start += wide
    return parts


def score_grid() -> Drawing:
    """QKᵀ as a grid that is being filled, cell by cell."""
    queries = np.array([[2, 1], [0, 2], [-1, 1]])
    keys = np.array([*DIRECTIONS.values()]).astype(int)
    scores = queries @ keys.T
    row, column = 1, 2  # the cell that is being computed
    left, top, wide, high = 122, 102, 66, 44
    parts: list[Part] = [
        text(left + 2 * wide, 14, "keys: one column each", role="k", bold=True),
        text(10, 66, "queries:", role="q", bold=True, anchor="start"),
        text(10, 84, "one row each", role="q", bold=True, anchor="start"),
    ]
    for j, (name, key) in enumerate(zip(DIRECTIONS, keys, strict=True)):
        x, strong = left + j * wide, 0.3 if j == column else 0.08
        parts += [text(x + wide / 2, 36, name, role="k")]
        parts += grid(
            x + 15, 48, [[signed(number)] for number in key], cell=(wide - 30, 21), role="k",
            fill=[[strong], [strong]],
        )  # fmt: skip
    for i, query in enumerate(queries):
        strong = 0.3 if i == row else 0.08
        parts += grid(
            30, top + i * high + 11, [[signed(number) for number in query]], cell=(36, 22),
            role="q", fill=[[strong, strong]],
        )  # fmt: skip
    for i, j in np.ndindex(scores.shape):
        done, now = (i, j) < (row, column), (i, j) == (row, column)
        parts += [
            Box(
                left + j * wide, top + i * high, wide, high,
                signed(scores[i, j]) if done or now else "", "ink" if now else "score",
                fill=0.12 if done else 0.0, dashed=not (done or now), radius=0, bold=now, size=16,
            )
        ]  # fmt: skip
    # Drawn last, so that no neighbour's edge lies over it.
    x, y, low = left + column * wide, top + row * high, top + len(queries) * high
    products = [
        f"{_factor(a)} · {_factor(b)}" for a, b in zip(queries[row], keys[column], strict=True)
    ]
    sum_of_products = f"{' + '.join(products)} = {signed(scores[row, column])}"
    parts += [
        shape(f"M{x},{y} h{wide} v{high} h-{wide} Z", width=3),
        curve((x + wide / 2 - 24, low + 24), (x + wide / 2, y + high - 6), bend=0.15),
        text(x + wide / 2, low + 38, sum_of_products, bold=True),
    ]
    alt = (
        "A grid with a row for each of three queries and a column for each of four keys. A cell is "
        "the dot product of its row's query with its column's key. The first row is filled: "
        f"{', '.join(map(str, scores[0]))}. In the second, the third cell is being computed, "
        f"{sum_of_products}; the cells after it are still empty."
    )
    return Drawing("The grid of all scores", alt, 400, low + 54, parts)


def highlighter_and_jigsaw() -> Drawing:
    """Two pictures of attention: words marked in shades, and an edge that fits."""
    parts: list[Part] = [
        text(98, 16, "the highlighter", bold=True),
        text(302, 16, "the jigsaw", bold=True),
        *_marked_page(8, 36),
        text(98, 202, "for this question these"),
        text(98, 221, "words count, in shades"),
        _piece(214, 84, tab=True, role="q"),
        text(236, 146, "query", role="q", bold=True),
        arrow((268, 106), (302, 106), role="q", width=2),
    ]
    for row, notch in enumerate(("square", "round", "point")):
        y = 34 + 50 * row
        parts += [
            _piece(308, y, notch=notch, role="k", fill=0.3 if notch == "round" else 0.06),
            Box(334, y + 10, 28, 24, "*v*_" + str(row + 1), "v", fill=0.12, radius=2),
        ]
    parts += [
        text(302, 202, "the edge that fits, the key,"),
        text(302, 221, "brings its picture, the value"),
    ]
    alt = (
        "Left, a page of words, one of them marked strongly, one less, one faintly: for this "
        "question these words count, in shades. Right, a jigsaw piece with a round tab, the query, "
        "beside three pieces with a square, a round and a pointed notch, the keys. It fits the "
        "round one and so gets the picture on that piece, its value."
    )
    return Drawing("Two pictures of attention", alt, 400, 236, parts)


def _marked_page(x: Number, y: Number) -> list[Part]:
    """Words as strokes; the marked ones with how strongly."""
    marked = {(1, 1): 0.7, (2, 0): 0.35, (3, 2): 0.14}
    parts: list[Part] = [Box(x, y, 182, 146, role="score", radius=6)]
    for row, lengths in enumerate([(44, 30, 52), (26, 62, 40), (50, 38, 36), (34, 44, 50)]):
        start = x + 14.0
        for column, length in enumerate(lengths):
            middle, strength = y + 26 + 32 * row, marked.get((row, column))
            if strength:
                parts += [
                    Box(start - 5, middle - 11, length + 10, 22, role="k", fill=strength, radius=3)
                ]
            parts += [line((start, middle), (start + length, middle), width=4)]
            start += length + 14
    return parts


def _piece(
    x: Number, y: Number, *, role: Role, tab: bool = False, notch: str = "", fill: Number = 0.15
) -> str:
    """A square of 44 with a tab at its right, or with a notch at its left."""
    right = "v14 a9,9 0 1 1 0,16 v14" if tab else "v44"
    left = {
        "square": "v-14 h10 v-16 h-10 v-14",
        "round": "v-14 a9,9 0 1 0 0,-16 v-14",
        "point": "v-14 l12,-8 l-12,-8 v-14",
        "": "v-44",
    }[notch]
    wide = 44 if tab else 60
    return shape(f"M{x},{y} h{wide} {right} h-{wide} {left} Z", role=role, fill=fill, width=2)


def _pointer(x: Number, y: Number, towards: Point, role: Role) -> str:
    """A short arrow in this direction (up is positive) around x, y."""
    across, up = (11 * part / max(1.0, np.hypot(*towards) / 1.5) for part in towards)
    return arrow((x - across, y + up), (x + across, y - up), role=role, width=2)


def _factor(number: SupportsFloat) -> str:
    return f"({signed(number)})" if float(number) < 0 else signed(number)
