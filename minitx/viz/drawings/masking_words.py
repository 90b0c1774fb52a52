"""BERT's masked words: which are chosen, and the three things that happen to a chosen one."""

from dataclasses import replace

from minitx.viz.drawings.written import percent
from minitx.viz.svg import Box, Drawing, Part, arrow, line, row, text

CHOSEN = 0.15  # of all tokens; Devlin et al. 2019, §3.1
FATES = {"hidden": 0.8, "exchanged": 0.1, "left alone": 0.1}  # of the chosen ones
SENTENCE = ("the", "cat", "sat", "on", "the", "mat")
ASKED = 1
BECOMES = ("⟨mask⟩", "roof", SENTENCE[ASKED])  # in the order of the fates


def masked_words() -> Drawing:
    """A bar of all words, the chosen part enlarged and cut in three, and an example of each."""
    whole = 412.0
    chosen = whole * CHOSEN
    parts: list[Part] = [
        text(2, 12, "all words of the text", anchor="start", bold=True),
        Box(2, 28, chosen, 26, percent(CHOSEN), fill=0.3, radius=0, bold=True),
        Box(2 + chosen, 28, whole - chosen, 26, "not asked: they count for nothing", "score",
            radius=0),
        line((2, 54), (2, 98), role="score", dashed=True),
        line((2 + chosen, 54), (2 + whole, 98), role="score", dashed=True),
        text(96, 82, "chosen", anchor="start", bold=True),
    ]  # fmt: skip
    x = 2.0
    for number, share in enumerate(FATES.values()):
        fill = 0.3 - 0.1 * number
        parts += [Box(x, 98, whole * share, 28, percent(share), fill=fill, radius=0, bold=True)]
        x += whole * share
    told = []
    for number, (fate, share) in enumerate(FATES.items()):
        y = 150.0 + 76 * number
        words = [*SENTENCE]
        words[ASKED] = BECOMES[number]
        parts += [text(2, y, f"{percent(share)} {fate}", anchor="start", bold=True)]
        boxes = row(2, y + 14, words, cell=(64, 28), gap=5, fill=0)
        boxes[ASKED] = replace(boxes[ASKED], fill=0.25, bold=True)
        parts += boxes
        told += [f"{percent(share)} {fate}: {' '.join(words)}"]
    end = 150.0 + 76 * len(FATES)
    place = boxes[ASKED].bottom[0]
    parts += [arrow((place, end - 30), (place, end - 6), width=2)]
    parts += [text(place - 34, end + 8, f"asked each time: {SENTENCE[ASKED]}", anchor="start",
                   bold=True)]  # fmt: skip
    alt = (
        f"A bar of all words of a text, of which {percent(CHOSEN)} are chosen; the others are not "
        "asked and count for nothing. The chosen part enlarged, and the sentence "
        f"{' '.join(SENTENCE)}, of which {SENTENCE[ASKED]} is chosen. {'. '.join(told)}. Each time "
        f"the model is asked for {SENTENCE[ASKED]}."
    )
    return Drawing("Masked words", alt, 416, end + 20, parts)
