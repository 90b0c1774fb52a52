"""A region in which float64 is refused, as it is on Apple's GPUs."""

from torch import Tensor, float64
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class NoFloat64(TorchDispatchMode):
    """While this is open, whatever reads or makes a tensor in float64 raises TypeError."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, out)):
            if isinstance(leaf, Tensor) and leaf.dtype == float64:
                raise TypeError(f"{func} in float64")
        return out
