"""What each part of the recipe is for: `minitx train recipe` takes it out and trains anew.

The translator is the ladder's of chapter 4. What was measured is kept beside this file and shown
by `table`.
"""

from collections.abc import Mapping
from dataclasses import replace
from statistics import mean
from typing import Any

from minitx.measure.table import Table
from minitx.projects import ladder
from minitx.projects.kept import Experiment, Trial, shares, source

WHOLE = replace(ladder.FOUR_HEADS, positions="sinusoidal")
TRIALS = (
    Trial("all of it", WHOLE),
    Trial("no residual connections", replace(WHOLE, without="residual connections")),
    Trial("no layer norm", replace(WHOLE, without="layer norm")),
    Trial("no feed-forward network", replace(WHOLE, without="feed-forward")),
    Trial("scores not scaled", replace(WHOLE, without="scaled scores")),
    Trial("one head", replace(WHOLE, num_heads=1)),
    Trial("no positions", replace(WHOLE, positions="none")),
    Trial("no warm-up", replace(WHOLE, warmup_steps=1)),
    Trial("a rate that never falls", replace(WHOLE, final_lr=1.0)),
    Trial("no label smoothing", replace(WHOLE, smoothing=0.0)),
    Trial("pre-norm instead of post-norm", replace(WHOLE, pre_norm=True)),
    Trial("and dropout 0.1", replace(WHOLE, dropout=0.1)),
)
EXPERIMENT = Experiment("recipe", TRIALS, ladder.train, ladder.measure)


def table() -> Table:
    """What was measured, as a table."""
    return table_of(EXPERIMENT.kept())


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table: a row for each change."""
    rows = []
    for trial in result["trials"]:
        right, runs = shares(trial), trial["runs"]
        seconds = mean(run["cpu"] for run in runs)
        rows.append([trial["name"], runs[0]["parameters"], min(right), max(right), seconds])
    return Table(
        ["recipe", "parameters", "right, worst seed", "best seed", "CPU seconds"],
        rows,
        ["", ",d", ".1%", ".1%", ".0f"],
        caption=f"Numbers never seen; {source(result)}",
    )
