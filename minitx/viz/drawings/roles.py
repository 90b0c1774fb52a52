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
    previous = np.eye(T, k=-1)
    previous[0, 0] = 1  # before the first there is none
    first = np.zeros((T, T))
    first[:, 0] = 1
    same = np.array([[float(a == b) for b in WORDS] for a in WORDS])
    return {
        "the previous word": previous,
        "itself": np.eye(T),
        "the first word": first,
        "the same word": same / same.sum(axis=1, keepdims=True),
    }


def head_roles() -> Drawing:
    """The previous word, itself, the first, the same: four tables."""
    wide, high, left = 35.0, 24.0, 42.0
    parts: list[Part] = []
    told = []
    for number, (name, table) in enumerate(patterns().items()):
        x = left + (number % 2) * (5 * wide + 22)
        y = 48.0 + (number // 2) * 200
        parts += [text(x + 2.5 * wide, y - 36, name, bold=True)]
        for i, word in enumerate(WORDS):
            parts += [text(x + (i + 0.5) * wide, y - 13, word, role="k")]
            if x == left:
                parts += [text(x - 7, y + (i + 0.5) * high, word, role="q", anchor="end")]
        labels = [["●" if w else "" for w in row] for row in table]
        parts += grid(x, y, labels, cell=(wide, high), fill=(0.35 * table).tolist())
        seen = ["+".join(str(j + 1) for j in np.flatnonzero(row)) for row in table]
        told += [f"{name}: {', '.join(seen)}"]
    parts += [text(208, 390, "each row's word looks where the dots are")]
    alt = (
        f"Four tables of weights for {' '.join(WORDS)}, queries as rows, keys as columns, with the "
        f"keys that the queries 1 to {len(WORDS)} look at. {'; '.join(told)}."
    )
    return Drawing("Four patterns of heads", alt, 416, 402, parts)
