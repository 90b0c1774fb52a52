"""What is taken out is out, what is left stands as it was; tables and picture say what was kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minitx.data.split import Split
from minitx.layers import FeedForward, LayerNorm
from minitx.projects import ladder, norm_place, recipe, translation
from minitx.projects.taken_out import NoRoad, Silence
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))


def model(**changes):
    torch.manual_seed(3)
    return translation.model_of(replace(recipe.WHOLE, **changes), src_vocab_size=11,
                                tgt_vocab_size=13)  # fmt: skip


def kinds(made, kind):
    return [module for module in made.modules() if isinstance(module, kind)]


def test_what_is_taken_out_is_out():
    assert len(kinds(model(without="residual connections"), NoRoad)) == 10
    assert kinds(model(without="layer norm"), LayerNorm) == []
    silent = model(without="feed-forward")
    assert len(kinds(silent, Silence)) == 4 and kinds(silent, FeedForward) == []
    scales = {m.scale for m in model(without="scaled scores").modules() if hasattr(m, "scale")}
    assert scales == {1.0}
    assert len(kinds(model(pre_norm=True), LayerNorm)) == 12  # one more above each stack


def test_the_rest_keeps_its_first_weights():
    whole = model().state_dict()
    for part in ("residual connections", "layer norm", "feed-forward", "scaled scores"):
        state = model(without=part).state_dict()
        assert state.keys() <= whole.keys()
        assert all(torch.equal(weights, whole[name]) for name, weights in state.items())


@pytest.mark.parametrize("pre_norm", [False, True])
def test_without_a_road_only_the_sublayer_goes_on(pre_norm):
    norm = torch.nn.LayerNorm(4)
    x = torch.randn(1, 2, 4)
    got = NoRoad(norm, pre_norm=pre_norm)(x, lambda x: 3 * x + 1)
    wanted = 3 * norm(x) + 1 if pre_norm else norm(3 * x + 1)
    torch.testing.assert_close(got, wanted)


def test_every_change_makes_another_output():
    src, tgt = torch.arange(6)[None], torch.arange(5)[None]
    outputs = [
        model(without=part).eval()(src, tgt)
        for part in ("nothing", "residual connections", "layer norm", "feed-forward",
                     "scaled scores")
    ]  # fmt: skip
    for i, one in enumerate(outputs):
        assert all((one - other).abs().max() > 1e-3 for other in outputs[:i])


def result(experiment, **kept):
    return {
        "command": f"minitx train {experiment.name}",
        "date": "2026-11-28",
        "trials": [
            {
                "name": trial.name,
                "settings": vars(trial.settings),
                "runs": [
                    {"right": 23 * (90 + seed), "of": 2300, "cpu": 10 + seed, "parameters": 7,
                     **{name: value(place, seed) for name, value in kept.items()}}
                    for seed in (0, 2)
                ],
            }
            for place, trial in enumerate(experiment.trials)
        ],
    }  # fmt: skip


def test_a_row_for_each_part():
    table = recipe.table_of(result(recipe.EXPERIMENT))
    assert [row[0] for row in table.rows] == [trial.name for trial in recipe.TRIALS]
    assert table.rows[0] == ("all of it", 7, 0.9, 0.92, 11)


def test_norms_have_a_row_and_a_curve_each():
    kept = result(norm_place.EXPERIMENT, curve=lambda place, seed: [place + seed] * 40)
    rows = norm_place.table_of(kept).rows
    assert [row[3] for row in rows] == [1, 2, 3, 4]
    lines = norm_place.picture_of(kept).axes[0].get_lines()
    np.testing.assert_allclose([line.get_ydata()[5] for line in lines], [1, 2, 3, 4])
    assert lines[0].get_xdata()[0] == pytest.approx(10)  # the middle of the first 20 steps


def test_a_training_is_told_by_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pairs = ladder.NUMBERS.split().train[:40]
    data = replace(ladder.NUMBERS, split=lambda: Split(pairs, pairs[:2], pairs[:3]))
    monkeypatch.setattr(ladder, "NUMBERS", data)
    few = replace(norm_place.SETTINGS, num_steps=40, num_layers=1, d_model=8)
    learned = norm_place.train(few, tmp_path, ALONE, False)
    measured = norm_place.measure(learned)
    assert len(learned.losses) == len(measured["curve"]) == 40
    assert measured["curve"][-1] < measured["curve"][0]
    assert measured["of"] == 3 and learned.model is learned.translator.model
