"""Experiments whose result is kept: it is what their code gives today, from every seed."""

import json
import platform
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from minitx.projects import (
    dates_score,
    extrapolation,
    families,
    fine_tuning,
    head_count,
    kept,
    ladder,
    norm_place,
    recipe,
)
from minitx.projects.kept import Experiment, Trial
from minitx.projects.runs import OtherRun
from minitx.projects.settings import Settings
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))
OF_PYTHON = [module.EXPERIMENT for module in (extrapolation, families, fine_tuning)]
"""These read Python's documentation, which is another in every version."""

OTHERS = [m.EXPERIMENT for m in (ladder, head_count, norm_place, recipe, dates_score)]
EXPERIMENTS = [*OTHERS, *OF_PYTHON]
TRIALS = [(experiment, trial) for experiment in EXPERIMENTS for trial in experiment.trials]
TINY = Settings(num_steps=5, max_lr=1.0, batch_size=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "trial"), TRIALS, ids=[f"{e.name}-{t.name}" for e, t in TRIALS]
)
def test_the_code_is_that_which_was_measured(experiment, trial):
    """Otherwise: minitx train NAME --keep."""
    result = experiment.kept()
    if experiment in OF_PYTHON and result["python"] != platform.python_version():
        pytest.skip(f"it was trained on the documentation of Python {result['python']}")
    run = next(t for t in result["trials"] if t["name"] == trial.name)["runs"][0]
    losses = experiment.first_losses(replace(trial.settings, seed=run["seed"]))
    # Processors add in different orders; another start or order of the data is off by 0.01.
    assert losses == pytest.approx(run["losses"], abs=0.002)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_trial_is_kept_from_every_seed_with_its_settings(experiment):
    result = experiment.kept()
    assert result["command"] == f"minitx train {experiment.name}"
    # What is kept is shown without being read again: as JSON knows it.
    wanted = json.loads(json.dumps([vars(trial) | {"settings": vars(trial.settings)}
                                    for trial in experiment.trials]))  # fmt: skip
    assert [{k: v for k, v in trial.items() if k != "runs"} for trial in result["trials"]] == wanted
    for trial in result["trials"]:
        assert [run["seed"] for run in trial["runs"]] == list(kept.SEEDS)


@dataclass
class Counted:
    """Stands for a trained model."""

    model: torch.nn.Module
    seed: int


class Trainer:
    """Trains nothing, and writes down that it was asked to."""

    def __init__(self, loss=2.0):
        self.loss, self.asked = loss, []

    def __call__(self, settings, folder, group, progress):
        folder.mkdir(exist_ok=True, parents=True)
        Path(folder, "log.csv").write_text(
            "step,loss\n" + f"1,{self.loss + settings.seed}\n" * settings.num_steps
        )
        if settings.num_steps > kept.FIRST_STEPS:
            self.asked.append((folder.name, settings.seed, progress))
        return Counted(torch.nn.Linear(2, 3), settings.seed)


def experiment(trainer):
    trials = (Trial("one, thing", TINY), Trial("other", replace(TINY, d_model=7)))
    return Experiment("head-count", trials, trainer, lambda trained: {"right": trained.seed})


def test_all_are_trained_from_every_seed_and_told(tmp_path):
    trainer, lines = Trainer(), []
    result = experiment(trainer).run(tmp_path, group=ALONE, seeds=(3, 5), say=lines.append)
    assert trainer.asked == [
        ("one-thing-3", 3, True), ("one-thing-5", 5, True), ("other-3", 3, True),
        ("other-5", 5, True),
    ]  # fmt: skip
    assert lines[2:] == ["3 of 4: other, seed 3", "4 of 4: other, seed 5"]
    first = result["trials"][0]
    assert (first["name"], first["settings"]["d_model"]) == ("one, thing", 128)
    assert first["runs"][1] == {
        "seed": 5, "parameters": 9, "cpu": 0, "losses": [7.0, 7.0, 7.0], "right": 5
    }  # fmt: skip
    assert kept.source(result).startswith("minitx train head-count, 2 seeds, 20")


def test_what_was_measured_stands_and_is_not_trained_again(tmp_path):
    first = experiment(Trainer()).run(tmp_path, group=ALONE)
    trainer = Trainer()
    assert experiment(trainer).run(tmp_path, group=ALONE) == first
    assert trainer.asked == []


def test_what_other_code_has_trained_does_not_stand(tmp_path):
    experiment(Trainer()).run(tmp_path, group=ALONE)
    with pytest.raises(OtherRun, match="other settings, or by other code; delete it"):
        experiment(Trainer(loss=2.5)).run(tmp_path, group=ALONE)
    wider = replace(experiment(Trainer()), trials=(Trial("one, thing", replace(TINY, d_model=9)),))
    with pytest.raises(OtherRun, match="one-thing-0 holds a training with other settings"):
        wider.run(tmp_path, group=ALONE)


def test_a_result_is_kept_beside_its_code(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "kept.py"))
    some = experiment(Trainer())
    result = some.run(tmp_path / "runs", group=ALONE)
    some.keep(result)
    assert (tmp_path / "head_count.json").exists()
    assert some.kept() == result


def test_no_share_is_rounded_up():
    assert kept.shares({"runs": [{"right": 2299, "of": 2300}]}) == [0.999]
