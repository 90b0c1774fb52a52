"""How many heads: the number translator with 1 to 32 of them, `minitx train head-count`.

All have as many parameters and do as many multiplications in their products: with twice the heads
each is half as wide. With two layers, the ladder's, hardly anything is wrong with any number of
heads; with one layer a word looks once only, and there the numbers differ. What was measured is
kept beside this file and shown by `table` and `picture`.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from minitx import viz
from minitx.measure.table import Table
from minitx.projects import ladder
from minitx.projects.kept import Experiment, Trial, shares, source

COUNTS = (1, 2, 4, 8, 16, 32)
DEPTHS = {1: "one layer", 2: "two layers"}
"""Of encoder and decoder each."""

SETTINGS = replace(ladder.ONE_HEAD, positions="sinusoidal")
TRIALS = tuple(
    Trial(f"{depth}, heads: {heads}", replace(SETTINGS, num_layers=layers, num_heads=heads))
    for layers, depth in DEPTHS.items()
    for heads in COUNTS
)
EXPERIMENT = Experiment("head-count", TRIALS, ladder.train, ladder.measure)


def table() -> Table:
    """What was measured, as a table."""
    return table_of(EXPERIMENT.kept())


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table: a row for each number of heads."""
    rows: dict[int, list[Any]] = {}
    for trial in result["trials"]:
        settings, right = trial["settings"], shares(trial)
        heads = settings["num_heads"]
        row = rows.setdefault(heads, [heads, settings["d_model"] // heads])
        row += [min(right), max(right), mean(run["cpu"] for run in trial["runs"])]
    return Table(
        [
            "heads",
            "width of each",
            *(
                f"{depth}: {what}"
                for depth in DEPTHS.values()
                for what in ("right, worst seed", "best seed", "CPU seconds")
            ),
        ],
        rows.values(),
        ["d", "d", *(".1%", ".1%", ".0f") * len(DEPTHS)],
        caption=f"Numbers never seen; {source(result)}",
    )


def picture() -> Figure:
    """Share of the numbers never seen that are translated wrong, by number of heads."""
    return picture_of(EXPERIMENT.kept())


def picture_of(result: Mapping[str, Any]) -> Figure:
    """What `EXPERIMENT.run` returned, as a picture: mean of the seeds, and from best to worst."""
    wrong = {
        depth: np.array(
            [
                [100 * (1 - run["right"] / run["of"]) for run in trial["runs"]]
                for trial in result["trials"]
                if trial["settings"]["num_layers"] == layers
            ]
        )
        for layers, depth in DEPTHS.items()
    }
    return viz.banded_lines(COUNTS, wrong, xlabel="heads", ylabel="wrong (%)", scale="log-x")
