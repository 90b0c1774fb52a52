"""How long a call takes, of many calls the shortest."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch


def best_time(
    run: Callable[[], object],
    *,
    seconds: float = 0.1,
    at_least: int = 3,
    of_processor: bool = False,
) -> float:
    """The shortest of the times that run() took, in seconds.

    Other programs can only make a call slower, so the shortest is the steadiest. One call goes
    before that is not counted: it warms up. A GPU returns from a call before it is done, so the
    clock waits for it.

    Args:
        run: what is called.
        seconds: how long all counted calls together may take before no further one is made.
        at_least: how many are made even then.
        of_processor: whether the processor's time is taken, not that on the wall: on a machine
            with other work a call of a second never has it to itself.

    >>> best_time(lambda: sum(range(100)), seconds=0.001) > 0
    True
    """
    now = time.process_time if of_processor else time.perf_counter
    _finish()
    run()
    _finish()
    best, total, count = math.inf, 0.0, 0
    while count < at_least or total < seconds:
        start = now()
        run()
        _finish()
        took = now() - start
        best, total, count = min(best, took), total + took, count + 1
    return best


def forward_and_backward(layer: Callable[..., torch.Tensor]) -> Callable[..., None]:
    """A call of the layer and the gradients of the sum of all that comes out, to be timed as one.

    >>> double = torch.nn.Linear(1, 1, bias=False)
    >>> forward_and_backward(double)(torch.tensor([3.0]))
    >>> double.weight.grad
    tensor([[3.]])
    """

    def run(*inputs: torch.Tensor) -> None:
        layer(*inputs).sum().backward()

    return run


def milliseconds(
    calls: Mapping[str, Callable[..., object]],
    inputs: Callable[[int], Sequence[Any]],
    sizes: Sequence[int],
    *,
    at_most: Mapping[str, int] | None = None,
    rounds: int = 1,
    of_processor: bool = False,
) -> dict[str, list[float]]:
    """The best time of each call at each size.

    Args:
        calls: what is called, by name.
        inputs: from a size to the arguments; all calls of a size get the same.
        sizes: where to measure.
        at_most: name to the largest size at which it is called; beyond, its time is NaN.
        rounds: how often all is measured, one round after another. What slows the machine for a
            second then does not hit the same size every time.
        of_processor: as in `best_time`.

    >>> measured = milliseconds({"sum": sum}, lambda n: [range(n)], [10, 100], at_most={"sum": 10})
    >>> measured["sum"][0] > 0, measured["sum"][1]
    (True, nan)
    """
    measured = {name: [math.inf] * len(sizes) for name in calls}
    for _ in range(rounds):
        for at, size in enumerate(sizes):
            arguments = inputs(size)
            for name, call in calls.items():
                too_long = at_most is not None and size > at_most.get(name, size)
                if too_long:
                    measured[name][at] = math.nan
                    continue
                seconds = best_time(partial(call, *arguments), of_processor=of_processor)
                measured[name][at] = min(1000 * seconds, measured[name][at])
    return measured


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
