"""Plain values as JSON and raw bytes, and back: nothing is ever unpickled."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minitx.grading.calling import ObjectRef, Opaque
from minitx.grading.frames import Garbage
from minitx.grading.plain import ARRAY_KINDS, DEEPEST, TENSOR_DTYPES, is_plain_scalar
from minitx.grading.texts import cleaned
from minitx.grading.values import dtype_name, is_tensor


def pack(value: Any, chunks: list[bytes]) -> Any:
    """A plain value as JSON; the numbers of arrays and tensors are added to `chunks`.

    Raises:
        TypeError: if it is not plain.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Opaque):
        return {"is": "opaque", "description": value.description, "kind": value.kind}
    if isinstance(value, ObjectRef):
        shapes = [_shapes(value.parameters), _shapes(value.buffers)]
        return {"is": "object", "id": value.id, "name": value.name, "shapes": shapes}
    if type(value) in (list, tuple):
        return {"is": type(value).__name__, "items": [pack(item, chunks) for item in value]}
    if type(value) is dict:
        pairs = [[pack(key, chunks), pack(item, chunks)] for key, item in value.items()]
        return {"is": "dict", "items": pairs}
    if type(value) is np.ndarray and value.dtype.kind in ARRAY_KINDS:
        order = _axes_in_memory(value.strides)
        chunks.append(np.ascontiguousarray(value.transpose(order)).tobytes())
        return {"is": "array", **_form(value.dtype.str, value.shape, order)}
    if is_tensor(value):
        return _pack_tensor(value, chunks)
    if not is_plain_scalar(value):
        raise TypeError(f"{type(value).__name__} cannot be sent; wanted numbers, texts, arrays")
    if isinstance(value, np.generic):
        chunks.append(value.tobytes())
        return {"is": "scalar", "dtype": value.dtype.str}
    if isinstance(value, float):
        return {"is": "float", "text": value.hex()}
    if isinstance(value, complex):
        return {"is": "complex", "text": [value.real.hex(), value.imag.hex()]}
    return {"is": type(value).__name__, "text": str(value)}


def unpack(tree: Any, body: bytes) -> Any:
    """The value that was packed; new arrays and tensors, their axes in memory in the same order.

    Raises:
        Garbage: if it is anything else.
    """
    reader = _Reader(body)
    try:
        value = reader.value(tree, DEEPEST + 2)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RuntimeError):
        raise Garbage("a value that is none") from None
    if reader.at != len(body):
        raise Garbage("more bytes than the value has")
    return value


class _Reader:
    """Takes the values' bytes one after another."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def value(self, tree: Any, depth: int) -> Any:
        if tree is None or isinstance(tree, bool):
            return tree
        if depth == 0:
            raise Garbage("a value nested too deeply")
        kind = tree["is"]
        if kind in ("list", "tuple"):
            items = [self.value(item, depth - 1) for item in tree["items"]]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            return {
                self.value(key, depth - 1): self.value(item, depth - 1)
                for key, item in tree["items"]
            }
        if kind == "array":
            return self._array(np.dtype(tree["dtype"]), tree)
        if kind == "scalar":
            dtype = np.dtype(tree["dtype"])
            return self._array(dtype, {"shape": [], "order": []})[()]
        if kind == "tensor":
            return self._tensor(tree)
        if kind == "opaque":
            what = str(tree["kind"])
            if what not in ("exception", "array", "tensor", "callable", "object"):
                raise Garbage("a value of no known kind")
            return Opaque(cleaned(str(tree["description"]), 500), what)  # type: ignore[arg-type]
        if kind == "object":
            return _object(tree)
        return self._number(kind, tree["text"])

    def _number(self, kind: str, text: Any) -> Any:
        if kind == "int" and len(text) <= 700:
            return int(text)
        if kind == "float":
            return float.fromhex(text)
        if kind == "complex":
            return complex(float.fromhex(text[0]), float.fromhex(text[1]))
        if kind == "str":
            return str(text)
        raise Garbage("a value of no known kind")

    def _array(self, dtype: np.dtype[Any], tree: dict[str, Any]) -> Any:
        if dtype.kind not in ARRAY_KINDS:
            raise Garbage("an array of something else than numbers")
        shape, order = _checked_form(tree)
        raw = self._take(math.prod(shape) * dtype.itemsize)
        if dtype.kind == "b":
            numbers = np.frombuffer(raw, np.uint8) != 0
        elif raw:
            numbers = np.frombuffer(raw, dtype).copy()
        else:
            numbers = np.empty(math.prod(shape), dtype)
        return numbers.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))

    def _tensor(self, tree: dict[str, Any]) -> Any:
        import torch

        if tree["dtype"] not in TENSOR_DTYPES:
            raise Garbage("a tensor of no known dtype")
        dtype = getattr(torch, tree["dtype"])
        shape, order = _checked_form(tree)
        numbers = torch.empty([shape[axis] for axis in order], dtype=dtype, device="cpu")
        raw = self._take(numbers.numel() * numbers.element_size())
        if raw:
            flat = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
            if dtype is torch.bool:
                flat = (flat != 0).view(torch.uint8)
            numbers.view(-1).view(torch.uint8).copy_(flat)
        tensor = numbers.permute([order.index(axis) for axis in range(len(order))])
        return tensor.requires_grad_() if tree["grad"] is True else tensor

    def _take(self, size: int) -> bytes:
        if self.at + size > len(self.body):
            raise Garbage("fewer bytes than the value has")
        self.at += size
        return self.body[self.at - size : self.at]


def _shapes(shapes: dict[str, tuple[int, ...]]) -> list[Any]:
    return [[name, list(shape)] for name, shape in shapes.items()]


def _object(tree: dict[str, Any]) -> ObjectRef:
    parameters, buffers = (
        {
            cleaned(str(name), 200): tuple(int(size) for size in shape)
            for name, shape in shapes[:10_000]
        }
        for shapes in tree["shapes"]
    )
    return ObjectRef(int(tree["id"]), cleaned(str(tree["name"]), 100), parameters, buffers)


def _pack_tensor(value: Any, chunks: list[bytes]) -> Any:
    import torch

    name = dtype_name(value)
    if name not in TENSOR_DTYPES or value.layout is not torch.strided or value.is_meta:
        raise TypeError(f"a tensor of dtype {name} and layout {value.layout} cannot be sent")
    order = _axes_in_memory(value.stride())
    dense = value.detach().cpu().resolve_conj().resolve_neg().permute(order).contiguous()
    chunks.append(dense.view(-1).view(torch.uint8).numpy().tobytes() if dense.numel() else b"")
    return {
        "is": "tensor",
        "grad": bool(value.requires_grad),
        **_form(name, value.shape, order),
    }


def _axes_in_memory(strides: Iterable[int]) -> list[int]:
    """Axes from the one with the longest stride to the one with the shortest."""
    strides = list(strides)
    return sorted(range(len(strides)), key=lambda axis: -abs(strides[axis]))


def _form(dtype: str, shape: Iterable[int], order: list[int]) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [int(size) for size in shape], "order": order}


def _checked_form(tree: dict[str, Any]) -> tuple[list[int], list[int]]:
    shape, order = list(tree["shape"]), list(tree["order"])
    fits = all(type(size) is int and 0 <= size < 2**40 for size in shape)
    if not fits or len(shape) > 32 or sorted(order) != list(range(len(shape))):
        raise Garbage("a shape that is none")
    return shape, order
