"""A position as the hands of a clock, and moving on as one turn of each."""

import math

import numpy as np

from minitx.viz.drawings.dials import face, hand, on_clock, wedge
from minitx.viz.svg import Drawing, Part, Point, arrow, grid, line, signed, text

C = 8  # four pairs, so that each hand is ten times slower than the one before
PLACES = (0, 1, 2, 3, 4, 100)
SHOWN = 2  # the place whose fast hand is drawn large


def stamps(places: tuple[int, ...]) -> np.ndarray:
    """The sinusoids of each place as (sine, cosine) for each pair.

    >>> stamps((0, 1)).round(2)[:, :2].tolist()
    [[[0.0, 1.0], [0.0, 1.0]], [[0.84, 0.54], [0.1, 1.0]]]
    """
    import torch

    from minitx.positions import Sinusoidal

    table: np.ndarray = Sinusoidal(C).table(torch.tensor(places)).numpy()
    return table.reshape(len(places), C // 2, 2)


def speeds() -> list[float]:
    """How far each hand turns from one place to the next, in radians."""
    return [math.atan2(*pair) for pair in stamps((1,))[0]]


def clock_hands() -> Drawing:
    """Four hands at the first places and at a late one, and how a hand becomes two numbers."""
    left, wide, high, radius, top = 96.0, 53.0, 62.0, 23.0, 62.0
    table, turned = stamps(PLACES), speeds()
    xs = [left + (i + 0.5) * wide for i in range(len(PLACES))]
    names = {0: "fast", len(turned) - 1: "slow"}
    parts: list[Part] = [text(left + 2.5 * wide, 12, "place", bold=True)]
    parts += [text(4, 34, "one turn in", anchor="start", role="score")]
    for place, x in zip(PLACES, xs, strict=True):
        parts += [text(x, 34, str(place), bold=True)]
    for pair, speed in enumerate(turned):
        y = top + 18 + pair * high
        parts += [text(4, y - 9, f"pair {pair}", anchor="start", bold=True)]
        parts += [text(4, y + 10, _turn_in(speed), anchor="start", role="score")]
        parts += [text(88, y - 9, names[pair], anchor="end", bold=True)] if pair in names else []
        for place, x, stamp in zip(PLACES, xs, table[:, pair], strict=True):
            parts += [face((x, y), radius)]
            if 0 < place * speed < 2 * math.pi:
                parts += [wedge((x, y), radius, 0, place * speed)]
            parts += [hand((x, y), radius - 2, tuple(stamp))]
    gap = left + (len(PLACES) - 1) * wide
    bottom = top + 18 + (len(turned) - 1) * high + radius
    parts += [line((gap, 26), (gap, bottom + 6), role="score", dashed=True)]
    # One hand large, with its shadows.
    sine, cosine = table[PLACES.index(SHOWN), 0]
    big, middle = 52.0, (72.0, bottom + 92)
    parts += [face(middle, big), hand(middle, big, (sine, cosine), width=3)]
    parts += _shadows(middle, big, (sine, cosine))
    parts += [text(middle[0] + 26, middle[1] - 12, "sin", bold=True)]
    parts += [text(middle[0] - 20, middle[1] + 14, "cos", bold=True)]
    for row, words in enumerate((
        f"pair 0 at place {SHOWN}, as two numbers:",
        f"sine, how far right: {signed(sine, '.2f')}",
        f"cosine, how far up: {signed(cosine, '.2f')}",
    )):  # fmt: skip
        parts += [text(144, middle[1] - 24 + row * 24, words, anchor="start", bold=row == 0)]
    slow = "; ".join(
        f"pair {i} takes {_turn_in(speed)} for a turn" for i, speed in enumerate(turned)
    )
    alt = (
        f"Four dials, one below the other, at the places {', '.join(map(str, PLACES))}. All hands "
        f"start at 12 o'clock; {slow}. The hand of pair 0 has moved on a good sixth of a turn at "
        "each place; that of pair 1 creeps; the others seem to stand still at the first places, "
        f"and have moved at place {PLACES[-1]}. Below, the hand of pair 0 at place {SHOWN}, "
        f"large: its sine, how far to the right it points, is {signed(sine, '.2f')}; its cosine, "
        f"how far up, {signed(cosine, '.2f')}."
    )
    return Drawing("A position as clock hands", alt, 416, middle[1] + big + 8, parts)


def turn_by_k() -> Drawing:
    """From three places the same number of places on: the same turn, and the same matrix."""
    k, starts = 2, (1, 9, 30)
    left, wide, high, radius, top = 116.0, 98.0, 106.0, 41.0, 76.0
    turned = speeds()
    shown = (0, 1)
    now, then = stamps(starts), stamps(tuple(p + k for p in starts))
    parts: list[Part] = [text(208, 12, f"{k} places on: the same turn from anywhere", bold=True)]
    parts += [text(4, 42, "from → to", anchor="start", role="score")]
    for start, x in zip(starts, _middles(left, wide, 3), strict=True):
        parts += [text(x, 42, f"{start} → {start + k}", bold=True)]
    for row, pair in enumerate(shown):
        y = top + 26 + row * high
        angle = k * turned[pair]
        parts += [text(4, y - 20, f"pair {pair}", anchor="start", bold=True)]
        parts += [text(4, y, f"turns by {angle:.1f}", anchor="start")]
        parts += [text(4, y + 20, f"({math.degrees(angle):.0f}°)", anchor="start")]
        for i, x in enumerate(_middles(left, wide, 3)):
            before, after = now[i, pair], then[i, pair]
            parts += [face((x, y), radius)]
            parts += [wedge((x, y), radius, math.atan2(*before), angle)]
            parts += [hand((x, y), radius - 2, tuple(before), width=1.5, dashed=True)]
            parts += [hand((x, y), radius - 2, tuple(after), width=3)]
            parts += [_sweep((x, y), 0.55 * radius, math.atan2(*before), angle)]
    y = top + 26 + high + radius + 56
    parts += [text(208, y - 34, "thin hand: before, thick hand: after", role="score")]
    matrix = step_matrix(k * turned[0])
    numbers = [[signed(number, ".2f") for number in line_] for line_ in matrix]
    parts += [text(4, y + 6, "pair 0, at every place:", anchor="start", bold=True)]
    parts += [text(4, y + 28, f"PE(*p* + {k}) = PE(*p*) ×", anchor="start")]
    parts += grid(206, y - 6, numbers, cell=(56, 24), role="ink", fill=[[0.08, 0.08]] * 2)
    written = ", ".join(f"{start} to {start + k}" for start in starts)
    alt = (
        f"Hands of pair 0 and pair 1 before and after {k} places, from {written}. They start at "
        f"different hours, but the hand of pair 0 always turns by {k * turned[0]:.1f} radians, "
        f"that of pair 1 by {k * turned[1]:.1f}. One matrix makes the turn of pair 0 from every "
        f"place: {'; '.join(' '.join(line_) for line_ in numbers)}."
    )
    return Drawing("The same turn everywhere", alt, 416, y + 50, parts)


def step_matrix(angle: float) -> np.ndarray:
    """What a row (sine, cosine) is multiplied with to move the hand on.

    >>> (np.array([0.0, 1.0]) @ step_matrix(math.pi / 2)).round(2).tolist()
    [1.0, 0.0]
    """
    sine, cosine = on_clock(angle)
    return np.array([(cosine, -sine), (sine, cosine)])


def _sweep(middle: Point, radius: float, start: float, turn: float) -> str:
    """An arrow on an arc, from angle to angle; none where it would be shorter than its head."""
    if radius * turn < 16:
        return ""
    (x, y), steps = middle, 12
    points = []
    for step in range(steps + 1):
        a, b = on_clock(start + turn * step / steps)
        points += [(x + radius * a, y - radius * b)]
    return arrow(*points)


def _middles(left: float, wide: float, count: int) -> list[float]:
    return [left + (i + 0.5) * wide for i in range(count)]


def _shadows(middle: Point, radius: float, pair: Point) -> list[Part]:
    (x, y), (sine, cosine) = middle, pair
    tip = (x + radius * sine, y - radius * cosine)
    return [line((x, tip[1]), tip, dashed=True), line((tip[0], y), tip, dashed=True),
            line((x, y), (tip[0], y), width=4, role="score"),
            line((x, y), (x, tip[1]), width=4, role="score")]  # fmt: skip


def _turn_in(speed: float) -> str:
    """In how many places a hand is back.

    >>> _turn_in(0.01)
    '628 places'
    """
    places = 2 * math.pi / speed
    return f"{places:.1f} places" if places < 10 else f"{places:,.0f} places"
