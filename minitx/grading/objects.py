"""What stays where the code runs: modules that a call has made, and kernels, asked by name.

torch is never imported here: a module can only be there when torch is loaded already.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from minitx.grading.calling import ObjectRef, Target
from minitx.grading.values import is_tensor

MOST_KEPT = 1000


class Objects:
    """The modules made so far, by number, and what can be asked of them."""

    def __init__(self, placed: Callable[[Any], Any] = lambda tensor: tensor) -> None:
        """`placed` puts a kernel's tensors where an access beyond them is noticed."""
        self._placed = placed
        self._kept: dict[int, Any] = {}

    def keep(self, value: Any) -> ObjectRef | None:
        """Keeps a module and says what stands for it; None for everything else."""
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(value, torch.nn.Module) or len(self._kept) >= MOST_KEPT:
            return None
        number = next((n for n, kept in self._kept.items() if kept is value), len(self._kept) + 1)
        self._kept[number] = value
        return ObjectRef(
            number,
            type(value).__name__,
            {name: tuple(each.shape) for name, each in value.named_parameters()},
            {name: tuple(each.shape) for name, each in value.named_buffers()},
        )

    def find(self, target: Target, functions: Mapping[str, Any]) -> tuple[str, Any]:
        """(name in sentences, what is to be called or None) for a target."""
        if isinstance(target, str):
            return target, functions.get(target)
        whose, method = target
        if isinstance(whose, str):
            return whose, self._launcher(functions.get(whose))
        module = self._kept.get(whose)
        if module is None:
            return method, None
        name = type(module).__name__
        ours = {
            "load": lambda weights: _load(name, module, weights),
            "state_dict": lambda: dict(module.state_dict()),
            "to": lambda dtype: _to(module, dtype),
            "train": lambda mode=True: bool(module.train(mode).training),
        }
        if method == "forward":
            return name, module
        own = ours.get(method) or (lambda *args, **kwargs: getattr(module, method)(*args, **kwargs))
        return f"{name}.{method}", own

    def parameters(self, target: Target) -> dict[str, Any]:
        """What a module learns, by name; nothing for a function."""
        whose = None if isinstance(target, str) else target[0]
        module = self._kept.get(whose) if isinstance(whose, int) else None
        if module is None:
            return {}
        return {name: each for name, each in module.named_parameters() if each.requires_grad}

    def _launcher(self, kernel: Any) -> Callable[..., Any] | None:
        """Launches a kernel; the result is what its arguments hold afterwards."""
        if kernel is None:
            return None

        def launch(grid: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> tuple[Any, ...]:
            args = tuple(self._placed(each) if is_tensor(each) else each for each in args)
            kernel[tuple(grid)](*args, **meta)
            return args

        return launch


def _load(name: str, module: Any, weights: dict[str, Any]) -> None:
    """Copies weights into all parameters and buffers; the dtype stays the module's.

    Raises:
        ValueError: if a name is missing or unknown, or a shape is another.
    """
    own = module.state_dict()
    problems = [f"has no `{key}`" for key in weights if key not in own]
    problems += [f"has `{key}`, for which there is no weight" for key in own if key not in weights]
    problems += [
        f"has `{key}` of shape {tuple(own[key].shape)}; wanted {tuple(weight.shape)}"
        for key, weight in weights.items()
        if key in own and own[key].shape != weight.shape
    ]
    if problems:
        module = problems[0].split("`")[1].rpartition(".")[0]
        near = sorted(own, key=lambda key: module not in (key, key.rpartition(".")[0]))
        shown = [key for key in own if key in near[:3]]
        more = f" and {len(own) - len(shown)} more" if len(own) > len(shown) else ""
        raise ValueError(f"{name} {problems[0]}; its weights: {', '.join(shown) or 'none'}{more}")
    module.load_state_dict(weights)


def _to(module: Any, dtype: str) -> None:
    module.to(getattr(sys.modules["torch"], dtype))
