"""One benchmark from the first contest to the last, interrupted or not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from minitx.bench import memory, report
from minitx.bench.contest import Contest, measure
from minitx.bench.report import Result


def run(
    contests: Sequence[Contest],
    path: Path,
    setup: dict[str, Any],
    device: torch.device,
    *,
    sizes: str,
    seconds: float,
    min_rounds: int,
    on_contest: Callable[[int, Contest], None],
) -> list[Result]:
    """Measure what is not in the file at path yet; if it is all there, begin anew.

    Args:
        contests: what to measure, in this order.
        path: where the results are kept, after each contest.
        setup: from `report.set_up`.
        device: where to compute.
        sizes: the name of the sizes, for the processes that measure memory.
        seconds: see `measure`.
        min_rounds: see `measure`.
        on_contest: is told before each contest how many are done.

    Raises:
        Unequal: if the two sides of a contest do not agree.
        OtherSetUp: if the file holds other measurements.
        FailedMeasurement: if the memory cannot be measured.
    """
    kept: list[Result] = report.load(path, setup)
    done = {result.name: result for result in kept}
    if all(contest.name in done for contest in contests):
        done = {}
    for i, contest in enumerate(contests):
        on_contest(i, contest)
        if contest.name in done:
            continue
        timing = measure(contest, device, seconds=seconds, min_rounds=min_rounds)
        peaks = [
            memory.in_fresh_process(contest.name, side, device, sizes)
            for side in ("ours", "theirs")
        ]
        done[contest.name] = Result(contest.name, contest.peer, contest.tokens, timing, *peaks)
        report.save(path, setup, list(done.values()))
    return [done[contest.name] for contest in contests]
