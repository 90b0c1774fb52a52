"""Where positions enter, and the two ways to bring them to a word's vector."""

from minitx.viz.colours import Role
from minitx.viz.svg import Box, Drawing, Part, Point, arrow, dot, grid, line, text


def three_doors() -> Drawing:
    """A layer as a flow, with a door at the embeddings, at q and k, and at the scores."""
    parts: list[Part] = []
    middle = 118.0
    parts += [Box(middle - 60, 4, 120, 28, "tokens")]
    parts += [arrow((middle, 32), (middle, 50)), Box(middle - 60, 50, 120, 28, "embeddings")]
    parts += [arrow((middle, 78), (middle, 140))]
    layer = 132.0
    parts += [Box(8, layer, 220, 262, dashed=True, role="score")]
    columns = (44.0, middle, 192.0)
    roles: tuple[Role, ...] = ("q", "k", "v")
    for x, role in zip(columns, roles, strict=True):
        parts += [arrow((x, 150), (x, 170)), Box(x - 22, 170, 44, 28, f"*{role}*", role, fill=0.15)]
        if role != "v":
            parts += [arrow((x, 198), (x, 256), role=role)]
    parts += [line((columns[0], 150), (columns[2], 150))]
    parts += [Box(18, 256, 128, 28, "scores *qk*^⊤", "score", fill=0.15)]
    parts += [arrow((82, 284), (82, 330)), Box(18, 330, 128, 28, "softmax", "score")]
    parts += [arrow((192, 198), (192, 366), role="v"), arrow((82, 358), (82, 374), (176, 374))]
    parts += [text(192, 376, "sum")]
    parts += [arrow((192, 386), (192, 408))]
    for number, y, x, action, who in (
        (1, 104, middle, "add a vector", ("sinusoids,", "learned")),
        (2, 226, middle, "turn *q* and *k*", ("rotary",)),
        (3, 306, 82, "add a number", ("Shaw, T5, ALiBi,", "Transformer-XL")),
    ):
        parts += [arrow((252, y), (x + 16, y), width=2)]
        parts += [dot(x, y, 12, fill=0), text(x, y, str(number), bold=True, halo=True)]
        parts += [text(258, y - 9, action, anchor="start", bold=True)]
        parts += [text(258, y + 11 + 18 * i, name, anchor="start") for i, name in enumerate(who)]
    alt = (
        "A flow from tokens to embeddings and into a layer, where q, k and v are made, q and k "
        "give the scores, and softmax and a sum over v follow. Three doors for positions. Door 1, "
        "between the embeddings and the first layer: add a vector (sinusoids, learned). Door 2, in "
        "every layer between q and k and their scores: turn q and k (rotary). Door 3, in every "
        "layer between the scores and the softmax: add a number (Shaw, T5, ALiBi, Transformer-XL)."
    )
    return Drawing("Three doors for positions", alt, 416, 416, parts)


def add_or_concatenate() -> Drawing:
    """A word's vector with a place's beside it and two matrices; and their sum and one matrix."""
    parts: list[Part] = []
    cell, C, D = 22.0, 4, 3
    left, right = 10.0, 240.0
    parts += [text(left, 12, "concatenate", anchor="start", bold=True)]
    y = 100.0
    parts += _row((left, y), C, cell, hatch=False) + _row((left + C * cell, y), C, cell, hatch=True)
    parts += [text(left + C * cell / 2, y - 14, "word"),
              text(left + 1.5 * C * cell, y - 14, "place")]  # fmt: skip
    parts += [text(left + 2 * C * cell + 24, y + cell / 2, "×")]
    top = y + cell / 2 - C * cell
    parts += _block((right, top), C, D, cell, hatch=False)
    parts += _block((right, top + C * cell), C, D, cell, hatch=True)
    parts += [text(right + D * cell + 8, top + C * cell / 2, "*W*_x", anchor="start")]
    parts += [text(right + D * cell + 8, top + 1.5 * C * cell, "*W*_p", anchor="start")]
    y2 = top + 2 * C * cell + 90
    parts += [text(left, y2 - 66, "add", anchor="start", bold=True)]
    parts += _row((left, y2), C, cell, hatch=True)
    parts += [text(left + C * cell / 2, y2 - 14, "word + place")]
    parts += [text(left + C * cell + 24, y2 + cell / 2, "×")]
    top2 = y2 + cell / 2 - C * cell / 2
    parts += _block((right, top2), C, D, cell, hatch=True)
    parts += [text(right + D * cell + 8, top2 + C * cell / 2, "*W*", anchor="start")]
    alt = (
        f"Concatenated: a row of {C} numbers for the word and beside it {C} for the place, times "
        "two matrices, one above the other: W_x for the word and W_p for the place. Added: one row "
        f"of {C} numbers, word plus place, times one matrix W. Half as wide, and both share W."
    )
    return Drawing("Add or concatenate", alt, 416, top2 + C * cell + 20, parts)


def _row(corner: Point, columns: int, cell: float, *, hatch: bool) -> list[Part]:
    return [*grid(*corner, [[""] * columns], cell=(cell, cell), hatch=[[hatch] * columns])]


def _block(corner: Point, rows: int, columns: int, cell: float, *, hatch: bool) -> list[Part]:
    labels = [[""] * columns] * rows
    return [*grid(*corner, labels, cell=(cell, cell), hatch=[[hatch] * columns] * rows)]
