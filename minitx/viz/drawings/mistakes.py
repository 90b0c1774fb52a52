"""What was expected beside what came out, with the cells that differ marked."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minitx.viz.colours import LIT
from minitx.viz.svg import Box, Drawing, Number, Part, text
from minitx.viz.values import as_array

MOST = 6  # rows and columns for which there is room
HIGH = 26.0


def mistake_pair(
    expected: Any,
    got: Any,
    *,
    title: str = "Expected, and yours",
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    got_is: str = "yours",
) -> Drawing:
    """Two small tables, side by side where they fit; a cell that differs has a frame and a corner.

    Args:
        expected: a number, a vector or a table of at most 6 × 6; numbers or truth values.
        got: the same, of any shape of that size.
        title: of the drawing.
        rows: what the rows are called.
        columns: what the columns are called; up to three letters stand in every cell's width.
        rtol: how far a number may lie from the expected one, relative to it, to count as equal.
        atol: and absolutely.
        got_is: what stands above the second table.

    Raises:
        ValueError: if a table has more than two axes, no or too many cells, or names do not fit.

    >>> "1 of 2 cells differ" in mistake_pair([0.5, 0.5], [0.5, 1.0]).alt
    True
    """
    want, have = _table("expected", expected), _table("got", got)
    for what, names, size in (("row", rows, len(want)), ("column", columns, want.shape[1])):
        if names is not None and len(names) != size:
            raise ValueError(f"there must be one name per {what}: {size}, got {len(names)}")
    same = as_array(expected).shape == as_array(got).shape
    wrong = ~np.isclose(have, want, rtol=rtol, atol=atol, equal_nan=True) if same else None
    boolean = _is_boolean(expected) and _is_boolean(got)
    left, right = _written(want, have, wrong, boolean)
    cell = max(30.0, 4 + max(_wide(label) for row in left + right for label in row))
    cell = max(cell, 8.4 * max(map(len, columns)) + 4 if columns else 0)
    stub = 9.2 * max(map(len, rows)) + 8 if rows else 0.0
    widths = [stub + len(left[0]) * cell, len(right[0]) * cell]
    beside = sum(widths) + 24 <= 416
    if not beside:
        widths[1] += stub
    names = ["expected", got_is]
    if not same:
        names = [f"{n} {_shape(v)}" for n, v in zip(names, (expected, got), strict=True)]
    room = [max(width, 8.0 * len(name)) for width, name in zip(widths, names, strict=True)]
    top = 42.0 if columns else 24.0
    width = room[0] + 24 + room[1] if beside else max(room)
    second = (room[0] + 24, top) if beside else (0.0, 2 * top + len(left) * HIGH + 14)
    parts: list[Part] = []
    for labels, (x, y), name, marks, stubs in (
        (left, (0.0, top), names[0], None, stub),
        (right, second, names[1], wrong, 0.0 if beside else stub),
    ):
        parts += [text(x + 2, y - top + 10, name, anchor="start", bold=True)]
        parts += _cells(x + stubs + 2, y, labels, cell, marks)
        fits = len(labels) == len(left) and len(labels[0]) == len(left[0])
        if columns and fits:
            parts += [text(x + stubs + 2 + (j + 0.5) * cell, y - 13, column, role="k")
                      for j, column in enumerate(columns)]  # fmt: skip
        if rows and fits and stubs:
            parts += [text(x + stubs - 4, y + (i + 0.5) * HIGH, row, role="q", anchor="end")
                      for i, row in enumerate(rows)]  # fmt: skip
    height = second[1] + len(right) * HIGH
    height = max(height, top + len(left) * HIGH) + 4
    alt = f"Expected: {_said(left)}. Yours: {_said(right)}. " + (
        f"{int(wrong.sum())} of {wrong.size} cells differ."
        if wrong is not None
        else f"The shapes differ: {_shape(expected)} and {_shape(got)}."
    )
    return Drawing(title, alt, width + 4, height, parts)


def _cells(
    x: Number, y: Number, labels: list[list[str]], cell: Number, marks: np.ndarray | None
) -> list[Part]:
    drawn: list[Part] = []
    last: list[Part] = []
    for i, row in enumerate(labels):
        for j, label in enumerate(row):
            wrong = marks is not None and bool(marks[i, j])
            left, top = x + j * cell, y + i * HIGH
            drawn += [Box(left, top, cell, HIGH, "" if wrong else label, "score", radius=0)]
            if wrong:  # over its neighbours: a thick frame, and a corner folded in
                last += [
                    f'<rect x="{left:g}" y="{top:g}" width="{cell:g}" height="{HIGH:g}" '
                    f'fill="{LIT}" stroke="currentColor" stroke-width="3"/>'
                    f'<path d="M{left:g},{top:g} h9 l-9,9 Z" fill="currentColor"/>',
                    text(left + cell / 2, top + HIGH / 2, label, bold=True),
                ]
    return drawn + last


def _table(name: str, values: Any) -> np.ndarray:
    table = np.atleast_2d(as_array(values))
    if table.ndim != 2 or table.size == 0 or max(table.shape) > MOST:
        raise ValueError(
            f"{name} must be a vector or a table of at most {MOST} × {MOST}, got shape "
            f"{as_array(values).shape}"
        )
    return table


def _is_boolean(values: Any) -> bool:
    return str(getattr(values, "dtype", np.asarray(values).dtype)).endswith("bool")


def _shape(values: Any) -> str:
    return str(as_array(values).shape)


def _written(
    want: np.ndarray, have: np.ndarray, wrong: np.ndarray | None, boolean: bool
) -> tuple[list[list[str]], list[list[str]]]:
    """Both tables with two digits, or with as many as it takes to see what differs."""
    for digits in (2, 3, 4):
        left, right = (
            [[_number(x, digits, boolean) for x in row] for row in table] for table in (want, have)
        )
        if wrong is None or all(left[i][j] != right[i][j] for i, j in np.argwhere(wrong)):
            break
    return left, right


def _number(x: Number, digits: int, boolean: bool = False) -> str:
    """One number of a table.

    >>> [_number(x, 2) for x in (0.421, -3.0, 1234.5, 6e9, float("nan"), float("-inf"))]
    ['0.42', '−3', '1234', '6e9', 'NaN', '−∞']
    """
    if boolean:
        return "T" if x else "F"
    if np.isnan(x):
        return "NaN"
    if np.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    if not 1e-4 < abs(x) < 1e5:
        mantissa, power = f"{x:.0e}".split("e")
        short = f"{mantissa}e{int(power)}"
    elif float(x).is_integer() or abs(x) >= 100:
        short = f"{x:.0f}"
    else:
        short = f"{x:.{digits if abs(x) < 10 else max(1, digits - 1)}f}"
    return short.replace("-", "−")


def _wide(label: str) -> float:
    """How much room a bold label takes, in the widest of usual fonts."""
    return sum({".": 5.4, "−": 11.8}.get(letter, 9.8) for letter in label)


def _said(labels: list[list[str]]) -> str:
    return "; ".join(", ".join(row) for row in labels)
