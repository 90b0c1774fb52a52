"""Whether two calls came out alike, up to rounding."""

from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.calling import Outcome

Tolerance = tuple[float, float]
_TOLERANCE = {"float64": (1e-6, 1e-9), "float32": (1e-4, 1e-6)}  # relative, times the largest
_ROUGH = (2e-2, 1e-3)
SINGLE = (1e-3, 1e-3)  # of what was float32 on the way: angles of some hundred radians
_FEW_STEPS = 50
_FEW_KEPT = 20
_NOISE = 1e-13


def same_answer(
    a: Outcome, b: Outcome, strict: bool = False, *, within: Tolerance | None = None
) -> bool:
    """Same outcome, gradients included."""
    return same_outcome(a, b, strict, within=within) and same_gradients(
        a.gradients, b.gradients, within=within
    )


def same_gradients(
    a: tuple[Any, ...] | str, b: tuple[Any, ...] | str, *, within: Tolerance | None = None
) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    if len(a) != len(b):
        return False
    pairs = zip(_without_noise(a), _without_noise(b), strict=True)
    return all(alike(x, y, within=within) for x, y in pairs)


def _without_noise(gradients: tuple[Any, ...]) -> list[Any]:
    """Zeros in place of a gradient that is rounding beside the others.

    What a softmax does not see, the bias of the keys, has gradient 0 but for the last digits.
    """
    sizes = [0.0 if g is None else _largest(values.to_numpy(g)) for g in gradients]
    floor = _NOISE * max(sizes, default=0.0)
    return [  # 0 times NaN is NaN: that is no noise
        g if g is None or size > floor else g * 0 for g, size in zip(gradients, sizes, strict=True)
    ]


def _largest(x: Any) -> float:
    """The largest size of a finite number."""
    return float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0))


def same_outcome(
    a: Outcome, b: Outcome, strict: bool = False, *, within: Tolerance | None = None
) -> bool:
    """Whether two calls came out alike; `strict` compares the texts of exceptions too."""
    if a.kind != b.kind or a.changed != b.changed:
        return False
    if a.kind == "raised":
        same_kind = a.error_kinds[:1] == b.error_kinds[:1]
        return same_kind and (not strict or a.text == b.text)
    if a.kind != "returned" or not _same_steps(a.steps, b.steps) or not _same_kept(a.kept, b.kept):
        return False
    return alike(a.value, b.value, within=within)


def same_but_for_dtype(a: Outcome, b: Outcome) -> bool:
    """Whether two calls that returned tensors, or arrays, differ in nothing but their dtype."""
    if a.kind != "returned" or b.kind != "returned" or a.changed != b.changed:
        return False
    if a.gradients or b.gradients or not _same_steps(a.steps, b.steps):
        return False
    x, y = a.value, b.value
    if not another_dtype(x, y) or tuple(x.shape) != tuple(y.shape):
        return False
    return _near(values.to_numpy(x), values.to_numpy(y), SINGLE)


def another_dtype(x: Any, y: Any) -> bool:
    """Whether both are tensors, or both arrays, of another dtype, and alike in their graph."""
    if all(map(values.is_tensor, (x, y))):
        return bool(x.dtype != y.dtype and x.requires_grad == y.requires_grad)
    return all(isinstance(z, np.ndarray) for z in (x, y)) and bool(x.dtype != y.dtype)


def _same_steps(a: int, b: int) -> bool:
    """Roughly as many lines executed: no loop in either, or loops of the same length."""
    few, many = sorted((a, b))
    return many <= _FEW_STEPS or many <= 3 * few


def _same_kept(a: int, b: int) -> bool:
    """Roughly as many tensors kept for the way back: those of one pass, or of as many."""
    few, many = sorted((a, b))
    return many <= _FEW_KEPT or many <= 3 * few


def alike(a: Any, b: Any, *, within: Tolerance | None = None) -> bool:
    """Same kind of thing, same shape and dtype, same numbers up to rounding, NaN at NaN.

    What counts as rounding is a matter of the dtype, or of `within` where that is more.
    """
    arrays = [isinstance(x, np.ndarray | np.generic) for x in (a, b)]
    tensors = [values.is_tensor(x) for x in (a, b)]
    if any(arrays) or any(tensors):
        try:
            return arrays[0] == arrays[1] and tensors[0] == tensors[1] and _close(a, b, within)
        except (RuntimeError, TypeError, ValueError):  # a tensor whose numbers cannot be read
            return False
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return (
            type(a) is type(b)
            and len(a) == len(b)
            and all(alike(x, y, within=within) for x, y in zip(a, b, strict=True))
        )
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key], within=within) for key in a)
    if isinstance(a, float | int) and isinstance(b, float | int):
        return type(a) is type(b) and _near(
            np.asarray(a), np.asarray(b), within or _TOLERANCE["float64"]
        )
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:
        return False


def _close(a: Any, b: Any, within: Tolerance | None) -> bool:
    if tuple(a.shape) != tuple(b.shape) or a.dtype != b.dtype:
        return False
    if values.is_tensor(a) and a.requires_grad != b.requires_grad:
        return False
    own = _TOLERANCE.get(values.dtype_name(a), _ROUGH)
    return _near(values.to_numpy(a), values.to_numpy(b), max(own, within or own))


def _near(x: Any, y: Any, within: Tolerance) -> bool:
    if x.dtype.kind not in "fc":
        return bool(np.array_equal(x, y))
    finite = np.isfinite(y)
    if not np.array_equal(np.isfinite(x), finite):
        return False
    if not np.array_equal(x[~finite], y[~finite], equal_nan=True):
        return False
    rtol, share = within
    wide = np.complex128 if "c" in (x.dtype.kind, y.dtype.kind) else np.float64
    x, y = x[finite].astype(wide), y[finite].astype(wide)
    largest = float(np.max(np.abs(y), initial=0.0))
    return bool(np.all(np.abs(x - y) <= share * largest + rtol * np.abs(y)))
