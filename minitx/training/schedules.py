"""Learning rates as functions of the step, counted from 1."""

import math


def noam_rate(step: int, d_model: int, warmup_steps: int) -> float:
    """Learning rate that grows linearly, then falls as 1/√step.

        rate = d_model^-0.5 · min(step^-0.5, step · warmup_steps^-1.5)

    Args:
        step: optimiser updates done, counted from 1.
        d_model: model width C.
        warmup_steps: updates until the peak.

    Returns:
        Dimensionless rate; its peak is (d_model · warmup_steps)^-0.5.

    Raises:
        ValueError: if step or warmup_steps is below 1.

    Source: Vaswani et al. 2017, §5.3, eq. 3.

    >>> round(noam_rate(4000, 512, 4000), 6)
    0.000699
    """
    _require_counts(step, warmup_steps)
    return d_model**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)


def cosine_rate(
    step: int, *, max_lr: float, warmup_steps: int, num_steps: int, min_lr: float = 0.0
) -> float:
    """Learning rate that grows linearly to max_lr, then falls along half a cosine to min_lr.

        step ≤ warmup_steps:  rate = max_lr · step / warmup_steps
        later:                rate = min_lr + (max_lr - min_lr) · (1 + cos(π · progress)) / 2
        progress = (step - warmup_steps) / (num_steps - warmup_steps)

    Args:
        step: optimiser updates done, counted from 1.
        max_lr: the peak.
        warmup_steps: updates until the peak.
        num_steps: the last update; the rate stays at min_lr beyond it.
        min_lr: where the rate ends.

    Raises:
        ValueError: if step or warmup_steps is below 1, or num_steps is not above warmup_steps.

    Source: Loshchilov & Hutter 2017, §3, eq. 5, one period; linear warm-up as in Radford et al.
    2018, §4.1.

    >>> [round(cosine_rate(s, max_lr=1.0, warmup_steps=2, num_steps=6), 3) for s in (1, 2, 4, 6)]
    [0.5, 1.0, 0.5, 0.0]
    """
    _require_counts(step, warmup_steps)
    if num_steps <= warmup_steps:
        raise ValueError(f"num_steps ({num_steps}) must be above warmup_steps ({warmup_steps})")
    if step <= warmup_steps:
        return max_lr * step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / (num_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * progress)) / 2


def _require_counts(step: int, warmup_steps: int) -> None:
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    if warmup_steps < 1:
        raise ValueError(f"warmup_steps must be at least 1, got {warmup_steps}")
