"""With which power of the size something grows."""

from collections.abc import Sequence

import numpy as np


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The p of values ≈ c · sizes^p.

    It is the slope of the least-squares line through log(values) against log(sizes).

    Raises:
        ValueError: if a size has no value, there are fewer than two, or one is not above 0.

    >>> round(exponent([1, 2, 4], [5, 20, 80]), 6)
    2.0
    """
    if len(sizes) != len(values) or len(sizes) < 2:
        raise ValueError(
            f"a line needs at least 2 sizes and a value for each, got {len(sizes)} sizes and "
            f"{len(values)} values"
        )
    if min(*sizes, *values) <= 0:
        raise ValueError(f"a power law has only numbers above 0, got {min(*sizes, *values)}")
    slope, _ = np.polyfit(np.log(sizes), np.log(values), deg=1)
    return float(slope)
