"""One translator that grows from chapter to chapter: `minitx train ladder`.

Each rung has all that its chapter has explained so far; all are as wide, are trained on the same
pairs, for as many steps and from the same seeds. What was measured is kept beside this file and
shown by `table`.
"""

import csv
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from minitx.measure.table import Table
from minitx.projects import translation
from minitx.projects.settings import TranslationSettings
from minitx.projects.translators import NUMBERS
from minitx.training import Processes

KEPT = Path(__file__).with_name("ladder.json")
SEEDS = (0, 1, 2)
FIRST_STEPS = 3


@dataclass(frozen=True)
class Rung:
    """A translator as it stands at the end of a chapter.

    Args:
        chapter: "02".
        name: as the table says it.
        settings: of the model and its training.
    """

    chapter: str
    name: str
    settings: TranslationSettings

    @property
    def folder(self) -> str:
        """Where one of its trainings is kept, without the seed."""
        return f"{self.chapter}-{self.name}".replace(" ", "-").replace(",", "")


# A quarter as wide as `minitx train numbers`: at full width even one vector holds such short texts.
_ONE_HEAD = replace(NUMBERS.settings, d_model=32, num_heads=1, positions="none")

RUNGS = (
    Rung("01", "recurrent, one vector", replace(_ONE_HEAD, architecture="recurrent")),
    Rung(
        "01",
        "recurrent, looks back",
        replace(_ONE_HEAD, architecture="recurrent, with attention"),
    ),
    Rung("02", "self-attention, one head, no positions", _ONE_HEAD),
)


def measure(rung: Rung, seed: int, *, group: Processes, folder: Path) -> dict[str, Any]:
    """Train one rung from one seed in folder, or go on with it, and translate what was held out.

    Returns:
        seed, parameters, right, of (numbers held out), cpu (seconds of training here), and losses
        (of the first steps, by which a change of the code is noticed).
    """
    settings = replace(rung.settings, seed=seed)
    begun = time.process_time()
    translator = translation.train(NUMBERS, settings, group=group, folder=folder, progress=True)
    cpu = time.process_time() - begun
    score = translation.scored(translator, NUMBERS.split().test)
    return {
        "seed": seed,
        "parameters": sum(p.numel() for p in translator.model.parameters()),
        "right": score.right,
        "of": score.count,
        "cpu": round(cpu),
        "losses": first_losses(rung, seed),
    }


def first_losses(rung: Rung, seed: int) -> list[float]:
    """Loss per token in a training of three steps, on the CPU, to digits in which processors agree.

    If they are not what they were, the model, its start or its data has changed since the ladder
    was measured.
    """
    settings = replace(rung.settings, seed=seed, num_steps=FIRST_STEPS)
    alone = Processes(rank=0, count=1, device=torch.device("cpu"))
    with TemporaryDirectory() as folder:
        translation.train(NUMBERS, settings, group=alone, folder=Path(folder), progress=False)
        with Path(folder, "log.csv").open(encoding="utf-8") as log:
            return [round(float(row["loss"]), 3) for row in csv.DictReader(log)]


def climb(folder: Path, *, group: Processes, seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Train all rungs; what `table` shows."""
    return {
        "command": "minitx train ladder",
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "rungs": [
            {
                "chapter": rung.chapter,
                "name": rung.name,
                "settings": asdict(rung.settings),
                "runs": [
                    measure(rung, seed, group=group, folder=folder / f"{rung.folder}-{seed}")
                    for seed in seeds
                ],
            }
            for rung in RUNGS
        ],
    }


def keep(measured: Mapping[str, Any], path: Path = KEPT) -> None:
    """Write what was measured where the book reads it."""
    path.write_text(json.dumps(measured, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def kept(path: Path = KEPT) -> dict[str, Any]:
    """What was measured."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def table(chapter: str) -> Table:
    """The rungs up to a chapter, its own last, as they were measured.

    Raises:
        ValueError: if no rung belongs to that chapter.
    """
    measured = kept()
    chapters = sorted({rung["chapter"] for rung in measured["rungs"]})
    if chapter not in chapters:
        raise ValueError(f"chapter must be one of {', '.join(chapters)}, got {chapter!r}")
    rungs = [rung for rung in measured["rungs"] if rung["chapter"] <= chapter]
    return table_of({**measured, "rungs": rungs})


def table_of(measured: Mapping[str, Any]) -> Table:
    """What `climb` returned, as a table."""
    counts = {len(rung["runs"]) for rung in measured["rungs"]}
    return Table(
        ["translator", "chapter", "parameters", "right, worst seed", "best seed", "CPU seconds"],
        map(_row, measured["rungs"]),
        ["", "d", ",d", ".1%", ".1%", "d"],
        caption=f"Numbers never seen; {measured['command']}, {max(counts)} seeds, "
        f"{measured['date']}",
    )


def _row(rung: Mapping[str, Any]) -> tuple[Any, ...]:
    runs = rung["runs"]
    # Rounded down: 100.0% is said of none that is ever wrong.
    shares = [math.floor(1000 * run["right"] / run["of"]) / 1000 for run in runs]
    seconds = round(sum(run["cpu"] for run in runs) / len(runs))
    chapter, parameters = int(rung["chapter"]), runs[0]["parameters"]
    return (rung["name"], chapter, parameters, min(shares), max(shares), seconds)
