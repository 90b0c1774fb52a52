"""The cores that are measured, each at a budget that does not grow with the length."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from minitx import cores
from minitx.cores import AttentionCore

Settings = Callable[[int, int], dict[str, Any]]
"""T, d_head -> keyword arguments of the core."""


@dataclass(frozen=True)
class Budgeted:
    """A core and what it may spend.

    Args:
        name: its class in `minitx.cores`.
        budget: the same in the words of the table.
        settings: see `Settings`.
        softmax: False if the core computes something else than softmax attention, and its
            distance to that is no error.
        only_on: the kind of device it needs.
    """

    name: str
    budget: str
    settings: Settings = lambda T, d_head: {}
    softmax: bool = True
    only_on: str | None = None

    @property
    def supports(self) -> frozenset[str]:
        """The rules that the core keeps to."""
        supports: frozenset[str] = getattr(cores, self.name).supports
        return supports

    def make(self, T: int, d_head: int) -> AttentionCore:
        """The core for texts of T tokens, its chance drawn from torch's."""
        core = getattr(cores, self.name)(**self.settings(T, d_head))
        assert isinstance(core, AttentionCore)
        return core


def square_root(T: int) -> int:
    """A power of two near √T: blocks of that size divide most lengths."""
    return 2 ** round(math.log2(T) / 2)


BUDGETED = (
    Budgeted("FullAttention", "exact, keeps the table"),
    Budgeted("FusedAttention", "exact, torch's kernel"),
    Budgeted("TiledAttention", "exact, in tiles"),
    Budgeted("FlashAttention", "exact, Triton kernel", only_on="cuda"),
    Budgeted("StridedSparse", "stride ≈ √T", lambda T, d_head: {"stride": square_root(T)}),
    Budgeted("SlidingWindow", "radius 128", lambda T, d_head: {"radius": 128}),
    Budgeted("BigBird", "blocks of 64", lambda T, d_head: {"block_size": 64}),
    Budgeted("TopK", "64 keys", lambda T, d_head: {"k": min(64, T)}),
    Budgeted("Routing", "clusters ≈ √T", lambda T, d_head: {}),
    Budgeted("Reformer", "", lambda T, d_head: {}, softmax=False),
    Budgeted("Linformer", "rank 256", lambda T, d_head: {"max_len": T, "rank": min(256, T)}),
    Budgeted("Nystrom", "64 landmarks", lambda T, d_head: {"num_landmarks": min(64, T)}),
    Budgeted(
        "Performer", "256 features", lambda T, d_head: {"d_head": d_head, "num_features": 256}
    ),
    Budgeted("LinearAttention", "elu + 1", softmax=False),
)


def measured(names: Sequence[str], device: torch.device) -> list[Budgeted]:
    """Those with these names, all if there are none, that run on the device.

    Raises:
        ValueError: if there is no core of such a name.
    """
    able = [b for b in BUDGETED if b.only_on in (None, device.type) and hasattr(cores, b.name)]
    unknown = [name for name in names if name not in {b.name for b in able}]
    if unknown:
        raise ValueError(
            f"there is no core {', '.join(unknown)} on {device.type}; there are "
            f"{', '.join(b.name for b in able)}"
        )
    return [b for b in able if not names or b.name in names]
