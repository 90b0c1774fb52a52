"""A table of results that a page shows as a table, and a terminal as aligned columns."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any


class Table:
    """Rows under named columns, each column in one format.

    Notebooks ask for `_repr_html_`, readers of a diff for `_repr_markdown_`, a terminal for `str`.
    In all three numbers stand right and everything else left; None is a cell without a value.

    Args:
        columns: the names, one per column; the first column names its row.
        rows: one value per column each.
        formats: one format specification per column, such as ",d" or ".2f"; "" (or no formats at
            all) writes the value as it is. Text ignores the format of its column.
        caption: printed above.

    Raises:
        ValueError: if there is no column, a row has not one value per column, or there are
            formats for other than all columns.

    >>> rows = [["full", 1024, 0.25], ["fused", 64, None]]
    >>> Table(["layer", "n", "share"], rows, ["", ",d", ".0%"])
    layer      n  share
    full   1,024    25%
    fused     64      –
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        formats: Sequence[str] = (),
        caption: str = "",
    ) -> None:
        self.columns = tuple(columns)
        self.rows = tuple(tuple(row) for row in rows)
        self.formats = tuple(formats) or ("",) * len(self.columns)
        self.caption = caption
        if not self.columns:
            raise ValueError("a table needs at least one column, got none")
        if len(self.formats) != len(self.columns):
            raise ValueError(
                f"there must be one format per column: {len(self.columns)}, got {len(self.formats)}"
            )
        for place, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {place} must have one value per column: {len(self.columns)}, "
                    f"got {len(row)}"
                )

    def __str__(self) -> str:
        lines = [self.columns, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        right = self._numeric()
        written = [
            "  ".join(
                cell.rjust(width) if numeric else cell.ljust(width)
                for cell, width, numeric in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self.caption, *written] if self.caption else written)

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        def line(cells: Iterable[str]) -> str:
            return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"

        rule = f"|{'|'.join('---:' if numeric else '---' for numeric in self._numeric())}|"
        table = [line(self.columns), rule, *map(line, self._cells())]
        return "\n".join([f"*{self.caption}*", "", *table] if self.caption else table)

    def _repr_html_(self) -> str:
        aligned = [' class="number"' if numeric else "" for numeric in self._numeric()]

        def line(cells: Sequence[str], *, heading: bool) -> str:
            parts = []
            for place, (cell, numeric) in enumerate(zip(cells, aligned, strict=True)):
                scope = "col" if heading else "row" if place == 0 else ""
                tag = f'th scope="{scope}"' if scope else "td"
                parts.append(f"<{tag}{numeric}>{escape(cell)}</{tag[:2]}>")
            return f"<tr>{''.join(parts)}</tr>"

        caption = f"<caption>{escape(self.caption)}</caption>\n" if self.caption else ""
        head = line(self.columns, heading=True)
        body = "\n".join(line(cells, heading=False) for cells in self._cells())
        return (
            f'<table class="measured">\n{caption}<thead>{head}</thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table>"
        )

    def _cells(self) -> list[tuple[str, ...]]:
        def written(value: Any, form: str) -> str:
            if value is None:
                return "–"
            return value if isinstance(value, str) else format(value, form)

        return [
            tuple(written(value, form) for value, form in zip(row, self.formats, strict=True))
            for row in self.rows
        ]

    def _numeric(self) -> list[bool]:
        """Which columns hold numbers: something in them is neither text nor missing."""
        return [
            any(not isinstance(row[place], str | None) for row in self.rows)
            for place in range(len(self.columns))
        ]
