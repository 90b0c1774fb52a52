"""How what came out is related to what should have: a factor, a turned axis, a place.

Pure functions of arrays. A relation found on one pair proves little; whoever asks keeps those
whose *key* is found on every pair that differs. The keys therefore speak of axes and arguments by
name (`√D_k`), never of one pair's numbers.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minitx.grading import values

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
_SINGLE_DIGITS = 3e-6  # a few operations in float32: 2⁻²⁴ = 6e-8 each, with room for sums
_FINEST = 5e-12  # float64 itself loses less than that in sums of these lengths
_BELOW_SINGLE = 1e-8  # a sixth of what rounding to float32 does
_LARGE = 80.0  # e⁸⁸ is the end of float32, e⁷¹⁰ that of float64


@dataclass(frozen=True)
class Relation:
    """One way in which two results hang together."""

    key: tuple[Any, ...]  # the same on every pair where the same thing is wrong
    sentence: str
    advice: str = ""
    certainty: int = 5  # 0 is surest


@dataclass(frozen=True)
class Given:
    """What is known of the call: axis lengths by letter, and its arguments by name."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    axes: tuple[str, ...] = ()  # letters of the result's last axes
    results: tuple[tuple[str, ...], ...] = ()  # the same for several results

    def axis(self, index: int, ndim: int) -> str:
        """The name of an axis of the result: "T_k" or "axis 1"."""
        place = index - ndim + len(self.axes)
        return self.axes[place] if 0 <= place < len(self.axes) else f"axis {index}"

    def arrays(self, kinds: str) -> Iterator[tuple[str, Array]]:
        """Arguments that are arrays of these dtype kinds."""
        for name, value in self.arguments.items():
            if (isinstance(value, np.ndarray) or values.is_tensor(value)) and (
                values.dtype_kind(value) in kinds
            ):
                yield name, values.to_numpy(value)

    def others(self) -> Iterator[tuple[str, int]]:
        """Lengths that are no axis of an argument but are easily taken for one."""
        for name, x in self.arrays("i"):
            if x.size:
                yield f"the largest of {name}", int(x.max())
        for one, n in self.sizes.items():
            for other, m in self.sizes.items():
                if one < other and n > 1 and m > 1:
                    yield f"{one}·{other}", n * m

    def numbers(self) -> Iterator[tuple[str, float]]:
        """Arguments that are one number."""
        for name, value in self.arguments.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield name, float(value)


def relate(got: Any, want: Any, given: Given, *, places: bool = True) -> list[Relation]:
    """Every relation that holds between two values that differ, the surest first.

    Args:
        got: what came out.
        want: what should have.
        given: the call.
        places: whether to look where in the result the numbers stand, too; that takes longest.
    """
    other_kind = _kind(got, want)
    if other_kind:
        return other_kind
    if type(got) in (tuple, list) and type(want) in (tuple, list):
        return _relate_several(got, want, given)
    if not (_is_array(got) and _is_array(want)):
        return []
    a, b = values.to_numpy(got), values.to_numpy(want)
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf" or 0 in (a.size, b.size):
        return []
    tolerance = max(
        TOLERANCE.get(values.dtype_name(x), 1e-6) if hasattr(x, "dtype") else 1e-6
        for x in (got, want)
    )
    with np.errstate(all="ignore"):
        found = list(_dtype(got, want, a, b, tolerance))
        if not found and a.shape != b.shape:
            found = list(_shapes(a, b, given, tolerance))
        elif not found:
            found = list(_numbers(_wide(a), _wide(b), b.dtype.kind, given, tolerance, places))
    return sorted(found, key=lambda relation: relation.certainty)


def near(a: Array, b: Array, tolerance: float) -> bool:
    """Same shape, and the same numbers up to a relative tolerance; NaN equals NaN."""
    return a.shape == b.shape and bool(_agree(a, b, tolerance).all())


def _agree(a: Array, b: Array, tolerance: float) -> Array:
    """Where two arrays of one shape agree."""
    a, b = _wide(a), _wide(b)
    finite = np.isfinite(b)
    largest = float(np.max(np.abs(b), where=finite, initial=0.0))
    with np.errstate(all="ignore"):
        close = np.abs(a - b) <= tolerance * np.abs(b) + 1e-3 * tolerance * largest
    result: Array = np.where(finite, close, (a == b) | (np.isnan(a) & np.isnan(b)))
    return result


def _wide(x: Array) -> Array:
    return np.asarray(x, dtype=np.float64)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | int | float) or values.is_tensor(value)


def _kind(got: Any, want: Any) -> list[Relation]:
    """Numbers in another vessel: a list for an array, NumPy for torch, one for several."""
    if type(want) is tuple and _is_array(got):
        text = f"One {_vessel(got)} comes back, where a tuple of {len(want)} values is wanted."
        advice = "Return them one after the other: `return a, b` makes a tuple."
        return [Relation(("kind", "one"), text, advice, 1)]
    if not hasattr(want, "shape"):
        return []
    mine, wanted = _vessel(got), _vessel(want)
    maker = "torch.tensor(…)" if values.is_tensor(want) else "np.array(…)"
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
    if _is_array(got) and hasattr(got, "dtype"):
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


def _relate_several(got: Any, want: Any, given: Given) -> list[Relation]:
    """Several values: in another order, or related one by one."""
    if len(got) != len(want):
        text = f"The number of results is another: {len(got)} come back, {len(want)} are wanted."
        return [Relation(("count", len(got)), text, "", 1)]
    if not all(map(_is_array, (*got, *want))):
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
        if fine and _dtype_of(x) == _dtype_of(y) and not _kind(x, y):
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


# --- dtype -----------------------------------------------------------------------------------


def _dtype_of(value: Any) -> str:
    return values.dtype_name(value) if hasattr(value, "dtype") else type(value).__name__


def _dtype(got: Any, want: Any, a: Array, b: Array, tolerance: float) -> Iterator[Relation]:
    mine, wanted = _dtype_of(got), _dtype_of(want)
    if mine == wanted or a.shape != b.shape:
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
    elif near(_wide(a), _wide(b), tolerance):
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


# --- shape -----------------------------------------------------------------------------------


def _shapes(a: Array, b: Array, given: Given, tolerance: float) -> Iterator[Relation]:
    mine, wanted = _named_shape(a.shape, given), _named_shape(b.shape, given, result=True)
    both = f"yours is {mine}, wanted is {wanted}"
    flat_a, flat_b = _wide(a).ravel(), _wide(b).ravel()
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
        turned = np.transpose(_wide(b), order)
        if order != tuple(range(b.ndim)) and near(_wide(a), turned, tolerance):
            yield Relation(
                ("axes", _from_end(order)),
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
            ("sum", _wide(b).sum(axis)),
            ("mean", _wide(b).mean(axis)),
            ("largest", _wide(b).max(axis)),
        ]:
            if a.size > 1 and near(_wide(a).squeeze(), made.squeeze(), tolerance):
                yield Relation(
                    ("reduced", word, axis - b.ndim),
                    f"It is the {word} of the right result over {name}: {both}.",
                    "One reduction too many, or over an axis too many.",
                    0,
                )
        for word, index in [("first", 0), ("last", -1)]:
            part = np.take(_wide(b), index, axis=axis)
            if near(_wide(a).squeeze(), part.squeeze(), tolerance) and a.size > 1:
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
        ("sum of the right result", _wide(b).sum()),
        ("mean of the right result", _wide(b).mean()),
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
    lost = list((Counter(wanted) - Counter(mine)).elements())
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
    """The letters of a shape; None where one length belongs to no letter or to several."""
    if result and given.axes and len(given.axes) == len(shape):
        return given.axes
    found = []
    for length in shape:
        fits = [letter for letter, size in given.sizes.items() if size == length]
        fits += [words for words, size in given.others() if size == length]
        if length == 1:
            fits = ["1"]
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


def _from_end(order: tuple[int, ...]) -> tuple[int, ...]:
    """A permutation with its leading unmoved axes left out, so that it fits fewer axes too."""
    start = 0
    while start < len(order) and order[start] == start:
        start += 1
    return tuple(i - len(order) for i in order[start:])


# --- numbers ---------------------------------------------------------------------------------


def _numbers(
    a: Array, b: Array, kind: str, given: Given, tol: float, places: bool
) -> Iterator[Relation]:
    wrong = ~_agree(a, b, tol)
    if not wrong.any():
        yield from _digits(a, b)
        return
    if b.size < 2:
        yield from _factor(a, b, given, tol)
        return
    yield from _not_finite(a, b, given)
    if kind == "f":
        yield from _logarithm(a, b, tol)
    if np.isnan(a).any() or np.isinf(a).any():
        return
    if kind in "biu":
        yield from _truth(a, b, given)
    yield from _trivial(a, b, given, tol)
    if not np.isfinite(b).all():
        return
    if kind == "f":
        yield from _factor(a, b, given, tol)
        yield from _shift(a, b, given, tol)
        yield from _along_an_axis(a, b, given, tol)
        yield from _curve(a, b, tol)
        yield from _rounded(a, b)
    if places:
        yield from _moved(a, b, kind, given, tol)
        yield from _places(a, b, wrong, given)


def _rounded(a: Array, b: Array) -> Iterator[Relation]:
    """Every entry cut to so many places behind the point."""
    for places in range(1, 7):
        unit = 10.0**-places
        whole = near(a, np.round(a, places), 1e-12)
        if whole and np.all(np.abs(a - b) <= 0.5001 * unit) and np.ptp(a) > 0 and a.size > 2:
            yield Relation(
                ("rounded", places),
                f"It is the expected, rounded to {places} places behind the point.",
                "Round for showing only (in the print), never in the function.",
                1,
            )
            return


def _digits(a: Array, b: Array) -> Iterator[Relation]:
    """Right to the digits of a shorter number format only; the tolerance above is coarser."""
    finite = np.isfinite(b)
    scale = float(np.max(np.abs(b), where=finite, initial=0.0))
    error = float(np.max(np.abs(a - b), where=finite, initial=0.0))
    if not _FINEST * scale < error:
        return
    used = finite & (b != 0)
    ratio = a[used] / b[used]
    # Rounding to float32 goes up and down; what is added to a divisor goes one way.
    one_way = ratio.size >= 8 and (bool((ratio < 1).all()) or bool((ratio > 1).all()))
    if error < _BELOW_SINGLE * scale or (one_way and error < _SINGLE_DIGITS * scale):
        digits = math.floor(-math.log10(error / scale))
        yield Relation(
            ("small number",),
            f"It is right to about {digits} digits only (off by {error:.1e}), where float64 has "
            "16: a small number is added somewhere, or a constant has too few digits.",
            "Leave an eps such as 1e-6 or 1e-9 out. What it should prevent, 0/0, is a case of its "
            "own.",
            0,
        )
    elif scale and 1e-9 * scale < error < _SINGLE_DIGITS * scale:
        yield Relation(
            ("seven digits",),
            f"It is right to about 7 digits only (off by {error:.1e}): somewhere on the way the "
            "numbers were float32, although float64 goes in and out.",
            "Look for .float(), np.float32, or a tensor made without dtype= and device= of the "
            "input.",
            0,
        )


def _not_finite(a: Array, b: Array, given: Given) -> Iterator[Relation]:
    if np.array_equal(np.isnan(a), b < 0) and (b < 0).any():
        yield Relation(
            ("NaN", "negative"),
            "There is NaN exactly where the expected is negative: a root, a logarithm or a "
            "fractional power was taken of it.",
            "Take that step out: the result may be negative.",
            0,
        )
        return
    for word, bad in [
        ("NaN", np.isnan(a) & ~np.isnan(b)),
        ("inf", np.isinf(a) & np.isfinite(b)),
    ]:
        if not bad.any():
            continue
        for key, words, region in _regions(b, given):
            if (
                key[0] in ("nothing allowed", "forbidden")
                and not (bad & ~region).any()
                and (bad[region].all())
            ):
                advice = (
                    "With nothing allowed every exponential is 0 and the fraction is 0/0 (or the "
                    "row's maximum is -∞, and -∞ − (-∞) is NaN). Decide what stands there before "
                    "you divide."
                    if key[0] == "nothing allowed"
                    else "0 · ∞ or -∞ − (-∞) gives NaN: let no infinity meet a product."
                )
                yield Relation((word, *key), f"There is {word} {words}.", advice, 0)
                return
        loud = [(name, float(np.nanmax(np.abs(x)))) for name, x in given.arrays("f") if x.size]
        name, top = max(loud, key=lambda pair: pair[1], default=("", 0.0))
        if top > _LARGE:
            yield Relation(
                (word, "large"),
                f"Large numbers end in {word}: `{name}` holds numbers up to {top:.4g} in size. exp "
                "of such a score is ∞ (from e^710 on in float64, e^88 in float32), or 0 if it is "
                "negative, and then ∞/∞ or 0/0 follows.",
                "Subtract each row's own largest score before exp: not that of the whole array, "
                "not 0, no other number. Then the largest exponent is 0 in every row.",
                1,
            )
        elif bad.all():
            yield Relation(
                (word, "everywhere"),
                f"Every entry is {word}.",
                "Print each intermediate result: the first line that shows it is the one. 0/0, "
                "∞ − ∞, 0 · ∞, log of 0 and the root of a negative number make NaN.",
                3,
            )
        return


def _truth(a: Array, b: Array, given: Given) -> Iterator[Relation]:
    if np.isin(b, (0, 1)).all() and np.array_equal(a, 1 - b):
        yield Relation(
            ("opposite",),
            "Every entry is the opposite of what is wanted: True where False belongs.",
            "Turn the comparison round, or take `~` off: True means may attend.",
            0,
        )
    if b.ndim != 2 or not np.isin(a, (0, 1)).all():
        return
    yield from _triangle(a, b, given)
    yield from _one_per_row(a, b)
    more, less = _rows_longer(a, b)
    if more or less:
        step = more or -less
        word = "too many" if step > 0 else "too few"
        yield Relation(
            ("rows longer", step),
            f"Every row holds {abs(step)} True {word}.",
            "Off by one: is it `<` where `<=` belongs, or the reverse?",
            1,
        )
    if not np.array_equal(a, b) and np.array_equal(_sorted_rows(a), _sorted_rows(b)):
        yield Relation(
            ("rows moved",),
            "The rows are the right ones but stand in another order.",
            "They were sorted, or written to the wrong places.",
            2,
        )


def _one_per_row(a: Array, b: Array) -> Iterator[Relation]:
    """Of the Trues of each row only the first, or only the last."""
    if (b.sum(1) < 2).all():
        return
    for word, count in [("first", b.cumsum(1)), ("last", b[:, ::-1].cumsum(1)[:, ::-1])]:
        if np.array_equal(a, (b != 0) & (count == 1)):
            yield Relation(
                ("one per row", word),
                f"Of the True of each row only the {word} one is there.",
                "`==` picks one place, `<` or `<=` all up to it.",
                0,
            )


def _triangle(a: Array, b: Array, given: Given) -> Iterator[Relation]:
    """A table of `column (compared with) row + shift`: which comparison, which shift?"""
    rows, columns = b.shape
    one, other = given.axis(0, 2), given.axis(1, 2)
    place = np.arange(columns) - np.arange(rows)[:, None]
    ahead = columns - rows
    shifts = {
        "i": 0,
        f"i + {other} − {one}": ahead,
        f"i + {one} − {other}": -ahead,
        "i + 1": 1,
        "i − 1": -1,
        f"i + {other} − {one} + 1": ahead + 1,
        f"i + {other} − {one} − 1": ahead - 1,
    }
    tests: dict[str, Callable[[Array, int], Array]] = {
        "≤": lambda x, n: x <= n,
        "<": lambda x, n: x < n,
        "≥": lambda x, n: x >= n,
        ">": lambda x, n: x > n,
        "=": lambda x, n: x == n,
    }
    for sign, test in tests.items():
        for words, shift in shifts.items():
            if np.array_equal(a, test(place, shift)):
                yield Relation(
                    ("triangle", sign, words),
                    f"Your table is True where j {sign} {words}, for row i and column j.",
                    "Draw the table for 2 rows and 5 columns, then for 3 rows and 2 columns, and "
                    "compare it with the formula of the exercise.",
                    0,
                )


def _rows_longer(a: Array, b: Array) -> tuple[int, int]:
    """By how many entries every row of Trues is longer, or shorter, where there was room."""
    if not all((np.diff(x.astype(int), axis=1) <= 0).all() for x in (a, b)):
        return 0, 0
    mine, wanted, width = a.sum(1), b.sum(1), b.shape[1]
    for step in (1, 2):
        if np.array_equal(mine, np.minimum(wanted + step, width)):
            return step, 0
        if np.array_equal(mine, np.maximum(wanted - step, 0)):
            return 0, step
    return 0, 0


def _sorted_rows(x: Array) -> Array:
    return np.array(sorted(x.tolist()))


def _trivial(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    """Nothing but one number, or an argument as it came."""
    for name, x in given.arrays("bf"):
        if x.shape == a.shape and near(a, _wide(x), tol):
            yield Relation(
                ("argument", name),
                f"`{name}` comes back as it went in.",
                "Check that the steps in between are used, and that the right name is returned.",
                0,
            )
        for axis in range(x.ndim):
            if x.dtype.kind != "f" or x.shape[axis] < 2:
                continue
            mean = _wide(x).mean(axis, keepdims=True)
            for shown in (mean, mean.squeeze(axis)):
                if not (_fits(shown, a) and min(np.ptp(a), np.ptp(b)) > 0):
                    continue
                if near(a, np.broadcast_to(shown, a.shape), tol):
                    yield Relation(
                        ("average", name, axis - x.ndim),
                        f"It is the plain average of `{name}` over its axis {axis}: every weight "
                        "is the same.",
                        "The scores have no effect: are they all equal, or is the softmax taken "
                        "over an axis of its own?",
                        1,
                    )
                    break
    if np.ptp(a) == 0 and np.ptp(b) > 0:
        number = float(a.flat[0])
        names = [f"1/{letter}" for letter, n in given.sizes.items() if n > 1 and number == 1 / n]
        if a.dtype.kind and set(np.unique(b)) <= {0.0, 1.0} and number in (0.0, 1.0):
            shown = str(bool(number))
        else:
            shown = f"{number:.4g}" + (f" = {names[0]}" if names else "")
        yield Relation(
            ("constant", names[0] if names else number),
            f"Every entry is {shown}, whatever goes in.",
            "Follow one entry through the lines: from where on are they all the same?",
            1,
        )
        return
    if a.ndim >= 1:
        for axis in range(a.ndim):
            if (
                a.shape[axis] > 1
                and (np.ptp(a, axis=axis) == 0).all()
                and np.ptp(b, axis=axis).any()
            ):
                name = given.axis(axis, a.ndim)
                first = near(np.take(a, 0, axis=axis), np.take(b, 0, axis=axis), tol)
                last = near(np.take(a, -1, axis=axis), np.take(b, -1, axis=axis), tol)
                if first or last:
                    word = "first" if first else "last"
                    yield Relation(
                        ("repeated", axis - a.ndim, word),
                        f"Along {name} every slice equals the {word} one: only it is right.",
                        "An index such as [0], or a line inside the wrong loop, makes one do for "
                        "all.",
                        0,
                    )
                else:
                    yield Relation(
                        ("repeated", axis - a.ndim, ""),
                        f"Along {name} all slices are equal, which they should not be.",
                        "Somewhere this axis was summed, averaged or broadcast.",
                        3,
                    )


def _fits(x: Array, a: Array) -> bool:
    try:
        return np.broadcast_shapes(x.shape, a.shape) == a.shape
    except ValueError:
        return False


def _factor(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    usable = np.isfinite(b) & (b != 0)
    if not usable.any() or not np.isfinite(a).all():
        return
    ratio = float(np.median(a[usable] / b[usable]))
    if ratio == 0 or abs(ratio - 1) < 10 * tol or not near(a, ratio * b, tol):
        return
    if abs(ratio + 1) < tol:
        yield Relation(("factor", "-1"), "Everywhere the sign is the opposite.", "", 0)
        return
    named = list(_names_of(ratio, given, tol))
    for name, advice in named:
        yield Relation(
            ("factor", name),
            f"Yours is {_short(ratio)} = {name} times the expected, everywhere"
            f"{_where_letters(name, given)}.",
            advice,
            0,
        )
    if b.size > 1:
        yield Relation(
            ("factor", float(f"{ratio:.4g}")),
            f"Yours is {_short(ratio)} times the expected, everywhere.",
            "One factor is too many or missing.",
            2,
        )
        yield Relation(
            ("some factor",),
            f"Everywhere yours is off by one factor ({_short(ratio)} in one call, another in "
            "others).",
            "The factor depends on the sizes of the inputs: from which length is it computed?",
            3,
        )


def _names_of(ratio: float, given: Given, tol: float) -> Iterator[tuple[str, str]]:
    """Names under which a learner may know a factor, and what to do about each."""
    known: list[tuple[str, float, str]] = []
    for letter, n in given.sizes.items():
        if n < 2:
            continue
        known += [
            (f"√{letter}", math.sqrt(n), f"A division by √{letter} is missing."),
            (
                f"1/√{letter}",
                1 / math.sqrt(n),
                f"The root of {letter} is divided by once too often.",
            ),
            (
                letter,
                float(n),
                f"A division by {letter} is missing, √{letter} is multiplied in where it should "
                "divide, or a sum stands for a mean.",
            ),
            (f"1/{letter}", 1 / n, f"{letter} is divided by once too often."),
        ]
    for one, n in given.sizes.items():
        for other, m in given.sizes.items():
            if n > 1 and m > 1 and n != m:
                known.append(
                    (
                        f"√({one}/{other})",
                        math.sqrt(n / m),
                        f"It is divided by √{other} in place of √{one}.",
                    )
                )
    for name, x in given.numbers():
        if name in given.sizes or x in (0.0, 1.0) or not math.isfinite(x):
            continue
        known += [
            (name, x, f"A division by {name} is missing."),
            (f"1/{name}", 1 / x, f"{name} is divided by once too often."),
            (f"{name}²", x * x, f"It is multiplied by {name} where it is to be divided by it."),
        ]
    known += [
        ("ln 2", math.log(2), "A base-2 function stands where the natural one is wanted."),
        ("log₂ e", 1 / math.log(2), "A base-2 function stands where the natural one is wanted."),
        ("2", 2.0, "Something is counted twice."),
        ("1/2", 0.5, "A factor 1/2 is too many."),
    ]
    for name, value, advice in known:
        if math.isclose(abs(ratio), abs(value), rel_tol=max(tol, 1e-9)):
            yield (name if ratio > 0 else f"-{name}"), advice


def _where_letters(name: str, given: Given) -> str:
    for letter, n in given.sizes.items():
        if letter in name and name.strip("-1/√²") == letter:
            return f": {letter} = {n} here"
    return ""


def _short(number: float) -> str:
    return f"{number:.4g}"


def _shift(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    shift = float(np.median(a - b))
    if shift == 0 or np.ptp(b) <= tol * float(np.abs(b).max()):
        return
    if np.all(np.abs(a - b - shift) <= tol * np.maximum(np.abs(b), abs(shift))):
        word = "large" if shift > 0 else "small"
        yield Relation(
            ("shift", float(f"{shift:.4g}")),
            f"Everywhere it is {abs(shift):.4g} too {word}.",
            "A constant is added once too often, or not at all.",
            1,
        )


def _along_an_axis(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    """A factor, or a difference, of its own for every row: a normaliser."""
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
            f"Each slice along {name} is off by a factor of its own, {_short(low)} to "
            f"{_short(high)}.",
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
    return f"1 {total - 1:+.1e}" if abs(total - 1) < 1e-3 else _short(total)


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


def _logarithm(a: Array, b: Array, tol: float) -> Iterator[Relation]:
    """The logarithm, whatever stands for that of 0; rows of nothing but 0 may hold anything."""
    rows = np.broadcast_to(b.any(-1, keepdims=True), b.shape)
    if (b >= 0).all() and rows.any() and near(np.exp(a[rows]), b[rows], tol):
        yield Relation(
            ("curve", "log"),
            "Yours is the logarithm of the expected.",
            "Leave the logarithm out at the end (log_softmax is not softmax).",
            0,
        )


def _curve(a: Array, b: Array, tol: float) -> Iterator[Relation]:
    """One function applied to every entry, too many or too few."""
    for name, curve, words, advice in _CURVES:
        if near(a, curve(b), tol) and not near(b, curve(b), tol):
            yield Relation(("curve", name), f"Yours is {words}.", advice, 1)
    if any(_logarithm(a, b, tol)):
        return  # softmax, exp and the like of a logarithm give b as well
    for name, curve, words, advice in _MISSING:
        if near(curve(a), b, tol):
            yield Relation(("missing curve", name), f"The right result is {words}.", advice, 1)


def _moved(a: Array, b: Array, kind: str, given: Given, tol: float) -> Iterator[Relation]:
    """The right numbers in other places."""
    for order in itertools.permutations(range(b.ndim)):
        if order == tuple(range(b.ndim)):
            continue
        turned = np.transpose(b, order)
        if turned.shape == a.shape and near(a, turned, tol):
            yield Relation(
                ("axes", _from_end(order)),
                "It is the transpose of what is wanted."
                if b.ndim == 2
                else f"It is the expected with its axes in the order {order}.",
                "Rows and columns are exchanged: look at the last product, or at a transpose.",
                0,
            )
        elif kind == "f" and near(a.ravel(), turned.ravel(), tol):
            yield Relation(
                ("read", _from_end(order)),
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


# --- places ----------------------------------------------------------------------------------


def _places(a: Array, b: Array, wrong: Array, given: Given) -> Iterator[Relation]:
    """Right except at some places, where these can be named."""
    if wrong.all():
        return
    for key, words, region in _regions(b, given):
        inside = wrong & region
        share = 0.1 if key[0] == "entry" else 0.6
        if (
            not region.all()
            and not (wrong & ~region).any()
            and inside.sum() >= share * region.sum()
        ):
            there = a[wrong]
            number = float(there.flat[0])
            shown = ""
            if np.ptp(there) == 0:
                text = str(bool(number)) if set(np.unique(b)) <= {0.0, 1.0} else _short(number)
                shown = f", where {text} stands"
            count = f" ({int(wrong.sum())} of {wrong.size} entries are wrong)"
            yield Relation(
                ("except", *key), f"It is right except {words}{shown}{count}.", _REMEDY[key[0]], 2
            )


_REMEDY = {
    "forbidden": "A forbidden key must get exactly 0: its score must leave before the softmax.",
    "allowed": "What is allowed must be compared and normalised among itself.",
    "nothing allowed": "A row with nothing allowed is a case of its own: zeros belong there.",
    "loud": "Large scores: subtract each row's own largest score before exp.",
    "diagonal": "A token sees itself: is it < where <= belongs, or a diagonal off by one?",
    "after": "Those are the later keys: look at the comparison of key and query positions.",
    "before": "Those are the earlier keys: look at the comparison of key and query positions.",
    "entry": "A case at the end of the range: look at the comparison, or at a special case.",
    "index": "A loop or a slice begins or ends one too early, or an index stands still.",
}


def _regions(b: Array, given: Given) -> Iterator[tuple[tuple[Any, ...], str, Array]]:
    """Places that have a name: (key, words, where)."""
    for name, mask in given.arrays("b"):
        if mask.ndim == 0:
            continue
        empty = np.asarray(~mask.any(-1, keepdims=True))
        if _fits(mask, b):
            yield ("nothing allowed",), "in rows where nothing is allowed", _spread(empty, b)
            yield ("forbidden",), f"where `{name}` forbids", _spread(~mask, b)
            yield ("allowed",), f"where `{name}` allows", _spread(mask, b)
        elif mask.ndim <= b.ndim and _fits(empty, b):
            yield ("nothing allowed",), "in rows where nothing is allowed", _spread(empty, b)
    for name, x in given.arrays("i"):
        if x.ndim == 1 and b.ndim > 1 and x.shape[0] == b.shape[0]:
            column = x.reshape(-1, *[1] * (b.ndim - 1))
            for words, here in [
                ("0", column == 0),
                ("the largest possible", column == b.shape[-1]),
                ("not the first", np.arange(len(x)).reshape(column.shape) > 0),
            ]:
                yield ("entry", words, name), f"where `{name}` is {words}", _spread(here, b)
    for _, x in given.arrays("f"):
        if x.shape == b.shape and x.ndim:
            loud = np.abs(x).max(-1, keepdims=True) > _LARGE
            yield ("loud",), f"in rows with numbers beyond {_LARGE:.0f}", _spread(loud, b)
    if b.ndim >= 2:
        rows, columns = b.shape[-2:]
        offset = np.arange(columns) - np.arange(rows)[:, None]
        for aligned in dict.fromkeys((0, columns - rows)):
            yield ("diagonal",), "on the diagonal", _spread(offset == aligned, b)
            yield ("after",), "to the right of the diagonal", _spread(offset > aligned, b)
            yield ("before",), "to the left of the diagonal", _spread(offset < aligned, b)
    for axis in range(b.ndim):
        n = b.shape[axis]
        name = given.axis(axis, b.ndim)
        place = np.expand_dims(np.arange(n), tuple(i for i in range(b.ndim) if i != axis))
        if n >= 2:
            for word, here in [("first", place == 0), ("last", place == n - 1)]:
                yield (
                    ("index", word, axis - b.ndim),
                    f"at the {word} place along {name}",
                    _spread(here, b),
                )
                if n > 2:
                    yield (
                        ("index", f"all but {word}", axis - b.ndim),
                        f"at all places but the {word} along {name}",
                        _spread(~here, b),
                    )


def _spread(where: Array, b: Array) -> Array:
    return np.broadcast_to(where, b.shape)
