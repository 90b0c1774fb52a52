"""The cores that are measured, each at a budget that does not grow with the length."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minitx import cores
from minitx.cores import AttentionCore


class Shape(NamedTuple):
    """Of the queries that come.

    Args:
        T: tokens.
        num_heads: H.
        d_head: D_k.
    """

    T: int
    num_heads: int
    d_head: int

    @property
    def square_root(self) -> int:
        """The power of two next to √T."""
        return int(2 ** round(math.log2(self.T) / 2))


@dataclass(frozen=True)
class Budgeted:
    """A core and what it may spend.

    Args:
        name: its class in `minitx.cores`.
        budget: the same in the words of the table.
        settings: from the shape to the core's arguments.
        softmax: False if the core computes something else than softmax attention, and its
            distance to that is no error.
        only_on: the kind of device it needs.
        adapt: what the core learns from queries and keys, besides gradients.
    """

    name: str
    budget: str
    settings: Callable[[Shape], dict[str, Any]] = lambda shape: {}
    softmax: bool = True
    only_on: str | None = None
    adapt: Callable[[Any, Tensor, Tensor], None] | None = None

    @property
    def supports(self) -> frozenset[str]:
        """The rules that the core keeps to."""
        supports: frozenset[str] = getattr(cores, self.name).supports
        return supports

    def make(self, shape: Shape) -> AttentionCore:
        """The core for such queries, its chance drawn from torch's."""
        core = getattr(cores, self.name)(**self.settings(shape))
        assert isinstance(core, AttentionCore)
        return core


BUDGETED = (
    Budgeted("FullAttention", "exact, whole table"),
    Budgeted("FusedAttention", "exact, torch's"),
    Budgeted("TiledAttention", "exact, in tiles"),
    Budgeted("FlashAttention", "exact, Triton", only_on="cuda"),
    Budgeted("StridedSparse", "stride ≈ √T", lambda shape: {"stride": shape.square_root}),
    Budgeted("SlidingWindow", "radius 128", lambda shape: {"radius": 128}),
    Budgeted("BigBird", "8 blocks of 64", lambda shape: {"block_size": 64}),
    Budgeted("TopK", "64 keys", lambda shape: {"k": 64}),
    Budgeted(
        "Routing",
        "≈ √T clusters",
        lambda shape: {
            "d_head": shape.d_head,
            "num_clusters": shape.square_root,
            "num_heads": shape.num_heads,
            "decay": 0.9,
        },
        adapt=lambda core, q, k: core.update_centroids(q, k),
    ),
    Budgeted(
        "Reformer",
        "4 rounds of 64",
        lambda shape: {
            "d_head": shape.d_head,
            "num_buckets": 64,
            "chunk_size": 64,
            "num_rounds": 4,
            "num_heads": shape.num_heads,
        },
        softmax=False,
    ),
    Budgeted(
        "Linformer",
        "rank 256",
        lambda shape: {"max_len": shape.T, "rank": min(256, shape.T), "start": "segments"},
    ),
    Budgeted("Nystrom", "64 landmarks", lambda shape: {"num_landmarks": min(64, shape.T)}),
    Budgeted(
        "Performer",
        "256 features",
        lambda shape: {"d_head": shape.d_head, "num_features": 256},
    ),
    Budgeted("LinearAttention", "elu + 1", softmax=False),
)


def measured(names: Sequence[str], device: torch.device) -> list[Budgeted]:
    """Those with these names, all if there are none, that run on the device.

    Raises:
        ValueError: if there is no core of such a name.
    """
    able = [b for b in BUDGETED if b.only_on in (None, device.type)]
    unknown = [name for name in names if name not in {b.name for b in able}]
    if unknown:
        raise ValueError(
            f"there is no core {', '.join(unknown)} on {device.type}; there are "
            f"{', '.join(b.name for b in able)}"
        )
    return [b for b in able if not names or b.name in names]
