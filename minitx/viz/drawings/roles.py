"""Four patterns that are found in heads, as tables of weights."""

import numpy as np

from minitx.viz.svg import Drawing, Part, grid, text

WORDS = ("a", "rose", "is", "a", "rose")


def patterns() -> dict[str, np.ndarray]:
    """Each pattern's table: a row of weights for every query.

    >>> patterns()["the same word"][1].tolist()
    [0.0, 0.5, 0.0, 0.0, 0.5]
    """
    T = len(WORDS)
    same = np.array([[float(a == b) for b in WORDS] for a in WORDS])
    previous = np.eye(T, k=-1)
    previous[0, 0] = 1  # there is none before the first
    first = np.zeros((T, T))
    first[:, 0] = 1
    return {
        "the one before": previous,
        "itself": np.eye(T),
        "the first": first,
        "the same word": same / same.sum(axis=1, keepdims=True),
    }


def head_roles() -> Drawing:
    """The one before, itself, the first, the same word: four tables."""
    wide, high, left = 35.0, 22.0, 40.0
    parts: list[Part] = []
    told = []
    for number, (name, table) in enumerate(patterns().items()):
        x = left + (number % 2) * (5 * wide + 22)
        y = 46.0 + (number // 2) * 188
        parts += [text(x + 2.5 * wide, y - 34, name, bold=True)]
        for i, word in enumerate(WORDS):
            parts += [text(x + (i + 0.5) * wide, y - 12, word, role="k")]
            if x == left:
                parts += [text(x - 6, y + (i + 0.5) * high, word, role="q", anchor="end")]
        labels = [["●" if w else "" for w in row] for row in table]
        parts += grid(x, y, labels, cell=(wide, high), fill=(0.35 * table).tolist())
        told += [
            f"{name}: "
            + ", ".join("+".join(str(j + 1) for j in np.flatnonzero(row)) for row in table)
        ]
    alt = (
        f"Four tables of weights for {' '.join(WORDS)}, queries as rows, keys as columns, with the "
        f"keys that the queries 1 to {len(WORDS)} look at. {'; '.join(told)}."
    )
    return Drawing("Four patterns of heads", alt, 416, 352, parts)
