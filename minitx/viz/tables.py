"""Tables of numbers as colours: attention weights, scores, masks, encodings of positions."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from minitx.viz.style import AMOUNTS, SIGNED, WIDTH, canvas, style
from minitx.viz.values import as_array, as_table, require_names, require_weights

ROOM_FOR_NUMBERS = (12, 8)  # rows and columns up to which a number of 12 points fits its cell


def attention_heatmap(
    weights: Any,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """One row per query, one column per key, the weight as colour from 0 to 1.

    A weight of exactly 0, as a mask gives it, is a hatched cell without a number.

    Args:
        weights: (T_q, T_k), numbers from 0 to 1.
        queries: names of the rows, for example the words of the sentence.
        keys: names of the columns.
        ax: where to draw; a new figure unless given.
        title: printed above.

    Raises:
        ValueError: if weights is not a table, or holds numbers below 0 or above 1 (scores, for
            example: `heat_table` draws those), or the names do not match its sizes.
    """
    table = as_table("weights", weights)
    require_weights(table)
    return _draw_table(
        table, rows=queries, columns=keys, ax=ax, title=title, limits=(0.0, 1.0),
        axes_names=("query", "key"), colourbar="weight", forbidden=table == 0,
    )  # fmt: skip


def attention_heatmaps(
    weights: Mapping[str, Any],
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    row_axis: str = "query",
    column_axis: str = "key",
) -> Figure:
    """Attention heat maps to be compared, one below the other, each with its name.

    Args:
        weights: name to (T_q, T_k), all of one shape.
        queries: names of the rows.
        keys: names of the columns.
        row_axis: what a row is.
        column_axis: what a column is, printed below the last.

    Raises:
        ValueError: as `attention_heatmap`, or if there is no table or they differ in shape.
    """
    tables = {name: as_table("weights", table) for name, table in weights.items()}
    shapes = {name: table.shape for name, table in tables.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"weights must be tables of one shape, got {shapes}")
    (T_q, _) = next(iter(shapes.values()))
    with style():
        height = 0.5 + len(tables) * (0.5 + min(3.0, 0.42 * T_q))
        figure, axes = plt.subplots(
            len(tables), 1, figsize=(WIDTH, height), sharex=True, squeeze=False
        )
        for ax, (name, table) in zip(axes[:, 0], tables.items(), strict=True):
            attention_heatmap(table, queries=queries, keys=keys, ax=ax, title=name)
            ax.set(xlabel="", ylabel=row_axis)
        axes[-1, 0].set_xlabel(column_axis)
    return figure


def heat_table(
    values: Any,
    *,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    row_axis: str = "",
    column_axis: str = "",
    label: str = "",
) -> Figure:
    """Any table of numbers (scores, masks, gradients) as colours with the numbers written in.

    Where some are negative, these are orange, and both colours begin at 0.

    Args:
        values: (rows, columns); True and False are drawn as 1 and 0, -inf stays uncoloured.
        rows: names of the rows.
        columns: names of the columns.
        ax: where to draw; a new figure unless given.
        title: printed above.
        row_axis: what a row is, printed at the left.
        column_axis: what a column is, printed below.
        label: what the colours mean, printed at the colour bar where no numbers are written.

    Raises:
        ValueError: if values is not a table or the names do not match its sizes.
    """
    return _draw_table(
        as_table("values", values), rows=rows, columns=columns, ax=ax, title=title, limits=None,
        axes_names=(row_axis, column_axis), colourbar=label,
    )  # fmt: skip


def attention_heads(
    weights: Any,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """One small heat map per head, the weight as colour from 0 to 1, tokens at the edges.

    Args:
        weights: (H, T_q, T_k), numbers from 0 to 1.
        queries: names of the rows, for example the words of the sentence.
        keys: names of the columns.
        title: printed above all.

    Raises:
        ValueError: if weights has other axes, or holds numbers below 0 or above 1, or the names
            do not match its sizes.
    """
    heads = as_array(weights)
    if heads.ndim != 3 or heads.size == 0:
        raise ValueError(
            f"weights must have three axes (heads, queries, keys), got shape {heads.shape}; "
            "pick one sequence first"
        )
    H, T_q, T_k = heads.shape
    require_weights(heads)
    require_names("row", queries, T_q)
    require_names("column", keys, T_k)
    columns = 2 if H > 1 and T_k <= ROOM_FOR_NUMBERS[1] + 3 else 1
    rows = -(-H // columns)
    with style():
        # Tall enough for a name of 11 points in every row, and for the names below.
        height = max(2.0, 0.6 + 0.2 * T_q)
        figure, grid = plt.subplots(
            rows, columns, figsize=(WIDTH, rows * height + 0.6), squeeze=False,
            sharex=True, sharey=True,
        )  # fmt: skip
        for h, (ax, head) in enumerate(zip(grid.flat, heads, strict=False), start=1):
            image = ax.imshow(
                head, vmin=0.0, vmax=1.0, cmap=AMOUNTS, aspect="auto", interpolation="none"
            )
            ax.grid(False)
            ax.set_title(f"head {h}")
        for ax in grid.flat[H:]:
            ax.set_visible(False)
        _name_ticks(grid[0, 0], queries, keys)
        for ax in grid[:, 0]:
            ax.set_ylabel("query")
        for column in range(columns):
            lowest = grid[(H - 1 - column) // columns, column]
            lowest.set_xlabel("key")
            lowest.tick_params(axis="x", labelbottom=True, labelrotation=90 if keys else 0)
        figure.colorbar(image, ax=grid, label="weight")
        if title:
            figure.suptitle(title)
    return figure


def alignment(
    weights: Any,
    *,
    source: Sequence[str] | None = None,
    target: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """What a translation read while it was written: one row per written token.

    Args:
        weights: (T_tgt, T_src) of cross-attention, of one head or the mean of several.
        source: the tokens that were read.
        target: the tokens that were written.
        ax: where to draw; a new figure unless given.
        title: printed above.

    Raises:
        ValueError: as `attention_heatmap`.

    Source: Bahdanau et al. 2015, figure 3, with its axes exchanged.
    """
    figure = attention_heatmap(weights, queries=target, keys=source, ax=ax, title=title)
    (ax or figure.axes[0]).set(ylabel="target (written)", xlabel="source (read)")
    return figure


def positional_encodings(table: Any, *, ax: Axes | None = None, title: str | None = None) -> Figure:
    """One row per position, one column per feature, the encoding's value as colour.

    Args:
        table: (T, C).
        ax: where to draw; a new figure unless given.
        title: printed above.

    Raises:
        ValueError: if table is not a table.
    """
    return heat_table(
        as_table("table", table), ax=ax, title=title, row_axis="position", column_axis="feature",
        label="value",
    )  # fmt: skip


def positional_spectrum(table: Any, *, ax: Axes | None = None, title: str | None = None) -> Figure:
    """How much of each frequency is in each feature of positional encodings.

        amplitude[k, c] = |Σ_p table[p, c] · exp(-2πi k p / T)| · (1 if k is 0 or T/2, else 2) / T

    A feature a · cos(2π k p / T) has amplitude a at frequency k and none elsewhere.

    Args:
        table: (T, C), one row per position.
        ax: where to draw; a new figure unless given.
        title: printed above.

    Raises:
        ValueError: if table is not a table.
    """
    values = as_table("table", table)
    T = len(values)
    amplitude = 2 * np.abs(np.fft.rfft(values, axis=0)) / T
    amplitude[0] /= 2
    if T % 2 == 0:
        amplitude[-1] /= 2
    return heat_table(
        amplitude, ax=ax, title=title, row_axis=f"cycles in {T} positions",
        column_axis="feature", label="amplitude",
    )  # fmt: skip


def _draw_table(
    table: np.ndarray,
    *,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    ax: Axes | None,
    title: str | None,
    limits: tuple[float, float] | None,
    axes_names: tuple[str, str],
    colourbar: str,
    forbidden: np.ndarray | None = None,
) -> Figure:
    require_names("row", rows, table.shape[0])
    require_names("column", columns, table.shape[1])
    finite = np.ma.masked_invalid(table)
    low, high = limits or (float(finite.min()), float(finite.max()))
    if low < 0:
        low, high = -max(-low, high), max(-low, high)
    look: dict[str, Any] = {"vmin": low, "vmax": high, "cmap": SIGNED if low < 0 else AMOUNTS}
    with style():
        numbered = table.shape[0] <= ROOM_FOR_NUMBERS[0] and table.shape[1] <= ROOM_FOR_NUMBERS[1]
        inches = 3.8 * min(1.0, table.shape[0] / table.shape[1])
        figure, ax = canvas(ax, height=1.0 + min(inches, 0.65 * len(table) if numbered else inches))
        if numbered:
            hidden = np.zeros(table.shape, dtype=bool) if forbidden is None else forbidden
            _cells(ax, np.ma.masked_where(hidden, finite), look)
            _hatch(ax, hidden)
            _write_numbers(ax, np.where(hidden, np.nan, table))
        else:
            image = ax.imshow(finite, aspect="auto", interpolation="none", **look)
            ax.figure.colorbar(image, ax=ax, label=colourbar)
        ax.grid(False)
        _name_ticks(ax, rows, columns)
        ax.set(ylabel=axes_names[0], xlabel=axes_names[1], title=title or "")
    return figure


def _cells(ax: Axes, table: np.ma.MaskedArray, look: dict[str, Any]) -> None:
    """As `imshow`, but every cell is a rectangle: sharp at any size, and of the page's colours."""
    rows, columns = table.shape
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    ax.pcolormesh(*edges, table, edgecolors="#dddddd", linewidth=0.5, **look)
    ax.invert_yaxis()


def _hatch(ax: Axes, forbidden: np.ndarray) -> None:
    for row, column in np.argwhere(forbidden):
        corner = (float(column) - 0.5, float(row) - 0.5)
        ax.add_patch(
            Rectangle(corner, 1, 1, fill=False, linewidth=0, hatch="////", edgecolor="#aab1bb")
        )


def _write_numbers(ax: Axes, table: np.ndarray) -> None:
    """Not a number leaves its cell empty; whole numbers only have no digits after the point."""
    finite = table[np.isfinite(table)]
    digits = 0 if finite.size and (finite == np.round(finite)).all() else 2
    for (row, column), value in np.ndenumerate(table):
        if not np.isnan(value):
            text = f"{value:.{digits}f}".replace("inf", "∞").replace("-", "−")
            ax.text(column, row, text, ha="center", va="center")


def _name_ticks(ax: Axes, rows: Sequence[str] | None, columns: Sequence[str] | None) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if rows is not None:
        ax.set_yticks(range(len(rows)), rows)
    if columns is not None:
        ax.set_xticks(range(len(columns)), columns)
        if _crowded(columns, ax):
            ax.tick_params(axis="x", labelrotation=90)


def _crowded(names: Sequence[str], ax: Axes) -> bool:
    """Whether two neighbours would touch if they were written across, at 6.5 points a letter."""
    figure = cast(Figure, ax.get_figure(root=True))
    # Before the layout is made, axes have three quarters of the width; then a little more.
    cell = 1.05 * 72 * figure.get_figwidth() * ax.get_position().width / len(names)
    pairs = (len(one) + len(other) for one, other in pairwise(names))
    return any(6.5 * pair / 2 + 4 > cell for pair in pairs)
