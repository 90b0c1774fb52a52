"""Masks: a stencil on the scores, two ways to lay a triangle, padding that closes columns."""

import numpy as np

from minitx import numpy_core
from minitx.viz.colours import PAPER
from minitx.viz.svg import Box, Drawing, Part, arrow, bracket, grid, signed, text

TOKENS = ("the", "cat", "sat", "down")
SCORES = np.array([[1, 0, 2, 3], [2, 1, -1, 3], [0, 1, 1, 2], [1, -1, 2, 0]])  # row 2: by hand
BATCH = (
    ("the", "cat", "sat", "on", "the", "mat"),
    ("dogs", "bark", "at", "night"),
    ("it", "rains"),
)


def mask_stencil() -> Drawing:
    """Scores; the same through the holes of a causal mask; the weights of what is left."""
    allowed = numpy_core.causal_allowed(4, 4)
    weights = numpy_core.softmax(np.where(allowed, SCORES, -np.inf).astype(float))
    wide, high = 38.0, 28.0
    left, right, top = 46, 254, 56
    parts: list[Part] = [text(left + 2 * wide, 10, "scores", bold=True)]
    parts += [text(right + 2 * wide, 10, "through the mask", bold=True)]
    for i, token in enumerate(TOKENS):
        parts += [text(left - 6, top + (i + 0.5) * high, token, role="q", anchor="end")]
        for x in (left, right):
            parts += [text(x + (i + 0.5) * wide, top - 14, token, role="k")]
    numbers = [[signed(score) for score in row] for row in SCORES]
    shade = (0.16 + 0.3 * (SCORES - SCORES.min()) / np.ptp(SCORES)).tolist()
    parts += grid(left, top, numbers, cell=(wide, high), fill=shade)
    parts += [arrow((left + 4 * wide + 10, top + 2 * high), (right - 12, top + 2 * high))]
    # The stencil: a plate with holes.
    parts += [Box(right - 6, top - 5, 4 * wide + 12, 4 * high + 10, hatch=True, radius=8)]
    for i, j in np.argwhere(allowed):
        x, y = right + j * wide + 2, top + i * high + 2
        parts += [
            f'<rect x="{x}" y="{y}" width="{wide - 4}" height="{high - 4}" rx="4" fill="{PAPER}"/>',
            Box(x, y, wide - 4, high - 4, numbers[i][j], "score", fill=shade[i][j]),
        ]
    below = top + 4 * high + 66
    parts += [arrow((right + 2 * wide, top + 4 * high + 14), (right + 2 * wide, below - 12))]
    parts += [text(right + 2 * wide - 12, below - 36, "softmax of each row,", anchor="end")]
    parts += [text(right + 2 * wide - 12, below - 18, "over the holes only", anchor="end")]
    written = [[f"{w:.2f}" if may else "" for w, may in zip(*row, strict=True)]
               for row in zip(weights, allowed, strict=True)]  # fmt: skip
    parts += grid(
        right, below, written, cell=(wide, high),
        fill=np.where(allowed, 0.16 + 0.3 * weights, 0).tolist(),
        hatch=(~allowed).tolist(), size=14,
    )  # fmt: skip
    for i in range(4):
        parts += [text(right - 10, below + (i + 0.5) * high, TOKENS[i], role="q", anchor="end")]
    parts += [text(right - 60, below + 2 * high, "each row", anchor="end")]
    parts += [text(right - 60, below + 2 * high + 18, "sums to 1", anchor="end")]
    parts += [text(right - 60, below + 3 * high + 20, "hatched: exactly 0", anchor="end")]
    rows = "; ".join(
        f"{token}: {', '.join(f'{w:.2f}' for w in row[: i + 1])}"
        for i, (token, row) in enumerate(zip(TOKENS, weights, strict=True))
    )
    alt = (
        "Left, a table of scores, queries the, cat, sat, down as rows and the same words as keys. "
        "Right, a plate with holes lies on it, which leaves of each row the scores up to its own "
        "word. Below, the softmax of each row over what the holes show: "
        f"{rows}. Weights under the plate are exactly 0, even where the score was the highest."
    )
    return Drawing("A mask is a stencil", alt, 416, below + 4 * high + 8, parts)


def two_triangles() -> Drawing:
    """Two new queries and five keys: the triangle laid top left, and bottom right."""
    cell = 28.0
    T_q, T_k = 2, 5
    right_rows = numpy_core.causal_allowed(T_q, T_k)
    left_rows = np.tri(T_q, T_k, dtype=bool)
    past = numpy_core.causal_allowed(T_k, T_k)[: T_k - T_q]
    parts: list[Part] = []
    for x, name, rows, says in (
        (66, "top left", left_rows, "query 2 sees 1 and 2"),
        (268, "bottom right", right_rows, "query 2 sees 1 to 5"),
    ):
        middle = x + 2.5 * cell
        parts += [text(middle, 10, name, bold=True)]
        for j in range(T_k):
            parts += [text(x + (j + 0.5) * cell, 36, str(j + 1), role="k")]
        for i in range(T_q):
            row_y = 50 + (len(past) + i + 0.5) * cell
            parts += [text(x - 10, row_y, str(i + 1), role="q", anchor="end")]
        for i, row in enumerate(past):  # asked before: not asked again
            for j in range(int(row.sum())):
                parts += [Box(x + j * cell, 50 + i * cell, cell, cell, role="score", dashed=True,
                              fill=0.06, radius=0)]  # fmt: skip
        y = 50 + len(past) * cell
        marks = [["✓" if may else "" for may in row] for row in rows]
        parts += grid(
            x, y, marks, cell=(cell, cell), role="ink", hatch=(~rows).tolist(),
            fill=np.where(rows, 0.12, 0).tolist(),
        )  # fmt: skip
        parts += [f'<rect x="{x}" y="{y}" width="{5 * cell}" height="{2 * cell}" '
                  'stroke="currentColor" stroke-width="3"/>']  # fmt: skip
        parts += [text(middle, y + 2 * cell + 20, says)]
    bottom = 50 + 5 * cell
    middle = bottom - T_q * cell
    parts += [bracket((44, middle), (44, bottom), side="left", label="new", role="q")]
    parts += [bracket((44, 50), (44, middle - 4), side="left", label="past", role="score")]
    alt = (
        "Two tables, each with keys 1 to 5 as columns. Three rows were asked in the past and are "
        "dashed; the two new queries, 1 and 2, have a thick frame. Left, with the triangle at the "
        "top left, query 1 may attend to key 1 and query 2 to keys 1 and 2, as if they were the "
        "first two. Right, with the triangle at the bottom right, query 1 may attend to keys 1 "
        "to 4 and query 2 to keys 1 to 5, and the staircase goes on."
    )
    return Drawing("Two triangles", alt, 416, bottom + 34, parts)


def padded_batch() -> Drawing:
    """Three sequences of one batch, and the columns that padding closes for one of them."""
    T = max(map(len, BATCH))
    wide, high, left = 52.0, 26.0, 52.0
    parts: list[Part] = [text(left + 3 * wide, 10, "a batch: 3 sequences, 6 places", bold=True)]
    parts += [text(left + 6 * wide + 24, 34, "length", anchor="middle")]
    for b, words in enumerate(BATCH):
        y = 48 + b * (high + 6)
        for t in range(T):
            word = words[t] if t < len(words) else ""
            parts += [Box(left + t * wide, y, wide, high, word, "ink" if word else "score",
                          hatch=not word, dashed=not word, radius=0)]  # fmt: skip
        parts += [text(left + 6 * wide + 24, y + high / 2, str(len(words)), bold=True)]
    chosen = 1
    length = len(BATCH[chosen])
    y = 48 + chosen * (high + 6)
    parts += [f'<rect x="{left - 4}" y="{y - 3}" width="{6 * wide + 8}" height="{high + 6}" rx="4" '
              'stroke="currentColor" stroke-width="3"/>']  # fmt: skip
    top = 196
    parts += [text(left + 3 * wide, 158, "its table: nobody may attend to padding", bold=True)]
    names = [*BATCH[chosen], *["pad"] * (T - length)]
    allowed = np.broadcast_to(np.arange(T) < length, (T, T))
    for i, name in enumerate(names):
        parts += [text(left - 6, top + (i + 0.5) * 22, name, role="q", anchor="end")]
        parts += [text(left + (i + 0.5) * wide, top - 14, name, role="k")]
    marks = [["✓" if may else "" for may in row] for row in allowed]
    parts += grid(
        left, top, marks, cell=(wide, 22), role="score", hatch=(~allowed).tolist(),
        fill=np.where(allowed, 0.12, 0).tolist(),
    )  # fmt: skip
    alt = (
        f"A batch of three sequences of {', '.join(str(len(words)) for words in BATCH)} words, in "
        f"six places each; the places that are left over are hatched: padding. For the second, "
        f"{' '.join(BATCH[chosen])}, the table of queries against keys: its last two columns, the "
        "keys that are padding, are closed for every query. The rows of the padding are open; "
        "nobody reads them."
    )
    return Drawing("A padded batch", alt, 416, top + 6 * 22 + 8, parts)
