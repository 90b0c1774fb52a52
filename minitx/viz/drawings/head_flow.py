"""Several heads as a flow: project, split, attend, concatenate, mix."""

from minitx.viz.colours import Role
from minitx.viz.drawings.heads import STEP, sheets
from minitx.viz.svg import Drawing, Number, Part, arrow, elbow, grid, text

T, H, D = 3, 3, 2
CELL = 15.0
COLUMNS: tuple[tuple[str, Role, float], ...] = (("Q", "q", 142), ("K", "k", 252), ("V", "v", 362))
VERBS = {"project": 92, "split": 192, "attend": 296, "concatenate": 478, "mix": 570}


def multi_head() -> Drawing:
    """From X to Y, one step below the other, with the shape at every step."""
    parts: list[Part] = []
    for verb, y in VERBS.items():
        parts += [text(2, y, verb, anchor="start", bold=True)]
    (left, middle, right) = (x for _, _, x in COLUMNS)
    parts += _table(middle, 30, "*X* (T, C)", "ink")
    for letter, role, x in COLUMNS:
        start = middle + (x - middle) * 0.25
        parts += [arrow((start, 78), (x, 108), role=role)]
        parts += _table(x, 132, f"*{letter}* (T, C)", role, cut=True)
        parts += [arrow((x, 180), (x, 202), role=role)]
        parts += _stack(x, 208, D, role)
    parts += [text(166, 82, "*W*_Q", role="q"), text(270, 92, "*W*_K", role="k")]
    parts += [text(338, 82, "*W*_V", role="v")]
    parts += [text(left - 30, 241, "(H, T, D)", role="q", anchor="end")]
    centre = (left + middle) / 2
    parts += [arrow((left, 274), (centre - 14, 308), role="q")]
    parts += [arrow((middle, 274), (centre + 14, 308), role="k")]
    parts += _stack(centre, 314, T, "score")
    parts += [text(centre + 38, 342, "weights", role="score", anchor="start")]
    parts += [text(centre + 38, 361, "(H, T, T)", role="score", anchor="start")]
    parts += [arrow((centre, 380), (centre, 404))]
    parts += [elbow((right, 274), (centre + 30, 440), first="down", role="v")]
    parts += _stack(centre, 410, D, "v")
    parts += [text(centre - 30, 440, "(H, T, D)", role="v", anchor="end")]
    parts += [arrow((centre, 472), (centre, 492))]
    parts += _table(centre, 516, "(T, C)", "v", cut=True)
    parts += [arrow((centre, 564), (centre, 594)), text(centre + 22, 576, "*W*_O")]
    parts += _table(centre, 618, "*Y* (T, C)", "ink")
    alt = (
        "Flow from top to bottom. X, of shape (T, C), times W_Q, W_K and W_V gives Q, K and V, "
        f"each (T, C), and each of them is split into {H} sheets, one per head: (H, T, D). In "
        "every head Q and K give a table of weights, (H, T, T), and with these V is mixed: (H, T, "
        "D). The heads' results are concatenated to (T, C) and multiplied by W_O, which gives Y, "
        "(T, C) again."
    )
    return Drawing("Multi-head attention", alt, 416, 668, parts)


def _table(middle: Number, y: Number, name: str, role: Role, *, cut: bool = False) -> list[Part]:
    """T rows of C numbers; where it is cut, each head's columns in a shade of their own."""
    fill = [[0.08 + 0.13 * (j // D) if cut else 0.06 for j in range(H * D)]] * T
    labels = [[""] * (H * D)] * T
    return [
        text(middle, y - 12, name, role=role, bold=True),
        *grid(middle - H * D * CELL / 2, y, labels, cell=(CELL, CELL), role=role, fill=fill),
    ]


def _stack(middle: Number, y: Number, columns: int, role: Role) -> list[Part]:
    """A sheet of T rows for every head."""
    wide = columns * CELL + (H - 1) * STEP
    return sheets((middle - wide / 2, y), H, T, columns, CELL, role)
