"""How long a call takes, of many calls the shortest."""

import time
from collections.abc import Callable

import torch


def best_time(run: Callable[[], object], *, seconds: float = 0.1, at_least: int = 3) -> float:
    """The shortest of the times that run() took, in seconds.

    Other programs can only make a call slower, so the shortest is the steadiest. One call goes
    before that is not counted: it warms up. A GPU returns from a call before it is done, so the
    clock waits for it.

    Args:
        run: what is called.
        seconds: how long all counted calls together may take before no further one is made.
        at_least: how many are made even then.

    >>> 0 < best_time(lambda: sum(range(100)), seconds=0.001) < 0.01
    True
    """
    _finish()
    run()
    _finish()
    times: list[float] = []
    while len(times) < at_least or sum(times) < seconds:
        start = time.perf_counter()
        run()
        _finish()
        times.append(time.perf_counter() - start)
    return min(times)


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
