"""Which words of the source each written word comes from: as lines, and as a table of weights."""

import numpy as np

from minitx.viz.drawings.translated import END
from minitx.viz.svg import Drawing, Part, grid, line, row, text

NUMBER = 92
SOURCE = ("ninety", "two", END)
WRITTEN = ("quatre", "vingt", "douze", END)  # four twenties and twelve
COMES_FROM = ((0,), (0,), (0, 1), (2,))  # for each written word; by sense, not measured


def shares() -> np.ndarray:
    """A row for each written word: even shares of the words that it comes from.

    >>> shares()[2].tolist()
    [0.5, 0.5, 0.0]
    """
    table = np.zeros((len(WRITTEN), len(SOURCE)))
    for i, places in enumerate(COMES_FROM):
        table[i, list(places)] = 1 / len(places)
    return table


def alignment() -> Drawing:
    """Ninety-two is four twenties and twelve: lines between the words, and the same as a table."""
    read = row(76, 34, SOURCE, cell=(80, 30), gap=12, role="k", fill=0.15)
    written = row(30, 146, WRITTEN, cell=(80, 30), gap=12, role="q", fill=0.15)
    parts: list[Part] = [
        text(2, 12, f"{NUMBER}: read", role="k", anchor="start", bold=True),
        text(2, 196, "written", role="q", anchor="start", bold=True),
        text(414, 196, "“four twenty twelve”", anchor="end"),
    ]
    weights = shares()
    for i, j in np.argwhere(weights):
        start, end = written[i].top, read[j].bottom
        parts += [line((start[0], start[1] - 2), (end[0], end[1] + 2), role="score",
                       width=6 * weights[i, j])]  # fmt: skip
    parts += [*read, *written]
    left, top, wide, high = 76.0, 262.0, 92.0, 28.0
    parts += [text(2, 230, "the same as a table: a row for each query", anchor="start", bold=True)]
    for j, word in enumerate(SOURCE):
        parts += [text(left + (j + 0.5) * wide, top - 12, word, role="k")]
    for i, word in enumerate(WRITTEN):
        parts += [text(left - 8, top + (i + 0.5) * high, word, role="q", anchor="end")]
    parts += grid(left, top, [[""] * len(SOURCE)] * len(WRITTEN), cell=(wide, high),
                  fill=(0.75 * weights).tolist())  # fmt: skip
    y = top + len(WRITTEN) * high + 16
    parts += [text(2, y, "drawn by sense, not measured", anchor="start", role="score")]
    said = "; ".join(
        f"{word} from {' and '.join(SOURCE[j] for j in places)}"
        for word, places in zip(WRITTEN, COMES_FROM, strict=True)
    )
    alt = (
        f"Above, the words read, {', '.join(SOURCE)}; below, the words written, "
        f"{', '.join(WRITTEN)}, which is four twenties and twelve. Lines join each written word "
        f"with what it comes from: {said}. Below, the same as a table of weights, a row for each "
        "query, the written word, and a column for each key, the word read: dark where a line is. "
        "It is drawn by sense; a trained model's weights look like it in some heads only."
    )
    return Drawing("Alignment", alt, 416, y + 12, parts)
