"""A plane of numbers inside a drawing: where a point lies, and its two axes."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from minitx.viz.svg import Number, Part, Point, arrow, line, text


@dataclass(frozen=True)
class Plane:
    """Two ranges of numbers on a rectangle; up is more.

    Args:
        left: of the rectangle.
        bottom: of it.
        width: of it.
        height: of it.
        across: from the number at its left to the one at its right.
        up: from the number at its bottom to the one at its top.
        logarithmic: equal factors, not equal differences, are equally far apart.

    >>> Plane(10, 100, 80, 80, across=(0, 4), up=(0, 2)).at(2, 1)
    (50.0, 60.0)
    """

    left: Number
    bottom: Number
    width: Number
    height: Number
    across: tuple[Number, Number]
    up: tuple[Number, Number]
    logarithmic: bool = False

    def at(self, x: Number, y: Number) -> Point:
        """The point of a pair of numbers."""
        return (
            self.left + self.width * self._share(x, self.across),
            self.bottom - self.height * self._share(y, self.up),
        )

    def curve(self, points: Iterable[tuple[Number, Number]]) -> list[Point]:
        """The points of several pairs."""
        return [self.at(x, y) for x, y in points]

    def axes(self, x_name: str, y_name: str) -> list[Part]:
        """Two arrows with what they count: below the one, above the other."""
        corner = (self.left, self.bottom)
        return [
            arrow(corner, (self.left + self.width + 10, self.bottom), role="score"),
            arrow(corner, (self.left, self.bottom - self.height - 10), role="score"),
            text(self.left + self.width + 10, self.bottom + 36, x_name, anchor="end"),
            text(self.left - 4, self.bottom - self.height - 22, y_name, anchor="start"),
        ]

    def ticks_across(self, labels: Mapping[Number, str]) -> list[Part]:
        """Marks on the lower axis."""
        parts: list[Part] = []
        for number, label in labels.items():
            x = self.at(number, self.up[0])[0]
            parts += [line((x, self.bottom), (x, self.bottom + 5), role="score")]
            parts += [text(x, self.bottom + 16, label)]
        return parts

    def ticks_up(self, labels: Mapping[Number, str]) -> list[Part]:
        """Marks on the left axis."""
        parts: list[Part] = []
        for number, label in labels.items():
            y = self.at(self.across[0], number)[1]
            parts += [line((self.left - 5, y), (self.left, y), role="score")]
            parts += [text(self.left - 8, y, label, anchor="end")]
        return parts

    def _share(self, number: Number, ends: tuple[Number, Number]) -> float:
        low, high = ends
        if self.logarithmic:
            return math.log(number / low) / math.log(high / low)
        return (number - low) / (high - low)
