"""Results of another shape: axes lost, left over, turned or summed."""

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Given, Relation, near, wide


def shapes(a: Array, b: Array, given: Given, tolerance: float) -> Iterator[Relation]:
    mine, wanted = _named_shape(a.shape, given), _named_shape(b.shape, given, result=True)
    both = f"yours is {mine}, wanted is {wanted}"
    flat_a, flat_b = wide(a).ravel(), wide(b).ravel()
    ones = [tuple(n for n in x.shape if n != 1) for x in (a, b)]
    if ones[0] == ones[1] and near(flat_a, flat_b, tolerance):
        if a.ndim < b.ndim:
            word, advice = "an axis of length 1 is lost", "Take out squeeze(), or use keepdim."
        else:
            word = "there is an axis of length 1 too many"
            advice = "An index such as x[None], unsqueeze or keepdim left it there."
        yield Relation(("squeezed", a.ndim < b.ndim), f"Right, but {word}: {both}.", advice, 0)
        return
    for order in itertools.permutations(range(b.ndim)):
        turned = np.transpose(wide(b), order)
        if order != tuple(range(b.ndim)) and near(wide(a), turned, tolerance):
            yield Relation(
                ("axes", from_end(order)),
                f"It is the right result with its axes in another order: {both}.",
                "Turn the last step's axes back (transpose, permute, or swap the operands).",
                0,
            )
            return
    if a.size == b.size and near(flat_a, flat_b, tolerance):
        yield Relation(
            ("folded",),
            f"The numbers are right but folded into another shape: {both}.",
            "Unfold them at the end: reshape to the shape the exercise names.",
            0,
        )
        return
    yield from _reduced(a, b, given, tolerance, both)


def _reduced(a: Array, b: Array, given: Given, tolerance: float, both: str) -> Iterator[Relation]:
    if a.ndim == 0:
        yield from _one_number(a, b, given, tolerance, both)
        return
    for axis in range(b.ndim):
        name = given.axis(axis, b.ndim)
        for word, made in [
            ("sum", wide(b).sum(axis)),
            ("mean", wide(b).mean(axis)),
            ("largest", wide(b).max(axis)),
        ]:
            if a.size > 1 and near(wide(a).squeeze(), made.squeeze(), tolerance):
                yield Relation(
                    ("reduced", word, axis - b.ndim),
                    f"It is the {word} of the right result over {name}: {both}.",
                    "One reduction too many, or over an axis too many.",
                    0,
                )
        for word, index in [("first", 0), ("last", -1)]:
            part = np.take(wide(b), index, axis=axis)
            if near(wide(a).squeeze(), part.squeeze(), tolerance) and a.size > 1:
                yield Relation(
                    ("part", word, axis - b.ndim),
                    f"Only the {word} slice along {name} is returned: {both}.",
                    "Return all of them: an index or a loop that ends early drops the rest.",
                    0,
                )
    mine, wanted = _letters(a.shape, given), _letters(b.shape, given, result=True)
    known = mine and wanted and mine != wanted
    yield Relation(
        ("shape",),
        f"The shape is another: {both}.",
        _shape_advice(mine or (), wanted or ()) if known else "",
        4 if known else 9,
    )


def _one_number(a: Array, b: Array, given: Given, tol: float, both: str) -> Iterator[Relation]:
    """A result without axes."""
    for word, made in [
        ("first entry of the right result", b.flat[0]),
        ("last entry of the right result", b.flat[-1]),
        ("sum of the right result", wide(b).sum()),
        ("mean of the right result", wide(b).mean()),
        ("largest number of the right result", b.max()),
    ]:
        if near(a, np.asarray(made), tol):
            yield Relation(
                ("one number", word),
                f"One single number comes back, the {word}: {both}.",
                "A loop that is missing, an index, or a reduction too many leaves one number.",
                0,
            )
    yield Relation(
        ("one number",),
        f"One single number comes back: {both}.",
        "A loop that is missing, an index, or a reduction too many leaves one number.",
        2,
    )


def _shape_advice(mine: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    if sorted(mine) == sorted(wanted):
        return "The axes stand in another order."
    lost = [letter for letter in (Counter(wanted) - Counter(mine)).elements() if letter != "1"]
    extra = list((Counter(mine) - Counter(wanted)).elements())
    parts = []
    if lost and len(lost) == extra.count("1"):
        parts.append(f"Of the axis {' and the axis '.join(lost)} one entry is left.")
    elif lost:
        parts.append(f"No axis {' and no axis '.join(lost)} is left.")
    for letter in dict.fromkeys(extra):
        if letter in wanted:
            parts.append(f"There is an axis {letter} too many.")
        elif letter != "1":
            parts.append(f"The axis {letter} should not be there.")
    parts.append("Write the shape of every line beside it and see where they part.")
    return " ".join(parts)


def _letters(
    shape: tuple[int, ...], given: Given, *, result: bool = False
) -> tuple[str, ...] | None:
    """The letters of a shape; None where they cannot be told apart by their lengths."""
    if result and given.axes and len(given.axes) == len(shape):
        return given.axes
    found = []
    for length in shape:
        fits = [letter for letter, size in given.sizes.items() if size == length]
        fits += [words for words, size in given.others() if size == length]
        numbers = [n for n, x in given.numbers() if x == length and n not in given.sizes]
        fits += numbers
        if length == 1:
            fits = ["1"]
        elif numbers and not given.axes:  # a result of any length equals some number by chance
            return None
        if len(fits) != 1:
            return None
        found.append(fits[0])
    return tuple(found)


def _named_shape(shape: tuple[int, ...], given: Given, *, result: bool = False) -> str:
    letters = _letters(shape, given, result=result)
    plain = str(tuple(shape))
    if not letters or set(letters) == {"1"}:
        return plain
    return f"{plain} = ({', '.join(letters)}{',' if len(letters) == 1 else ''})"


def from_end(order: tuple[int, ...]) -> tuple[int, ...]:
    """A permutation with its leading unmoved axes left out, so that it fits fewer axes too."""
    start = 0
    while start < len(order) and order[start] == start:
        start += 1
    return tuple(i - len(order) for i in order[start:])
