"""One table for words in and words out: a row is read, or compared with all rows."""

import numpy as np

from minitx.viz.svg import Box, Drawing, Part, arrow, dot, grid, text

TABLE = {
    "cinq": (1, 0, 2),
    "cent": (0, 2, 1),
    "vingt": (2, 1, 0),
    "quatre": (0, 1, 2),
    "⟨end⟩": (1, 1, 0),
}
TOKEN, STATE = "cent", (2, 1, 0)
BASE_MODEL = (37_000, 512)  # tokens and width; Vaswani et al. 2017, §5.1 and table 3


def logits() -> dict[str, int]:
    """The products of the state with every row.

    >>> max(logits(), key=logits().get)
    'vingt'
    """
    return {word: int(np.dot(vector, STATE)) for word, vector in TABLE.items()}


def tied_weights() -> Drawing:
    """The table in the middle; left one of its rows goes in, right all of them are compared."""
    wide, high, left, top = 28.0, 28.0, 150.0, 66.0
    bottom, bus, right = top + len(TABLE) * high, 290.0, 340.0
    middle = left + 1.5 * wide
    best = max(logits(), key=lambda word: logits()[word])
    parts: list[Part] = [
        text(2, 12, "in: read one row", bold=True, anchor="start"),
        text(414, 12, "out: compare with all", bold=True, anchor="end"),
        text(middle, top - 14, "table (V, C)"),
        text(right + 20, top - 14, "logits"),
    ]
    for i, (word, vector) in enumerate(TABLE.items()):
        y = top + i * high
        fill = 0.3 if word == TOKEN else 0.08
        parts += grid(left, y, [[str(n) for n in vector]], cell=(wide, high), role="ink",
                      fill=[[fill] * 3])  # fmt: skip
        parts += [text(left - 8, y + high / 2, word, anchor="end", bold=word == TOKEN)]
        parts += [arrow((left + 3 * wide + 3, y + high / 2), (right - 3, y + high / 2))]
        parts += [dot(bus, y + high / 2, 4, role="q")]
        parts += [Box(right, y + 2, 40, high - 4, str(logits()[word]), radius=0,
                      fill=0.3 if word == best else 0.0, bold=word == best)]  # fmt: skip
    row = top + ([*TABLE].index(TOKEN) + 0.5) * high
    parts += [Box(2, row - 13, 56, 26, TOKEN, bold=True), arrow((60, row), (left - 48, row))]
    layers = Box(96, bottom + 62, 152, 32, "all the layers", fill=0.1)
    parts += [layers, arrow((middle, bottom + 4), (middle, layers.y - 3), width=2.5)]
    parts += [text(middle - 12, bottom + 32, f"*x* = {_written(TABLE[TOKEN])}", anchor="end")]
    parts += [arrow(layers.right, (bus, layers.right[1]), (bus, top + high / 2 + 5), role="q",
                    width=2.5)]  # fmt: skip
    parts += [text(bus + 12, layers.y + 2, f"*h* = {_written(STATE)}", role="q", anchor="start")]
    parts += [text(bus + 12, bottom + 22, "dots: row · *h*", role="q", anchor="start")]
    V, C = BASE_MODEL
    said = f"base model: {V:,} × {C} = {V * C / 1e6:.1f} M weights, kept once"
    parts += [text(2, bottom + 124, said, anchor="start")]
    alt = (
        f"One table with a row of three numbers for each word, {', '.join(TABLE)}, used twice. In: "
        f"the row of {TOKEN}, {_written(TABLE[TOKEN])}, is read and goes as x through all the "
        f"layers. Out: what comes of it, h = {_written(STATE)}, is compared with every row of the "
        f"same table by a dot product: logits {', '.join(map(str, logits().values()))}, "
        f"the highest for {best}. In the base model of 2017 the table has {V:,} × {C} = "
        f"{V * C / 1e6:.1f} million weights, kept once."
    )
    return Drawing("One table for in and out", alt, 416, bottom + 138, parts)


def _written(vector: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, vector))})"
