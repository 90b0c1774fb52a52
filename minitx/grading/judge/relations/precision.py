"""Right to a few digits only: rounded, float32 on the way, a small number added."""

import math
from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Relation, near

FEWER_DIGITS = (("small number",), ("seven digits",))  # keys of what is told of float64 only

_SINGLE_DIGITS = 3e-6  # a few operations in float32: 2⁻²⁴ = 6e-8 each, with room for sums

_FINEST = 5e-12  # float64 itself loses less than that in sums of these lengths

_BELOW_SINGLE = 1e-8  # a sixth of what rounding to float32 does


def rounded(a: Array, b: Array) -> Iterator[Relation]:
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


def digits(a: Array, b: Array) -> Iterator[Relation]:
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
            "numbers were float32, which has no more; float64 has 16.",
            "Look for .float(), np.float32, or a tensor made without dtype=: torch.arange(…) / n, "
            "torch.ones and others are float32 unless told otherwise.",
            0,
        )
