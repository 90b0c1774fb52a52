"""Noisy curves, made fit to be drawn."""

from collections.abc import Sequence

import numpy as np


def means(values: Sequence[float], *, of: int) -> np.ndarray:
    """The mean of each so many values in a row; what is left over at the end does not count.

    Raises:
        ValueError: if not even one mean can be taken.

    >>> means([1.0, 3.0, 5.0, 9.0, 100.0], of=2)
    array([2., 7.])
    """
    if not 1 <= of <= len(values):
        raise ValueError(f"of must lie in 1 … {len(values)}, the number of values, got {of}")
    whole = len(values) // of * of
    smoothed: np.ndarray = np.asarray(values[:whole], dtype=float).reshape(-1, of).mean(axis=1)
    return smoothed
