"""What the config of every model refuses."""

from dataclasses import fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, get_args

from torch import nn


def validate(config: Any) -> None:
    """Refuse values that no model can be made of; each config calls it when it is made.

    The annotation of a field says what it may hold: `int` a size, `float` a share (of dropout) or
    a norm's eps, `bool` a choice, and all else a class or function that makes a part. What fits
    by itself and not together, such as a width and its heads, is refused by the part it is for.

    Args:
        config: a dataclass.

    Raises:
        TypeError: if a value is of the wrong kind.
        ValueError: if a number is out of range.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        union = isinstance(field.type, UnionType)
        kinds = get_args(field.type) if union else (field.type,)
        if value is None and NoneType in kinds:
            continue
        if bool in kinds:
            right, wanted = isinstance(value, bool), "True or False"
        elif int in kinds:
            right, wanted = _is(Integral, value), "an integer of at least 1"
        elif float in kinds:
            right, wanted = _is(Real, value), "a number from 0 to 1"
        else:
            right = callable(value) and not isinstance(value, nn.Module)
            wanted = "a class or function that makes the part, not the part itself"
        if not right:
            raise TypeError(f"{field.name} must be {wanted}, got {value!r}")
        if (int in kinds and value < 1) or (float in kinds and not 0 <= value <= 1):
            raise ValueError(f"{field.name} must be {wanted}, got {value!r}")


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
