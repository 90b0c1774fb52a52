"""Translating a number: words that change places, one vector for all, and looking back."""

from collections.abc import Sequence
from itertools import pairwise

from minitx.viz.svg import Box, Drawing, Number, Part, arrow, grid, line, text

SOURCE, TARGET = ("drei", "und", "zwanzig"), ("twenty", "three")


def crossing_numbers() -> Drawing:
    """524 in German and in English: the words for 20 and 4 change places."""
    german, english = (
        ("fünf", "hundert", "vier", "und", "zwanzig"),
        ("five", "hundred", "twenty", "four"),
    )
    made = {0: 0, 1: 1, 2: 4, 3: 2}  # which German word made which English one
    read = _row(german, 8, 66, role="k", wide=(52, 80, 52, 52, 84), gap=16)
    written = _row(english, 38, 196, role="q", wide=(58, 84, 72, 58), gap=17)
    parts: list[Part] = [
        text(8, 16, "524", bold=True, size=20, anchor="start"),
        text(392, 16, "German, read", role="k", bold=True, anchor="end"),
        text(392, 242, "English, written", role="q", bold=True, anchor="end"),
    ]
    glosses = ("5", "100", "4", "and", "20")
    parts += [text(box.middle[0], 50, gloss) for box, gloss in zip(read, glosses, strict=True)]
    for target, source in made.items():
        crosses = target > 1
        parts += [
            line(
                read[source].bottom, written[target].top, width=4 if crosses else 1.5,
                role="ink" if crosses else "score",
            )
        ]  # fmt: skip
    parts += [*read, *written]
    alt = (
        "The German words fünf, hundert, vier, und, zwanzig above the English words five, hundred, "
        "twenty, four. Lines join what means the same: five and hundred run straight down, but the "
        "lines of vier to four and of zwanzig to twenty cross; und has no partner."
    )
    return Drawing("Which word made which?", alt, 400, 256, parts)


def bottleneck() -> Drawing:
    """An encoder that reads, a decoder that writes, and one vector between them."""
    parts, states, written = _encoder_decoder()
    last, first = states[-1], written[0]
    parts += [
        *grid(226, 86, [[""]] * 5, cell=(20, 16), role="ink", fill=[[0.5]] * 5),
        arrow(last.right, (224, 126), width=2.5),
        arrow((248, 126), first.left, width=2.5),
        text(236, 38, "one vector", bold=True),
        text(236, 57, "for the whole sentence"),
        arrow((236, 67), (236, 83)),
    ]
    alt = (
        "Left, an encoder in three steps reads drei, und, zwanzig, each state handing on to the "
        "next. Right, a decoder in two steps writes twenty, three. All that passes from left to "
        "right is one vector between the last state of the encoder and the first of the decoder."
    )
    return Drawing("One vector for everything", alt, 400, 246, parts)


def decoder_looks_back() -> Drawing:
    """The same encoder and decoder, but the decoder asks every state before it writes a word."""
    parts, states, written = _encoder_decoder()
    asking, told = written
    context = Box(told.x, 34, told.width, 32, "c_2", "v", fill=0.12)
    asked, mixed = 84, context.middle[1]  # heights of the two lines
    ask = [state.middle[0] - 12 for state in states]
    widths = (5.0, 1.5, 1.5)  # zwanzig is written already: now drei counts
    parts += [arrow(states[-1].right, asking.left, role="score")]
    parts += [line(asking.top, (asking.top[0], asked), (ask[0], asked), role="q")]
    parts += [arrow((x, asked), (x, states[0].top[1] - 2), role="q") for x in ask]
    parts += [
        line((state.middle[0] + 12, state.top[1]), (state.middle[0] + 12, mixed), role="v", width=w)
        for state, w in zip(states, widths, strict=True)
    ]
    parts += [
        arrow((states[0].middle[0] + 9.5, mixed), (context.x - 2, mixed), role="v", width=2.5),
        context,
        arrow(context.bottom, (told.top[0], told.top[1] - 2), role="v", width=2.5),
        text(234, asked + 14, "d_1 asks", role="q", bold=True),
        text(234, mixed - 16, "the mixture answers", role="v", bold=True),
    ]
    alt = (
        "The same encoder, which reads drei, und, zwanzig, and the same decoder, which writes "
        "twenty, three. Before three is written, the first state of the decoder asks all three "
        "states of the encoder. They are mixed, with much of drei and little of und and zwanzig, "
        "and the mixture, c2, leads into the second state, which writes three."
    )
    return Drawing("The decoder looks back", alt, 400, 246, parts)


def _encoder_decoder() -> tuple[list[Part], list[Box], list[Box]]:
    """What both kinds share: parts, the encoder's states, the decoder's."""
    states = [Box(8 + 70 * i, 104, 52, 44, f"h_{i + 1}", "k", fill=0.12) for i in range(3)]
    written = [Box(264 + 74 * i, 104, 52, 44, f"d_{i + 1}", "q", fill=0.12) for i in range(2)]
    parts: list[Part] = [*states, *written]
    parts += [arrow(a.right, b.left) for a, b in (*pairwise(states), *pairwise(written))]
    for state, word in zip(states, SOURCE, strict=True):
        x = state.bottom[0]
        parts += [text(x, 190, word, role="k"), arrow((x, 179), (x, 151))]
    for state, word in zip(written, TARGET, strict=True):
        x = state.bottom[0]
        parts += [text(x, 190, word, role="q"), arrow((x, 151), (x, 179))]
    parts += [
        text(104, 224, "encoder reads", role="k", bold=True),
        text(327, 224, "decoder writes", role="q", bold=True),
    ]
    return parts, states, written


def _row(
    words: Sequence[str], x: Number, y: Number, *, role: str, wide: Sequence[Number], gap: Number
) -> list[Box]:
    boxes = []
    for word, width in zip(words, wide, strict=True):
        boxes += [Box(x, y, width, 32, word, "k" if role == "k" else "q", fill=0.12)]
        x += width + gap
    return boxes
