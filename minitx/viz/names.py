"""Which line is which: a legend where there is room for one, otherwise names at the lines' ends."""

from textwrap import fill

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

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


def _covers_a_line(artist: Artist, named: list[Line2D]) -> bool:
    figure = artist.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    box = artist.get_window_extent()
    paths = (line.get_path().transformed(line.get_transform()) for line in named)
    return any(path.intersects_bbox(box, filled=False) for path in paths)


def _name_at_the_ends(ax: Axes, named: list[Line2D]) -> None:
    """To the right of the last point, in the line's colour, one below the other.

    A line that ends before the others is named at its own end, if the name hides no line there.
    """
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
        if ends[line][0] < right:
            beside = _write(ax, line, name, ends[line], (14.0, 0.0))
            if not _covers_a_line(beside, named):
                continue
            beside.remove()
        half = SPACE * (name.count("\n") + 1) / 2
        middle = max(wanted[line], above + half)
        above = middle + half
        _write(ax, line, name, (right, ends[line][1]), (8.0, float(middle - wanted[line])))


def _write(
    ax: Axes, line: Line2D, name: str, point: tuple[float, float], away: tuple[float, float]
) -> Annotation:
    return ax.annotate(
        name, point, xytext=away, textcoords="offset points", va="center",
        color=line.get_color(), annotation_clip=False,
    )  # fmt: skip


def _last_point(line: Line2D) -> tuple[float, float]:
    x, y = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
    seen = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    return float(x[seen[-1]]), float(y[seen[-1]])
