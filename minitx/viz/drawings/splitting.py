"""From one wide row per token to a sheet per head, and the shortcut that mixes the tokens."""

import numpy as np

from minitx.viz.colours import PAPER
from minitx.viz.svg import Box, Drawing, Number, Part, Point, arrow, bracket, grid, text

T, H, D = 5, 3, 4
STRENGTH = (0.08, 0.2, 0.34)  # of each head's blue


def split_heads() -> Drawing:
    """The C columns of q cut into H blocks, and the blocks as sheets one behind the other."""
    wide, high, left, top = 20.0, 18.0, 84.0, 54.0
    token = 1  # whose row stands out
    parts: list[Part] = [text(2, 14, "*q*: (B, T, C)", role="q", bold=True, anchor="start")]
    right = left + H * D * wide
    parts += [bracket((left, top - 4), (right, top - 4), side="top", label=f"C = H · D = {H * D}")]
    parts += [bracket((left - 4, top), (left - 4, top + T * high), side="left", label=f"T = {T}")]
    for head in range(H):
        x = left + head * D * wide
        parts += _sheet((x, top), head, wide, high)
        parts += [text(x + D * wide / 2, top + T * high + 14, f"head {head + 1}", role="q")]
    parts += [_frame((left, top + token * high), H * D * wide, high)]
    parts += [text(right + 8, top + (token + 0.5) * high, "one token", anchor="start")]
    arrow_top = top + T * high + 34
    parts += [arrow((left + 120, arrow_top), (left + 120, arrow_top + 40), width=2)]
    parts += [text(left + 134, arrow_top + 10, ".view(B, T, H, D)", anchor="start")]
    parts += [text(left + 134, arrow_top + 29, ".transpose(1, 2)", anchor="start")]
    step = (62.0, -26.0)
    front = (left, arrow_top + 124)
    parts += [text(2, arrow_top + 58, "*q*: (B, H, T, D)", role="q", bold=True, anchor="start")]
    for head in reversed(range(H)):
        x, y = front[0] + head * step[0], front[1] + head * step[1]
        parts += _sheet((x, y), head, wide, high)
        parts += [_frame((x, y + token * high), D * wide, high)]
        parts += [text(x + step[0] / 2, y - 11, f"head {head + 1}", role="q")]
    x, y = front
    bottom = y + T * high
    parts += [bracket((x - 4, y), (x - 4, bottom), side="left", label=f"T = {T}")]
    parts += [bracket((x, bottom + 4), (x + D * wide, bottom + 4), side="bottom", label=f"D = {D}")]
    start, end = (x + D * wide + 10, bottom + 4), (x + D * wide + 10 + 124, bottom - 48)
    parts += [arrow(start, end), text(start[0] + 76, bottom - 8, f"H = {H}", anchor="start")]
    parts += [text(start[0] + 76, bottom + 22, "and such a block for", anchor="start")]
    parts += [text(start[0] + 76, bottom + 40, "each of B sequences", anchor="start")]
    alt = (
        f"Above, q of shape (B, T, C): a table of {T} rows, one for each token, and C = {H * D} "
        f"columns, cut into {H} blocks of {D}: head 1, head 2, head 3. The row of one token is "
        "framed. Below, after view(B, T, H, D) and transpose(1, 2), the blocks are sheets, one "
        f"behind the other: shape (B, H, T, D), with {H} sheets of {T} rows and {D} columns. The "
        "token's row runs through all sheets, a piece of it in each. There is such a block for "
        "each of B sequences."
    )
    return Drawing("Cut into heads", alt, 416, bottom + 52, parts)


def _sheet(corner: Point, head: int, wide: Number, high: Number) -> list[Part]:
    x, y = corner
    ground = (
        f'<rect x="{x:g}" y="{y:g}" width="{D * wide:g}" height="{T * high:g}" fill="{PAPER}"/>'
    )
    fill = [[STRENGTH[head]] * D] * T
    return [ground, *grid(x, y, [[""] * D] * T, cell=(wide, high), role="q", fill=fill)]


def _frame(corner: Point, wide: Number, high: Number) -> str:
    x, y = corner
    where = f'x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"'
    return f'<rect {where} stroke="currentColor" stroke-width="3"/>'


TOKENS, FEATURES, HEADS = "ABCD", 4, 2


def two_ways() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The names of q's numbers; the same in heads, cut and turned; and only reshaped.

    >>> q, right, wrong = two_ways()
    >>> right[0].tolist()
    [['A1', 'A2'], ['B1', 'B2'], ['C1', 'C2'], ['D1', 'D2']]
    >>> wrong[0].tolist()
    [['A1', 'A2'], ['A3', 'A4'], ['B1', 'B2'], ['B3', 'B4']]
    """
    q = np.array([[f"{token}{i + 1}" for i in range(FEATURES)] for token in TOKENS])
    T, width = len(TOKENS), FEATURES // HEADS
    return q, q.reshape(T, HEADS, width).transpose(1, 0, 2), q.reshape(HEADS, T, width)


def wrong_reshape() -> Drawing:
    """Sixteen named numbers in two heads: cut and turned, and only reshaped."""
    q, right, wrong = two_ways()
    wide, high = 32.0, 24.0
    top = 150.0
    parts: list[Part] = [text(8 + 2 * wide, top - 34, "*q*", role="q", bold=True)]
    parts += [text(8 + 2 * wide, top - 14, "a row per token")]
    parts += _cells(8, top, q, wide, high)
    for y, heads, code, verdict in (
        (62, right, "view(B, T, H, D).transpose(1, 2)", "✓ each head sees all tokens"),
        (262, wrong, "view(B, H, T, D)", "✗ head 1 sees A and B only"),
    ):
        parts += [text(414, y - 44, code, anchor="end", bold=True)]
        for head, table in enumerate(heads):
            x = 226 + head * 110
            parts += [text(x + wide, y - 15, f"head {head + 1}", role="q")]
            parts += _cells(x, y, table, wide, high)
        parts += [text(414, y + 4 * high + 18, verdict, anchor="end")]
        start = top + 2 * high + (16 if y > top else -16)
        parts += [arrow((16 + 4 * wide, start), (214, y + 2 * high), width=2)]
    alt = (
        f"q, a table of {len(TOKENS)} rows, the tokens A to D, and {FEATURES} columns, so that "
        f"each number has a name: {_said(q)}. By view(B, T, H, D) and transpose(1, 2) head 1 gets "
        f"{_said(right[0])}, and head 2 {_said(right[1])}: in each head a row for every token. By "
        f"view(B, H, T, D) alone head 1 gets {_said(wrong[0])}, and head 2 {_said(wrong[1])}: the "
        "shape is the same, but head 1 has seen A and B only, in four rows that are no tokens."
    )
    return Drawing("The same shape, other numbers", alt, 416, 392, parts)


def _cells(x: Number, y: Number, names: np.ndarray, wide: Number, high: Number) -> list[Part]:
    """A table of named numbers, each token in a shade of its own."""
    return [
        Box(x + j * wide, y + i * high, wide, high, name, "q", radius=0,
            fill=0.06 + 0.09 * TOKENS.index(name[0]))
        for (i, j), name in np.ndenumerate(names)
    ]  # fmt: skip


def _said(names: np.ndarray) -> str:
    return "; ".join(" ".join(row) for row in names)
