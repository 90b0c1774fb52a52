"""Nothing but one number, an argument as it came, or one slice for all."""

from collections.abc import Iterator

import numpy as np

from minitx.grading.judge.relations.relation import Array, Given, Relation, fits, near, wide


def trivially(a: Array, b: Array, given: Given, tol: float) -> Iterator[Relation]:
    """Nothing but one number, or an argument as it came."""
    for name, x in given.arrays("bif"):
        if x.shape == a.shape and near(a, wide(x), tol):
            yield Relation(
                ("argument", name),
                f"`{name}` comes back as it went in.",
                "Check that the steps in between are used, and that the right name is returned.",
                0,
            )
        for axis in range(x.ndim):
            if x.dtype.kind != "f" or x.shape[axis] < 2:
                continue
            mean = wide(x).mean(axis, keepdims=True)
            for shown in (mean, mean.squeeze(axis)):
                if not (fits(shown, a) and min(np.ptp(a), np.ptp(b)) > 0):
                    continue
                if near(a, np.broadcast_to(shown, a.shape), tol):
                    yield Relation(
                        ("average", name, axis - x.ndim),
                        f"It is the plain average of `{name}` over its axis {axis}: every weight "
                        "is the same.",
                        "The scores have no effect: are they all equal, or is the softmax taken "
                        "over an axis of its own?",
                        1,
                    )
                    break
    if np.ptp(a) == 0 and np.ptp(b) > 0:
        number = float(a.flat[0])
        names = [f"1/{letter}" for letter, n in given.sizes.items() if n > 1 and number == 1 / n]
        if a.dtype.kind and set(np.unique(b)) <= {0.0, 1.0} and number in (0.0, 1.0):
            shown = str(bool(number))
        else:
            shown = f"{number:.4g}" + (f" = {names[0]}" if names else "")
        yield Relation(
            ("constant", names[0] if names else number),
            f"Every entry of the result is {shown}.",
            "Follow one entry through the lines: from where on are they all the same?",
            1,
        )
        return
    if a.ndim >= 1:
        for axis in range(a.ndim):
            if (
                a.shape[axis] > 1
                and (np.ptp(a, axis=axis) == 0).all()
                and np.ptp(b, axis=axis).any()
            ):
                name = given.axis(axis, a.ndim)
                first = near(np.take(a, 0, axis=axis), np.take(b, 0, axis=axis), tol)
                last = near(np.take(a, -1, axis=axis), np.take(b, -1, axis=axis), tol)
                if first or last:
                    word = "first" if first else "last"
                    yield Relation(
                        ("repeated", axis - a.ndim, word),
                        f"Along {name} every slice equals the {word} one: only it is right.",
                        "An index such as [0], or a line inside the wrong loop, makes one do for "
                        "all.",
                        0,
                    )
                else:
                    yield Relation(
                        ("repeated", axis - a.ndim, ""),
                        f"Along {name} all slices are equal, which they should not be.",
                        "Somewhere this axis was summed, averaged or broadcast.",
                        3,
                    )
