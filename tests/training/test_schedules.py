"""Learning rates against their closed forms."""

import math
import re

import pytest
import torch

from minitx.training import cosine_rate, noam_rate

EXACT = {"rel": 1e-12}  # a few float64 operations


def test_noam_in_closed_form():
    d_model, warmup_steps = 173, 37
    peak = (d_model * warmup_steps) ** -0.5
    for step in range(1, 500):
        want = peak * (
            step / warmup_steps if step <= warmup_steps else (warmup_steps / step) ** 0.5
        )
        assert noam_rate(step, d_model, warmup_steps) == pytest.approx(want, **EXACT)
    rates = [noam_rate(step, d_model, warmup_steps) for step in range(1, 500)]
    assert 1 + rates.index(max(rates)) == warmup_steps


def test_noam_of_the_paper():
    # Base model of the paper: d_model 512, 4000 steps of warm-up; its peak by hand.
    assert noam_rate(4000, 512, 4000) == pytest.approx(1 / math.sqrt(2_048_000), **EXACT)
    assert noam_rate(16_000, 512, 4000) == pytest.approx(0.5 / math.sqrt(2_048_000), **EXACT)
    assert noam_rate(1, 512, 4000) == pytest.approx(1 / math.sqrt(2_048_000) / 4000, **EXACT)


COSINE = {"max_lr": 0.7, "warmup_steps": 13, "num_steps": 101, "min_lr": 0.05}


def test_cosine_in_closed_form():
    assert cosine_rate(1, **COSINE) == pytest.approx(0.7 / 13, **EXACT)
    assert cosine_rate(13, **COSINE) == 0.7
    assert cosine_rate(57, **COSINE) == pytest.approx((0.7 + 0.05) / 2, **EXACT)  # half-way
    assert cosine_rate(101, **COSINE) == pytest.approx(0.05, **EXACT)
    assert cosine_rate(1000, **COSINE) == pytest.approx(0.05, **EXACT)
    # A third of the way cos is 1/2: three quarters of the height are left.
    third = cosine_rate(5, max_lr=1.0, warmup_steps=2, num_steps=11)
    assert third == pytest.approx(0.75, **EXACT)


def test_cosine_equals_torch():
    model = torch.nn.Linear(2, 3)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.7)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=88, eta_min=0.05)
    for step in range(13, 102):
        # torch computes each rate from the one before: its errors add up.
        assert cosine_rate(step, **COSINE) == pytest.approx(
            optimiser.param_groups[0]["lr"], rel=1e-9
        )
        optimiser.step()
        schedule.step()


WRONG = [
    (lambda: noam_rate(0, 512, 4000), "step must be at least 1, got 0"),
    (lambda: noam_rate(3, 512, 0), "warmup_steps must be at least 1, got 0"),
    (
        lambda: cosine_rate(0, max_lr=1.0, warmup_steps=2, num_steps=5),
        "step must be at least 1, got 0",
    ),
    (
        lambda: cosine_rate(1, max_lr=1.0, warmup_steps=0, num_steps=5),
        "warmup_steps must be at least 1, got 0",
    ),
    (
        lambda: cosine_rate(1, max_lr=1.0, warmup_steps=5, num_steps=5),
        "num_steps (5) must be above warmup_steps (5)",
    ),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[text for _, text in WRONG])
def test_refusals(call, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
