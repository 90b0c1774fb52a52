"""Numbers as the tables of a page, for worked examples."""

from collections.abc import Sequence
from html import escape

from torch import Tensor

FEW = 4
"""Features of a vector that are shown."""


def number(x: Tensor) -> str:
    """Two digits, and a minus sign that is one."""
    return f"{float(x):.2f}".replace("-0.00", "0.00").replace("-", "−")


def vector(x: Tensor) -> str:
    return ", ".join(map(number, x[:FEW])) + ", …"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, wraps: bool = False) -> str:
    """Rows of cells under titles; cells that wrap are for texts and for many columns."""
    kind = " panel-wraps" if wraps else ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="panel-scroll"><table class="panel-table{kind}">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def heat_table(
    corner: str,
    rows: Sequence[str],
    columns: Sequence[str],
    weights: Tensor,
    allowed: Tensor | None = None,
) -> str:
    """Weights as a table whose cells are the darker the more they weigh."""

    def cell(i: int, j: int) -> str:
        if allowed is not None and not allowed[i, j]:
            return '<td class="panel-forbidden">✕</td>'
        percent = round(100 * float(weights[i, j]))
        return f'<td style="--weight: {percent}%">{percent}</td>' if percent else "<td>0</td>"

    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in (corner, *columns))
    body = "\n".join(
        f'<tr><th scope="row">{escape(row)}</th>'
        + "".join(cell(i, j) for j in range(len(columns)))
        + "</tr>"
        for i, row in enumerate(rows)
    )
    return (
        '<div class="panel-scroll"><table class="panel-table panel-map panel-still">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
