"""Copying weights into a model, and the report of what does not fit."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from minitx.models.pretrained.names import State


def load(model: nn.Module, state: State, *, may_miss: Iterable[str] = ()) -> None:
    """Copy state into model: all of it or, if anything does not fit, nothing.

    Numbers are converted to the model's dtype. A tensor that the model uses in several places
    may stand under any of its names, and under several if they agree.

    Args:
        model: is changed in place.
        state: name to tensor, in minitx's names.
        may_miss: beginnings of names that keep what they have if state lacks them.

    Raises:
        ValueError: with all names that are missing, unexpected, of the wrong shape, or of one
            tensor with two values.
    """
    wanted = model.state_dict(keep_vars=True)  # keeps each parameter's identity
    first_name: dict[int, str] = {}
    known_as = {name: first_name.setdefault(id(tensor), name) for name, tensor in wanted.items()}

    given: dict[str, Tensor] = {}
    unexpected, mis_shaped, torn = [], [], []
    for name, tensor in state.items():
        target = known_as.get(name)
        if target is None:
            unexpected.append(name)
            continue
        if tensor.shape != wanted[target].shape:
            shapes = f"wanted {tuple(wanted[target].shape)}, got {tuple(tensor.shape)}"
            mis_shaped.append(f"{name}: {shapes}")
        elif target in given and not torch.equal(given[target], tensor):
            torn.append(f"{name} is one with {target} in this model")
        given[target] = tensor
    optional = tuple(may_miss)
    missing = [n for n in first_name.values() if n not in given and not n.startswith(optional)]

    problems = {"missing": missing, "unexpected": unexpected, "mis-shaped": mis_shaped}
    problems |= {"two values": torn}
    if any(problems.values()):
        raise ValueError(_report(type(model).__name__, problems))
    with torch.no_grad():
        for name, tensor in given.items():
            wanted[name].copy_(tensor)


def _report(model: str, problems: Mapping[str, list[str]]) -> str:
    lines = [f"these weights do not fit {model}"]
    for kind, names in problems.items():
        if names:
            lines.append(f"{kind} ({len(names)}):")
            lines += [f"  {name}" for name in names]
    return "\n".join(lines)
