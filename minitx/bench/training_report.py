"""What `minitx bench training` has measured: a table, a picture."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from rich.table import Table

from minitx import viz
from minitx.bench.scaling_report import NAME_WIDTH, title
from minitx.bench.training import Trained

FAMILIES = ("GPT", "BERT", "encoder-decoder")
COLOURS = dict(zip(FAMILIES, viz.PALETTE, strict=False))
MARKERS = dict(zip(FAMILIES, viz.MARKERS, strict=False))


def table(results: Sequence[Trained], setup: dict[str, Any]) -> Table:
    """One row per model and core; losses of different models are of different things."""
    out = Table(
        title=f"{setup['device']}, {setup['threads']} threads, torch {setup['torch']}",
        caption=f"{setup['sizes']}; loss in nats per character on text never seen, GPT's of every "
        "character, the others' of the hidden ones; a model begins with the same weights with "
        "every core, and where that cannot be causal the decoder has torch's; "
        "* computes something else than softmax attention",
    )
    out.add_column("model")
    out.add_column("core", min_width=NAME_WIDTH)
    for name in ("loss", "before", "s/step", "parameters"):
        out.add_column(name, justify="right", no_wrap=True)
    for i, r in enumerate(results):
        ends = i + 1 == len(results) or results[i + 1].model != r.model
        out.add_row(r.model, title(r.core), *numbers(r), end_section=ends)
    return out


def numbers(r: Trained) -> tuple[str, ...]:
    """The cells of one row."""
    if r.loss is None or r.start is None or r.seconds is None or r.parameters is None:
        return (r.outcome, "", "", "")
    return f"{r.loss:.3f}", f"{r.start:.2f}", f"{r.seconds:.3f}", f"{r.parameters:,}"


def picture(results: Sequence[Trained], setup: dict[str, Any]) -> Figure:
    """Loss and time of every core; colour and marker tell the model."""
    rows = [r for r in results if r.outcome == "trained"]
    with viz.style():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(10.0, 1.6 + 0.4 * len(rows)), sharey=True
        )
        for ax, values in ((left, [r.loss for r in rows]), (right, [r.seconds for r in rows])):
            for row, (r, value) in enumerate(zip(rows, values, strict=True)):
                assert value is not None
                ax.plot([value], [row], color=COLOURS[r.model], marker=MARKERS[r.model])
                ax.annotate(
                    f"{value:.3g}", (value, row), xytext=(7, 0), textcoords="offset points",
                    va="center", fontsize=10,
                )  # fmt: skip
            ax.margins(x=0.15)
        left.set(xlabel="loss on text never seen (nats)")
        right.set(xlabel="seconds per step (log scale)", xscale="log")
        left.set_yticks(range(len(rows)), [f"{r.model}, {r.core}" for r in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        figure.suptitle(f"{setup['device']}; {setup['sizes']}", fontsize=11)
    return figure
