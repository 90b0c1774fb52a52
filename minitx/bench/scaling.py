"""All cores at all lengths, interrupted or not; what would not fit is not tried."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minitx.bench import memory, point, report
from minitx.bench.budgets import Budgeted
from minitx.bench.fit import predict
from minitx.bench.point import Point, Task

LENGTHS = {"full": (512, 1024, 2048, 4096, 8192, 16_384), "quick": (64, 128, 256)}
SAFE_SHARE = 0.6  # of the memory that is free
HOPELESS = ("does not fit", "too slow", "refused")  # longer texts will not do better


@dataclass(frozen=True)
class Plan:
    """What to measure and how far to go.

    Args:
        cores: in the order of the table.
        lengths: of the texts.
        causal: whether no query looks ahead.
        device: where.
        repeats: timed calls per point.
        max_seconds: for one forward and backward pass.
        max_bytes: that one process may take; None where running out of memory does no harm.
    """

    cores: Sequence[Budgeted]
    lengths: Sequence[int]
    causal: bool
    device: torch.device
    repeats: int = 5
    max_seconds: float = 20.0
    max_bytes: int | None = None

    def task(self, core: str, T: int) -> Task:
        return Task(
            core, T, self.causal, str(self.device), self.repeats, self.max_seconds, self.max_bytes
        )

    @property
    def sizes(self) -> str:
        """What else the numbers depend on, in the words of the table."""
        dtype = str(point.DTYPES.get(self.device.type, torch.float32)).removeprefix("torch.")
        rule = "causal" if self.causal else "no mask"
        return (
            f"1 × {point.NUM_HEADS} heads of {point.D_HEAD}, {dtype}, {rule}, {self.repeats} calls"
        )

    @property
    def points(self) -> list[tuple[str, int]]:
        """Core and length, in the order of measuring: neighbours in time are to be compared."""
        return [(core.name, T) for T in sorted(set(self.lengths)) for core in self.cores]


def run(
    plan: Plan,
    path: Path,
    setup: dict[str, Any],
    *,
    on_point: Callable[[int, str, int], None],
    measure: Callable[[Task], Point] | None = None,
) -> list[Point]:
    """Measure what is not in the file at path yet; if it is all there, begin anew.

    Args:
        plan: what to measure.
        path: where the points are kept, after each of them.
        setup: from `report.set_up`.
        on_point: is told before each point how many are done, its core and its length.
        measure: how; in a process of its own unless given.

    Raises:
        OtherSetUp: if the file holds other measurements.
    """
    measure = measure or within_time
    done = {(p.core, p.T): p for p in report.load(path, setup, point.read)}
    if all(key in done for key in plan.points):
        done = {key: p for key, p in done.items() if key not in plan.points}
    for i, (core, T) in enumerate(plan.points):
        on_point(i, core, T)
        if (core, T) not in done:
            shorter = [p for p in done.values() if p.core == core and p.T < T]
            done[core, T] = without_trying(plan, core, T, shorter) or measure(plan.task(core, T))
            report.save(path, setup, list(done.values()))
    return [done[key] for key in plan.points]


def within_time(task: Task) -> Point:
    """Measure in a process of its own, and do not wait for ever: that is what a slow point takes.

    Three calls before the time is taken, and the timed ones, twice each at most.
    """
    return point.in_fresh_process(task, timeout=60 + 2 * (task.repeats + 3) * task.max_seconds)


def without_trying(plan: Plan, core: str, T: int, shorter: Sequence[Point]) -> Point | None:
    """How it will go, where the shorter texts leave no hope; None where it should be tried."""
    for p in shorter:
        if p.outcome in HOPELESS:
            note = p.note if p.outcome == "refused" else f"as at {p.T}"
            return replace(p, T=T, note=note, kernels="")
    used = predict({p.T: p.memory_both for p in shorter if p.memory_both is not None}, T)
    if used is not None and used > (plan.max_bytes or math.inf):
        expected = f"{used / 1e9:.1f} GB expected, {(plan.max_bytes or 0) / 1e9:.1f} GB are safe"
        return Point(core, T, "does not fit", expected)
    seconds = predict({p.T: statistics.median(p.both) for p in shorter if p.both}, T)
    if seconds is not None and seconds > plan.max_seconds:
        return Point(core, T, "too slow", f"forward and backward: {seconds:.0f} s expected")
    return None


def safe_bytes(device: torch.device) -> int | None:
    """What a process may take without harm; None on a GPU, where running out is only an error."""
    if device.type == "cuda":
        return None
    free = memory.free_bytes()
    return None if free is None else int(SAFE_SHARE * free)
