"""One factor, or one difference, everywhere; named after the lengths that explain it."""

import math
from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.relation import LITTLE, Array, Given, Relation, near, short


def one_factor(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
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
            f"Yours is {short(ratio)} = {name} times the expected, everywhere"
            f"{_where_letters(name, given)}.",
            advice,
            0,
        )
    if b.size > 1:
        yield Relation(
            ("factor", float(f"{ratio:.4g}")),
            f"Yours is {short(ratio)} times the expected, everywhere.",
            "One factor is too many or missing.",
            2,
        )
        yield Relation(
            ("some factor",),
            f"Everywhere yours is off by one factor ({short(ratio)} in one call, another in "
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


def one_shift(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    """The same difference everywhere: a number, or one that a length or an argument explains."""
    shift = float(np.median(a - b))
    if shift == 0 or np.ptp(b) <= tol * float(np.abs(b).max()):
        return
    if not np.all(np.abs(a - b - shift) <= tol * np.maximum(np.abs(b), abs(shift))):
        return
    word = "large" if shift > 0 else "small"
    yield Relation(
        ("shift", float(f"{shift:.4g}")),
        f"Everywhere it is {abs(shift):.4g} too {word}.",
        "A constant is added once too often, or not at all.",
        1,
    )
    for name, value in (*given.sizes.items(), *given.numbers()):
        for factor, shown in ((1, name), (2, f"2·{name}")):
            if abs(value) > 1 and math.isclose(abs(shift), factor * abs(value), rel_tol=tol):
                yield Relation(
                    ("shift", shown, word),
                    f"Everywhere it is {abs(shift):.4g} = {shown} too {word}.",
                    f"{shown} is added or subtracted once too often, or not at all.",
                    1,
                )
    yield Relation(
        ("some shift",),
        f"Everywhere yours is off by one difference ({short(shift)} in one call, another in "
        "others).",
        "What is added or subtracted depends on the inputs: from which of them is it computed?",
        3,
    )


def one_off(a: Array, b: Array, wrong: Array) -> Iterator[Relation]:
    """Whole numbers of which some are one too large, or one too small, and no other is wrong."""
    for step, word in ((1, "large"), (-1, "small")):
        if np.all((a - b)[wrong] == step) and not wrong.all():
            yield Relation(
                ("one off", step),
                f"What is wrong is one too {word} ({int(wrong.sum())} of {wrong.size} entries).",
                "A count that begins at 1, a `<` where `<=` belongs, or a number that is rounded "
                "to the other side: calculate one of these entries by hand.",
                LITTLE,
            )
