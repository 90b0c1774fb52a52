"""What is trained on and what is kept apart: whole ranges, because neighbours resemble each other.

A random number that is held out has been seen with another last digit, a random line of a text
with the line before it: a model can look well on those and know nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Split(NamedTuple, Generic[Item]):
    """Three parts of a data set that have nothing in common."""

    train: list[Item]
    validation: list[Item]
    test: list[Item]


def hold_out(
    items: Sequence[Item], *, validation: Iterable[range], test: Iterable[range]
) -> Split[Item]:
    """Items in the order they came; those whose index lies in a range are held out.

    Raises:
        ValueError: if an index is held out twice, or there is no such item.

    >>> hold_out("abcdefg", validation=[range(1, 3)], test=[range(5, 6)])
    Split(train=['a', 'd', 'e', 'g'], validation=['b', 'c'], test=['f'])
    """
    kept, tested = list(chain(*validation)), list(chain(*test))
    apart = {*kept, *tested}
    if len(apart) < len(kept) + len(tested):
        raise ValueError("ranges that are held out must not overlap")
    if apart and not 0 <= min(apart) <= max(apart) < len(items):
        raise ValueError(
            f"held-out indices must lie below {len(items)}, got {min(apart)} to {max(apart)}"
        )
    return Split(
        [item for i, item in enumerate(items) if i not in apart],
        [items[i] for i in kept],
        [items[i] for i in tested],
    )


def cut(items: Sequence[Item], *, share: float = 0.1) -> tuple[Sequence[Item], Sequence[Item]]:
    """The beginning, to train on, and the end, a share of the whole, for validation.

    Raises:
        ValueError: if one of the two would be empty.

    >>> cut("abcdefghij", share=0.2)
    ('abcdefgh', 'ij')
    """
    first = len(items) - round(len(items) * share)
    if not 0 < first < len(items):
        raise ValueError(f"a share of {share} of {len(items)} items leaves one part empty")
    return items[:first], items[first:]
