"""Tensors of several heads as blocks of sheets, and the sheet that `@` works on."""

from minitx.viz.colours import PAPER, ROLES, Role
from minitx.viz.svg import Drawing, Number, Part, Point, arrow, text

T, H, D = 6, 3, 4  # the sizes of the chapter's find-the-bug


def head_block() -> Drawing:
    """The same numbers cut into sheets by token and by head, and what their products are."""
    parts: list[Part] = [text(208, 12, "@ takes sheet by sheet: the last two axes")]
    for top, depth, rows, cell, names, result, verdict in (
        (44, T, H, 20, ("T", "H", "D"), "heads of one token", "✗ tokens stay apart"),
        (222, H, T, 16, ("H", "T", "D"), "tokens of one head", "✓ tokens meet"),
    ):
        sheet, row_name, column_name = names
        left = 34
        shape = ", ".join(names)
        parts += sheets((left, top + 44), depth, rows, D, cell, "q")
        face = top + 44 + (depth - 1) * STEP
        parts += [text(left + D * cell / 2, face + rows * cell + 14, column_name, role="q")]
        parts += [text(left - 14, face + rows * cell / 2, row_name, role="q")]
        parts += [text(left + D * cell + 8 + depth * STEP / 2, face + rows * cell - 14, sheet,
                       role="q", anchor="start")]  # fmt: skip
        parts += [text(left - 26, top + 8, f"*q* ({shape})", role="q", anchor="start", bold=True)]
        y = face + rows * cell / 2
        parts += [arrow((176, y), (228, y)), text(202, y - 14, "*qk*^⊤")]
        x = 246
        parts += sheets((x, top + 44), depth, rows, rows, cell, "score")
        parts += [text(x + 14 + rows * cell + depth * STEP, y, f"{row_name} × {row_name}",
                       anchor="start")]  # fmt: skip
        parts += [text(x - 4, top + 8, result, anchor="start", bold=True)]
        parts += [text(x - 4, face + rows * cell + 18, verdict, anchor="start")]
    alt = (
        f"Two blocks of the same numbers. Above, q of shape (T, H, D) = ({T}, {H}, {D}): {T} "
        f"sheets, one for each token, each of {H} heads by {D} features. The product q times k "
        f"transposed works on one sheet at a time and gives {T} tables of {H} by {H}: the heads of "
        f"one token look at each other, and no token hears another. Below, q of shape (H, T, D): "
        f"{H} sheets, one for each head, of {T} tokens by {D} features. The product gives {H} "
        f"tables of {T} by {T}: the tokens of one head look at each other."
    )
    return Drawing("What the matrix product eats", alt, 416, 410, parts)


STEP = 7.0  # from sheet to sheet


def sheets(
    corner: Point, depth: int, rows: int, columns: int, cell: Number, role: Role
) -> list[Part]:
    """Sheets one before the other, the foremost with its cells."""
    x0, y0 = corner
    colour = ROLES[role]
    drawn: list[Part] = []
    for sheet in reversed(range(depth)):
        x, y = x0 + sheet * STEP, y0 + (depth - 1 - sheet) * STEP
        where = f'x="{x:g}" y="{y:g}" width="{columns * cell:g}" height="{rows * cell:g}"'
        drawn += [f'<rect {where} fill="{PAPER}" stroke="{colour}" stroke-width="1.2"/>']
        if sheet == 0:
            drawn += [f'<rect {where} fill="{colour}" fill-opacity="0.2" stroke="{colour}" '
                      'stroke-width="3"/>']  # fmt: skip
            lines = [f"M{x:g},{y + i * cell:g} h{columns * cell:g}" for i in range(1, rows)]
            lines += [f"M{x + j * cell:g},{y:g} v{rows * cell:g}" for j in range(1, columns)]
            drawn += [f'<path d="{" ".join(lines)}" stroke="{colour}" stroke-width="1"/>']
    return drawn
