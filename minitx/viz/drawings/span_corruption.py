"""T5's holes: whole spans are taken out, each with a sentinel in its place, and are the target."""

from dataclasses import replace

from minitx.viz.svg import Drawing, Part, arrow, line, row, text

TEXT = ("the", "cat", "slept", "all", "day", "on", "the", "mat")
SPANS = ((1, 3), (5, 6))  # from, and up to
SENTINELS = ("⟨1⟩", "⟨2⟩", "⟨3⟩")

CELL, GAP = (47.0, 28.0), 5.0
STEP = CELL[0] + GAP


def corrupted() -> tuple[list[str], list[str]]:
    """The source, with a sentinel for each span; and the target, the spans after theirs.

    >>> [" ".join(words) for words in corrupted()]
    ['the ⟨1⟩ all day ⟨2⟩ the mat', '⟨1⟩ cat slept ⟨2⟩ on ⟨3⟩']
    """
    source: list[str] = []
    target: list[str] = []
    end = 0
    for sentinel, (start, stop) in zip(SENTINELS, SPANS, strict=False):
        source += [*TEXT[end:start], sentinel]
        target += [sentinel, *TEXT[start:stop]]
        end = stop
    return [*source, *TEXT[end:]], [*target, SENTINELS[len(SPANS)]]


def spans_and_sentinels() -> Drawing:
    """The text, what the encoder reads of it, and what the decoder is to write."""
    source, target = corrupted()
    out = {i for start, stop in SPANS for i in range(start, stop)}
    whole = row(2, 34, TEXT, cell=CELL, gap=GAP, fill=0)
    read = row(2 + STEP / 2, 132, source, cell=CELL, gap=GAP, fill=0)
    written = row(2 + STEP, 230, target, cell=CELL, gap=GAP, fill=0)
    parts: list[Part] = [replace(box, fill=0.3) if i in out else box for i, box in enumerate(whole)]
    for boxes, fill in ((read, 0.0), (written, 0.3)):
        parts += [
            replace(box, dashed=True, bold=True) if box.label in SENTINELS
            else replace(box, fill=fill)
            for box in boxes
        ]  # fmt: skip
    for sentinel, (start, stop) in zip(SENTINELS, SPANS, strict=False):
        hole = read[source.index(sentinel)]
        for box in whole[start:stop]:
            parts += [line((box.bottom[0], 64), (hole.top[0], 130), role="score")]
        again = written[target.index(sentinel)]
        parts += [arrow((hole.bottom[0], 162), (again.top[0], 228), role="score", dashed=True)]
    right = 2 + len(TEXT) * STEP - GAP
    parts += [
        text(2, 12, "the text: filled spans are taken out", anchor="start", bold=True),
        # Right of the lines, which come from the left and the middle of the row above.
        text(right, 112, "the encoder reads", anchor="end", bold=True),
        text(right, 210, "the decoder is to write", anchor="end", bold=True),
    ]
    parts += [
        text(2, 286, f"{len(TEXT)} words are read as {len(source)} and asked for as {len(target)};",
             anchor="start"),
        text(2, 305, f"{SENTINELS[len(SPANS)]} says that nothing is missing any more",
             anchor="start"),
    ]  # fmt: skip
    alt = (
        f"Above, the text {' '.join(TEXT)}, from which the spans "
        f"{' and '.join(' '.join(TEXT[start:stop]) for start, stop in SPANS)} are taken out. In "
        f"the middle, what the encoder reads, with a sentinel in the place of each span: "
        f"{' '.join(source)}. Below, what the decoder is to write, each sentinel with the words "
        f"that it stands for, and one more at the end: {' '.join(target)}."
    )
    return Drawing("Spans and sentinels", alt, 416, 318, parts)
