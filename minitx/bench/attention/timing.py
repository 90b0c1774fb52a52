"""Many calls timed in turn on fresh inputs, with the caches swept before each."""

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minitx.bench.attention.peers import Attend
from minitx.bench.attention.problem import Direction, Inputs
from minitx.bench.contest import synchronise

Prepare = Callable[[Inputs], Callable[[], Any]]
"""inputs -> what is timed; everything before the last call is preparation."""
MATMUL = "matmul"
UNSYNCHRONISED = 5  # rounds that are sent to a GPU before anybody waits for it
CLOCKS = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")


@dataclass(frozen=True)
class Quartiles:
    """A median and the middle half around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Quartiles":
        """Of at least two numbers.

        >>> Quartiles.of([4.0, 1.0, 2.0, 3.0, 5.0])
        Quartiles(low=2.0, median=3.0, high=4.0)
        """
        return cls(*statistics.quantiles(numbers, n=4, method="inclusive"))


def prepared(attend: Attend, direction: Direction) -> Prepare:
    """How one direction of an attention is timed.

    The forward pass without gradients; the backward pass alone: the forward pass before it is
    done anew each time, outside the measurement, so that no graph has to be kept (compilers
    compute backward passes otherwise that may run twice) and nothing is subtracted.
    """

    def forward(inputs: Inputs) -> Callable[[], Any]:
        def call() -> Tensor:
            with torch.no_grad():
                return attend(*inputs[:3])

        return call

    def backward(inputs: Inputs) -> Callable[[], Any]:
        q, k, v, grad = inputs.leaves()
        output = attend(q, k, v)
        return lambda: torch.autograd.grad(output, (q, k, v), grad)

    return forward if direction == "forward" else backward


def matmul(size: int, dtype: torch.dtype, device: torch.device) -> Prepare:
    """A square matrix product of random numbers: the rate that attention can be compared with."""
    random = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(size, size, generator=random, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return lambda inputs: lambda: torch.mm(a, b, out=out)


class Watch:
    """Times calls on a device.

    On a GPU a time is that between two events in the stream, and a call returns before it is
    done; Python keeps ahead of the device, so that its own time is not in the figure.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        cuda = device.type == "cuda"
        cache = torch.cuda.get_device_properties(device).L2_cache_size if cuda else 0
        # Zeroing four times the second-level cache leaves nothing of the inputs in it.
        self.cache_filler = torch.empty(4 * cache, dtype=torch.int8, device=device)

    def timed(self, call: Callable[[], Any]) -> Callable[[], float]:
        """Do the call; what is returned gives its seconds once the device is done."""
        self.cache_filler.zero_()
        if self.device.type != "cuda":
            start = time.perf_counter()
            call()
            seconds = time.perf_counter() - start
            return lambda: seconds
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        return lambda: begin.elapsed_time(end) / 1000


def in_turn(
    calls: Mapping[str, Prepare],
    inputs: Sequence[Inputs],
    device: torch.device,
    *,
    seconds: float,
    min_rounds: int,
) -> dict[str, list[float]]:
    """Seconds of every call in every round; each round has its own order and the next inputs.

    Args:
        calls: by name.
        inputs: used one after the other, and again from the first.
        device: where.
        seconds: rounds go on for so long, but there are at least min_rounds.
        min_rounds: at least 2.
    """
    watch, names = Watch(device), list(calls)
    at_once = UNSYNCHRONISED if device.type == "cuda" else 1
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for _ in range(2):  # warm-up
            calls[name](inputs[-1])()
    synchronise(device)
    start = time.perf_counter()
    done = 0
    while done < min_rounds or time.perf_counter() - start < seconds:
        waiting = []
        for turn in range(done, done + at_once):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                call = calls[name](inputs[turn % len(inputs)])
                waiting.append((name, watch.timed(call)))
                del call
        synchronise(device)
        for name, elapsed in waiting:
            times[name].append(elapsed())
        done += at_once
    return times


def ask_clocks() -> "subprocess.Popen[str] | None":
    """Begin to ask for clocks, power and temperature, while the GPU works; None: nobody to ask."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = f"--query-gpu={','.join(CLOCKS)}"
    return subprocess.Popen(
        ["nvidia-smi", query, "--format=csv,noheader,nounits"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def answered(asked: "subprocess.Popen[str] | None") -> dict[str, float]:
    """What was answered: MHz, W and °C by nvidia-smi's names; empty where nothing was.

    Of several GPUs it is the first one, which is PyTorch's first unless it was told otherwise.
    """
    if asked is None:
        return {}
    line = (asked.communicate()[0].splitlines() or [""])[0]
    found = {}
    for name, text in zip(CLOCKS, line.split(","), strict=False):
        try:
            found[name] = float(text)
        except ValueError:  # "[N/A]"
            continue
    return found
