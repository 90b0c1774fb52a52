"""Making a result plain: numbers, text and what is made of them, cut off from all that is alive.

What remains is safe to look at, to copy and to send. It is made where the submission runs, under
its limits, because a result's own methods may do anything.
"""

from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.calling import Opaque

MOST_BYTES = 2**27  # of all arrays of one result together
MOST_ITEMS = 10_000  # of all lists of one result together
DEEPEST = 20
LONGEST_TEXT = 100_000
MOST_BITS = 2_000  # of a whole number: some 600 digits
ARRAY_KINDS = "biufcUSmM"  # NumPy's letters of numbers, texts and times
TENSOR_DTYPES = {
    *("float64", "float32", "float16", "bfloat16", "complex128", "complex64"),
    *("int64", "int32", "int16", "int8", "uint8", "bool"),
}


class TooMuch(Exception):
    """More than can be looked at; the text says of what."""


def plain(value: Any) -> Any:
    """The value itself where it is a number or a text, a dense copy of an array or a tensor.

    Lists, tuples and dicts are gone through; everything else becomes `Opaque`. A tensor keeps
    `requires_grad` and the order of its axes in memory, but not its graph.
    """
    try:
        return _Room().plain(value, DEEPEST)
    except TooMuch:
        return Opaque(f"{values.describe(value)}, more than can be looked at", "object")


class _Room:
    """What may still be taken of one result."""

    def __init__(self) -> None:
        self.bytes = MOST_BYTES
        self.items = MOST_ITEMS

    def plain(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in (list, tuple, dict):
            return self._container(value, kind, depth)
        if kind is np.ndarray:
            return self._array(value)
        if values.is_tensor(value):
            return self._tensor(value)
        if is_plain_scalar(value):
            return value
        return opaque(value)

    def _container(self, value: Any, kind: Any, depth: int) -> Any:
        self.items -= len(value)
        if depth == 0 or self.items < 0:
            raise TooMuch
        if kind is not dict:
            return kind(self.plain(item, depth - 1) for item in value)
        if not all(type(key) in (str, int) and is_plain_scalar(key) for key in value):
            return opaque(value)
        return {key: self.plain(item, depth - 1) for key, item in value.items()}

    def _array(self, value: np.ndarray[Any, Any]) -> Any:
        if value.dtype.kind not in ARRAY_KINDS:
            return opaque(value)
        if not self._fits(value.size * value.itemsize):
            return _too_large(value)
        return value.copy(order="K")

    def _tensor(self, value: Any) -> Any:
        import torch

        strided = type(value) in (torch.Tensor, torch.nn.Parameter) and (
            value.layout is torch.strided and not value.is_meta and not value.is_quantized
        )
        if not strided or values.dtype_name(value) not in TENSOR_DTYPES:
            return opaque(value)
        if not self._fits(value.numel() * value.element_size()):
            return _too_large(value)
        twin = value.detach().cpu().resolve_conj().resolve_neg().clone()
        return twin.requires_grad_(value.requires_grad)

    def _fits(self, size: int) -> bool:
        self.bytes -= size
        return self.bytes >= 0


def is_plain_scalar(value: Any) -> bool:
    """Whether a value is None, or a number or a text of usual size and of no class of its own."""
    kind = type(value)
    if kind is int:
        return bool(value.bit_length() <= MOST_BITS)
    if kind is str:
        return len(value) <= LONGEST_TEXT
    if isinstance(value, np.generic):
        return kind.__module__ == "numpy" and value.dtype.kind in ARRAY_KINDS
    return value is None or kind in (bool, float, complex)


def opaque(value: Any) -> Opaque:
    """What stands for a value that is not plain."""
    kind = value if isinstance(value, type) else type(value)
    if issubclass(kind, BaseException):
        return Opaque(kind.__name__, "exception")
    if kind is int:
        return Opaque(f"a whole number of {value.bit_length()} binary digits", "object")
    described = values.describe(value)
    if isinstance(value, np.ndarray):
        if kind is not np.ndarray:
            described += f" and class {kind.__name__} (`np.asarray(…)` makes a plain one)"
        return Opaque(described, "array")
    if values.is_tensor(value):
        return Opaque(_odd_tensor(value, described), "tensor")
    return Opaque(described, "callable" if callable(value) else "object")


def _odd_tensor(value: Any, described: str) -> str:
    if value.is_meta:
        return f"{described} on the device meta, which holds no numbers"
    if value.is_sparse or "sparse" in str(value.layout):
        return f"{described}, stored sparsely (`.to_dense()` makes a plain one)"
    if type(value).__name__ not in ("Tensor", "Parameter"):
        return f"{described} and class {type(value).__name__}"
    return described


def _too_large(value: Any) -> Opaque:
    kind = "tensor" if values.is_tensor(value) else "array"
    return Opaque(f"{values.describe(value)}, more than can be looked at", kind)  # type: ignore[arg-type]
