"""Teacher forcing: what the decoder reads is what it is to say, moved one place on."""

from itertools import pairwise

from minitx.viz.drawings.translated import READ, SAID
from minitx.viz.svg import Box, Drawing, Part, arrow, line, row, text


def shift_by_one() -> Drawing:
    """The row of inputs below, the row of targets above, and each target as the next input."""
    cell, gap, left = (74.0, 30.0), 8.0, 7.0
    top, middle, bottom = 44.0, 116.0, 196.0
    targets = row(left, top, SAID, cell=cell, gap=gap, fill=0.0)
    inputs = row(left, bottom, READ, cell=cell, gap=gap, role="q", fill=0.15)
    whole = Box(left, middle, 5 * cell[0] + 4 * gap, 34, "decoder, all places at once", fill=0.08)
    parts: list[Part] = [
        text(left, 20, "targets: what it is to say", bold=True, anchor="start"),
        text(left, 246, "inputs: what it reads", role="q", bold=True, anchor="start"),
    ]
    for (target, _), (_, after) in zip(pairwise(targets), pairwise(inputs), strict=True):
        (x0, y0), (x1, y1) = target.bottom, after.top
        parts += [line((x0 + 14, y0 + 2), (x1 - 14, y1 - 3), role="score", dashed=True)]
    parts += [f'<rect x="{whole.x}" y="{whole.y}" width="{whole.width}" height="{whole.height}" '
              'fill="var(--minitx-paper, #fcfcfc)"/>', whole]  # fmt: skip
    for target, source in zip(targets, inputs, strict=True):
        parts += [arrow(source.top, (source.top[0], middle + 37), width=2)]
        parts += [arrow((target.bottom[0], middle - 3), (target.bottom[0], top + 33), width=2)]
    parts += [*targets, *inputs]
    place = 2
    parts += [
        text(208, 280, f"place {place} has read {', '.join(READ[: place + 1])}"),
        text(208, 300, f"and is to say {SAID[place]}: the next word, not its own"),
        text(208, 334, "dashed: the same word, one place on", role="score"),
    ]
    alt = (
        f"Below, the row that the decoder reads: {', '.join(READ)}. Above, at the same places, "
        f"the row that it is to say: {', '.join(SAID)}. An arrow leads up at every place, through "
        "the decoder, which works on all places at once. Dashed lines join each target with the "
        "same word among the inputs, one place further to the right: both rows are one sentence, "
        f"shifted by one. Place {place} has read {', '.join(READ[: place + 1])} and is to say "
        f"{SAID[place]}."
    )
    return Drawing("Shifted by one", alt, 416, 346, parts)
