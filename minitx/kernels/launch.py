"""How large the tiles are: a fixed table by GPU generation, kind of number and width of a head.

Fixed, because a search at the first call takes minutes; `tuning.py` searches when it is asked to.
The table was chosen by what the compiler says about each entry (registers, spills, shared memory,
instructions of the loop; see NOTES.md), and a test compiles every entry for its generation, for
aligned tensors and heads as wide as the entry allows.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Pass = Literal["forward", "keys", "queries"]
Kind = Literal["half", "single"]


@dataclass(frozen=True)
class Launch:
    """One way to run a kernel.

    Args:
        B_r: queries in a tile.
        B_c: keys in a tile.
        warps: groups of 32 threads that share one program.
        stages: tiles in flight: while one is computed with, the next are being copied.
        described: whether tiles are read by tensor descriptors where the tensors allow it.
    """

    B_r: int
    B_c: int
    warps: int
    stages: int
    described: bool = False


# What one program may have of shared memory, in KiB, and the compute capability that its entries
# need: those for sm_89 are those for small shared memory, and serve sm_86 and sm_120 too.
# (CUDA programming guide, technical specifications per compute capability.)
SHARED_KIB = {75: 64, 80: 163, 89: 99, 90: 227}
NEEDS = {75: 75, 80: 80, 89: 80, 90: 90}

# Numbers of 32 bits are multiplied outside the tensor cores (IEEE, not TF32), and everything is on
# sm_75, for which Triton has none: small tiles, because each thread keeps its rows in registers.
SINGLE: dict[Pass, dict[int, Launch]] = {
    "forward": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
    "keys": {64: Launch(32, 32, 8, 1), 256: Launch(16, 16, 8, 1)},
    "queries": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
}

# By generation, kind of number, pass, and the widest head the entry is for.
TABLE: dict[int, dict[Kind, dict[Pass, dict[int, Launch]]]] = {
    75: {
        "single": {
            **SINGLE,
            "keys": {64: Launch(32, 16, 8, 1), 256: Launch(16, 8, 4, 1)},
            "queries": {64: Launch(32, 32, 4, 1), 256: Launch(8, 16, 4, 1)},
        }
    },
    80: {
        "half": {
            "forward": {
                64: Launch(128, 64, 4, 3),
                128: Launch(128, 64, 8, 2),
                256: Launch(32, 64, 8, 2),
            },
            "keys": {
                64: Launch(32, 128, 4, 2),
                128: Launch(64, 64, 8, 2),
                256: Launch(32, 32, 8, 2),
            },
            "queries": {
                64: Launch(128, 64, 8, 2),
                128: Launch(128, 32, 8, 2),
                256: Launch(32, 64, 8, 2),
            },
        },
        "single": SINGLE,
    },
    89: {
        "half": {
            "forward": {
                64: Launch(128, 64, 8, 2),
                128: Launch(128, 64, 8, 2),
                256: Launch(32, 64, 8, 2),
            },
            "keys": {
                64: Launch(32, 128, 4, 2),
                128: Launch(64, 64, 8, 2),
                256: Launch(32, 32, 8, 2),
            },
            "queries": {
                64: Launch(128, 64, 8, 2),
                128: Launch(128, 32, 8, 2),
                256: Launch(32, 64, 8, 1),
            },
        },
        "single": SINGLE,
    },
    90: {
        "half": {
            "forward": {
                64: Launch(128, 128, 8, 3, described=True),
                128: Launch(128, 128, 8, 2, described=True),
                256: Launch(128, 64, 8, 2, described=True),
            },
            "keys": {
                64: Launch(128, 64, 4, 2, described=True),
                128: Launch(64, 128, 8, 2, described=True),
                256: Launch(16, 64, 8, 2, described=True),
            },
            "queries": {
                64: Launch(128, 64, 8, 2, described=True),
                128: Launch(128, 128, 8, 2, described=True),
                256: Launch(64, 64, 8, 2, described=True),
            },
        },
        "single": SINGLE,
    },
}

LARGEST_TILE = 256  # queries or keys

# In the interpreter a tile costs Python, whatever its size: small ones where there are few.
INTERPRETED = {256: Launch(32, 32, 1, 1), 2**31: Launch(256, 256, 1, 1)}


def generation(capability: int, shared: int) -> int:
    """The table's generation for a device: the largest tiles that it has the memory for.

    Args:
        capability: compute capability, for example 86.
        shared: bytes of shared memory that one program may have.

    >>> generation(86, 101376), generation(120, 101376), generation(100, 232448)
    (89, 89, 90)
    """
    fitting = [
        arch for arch in TABLE if NEEDS[arch] <= capability and SHARED_KIB[arch] * 1024 <= shared
    ]
    return max(fitting, key=lambda arch: SHARED_KIB[arch], default=min(TABLE))


def chosen(which: Pass, q: Tensor, T: int, width: int) -> Launch:
    """The entry for tensors like q, cut along T positions, with heads up to this width."""
    if q.device.type == "cpu":
        return _narrowest(INTERPRETED, T)
    properties = torch.cuda.get_device_properties(q.device)
    arch = generation(
        10 * properties.major + properties.minor,
        properties.shared_memory_per_block_optin,  # type: ignore[attr-defined]
    )
    kinds = TABLE[arch]
    kind: Kind = "half" if q.element_size() == 2 and "half" in kinds else "single"
    return _narrowest(kinds[kind][which], width)


def _narrowest(entries: dict[int, Launch], size: int) -> Launch:
    return next(launch for largest, launch in sorted(entries.items()) if size <= largest)
