"""How many steps a signal takes from the first position to the last, by kind of layer."""

from collections.abc import Callable, Iterable

from minitx.measure.table import Table

# reach(i, step): the positions at which position i is heard in the given step.
Reach = Callable[[int, int], Iterable[int]]

# All look back only, as a model that writes does: position i is heard at i and later ones.
KINDS: dict[str, Reach] = {
    "recurrent": lambda i, step: (i, i + 1),
    "convolution, kernel 3": lambda i, step: (i, i + 1, i + 2),
    "convolution, kernel 3, dilated": lambda i, step: (i, i + 3**step, i + 2 * 3**step),
    "attention to 8 neighbours": lambda i, step: range(i, i + 9),
}


def steps(T: int, reach: Reach) -> int:
    """Steps until something at position 0 has been heard at position T - 1.

    >>> steps(100, KINDS["recurrent"])
    99
    >>> steps(9, KINDS["convolution, kernel 3, dilated"])  # reaches 1, 2, then 3, 6 further
    2
    """
    heard, count = {0}, 0
    while T - 1 not in heard:
        heard = {j for i in heard for j in reach(i, count) if j < T}
        count += 1
    return count


def table(sizes: Iterable[int] = (10, 100, 1000)) -> Table:
    """Steps from the first to the last of so many positions, for five kinds of layer."""
    sizes = tuple(sizes)
    rows = [[kind, *(steps(T, reach) for T in sizes)] for kind, reach in KINDS.items()]
    rows.append(["attention", *(steps(T, lambda i, step, T=T: range(T)) for T in sizes)])
    return Table(["layer", *(f"{T:,} positions" for T in sizes)], rows, ["", *[",d"] * len(sizes)])
