"""Loss scaling: small gradients are pushed up before fp16 would make them 0."""

import math

import numpy as np

from minitx.viz.colours import LIT
from minitx.viz.drawings.precision import FORMATS
from minitx.viz.svg import Box, Drawing, Number, Part, arrow, line, text

SCALE = 2**13
MIDDLE, SPREAD = -23, 4  # of the gradients' sizes, in powers of two: how gradients may lie


def sizes() -> np.ndarray:
    """Sizes of many gradients, as powers of two, spread evenly over a bell."""
    from statistics import NormalDist

    bell = NormalDist(MIDDLE, SPREAD)
    return np.array([bell.inv_cdf((i + 0.5) / 4000) for i in range(4000)])


def lost(scale: float) -> float:
    """The share of the gradients that are 0 in fp16.

    >>> round(lost(1.0), 2), round(lost(float(SCALE)), 2)
    (0.31, 0.0)
    """
    import torch

    numbers = torch.from_numpy(2.0 ** sizes() * scale)
    return float((numbers.half() == 0).double().mean())


def loss_scaling() -> Drawing:
    """Two histograms on one axis: the first half below fp16's reach, the second inside."""
    (fp16,) = (form for form in FORMATS if form.name == "fp16")
    none = math.log2(fp16.smallest) - fp16.fraction - 1  # half the smallest: is rounded to 0
    first, last, left, right = -41, 21, 10.0, 406.0
    step = (right - left) / (last - first)

    def at(power: Number) -> float:
        return left + (power - first) * step

    parts: list[Part] = []
    told = []
    start, end = at(none), at(math.log2(fp16.largest))
    for row, (name, scale) in enumerate((
        ("gradients of the loss", 1), (f"of the loss × {SCALE:,}", SCALE)
    )):  # fmt: skip
        floor = 160.0 + 190 * row
        parts += [f'<rect x="{start:g}" y="{floor - 108:g}" width="{end - start:g}" height="108" '
                  f'fill="{LIT}" fill-opacity="0.6"/>']  # fmt: skip
        edges = range(first, last + 1, 2)
        counts, _ = np.histogram(sizes() + math.log2(scale), edges)
        for edge, count in zip(edges, counts.tolist(), strict=False):
            high = 90 * count / max(counts.tolist())
            if high >= 1:
                is_lost = edge < none
                parts += [Box(at(edge) + 1, floor - high, 2 * step - 2, high, "", "score",
                              fill=0.1 if is_lost else 0.6, dashed=is_lost, radius=0)]  # fmt: skip
        share = f"{100 * lost(float(scale)):.0f} % become 0"
        parts += [line((left, floor), (right, floor))]
        parts += [text(left, floor - 138, name, anchor="start", bold=True)]
        parts += [text(right, floor - 138, share, anchor="end", bold=True)]
        parts += [text((start + end) / 2, floor - 119, "what fp16 can hold")]
        told += [f"{name}: {share}"]
        for power in (-40, -24, 0, 16):
            parts += [text(at(power), floor + 15, f"2^{{{power}}}".replace("-", "−"),
                           anchor="start" if power == -40 else "middle")]  # fmt: skip
    shift = math.log2(SCALE)
    parts += [arrow((at(-33), 188), (at(-33 + shift), 188), width=2)]
    parts += [text(at(-33 + shift) + 8, 188, f"× 2^{{{shift:.0f}}}", anchor="start")]
    alt = (
        "Two histograms of the sizes of gradients over powers of two, with the range that fp16 can "
        f"hold lit behind them, from 2 to the {none + 1:.0f} to 2 to the 16. {'; '.join(told)}. "
        f"The same histogram is {shift:.0f} powers of two further to the right, inside the "
        "range. Before the step the gradients are divided by as much again."
    ).replace("-", "−")
    return Drawing("Loss scaling", alt, 416, 380, parts)
