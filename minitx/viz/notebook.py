"""Plots in a notebook are SVG: sharp at any size, and the book can give them its page's colours."""

import sys
from typing import Any

import matplotlib.pyplot as plt


def plots_as_svg() -> None:
    """Sets the notebook's plots to SVG, with text as text; outside a notebook it does nothing.

    The same figure is the same file, byte for byte: no date, and ids from a fixed seed.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if getattr(shell, "kernel", None) is None:
        return
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:  # another backend shows the plots here
        return
    plt.rcParams["svg.fonttype"] = "none"
    plt.rcParams["svg.hashsalt"] = "minitx"
    inline = InlineBackend.instance(parent=shell)
    options: dict[str, Any] = {"bbox_inches": None, "metadata": {"Date": None}}
    inline.print_figure_kwargs = options
    inline.figure_formats = {"svg"}
