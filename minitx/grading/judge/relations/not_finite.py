"""NaN and infinities where numbers are wanted, and numbers where -∞ is."""

from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.regions import LARGE, regions
from minitx.grading.judge.relations.relation import Array, Given, Relation, near


def number_for_infinity(a: Array, b: Array, tol: float) -> Iterator[Relation]:
    """One number in every place that is to hold -∞, all others right."""
    out = b == -np.inf
    if not out.any() or out.all() or not near(a[~out], b[~out], tol):
        return
    number = float(a[out][0])
    if np.isfinite(number) and (a[out] == number).all():
        yield Relation(
            ("number", "for -∞"),
            f"Where -∞ is wanted, {number:.6g} stands; all else is right.",
            "Only -∞ gives the probability 0 whatever stands beside it: float('-inf').",
            0,
        )


def not_finite(a: Array, b: Array, given: Given) -> Iterator[Relation]:
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
        for key, words, region in regions(b, given):
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
        if top > LARGE:
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
