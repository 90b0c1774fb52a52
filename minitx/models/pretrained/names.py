"""From the names and settings of others to those of minitx."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""Name of a parameter -> its numbers."""
Names = Mapping[str, str | None]
"""Regular expression for a part of a name -> what stands there in minitx; None drops the tensor.

Applied in this order, each to what the ones before it made of the name.
"""


def renamed(theirs: State, names: Names) -> dict[str, Tensor]:
    """The same tensors by their names in minitx; what no expression matches keeps its name.

    Raises:
        ValueError: if two names become one and their tensors differ.
    """
    ours: dict[str, Tensor] = {}
    for name, tensor in theirs.items():
        new: str | None = name
        for part, replacement in names.items():
            if new is not None and re.search(part, new):
                new = None if replacement is None else re.sub(part, replacement, new)
        if new is None:
            continue
        if new in ours and not torch.equal(ours[new], tensor):
            raise ValueError(f"{new} has two values: {name} is not what another name gave")
        ours[new] = tensor
    return ours


def require_parts(theirs: Mapping[str, Any], **wanted: Any) -> None:
    """Refuse settings that stand for a part which models of minitx do not have.

    Args:
        theirs: the settings, as in config.json; what is not there is taken to fit.
        wanted: the value that each must have.

    Raises:
        ValueError: if one has another value.
    """
    for name, value in wanted.items():
        got = theirs.get(name, value)
        if got != value:
            raise ValueError(f"{name} must be {value!r} for a model of minitx, got {got!r}")
