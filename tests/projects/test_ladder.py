"""The translator that grows: what is kept of it is what its code gives today."""

import json
from dataclasses import replace

import pytest
import torch

from minitx.data.split import Split
from minitx.projects import ladder
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.parametrize("rung", ladder.RUNGS, ids=lambda rung: rung.name)
def test_the_code_is_that_which_was_measured(rung):
    """Otherwise: minitx train ladder --keep."""
    measured = next(m for m in ladder.kept()["rungs"] if m["name"] == rung.name)
    run = measured["runs"][0]
    losses = ladder.first_losses(rung, run["seed"])
    # Processors add in different orders; another start or order of the data is off by 0.01.
    assert losses == pytest.approx(run["losses"], abs=0.002)


def test_every_rung_is_kept_from_every_seed():
    kept = ladder.kept()
    assert [(m["chapter"], m["name"]) for m in kept["rungs"]] == [
        (rung.chapter, rung.name) for rung in ladder.RUNGS
    ]
    for rung in kept["rungs"]:
        assert [run["seed"] for run in rung["runs"]] == list(ladder.SEEDS)


def test_a_chapter_sees_what_came_before_and_not_what_comes():
    first, second = ladder.table("01"), ladder.table("02")
    assert {row[1] for row in first.rows} == {1}
    assert {row[1] for row in second.rows} == {1, 2}
    assert second.rows[: len(first.rows)] == first.rows
    with pytest.raises(ValueError, match="chapter must be one of 01, 02, got '2'"):
        ladder.table("2")


@pytest.mark.slow
def test_it_is_climbed_measured_and_kept(tmp_path, monkeypatch):
    rungs = [
        replace(rung, settings=replace(rung.settings, num_steps=2, d_model=8))
        for rung in ladder.RUNGS
    ]
    monkeypatch.setattr(ladder, "RUNGS", rungs)
    pairs = ladder.NUMBERS.split().train[:40]
    few = replace(ladder.NUMBERS, split=lambda: Split(pairs, pairs[:2], pairs[:3]))
    monkeypatch.setattr(ladder, "NUMBERS", few)
    measured = ladder.climb(tmp_path / "runs", group=ALONE, seeds=(0, 1))
    assert len({run["parameters"] for rung in measured["rungs"] for run in rung["runs"]}) == 3
    ladder.keep(measured, tmp_path / "ladder.json")
    assert ladder.kept(tmp_path / "ladder.json") == json.loads(json.dumps(measured))
    assert [row[0] for row in ladder.table_of(measured).rows] == [rung.name for rung in rungs]
    assert all(run["of"] == 3 for rung in measured["rungs"] for run in rung["runs"])
    # The trainings are there: nothing is trained again, and the same is found.
    again = ladder.climb(tmp_path / "runs", group=ALONE, seeds=(0, 1))
    for one, other in zip(measured["rungs"], again["rungs"], strict=True):
        for run in (*one["runs"], *other["runs"]):
            run.pop("cpu")
        assert one == other
