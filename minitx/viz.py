"""The course's figures: one look, legible on paper, in dark mode and on a phone.

Every function takes anything NumPy can read (also tensors with a gradient) and returns the
figure. Colours are viridis for amounts and Okabe & Ito's palette for lines: both survive the
usual kinds of colour blindness and a black-and-white printer.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from os import PathLike
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

# Okabe & Ito 2008, in the order of contrast with the background; yellow is left out, too pale.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BACKGROUND = "#FCFCFC"  # opaque: dark letters stay legible when the page around them is dark
ROOM_FOR_NUMBERS = (12, 9)  # rows and columns up to which a number of 11 points fits its cell

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


def attention_heatmap(
    weights: Any,
    *,
    queries: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """One row per query, one column per key, the weight as colour from 0 to 1.

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
    table = _as_table("weights", weights)
    _require_weights(table)
    return _draw_table(
        table, rows=queries, columns=keys, ax=ax, title=title, limits=(0.0, 1.0),
        axes_names=("query", "key"), colourbar="weight",
    )  # fmt: skip


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

    Args:
        values: (rows, columns); True and False are drawn as 1 and 0, -inf stays uncoloured.
        rows: names of the rows.
        columns: names of the columns.
        ax: where to draw; a new figure unless given.
        title: printed above.
        row_axis: what a row is, printed at the left.
        column_axis: what a column is, printed below.
        label: what the colours mean, printed at the colour bar.

    Raises:
        ValueError: if values is not a table or the names do not match its sizes.
    """
    return _draw_table(
        _as_table("values", values), rows=rows, columns=columns, ax=ax, title=title, limits=None,
        axes_names=(row_axis, column_axis), colourbar=label,
    )  # fmt: skip


def lines(
    x: Any,
    series: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str,
    scale: Literal["linear", "log-log", "log-x", "log-y"] = "linear",
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """One line per named series over the same x; colour and marker tell the lines apart.

    Args:
        x: (N,) positions, shared by all series.
        series: name to (N,) values; the names stand in the legend.
        xlabel: what x is, with its unit.
        ylabel: what the values are, with their unit.
        scale: on "log-log" axes a power law is a straight line, its exponent the slope.
        ax: where to draw; a new figure unless given.
        title: printed above.

    Raises:
        ValueError: if a series has another length than x, or the scale is unknown.
    """
    if scale not in ("linear", "log-log", "log-x", "log-y"):
        raise ValueError(f"scale must be linear, log-log, log-x or log-y, got {scale!r}")
    positions = _as_array(x)
    curves = {name: _as_array(values) for name, values in series.items()}
    for name, curve in curves.items():
        if positions.ndim != 1 or curve.shape != positions.shape:
            raise ValueError(
                f"series {name!r} must have one number per x: x has shape {positions.shape}, "
                f"the series {curve.shape}"
            )
    with style():
        figure, ax = _canvas(ax)
        for (name, curve), colour, marker in zip(
            curves.items(), cycle(PALETTE), cycle(MARKERS), strict=False
        ):
            ax.plot(positions, curve, label=name, color=colour, marker=marker)
        if scale in ("log-log", "log-x"):
            ax.set_xscale("log")
            ax.set_xticks(positions, [f"{position:g}" for position in positions])
            ax.xaxis.set_minor_locator(NullLocator())
        ax.set_yscale("log" if scale in ("log-log", "log-y") else "linear")
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title or "")
        ax.legend()
    return figure


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
    heads = _as_array(weights)
    if heads.ndim != 3 or heads.size == 0:
        raise ValueError(
            f"weights must have three axes (heads, queries, keys), got shape {heads.shape}; "
            "pick one sequence first"
        )
    H, T_q, T_k = heads.shape
    _require_weights(heads)
    _require_names("row", queries, T_q)
    _require_names("column", keys, T_k)
    columns = 2 if H > 1 and T_k <= ROOM_FOR_NUMBERS[1] + 3 else 1
    rows = -(-H // columns)
    with style():
        # Tall enough for a name of 11 points in every row, and for the names below.
        height = max(2.0, 0.6 + 0.2 * T_q)
        figure, grid = plt.subplots(
            rows, columns, figsize=(6.0, rows * height + 0.6), squeeze=False,
            sharex=True, sharey=True,
        )  # fmt: skip
        for h, (ax, head) in enumerate(zip(grid.flat, heads, strict=False), start=1):
            image = ax.imshow(head, vmin=0.0, vmax=1.0, aspect="auto")
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


def training_curves(
    log: str | PathLike[str] | Sequence[Mapping[str, int | float]], *, title: str | None = None
) -> Figure:
    """Loss, gradient norm and learning rate over the steps, one above the other.

    Args:
        log: the log.csv that `training.train` writes, or the rows that it returns.
        title: printed above.

    Raises:
        ValueError: if there is no step in log, or a column is missing.
    """
    if isinstance(log, str | PathLike):
        with Path(log).open(newline="", encoding="utf-8") as file:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    else:
        rows = [dict(row) for row in log]
    needed = ("step", "loss", "grad_norm", "rate")
    if not rows or not all(set(needed) <= row.keys() for row in rows):
        got = ", ".join(sorted(set().union(*rows))) or "nothing"
        raise ValueError(f"log must hold {', '.join(needed)} of every step, got {got}")
    step, loss, grad_norm, rate = (np.array([row[name] for row in rows]) for name in needed)
    validated = [row for row in rows if "validation_loss" in row]
    with style():
        figure, (top, middle, bottom) = plt.subplots(
            3, 1, figsize=(6.0, 6.0), sharex=True, height_ratios=(2, 1, 1)
        )
        plain = {"marker": "", "linewidth": 1.5}
        top.plot(step, loss, label="training", **plain)
        if validated:
            x, y = ([row[name] for row in validated] for name in ("step", "validation_loss"))
            top.plot(x, y, label="validation", color=PALETTE[1], marker=MARKERS[1])
            top.legend()
        middle.plot(step, np.where(np.isfinite(grad_norm), grad_norm, np.nan), **plain)
        bottom.plot(step, rate, **plain)
        top.set(ylabel="loss (nats)", title=title or "")
        middle.set(ylabel="gradient norm", yscale="log")
        bottom.set(ylabel="rate", xlabel="step")
        figure.align_ylabels()
    return figure


def gradient_norms(
    stacks: Mapping[str, Iterable[Any]], *, ax: Axes | None = None, title: str | None = None
) -> Figure:
    """How long the gradient of every block is, by depth: a line per stack, on a log axis.

    Args:
        stacks: name to its blocks from the bottom up, after a backward pass; anything that has
            `parameters()`.
        ax: where to draw; a new figure unless given.
        title: printed above.

    Raises:
        ValueError: if there are no blocks, a block has no gradient, or the stacks differ in depth.
    """
    norms = {name: [_gradient_norm(name, block) for block in stacks[name]] for name in stacks}
    depths = {name: len(stack) for name, stack in norms.items()}
    if len(set(depths.values())) != 1 or 0 in depths.values():
        raise ValueError(f"stacks must have the same number of blocks, at least 1; got {depths}")
    depth = next(iter(depths.values()))
    figure = lines(
        range(1, depth + 1), norms, xlabel="block, from the bottom", ylabel="gradient norm",
        scale="log-y", ax=ax, title=title,
    )  # fmt: skip
    (ax or figure.axes[0]).xaxis.set_major_locator(MaxNLocator(integer=True))
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
        _as_table("table", table), ax=ax, title=title, row_axis="position", column_axis="feature",
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
    values = _as_table("table", table)
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
) -> Figure:
    _require_names("row", rows, table.shape[0])
    _require_names("column", columns, table.shape[1])
    finite = np.ma.masked_invalid(table)
    low, high = limits or (float(finite.min()), float(finite.max()))
    with style():
        figure, ax = _canvas(ax, height=1.2 + 4.8 * min(1.0, table.shape[0] / table.shape[1]))
        image = ax.imshow(finite, vmin=low, vmax=high, aspect="auto")
        ax.grid(False)
        _name_ticks(ax, rows, columns)
        ax.set(ylabel=axes_names[0], xlabel=axes_names[1], title=title or "")
        ax.figure.colorbar(image, ax=ax, label=colourbar)
        if table.shape[0] <= ROOM_FOR_NUMBERS[0] and table.shape[1] <= ROOM_FOR_NUMBERS[1]:
            _write_numbers(ax, table, middle=(low + high) / 2)
    return figure


def _gradient_norm(name: str, block: Any) -> float:
    gradients = [p.grad for p in block.parameters() if p.grad is not None]
    if not gradients:
        raise ValueError(f"a block of {name!r} has no gradient: call backward() first")
    return float(np.sqrt(sum(float((_as_array(gradient) ** 2).sum()) for gradient in gradients)))


def _write_numbers(ax: Axes, table: np.ndarray, *, middle: float) -> None:
    for (row, column), value in np.ndenumerate(table):
        on_dark = np.isfinite(value) and value < middle
        text = f"{value:.2f}" if np.isfinite(value) else str(value).replace("inf", "∞")
        ax.text(
            column, row, text, ha="center", va="center", fontsize=11,
            color="white" if on_dark else "black",
        )  # fmt: skip


def _name_ticks(ax: Axes, rows: Sequence[str] | None, columns: Sequence[str] | None) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if rows is not None:
        ax.set_yticks(range(len(rows)), rows)
    if columns is not None:
        ax.set_xticks(range(len(columns)), columns)
        if sum(map(len, columns)) > 40:
            ax.tick_params(axis="x", labelrotation=90)


def _canvas(ax: Axes | None, height: float = 3.6) -> tuple[Figure, Axes]:
    if ax is None:
        figure, ax = plt.subplots(figsize=(6.0, height))
        return figure, ax
    return cast(Figure, ax.get_figure(root=True)), ax


def _as_array(values: Any) -> np.ndarray:
    """NumPy's reading of values; of a tensor, without its gradient and in float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    return np.asarray(values, dtype=float)


def _as_table(name: str, values: Any) -> np.ndarray:
    table = _as_array(values)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(
            f"{name} must have two axes (rows, columns), got shape {table.shape}; "
            "pick one sequence and one head first"
        )
    return table


def _require_weights(table: np.ndarray) -> None:
    if not (table.min() >= -1e-6 and table.max() <= 1 + 1e-6):
        raise ValueError(
            f"weights must lie between 0 and 1, got {table.min():.4g} to {table.max():.4g}"
        )


def _require_names(axis: str, names: Sequence[str] | None, size: int) -> None:
    if names is not None and len(names) != size:
        raise ValueError(f"there must be one name per {axis}: {size}, got {len(names)}")
