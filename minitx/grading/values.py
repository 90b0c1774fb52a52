"""Looking at values without knowing whether they are NumPy's, torch's or Python's.

torch is never imported here: a value can only be a tensor when torch is loaded already.
"""

import copy
import numbers
import sys
from itertools import islice
from typing import Any

import numpy as np

from minitx.grading.calling import ObjectRef, Opaque

_LOOKED_AT = 1000  # things in a list, to say what it holds


def is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_number(value: object) -> bool:
    """A single number: Python's, NumPy's, or an array or tensor without axes."""
    if isinstance(value, np.ndarray) or is_tensor(value):
        return value.ndim == 0  # type: ignore[attr-defined]
    return isinstance(value, numbers.Number | np.generic)


def is_kind(value: object, kind: str) -> bool:
    """Whether a value is what an exercise says its function returns."""
    if kind == "array":
        return isinstance(value, np.ndarray)
    if kind == "tensor":
        return is_tensor(value)
    if kind == "number":
        return is_number(value)
    if kind == "module":
        return isinstance(value, ObjectRef)
    return True


def dtype_name(value: Any) -> str:
    """The name of the number format, without the library's prefix."""
    return str(value.dtype).removeprefix("torch.")


def dtype_kind(value: Any) -> str:
    """NumPy's letter: b bool, i and u integers, f floating point, c complex, O anything."""
    if is_tensor(value):
        if value.is_floating_point():
            return "f"
        return "b" if dtype_name(value) == "bool" else "c" if value.is_complex() else "i"
    return str(np.asarray(value).dtype.kind)


def to_numpy(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """The numbers as a NumPy array; half precisions are widened exactly."""
    if is_tensor(value):
        value = value.detach().cpu()
        if value.is_quantized:
            value = value.dequantize()
        value = value.to_dense()
        if dtype_name(value) in ("bfloat16", "float16"):
            value = value.float()
        return np.asarray(value.resolve_conj().resolve_neg().numpy())
    return np.asarray(value)


def describe(value: object) -> str:
    """A few words: "an array of shape (3, 7) and dtype float64", "a list of 3"."""
    if isinstance(value, Opaque):
        return value.description
    if isinstance(value, ObjectRef):
        return f"a module ({value.name})"
    if isinstance(value, np.ndarray) or is_tensor(value):
        noun = "a tensor" if is_tensor(value) else "an array"
        return f"{noun} of shape {tuple(value.shape)} and dtype {dtype_name(value)}"  # type: ignore[attr-defined]
    if value is None:
        return "None"
    if isinstance(value, bool | np.bool_):
        return f"the truth value {bool(value)}"
    if isinstance(value, numbers.Number | np.generic):
        return f"the number {_short(value)}"
    if isinstance(value, str):
        return f"the text {_short(value)}"
    if isinstance(value, list | tuple | set | dict):
        noun = type(value).__name__
        things = "thing" if len(value) == 1 else "things"
        inside = sorted({_name(item) for item in islice(value, _LOOKED_AT)})
        if len(inside) == 1:
            things = inside[0] if len(value) == 1 else inside[0] + "s"
        return f"a {noun} of {len(value)} {things}" if value else f"an empty {noun}"
    if callable(value):
        return f"a function or class ({getattr(value, '__name__', type(value).__name__)})"
    return f"an object of type {type(value).__name__}"


def _name(item: object) -> str:
    if isinstance(item, np.ndarray):
        return "array"
    if is_tensor(item):
        return "tensor"
    return "number" if is_number(item) else type(item).__name__


def _short(value: object, width: int = 40) -> str:
    try:
        text = repr(value)
    except Exception:
        return f"(an object of type {type(value).__name__})"
    return text if len(text) <= width else text[: width - 1] + "…"


def kind_phrase(kind: str) -> str:
    """What an exercise wants back, in words."""
    return {
        "array": "a NumPy array",
        "tensor": "a torch tensor",
        "number": "a number",
        "module": "a torch.nn.Module",
        "any": "a value",
    }[kind]


def copied(value: Any) -> Any:
    """An independent copy with the same memory layout, cut off from any gradient graph."""
    if is_tensor(value):
        plain = value.detach()
        twin = plain.clone()  # the same, in a tenth of the time, but where entries share memory
        if str(plain.layout) != "torch.strided" or twin.stride() != plain.stride():
            twin = copy.deepcopy(plain)
        return twin.requires_grad_() if value.requires_grad else twin
    if isinstance(value, np.ndarray):
        return value.copy(order="K")
    if type(value) in (list, tuple):
        return type(value)(copied(item) for item in value)
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    try:
        return copy.deepcopy(value)
    except Exception:  # whatever cannot be copied is passed on as it is
        return value


def unchanged(before: Any, after: Any) -> bool:
    """Whether `after` still holds, bit for bit, what was copied to `before`."""
    if is_tensor(before):
        return is_tensor(after) and same_numbers(before, after)
    if isinstance(before, np.ndarray):
        return isinstance(after, np.ndarray) and same_numbers(before, after)
    if type(before) in (list, tuple):
        return (
            type(after) is type(before)
            and len(before) == len(after)
            and all(map(unchanged, before, after))
        )
    if type(before) is dict:
        return (
            type(after) is dict
            and before.keys() == after.keys()
            and all(unchanged(before[key], after[key]) for key in before)
        )
    return True


def marked(before: Any, after: Any) -> bool:
    """Whether `requires_grad_()` was called on something in `after` since it was copied."""
    if is_tensor(before):
        now = is_tensor(after) and after.requires_grad and after.is_leaf
        return bool(now) and not before.requires_grad
    if type(before) in (list, tuple) and type(after) is type(before):
        return any(map(marked, before, after))
    if type(before) is dict and type(after) is dict:
        return any(marked(before[key], after.get(key)) for key in before)
    return False


def same_numbers(a: Any, b: Any) -> bool:
    """Same shape, same dtype, same numbers; NaN equals NaN."""
    if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
        return False
    x, y = to_numpy(a), to_numpy(b)
    if x.dtype.kind in "fc":
        return bool(np.array_equal(x, y, equal_nan=True))
    return bool(np.array_equal(x, y))


def restore(target: Any, saved: Any) -> None:
    """Writes the saved numbers back into an input that was changed in place; no mark is left."""
    if is_tensor(target):
        if tuple(target.shape) == tuple(saved.shape):
            target.data.copy_(saved.data)
        if marked(saved, target):
            target.requires_grad_(False).grad = None
    elif isinstance(target, np.ndarray):
        if target.shape == saved.shape:
            target[...] = saved
    elif type(target) in (list, tuple):
        for item, kept in zip(target, saved, strict=False):
            restore(item, kept)
    elif type(target) is dict:
        for key in target.keys() & saved.keys():
            restore(target[key], saved[key])
