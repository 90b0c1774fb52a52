"""Where positions enter, and the two ways to bring them to a word's vector."""

from minitx.viz.colours import Role
from minitx.viz.svg import (
    Box,
    Drawing,
    Number,
    Part,
    Point,
    arrow,
    bracket,
    grid,
    line,
    plate,
    text,
)


def three_doors() -> Drawing:
    """A layer as a flow, with a door at the embeddings, at q and k, and at the scores."""
    parts: list[Part] = []
    middle, scores, values = 126.0, 84.0, 200.0
    columns: tuple[tuple[float, Role], ...] = ((42.0, "q"), (middle, "k"), (values, "v"))
    parts += [Box(middle - 60, 4, 120, 28, "embeddings"), arrow((middle, 32), (middle, 112))]
    parts += [Box(8, 112, 228, 280, dashed=True, role="score")]
    parts += [line((columns[0][0], 126), (values, 126)), line((middle, 112), (middle, 126))]
    for x, role in columns:
        parts += [arrow((x, 126), (x, 148)), Box(x - 24, 148, 48, 28, f"*{role}*", role, fill=0.15)]
    for x, role in columns[:2]:
        parts += [arrow((x, 176), (x, 240), role=role)]
    parts += [Box(18, 240, 132, 28, "scores", "score", fill=0.15)]
    parts += [arrow((scores, 268), (scores, 326)), Box(18, 326, 132, 28, "softmax", "score")]
    parts += [arrow((values, 176), (values, 362), role="v")]
    parts += [arrow((scores, 354), (scores, 374), (values - 20, 374))]
    parts += [text(values, 374, "sum"), arrow((values, 384), (values, 408))]
    parts += [text(16, 380, "layer", role="score", anchor="start")]
    parts += [text(228, 406, "next layer", role="score", anchor="start")]
    for number, y, (start, end), action, when, who in (
        (1, 72, (middle, middle), "add a vector", "once", "sinusoids, learned"),
        (2, 204, (42, middle), "turn *q* and *k*", "in every layer", "rotary"),
        (3, 294, (scores, scores), "add a number", "in every layer", "Shaw, T5, ALiBi,"),
    ):
        parts += [arrow((252, y), (end + 17, y), width=2.5), plate(number, (start, end), y)]
        parts += [text(258, y - 10, action, anchor="start", bold=True)]
        parts += [text(258, y + 9, when, anchor="start", role="score")]
        parts += [text(258, y + 28, who, anchor="start")]
    parts += [text(258, 340, "Transformer-XL", anchor="start")]
    alt = (
        "A flow from the embeddings into a layer, where q, k and v are made, q and k give the "
        "scores, and softmax and a sum over v follow. Three doors for positions. Door 1, between "
        "the embeddings and the first layer, once: add a vector (sinusoids, learned). Door 2, in "
        "every layer between q and k and their scores: turn q and k (rotary). Door 3, in every "
        "layer between the scores and the softmax: add a number (Shaw, T5, ALiBi, Transformer-XL)."
    )
    return Drawing("Three doors for positions", alt, 416, 418, parts)


def add_or_concatenate() -> Drawing:
    """A word's vector with a place's beside it and two matrices; and their sum and one matrix."""
    cell, C, D = 24.0, 4, 3
    left, matrix = 8.0, 256.0
    result = matrix + D * cell + 8
    side = C * cell
    parts: list[Part] = [text(left, 12, "concatenate: twice as wide", anchor="start", bold=True)]
    top = 40.0
    y = top + side - cell / 2
    parts += _cells((left, y), 1, C, cell, "score") + _cells((left + side, y), 1, C, cell, "ink")
    parts += [text(left + side / 2, y - 14, "word"), text(left + 1.5 * side, y - 14, "place")]
    parts += [bracket((left, y + cell + 4), (left + 2 * side, y + cell + 4), side="bottom",
                      label="2C numbers")]  # fmt: skip
    parts += [text((left + 2 * side + matrix) / 2, y + cell / 2, "×", bold=True)]
    for row, (role, name) in enumerate((("score", "*W*_x"), ("ink", "*W*_p"))):
        parts += _cells((matrix, top + row * side), C, D, cell, role)  # type: ignore[arg-type]
        parts += [text(result, top + (row + 0.5) * side, name, anchor="start", bold=True)]
    below = top + 2 * side + 18
    parts += [text(408, below, "= word · *W*_x + place · *W*_p", anchor="end")]
    title = below + 44
    parts += [text(left, title, "add: as wide as before, one matrix for both", anchor="start",
                   bold=True)]  # fmt: skip
    top = title + 24
    y = top + side / 2 - cell / 2
    for role in ("score", "ink"):
        parts += _cells((left, y), 1, C, cell, role)  # type: ignore[arg-type]
        parts += _cells((matrix, top), C, D, cell, role)  # type: ignore[arg-type]
    parts += [text(left + side / 2, y - 14, "word + place")]
    parts += [bracket((left, y + cell + 4), (left + side, y + cell + 4), side="bottom",
                      label="C numbers")]  # fmt: skip
    parts += [text((left + 2 * side + matrix) / 2, y + cell / 2, "×", bold=True)]
    parts += [text(result, top + side / 2, "*W*", anchor="start", bold=True)]
    below = top + side + 18
    parts += [text(408, below, "= word · *W* + place · *W*", anchor="end")]
    alt = (
        "Concatenated: a row of C numbers for the word and beside it C hatched ones for the "
        "place, times two matrices, one above the other: W_x for the word and, hatched, W_p for "
        "the place. The result is word times W_x plus place times W_p. Added: one row of C "
        "numbers, word plus place, times one matrix W. The result is word times W plus place times "
        "W: also a sum, but half as wide and with one matrix for both."
    )
    return Drawing("Add or concatenate", alt, 416, below + 14, parts)


def _cells(corner: Point, rows: int, columns: int, cell: Number, role: Role) -> list[Part]:
    """A table without numbers: the word's plain, the place's hatched."""
    hatched = role == "ink"
    return [*grid(
        *corner, [[""] * columns] * rows, cell=(cell, cell), role=role,
        fill=[[0.0 if hatched else 0.3] * columns] * rows, hatch=[[hatched] * columns] * rows,
    )]  # fmt: skip
