"""Power laws through measured points: exponent, interval, prediction, crossing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

OCTAVES = 3

Curve = Mapping[int, float]
"""Length -> what was measured there."""


@dataclass(frozen=True)
class Exponent:
    """How fast something grows.

    Args:
        value: p in y ∝ T^p.
        half_width: of the 95 % interval, value ± half_width; None with only two points.
    """

    value: float
    half_width: float | None


def exponent(curve: Curve, *, octaves: float = OCTAVES) -> Exponent | None:
    """The slope of log y over log T by least squares, over the top octaves of the lengths.

        p = Σ (x - x̄)(y - ȳ) / S,   S = Σ (x - x̄)²,   interval p ± t · √(Σ r² / (n - 2) / S)

    r are the residuals of the n points, t the 97.5 % point of Student's distribution with n - 2
    degrees of freedom. The interval says how far the points are from one straight line; what is
    off by the same factor everywhere is not in it.

    Returns:
        None if there are fewer than two points.

    >>> round(exponent({100: 3.0, 200: 12.0, 400: 48.0}).value, 9)
    2.0
    """
    positive = {T: y for T, y in curve.items() if y > 0}
    longest = max(positive, default=0)
    points = [(T, y) for T, y in positive.items() if T * 2**octaves >= longest]
    if len(points) < 2:
        return None
    x, y = np.log(np.array(points, dtype=float)).T
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread
    freedom = len(points) - 2
    if freedom == 0:
        return Exponent(slope, None)
    residuals = y - slope * x
    deviation = math.sqrt(float(residuals @ residuals) / freedom / spread)
    return Exponent(slope, student_975(freedom) * deviation)


def student_975(freedom: int) -> float:
    """The point below which 97.5 % of Student's distribution lie.

    Found by bisection; the share within ±t is a finite sum for whole degrees of freedom.
    Source: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.

    >>> round(student_975(2), 3), round(student_975(3), 3)
    (4.303, 3.182)
    """

    def within(t: float) -> float:
        angle = math.atan(t / math.sqrt(freedom))
        odd = freedom % 2
        term = math.cos(angle) if odd else 1.0
        total = term if freedom > 1 else 0.0
        for k in range(2 + odd, freedom - 1, 2):
            term *= math.cos(angle) ** 2 * (k - 1) / k
            total += term
        total *= math.sin(angle)
        return (angle + total) * 2 / math.pi if odd else total

    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return high


def predict(curve: Curve, T: int) -> float | None:
    """What the last two points lead one to expect at T; from one point, growth as T².

    Growth slower than T or faster than T² is not believed. None if nothing was measured.
    """
    if not curve:
        return None
    *shorter, last = sorted(curve)
    slope = 2.0
    if shorter and min(curve[last], curve[shorter[-1]]) > 0:
        slope = math.log(curve[last] / curve[shorter[-1]]) / math.log(last / shorter[-1])
    return curve[last] * (T / last) ** min(max(slope, 1.0), 2.0)


@dataclass(frozen=True)
class Crossover:
    """From which length on one curve is below another.

    Args:
        length: that length, interpolated; 0 if it is so from the shortest length on, None if it
            is not so at the longest.
        shortest: the shortest length at which both were measured.
        longest: the longest.
    """

    length: float | None
    shortest: int
    longest: int

    def __str__(self) -> str:
        if self.length is None:
            return f"> {self.longest}"
        return f"{self.length:.0f}" if self.length else f"≤ {self.shortest}"


def crossover(curve: Curve, other: Curve) -> Crossover | None:
    """Where curve goes below other for good, on straight lines between log-log points.

    Returns:
        None if there is no length at which both were measured.

    >>> str(crossover({100: 3.0, 200: 6.0, 400: 12.0}, {100: 1.0, 200: 4.0, 400: 16.0}))
    '300'
    """
    lengths = sorted(curve.keys() & other.keys())
    if not lengths:
        return None
    lead = [math.log(other[T] / curve[T]) for T in lengths]
    length: float | None = None
    if lead[-1] > 0:
        length = last_zero(lengths, lead)
    return Crossover(length, lengths[0], lengths[-1])


def last_zero(lengths: Sequence[int], lead: Sequence[float]) -> float:
    """Where lead turns positive for the last time; 0 if it always is."""
    zero = 0.0
    for (T, now), (longer, then) in pairwise(zip(lengths, lead, strict=True)):
        if now <= 0 < then:
            zero = T * (longer / T) ** (-now / (then - now))
    return zero
