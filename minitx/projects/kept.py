"""Experiments whose result is kept in the package: trainings that are compared, three seeds each.

What a page of the book says of them must be what today's code gives. Beside each result stand the
command and the date, and the losses of the first steps, which change when the code does.
"""

import csv
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from minitx.projects.runs import OtherRun
from minitx.projects.settings import Settings
from minitx.training import Processes, checkpoints

SEEDS = (0, 1, 2)
FIRST_STEPS = 3

Train = Callable[[Any, Path, Processes, bool], Any]
"""settings, folder, processes, whether to show a progress bar -> what was trained there."""

Measure = Callable[[Any], Mapping[str, Any]]
"""What was trained -> what is kept of it."""


@dataclass(frozen=True)
class Trial:
    """One of the trainings that are compared.

    Args:
        name: as the table says it.
        settings: of the model and its training; each seed in turn takes the place of theirs.
    """

    name: str
    settings: Settings

    @property
    def folder(self) -> str:
        """Where one of its trainings is kept, without the seed."""
        return self.name.translate(str.maketrans(" ", "-", ",:"))


@dataclass(frozen=True)
class Experiment:
    """Trials, and the file in which their result is kept.

    Args:
        name: of the command, `minitx train NAME`, and of the file.
        trials: what is compared.
        train: trains in a folder, or goes on there.
        measure: what is kept of a training, besides parameters, seconds and first losses.
    """

    name: str
    trials: Sequence[Trial]
    train: Train
    measure: Measure

    @property
    def path(self) -> Path:
        """Where the result is kept."""
        return Path(__file__).with_name(f"{self.name.replace('-', '_')}.json")

    def run(
        self,
        folder: Path,
        *,
        group: Processes,
        seeds: Sequence[int] = SEEDS,
        say: Callable[[str], object] = lambda line: None,
    ) -> dict[str, Any]:
        """Train and measure all, from every seed; what has been measured in folder stands.

        Raises:
            OtherRun: if folder holds trainings with other settings, or by other code.
            KeyboardInterrupt: after Ctrl-C; the same call continues.
        """
        rows = []
        for place, trial in enumerate(self.trials):
            runs: list[dict[str, Any]] = []
            for seed in seeds:
                number = place * len(seeds) + len(runs) + 1
                say(f"{number} of {len(self.trials) * len(seeds)}: {trial.name}, seed {seed}")
                settings = replace(trial.settings, seed=seed)
                runs.append(self._measured(settings, folder / f"{trial.folder}-{seed}", group))
            rows.append({**asdict(trial), "runs": runs})
        return {
            "command": f"minitx train {self.name}",
            "date": date.today().isoformat(),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "trials": rows,
        }

    def first_losses(self, settings: Settings) -> list[float]:
        """Loss per token in a training of three steps, on the CPU, to digits that processors share.

        If they are not what they were, the model, its start or its data has changed since the
        experiment was measured.
        """
        few = replace(settings, num_steps=FIRST_STEPS)
        alone = Processes(rank=0, count=1, device=torch.device("cpu"))
        with TemporaryDirectory() as folder:
            self.train(few, Path(folder), alone, False)
            with Path(folder, "log.csv").open(encoding="utf-8") as log:
                return [round(float(row["loss"]), 3) for row in csv.DictReader(log)]

    def keep(self, result: Mapping[str, Any]) -> None:
        """Write the result where the book reads it."""
        text = json.dumps(result, ensure_ascii=False, indent=1)
        self.path.write_text(text + "\n", encoding="utf-8")

    def kept(self) -> dict[str, Any]:
        """The result that is kept."""
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def _measured(self, settings: Settings, folder: Path, group: Processes) -> dict[str, Any]:
        """One run, as it is kept; cpu are the seconds of this process since it last began."""
        before = folder / "measured.json"
        losses = self.first_losses(settings)
        if before.exists():
            was: dict[str, Any] = json.loads(before.read_text(encoding="utf-8"))
            if was != {"settings": asdict(settings), "run": {**was["run"], "losses": losses}}:
                raise OtherRun(
                    f"{folder} holds a training with other settings, or by other code; delete it"
                )
            run: dict[str, Any] = was["run"]
            return run
        begun = time.process_time()
        trained = self.train(settings, folder, group, True)
        cpu = round(time.process_time() - begun)
        parameters = sum(p.numel() for p in trained.model.parameters())
        run = {"seed": settings.seed, "parameters": parameters, "cpu": cpu, "losses": losses}
        run |= self.measure(trained)
        text = json.dumps({"settings": asdict(settings), "run": run})
        with checkpoints.whole_or_absent(before) as file:
            file.write(text.encode())
        return run


def shares(trial: Mapping[str, Any]) -> list[float]:
    """Of each run, which share is right; rounded down: 100.0 % is said of none that is ever wrong.

    >>> shares({"runs": [{"right": 2299, "of": 2300}, {"right": 7, "of": 7}]})
    [0.999, 1.0]
    """
    return [run["right"] * 1000 // run["of"] / 1000 for run in trial["runs"]]


def source(result: Mapping[str, Any]) -> str:
    """How a result was made: command, seeds, date."""
    counts = {len(trial["runs"]) for trial in result["trials"]}
    return f"{result['command']}, {min(counts)} seeds, {result['date']}"
