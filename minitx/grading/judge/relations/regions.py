"""Places in a result that have a name, and results that are right except there."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minitx.grading.judge.relations.relation import Array, Given, Relation, fits, short, spread

LARGE = 80.0  # e⁸⁸ is the end of float32, e⁷¹⁰ that of float64


def right_except(a: Array, b: Array, wrong: Array, given: Given) -> Iterator[Relation]:
    """Right except at some places, where these can be named."""
    if wrong.all():
        return
    for key, words, region in regions(b, given):
        inside = wrong & region
        share = 0.1 if key[0] == "entry" else 0.6
        if (
            not region.all()
            and not (wrong & ~region).any()
            and inside.sum() >= share * region.sum()
        ):
            if key[0] == "index" and not _stands(key, a, region):
                continue
            there = a[wrong]
            number = float(there.flat[0])
            shown = ""
            if np.ptp(there) == 0:
                text = str(bool(number)) if set(np.unique(b)) <= {0.0, 1.0} else short(number)
                shown = f", where {text} stands"
            count = f" ({int(wrong.sum())} of {wrong.size} entries are wrong)"
            yield Relation(
                ("except", *key), f"It is right except {words}{shown}{count}.", _REMEDY[key[0]], 2
            )


_REMEDY = {
    "forbidden": "A forbidden key must get exactly 0: its score must leave before the softmax.",
    "allowed": "What is allowed must be compared and normalised among itself.",
    "nothing allowed": "A row with nothing allowed is a case of its own: zeros belong there.",
    "loud": "Large scores: subtract each row's own largest score before exp.",
    "diagonal": "Row and column have the same number there: is it < where <= belongs, a diagonal "
    "that is off by one, or something written over what stood there?",
    "after": "The column's number is larger than the row's there: which comparison, sign or "
    "shift of the two decides it?",
    "before": "The column's number is smaller than the row's there: which comparison, sign or "
    "shift of the two decides it?",
    "entry": "Look at the comparison or the special case for it, and at what stands in a loop that "
    "should stand behind it.",
    "beside": "Only what stands on the diagonal is written, or kept: which line makes the others?",
    "part": "What makes that half of the entries has a line, or a part of a line, of its own: "
    "calculate one of them by hand.",
    "index": "A loop or a slice begins or ends one too early, or an index stands still.",
}


def _stands(key: tuple[Any, ...], a: Array, region: Array) -> bool:
    """Whether most places show it: one number is left in them all, or the right one's, again."""
    _, which, axis = key
    if not which.startswith("all but"):
        return True
    right = a.take([0 if which.endswith("first") else -1], axis)
    return bool(np.ptp(a[region]) == 0 or np.array_equal(a, spread(right, a)))


def regions(b: Array, given: Given) -> Iterator[tuple[tuple[Any, ...], str, Array]]:
    """Places that have a name: (key, words, where)."""
    for name, mask in given.arrays("b"):
        if mask.ndim == 0:
            continue
        empty = np.asarray(~mask.any(-1, keepdims=True))
        if fits(mask, b):
            yield ("nothing allowed",), "in rows where nothing is allowed", spread(empty, b)
            yield ("forbidden",), f"where `{name}` forbids", spread(~mask, b)
            yield ("allowed",), f"where `{name}` allows", spread(mask, b)
        elif mask.ndim <= b.ndim and fits(empty, b):
            yield ("nothing allowed",), "in rows where nothing is allowed", spread(empty, b)
    for name, x in given.arrays("i"):
        if x.ndim == 1 and b.ndim > 1 and x.shape[0] == b.shape[0]:
            column = x.reshape(-1, *[1] * (b.ndim - 1))
            for words, here in [
                ("0", column == 0),
                ("the largest possible", column == b.shape[-1]),
                ("not the first", np.arange(len(x)).reshape(column.shape) > 0),
            ]:
                yield ("entry", words, name), f"where `{name}` is {words}", spread(here, b)
    for _, x in given.arrays("f"):
        if x.shape == b.shape and x.ndim:
            loud = np.abs(x).max(-1, keepdims=True) > LARGE
            yield ("loud",), f"in rows with numbers beyond {LARGE:.0f}", spread(loud, b)
    if b.ndim >= 2:
        rows, columns = b.shape[-2:]
        offset = np.arange(columns) - np.arange(rows)[:, None]
        for aligned in dict.fromkeys((0, columns - rows)):
            yield ("diagonal",), "on the diagonal", spread(offset == aligned, b)
            yield ("beside",), "beside the diagonal", spread(offset != aligned, b)
            yield ("after",), "to the right of the diagonal", spread(offset > aligned, b)
            yield ("before",), "to the left of the diagonal", spread(offset < aligned, b)
    for axis in range(b.ndim):
        n = b.shape[axis]
        name = given.axis(axis, b.ndim)
        place = np.expand_dims(np.arange(n), tuple(i for i in range(b.ndim) if i != axis))
        if n >= 2:
            for word, here in [("first", place == 0), ("last", place == n - 1)]:
                yield (
                    ("index", word, axis - b.ndim),
                    f"at the {word} place along {name}",
                    spread(here, b),
                )
                if n > 2:
                    yield (
                        ("index", f"all but {word}", axis - b.ndim),
                        f"at all places but the {word} along {name}",
                        spread(~here, b),
                    )
        if n > 3 and n % 2 == 0:
            for word, here in _parts(place, n):
                yield ("part", word, axis - b.ndim), f"{word} along {name}", spread(here, b)


def _parts(place: Array, n: int) -> Iterator[tuple[str, Array]]:
    """Halves, and every second place."""
    yield "in the first half", place < n // 2
    yield "in the second half", place >= n // 2
    yield "at the even places, 0, 2, 4 …,", place % 2 == 0
    yield "at the odd places, 1, 3, 5 …,", place % 2 == 1
