"""Which calls go wrong: where T_q ≠ T_k, with a mask, in half precision, for large numbers."""

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.judge.probes import Probe

_LARGE = 80.0
_FEWEST_RIGHT = 2
_SHORT = 16  # lengths up to here are short


@dataclass(frozen=True)
class _Asked:
    """A call's lengths and all its arguments, those included that were left out."""

    sizes: Mapping[str, int]
    arguments: Mapping[str, Any]
    refused: bool  # whether the exercise wants an exception


@dataclass(frozen=True)
class Condition:
    """A property of a call, in words that complete "It is right except"."""

    key: tuple[object, ...]
    words: str
    holds: Callable[[_Asked], bool]
    special: bool = True


def telling(
    wrong: Sequence[Probe],
    right: Sequence[Probe],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Condition | None:
    """A property that all wrong calls have and no right one has; the most special first.

    What every call has that the exercise allows is no such property: a probability is always
    between 0 and 1. So the right calls must show that something else is allowed. A parameter that
    is left out has its usual value.
    """
    if not wrong or len(right) < _FEWEST_RIGHT:
        return None
    bad, good = ([_asked(probe, defaults) for probe in probes] for probes in (wrong, right))
    for condition in _conditions(bad, good):
        enough = condition.special or len(wrong) > 1  # one call has many properties
        fits = all(map(condition.holds, bad)) and not any(map(condition.holds, good))
        if condition.key[0] == "not 1" and _others_differ(str(condition.key[1]), bad, good):
            continue
        if enough and fits:
            return condition
    return None


def _asked(probe: Probe, defaults: Mapping[str, Any]) -> _Asked:
    refused = probe.want.kind == "raised"
    return _Asked(probe.given.sizes, {**defaults, **probe.arguments}, refused)


def _others_differ(name: str, wrong: Sequence[_Asked], right: Sequence[_Asked]) -> bool:
    """Whether another whole number sets the calls that go wrong apart as well."""

    def numbers(probes: Sequence[_Asked], other: str) -> set[object]:
        return {probe.arguments.get(other) for probe in probes}

    return any(
        type(value) is int and other != name and not numbers(wrong, other) & numbers(right, other)
        for other, value in wrong[0].arguments.items()
    )


def _conditions(wrong: Sequence[_Asked], right: Sequence[_Asked]) -> Iterator[Condition]:
    first = wrong[0]
    # What has no usual value and is not in a call at all is no choice of whoever called: a weight.
    choices = {
        name: value
        for name, value in first.arguments.items()
        if all(name in probe.arguments for probe in right)
    }
    for name, value in choices.items():
        others = [probe.arguments.get(name) for probe in right if not probe.refused]
        yield from _of_argument(name, value, others)
    sizes = first.sizes
    for letter in sizes:
        yield Condition(
            ("one", letter),
            f"where {letter} = 1",
            _on_size(letter, lambda n: n == 1),
        )
    for one, other in itertools.combinations(sizes, 2):
        if not _comparable(one, other):
            continue
        for key, words, test in [
            # ≠ first: where no call with > was asked, < is more than is known.
            ("unequal", f"where {one} ≠ {other}", lambda a, b: a != b),
            ("less", f"where {one} < {other}", lambda a, b: a < b),
            ("more", f"where {one} > {other}", lambda a, b: a > b),
            ("equal", f"where {one} = {other}", lambda a, b: a == b),
        ]:
            yield Condition((key, one, other), words, _on_sizes(one, other, test), key != "equal")
    for letter in sizes:
        longest = max(probe.sizes.get(letter, 0) for probe in right)
        yield Condition(
            ("long", letter),
            f"where {letter} is beyond {longest}",
            _on_size(letter, partial(operator.lt, max(longest, _SHORT))),
            special=False,
        )
    for name, value in choices.items():
        axes = len(getattr(value, "shape", ()))
        if any(hasattr(probe.arguments.get(name), "shape") for probe in right):  # or it is given
            yield Condition(
                ("axes", name, axes),
                f"where `{name}` has {axes} {'axis' if axes == 1 else 'axes'}",
                _on_argument(name, partial(_has_axes, axes)),
                special=False,
            )
        yield Condition(
            ("given", name),
            f"where `{name}` is given",
            _on_argument(name, lambda x: x is not None),
        )


def _comparable(one: str, other: str) -> bool:
    """Two lengths of one kind: T_q and T_k, D_k and D_v; or two axes that hold several things."""
    stems = {one.split("_")[0], other.split("_")[0]}
    return len(stems) == 1 or stems <= {"B", "H", "T"}


def _on_size(letter: str, test: Callable[[int], bool]) -> Callable[[_Asked], bool]:
    return lambda probe: test(probe.sizes.get(letter, 0))


def _on_argument(name: str, test: Callable[[object], bool]) -> Callable[[_Asked], bool]:
    return lambda probe: test(probe.arguments.get(name))


def _has_axes(count: int, value: object) -> bool:
    return len(getattr(value, "shape", ())) == count


def _on_sizes(one: str, other: str, test: Callable[[int, int], bool]) -> Callable[[_Asked], bool]:
    def holds(probe: _Asked) -> bool:
        sizes = probe.sizes
        return one in sizes and other in sizes and test(sizes[one], sizes[other])

    return holds


def _of_argument(name: str, value: object, others: Sequence[object]) -> Iterator[Condition]:
    on = partial(_on_argument, name)
    if value is None:
        yield Condition(("none", name), f"where `{name}` is None", on(lambda x: x is None))
        return
    if isinstance(value, int | float) and not isinstance(value, bool):
        for words, test in _NUMBERS:
            if words == "between 0 and 1" and not any(map(_is_outside, others)):
                continue
            yield Condition((words, name), f"where `{name}` is {words}", on(test))
        return
    if not hasattr(value, "shape"):
        return
    kind = values.dtype_name(value)
    if kind in ("float16", "bfloat16"):
        words = f"in half precision (`{name}` is float16 or bfloat16)"
        yield Condition(("half", name), words, on(lambda x: _dtype(x) in ("float16", "bfloat16")))
    if kind in ("float16", "bfloat16", "float32"):
        yield Condition((kind, name), f"where `{name}` is {kind}", on(lambda x: _dtype(x) == kind))
    if values.dtype_kind(value) == "f":
        words = f"where `{name}` holds numbers beyond {_LARGE:.0f}"
        yield Condition(("large", name), words, on(_is_large))
        words = f"where the largest number in a row of `{name}` comes more than once"
        yield Condition(("tie", name), words, on(_has_tie))
    # Where it is never anything else, that it holds whole numbers says that it is given.
    if values.dtype_kind(value) == "i" and any(_holds_fractions(x) for x in others):
        yield Condition(("whole", name), f"where `{name}` holds whole numbers", on(_is_whole))
    if values.dtype_kind(value) == "b":
        words = f"where a row of `{name}` allows nothing"
        yield Condition(("empty row", name), words, on(_has_empty_row))


_NUMBERS: tuple[tuple[str, Callable[[object], bool]], ...] = (
    ("0", lambda x: x == 0),
    ("infinite", lambda x: isinstance(x, float) and math.isinf(x)),
    ("negative", lambda x: isinstance(x, int | float) and x < 0),
    ("tiny", lambda x: isinstance(x, float) and 0 < abs(x) < 1e-6),
    ("between 0 and 1", lambda x: isinstance(x, float) and 0 < x < 1),
    ("huge", lambda x: isinstance(x, float) and 1e6 < abs(x) < math.inf),
    ("not 1", lambda x: type(x) is int and x != 1),
)


def _is_outside(value: object) -> bool:
    """Whether a number shows that the interval from 0 to 1 is not all that is allowed."""
    return isinstance(value, int | float) and not 0 <= value <= 1


def _dtype(value: object) -> str:
    return values.dtype_name(value) if hasattr(value, "dtype") else ""


def _is_large(value: object) -> bool:
    if not hasattr(value, "shape") or values.dtype_kind(value) not in "fi":
        return False
    return bool(np.abs(values.to_numpy(value)).max(initial=0) > _LARGE)


def _has_tie(value: object) -> bool:
    if not hasattr(value, "shape") or values.dtype_kind(value) != "f":
        return False
    rows = np.atleast_1d(values.to_numpy(value))
    return bool(((rows == rows.max(-1, keepdims=True, initial=-np.inf)).sum(-1) > 1).any())


def _is_whole(value: object) -> bool:
    return hasattr(value, "shape") and values.dtype_kind(value) == "i"


def _holds_fractions(value: object) -> bool:
    return hasattr(value, "shape") and values.dtype_kind(value) == "f"


def _has_empty_row(value: object) -> bool:
    if not hasattr(value, "shape") or values.dtype_kind(value) != "b":
        return False
    return bool((~values.to_numpy(value).any(-1)).any())
