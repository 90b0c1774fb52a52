"""Tables of truth values: turned round, another comparison, off by one."""

from collections.abc import Callable, Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Given, Relation


def truth(a: Array, b: Array, given: Given) -> Iterator[Relation]:
    if np.isin(b, (0, 1)).all() and np.array_equal(a, 1 - b):
        yield Relation(
            ("opposite",),
            "Every entry is the opposite of what is wanted: True where False belongs.",
            "Turn the comparison round, or take `~` off: True means may attend.",
            0,
        )
    if b.ndim != 2 or not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
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
