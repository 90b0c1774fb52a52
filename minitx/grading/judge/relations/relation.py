"""What is said of two results, what is known of the call, and when numbers are the same."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minitx.grading import values

Array = np.ndarray[Any, np.dtype[Any]]

LITTLE = 8  # the certainty of what says less than a changed line of the worked answer

TOLERANCE = {"float64": 1e-6, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


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


def near(a: Array, b: Array, tolerance: float) -> bool:
    """Same shape, and the same numbers up to a relative tolerance; NaN equals NaN."""
    return a.shape == b.shape and bool(agree(a, b, tolerance).all())


def agree(a: Array, b: Array, tolerance: float) -> Array:
    """Where two arrays of one shape agree."""
    a, b = wide(a), wide(b)
    finite = np.isfinite(b)
    largest = float(np.max(np.abs(b), where=finite, initial=0.0))
    with np.errstate(all="ignore"):
        close = np.abs(a - b) <= tolerance * np.abs(b) + 1e-3 * tolerance * largest
    result: Array = np.where(finite, close, (a == b) | (np.isnan(a) & np.isnan(b)))
    return result


def wide(x: Array) -> Array:
    return np.asarray(x, dtype=np.float64)


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | int | float) or values.is_tensor(value)


def fits(x: Array, a: Array) -> bool:
    try:
        return np.broadcast_shapes(x.shape, a.shape) == a.shape
    except ValueError:
        return False


def short(number: float) -> str:
    return f"{number:.4g}"


def spread(where: Array, b: Array) -> Array:
    return np.broadcast_to(where, b.shape)
