"""Three projections of one sequence: every row by itself, all by the same matrices."""

from minitx.viz.colours import Role
from minitx.viz.drawings.worked_example import W_K, W_Q, W_V, WORDS, X, follow, written
from minitx.viz.svg import Drawing, Part, grid, text

ROW = 26.0


def three_projections() -> Drawing:
    """X beside its queries, keys and values, each under its matrix: a row from a row."""
    steps = follow(X)
    top, results = 60, 146
    lit = len(WORDS) - 1  # the row that stands out
    where = f'x="2" y="{results + lit * ROW}" width="404" height="{ROW}"'
    parts: list[Part] = []
    parts += [text(262, 14, "the same matrices for every token")]
    for row, word in enumerate(WORDS):
        y = results + (row + 0.5) * ROW
        parts += [text(62, y, word, anchor="end", bold=row == lit)]
    parts += grid(70, results, written(X), cell=(24, ROW), role="ink")
    parts += [text(94, results - 14, "*X*", bold=True)]
    places: tuple[tuple[str, Role, float, float], ...] = (
        ("Q", "q", 138, 22), ("K", "k", 240, 22), ("V", "v", 342, 22),
    )  # fmt: skip
    for (letter, role, x, wide), matrix, result in zip(
        places, (W_Q, W_K, W_V), (steps.q, steps.k, steps.v), strict=True
    ):
        middle = x + matrix.shape[1] * wide / 2
        parts += [text(middle, top - 16, f"*W*_{letter}", role=role, bold=True)]
        parts += grid(x, top, written(matrix), cell=(wide, ROW), role=role)
        tint = [[0.12] * matrix.shape[1]] * len(X)
        parts += grid(x, results, written(result), cell=(wide, ROW), role=role, fill=tint)
        parts += [text(middle, results + 3 * ROW + 18, f"*{letter}*", role=role, bold=True)]
    parts += [f'<rect {where} stroke="currentColor" stroke-width="3"/>']
    parts += [text(206, results + 3 * ROW + 46, "a row in, a row out: no token hears another yet")]
    q, k, v = (", ".join(written(table)[lit]) for table in (steps.q, steps.k, steps.v))
    alt = (
        f"X, with the rows {', '.join(WORDS)}, stands left of Q, K and V; above each of these "
        "stands its matrix, W_Q, W_K, W_V. The last row is marked through all of them: "
        f"{WORDS[lit]}, (1, 1), becomes the query ({q}), the key ({k}) and the value ({v}). Each "
        "row is made from its own row of X alone, by the same matrices."
    )
    return Drawing("Three projections of one sequence", alt, 410, 286, parts)
