"""How what came out is related to what should have: a factor, a turned axis, a place.

Pure functions of arrays. A relation found on one pair proves little; whoever asks keeps those
whose *key* is found on every pair that differs. The keys therefore speak of axes and arguments by
name (`√D_k`), never of one pair's numbers.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.judge.relations.curves import logarithm, one_function
from minitx.grading.judge.relations.factors import one_factor, one_off, one_shift
from minitx.grading.judge.relations.kinds import dtype_of, dtypes, kinds
from minitx.grading.judge.relations.moved import moved
from minitx.grading.judge.relations.not_finite import not_finite, number_for_infinity
from minitx.grading.judge.relations.precision import FEWER_DIGITS, digits, rounded
from minitx.grading.judge.relations.regions import right_except
from minitx.grading.judge.relations.relation import (
    TOLERANCE,
    Array,
    Given,
    Relation,
    agree,
    is_array,
    near,
    wide,
)
from minitx.grading.judge.relations.shapes import shapes
from minitx.grading.judge.relations.slices import along_an_axis
from minitx.grading.judge.relations.tables import truth
from minitx.grading.judge.relations.trivial import trivially


def relate(got: Any, want: Any, given: Given, *, places: bool = True) -> list[Relation]:
    """Every relation that holds between two values that differ, the surest first.

    Args:
        got: what came out.
        want: what should have.
        given: the call.
        places: whether to look where in the result the numbers stand, too; that takes longest.
    """
    other_kind = kinds(got, want)
    if other_kind:
        return other_kind
    if type(got) is dict and type(want) is dict:
        return _relate_named(got, want, given)
    if type(got) in (tuple, list) and type(want) in (tuple, list):
        return _relate_several(got, want, given)
    if not (is_array(got) and is_array(want)):
        return []
    a, b = values.to_numpy(got), values.to_numpy(want)
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf" or 0 in (a.size, b.size):
        return []
    tolerance = max(
        TOLERANCE.get(values.dtype_name(x), 1e-6) if hasattr(x, "dtype") else 1e-6
        for x in (got, want)
    )
    with np.errstate(all="ignore"):
        found = list(dtypes(got, want, a, b, tolerance))
        if not found and a.shape != b.shape:
            found = list(shapes(a, b, given, tolerance))
        elif not found:
            found = list(_numbers(wide(a), wide(b), b.dtype.kind, given, tolerance, places))
            if b.dtype != np.float64:  # shorter formats have no more digits than that
                found = [each for each in found if each.key not in FEWER_DIGITS]
    return sorted(found, key=lambda relation: relation.certainty)


def _relate_several(got: Any, want: Any, given: Given) -> list[Relation]:
    """Several values: in another order, or related one by one."""
    if len(got) != len(want):
        text = f"The number of results is another: {len(got)} come back, {len(want)} are wanted."
        return [Relation(("count", len(got)), text, "", 1)]
    if not all(map(is_array, (*got, *want))):
        return []
    pairs = [(values.to_numpy(x), values.to_numpy(y)) for x, y in zip(got, want, strict=True)]
    right = [near(a, b, 1e-6) for a, b in pairs]
    for order in itertools.permutations(range(len(want))):
        if order != tuple(range(len(want))) and all(
            near(pairs[i][0], pairs[j][1], 1e-6) for i, j in enumerate(order)
        ):
            places = ", ".join(str(j + 1) for j in order)
            return [
                Relation(
                    ("order", order),
                    f"The results are right but stand in another order: {places}.",
                    "Return them in the order the exercise gives.",
                    0,
                )
            ]
    found = []
    for number, (x, y, fine) in enumerate(zip(got, want, right, strict=True)):
        if fine and dtype_of(x) == dtype_of(y) and not kinds(x, y):
            continue
        for other in range(len(want)):
            if other != number and near(pairs[number][0], pairs[other][1], 1e-6):
                found.append(
                    Relation(
                        ("copy", number, other),
                        f"Value {number + 1} of the results equals the expected value {other + 1}.",
                        "Look which input, or which weight, it was made from.",
                        0,
                    )
                )
        axes = given.results[number] if number < len(given.results) else ()
        found += [
            Relation(
                (number, *each.key),
                f"Value {number + 1} of the results: {each.sentence}",
                each.advice,
                each.certainty,
            )
            for each in relate(x, y, replace(given, axes=axes))
        ]
    return found


def _relate_named(got: Any, want: Any, given: Given) -> list[Relation]:
    """Values under names: missing, too many, under another's name, or related one by one."""
    missing, extra = ([n for n in x if n not in y] for x, y in ((want, got), (got, want)))
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        return [Relation(("missing", *missing), f"There is no {names} in what comes back.", "", 1)]
    if extra:
        names = ", ".join(f"`{name}`" for name in extra)
        return [Relation(("extra", *extra), f"{names} should not be in what comes back.", "", 1)]
    found = []
    for name, x in got.items():
        y = want[name]
        if not (is_array(x) and is_array(y)) or _same(x, y):
            continue
        owners = [other for other, z in want.items() if is_array(z) and _same(x, z)]
        if owners:
            text = f"Under `{name}` stands what belongs under `{owners[0]}`."
            found.append(Relation(("under", name, owners[0]), text, "", 0))
            continue
        found += [
            Relation(
                ("under", name, *each.key), f"Under `{name}`: {each.sentence}", each.advice,
                each.certainty,
            )
            for each in relate(x, y, replace(given, axes=()))
        ]  # fmt: skip
    return found


def _same(x: Any, y: Any) -> bool:
    return near(values.to_numpy(x), values.to_numpy(y), 1e-6)


def _numbers(
    a: Array, b: Array, kind: str, given: Given, tol: float, places: bool
) -> Iterator[Relation]:
    wrong = ~agree(a, b, tol)
    if not wrong.any():
        yield from digits(a, b)
        return
    if b.size < 2:
        yield from one_factor(a, b, given, tol)
        return
    yield from not_finite(a, b, given)
    yield from number_for_infinity(a, b, tol)
    if kind == "f":
        yield from logarithm(a, b, tol)
    if np.isnan(a).any() or np.isinf(a).any():
        return
    if kind in "biu":
        yield from truth(a, b, given)
    yield from trivially(a, b, given, tol)
    if not np.isfinite(b).all():
        return
    if kind != "b":
        yield from one_factor(a, b, given, tol)
        yield from one_shift(a, b, given, tol)
        yield from along_an_axis(a, b, given, tol)
    if kind == "f":
        yield from one_function(a, b, tol)
        yield from rounded(a, b)
    elif kind != "b":
        yield from one_off(a, b, wrong)
    if places:
        yield from moved(a, b, kind, given, tol)
        yield from right_except(a, b, wrong, given)
