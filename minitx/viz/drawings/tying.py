"""One table for words in and words out: a row is read, or compared with all rows."""

import numpy as np

from minitx.viz.svg import Box, Drawing, Part, arrow, grid, text

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
    wide, high, left, top = 28.0, 28.0, 172.0, 110.0
    parts: list[Part] = [
        text(72, 12, "in: look up", bold=True),
        text(344, 12, "out: compare", bold=True),
        text(left + 1.5 * wide, 72, "one table"),
        text(left + 1.5 * wide, 92, "(V, C)"),
    ]
    for i, (word, vector) in enumerate(TABLE.items()):
        y = top + i * high
        chosen = word == TOKEN
        parts += grid(left, y, [[str(n) for n in vector]], cell=(wide, high), role="ink",
                      fill=[[0.3 if chosen else 0.08] * 3])  # fmt: skip
        parts += [text(left - 8, y + high / 2, word, anchor="end", bold=chosen)]
        best = logits()[word] == max(logits().values())
        parts += [arrow((left + 3 * wide + 4, y + high / 2), (330, y + high / 2), role="score")]
        parts += [Box(334, y + 2, 34, high - 4, str(logits()[word]), fill=0.3 if best else 0.0,
                      radius=0, bold=best)]  # fmt: skip
    bottom = top + len(TABLE) * high
    parts += [text(351, bottom + 14, "logits")]
    parts += [text(344, 72, "state"), *grid(302, 34, [[str(n) for n in STATE]], cell=(wide, 26),
                                            role="q", fill=[[0.15] * 3])]  # fmt: skip
    parts += [arrow((302, 62), (286, 104), role="q")]
    return Drawing("One table for in and out", "x", 416, bottom + 60, parts)
