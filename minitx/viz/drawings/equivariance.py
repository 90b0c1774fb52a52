"""The same vectors in another order: what self-attention makes of shuffled words."""

import numpy as np

from minitx.viz.drawings.worked_example import WORDS, X, follow
from minitx.viz.svg import Box, Drawing, Part, arrow, line, text

ORDER = (2, 0, 1)


def same_vectors_reordered() -> Drawing:
    """Words in two orders; their output vectors are the same, and lines join them."""
    outputs, shuffled = follow(X).output, follow(X[list(ORDER)]).output
    columns, wide = (74.0, 208.0, 342.0), 106.0
    parts: list[Part] = []
    for place, word in enumerate(WORDS):
        x = columns[place]
        parts += [Box(x - 40, 4, 80, 28, word, bold=True)]
        parts += [arrow((x, 32), (x, 50)), arrow((x, 78), (x, 96))]
        parts += [Box(x - wide / 2, 96, wide, 28, _vector(outputs[place]), "v", fill=0.12)]
        there = columns[ORDER.index(place)]
        parts += [line((x, 128), (there, 196), role="v", width=2.5)]
    for place, index in enumerate(ORDER):
        x = columns[place]
        parts += [Box(x - wide / 2, 200, wide, 28, _vector(shuffled[place]), "v", fill=0.12)]
        parts += [arrow((x, 292), (x, 274)), arrow((x, 246), (x, 228))]
        parts += [Box(x - 40, 292, 80, 28, WORDS[index], bold=True)]
    for y in (50, 246):
        parts += [Box(12, y, 392, 28, "self-attention", "score", fill=0.12)]
    means = [_vector(table.mean(axis=0)) for table in (outputs, shuffled)]
    same = "the same both times" if means[0] == means[1] else f"then {means[1]}"
    parts += [text(208, 344, f"their mean is {same}: {means[0]}")]
    alt = (
        f"Above, the words {', '.join(WORDS)} go through self-attention and become the vectors "
        + ", ".join(map(_vector, outputs))
        + f". Below, in the order {WORDS[2]}, {WORDS[0]}, {WORDS[1]}, they become "
        + ", ".join(map(_vector, shuffled))
        + f". Lines join the equal vectors and cross. The mean of the three is {same}, {means[0]}."
    )
    return Drawing("The same vectors in another order", alt, 416, 358, parts)


def _vector(row: np.ndarray) -> str:
    return f"({', '.join(f'{number:.2f}' for number in row)})"
