"""One function applied to every entry, too many or too few."""

from collections.abc import Callable, Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Relation, near


def _softmax(x: Array) -> Array:
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    result: Array = exponentials / exponentials.sum(-1, keepdims=True)
    return result


_CURVES: tuple[tuple[str, Callable[[Array], Array], str, str], ...] = (
    ("exp", np.exp, "exp of the expected", "One exponential is too many."),
    ("square", np.square, "the square of the expected", "Something is multiplied in twice."),
    ("sqrt", np.sqrt, "the square root of the expected", "Take the root out."),
    ("reciprocal", np.reciprocal, "1 divided by the expected", "The fraction is upside down."),
    ("one minus", lambda b: 1 - b, "1 minus the expected", "Leave the result as it is."),
    ("abs", np.abs, "the expected without its sign", "Take the absolute value out."),
    (
        "relu",
        lambda b: np.maximum(b, 0),
        "the expected with negative numbers cut off",
        "Take the ReLU, clamp or maximum with 0 out.",
    ),
    ("tanh", np.tanh, "tanh of the expected", "One tanh is too many."),
    ("softmax", _softmax, "softmax of the expected", "One softmax too many was taken, at the end."),
    ("round", np.rint, "the expected, rounded", "Do not round."),
    ("floor", np.floor, "the expected, cut to whole numbers", "Use float division and dtypes."),
    ("largest only", lambda b: (b == b.max(-1, keepdims=True)) * 1.0, "1 at the largest expected "
     "entry and 0 elsewhere", "A softmax is soft: argmax belongs nowhere here."),
    ("running sum", lambda b: b.cumsum(0), "the running sum of the expected along its first axis",
     "Something is not set back to its start for each new row."),
)  # fmt: skip

_MISSING: tuple[tuple[str, Callable[[Array], Array], str, str], ...] = (
    ("softmax", _softmax, "softmax of yours", "The softmax is missing: yours are the scores."),
    ("tanh", np.tanh, "tanh of yours", "The tanh is missing."),
    ("exp", np.exp, "exp of yours", "An exponential is missing, or a logarithm too many."),
    (
        "normalise",
        lambda a: a / a.sum(-1, keepdims=True),
        "yours, divided by the sum of its row",
        "The division by the sum is missing.",
    ),
)


def logarithm(a: Array, b: Array, tol: float) -> Iterator[Relation]:
    """The logarithm, whatever stands for that of 0; rows of nothing but 0 may hold anything."""
    rows = np.broadcast_to(b.any(-1, keepdims=True), b.shape)
    if (b >= 0).all() and rows.any() and near(np.exp(a[rows]), b[rows], tol):
        yield Relation(
            ("curve", "log"),
            "Yours is the logarithm of the expected.",
            "Leave the logarithm out at the end (log_softmax is not softmax).",
            0,
        )


def one_function(a: Array, b: Array, tol: float) -> Iterator[Relation]:
    """One function applied to every entry, too many or too few."""
    for name, curve, words, advice in _CURVES:
        if near(a, curve(b), tol) and not near(b, curve(b), tol):
            yield Relation(("curve", name), f"Yours is {words}.", advice, 1)
    if any(logarithm(a, b, tol)):
        return  # softmax, exp and the like of a logarithm give b as well
    for name, curve, words, advice in _MISSING:
        if near(curve(a), b, tol):
            yield Relation(("missing curve", name), f"The right result is {words}.", advice, 1)
