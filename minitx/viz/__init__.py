"""The course's pictures: plots and drawings of one look, legible on paper, in the dark, on a phone.

A function that plots takes anything NumPy can read (also tensors with a gradient) and returns the
figure; a function of `drawings` returns a `Drawing`, which a notebook shows. Both are SVG there.
Colours survive the usual kinds of colour blindness and a black-and-white printer.
"""

from minitx.viz import drawings
from minitx.viz.curves import banded_lines, gradient_norms, lines, training_curves
from minitx.viz.grids import heat_grid
from minitx.viz.notebook import plots_as_svg
from minitx.viz.style import BACKGROUND, MARKERS, PALETTE, WIDTH, style
from minitx.viz.svg import Drawing
from minitx.viz.tables import (
    alignment,
    attention_heads,
    attention_heatmap,
    attention_heatmaps,
    heat_table,
    positional_encodings,
    positional_spectrum,
)

__all__ = [
    "BACKGROUND",
    "MARKERS",
    "PALETTE",
    "WIDTH",
    "Drawing",
    "alignment",
    "attention_heads",
    "attention_heatmap",
    "attention_heatmaps",
    "banded_lines",
    "drawings",
    "gradient_norms",
    "heat_grid",
    "heat_table",
    "lines",
    "positional_encodings",
    "positional_spectrum",
    "style",
    "training_curves",
]

plots_as_svg()
