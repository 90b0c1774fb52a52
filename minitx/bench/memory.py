"""Peak memory of one call, in a process of its own, where nothing else has raised the mark.

Also the program that this process runs: `python -m minitx.bench.memory NAME SIDE DEVICE SIZES`.
"""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import torch

from minitx.bench.contest import Contest, placed, synchronise

Side = Literal["ours", "theirs"]
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
KILLED = -9  # the return code of a process that SIGKILL has ended


class FailedMeasurement(RuntimeError):
    """The process that was to measure did not answer."""


class Killed(FailedMeasurement):
    """The system has ended the process, as it does when memory runs out."""


class TooSlow(FailedMeasurement):
    """The process did not answer in time."""


def answer(module: str, *arguments: str, timeout: float | None = None) -> str:
    """The last line that a process of its own prints, `python -m module arguments…`.

    Raises:
        Killed: if the system has ended it.
        TooSlow: if it takes more than timeout seconds.
        FailedMeasurement: with its last words, if it fails in another way.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TooSlow(f"it had not answered after {timeout:.0f} s") from None
    if done.returncode == KILLED:
        raise Killed("the system has killed it")
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise FailedMeasurement((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    return lines[-1]


def in_fresh_process(name: str, side: Side, device: torch.device, sizes: str) -> int:
    """Bytes that a call of one side of a contest takes at its peak.

    Raises:
        FailedMeasurement: if the process fails.
    """
    try:
        return int(answer("minitx.bench.memory", name, side, str(device), sizes))
    except FailedMeasurement as error:
        raise FailedMeasurement(
            f"the memory of {name} ({side}) could not be measured: {error}"
        ) from None


def extra_bytes(contest: Contest, side: Side, device: torch.device) -> int:
    """Bytes that a call takes on top of the module, its inputs and what was prepared."""
    make, start = (
        (contest.make_ours, contest.start_ours)
        if side == "ours"
        else (contest.make_theirs, contest.start_theirs)
    )
    call = start(placed(make(), device, contest))
    random = torch.Generator().manual_seed(0)
    return peak(call(tuple(x.to(device) for x in contest.inputs(random))), device)


def peak(call: Callable[[], object], device: torch.device) -> int:
    """Bytes that a call takes at its peak, with what it returns, on top of what is in use."""
    synchronise(device)
    lower_mark(device)
    before = mark(device)
    kept = call()
    synchronise(device)
    after = mark(device)
    del kept
    return max(0, after - before)  # Linux counts in lots: nothing can read as a little less


def lower_mark(device: torch.device) -> None:
    """Let the highest mark be what is in use now, where the system can: on GPUs and on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        give_back()
        CLEAR_REFS.write_text("5")


def give_back() -> None:
    """Let the system have what was freed, or a second call could use it again unseen."""
    with suppress(OSError, AttributeError):  # only glibc can
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def mark(device: torch.device) -> int:
    """The highest number of bytes in use so far: PyTorch's on a GPU, resident ones on the CPU.

    On Linux it is read from /proc: `ru_maxrss` of a new process begins at its parent's.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_bytes() -> int | None:
    """Memory that a new process may count on; None where the system does not say."""
    if not MEMINFO.exists():
        return None
    fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) * 1024
    with suppress(OSError, ValueError):  # a container may have been given less
        allowed, used = (
            int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current")
        )
        free = min(free, allowed - used)
    return free


def limit(max_bytes: int | None) -> None:
    """Let this process be refused more memory than that, in place of filling the machine."""
    if max_bytes is None or not STATUS.exists():
        return
    import resource

    fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    wanted = int(fields["VmData"].split()[0]) * 1024 + max_bytes
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def main(name: str, side: Side, device: str, sizes: str) -> None:
    from minitx.bench.models import SIZES, contests

    pairs = zip(contests(SIZES[sizes]), contests(SIZES["quick"]), strict=True)
    ((contest, small),) = (pair for pair in pairs if pair[0].name == name)
    # The first call of all loads libraries and starts threads: some 40 MB that are nobody's.
    extra_bytes(small, side, torch.device(device))
    print(extra_bytes(contest, side, torch.device(device)))


if __name__ == "__main__":
    name, side, device, sizes = sys.argv[1:]
    main(name, "ours" if side == "ours" else "theirs", device, sizes)
