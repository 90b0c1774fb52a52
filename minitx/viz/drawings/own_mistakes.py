"""Exposure: in training the right words are read, in generation one's own, mistakes as well."""

from collections.abc import Sequence
from dataclasses import replace

from minitx.viz.drawings.translated import FRENCH, READ
from minitx.viz.svg import Drawing, Number, Part, arrow, line, row, text

WRONG, PLACE = "mille", 1  # what is said instead of FRENCH[PLACE]
AFTER = FRENCH[PLACE : PLACE + 2]  # and what may follow: the right rest, one place late
CELL, GAP = (92.0, 28.0), 12.0


def exposure() -> Drawing:
    """The same mistake twice: mended before it is read, and read."""
    right, wrong = [READ[0], *FRENCH[:-1]], [*FRENCH[:PLACE], WRONG]
    parts: list[Part] = [
        text(2, 14, "training: the right words go in", anchor="start", bold=True),
        *_panel(36, right, [*wrong, *FRENCH[PLACE + 1 :]], own=False),
        text(2, 146, "the mistake is not read", anchor="start", role="score"),
        line((2, 166), (414, 166), role="score", dashed=True),
        text(2, 190, "generation: its own words go in", anchor="start", bold=True),
        *_panel(212, [READ[0], *wrong, AFTER[0]], [*wrong, *AFTER], own=True),
        text(2, 322, "hatched: from here on never met in training", anchor="start", role="score"),
    ]
    alt = (
        f"Twice the decoder reads a row below and says a row above, and each time its second word "
        f"is {WRONG}, where {FRENCH[PLACE]} is right. Above, in training, the mistake goes no "
        f"further: the next place reads the right word, {FRENCH[PLACE]}. Below, in generation, "
        f"what is said is the next input, so {WRONG} is read, and from there on the inputs, "
        f"hatched, are beginnings that were never met in training. {' and '.join(AFTER)} "
        f"follow, which is right, but one place late."
    )
    return Drawing("Its own mistakes", alt, 416, 334, parts)


def _panel(y: Number, read: Sequence[str], said: Sequence[str], *, own: bool) -> list[Part]:
    """What is said above what is read, and arrows from a word to where it is read next."""
    outputs = row(6, y, said, cell=CELL, gap=GAP, fill=0)
    inputs = row(6, y + 62, read, cell=CELL, gap=GAP, role="q", fill=0.15)
    outputs[PLACE] = replace(outputs[PLACE], label=f"{WRONG} ✗", bold=True)
    if own:
        inputs[PLACE + 1 :] = [replace(box, hatch=True) for box in inputs[PLACE + 1 :]]
    drawn: list[Part] = [*outputs, *inputs]
    drawn += [
        arrow(below.top, (below.top[0], above.y + CELL[1] + 2))
        for below, above in zip(inputs, outputs, strict=True)
    ]
    for i in range(len(said) - 1) if own else (PLACE,):
        (x0, y0), (x1, y1) = outputs[i].bottom, inputs[i + 1].top
        drawn += [arrow((x0 + 16, y0 + 2), (x1 - 16, y1 - 2), role="q", dashed=not own, width=2)]
        if not own:
            drawn += [text((x0 + x1) / 2, (y0 + y1) / 2, "✗", halo=True, size=20)]
    return drawn
