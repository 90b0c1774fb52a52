"""The feed-forward network as a memory of keys and values."""

import numpy as np

from minitx.viz.svg import Box, Drawing, Part, arrow, signed, text

X = np.array([2.0, 1])  # one token
KEYS = np.array([[1.0, 0], [0, 1], [-1, 1], [1, 1]])  # the columns of W_1: one per inner number
VALUES = np.array([[1.0, 0], [0, 2], [5, 5], [1, 1]])  # the rows of W_2


def remembered() -> tuple[np.ndarray, np.ndarray]:
    """How much each key matches, and what is made of the values.

    >>> [numbers.tolist() for numbers in remembered()]
    [[2.0, 1.0, 0.0, 3.0], [5.0, 5.0]]
    """
    match = np.maximum(KEYS @ X, 0)
    return match, match @ VALUES


def feed_forward_memory() -> Drawing:
    """Four keys, how well a token matches each, and the values that are added up."""
    match, output = remembered()
    top, high, unit = 108.0, 44.0, 26.0
    parts: list[Part] = [text(6, 12, f"token *x* = {_written(X)}", bold=True, anchor="start")]
    for x, role, name, of in (
        (6, "k", "keys", "columns of *W*_1"),
        (146, "ink", "match", "ReLU(*x* · key)"),
        (314, "v", "values", "rows of *W*_2"),
    ):
        parts += [text(x, 46, name, role=role, bold=True, anchor="start")]  # type: ignore[arg-type]
        parts += [text(x, 66, of, role=role, anchor="start")]  # type: ignore[arg-type]
    told, terms = [], []
    for i, (key, value, amount) in enumerate(zip(KEYS, VALUES, match, strict=True)):
        y = top + i * high
        parts += [Box(6, y - 14, 80, 28, _written(key), "k", fill=0.15)]
        parts += [arrow((88, y), (142, y), role="score")]
        wide = max(unit * float(amount), 2.0)
        parts += [Box(146, y - 14, wide, 28, "", "score", fill=0.3, radius=0)]
        parts += [text(146 + wide + 8, y, f"{amount:g}", anchor="start", bold=True)]
        parts += [arrow((256, y), (310, y), width=0.75 + float(amount), role="score",
                        dashed=not amount)]  # fmt: skip
        parts += [Box(314, y - 14, 80, 28, _written(value), "v", fill=0.15, dashed=not amount)]
        told += [f"key {_written(key)}: match {amount:g}, value {_written(value)}"]
        terms += [f"{amount:g} · {_written(value)}"] if amount else []
    low = top + len(KEYS) * high
    parts += [arrow((354, low - 26), (354, low - 4), role="v")]
    parts += [text(394, low + 12, f"{' + '.join(terms)} = {_written(output)}", anchor="end",
                   bold=True)]  # fmt: skip
    for row, words in enumerate((
        "Like attention, but keys and values are trained",
        "weights, the same for every text; no softmax.",
    )):  # fmt: skip
        parts += [text(6, low + 42 + 19 * row, words, anchor="start", role="score")]
    alt = (
        f"A feed-forward network with {len(KEYS)} inner numbers, as a memory, for the token x = "
        f"{_written(X)}. {'; '.join(told)}. A match is the dot product, or 0 if that is negative. "
        f"Matches times values, added up, give {_written(output)}. Keys are the columns of W_1 and "
        "values the rows of W_2: trained weights, the same for every text; there is no softmax."
    )
    return Drawing("A feed-forward network as a memory", alt, 416, low + 76, parts)


def _written(vector: np.ndarray) -> str:
    return f"({', '.join(map(signed, vector))})"
