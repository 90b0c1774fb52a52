"""Exponents, intervals, predictions and crossings, on numbers whose law is known."""

import math

import numpy as np
import pytest

from minitx.bench.fit import Crossover, Exponent, crossover, exponent, predict, student_975

LENGTHS = (512, 1024, 2048, 4096, 8192)


def law(power, *, factor=3e-6, plus=0.0, lengths=LENGTHS):
    return {T: plus + factor * T**power for T in lengths}


@pytest.mark.parametrize("power", [0.0, 1.0, 1.5, 2.0, -0.5])
def test_the_exponent_of_a_power_law(power):
    fitted = exponent(law(power))
    # Rounding of logarithms in float64.
    assert fitted.value == pytest.approx(power, abs=1e-12)
    assert fitted.half_width == pytest.approx(0, abs=1e-6)


def test_only_the_top_octaves_count():
    """Below, a constant part hides the growth; three octaves are a factor of 8."""
    bent = {128: 1.0, 256: 1.0, 512: 1.0} | law(2.0, lengths=LENGTHS[1:])
    assert exponent(bent).value == pytest.approx(2.0)
    assert exponent(bent, octaves=4).value < 1.99
    assert exponent({1000: 1.0, 8000: 8.0, 999: 1e9}).value == pytest.approx(1.0)


def test_against_numpys_least_squares():
    random = np.random.default_rng(0)
    curve = {T: y * random.lognormal(sigma=0.2) for T, y in law(1.2).items()}
    fitted = exponent(curve)
    x, y = np.log(list(curve)), np.log(list(curve.values()))
    (slope, _), covariance = np.polyfit(x[1:], y[1:], 1, cov=True)
    assert fitted.value == pytest.approx(slope, rel=1e-9)
    assert fitted.half_width == pytest.approx(4.30265273 * math.sqrt(covariance[0, 0]), rel=1e-6)


def test_the_interval_holds_the_truth_19_times_in_20():
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        curve = {T: y * random.lognormal(sigma=0.1) for T, y in law(1.0).items()}
        fitted = exponent(curve)
        held += abs(fitted.value - 1.0) <= fitted.half_width
    # 380 are expected; the standard deviation of the count is 4.4.
    assert 363 <= held <= 397


def test_too_few_points():
    assert exponent({}) is None
    assert exponent({512: 1.0}) is None
    assert exponent({512: 0.0, 1024: 1.0}) is None  # no logarithm of 0
    assert exponent({512: 1.0, 1024: 4.0}) == Exponent(pytest.approx(2.0), None)


@pytest.mark.parametrize(
    ("freedom", "wanted"),  # from printed tables
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (8, 2.306), (9, 2.262),
     (30, 2.042)],
)  # fmt: skip
def test_students_distribution(freedom, wanted):
    assert student_975(freedom) == pytest.approx(wanted, abs=5e-4)


def test_predictions():
    assert predict({}, 1024) is None
    assert predict({512: 3.0}, 1024) == pytest.approx(12.0)  # one point: as T²
    assert predict({512: 3.0, 1024: 6.0}, 4096) == pytest.approx(24.0)
    assert predict({256: 7.0, 512: 1.0, 1024: 4.0}, 2048) == pytest.approx(16.0)
    assert predict({512: 5.0, 1024: 5.0}, 2048) == pytest.approx(10.0)  # never slower than T
    assert predict({512: 1.0, 1024: 64.0}, 2048) == pytest.approx(256.0)  # never faster than T²
    assert predict({512: 0.0, 1024: 1.0}, 2048) == pytest.approx(4.0)


def test_where_a_linear_curve_goes_below_a_quadratic_one():
    linear, quadratic = law(1.0, factor=3000.0), law(2.0, factor=1.0)
    found = crossover(linear, quadratic)
    assert found == Crossover(pytest.approx(3000.0), 512, 8192)
    assert str(found) == "3000"
    assert crossover(quadratic, linear) == Crossover(None, 512, 8192)


def test_always_and_never():
    low, high = law(1.0), law(1.0, factor=1.0)
    assert str(crossover(low, high)) == "≤ 512"
    assert str(crossover(high, low)) == "> 8192"
    assert str(crossover(low, low)) == "> 8192"  # equal is not faster


def test_equal_at_first_and_faster_after():
    found = crossover({1: 2.0, 2: 1.0}, {1: 2.0, 2: 2.0})
    assert found.length == 1.0


def test_only_lengths_that_both_have():
    short = law(2.0, lengths=(512, 1024))
    assert str(crossover(law(1.0, factor=3000.0), short)) == "> 1024"
    assert crossover(short, law(2.0, lengths=(64, 128))) is None


def test_the_last_crossing_counts():
    curve = {1: 1.0, 2: 3.0, 4: 1.0, 8: 4.0, 16: 1.0}
    other = dict.fromkeys(curve, 2.0)
    assert crossover(curve, other).length == pytest.approx(8 * math.sqrt(2))
