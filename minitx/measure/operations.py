"""Operations, counted while they are done: arithmetic, and products that wait for each other."""

from collections.abc import Callable
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

PRODUCTS = frozenset({"mm", "bmm", "addmm", "baddbmm", "convolution", "convolution_backward"})


def flop(run: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products in run(), as PyTorch counts them.

    A multiplication and an addition are two; what is done entry by entry is not counted.

    >>> import torch
    >>> flop(lambda: torch.ones(3, 5) @ torch.ones(5, 7))       # 2 · 3 · 5 · 7
    210
    """
    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def products(run: Callable[[], object]) -> int:
    """How many matrix products and convolutions PyTorch starts, one after another, in run().

    >>> import torch
    >>> products(lambda: torch.ones(3, 5) @ torch.ones(5, 7) @ torch.ones(7, 2))
    2
    """
    with _CountProducts() as counter:
        run()
    return counter.count


class _CountProducts(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func.overloadpacket.__name__ in PRODUCTS
        return func(*args, **(kwargs or {}))
