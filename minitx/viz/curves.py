"""Curves over one axis: times, losses, norms."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from minitx.viz.names import name_lines
from minitx.viz.style import MARKERS, PALETTE, WIDTH, canvas, style
from minitx.viz.values import as_array


def lines(
    x: Any,
    series: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str,
    scale: Literal["linear", "log-log", "log-x", "log-y"] = "linear",
    ax: Axes | None = None,
    title: str | None = None,
    first: int = 0,
) -> Figure:
    """One line per named series over the same x; colour and marker tell the lines apart.

    There are seven of them; further lines are dashed.

    Args:
        x: (N,) positions, shared by all series.
        series: name to (N,) values; the names stand in a legend or, where
            there are five or more or it would cover a line, at the lines' ends.
        xlabel: what x is, with its unit.
        ylabel: what the values are, with their unit.
        scale: on "log-log" axes a power law is a straight line, its exponent the slope.
        ax: where to draw; a new figure unless given.
        title: printed above.
        first: how many lines stand in pictures beside it, whose colours are taken.

    Raises:
        ValueError: if a series has another length than x, or the scale is unknown.
    """
    if scale not in ("linear", "log-log", "log-x", "log-y"):
        raise ValueError(f"scale must be linear, log-log, log-x or log-y, got {scale!r}")
    positions = as_array(x)
    curves = {name: as_array(values) for name, values in series.items()}
    for name, curve in curves.items():
        if positions.ndim != 1 or curve.shape != positions.shape:
            raise ValueError(
                f"series {name!r} must have one number per x: x has shape {positions.shape}, "
                f"the series {curve.shape}"
            )
    with style():
        figure, ax = canvas(ax)
        for place, (name, curve) in enumerate(curves.items(), start=first):
            again, kind = divmod(place, len(PALETTE))
            ax.plot(
                positions, curve, "--" if again else "-", label=name, color=PALETTE[kind],
                marker=MARKERS[kind],
            )  # fmt: skip
        if scale in ("log-log", "log-x"):
            ax.set_xscale("log")
            ax.set_xticks(positions, [f"{position:g}" for position in positions])
            ax.xaxis.set_minor_locator(NullLocator())
        ax.set_yscale("log" if scale in ("log-log", "log-y") else "linear")
        ax.set(xlabel=xlabel, ylabel=ylabel, title=title or "")
        name_lines(ax)
    return figure


def banded_lines(
    x: Any,
    series: Mapping[str, Any],
    *,
    xlabel: str,
    ylabel: str,
    scale: Literal["linear", "log-log", "log-x", "log-y"] = "linear",
    ax: Axes | None = None,
    title: str | None = None,
    first: int = 0,
) -> Figure:
    """`lines` of what was measured several times: the means, and a band from lowest to highest.

    Args:
        x: (N,) positions, shared by all series.
        series: name to (N, S) values, S of them at each position.
        xlabel, ylabel, scale, ax, title, first: as of `lines`.

    Raises:
        ValueError: if a series has another length than x, or the scale is unknown.
    """
    measured = {name: as_array(values) for name, values in series.items()}
    figure = lines(
        x,
        {name: values.mean(1) for name, values in measured.items()},
        xlabel=xlabel,
        ylabel=ylabel,
        scale=scale,
        ax=ax,
        title=title,
        first=first,
    )
    ax = ax or figure.axes[0]
    for line, values in zip(ax.get_lines(), measured.values(), strict=True):
        ax.fill_between(
            as_array(x), values.min(1), values.max(1), color=line.get_color(), alpha=0.2,
            linewidth=0,
        )  # fmt: skip
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
            3, 1, figsize=(WIDTH, 5.4), sharex=True, height_ratios=(2, 1, 1)
        )
        plain = {"marker": "", "linewidth": 1.5}
        top.plot(step, loss, label="training", **plain)
        if validated:
            x, y = ([row[name] for row in validated] for name in ("step", "validation_loss"))
            top.plot(x, y, label="validation", color=PALETTE[1], marker=MARKERS[1])
            name_lines(top)
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


def _gradient_norm(name: str, block: Any) -> float:
    gradients = [p.grad for p in block.parameters() if p.grad is not None]
    if not gradients:
        raise ValueError(f"a block of {name!r} has no gradient: call backward() first")
    return float(np.sqrt(sum(float((as_array(gradient) ** 2).sum()) for gradient in gradients)))
