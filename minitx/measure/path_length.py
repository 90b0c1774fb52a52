"""How many steps a signal takes from the first position to the last, by kind of layer."""

from collections.abc import Callable, Iterable

from minitx.measure.table import Table

# reach(i, step): the positions at which position i is heard in the given step.
Reach = Callable[[int, int], Iterable[int]]

# As in the drawing `path_lengths`: neighbours on both sides, but for the recurrent layer.
KINDS: dict[str, Reach] = {
    "recurrent": lambda i, step: (i, i + 1),
    "convolution, 3 wide": lambda i, step: (i - 1, i, i + 1),
    "dilated convolution, 3 wide": lambda i, step: (i - 3**step, i, i + 3**step),
    "attention, 4 each side": lambda i, step: range(i - 4, i + 5),
}


def steps(T: int, reach: Reach) -> int:
    """Steps until something at position 0 has been heard at position T - 1.

    Raises:
        ValueError: if it never is. Of a dilated convolution not every position hears every other:
            to hear from the first to the last, T must be 2, 5, 14, 41, 122, …

    >>> steps(100, KINDS["recurrent"])
    99
    >>> steps(5, KINDS["dilated convolution, 3 wide"])  # 1 further, then 3 further
    2
    """
    heard, count = {0}, 0
    while T - 1 not in heard:
        if count == T:
            raise ValueError(f"position {T - 1} never hears from position 0")
        heard = {j for i in heard for j in reach(i, count) if 0 <= j < T}
        count += 1
    return count


def table(sizes: Iterable[int] = (14, 122, 1094)) -> Table:
    """Steps from the first to the last of so many positions, for five kinds of layer."""
    sizes = tuple(sizes)
    rows = [[kind, *(steps(T, reach) for T in sizes)] for kind, reach in KINDS.items()]
    rows.append(["attention", *(steps(T, _everything_within(T)) for T in sizes)])
    return Table(["layer", *(f"{T:,} positions" for T in sizes)], rows, ["", *[",d"] * len(sizes)])


def _everything_within(T: int) -> Reach:
    return lambda i, step: range(T)
