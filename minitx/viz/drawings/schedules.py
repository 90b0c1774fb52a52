"""The learning rate over the steps of a training: up first, and then down, in two ways."""

from functools import partial

from minitx.viz.drawings.plane import Plane
from minitx.viz.svg import Drawing, Part, bracket, line, text

D_MODEL, WARM_UP, STEPS = 512, 4000, 20_000  # Vaswani et al. 2017, §5.3; the steps are shown


def rates() -> dict[str, list[tuple[int, float]]]:
    """Step and rate of either schedule, every 200 steps; both have the same peak.

    >>> {name: max(points, key=lambda point: point[1])[0] for name, points in rates().items()}
    {'Noam': 4000, 'cosine': 4000}
    """
    from minitx.training import cosine_rate, noam_rate

    peak = noam_rate(WARM_UP, D_MODEL, WARM_UP)
    schedules = {
        "Noam": partial(noam_rate, d_model=D_MODEL, warmup_steps=WARM_UP),
        "cosine": partial(cosine_rate, max_lr=peak, warmup_steps=WARM_UP, num_steps=STEPS),
    }
    steps = [1, *range(200, STEPS + 1, 200)]
    return {name: [(step, rate(step)) for step in steps] for name, rate in schedules.items()}


def warm_up() -> Drawing:
    """Two curves that rise together and fall differently."""
    curves = rates()
    peak = max(rate for _, rate in curves["Noam"])
    plane = Plane(66, 250, 320, 180, across=(0, STEPS), up=(0, peak))
    parts: list[Part] = plane.axes("step", "learning rate")
    parts += plane.ticks_across({step: f"{step:,}" for step in (0, 4000, 12_000, 20_000)})
    parts += plane.ticks_up({0: "0", peak: f"{peak:.4f}"})
    x, y = plane.at(WARM_UP, peak)
    parts += [line((x, y), (x, plane.bottom), role="score", dashed=True)]
    for name, dashed in (("Noam", False), ("cosine", True)):
        parts += [line(*plane.curve(curves[name]), width=2.5, dashed=dashed)]
    last = {name: points[-1][1] for name, points in curves.items()}
    parts += [text(386, plane.at(0, last["Noam"])[1] - 22, "Noam: 1/√step", anchor="end",
                   bold=True)]  # fmt: skip
    parts += [text(270, plane.at(0, 0.22 * peak)[1] + 8, "cosine: to 0", anchor="end", bold=True)]
    parts += [bracket((plane.left, 292), (x, 292), side="bottom", label="warm-up")]
    alt = (
        f"Learning rate over {STEPS:,} steps. Both schedules rise along the same straight line "
        f"from 0 to {peak:.4f} at step {WARM_UP:,}: the warm-up. Then Noam, solid, falls as one "
        f"over the root of the step, to {last['Noam']:.4f} at step {STEPS:,}; cosine, dashed, "
        "falls slowly at first, then fast, and ends at 0."
    )
    return Drawing("Warm-up, and two ways down", alt, 416, 326, parts)
