"""The right numbers in other places."""

import itertools
from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Given, Relation, near
from minitx.grading.judge.relations.shapes import from_end


def moved(a: Array, b: Array, kind: str, given: Given, tol: float) -> Iterator[Relation]:
    """The right numbers in other places."""
    for order in itertools.permutations(range(b.ndim)):
        if order == tuple(range(b.ndim)):
            continue
        turned = np.transpose(b, order)
        if turned.shape == a.shape and near(a, turned, tol):
            yield Relation(
                ("axes", from_end(order)),
                "It is the transpose of what is wanted."
                if b.ndim == 2
                else f"It is the expected with its axes in the order {order}.",
                "Rows and columns are exchanged: look at the last product, or at a transpose.",
                0,
            )
        elif kind == "f" and near(a.ravel(), turned.ravel(), tol):
            yield Relation(
                ("read", from_end(order)),
                f"The numbers are the right ones, read off in the order of the axes {order}: a "
                "view or reshape stands where axes must be moved.",
                "`view` and `reshape` move no axis, they only count anew: use transpose or permute "
                "first.",
                0,
            )
    for axis in range(b.ndim):
        name = given.axis(axis, b.ndim)
        if b.shape[axis] < 2:
            continue
        if near(a, np.flip(b, axis), tol):
            yield Relation(
                ("reversed", axis - b.ndim),
                f"It is the expected, back to front along {name}.",
                "Something counts from the end, or a comparison is turned round.",
                0,
            )
        for step in (1, -1):
            if b.shape[axis] > 2 and near(a, np.roll(b, step, axis), tol):
                yield Relation(
                    ("rolled", axis - b.ndim, step),
                    f"It is the expected, shifted by one along {name}.",
                    "Off by one: does the first entry stand at place 0?",
                    0,
                )
        if kind == "f" and b.shape[axis] > 2:
            places = _permutation(a, b, axis, tol)
            if places is not None:
                yield Relation(
                    ("permuted", axis - b.ndim),
                    f"Along {name} the slices are right but in the order {places}.",
                    "They were sorted, or written to the wrong places.",
                    2,
                )
    if kind == "f" and near(np.sort(a.ravel()), np.sort(b.ravel()), tol):
        yield Relation(
            ("moved",),
            "The numbers are the right ones, but stand in other places.",
            "Look for a view, reshape, transpose or sort.",
            4,
        )


def _permutation(a: Array, b: Array, axis: int, tol: float) -> tuple[int, ...] | None:
    mine, wanted = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    order = []
    for part in mine:
        fits = [j for j in range(len(wanted)) if near(part, wanted[j], tol)]
        if len(fits) != 1:
            return None
        order.append(fits[0])
    return tuple(order) if sorted(order) == list(range(len(order))) else None
