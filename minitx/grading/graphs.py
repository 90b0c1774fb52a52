"""How much of its forward passes a call keeps for the way back, at most at one time.

torch is never imported here: where it is not loaded, there is no graph.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass
class KeptTensors:
    """Counts the tensors that autograd keeps; `backward` lets go of those that it has used."""

    now: int = 0
    most: int = 0

    @contextlib.contextmanager
    def counted(self, wanted: bool) -> Iterator[None]:
        """Counts what is kept inside, if it is wanted."""
        torch = sys.modules.get("torch")
        if not wanted or torch is None:
            yield
            return
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: _Kept(tensor, self), _given):
            yield


def refuses_counting(error: BaseException) -> bool:
    """Whether torch raised it because something in the call cannot be counted: torch.func."""
    return isinstance(error, RuntimeError) and "saved tensor hooks" in str(error)


class _Kept:
    """A tensor in a graph; it is gone when the graph is."""

    def __init__(self, tensor: Any, counter: KeptTensors) -> None:
        self.tensor = tensor.detach()
        self.counter = counter
        counter.now += 1
        counter.most = max(counter.most, counter.now)

    def __del__(self) -> None:
        self.counter.now -= 1


def _given(kept: _Kept) -> Any:
    return kept.tensor
