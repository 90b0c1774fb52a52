"""A factor, or a difference, of its own for every slice along an axis: normalisers."""

import math
from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Given, Relation, near, short


def along_an_axis(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    """A factor, or a difference, of its own for every row: a normaliser."""
    yield from _one_factor_for_each(a, b, given, tol)
    for axis in range(b.ndim):
        if b.shape[axis] < 2:
            continue
        name = given.axis(axis, b.ndim)
        total_a, total_b = a.sum(axis, keepdims=True), b.sum(axis, keepdims=True)
        # Sums of 1 that should be, and are not, or are where they should not be.
        weights = bool((np.abs(total_b - 1) < 1e-3).mean() > 0.5 and (b >= 0).all())
        if (b.ndim > 1 or weights) and np.isfinite(total_a).all():
            yield from _one_factor_each(a, b, axis, name, weights, tol)
        if weights and b.ndim > 1:
            for other in range(b.ndim):
                sums = a.sum(other, keepdims=True)
                if other != axis and near(sums, np.ones_like(sums), 1e-6) and (a >= 0).all():
                    yield Relation(
                        ("normalised over", other - b.ndim),
                        f"Your weights sum to 1 along {given.axis(other, b.ndim)}; along {name}, "
                        "where they must, they do not.",
                        f"The softmax runs over the wrong axis: it belongs along {name}.",
                        0,
                    )
        largest = float(np.abs(b).max())
        difference = a - b
        middle = difference.mean(axis, keepdims=True)
        same = np.all(np.abs(difference - middle) <= tol * largest)
        if b.ndim > 1 and same and np.ptp(middle) > tol * largest:
            own = b.mean(axis, keepdims=True)
            for word, sign in [("added to", 1), ("taken from", -1)]:
                if near(middle, sign * own, tol):
                    yield Relation(
                        ("own mean", word, axis - b.ndim),
                        f"The mean of each slice along {name} is {word} the slice.",
                        "Leave the result as it is: nothing is to be centred or added at the end.",
                        1,
                    )
            yield Relation(
                ("shift along", axis - b.ndim),
                f"Each slice along {name} is off by a difference of its own.",
                "Something is added or subtracted per slice that should not be, or is missing.",
                2,
            )


def _one_factor_for_each(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    """A factor that differs along one axis only: from head to head, say."""
    if b.ndim < 3 or not np.isfinite(a).all():  # of a table's rows it may be a normaliser
        return
    for axis in range(b.ndim):
        others = tuple(i for i in range(b.ndim) if i != axis)
        if b.shape[axis] < 2 or min(b.shape[i] for i in others) < 2:
            continue
        total = (b * b).sum(others, keepdims=True)
        ratio = (a * b).sum(others, keepdims=True) / np.where(total == 0, 1, total)
        if np.ptp(ratio) <= 10 * tol or not near(a, b * ratio, max(tol, 1e-6)):
            continue
        name, right = given.axis(axis, b.ndim), int((np.abs(ratio - 1) <= tol).sum())
        shown = ", ".join(short(float(x)) for x in ratio.ravel()[:6])
        more = ", …" if ratio.size > 6 else ""
        yield Relation(
            ("factor for each", axis - b.ndim),
            f"Along {name} every entry has a factor of its own ({shown}{more}); "
            f"{right} of {ratio.size} are right.",
            f"Which number is computed once for each {name}, and how?",
            0,
        )


def _one_factor_each(
    a: Array, b: Array, axis: int, name: str, weights: bool, tol: float
) -> Iterator[Relation]:
    """Every slice along the axis is off by a factor of its own."""
    total_a, total_b = a.sum(axis, keepdims=True), b.sum(axis, keepdims=True)
    if ((total_a == 0) != (total_b == 0)).any():
        return
    used = total_b != 0
    ratio = np.where(used, total_a / np.where(used, total_b, 1), 1)
    if not near(a, b * ratio, max(tol, 1e-6)) or near(total_a, total_b, min(tol, 1e-9)):
        return
    low, high = float(ratio[used].min()), float(ratio[used].max())
    if weights:
        yield from _small_divisor(ratio[used], axis - b.ndim, name)
    if weights:
        same = abs(high - low) < 1e-9
        span = _sum_of_one(low) if same else f"{_sum_of_one(low)} to {_sum_of_one(high)}"
        yield Relation(
            ("normaliser", axis - b.ndim),
            f"The proportions along {name} are right but the sums are not: yours are {span}, "
            "wanted is 1.",
            "The division by the sum over that axis is missing, or divides by a sum that holds "
            "more, or less, than the entries that take part.",
            0,
        )
    elif high - low > 10 * tol * abs(high):
        yield Relation(
            ("factor along", axis - b.ndim),
            f"Each slice along {name} is off by a factor of its own, {short(low)} to "
            f"{short(high)}.",
            "A division by a sum, a length or a norm is missing or too many, runs over the wrong "
            "axis, or came before something was set to 0: do the weights sum to 1?",
            1,
        )


def _small_divisor(sums: Array, axis: int, name: str) -> Iterator[Relation]:
    """Sums just below 1; those that the small number outweighs are nearly 0."""
    below = (sums > 1 - 1e-3) & (sums < 1)
    if not (below | (sums < 1e-3)).all():
        return
    shown = ""
    if below.any():
        low, high = float(sums[below].min()), float(sums[below].max())
        digits = 1 + math.ceil(-math.log10(1 - high))
        span = dict.fromkeys(f"{total:.{digits}f}" for total in (low, high))
        shown = f" ({' to '.join(span)})"
    yield Relation(
        ("small divisor", axis),
        f"The weights along {name} sum to just below 1{shown}: a small number is added to the "
        "divisor.",
        "Divide by the sum itself. Where it can be 0, choose another result there (where) in place "
        "of adding an eps.",
        0 if shown else 1,
    )


def _sum_of_one(total: float) -> str:
    """Enough digits to see that it is not 1."""
    off = total - 1
    return f"1 {off:+.1e}" if 0 < abs(off) < 1e-3 else short(total)
