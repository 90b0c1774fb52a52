"""One core at one length: time, memory, error, in a process of its own.

Also the program that this process runs: `python -m minitx.bench.point TASK`, TASK in JSON.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import torch
from torch import Tensor

from minitx.bench import budgets, memory
from minitx.bench.budgets import Shape
from minitx.bench.contest import AttentionKernels, timed
from minitx.bench.inputs import trained_like
from minitx.cores import AttentionCore, UnsupportedMask
from minitx.functional import scaled_dot_product_attention
from minitx.masks import NO_MASK, Mask, causal

Outcome = Literal["measured", "does not fit", "too slow", "refused", "failed"]

NUM_HEADS, D_HEAD = 8, 64
DTYPES = {"cuda": torch.bfloat16}  # float32 elsewhere
WARM_UP = 64  # tokens: the first call of all loads libraries and starts threads
ADAPTED_TO = 20  # other texts, for a core that learns from queries and keys by itself
ROWS = 128  # queries whose output is compared
NO_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "Cannot allocate memory")


@dataclass(frozen=True)
class Task:
    """What to measure.

    Args:
        core: a name in `budgets.BUDGETED`.
        T: length.
        causal: whether no query looks ahead.
        device: where.
        repeats: timed calls.
        max_seconds: a forward and backward pass that takes longer is not repeated.
        max_bytes: memory that the process may take, beyond what it begins with; None for all.
    """

    core: str
    T: int
    causal: bool
    device: str
    repeats: int
    max_seconds: float
    max_bytes: int | None


@dataclass(frozen=True)
class Point:
    """What was measured; what could not be is empty or None.

    Args:
        core: its name.
        T: length.
        outcome: how it went.
        note: why it went no better.
        forward: seconds of each timed forward pass.
        both: seconds of each forward and backward pass.
        memory_forward: bytes at the peak of a forward pass, its output included, beyond the inputs.
        memory_both: of a forward and backward pass, the gradients included.
        error: ‖output - wanted‖ / ‖wanted‖, wanted being full attention in float64.
        kernels: the fused attention that PyTorch ran.
    """

    core: str
    T: int
    outcome: Outcome
    note: str = ""
    forward: tuple[float, ...] = ()
    both: tuple[float, ...] = ()
    memory_forward: int | None = None
    memory_both: int | None = None
    error: float | None = None
    kernels: str = ""


class Calls:
    """What is called again and again: the core on fresh inputs."""

    def __init__(self, task: Task, T: int) -> None:
        self.T, self.device = T, torch.device(task.device)
        self.dtype = DTYPES.get(self.device.type, torch.float32)
        self.mask: Mask = causal() if task.causal else NO_MASK
        (budgeted,) = budgets.measured((task.core,), self.device)
        torch.manual_seed(0)
        core = budgeted.make(Shape(T, NUM_HEADS, D_HEAD))
        self.core: AttentionCore = core.to(self.device, self.dtype)
        if budgeted.adapt:
            for text in range(ADAPTED_TO):
                q, k, _ = self.inputs(-1 - text)
                budgeted.adapt(self.core, q, k)

    def inputs(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = trained_like(self.T, num_heads=NUM_HEADS, d_head=D_HEAD, seed=seed)
        q, k, v = (x.to(self.device, self.dtype) for x in (q, k, v))
        return q, k, v

    def forward(self, seed: int) -> Callable[[], Tensor]:
        q, k, v = self.inputs(seed)
        return torch.no_grad()(lambda: self.core(q, k, v, mask=self.mask))

    def both(self, seed: int) -> Callable[[], Tensor]:
        q, k, v = (x.requires_grad_() for x in self.inputs(seed))
        gradient = torch.randn_like(v)
        self.core.zero_grad()

        def call() -> Tensor:
            output: Tensor = self.core(q, k, v, mask=self.mask)
            output.backward(gradient)
            return output

        return call


def measure(task: Task) -> Point:
    """Memory first, while the process is fresh; then the error, then the time."""
    small = Calls(task, min(task.T, WARM_UP))
    small.both(0)(), small.forward(0)()
    calls = Calls(task, task.T)
    device = calls.device
    memory_forward = memory.peak(calls.forward(0), device)
    both = calls.both(0)
    memory_both = memory.peak(both, device)
    seconds = timed(calls.both(0), device)
    if seconds > task.max_seconds:
        return Point(task.core, task.T, "too slow", f"forward and backward take {seconds:.0f} s")
    with AttentionKernels() as seen:
        error = relative_error(calls)
    rounds = range(1, task.repeats + 1)
    return Point(
        task.core,
        task.T,
        "measured",
        forward=tuple(timed(calls.forward(seed), device) for seed in rounds),
        both=tuple(timed(calls.both(seed), device) for seed in rounds),
        memory_forward=memory_forward,
        memory_both=memory_both,
        error=error,
        kernels=", ".join(sorted(seen.names)) or "none",
    )


def relative_error(calls: Calls) -> float:
    """‖output - wanted‖ / ‖wanted‖ over some queries of every head, spread over the text."""
    q, k, v = (x.cpu().double() for x in calls.inputs(0))
    rows = torch.linspace(0, calls.T - 1, min(ROWS, calls.T)).long()
    mask = NO_MASK
    if calls.mask.causal:
        mask = Mask(allowed=(torch.arange(calls.T) <= rows[:, None])[None, None])
    wanted = scaled_dot_product_attention(q[:, :, rows], k, v, mask=mask)
    got = calls.forward(0)()[:, :, rows.to(calls.device)].cpu().double()
    return float((got - wanted).norm() / wanted.norm())


def attempt(task: Task) -> Point:
    """Measure, and say what went wrong if something did."""
    try:
        return measure(task)
    except UnsupportedMask as error:
        return Point(task.core, task.T, "refused", str(error))
    except Exception as error:  # whatever a core does wrong, the others have their turn
        note = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
        outcome: Outcome = "does not fit" if is_out_of_memory(error) else "failed"
        return Point(task.core, task.T, outcome, note)


def is_out_of_memory(error: Exception) -> bool:
    """True if memory ran out, on whichever device."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(words in str(error) for words in NO_MEMORY)


def in_fresh_process(task: Task, *, timeout: float | None = None) -> Point:
    """The same in a process of its own, so that nothing that happens there ends this one."""
    try:
        said = memory.answer("minitx.bench.point", json.dumps(asdict(task)), timeout=timeout)
        return read(json.loads(said))
    except memory.Killed as error:
        return Point(task.core, task.T, "does not fit", str(error))
    except memory.TooSlow as error:
        return Point(task.core, task.T, "too slow", str(error))
    except memory.FailedMeasurement as error:
        return Point(task.core, task.T, "failed", str(error))


def read(content: dict[str, object]) -> Point:
    """A point out of JSON, which knows no tuples."""
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in content.items()}
    return Point(**values)  # type: ignore[arg-type]


if __name__ == "__main__":
    asked = Task(**json.loads(sys.argv[1]))
    memory.limit(asked.max_bytes)
    print(json.dumps(asdict(attempt(asked))))
