"""Two implementations of one computation: first they must agree, then they are timed in turn."""

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

Tensors = tuple[Tensor, ...]
Start = Callable[[nn.Module], Callable[[Tensors], Callable[[], Tensors]]]
"""module -> inputs -> what is timed; everything before the last call is preparation."""


class Unequal(RuntimeError):
    """The two do not compute the same, so that comparing their speed would mean nothing."""


@dataclass(frozen=True)
class Contest:
    """One line of the table.

    Args:
        name: what is computed.
        peer: whose implementation minitx is compared with.
        tokens: how many tokens one call is about.
        make_ours: minitx's module, with random weights.
        make_theirs: the peer's.
        copy_weights: ours, theirs -> ours gets theirs' weights.
        start_ours: how minitx's module is called.
        start_theirs: how the peer's is.
        inputs: fresh random ones.
        training: both are in training mode, with gradients.
        tolerance: largest difference to float64 that is rounding, as a share of the largest
            number: sums of some thousand float32 terms are right to about 1e-5.
        needs: a package that minitx itself does not ask for.
    """

    name: str
    peer: str
    tokens: int
    make_ours: Callable[[], nn.Module]
    make_theirs: Callable[[], nn.Module]
    copy_weights: Callable[[nn.Module, nn.Module], None]
    start_ours: Start
    start_theirs: Start
    inputs: Callable[[torch.Generator], Tensors]
    training: bool = False
    tolerance: float = 1e-4
    needs: str | None = None


@dataclass(frozen=True)
class Timing:
    """What was measured; seconds are medians per call, ratios are theirs / ours of each round.

    Args:
        ours: seconds of minitx.
        theirs: seconds of the peer.
        ratio: how many times as fast as the peer minitx is, the median of all rounds.
        ratio_low: a quarter of the rounds were below this.
        ratio_high: a quarter of the rounds were above this.
        rounds: how many there were.
        error_ours: largest difference of minitx to the peer in float64, as share of the largest
            number.
        error_theirs: that of the peer in float32.
        kernels_ours: the fused attention that PyTorch really ran.
        kernels_theirs: the peer's.
    """

    ours: float
    theirs: float
    ratio: float
    ratio_low: float
    ratio_high: float
    rounds: int
    error_ours: float
    error_theirs: float
    kernels_ours: str
    kernels_theirs: str


def measure(
    contest: Contest, device: torch.device, *, seconds: float, min_rounds: int, seed: int = 0
) -> Timing:
    """See that both agree, then time them in turn, in the same process, on fresh inputs.

    Args:
        contest: who and what.
        device: where.
        seconds: rounds go on for so long, but there are at least min_rounds.
        min_rounds: at least 2.
        seed: of weights and inputs.

    Raises:
        Unequal: if one of the two is further from the peer in float64 than rounding can explain.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        theirs, ours = contest.make_theirs(), contest.make_ours()
    contest.copy_weights(ours, theirs)
    reference = contest.start_theirs(placed(copy.deepcopy(theirs).double(), device, contest))
    calls = {
        "ours": contest.start_ours(placed(ours, device, contest)),
        "theirs": contest.start_theirs(placed(theirs, device, contest)),
    }
    random = torch.Generator().manual_seed(seed)

    def fresh() -> Tensors:
        return tuple(x.to(device) for x in contest.inputs(random))

    inputs = fresh()
    wanted = reference(tuple(x.double() if x.is_floating_point() else x for x in inputs))()
    checked = {side: check(contest, side, call(inputs), wanted) for side, call in calls.items()}

    for call in calls.values():
        timed(call(fresh()), device)  # warm-up
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    start = time.perf_counter()
    while len(times["ours"]) < min_rounds or time.perf_counter() - start < seconds:
        inputs = fresh()
        for side in ("ours", "theirs") if len(times["ours"]) % 2 else ("theirs", "ours"):
            times[side].append(timed(calls[side](inputs), device))
    ratios = [b / a for a, b in zip(times["ours"], times["theirs"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Timing(
        ours=statistics.median(times["ours"]),
        theirs=statistics.median(times["theirs"]),
        ratio=middle,
        ratio_low=low,
        ratio_high=high,
        rounds=len(ratios),
        error_ours=checked["ours"][0],
        error_theirs=checked["theirs"][0],
        kernels_ours=checked["ours"][1],
        kernels_theirs=checked["theirs"][1],
    )


def check(
    contest: Contest, side: str, call: Callable[[], Tensors], wanted: Tensors
) -> tuple[float, str]:
    """How far one side is from float64, and which fused attention it ran.

    Raises:
        Unequal: if it is further away than rounding can explain.
    """
    with AttentionKernels() as seen:
        got = call()
    error = largest_error(got, wanted)
    if not error <= contest.tolerance:
        who = "minitx" if side == "ours" else contest.peer
        raise Unequal(
            f"{contest.name}: {who} differs from {contest.peer} in float64 by {error:.1e} of the "
            f"largest number, allowed is {contest.tolerance:.0e}; nothing was timed"
        )
    return error, ", ".join(sorted(seen.names)) or "none"


def placed(module: nn.Module, device: torch.device, contest: Contest) -> nn.Module:
    """The module on its device, in the contest's mode."""
    return module.to(device).train(contest.training)


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call, until the device is done with it."""
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done all it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def largest_error(got: Tensors, wanted: Tensors) -> float:
    """The largest difference, each tensor's as a share of its largest number."""
    errors = []
    for ours, reference in zip(got, wanted, strict=True):
        difference = (ours.detach().double() - reference.detach().double()).abs().max()
        errors.append(float(difference / reference.detach().abs().max()))
    return max(errors)


class AttentionKernels(TorchDispatchMode):
    """Notes which fused attention PyTorch runs while it is open."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if "attention" in name and "backward" not in name:
            self.names.add(name.removeprefix("_").removeprefix("scaled_dot_product_"))
        return func(*args, **kwargs or {})
