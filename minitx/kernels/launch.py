"""How large the tiles are: a fixed table by GPU generation, kind of number and width of a head.

Fixed, because a search at the first call takes minutes; `tuning.py` searches when it is asked to.
The table was chosen by what the compiler says about each entry (registers, spills, shared memory,
see NOTES.md), and a test compiles every entry for its generation.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Pass = Literal["forward", "keys", "queries"]


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


# By generation, kind of number, pass, and the widest head the entry is for.
TABLE: dict[int, dict[str, dict[Pass, dict[int, Launch]]]] = {
    75: {
        "half": {
            "forward": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "keys": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "queries": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
        },
        "single": {
            "forward": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "keys": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "queries": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
        },
    },
    80: {
        "half": {
            "forward": {
                64: Launch(128, 64, 4, 3),
                128: Launch(128, 64, 8, 3),
                256: Launch(64, 64, 8, 2),
            },
            "keys": {
                64: Launch(64, 128, 8, 2),
                128: Launch(32, 128, 8, 2),
                256: Launch(32, 64, 8, 1),
            },
            "queries": {
                64: Launch(128, 64, 8, 2),
                128: Launch(128, 32, 8, 2),
                256: Launch(64, 32, 8, 1),
            },
        },
        "single": {
            "forward": {64: Launch(32, 32, 4, 2), 256: Launch(16, 16, 4, 1)},
            "keys": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "queries": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
        },
    },
    89: {
        "half": {
            "forward": {
                64: Launch(128, 64, 4, 2),
                128: Launch(128, 64, 8, 2),
                256: Launch(64, 32, 8, 1),
            },
            "keys": {
                64: Launch(64, 64, 4, 2),
                128: Launch(32, 64, 4, 2),
                256: Launch(32, 32, 8, 1),
            },
            "queries": {
                64: Launch(64, 64, 4, 2),
                128: Launch(64, 32, 4, 2),
                256: Launch(32, 32, 8, 1),
            },
        },
        "single": {
            "forward": {64: Launch(32, 32, 4, 2), 256: Launch(16, 16, 4, 1)},
            "keys": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "queries": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
        },
    },
    90: {
        "half": {
            "forward": {
                64: Launch(128, 128, 8, 3, described=True),
                128: Launch(128, 128, 8, 2, described=True),
                256: Launch(128, 64, 8, 2, described=True),
            },
            "keys": {
                64: Launch(64, 128, 8, 2, described=True),
                128: Launch(64, 128, 8, 2, described=True),
                256: Launch(32, 64, 8, 2, described=True),
            },
            "queries": {
                64: Launch(128, 64, 8, 3, described=True),
                128: Launch(128, 64, 8, 2, described=True),
                256: Launch(64, 64, 8, 1, described=True),
            },
        },
        "single": {
            "forward": {64: Launch(32, 32, 4, 2), 256: Launch(16, 16, 4, 1)},
            "keys": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
            "queries": {64: Launch(32, 32, 4, 1), 256: Launch(16, 16, 4, 1)},
        },
    },
}

# In the interpreter a tile costs Python, whatever its size: small ones where there are few.
INTERPRETED = {"short": Launch(16, 16, 1, 1), "long": Launch(128, 128, 1, 1)}


def chosen(which: Pass, q: Tensor, T: int, width: int) -> Launch:
    """The entry for tensors like q, cut along T positions, with heads of this width."""
    if q.device.type == "cpu":
        return INTERPRETED["short" if T <= 256 else "long"]
    major, minor = torch.cuda.get_device_capability(q.device)
    arch = max((a for a in TABLE if a <= 10 * major + minor), default=min(TABLE))
    kind = "half" if q.element_size() == 2 else "single"
    return next(launch for widest, launch in TABLE[arch][kind][which].items() if width <= widest)
