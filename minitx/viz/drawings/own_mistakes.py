"""Exposure: in training the right words are read, in generation one's own, mistakes as well."""

from minitx.viz.drawings.translated import FRENCH, READ
from minitx.viz.svg import Box, Drawing, Part, arrow, line, row, text

WRONG, PLACE = "mille", 1  # what is said instead of FRENCH[PLACE]
LOST = ("six", "cent")  # and what may follow from there


def exposure() -> Drawing:
    """The same mistake twice: mended before it is read, and read."""
    cell, gap, left = (92.0, 28.0), 12.0, 6.0
    said = [*FRENCH]
    said[PLACE] = WRONG
    parts: list[Part] = [line((2, 166), (414, 166), role="score", dashed=True)]
    for top, name, spoken, after in (
        (0.0, "training: the right words go in", said, "the mistake is not read"),
        (176.0, "generation: its own words go in", [*said[: PLACE + 1], *LOST],
         "hatched: never met in training"),
    ):  # fmt: skip
        own = top > 0
        read = [READ[0], *spoken[:-1]] if own else READ[:-1]
        parts += [text(2, top + 14, name, anchor="start", bold=True)]
        outputs = row(left, top + 36, spoken, cell=cell, gap=gap, fill=0)
        inputs = row(left, top + 98, read, cell=cell, gap=gap, role="q", fill=0.15)
        for i, (below, above) in enumerate(zip(inputs, outputs, strict=True)):
            parts += [arrow(below.top, (below.top[0], above.y + cell[1] + 2))]
            lost = own and i > PLACE
            parts += [Box(below.x, below.y, *cell, below.label, "q", fill=0.15, hatch=lost)]
            parts += (
                [Box(above.x, above.y, *cell, f"{above.label} ✗", bold=True)]
                if i == PLACE
                else [above]
            )
            if i and (own or i == PLACE + 1):
                before = outputs[i - 1]
                way = (before.bottom, below.top)
                start, end = (way[0][0] + 16, way[0][1] + 2), (way[1][0] - 16, way[1][1] - 2)
                parts += [arrow(start, end, role="q", dashed=not own, width=2)]
                if not own:
                    parts += [text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, "✗",
                                   halo=True, size=20)]  # fmt: skip
        parts += [text(2, top + 146, after, anchor="start", role="score")]
    wrong = f"{WRONG}, where {FRENCH[PLACE]} is right"
    alt = (
        f"Twice the decoder reads a row below and says a row above, and each time its second word "
        f"is {wrong}. Above, in training, the mistake goes no further: the next place reads the "
        f"right word, {FRENCH[PLACE]}. Below, in generation, what is said is the next input, so "
        f"{WRONG} is read, and from there on the inputs, hatched, are beginnings that were never "
        f"met in training: {' and '.join(LOST)} follow."
    )
    return Drawing("Its own mistakes", alt, 416, 334, parts)
