"""The recipe of self-attention, with the shapes and the numbers of the example by hand."""

import numpy as np

from minitx.viz.colours import Role
from minitx.viz.drawings.worked_example import WORDS, X, follow, written
from minitx.viz.svg import Drawing, Number, Part, arrow, elbow, grid, text

CELL = 21.0  # for a digit
WIDE = 36.0  # for a number with two digits after the point


def recipe() -> Drawing:
    """X, then Q, K and V, then scores, weights and output, one below the other."""
    steps = follow(X)
    parts: list[Part] = []
    for y, word in (
        (118, "project"), (262, "score"), (384, "weigh"), (512, "mix")
    ):  # fmt: skip
        parts += [text(2, y, word, anchor="start", bold=True)]
    # project
    parts += _matrix(204, 34, X, "X", "T, C", "ink")
    for row, word in enumerate(WORDS):
        parts += [text(194, 34 + (row + 0.5) * CELL, word, anchor="end")]
    parts += _matrix(34, 168, steps.q, "Q", "T, D_k", "q")
    parts += _matrix(168, 168, steps.k, "K", "T, D_k", "k")
    parts += _matrix(312, 168, steps.v, "V", "T, D_v", "v")
    parts += [arrow((212, 97), (76, 146), role="q"), arrow((225, 97), (210, 146), role="k")]
    parts += [arrow((238, 97), (341, 146), role="v")]
    parts += [text(118, 106, "*W*_Q", role="q"), text(240, 126, "*W*_K", role="k")]
    parts += [text(312, 106, "*W*_V", role="v")]
    # score
    parts += [arrow((76, 231), (122, 276), role="q"), arrow((210, 231), (164, 276), role="k")]
    parts += _matrix(
        143 - 1.5 * WIDE, 298, steps.scores, "S", "T, T", "score", shade=True, digits=1
    )
    parts += [text(206, 262, "*QK*^⊤ / √D_k", anchor="start")]
    # weigh
    parts += [arrow((143, 363), (143, 402))]
    parts += [text(156, 384, "mask, then softmax by rows", anchor="start")]
    parts += _matrix(143 - 1.5 * WIDE, 424, steps.weights, "A", "T, T", "score", shade=True)
    # mix
    parts += [arrow((143, 489), (143, 534)), text(156, 512, "*AV*", anchor="start")]
    parts += [elbow((341, 231), (190, 556 + 1.5 * CELL), first="down", role="v")]
    parts += _matrix(97, 556, steps.output, "O", "T, D_v", "v", wide=46)
    alt = (
        f"Flow from top to bottom, for the words {', '.join(WORDS)}. X, of shape (T, C), times "
        "W_Q, W_K and W_V gives Q and K, (T, D_k), and V, (T, D_v). Q times K transposed, divided "
        f"by the root of D_k, gives the scores S, (T, T): {_said(steps.scores)}. Masked, the "
        f"softmax by rows gives the weights A, (T, T): {_said(steps.weights)}. A times V gives the "
        f"output O, (T, D_v), again a row for each word: {_said(steps.output)}."
    )
    return Drawing("The recipe of self-attention", alt, 400, 628, parts)


def _matrix(
    x: Number, y: Number, table: np.ndarray, letter: str, shape: str, role: Role,
    *, shade: bool = False, digits: int = 2, wide: Number | None = None,
) -> list[Part]:  # fmt: skip
    labels = written(table, digits)
    longest = max(len(label) for row in labels for label in row)
    width = wide or (CELL if longest == 1 else WIDE)
    strength = 0.16 + 0.3 * (table - table.min()) / np.ptp(table) if shade else None
    fill = strength.tolist() if strength is not None else np.full(table.shape, 0.1).tolist()
    middle = x + table.shape[1] * width / 2
    name = f"*{letter}* ({shape})"
    return [
        text(middle, y - 13, name, role=role, bold=True),
        *grid(x, y, labels, cell=(width, CELL), role=role, fill=fill),
    ]


def _said(table: np.ndarray) -> str:
    return "; ".join(", ".join(row) for row in written(table))
