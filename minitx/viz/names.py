"""Which line is which: a legend where there is room for one, otherwise names at the lines' ends."""

from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

FEW = 4  # names that a reader can carry from a legend to the lines
LETTERS = 16  # in a row of a name at the edge
SPACE = 15.0  # points from the middle of one row to that of the next


def name_lines(ax: Axes) -> None:
    """Names the lines that have a label, where no name hides a line."""
    named = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    if len(named) <= FEW:
        legend = ax.legend()
        if not _covers_a_line(legend, named):
            return
        legend.remove()
    _name_at_the_ends(ax, named)


def _covers_a_line(legend: Legend, named: list[Line2D]) -> bool:
    figure = legend.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    paths = (line.get_path().transformed(line.get_transform()) for line in named)
    return any(path.intersects_bbox(box, filled=False) for path in paths)


def _name_at_the_ends(ax: Axes, named: list[Line2D]) -> None:
    """To the right of the last point, in the line's colour, one below the other."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    ends = {line: _last_point(line) for line in named}
    points = 72 / figure.dpi
    wanted = {line: ax.transData.transform(ends[line])[1] * points for line in named}
    right = max(x for x, _ in ends.values())
    above = -np.inf
    for line in sorted(named, key=lambda line: wanted[line]):
        name = fill(str(line.get_label()), LETTERS)
        half = SPACE * (name.count("\n") + 1) / 2
        middle = max(wanted[line], above + half)
        above = middle + half
        ax.annotate(
            name, (right, ends[line][1]), xytext=(8, middle - wanted[line]),
            textcoords="offset points", va="center", color=line.get_color(), annotation_clip=False,
        )  # fmt: skip


def _last_point(line: Line2D) -> tuple[float, float]:
    x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
    seen = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    return float(x[seen[-1]]), float(y[seen[-1]])
