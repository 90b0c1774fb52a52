"""Several tables of numbers as colours, each on a scale of its own: patterns to be compared."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from minitx.viz.style import AMOUNTS, WIDTH, style
from minitx.viz.values import as_table


def heat_grid(
    values: Mapping[str, Any],
    *,
    row_axis: str = "query",
    column_axis: str = "key",
    columns: int = 2,
) -> Figure:
    """Small maps side by side, from each table's own smallest number to its own largest.

    Args:
        values: name to (T_q, T_k), all of one shape; one whose numbers are all equal has a single
            middle tone, and says so.
        row_axis: what a row is, printed at the left.
        column_axis: what a column is, printed below.
        columns: maps beside each other.

    Raises:
        ValueError: if there is no table, or they differ in shape.
    """
    tables = {name: as_table("values", table) for name, table in values.items()}
    shapes = {name: table.shape for name, table in tables.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"values must be tables of one shape, got {shapes}")
    rows = -(-len(tables) // columns)
    with style():
        figure, grid = plt.subplots(
            rows, columns, figsize=(WIDTH, 2.25 * rows + 0.3), sharex=True, sharey=True,
            squeeze=False,
        )  # fmt: skip
        for ax, (name, table) in zip(grid.flat, tables.items(), strict=False):
            low, high = table.min(), table.max()
            # Rounding errors of equal numbers are no picture.
            if equal := bool(np.isclose(low, high, rtol=1e-4, atol=0)):
                low, high = low - 1, low + 1
            ax.imshow(table, vmin=low, vmax=high, cmap=AMOUNTS, interpolation="none")
            ax.set_title(f"{name}: all equal" if equal else name)
            ax.grid(False)
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(MaxNLocator(3, integer=True))
        for ax in grid.flat[len(tables) :]:
            ax.set_visible(False)
        for ax in grid[:, 0]:
            ax.set_ylabel(row_axis)
        for place in range(columns):
            lowest = grid[(len(tables) - 1 - place) // columns, place]
            lowest.set_xlabel(column_axis)
            lowest.tick_params(axis="x", labelbottom=True)
    return figure
