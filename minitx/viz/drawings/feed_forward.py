"""The feed-forward network: the same at every position, each position alone."""

from minitx.viz.svg import Box, Drawing, Number, Part, arrow, bracket, line, text

WORDS = ("the", "cat", "sat")
C, F = 512, 2048  # Vaswani et al. 2017, §3.3


def each_position_alone() -> Drawing:
    """Attention mixes the positions; the feed-forward network widens each by itself."""
    xs, wide = (116.0, 232.0, 348.0), 104.0
    narrow = wide * C / F
    parts: list[Part] = []
    for x, word in zip(xs, WORDS, strict=True):
        parts += [text(x, 12, word, bold=True)]
        parts += [line((x, 26), (other, 78), role="score") for other in xs]
    parts += [text(2, 52, "attention", anchor="start", bold=True)]
    for x in xs:
        parts += [arrow((x, 70), (x, 94))]
        parts += [Box(x - narrow / 2, 94, narrow, 22, fill=0.2, radius=0)]
        parts += _fan(x, 116, narrow, 172, wide)
        parts += [Box(x - wide / 2, 172, wide, 22, fill=0.2, radius=0)]
        parts += _fan(x, 194, wide, 250, narrow)
        parts += [Box(x - narrow / 2, 250, narrow, 22, fill=0.2, radius=0)]
        parts += [text(x, 144, "*W*_1", bold=True), text(x, 222, "*W*_2", bold=True)]
        parts += [arrow((x, 272), (x, 300))]
    for y, label in ((105, f"{C}"), (183, f"{F:,}"), (261, f"{C}")):
        parts += [text(50, y, label, anchor="end")]
    parts += [text(50, 203, "ReLU", anchor="end", role="score")]
    parts += [bracket((64, 308), (400, 308), side="bottom",
                      label="the same *W*_1 and *W*_2 at every position")]  # fmt: skip
    alt = (
        f"Three columns, the words {', '.join(WORDS)}. In attention, above, lines lead from every "
        "word to every word. In the feed-forward network below no line leads from one column to "
        f"another: in each, {C} numbers become {F:,} by W_1 and ReLU and {C} again by W_2. W_1 "
        "and W_2 are the same at every position."
    )
    return Drawing("Each position alone", alt, 416, 344, parts)


def _fan(x: Number, top: Number, above: Number, bottom: Number, below: Number) -> list[Part]:
    """The sides of a matrix that makes a vector wider or narrower."""
    return [
        line((x + side * above / 2, top), (x + side * below / 2, bottom), role="score")
        for side in (-1, 1)
    ]
