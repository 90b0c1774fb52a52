"""Norms on the road or beside it, with and without warm-up: `minitx train norm-place`.

The number translator, three times as deep as the ladder's. What was measured is kept beside this
file and shown by `table` and `picture`.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from minitx import viz
from minitx.measure.table import Table
from minitx.projects import ladder
from minitx.projects.kept import Experiment, Trial, shares, source
from minitx.projects.settings import TranslationSettings
from minitx.projects.translation import Translator
from minitx.training import Processes

SETTINGS = replace(ladder.FOUR_HEADS, positions="sinusoidal", num_layers=6, warmup_steps=80)
STRETCHES = 40
"""Of the training, each told by the mean of its losses."""

TRIALS = tuple(
    Trial(
        f"{place}, {'warm-up' if warm else 'no warm-up'}",
        replace(SETTINGS, pre_norm=place == "pre-norm", warmup_steps=80 if warm else 1),
    )
    for place in ("post-norm", "pre-norm")
    for warm in (True, False)
)


@dataclass(frozen=True)
class Learned:
    """A translator, and how its training went.

    Args:
        translator: what was trained.
        losses: of every step.
    """

    translator: Translator
    losses: list[float]

    @property
    def model(self) -> nn.Module:
        """The translator's."""
        return self.translator.model


def train(settings: TranslationSettings, folder: Path, group: Processes, progress: bool) -> Learned:
    """The number translator with these settings."""
    translator = ladder.train(settings, folder, group, progress)
    with Path(folder, "log.csv").open(encoding="utf-8") as log:
        return Learned(translator, [float(row["loss"]) for row in csv.DictReader(log)])


def measure(learned: Learned) -> dict[str, Any]:
    """What is translated right, and the losses of the training by stretches."""
    stretches = np.array_split(np.array(learned.losses), STRETCHES)
    curve = [round(float(stretch.mean()), 3) for stretch in stretches]
    return {**ladder.measure(learned.translator), "curve": curve}


EXPERIMENT = Experiment("norm-place", TRIALS, train, measure)


def table() -> Table:
    """What was measured, as a table."""
    return table_of(EXPERIMENT.kept())


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table."""
    rows = []
    for trial in result["trials"]:
        right, runs = shares(trial), trial["runs"]
        rows.append([trial["name"], min(right), max(right), mean(run["curve"][-1] for run in runs)])
    return Table(
        ["norm", "right, worst seed", "best seed", "last loss"],
        rows,
        ["", ".1%", ".1%", ".2f"],
        caption=f"Numbers never seen; {source(result)}",
    )


def picture() -> Figure:
    """Loss over the training, mean of the seeds, and from the lowest to the highest."""
    return picture_of(EXPERIMENT.kept())


def picture_of(result: Mapping[str, Any]) -> Figure:
    """What `EXPERIMENT.run` returned, as a picture."""
    steps = result["trials"][0]["settings"]["num_steps"]
    places = (np.arange(STRETCHES) + 0.5) * steps / STRETCHES
    curves = {
        trial["name"]: np.array([run["curve"] for run in trial["runs"]]).T
        for trial in result["trials"]
    }
    return viz.banded_lines(places, curves, xlabel="steps", ylabel="loss (nats)")
