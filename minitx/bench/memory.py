"""Peak memory of one call, in a process of its own, where nothing else has raised the mark.

Also the program that this process runs: `python -m minitx.bench.memory NAME SIDE DEVICE SIZES`.
"""

import subprocess
import sys
from pathlib import Path
from typing import Literal

import torch

from minitx.bench.contest import Contest, placed, synchronise

Side = Literal["ours", "theirs"]
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class FailedMeasurement(RuntimeError):
    """The process that was to measure did not answer."""


def in_fresh_process(name: str, side: Side, device: torch.device, sizes: str) -> int:
    """Bytes that a call of one side of a contest takes at its peak.

    Raises:
        FailedMeasurement: if the process fails.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "minitx.bench.memory", name, side, str(device), sizes],
        capture_output=True,
        text=True,
        check=False,
    )
    last = (answer.stdout.split() or [""])[-1]
    if answer.returncode or not last.isdigit():
        error = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise FailedMeasurement(f"the memory of {name} ({side}) could not be measured: {error}")
    return int(last)


def extra_bytes(contest: Contest, side: Side, device: torch.device) -> int:
    """Bytes that a call takes on top of the module, its inputs and what was prepared."""
    make, start = (
        (contest.make_ours, contest.start_ours)
        if side == "ours"
        else (contest.make_theirs, contest.start_theirs)
    )
    call = start(placed(make(), device, contest))
    random = torch.Generator().manual_seed(0)
    prepared = call(tuple(x.to(device) for x in contest.inputs(random)))
    synchronise(device)
    lower_mark(device)
    before = mark(device)
    kept = prepared()
    synchronise(device)
    after = mark(device)
    del kept
    return max(0, after - before)  # Linux counts in lots: nothing can read as a little less


def lower_mark(device: torch.device) -> None:
    """Let the highest mark be what is in use now, where the system can: on GPUs and on Linux."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")


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
