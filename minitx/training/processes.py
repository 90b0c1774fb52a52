"""One training in several processes: what `torchrun` starts, and what each of them must know."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """The process group of one training; a single process is a group of one.

    Args:
        rank: which process this is; 0 writes files and shows progress.
        count: how many there are.
        device: where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def writes(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def total(self, number: Tensor) -> Tensor:
        """The sum of everybody's number, in every process."""
        if self.count > 1:
            number = number.clone()
            dist.all_reduce(number)
        return number

    def any(self, flag: bool) -> bool:
        """True in every process if the flag is up in at least one."""
        return bool(self.total(torch.tensor(float(flag), device=self.device)))


@contextmanager
def processes(device: torch.device | str | None = None) -> Iterator[Processes]:
    """Join the group that `torchrun` made, if it made one; leave it at the end.

    Args:
        device: where to compute; this process's GPU if there is one, else the CPU. CPUs talk by
            gloo, GPUs by nccl.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if device is None and torch.cuda.is_available():
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    device = torch.device(device or "cpu")
    joined = count > 1 and not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, device)
    finally:
        if joined:
            # When torch ends a group it waits for gloo's thread and keeps Python's lock meanwhile,
            # for which that thread waits where it has not yet let go of the last tensor: for ever,
            # now and then. So it gets the lock first.
            time.sleep(0.1)
            dist.destroy_process_group()
