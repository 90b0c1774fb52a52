"""How well dates are translated, letter for letter and by chrF: `minitx train dates-score`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minitx.measure.table import Table
from minitx.projects import translation
from minitx.projects.kept import Experiment, Trial, shares, source
from minitx.projects.settings import TranslationSettings
from minitx.projects.translation import Translator
from minitx.projects.translators import DATES
from minitx.training import Processes


def train(
    settings: TranslationSettings, folder: Path, group: Processes, progress: bool
) -> Translator:
    """The translator of dates with these settings."""
    return translation.train(DATES, settings, group=group, folder=folder, progress=progress)


def measure(translator: Translator) -> dict[str, Any]:
    """Of the dates of months never seen: how many are right, of how many, and chrF."""
    score = translation.scored(translator, DATES.split().test)
    chrf = None if score.chrf is None else round(score.chrf, 2)
    return {"right": score.right, "of": score.count, "chrf": chrf}


HALF = replace(DATES.settings, d_model=64, num_steps=300)
"""Half as wide as `minitx train dates`, and half of its steps: some dates are still wrong."""

EXPERIMENT = Experiment("dates-score", (Trial("dates, half as wide", HALF),), train, measure)


def table() -> Table:
    """What was measured, as a table."""
    return table_of(EXPERIMENT.kept())


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table: a row for each seed."""
    (trial,) = result["trials"]
    runs = trial["runs"]
    rows = [
        [f"seed {run['seed']}", share, run["chrf"], run["cpu"]]
        for run, share in zip(runs, shares(trial), strict=True)
    ]
    return Table(
        ["", "right", "chrF", "CPU seconds"],
        rows,
        ["", ".1%", ".2f", "d"],
        caption=f"Dates of months never seen; {source(result)}",
    )
