"""Training reads a sentence in one pass; generation needs one pass for every token."""

from minitx.viz.drawings.translated import READ, SAID
from minitx.viz.svg import Drawing, Part, arrow, line, row, text

CELL, GAP, LEFT = (56.0, 26.0), 4.0, 58.0


def one_pass_many_steps() -> Drawing:
    """Above, all places at once; below, a staircase: what was said is read in the next pass."""
    T = len(READ)
    parts: list[Part] = [
        text(2, 12, "training: all words are there", anchor="start", bold=True),
        text(LEFT - 8, 47, "pass 1", anchor="end"),
    ]
    inputs = row(LEFT, 34, READ, cell=CELL, gap=GAP, role="q", fill=0.15)
    outputs = row(LEFT, 86, SAID, cell=CELL, gap=GAP, fill=0)
    for source, said in zip(inputs, outputs, strict=True):
        parts += [source, said, arrow(source.bottom, (said.top[0], said.y - 2), width=2)]
    parts += [text(2, 132, f"{T} predictions in 1 pass", anchor="start")]
    parts += [line((2, 152), (414, 152), role="score", dashed=True)]
    parts += [text(2, 174, "generation: word after word", anchor="start", bold=True)]
    top, step = 196.0, 48.0
    for i, word in enumerate(SAID):
        y = top + i * step
        read = row(LEFT, y, READ[: i + 1], cell=CELL, gap=GAP, role="q", fill=0.15)
        (new,) = row(LEFT + (i + 1) * (CELL[0] + GAP), y, [word], cell=CELL, fill=0)
        parts += [text(LEFT - 8, y + 13, f"pass {i + 1}", anchor="end"), *read, new]
        if i + 1 < T:
            parts += [arrow(new.bottom, (new.bottom[0], y + step - 2), role="q", width=2)]
    parts += [text(2, top + T * step, f"{T} predictions in {T} passes", anchor="start")]
    alt = (
        f"Above, training: the row {', '.join(READ)} is read in one pass, and below each of its "
        f"words stands what is to come next: {', '.join(SAID)}; {T} predictions in 1 pass. Below, "
        f"generation: a staircase of {T} passes. Pass 1 reads {READ[0]} and gives {SAID[0]}; an "
        f"arrow leads from it down into pass 2, which reads {READ[0]} and {READ[1]} and gives "
        f"{SAID[1]}; and so on to {SAID[-1]}: {T} predictions in {T} passes, none of which can "
        "begin before the last has ended."
    )
    return Drawing("One pass, or many", alt, 416, top + T * step + 12, parts)
