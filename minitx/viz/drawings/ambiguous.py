"""One word with two meanings: its vector before attention, and after it, beside two neighbours."""

import numpy as np

from minitx.viz.drawings.worked_example import follow
from minitx.viz.svg import Drawing, Part, Point, arrow, dot, line, text

NESTING, STEEL = (3.0, 0.0), (0.0, 3.0)  # how much animal, how much machine
CRANE = (1.0, 1.0)

LEFT, FLOOR, UNIT = 52.0, 262.0, 88.0


def crane_beside(neighbour: Point) -> Point:
    """The output of *crane* in the phrase of *the*, the neighbour and *crane*.

    >>> [round(number, 2) for number in crane_beside(NESTING)]
    [1.97, 0.33]
    """
    *_, (animal, machine) = follow(np.array([(0.0, 0.0), neighbour, CRANE])).output
    return float(animal), float(machine)


def ambiguous_word() -> Drawing:
    """*Crane* in a plane of animal and machine, moved by *nesting* and by *steel*."""
    bird, machine = crane_beside(NESTING), crane_beside(STEEL)
    start, low, high = _at(CRANE), _at(bird), _at(machine)
    parts: list[Part] = [
        arrow(_at((0, 0)), (LEFT + 3.9 * UNIT, FLOOR)),
        arrow(_at((0, 0)), (LEFT, FLOOR - 2.75 * UNIT)),
        text(LEFT + 3.9 * UNIT, FLOOR + 18, "animal", anchor="end"),
        text(LEFT + 10, FLOOR - 2.7 * UNIT, "machine", anchor="start"),
        line(_at((0, 0)), _at((2.5, 2.5)), role="score", dashed=True),
        text(LEFT + 2.5 * UNIT, FLOOR - 2.5 * UNIT - 12, "half and half", role="score"),
        arrow(start, _short_of(low, start), width=2.5),
        arrow(start, _short_of(high, start), width=2.5),
        dot(*start, 5, fill=0.0),
        dot(*low, 5),
        dot(*high, 5),
        text(start[0] + 14, start[1] - 8, "crane, in the table", anchor="start", halo=True),
        text(low[0] + 12, low[1] - 8, "the nesting crane", bold=True, anchor="start"),
        text(low[0] + 12, low[1] + 11, _numbers(bird), anchor="start"),
        text(high[0] + 14, high[1] - 17, "the steel crane", bold=True, anchor="start"),
        text(high[0] + 14, high[1] + 2, _numbers(machine), anchor="start"),
    ]
    alt = (
        "A plane: animal to the right, machine upwards, and a dashed diagonal where both are "
        f"equal. On it, at {_numbers(CRANE)}, the vector of crane from the table. One arrow leads "
        f"down to the right, to {_numbers(bird)}: the nesting crane. Another leads up to the left, "
        f"to {_numbers(machine)}: the steel crane."
    )
    return Drawing("One word, two meanings", alt, 410, 292, parts)


def _at(place: Point) -> Point:
    return LEFT + UNIT * place[0], FLOOR - UNIT * place[1]


def _short_of(end: Point, start: Point, gap: float = 8.0) -> Point:
    """A little before end, so that the arrow's head does not lie under the dot."""
    across, down = end[0] - start[0], end[1] - start[1]
    share = 1 - gap / (across**2 + down**2) ** 0.5
    return start[0] + share * across, start[1] + share * down


def _numbers(place: Point) -> str:
    """Two digits, none where the number is whole."""
    return f"({', '.join(f'{n:.0f}' if n == round(n) else f'{n:.2f}' for n in place)})"
