"""What schemes by distance add to the table of scores: a value for each of its diagonals."""

import numpy as np

from minitx.viz.colours import SCORE
from minitx.viz.svg import Box, Drawing, Part, Point, arrow, grid, line, signed, text

T, CLIP = 6, 2
HEADS, SHOWN = 8, (1, 2, 4, 8)


def offsets(T: int) -> np.ndarray:
    """Key position minus query position, for every pair.

    >>> offsets(3)[0].tolist()
    [0, 1, 2]
    """
    from minitx.positions import distances, positions_from

    found: np.ndarray = distances(positions_from(0, T), positions_from(0, T))[0].numpy()
    return found


def relative_grid() -> Drawing:
    """The table of distances, and the same clipped: a few values, one for each diagonal."""
    cell, left, right, top = 28.0, 34.0, 244.0, 74.0
    far = offsets(T)
    near = far.clip(-CLIP, CLIP)
    parts: list[Part] = []
    for x, name, table in ((left, "*j* − *i*", far), (right, f"clipped at ±{CLIP}", near)):
        parts += [text(x + T * cell / 2, 12, name, bold=True)]
        parts += [text(x + T * cell / 2, 36, "key *j*", role="k")]
        for i in range(T):
            parts += [text(x + (i + 0.5) * cell, top - 13, str(i), role="k")]
            parts += [text(x - 7, top + (i + 0.5) * cell, str(i), role="q", anchor="end")]
        parts += grid(x, top, [[signed(d) for d in row] for row in table], cell=(cell, cell),
                      fill=_shade(table))  # fmt: skip
    parts += [text(4, top - 13, "*i*", role="q", anchor="start")]
    y = top + T * cell / 2
    parts += [arrow((left + T * cell + 4, y), (right - 20, y), width=2)]
    parts += _corners((right, top), cell)
    y = top + T * cell + 18
    shared = f"beyond ±{CLIP}: one shared entry"
    parts += [text(right + T * cell, y, shared, role="score", anchor="end")]
    values = np.arange(-CLIP, CLIP + 1)
    wide = 56.0
    x = 208 - len(values) * wide / 2
    parts += [text(208, y + 36, f"{len(values)} trained vectors, for any length", bold=True)]
    names = [[f"*a*_{{{signed(value)}}}" for value in values]]
    parts += grid(x, y + 54, names, cell=(wide, 30), fill=_shade(values[None]))
    alt = (
        f"A table of {T} queries i and {T} keys j with the distance j − i of every pair: 0 on the "
        f"diagonal, −1 next to it on the left, 1 on the right, up to {T - 1}. Beside it the same "
        f"table clipped at ±{CLIP}: each diagonal has one value, and all pairs farther apart, "
        f"in two corners, share the last. So {len(values)} trained vectors are enough for any "
        f"length, from a of −{CLIP} to a of {CLIP}."
    )
    return Drawing("Distances, clipped", alt, 416, y + 92, parts)


def t5_buckets() -> Drawing:
    """Distances on a line, cut into buckets that get wider, and the near ones enlarged."""
    edges = bucket_edges()
    left, right, last, zoomed = 8.0, 408.0, 140, 23
    parts: list[Part] = [text(208, 12, "the farther back, the wider the bucket", bold=True)]
    scale, zoom = (right - left) / last, (right - left) / zoomed
    top, low, high = 62.0, 146.0, 32.0
    parts += [text(left, top - 14, "places back", anchor="start", role="score")]
    for index, (start, end) in enumerate(zip(edges, [*edges[1:], last], strict=True)):
        wide = (end - start) * scale
        parts += [_bucket(index, left + start * scale, top, wide, high, named=wide > 18)]
        if wide > 30:
            parts += [text(left + start * scale, top - 14, str(start), anchor="start")]
        if end <= zoomed:
            parts += [_bucket(index, left + start * zoom, low, (end - start) * zoom, high)]
            parts += [text(left + (start + 0.5) * zoom, low + high + 14, str(start))]
    parts += [text(right, top - 14, "and on", anchor="end")]
    parts += [line((left, top + high), (left, low), role="score", dashed=True)]
    parts += [line((left + zoomed * scale, top + high), (right, low), role="score", dashed=True)]
    parts += [text(left, low + high + 36, "in the boxes: number of the bucket", anchor="start",
                   role="score")]  # fmt: skip
    ahead = buckets_ahead()
    parts += [text(208, low + high + 64, f"keys ahead: {min(ahead)} to {max(ahead)}, just as wide")]
    alt = (
        f"Distances back from the query, cut into {len(edges)} buckets. They begin at "
        f"{', '.join(map(str, edges))}: the first eight hold one distance each, then they get "
        f"wider and wider, and the last holds everything from {edges[-1]} on. Below, the near ones "
        f"are enlarged. Keys ahead have buckets of the same widths, {min(ahead)} to {max(ahead)}."
    )
    return Drawing("Buckets of distances", alt, 416, low + high + 78, parts)


def _bucket(index: int, x: float, y: float, wide: float, high: float, *, named: bool = True) -> Box:
    label = str(index) if named else ""
    return Box(x, y, wide, high, label, "score", fill=0.32 if index % 2 else 0.16, radius=0)


def buckets_ahead() -> list[int]:
    """Every bucket that some key ahead of the query is in.

    >>> buckets_ahead()[0]
    17
    """
    import torch

    from minitx.positions import T5Bias

    return sorted(set(T5Bias(1).bucket(torch.arange(1, 1000)).tolist()))


def bucket_edges() -> list[int]:
    """The nearest distance in each bucket of keys before the query.

    >>> bucket_edges()[:10]
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 12]
    """
    import torch

    from minitx.positions import T5Bias

    buckets = T5Bias(1).bucket(-torch.arange(1000)).tolist()
    return [buckets.index(bucket) for bucket in range(max(buckets) + 1)]


def alibi_slopes() -> Drawing:
    """Four heads' tables of what is left of a weight: a narrow band and wider ones."""
    T, cell = 12, 13.0
    left, wide, high, top = 34.0, 206.0, 232.0, 76.0
    parts: list[Part] = []
    told = []
    for number, head in enumerate(SHOWN):
        x, y = left + (number % 2) * wide, top + (number // 2) * high
        slope = slopes()[head - 1]
        kept = np.exp(-slope * np.abs(offsets(T)))
        half = np.log(2) / slope
        said = f"halved every {half:.1f} tokens" if half < 10 else f"halved every {half:.0f} tokens"
        name = f"head {head}: slope 1/{1 / slope:.0f}"
        parts += [text(x + T * cell / 2, y - 36, name, bold=True)]
        parts += [text(x + T * cell / 2, y - 16, said)]
        parts += _heat((x, y), kept, np.tri(T, dtype=bool), cell)
        told += [f"{name}, {said}"]
    parts += [
        text(208, 12, f"what is left of a weight, in {len(SHOWN)} of {HEADS} heads", role="score")
    ]
    side = T * cell
    for y in (top, top + high):
        parts += [text(4, y + 8, "*i*", role="q", anchor="start")]
        parts += [arrow((left - 22, y + 22), (left - 22, y + 68), role="q")]
        parts += [text(left + side, y + side + 14, "*j*", role="k")]
        across = (left + side - 60, y + side + 14), (left + side - 12, y + side + 14)
        parts += [arrow(*across, role="k")]
    alt = (
        f"Four tables of {T} queries i by the keys j up to them, stronger where more of a weight "
        f"is left after the penalty: {'; '.join(told)}. The first is a narrow band along the "
        "diagonal, the last is filled evenly."
    )
    return Drawing("Slopes of heads", alt, 416, top + high + side + 26, parts)


def slopes() -> list[float]:
    """Of all heads.

    >>> slopes()[:3]
    [0.5, 0.25, 0.125]
    """
    from minitx.positions import ALiBi

    found: list[float] = ALiBi(HEADS).slopes().tolist()
    return found


def _heat(corner: Point, table: np.ndarray, allowed: np.ndarray, cell: float) -> list[Part]:
    x, y = corner
    return [
        f'<rect x="{x + j * cell:g}" y="{y + i * cell:g}" width="{cell:g}" height="{cell:g}" '
        f'fill="{SCORE}" fill-opacity="{table[i, j]:.2f}" stroke="{SCORE}" stroke-width="0.5"/>'
        for i, j in np.argwhere(allowed)
    ]


def _shade(table: np.ndarray) -> list[list[float]]:
    """The farther ahead, the stronger."""
    return (0.16 + 0.19 * (table - table.min()) / np.ptp(table)).tolist()


def _corners(corner: Point, cell: float) -> list[Part]:
    """Two staircases, beyond which a distance was clipped."""
    x, y = corner
    steps = [(CLIP + 1 + i, i + down) for i in range(T - CLIP - 1) for down in (0, 1)]
    steps += [(T, T - CLIP - 1)]
    above = [(x + a * cell, y + b * cell) for a, b in steps]
    below = [(x + b * cell, y + a * cell) for a, b in steps]
    return [line(*above, width=3), line(*below, width=3)]
