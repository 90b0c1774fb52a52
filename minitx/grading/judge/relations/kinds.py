"""The right numbers in another vessel: a list for an array, NumPy for torch, another dtype."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.judge.relations.relation import TOLERANCE, Array, Relation, is_array, near, wide


def kinds(got: Any, want: Any) -> list[Relation]:
    """Numbers in another vessel: a list for an array, NumPy for torch, one for several."""
    if type(want) is tuple and is_array(got):
        text = f"One {_vessel(got)} comes back, where a tuple of {len(want)} values is wanted."
        advice = "Return them one after the other: `return a, b` makes a tuple."
        return [Relation(("kind", "one"), text, advice, 1)]
    if not hasattr(want, "shape"):
        return []
    mine, wanted = _vessel(got), _vessel(want)
    maker = "torch.tensor(…)" if values.is_tensor(want) else "np.array(…)"
    if type(got) in (list, tuple) and len(got) > 1 and any(hasattr(x, "shape") for x in got):
        text = f"A {mine} of {len(got)} values comes back; wanted is one {wanted}."
        advice = "Look at the return: the first line of the text says what is to come back."
        for number, each in enumerate(got, start=1):
            if is_array(each) and near(values.to_numpy(each), values.to_numpy(want), 1e-4):
                text = f"{text[:-1]}, and value {number} is right."
                advice = "Return this value alone."
                return [Relation(("several", number), text, advice, 0)]
        return [Relation(("kind", mine), text, advice, 2)]
    if type(got) in (int, float) and values.is_tensor(want):
        right = near(np.asarray(got), values.to_numpy(want), 1e-4)
        word = "The number is right, but it is" if right else "What comes back is"
        text = f"{word} a plain number of Python; wanted is a tensor."
        advice = "`torch.tensor(…, dtype=…)` makes one; what was computed with tensors is one."
        return [Relation(("kind", "number"), text, advice, 0 if right else 2)]
    if type(got) in (list, tuple):
        try:
            numbers = np.asarray(got)
        except (
            RuntimeError,
            TypeError,
            ValueError,
        ):  # rows of different lengths, tensors with a graph
            numbers = np.asarray(None)
        right = numbers.dtype.kind in "biuf" and near(numbers, values.to_numpy(want), 1e-4)
        word = "The numbers are right, but they come as" if right else "What comes back is"
        text = f"{word} a {mine}; wanted is a {wanted}."
        return [Relation(("kind", mine), text, f"{maker} makes one.", 0 if right else 2)]
    if is_array(got) and hasattr(got, "dtype"):
        numbers = values.to_numpy(got)
        if numbers.dtype.kind == "c" and values.to_numpy(want).dtype.kind != "c":
            text = "The result holds complex numbers."
            advice = "The root of a negative number, or an FFT, makes them: which line is it?"
            return [Relation(("kind", "complex"), text, advice, 1)]
        if mine != wanted and near(numbers, values.to_numpy(want), 1e-4):
            text = f"The numbers are right, but they come as a {mine}; wanted is a {wanted}."
            advice = (
                "Stay with tensor operations: NumPy knows no gradients."
                if values.is_tensor(want)
                else "Here everything is NumPy: no torch is needed."
            )
            return [Relation(("kind", mine), text, advice, 0)]
    return []


def _vessel(value: Any) -> str:
    if values.is_tensor(value):
        return "tensor"
    return "NumPy array" if hasattr(value, "shape") else type(value).__name__


def dtype_of(value: Any) -> str:
    return values.dtype_name(value) if hasattr(value, "dtype") else type(value).__name__


def dtypes(got: Any, want: Any, a: Array, b: Array, tolerance: float) -> Iterator[Relation]:
    mine, wanted = dtype_of(got), dtype_of(want)
    if mine == wanted or a.shape != b.shape or not hasattr(want, "dtype"):
        return
    if a.dtype.kind in "iu" and b.dtype.kind == "f":
        for word, cut in [("cut off", np.trunc), ("rounded", np.rint), ("rounded down", np.floor)]:
            if np.array_equal(a, cut(b)):
                yield Relation(
                    ("whole numbers",),
                    f"The fractions are {word}: the result has dtype {mine}, wanted {wanted}.",
                    "An array made with the dtype of a whole-number input (np.zeros_like, "
                    "np.empty_like, astype) cannot hold fractions: make it float.",
                    0,
                )
                return
    if b.dtype.kind == "b" and np.array_equal(a, np.where(b, 0.0, -np.inf)):
        yield Relation(
            ("to be added",),
            "The mask holds what would be added to scores: 0 and -∞.",
            "Return the truth values themselves: True where a key may be attended to.",
            0,
        )
    elif near(wide(a), wide(b), tolerance):
        if b.dtype.kind == "b":
            advice = "A comparison gives bool; arithmetic makes numbers of it."
        elif TOLERANCE.get(mine, 0) > TOLERANCE.get(wanted, 0):
            advice = (
                f"Something on the way is {mine}: a constant, an array made without a dtype, or a "
                "cast. Keep the dtype of the inputs."
            )
        else:
            advice = (
                f"Something on the way is {mine}: a .float(), a .double(), a NumPy number or a "
                "tensor of another dtype. Give what you make the dtype of the input."
            )
        yield Relation(
            ("dtype",),
            f"The numbers are right, only the dtype is not: {mine} where {wanted} is wanted.",
            advice,
            0,
        )
