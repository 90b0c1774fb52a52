"""The picture of `minitx bench scaling`: time, memory and error over the length."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from minitx import viz
from minitx.bench.point import Point
from minitx.bench.scaling_report import curve

PANELS = {
    "forward": ("forward", "seconds"),
    "both": ("forward and backward", "seconds"),
    "memory_both": ("memory of forward and backward", "MB"),
    "error": ("error", "relative to full attention"),
}
DASHES = ("-", "--", ":")
NAMES_PER_PANEL = 26  # lines of text that have room beside each other


class End(NamedTuple):
    """Where a line ends, and whose it is."""

    y: float
    x: float
    name: str
    colour: str


def picture(points: Sequence[Point], setup: dict[str, Any]) -> Figure:
    """Log-log panels; the bars of the times reach from the fastest call to the slowest."""
    names = list(dict.fromkeys(p.core for p in points))
    lengths = sorted({p.T for p in points})
    with viz.style():
        figure, grid = plt.subplots(2, 2, figsize=(12.0, 10.0), sharex=True)
        for ax, (quantity, (heading, unit)) in zip(grid.flat, PANELS.items(), strict=True):
            ax.set(xscale="log", yscale="log", title=heading, ylabel=unit)
            ends = [draw(ax, points, name, quantity, i) for i, name in enumerate(names)]
            name_ends(ax, [end for end in ends if end])
        for ax in grid[-1]:
            ax.set_xticks(lengths, [str(T) for T in lengths])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xlabel("length T")
        figure.suptitle(f"{setup['device']}, {setup['threads']} threads; {setup['sizes']}")
    return figure


def draw(ax: Axes, points: Sequence[Point], name: str, quantity: str, number: int) -> End | None:
    """One line; colour, marker and dashes tell which. None if there is nothing to draw.

    A logarithm leaves no place for 0, which the memory of a short text can be.
    """
    values = sorted((T, y) for T, y in curve(points, name, quantity).items() if y > 0)
    if not values:
        return None
    x, y = np.array(values, dtype=float).T
    if quantity.startswith("memory"):
        y = y / 1e6
    colour = viz.PALETTE[number % len(viz.PALETTE)]
    dashes = DASHES[number // len(viz.PALETTE) % len(DASHES)]
    marker = viz.MARKERS[number % len(viz.MARKERS)]
    ax.plot(x, y, color=colour, linestyle=dashes, marker=marker)
    if quantity in ("forward", "both"):
        calls = {p.T: getattr(p, quantity) for p in points if p.core == name}
        low, high = np.array([(min(calls[T]), max(calls[T])) for T, _ in values]).T
        ax.vlines(x, low, high, color=colour, linewidth=1.0)
    return End(float(y[-1]), float(x[-1]), name, colour)


def name_ends(ax: Axes, ends: Sequence[End]) -> None:
    """Each line's name at its right, moved apart where they would lie on each other."""
    low, high = np.log(ax.get_ylim())
    ends = sorted(ends)
    places = apart([float(np.log(end.y)) for end in ends], gap=(high - low) / NAMES_PER_PANEL)
    for end, place in zip(ends, places, strict=True):
        ax.annotate(
            end.name, (end.x, end.y), xytext=(1.06, np.exp(place)), va="center",
            textcoords=ax.get_yaxis_transform(), fontsize=10, color=end.colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": end.colour, "linewidth": 0.5},
        )  # fmt: skip


def apart(places: Sequence[float], *, gap: float) -> list[float]:
    """Rising places, moved as little as makes neighbours a gap apart.

    >>> apart([0.0, 0.0, 5.0], gap=1.0)
    [-0.5, 0.5, 5.0]
    """
    groups: list[tuple[float, int]] = []  # where its middle is, how many it has
    for place in places:
        groups.append((place, 1))
        while len(groups) > 1:
            (below, few), (above, more) = groups[-2:]
            if above - below >= gap * (few + more) / 2:
                break
            groups[-2:] = [((below * few + above * more) / (few + more), few + more)]
    return [middle + gap * (i - (n - 1) / 2) for middle, n in groups for i in range(n)]
