"""The look of all plots: colours, letters, sizes."""

from typing import Any, cast

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito 2008, in the order of contrast with the background; yellow is left out, too pale.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BACKGROUND = "#FCFCFC"  # opaque: dark letters stay legible when the page around them is dark

_RC: dict[str, Any] = {
    "figure.figsize": (6.0, 3.6),  # scaled to 360 px, 12 points are still about 10 px high
    "figure.facecolor": BACKGROUND,
    "savefig.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 2.0,
    "lines.markersize": 6,
    "image.cmap": "viridis",
    "axes.prop_cycle": cycler(color=PALETTE, marker=MARKERS),
}


class style:
    """The course's look: `style()` from here on, `with style():` for one block only.

    >>> with style():
    ...     plt.rcParams["font.size"]
    12.0
    """

    def __init__(self) -> None:
        self._settings = cast(Any, plt.rcParams)
        self._before = {name: self._settings[name] for name in _RC}
        self._settings.update(_RC)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        self._settings.update(self._before)


def canvas(ax: Axes | None, height: float = 3.6) -> tuple[Figure, Axes]:
    if ax is None:
        figure, ax = plt.subplots(figsize=(6.0, height))
        return figure, ax
    return cast(Figure, ax.get_figure(root=True)), ax
