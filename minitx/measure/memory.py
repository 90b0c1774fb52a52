"""Bytes of the tensors that a call makes, and of those it keeps for the way back."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def largest_tensor(run: Callable[[], object]) -> int:
    """Bytes of the largest tensor that PyTorch makes in run().

    It sees the tensors that PyTorch hands out, not the scratch space inside a kernel.

    >>> largest_tensor(lambda: torch.ones(3, 5) @ torch.ones(5, 7))     # 5 · 7 · 4 bytes
    140
    """
    with _LargestTensor() as watch:
        run()
    return watch.bytes


def kept_for_backward(run: Callable[[], object]) -> int:
    """Bytes of everything that PyTorch saves in run() to compute gradients with later.

    A storage that several tensors share is counted once.

    Raises:
        ValueError: if nothing is saved, because no gradient was asked for.

    >>> x = torch.ones(3, 5, requires_grad=True)
    >>> kept_for_backward(lambda: (x.exp() + 1).square())       # two results, 3 · 5 · 4 bytes each
    120
    """
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        # The tensor is held, so that no other storage can come to lie at its address.
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    if not kept:
        raise ValueError("nothing was saved for a backward pass: no input requires a gradient")
    return sum(size for size, _ in kept.values())


class _LargestTensor(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                # What is stored, not what an expanded view pretends to hold.
                size = min(tensor.nbytes, tensor.untyped_storage().nbytes())
                self.bytes = max(self.bytes, size)
        return result
