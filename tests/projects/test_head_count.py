"""How many heads: all have the same size, and table and picture say what was measured."""

import numpy as np
import pytest

from minitx.projects import head_count

RESULT = {
    "command": "minitx train head-count",
    "date": "2026-11-28",
    "trials": [
        {
            "name": trial.name,
            "settings": vars(trial.settings),
            "runs": [
                {"right": 2300 - 23 * trial.settings.num_layers, "of": 2300, "cpu": 5},
                {"right": 2300 - 23 * trial.settings.num_heads, "of": 2300, "cpu": 8},
            ],
        }
        for trial in head_count.TRIALS
    ],
}


def test_all_models_of_a_depth_have_the_same_size():
    for depth in head_count.DEPTHS.values():
        trials = [t for t in head_count.EXPERIMENT.kept()["trials"] if t["name"].startswith(depth)]
        assert [t["settings"]["num_heads"] for t in trials] == [1, 2, 4, 8, 16, 32]
        assert len({run["parameters"] for t in trials for run in t["runs"]}) == 1


def test_a_row_for_each_number_of_heads():
    table = head_count.table_of(RESULT)
    assert [row[:2] for row in table.rows] == [(h, 32 // h) for h in (1, 2, 4, 8, 16, 32)]
    assert table.rows[3] == pytest.approx((8, 4, 0.92, 0.99, 6.5, 0.92, 0.98, 6.5))
    assert len(head_count.table().rows) == 6


def test_the_picture_has_means_and_a_band_in_per_cent():
    ax = head_count.picture_of(RESULT).axes[0]
    one, two = ax.get_lines()
    np.testing.assert_allclose(one.get_ydata()[:2], [1, 1.5])
    np.testing.assert_allclose(two.get_ydata()[:2], [1.5, 2])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(32)
    assert head_count.picture().axes[0].get_xlabel() == "heads"
