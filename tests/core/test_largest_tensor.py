"""What promises to need no table of T × T makes none: not forward, and not backward.

The largest tensor that any operation returns is recorded at two lengths. A table of T × T grows
×4 from one to the other, also one in disguise; what is linear in T grows ×2.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minitx.cores import AttentionCore, FullAttention, SlidingWindow
from minitx.masks import NO_MASK, causal, padding

from .contract import CORES, D_k, marks

B, H = 1, 2
SHORT, LONG = 1024, 2048

# Every core that promises it, as it would be used at these lengths.
FRUGAL = {name: case.frugal for name, case in CORES.items() if case.frugal}
FRUGAL["SlidingWindow, dilated"] = lambda T: SlidingWindow(64, dilation=3)


class Largest(TorchDispatchMode):
    """Notes the most numbers that one tensor held; views of what is there already do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                # What is stored, not what an expanded view pretends to hold.
                size = leaf.untyped_storage().nbytes() // leaf.element_size()
                self.numbers = max(self.numbers, min(size, leaf.numel()))
        return result


def largest(core: AttentionCore, T: int, mask: Any) -> int:
    q, k, v = (torch.randn(B, H, T, D_k, requires_grad=True) for _ in range(3))
    with Largest() as seen:
        core(q, k, v, mask=mask).sum().backward()
    return seen.numbers


@pytest.mark.parametrize("rule", ["none", "causal", "key_padding"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in FRUGAL])
def test_no_table(name, rule):
    if rule != "none" and rule not in FRUGAL[name](SHORT).supports:
        pytest.skip(f"{name} does not do {rule}")
    torch.manual_seed(0)
    sizes = []
    for T in (SHORT, LONG):
        masks = {"none": NO_MASK, "causal": causal(), "key_padding": padding([T - 5], T)}
        sizes.append(largest(FRUGAL[name](T), T, masks[rule]))
    assert sizes[1] < 3 * sizes[0], f"{sizes[0]:,} numbers at {SHORT}, {sizes[1]:,} at {LONG}"


def test_a_table_is_seen():
    core = FullAttention()
    assert [largest(core, T, NO_MASK) for T in (SHORT, LONG)] == [H * SHORT**2, H * LONG**2]
