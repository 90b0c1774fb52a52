"""What the output projection does with the heads: a sum with one term per head."""

import numpy as np

from minitx.viz.drawings.worked_example import written
from minitx.viz.svg import Box, Drawing, Number, Part, bracket, grid, line, text

HEADS = np.array([[1.0, 2], [0, 3]])  # what two heads found for one token
W_O = np.array([[1.0, 0, 2, 0], [0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 1, 2]])  # (H · D_v, C)
WIDE, HIGH = 30.0, 26.0


def shares() -> np.ndarray:
    """What each head adds to the output: its numbers times its block of W_O.

    >>> shares().tolist(), (HEADS.reshape(-1) @ W_O).tolist()
    ([[1.0, 2.0, 2.0, 2.0], [0.0, 0.0, 3.0, 6.0]], [1.0, 2.0, 5.0, 8.0])
    """
    H, D = HEADS.shape
    return np.stack([HEADS[h] @ W_O[h * D : (h + 1) * D] for h in range(H)])


def concatenate_and_mix() -> Drawing:
    """Two heads of one token beside each other, times W_O; and the same as a sum."""
    H, D = HEADS.shape
    C = W_O.shape[1]
    terms = shares()
    total = HEADS.reshape(-1) @ W_O
    parts: list[Part] = [text(88, 20, "heads, concatenated", role="v", bold=True)]
    parts += [text(254, 20, "*W*_O", bold=True)]
    for h in range(H):
        parts += _cells(20 + h * D * WIDE, 70, HEADS[h : h + 1], h)
        parts += [text(20 + (h + 0.5) * D * WIDE, 56, f"head {h + 1}", role="v")]
        y = 34 + h * D * HIGH
        parts += _block(194, y, W_O[h * D : (h + 1) * D], h)
        x = 198 + C * WIDE
        ends = (x, y + 3), (x, y + D * HIGH - 3)
        parts += [bracket(*ends, side="right", label=f"for head {h + 1}")]
    parts += [text(167, 83, "×")]
    top = 196.0
    parts += [text(2, 172, "the same, as a sum:", bold=True, anchor="start")]
    for h in range(H):
        y = top + h * 76
        parts += [text(2, y + HIGH, f"head {h + 1}", role="v", bold=True, anchor="start")]
        parts += _cells(58, y + HIGH / 2, HEADS[h : h + 1], h)
        parts += [text(129, y + HIGH, "×")]
        parts += _block(142, y, W_O[h * D : (h + 1) * D], h)
        parts += [text(275, y + HIGH, "=")]
        parts += _cells(288, y + HIGH / 2, terms[h : h + 1], h)
    y = top + H * 76 - 8
    parts += [text(288 + C * WIDE / 2, top + 64, "+"), line((284, y), (412, y))]
    parts += [text(282, y + 24, "*y* =", anchor="end")]
    parts += grid(
        288, y + 11, written(total[None]), cell=(WIDE, HIGH), role="ink", fill=[[0.1] * C]
    )
    parts += [text(2, y + 14, "every head adds", anchor="start")]
    parts += [text(2, y + 33, "a part of its own", anchor="start")]
    alt = (
        f"For one token, head 1 has found {_said(HEADS[0])} and head 2 {_said(HEADS[1])}; side by "
        f"side they meet W_O, whose rows are {'; '.join(_said(row) for row in W_O)}. The upper two "
        "rows are for head 1, the lower two for head 2. Below, the same as a sum: head 1 times its "
        f"block is {_said(terms[0])}, head 2 times its block {_said(terms[1])}; added up, the "
        f"output is {_said(total)}."
    )
    return Drawing("One block of W_O per head", alt, 416, y + 44, parts)


def _cells(x: Number, y: Number, table: np.ndarray, head: int) -> list[Box]:
    strength = 0.1 if head == 0 else 0.3
    fill = np.full(table.shape, strength).tolist()
    return grid(x, y, written(table), cell=(WIDE, HIGH), role="v", fill=fill)


def _block(x: Number, y: Number, table: np.ndarray, head: int) -> list[Box]:
    strength = 0.06 if head == 0 else 0.2
    fill = np.full(table.shape, strength).tolist()
    return grid(x, y, written(table), cell=(WIDE, HIGH), role="ink", fill=fill)


def _said(numbers: np.ndarray) -> str:
    return ", ".join(f"{number:.0f}" for number in numbers)
