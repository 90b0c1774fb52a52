"""The look of all plots: colours, letters, sizes."""

from typing import Any, cast

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

# In the hues of Okabe & Ito 2008, darkened until letters of these colours can be read on white.
PALETTE = ("#0067a6", "#a84600", "#006f55", "#a3478a", "#5a6472", "#7a5c00", "#14181e")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BACKGROUND = "#fcfcfc"  # opaque, for pictures that stand alone; the book's pages make it clear
INK = "#14181e"
WIDTH = 4.8  # inches: letters of 12 points are 11 pixels high where it is shown 327 pixels wide

# Amounts from nothing, which is the ground itself, to a blue on which black letters can be read;
# and with a sign, negative ones in orange.
AMOUNTS = LinearSegmentedColormap.from_list("amounts", ["#3f86c900", "#3f86c9ff"])
SIGNED = LinearSegmentedColormap.from_list(
    "signed", ["#d97b29ff", "#d97b2900", "#3f86c900", "#3f86c9ff"]
)

_RC: dict[str, Any] = {
    "figure.figsize": (WIDTH, 3.1),
    "figure.facecolor": BACKGROUND,
    "savefig.facecolor": BACKGROUND,
    "axes.facecolor": BACKGROUND,
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "figure.titlesize": 13,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "lines.linewidth": 2.0,
    "lines.markersize": 5,
    "image.cmap": "Blues",
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


def canvas(ax: Axes | None, height: float = 3.1) -> tuple[Figure, Axes]:
    if ax is None:
        figure, ax = plt.subplots(figsize=(WIDTH, height))
        return figure, ax
    return cast(Figure, ax.get_figure(root=True)), ax
