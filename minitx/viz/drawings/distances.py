"""What schemes by distance add to the table of scores: a value for each of its diagonals."""

import numpy as np

from minitx.viz.colours import SCORE
from minitx.viz.svg import Box, Drawing, Part, Point, arrow, grid, text

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
    cell, left, right, top = 28.0, 26.0, 242.0, 72.0
    far = offsets(T)
    near = far.clip(-CLIP, CLIP)
    parts: list[Part] = []
    for x, name, table in ((left, "*j* − *i*", far), (right, f"clipped at ±{CLIP}", near)):
        parts += [text(x + T * cell / 2, 12, name, bold=True)]
        for i in range(T):
            parts += [text(x + (i + 0.5) * cell, top - 14, str(i), role="k")]
            parts += [text(x - 8, top + (i + 0.5) * cell, str(i), role="q", anchor="end")]
        parts += grid(x, top, [[_signed(d) for d in row] for row in table], cell=(cell, cell),
                      fill=_shade(table, T - 1))  # fmt: skip
    y = top + T * cell / 2
    parts += [arrow((left + T * cell + 6, y), (right - 24, y), width=2)]
    parts += [text(left + T * cell / 2, 36, "key *j*", role="k")]
    parts += [text(right + T * cell / 2, 36, "key *j*", role="k")]
    y = top + T * cell + 66
    values = np.arange(-CLIP, CLIP + 1)
    wide = 56.0
    x = 208 - len(values) * wide / 2
    parts += [text(208, y - 34, f"{len(values)} trained vectors, whatever the length", bold=True)]
    names = [[f"*a*_{{{_signed(value)}}}" for value in values]]
    parts += grid(x, y - 16, names, cell=(wide, 30), fill=_shade(values[None], CLIP))
    alt = (
        f"A table of {T} queries and {T} keys with the distance j − i of every pair: 0 on the "
        f"diagonal, −1 next to it on the left, 1 on the right, up to {T - 1}. Beside it the same "
        f"table clipped at ±{CLIP}: each diagonal has one value, and all pairs farther apart share "
        f"the last. So {len(values)} trained vectors are enough, from a of −{CLIP} to a of {CLIP}."
    )
    return Drawing("Distances, clipped", alt, 416, y + 24, parts)


def t5_buckets() -> Drawing:
    """Distances on a line, cut into buckets that get wider."""
    edges = bucket_edges()
    near = [edge for edge in edges if edge < 24]
    left, right, last = 8.0, 408.0, 140
    parts: list[Part] = [text(left, 12, "near: a zoom", anchor="start", bold=True)]
    zoom = (right - left) / 24
    top, low = 48.0, 150.0
    for index, start in enumerate(near):
        end = min(24, edges[index + 1])
        x, wide = left + start * zoom, (end - start) * zoom
        parts += [Box(x, top, wide, 34, str(index), "score", fill=0.3 if index % 2 else 0.1,
                      radius=0)]  # fmt: skip
        parts += [text(x + zoom / 2, top + 48, str(start))]
    scale = (right - left) / last
    for index, start in enumerate(edges):
        end = edges[index + 1] if index + 1 < len(edges) else last
        x, wide = left + start * scale, (end - start) * scale
        label = str(index) if wide > 18 else ""
        parts += [Box(x, low, wide, 34, label, "score", fill=0.3 if index % 2 else 0.1, radius=0)]
        if wide > 30:
            parts += [text(x + 2, low + 48, str(start), anchor="start")]
    alt = (
        f"Distances back from the query, cut into {len(edges)} buckets. They begin at "
        f"{', '.join(map(str, edges))}: the first eight hold one distance each, then they get "
        f"wider and wider, and the last holds everything from {edges[-1]} on."
    )
    return Drawing("Buckets of distances", alt, 416, low + 80, parts)


def bucket_edges() -> list[int]:
    """The nearest distance in each bucket of keys before the query.

    >>> bucket_edges()[:10]
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 12]
    """
    import torch

    from minitx.positions import T5Bias

    buckets = T5Bias(1).bucket(-torch.arange(1000)).tolist()
    return [buckets.index(bucket) for bucket in sorted(set(buckets))]


def alibi_slopes() -> Drawing:
    """Four heads' tables of what is left of a weight: a narrow fan and wider ones."""
    T, cell = 12, 13.0
    left, wide, high, top = 30.0, 206.0, 216.0, 58.0
    parts: list[Part] = []
    told = []
    for number, head in enumerate(SHOWN):
        x, y = left + (number % 2) * wide, top + (number // 2) * high
        slope = slopes()[head - 1]
        kept = np.exp(-slope * np.abs(offsets(T)))
        parts += [text(x + T * cell / 2, y - 38, f"head {head}: slope 1/{1 / slope:.0f}",
                       bold=True)]  # fmt: skip
        half = np.log(2) / slope
        said = f"halved every {half:.1f} tokens" if half < 10 else f"halved every {half:.0f} tokens"
        parts += [text(x + T * cell / 2, y - 18, said)]
        told += [f"head {head}, slope 1/{1 / slope:.0f}, {said}"]
        parts += _heat((x, y), kept, np.tri(T, dtype=bool), cell)
    alt = (
        f"Four tables of {T} queries by {T} keys before them, darker where more of a weight is "
        f"left after the penalty: {'; '.join(told)}. The first is a narrow band along the "
        "diagonal, the last is dark all over."
    )
    return Drawing("Slopes of heads", alt, 416, top + high + T * cell + 8, parts)


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


def _shade(table: np.ndarray, most: int) -> list[list[float]]:
    return (0.04 + 0.31 * (table + most) / (2 * most)).tolist()


def _signed(number: np.integer | int) -> str:
    return str(number).replace("-", "−")
