"""BART's five ways to spoil a text; what is asked for is the whole text, every time."""

from dataclasses import replace

from minitx.viz.svg import Drawing, Part, arrow, row, text

MASK = "⟨mask⟩"
FIRST, SECOND = ("rain", "fell", "."), ("the", "cat", "slept", ".")
TEXT = (*FIRST, *SECOND)
NOISED = {  # Lewis et al. 2020, §2.2
    "words masked": ("rain", MASK, ".", "the", MASK, "slept", "."),
    "words deleted": ("rain", ".", "the", "slept", "."),
    "a span filled by one mask": ("rain", "fell", ".", MASK, "."),
    "sentences exchanged": (*SECOND, *FIRST),
    "rotated to begin elsewhere": (*TEXT[4:], *TEXT[:4]),
}
CELL, GAP = (54.0, 26.0), 5.0


def denoise() -> Drawing:
    """Five spoilt texts, and below them the one text that all of them are to become."""
    parts: list[Part] = []
    for number, (name, words) in enumerate(NOISED.items()):
        y = 12.0 + 60 * number
        parts += [text(2, y, name, anchor="start", bold=True)]
        boxes = row(2, y + 14, words, cell=CELL, gap=GAP, fill=0)
        parts += [replace(box, fill=0.25) if box.label == MASK else box for box in boxes]
    end = 12.0 + 60 * len(NOISED)
    parts += [arrow((208, end - 12), (208, end + 14), width=2.5)]
    parts += [text(2, end + 30, "asked for, every time: the whole text", anchor="start", bold=True)]
    parts += row(2, end + 44, TEXT, cell=CELL, gap=GAP, fill=0.15)
    told = "; ".join(f"{name}: {' '.join(words)}" for name, words in NOISED.items())
    alt = (
        f"The text {' '.join(TEXT)} spoilt in five ways, one below the other. {told}. An arrow "
        "leads from all of them to the one target: the whole text, as it was."
    )
    return Drawing("Mend the text", alt, 416, end + 80, parts)
