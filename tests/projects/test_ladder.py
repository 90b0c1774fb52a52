"""The translator that grows: what its rungs are, and its table."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from minitx.data.split import Split
from minitx.projects import ladder
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))


def test_a_chapter_sees_what_came_before_and_not_what_comes():
    tables = [ladder.table(f"0{chapter}") for chapter in (1, 2, 3, 4, 5, 6)]
    for chapter, (before, table) in enumerate(pairwise(tables), start=2):
        assert table.rows[: len(before.rows)] == before.rows
        assert {row[1] for row in table.rows[len(before.rows) :]} == {chapter}
    with pytest.raises(ValueError, match="chapter must be one of 01, 02, 03, 04, 05, 06, got '2'"):
        ladder.table("2")


@pytest.mark.slow
def test_the_rungs_are_trained_and_measured(tmp_path, monkeypatch):
    pairs = ladder.NUMBERS.split().train[:40]
    few = replace(ladder.NUMBERS, split=lambda: Split(pairs, pairs[:2], pairs[:3]))
    monkeypatch.setattr(ladder, "NUMBERS", few)
    rungs = tuple(
        replace(rung, settings=replace(rung.settings, num_steps=2, d_model=8))
        for rung in ladder.RUNGS
    )
    small = replace(ladder.EXPERIMENT, trials=rungs)
    result = small.run(tmp_path, group=ALONE, seeds=(0, 1))
    parameters = {run["parameters"] for rung in result["trials"] for run in rung["runs"]}
    assert len(parameters) == 4  # heads and sinusoids have none of their own, pre-norm has
    assert [row[0] for row in ladder.table_of(result).rows] == [rung.name for rung in rungs]
    assert all(run["of"] == 3 for rung in result["trials"] for run in rung["runs"])
