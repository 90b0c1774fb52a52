"""One translator that grows from chapter to chapter: `minitx train ladder`.

Each rung has all that its chapter has explained so far; all are as wide, are trained on the same
pairs, for as many steps and from the same seeds. What was measured is kept beside this file and
shown by `table`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minitx.measure.table import Table
from minitx.projects import translation
from minitx.projects.kept import Experiment, Trial, shares, source
from minitx.projects.settings import TranslationSettings
from minitx.projects.translation import Translator
from minitx.projects.translators import NUMBERS
from minitx.training import Processes


@dataclass(frozen=True, kw_only=True)
class Rung(Trial):
    """A translator as it stands at the end of a chapter.

    Args:
        chapter: "02".
    """

    chapter: str

    @property
    def folder(self) -> str:
        return f"{self.chapter}-{super().folder}"


def train(
    settings: TranslationSettings, folder: Path, group: Processes, progress: bool
) -> Translator:
    """The number translator with these settings."""
    return translation.train(NUMBERS, settings, group=group, folder=folder, progress=progress)


def measure(translator: Translator) -> dict[str, int]:
    """How many of the numbers held out it translates right, of how many."""
    score = translation.scored(translator, NUMBERS.split().test)
    return {"right": score.right, "of": score.count}


# A quarter as wide as `minitx train numbers`: at full width even one vector holds such short texts.
ONE_HEAD = replace(NUMBERS.settings, d_model=32, num_heads=1, positions="none")
FOUR_HEADS = replace(ONE_HEAD, num_heads=4)

RUNGS = (
    Rung("recurrent, one vector", replace(ONE_HEAD, architecture="recurrent"), chapter="01"),
    Rung(
        "recurrent, looks back",
        replace(ONE_HEAD, architecture="recurrent, with attention"),
        chapter="01",
    ),
    Rung("self-attention, one head, no positions", ONE_HEAD, chapter="02"),
    Rung("four heads, no positions", FOUR_HEADS, chapter="03"),
    Rung("four heads, sinusoids", replace(FOUR_HEADS, positions="sinusoidal"), chapter="04"),
    Rung(
        "four heads, sinusoids, pre-norm",
        replace(FOUR_HEADS, positions="sinusoidal", pre_norm=True),
        chapter="05",
    ),
    Rung("the whole, four times as wide", NUMBERS.settings, chapter="06"),
)
EXPERIMENT = Experiment("ladder", RUNGS, train, measure)


def table(chapter: str) -> Table:
    """The rungs up to a chapter, its own last, as they were measured.

    Raises:
        ValueError: if no rung belongs to that chapter.
    """
    result = EXPERIMENT.kept()
    chapters = sorted({rung["chapter"] for rung in result["trials"]})
    if chapter not in chapters:
        raise ValueError(f"chapter must be one of {', '.join(chapters)}, got {chapter!r}")
    rungs = [rung for rung in result["trials"] if rung["chapter"] <= chapter]
    return table_of({**result, "trials": rungs})


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table."""
    return Table(
        ["translator", "chapter", "parameters", "right, worst seed", "best seed", "CPU seconds"],
        map(_row, result["trials"]),
        ["", "d", ",d", ".1%", ".1%", "d"],
        caption=f"Numbers never seen; {source(result)}",
    )


def _row(rung: Mapping[str, Any]) -> tuple[Any, ...]:
    runs, right = rung["runs"], shares(rung)
    seconds = round(sum(run["cpu"] for run in runs) / len(runs))
    chapter, parameters = int(rung["chapter"]), runs[0]["parameters"]
    return (rung["name"], chapter, parameters, min(right), max(right), seconds)
