"""The map of the book: the transformer of 2017, every part with the number of its chapter.

`transformer` is the whole of it, for the start page; `you_are_here` is a small one for the head of
a chapter, with the chapter's parts lit.
"""

from collections.abc import Collection
from html import escape

from minitx.viz.colours import LIT, PAPER, ROLES, SCORE, Role
from minitx.viz.svg import Box, Drawing, Number, Part, Point, arrow, line, link, text

# What each chapter is called on the map, and the stem of its page where it has been written.
CHAPTERS: dict[int, tuple[str, str | None]] = {
    1: ("attention", "01_attention_intuition"),
    2: ("self-attention", "02_self_attention"),
    3: ("several heads", "03_multi_head"),
    4: ("positions", "04_positions"),
    5: ("training", "05_training"),
    6: ("encoder and decoder", "06_encoder_decoder"),
    7: ("efficient attention", None),
    8: ("vision", None),
}
PARTS: dict[str, int] = {  # every part of the map, and its chapter
    "attention": 1,
    "self-attention": 2,
    "masked-self-attention": 2,
    "heads": 3,
    "positions": 4,
    "add-and-norm": 5,
    "feed-forward": 5,
    "embedding": 6,
    "cross-attention": 6,
    "encoder": 6,
    "decoder": 6,
    "output": 6,
    "efficient-attention": 7,
    "vision": 8,
}
BADGE = 10.0  # radius of the circle around a chapter's number


def parts_of(chapter: int) -> tuple[str, ...]:
    """The parts of the map that a chapter explains.

    >>> parts_of(2)
    ('self-attention', 'masked-self-attention')
    """
    return tuple(name for name, number in PARTS.items() if number == chapter)


def transformer(lit: Collection[str] = (), *, linked: bool = False) -> Drawing:
    """The transformer of 2017, from the words at the bottom to the next word at the top.

    Args:
        lit: names of `PARTS` that stand out; where there are any, all others step back.
        linked: whether each part leads to its chapter's page, from a page beside it.

    Raises:
        ValueError: if a part is not on the map.

    Source: Vaswani et al. 2017, §3, in a drawing of our own: it shows one layer of each stack from
    inside and the other five as bars, so that every layer of the decoder is seen to read the last
    layer of the encoder.
    """
    drawn = _Map(lit, linked)
    return Drawing(
        _title("The transformer", lit, linked), _ALT + _lit_words(lit), 416, 660, drawn.whole()
    )


def you_are_here(chapter: int, *, linked: bool = True) -> Drawing:
    """The map in small, with the parts of one chapter lit.

    Args:
        chapter: from 1 to 8.
        linked: whether the other parts lead to their chapters' pages, from a page beside them.

    Raises:
        ValueError: if there is no such chapter.
    """
    if chapter not in CHAPTERS:
        raise ValueError(f"chapter must be one of {[*CHAPTERS]}, got {chapter!r}")
    lit = parts_of(chapter)
    drawn = _Map(lit, linked)
    name = CHAPTERS[chapter][0]
    title = f"You are here: chapter {chapter}, {name}"
    return Drawing(title, _SMALL_ALT + _lit_words(lit), 416, 238, drawn.small(title))


_ALT = (
    "Two stacks side by side, drawn from the bottom up. Left, the encoder: words to read, or "
    "patches of a picture; embedding; positions; then a layer of self-attention, add and norm, "
    "feed-forward, add and norm; then five more such layers. Right, the decoder: the words written "
    "so far; embedding; positions; then a layer of masked self-attention, cross-attention and "
    "feed-forward, an add and norm after each; five more such layers; linear, softmax, and the "
    "next word. In self-attention q, k and v come from one sequence. In cross-attention q comes "
    "from the decoder; k and v come from the encoder's last layer, to each layer of the decoder. "
    "Inside each attention: look up and mix, in several heads, and at less cost. The numbers are "
    "chapters: attention 1, self-attention 2, heads 3, positions 4, add and norm and feed-forward "
    "5, embedding, encoder, decoder, cross-attention and output 6, less cost 7, pictures 8."
)
_SMALL_ALT = (
    "The transformer in small, two stacks from the bottom up. Left, the encoder: positions, "
    "self-attention, feed-forward. Right, the decoder: positions, masked self-attention, "
    "cross-attention, which reads the encoder, feed-forward, output."
)


def _title(what: str, lit: Collection[str], linked: bool) -> str:
    return what + (", and its chapters" if linked else "") + (", with parts lit" if lit else "")


def _lit_words(lit: Collection[str]) -> str:
    return f" Lit: {', '.join(name.replace('-', ' ') for name in lit)}." if lit else ""


class _Map:
    """One map while it is drawn: what is lit, and how a part looks."""

    def __init__(self, lit: Collection[str], linked: bool) -> None:
        unknown = sorted(set(lit) - PARTS.keys())
        if unknown:
            raise ValueError(f"lit must name parts of the map, {[*PARTS]}; got {unknown}")
        self.lit = frozenset(lit)
        self.linked = linked

    # --- one part ---------------------------------------------------------------------------

    def part(self, name: str, label: str, box: Box, *, cards: bool = False) -> str:
        """A part with its label and its chapter's number, as a link where its page is there."""
        chapter, lit = PARTS[name], name in self.lit
        role: Role = "ink" if lit else self.role
        edge = f'stroke="{ROLES[role]}"'
        where = f'width="{box.width:g}" height="{box.height:g}" rx="5"'
        drawn = "".join(  # one behind the other: several heads
            f'<rect x="{box.x + shift}" y="{box.y - shift}" {where} fill="{PAPER}" {edge}/>'
            for shift in ((6, 3) if cards else ())
        )
        drawn += (
            f'<rect x="{box.x}" y="{box.y}" {where} fill="{LIT if lit else PAPER}" {edge} '
            f'stroke-width="{3 if lit else 1.5}"/>'
        )
        if cards and not self.lit:
            drawn += f'<rect x="{box.x}" y="{box.y}" {where} fill="{SCORE}" fill-opacity="0.18"/>'
        x, y = box.middle
        lines = label.split("\n")
        for row, words in enumerate(lines):
            below = (row - (len(lines) - 1) / 2) * 17
            drawn += text(x - BADGE - 1, y + below, words, role=role, bold=lit)
        right = box.x + box.width - BADGE - 4
        drawn += f'<circle cx="{right:g}" cy="{y:g}" r="{BADGE:g}" fill="{PAPER}" {edge}/>'
        drawn += text(right, y, str(chapter), role=role, bold=True)
        return self._linked(name, label.replace("\n", " "), drawn)

    def _linked(self, part: str, label: str, drawn: str) -> str:
        """What is lit is where the reader is: it leads nowhere."""
        chapter = PARTS[part]
        title, page = CHAPTERS[chapter]
        name = f"{label}: chapter {chapter}, {title}"
        if not self.linked or part in self.lit:
            return f"<g>{drawn}</g>"
        if page is None:
            return f"<g><title>{escape(name)} (being written)</title>{drawn}</g>"
        return link(f"{page}.html", name, f"<title>{escape(name)}</title>", drawn)

    def words(self, x: Number, y: Number, words: str, *, bold: bool = False) -> str:
        return text(x, y, words, role=self.role, bold=bold)

    @property
    def role(self) -> Role:
        """Of what is not lit: it steps back where something is."""
        return "score" if self.lit else "ink"

    def flow(self, *points: Point, head: bool = True) -> str:
        return (arrow if head else line)(*points, role="score")

    # --- the whole, y from the top ----------------------------------------------------------

    def whole(self) -> list[Part]:
        return [*self._memory(), *self._encoder(), *self._decoder(), *self._inside()]

    def _encoder(self) -> list[Part]:
        x, width = 26, 152
        middle = x + width / 2
        drawn = [*self._start(x, width, "words, or"), _frame(4, 340, 182, 196, self.role)]
        drawn += [self.part("vision", "patches", Box(94, 628, 92, 28))]
        drawn += [self.words(30, 351, "layer 1")]
        drawn += self._three(middle, 528, 504)
        drawn += [self.part("self-attention", "self-attention", Box(x, 474, width, 30), cards=True)]
        drawn += self._add(x, width, 440, below=474, rail=15, split=528)
        drawn += [self.flow((middle, 440), (middle, 424))]
        drawn += [self.part("feed-forward", "feed-forward", Box(x, 396, width, 28))]
        drawn += self._add(x, width, 362, below=396, rail=15, split=432)
        drawn += [self.flow((middle, 362), (middle, 328)), *self._bars(x, width, 254)]
        return [*drawn, self.part("encoder", "encoder", Box(4, 222, 86, 26))]

    def _decoder(self) -> list[Part]:
        x, width = 250, 140
        middle = x + width / 2
        drawn = [*self._start(x, width, "words so far"), _frame(240, 236, 172, 300, self.role)]
        drawn += [self.words(268, 247, "layer 1")]
        drawn += self._three(middle, 528, 504)
        masked = Box(x, 460, width, 44)
        drawn += [self.part("masked-self-attention", "masked\nself-attention", masked, cards=True)]
        drawn += self._add(x, width, 426, below=460, rail=401, split=528)
        drawn += [arrow((middle, 426), (middle, 400), role="q")]
        drawn += [text(middle - 12, 413, "q", role="q", bold=True)]
        cross = Box(x, 370, width, 30)
        drawn += [self.part("cross-attention", "cross-attention", cross, cards=True)]
        drawn += self._add(x, width, 336, below=370, rail=401, split=418)
        drawn += [self.flow((middle, 336), (middle, 320))]
        drawn += [self.part("feed-forward", "feed-forward", Box(x, 292, width, 28))]
        drawn += self._add(x, width, 258, below=292, rail=401, split=328)
        drawn += [self.flow((middle, 258), (middle, 224)), *self._bars(x, width, 150)]
        drawn += [self.flow((middle, 150), (middle, 110))]
        drawn += [self.part("decoder", "decoder", Box(328, 117, 84, 26))]
        drawn += [self.part("output", "linear", Box(x, 82, width, 28))]
        drawn += [self.flow((middle, 82), (middle, 72))]
        drawn += [self.part("output", "softmax", Box(x, 44, width, 28))]
        drawn += [self.flow((middle, 44), (middle, 24)), self.words(middle, 13, "the next word")]
        return drawn

    def _start(self, x: Number, width: Number, words: str) -> list[Part]:
        """What both stacks begin with: words, embedding, positions."""
        middle = x + width / 2
        return [
            self.words(middle if x > 200 else 50, 642, words),
            self.flow((middle, 628), (middle, 614)),
            self.part("embedding", "embedding", Box(x, 586, width, 28)),
            self.flow((middle, 586), (middle, 576)),
            self.part("positions", "+ positions", Box(x, 548, width, 28)),
            self.flow((middle, 548), (middle, 528), head=False),
        ]

    def _three(self, middle: Number, start: Number, end: Number) -> list[Part]:
        """One sequence becomes queries, keys and values."""
        drawn: list[Part] = [self.flow((middle - 40, start), (middle + 40, start), head=False)]
        for place, role in enumerate(LETTERS):
            x = middle + 40 * (place - 1)
            drawn += [arrow((x, start), (x, end), role=role)]
            drawn += [text(x + 11, (start + end) / 2, role, role=role, bold=True)]
        return drawn

    def _add(
        self, x: Number, width: Number, y: Number, *, below: Number, rail: Number, split: Number
    ) -> list[Part]:
        """Add and norm at y, with the way around the part below it, which starts at split."""
        middle = x + width / 2
        side = x if rail < x else x + width
        return [
            self.flow((middle, split), (rail, split), (rail, y + 13), (side, y + 13)),
            self.flow((middle, below), (middle, y + 26), head=False),
            self.part("add-and-norm", "add & norm", Box(x, y, width, 26)),
        ]

    def _bars(self, x: Number, width: Number, y: Number) -> list[Part]:
        """Five more layers, from outside."""
        drawn: list[Part] = []
        for top, height in BARS:
            drawn += [
                f'<rect x="{x}" y="{y + top:g}" width="{width}" height="{height}" rx="3" '
                f'fill="{PAPER}" stroke="{ROLES[self.role]}" stroke-width="1.5"/>'
            ]
        return [*drawn, self.words(x + width / 2, y + 37, "layers 2 to 6")]

    def _memory(self) -> list[Part]:
        """From the encoder's last layer to every layer of the decoder."""
        drawn: list[Part] = [self.flow((102, 254), (102, 236), (218, 236), head=False)]
        drawn += [arrow((206, 150), (206, 378), (250, 378), role="k")]
        drawn += [arrow((218, 150), (218, 392), (250, 392), role="v")]
        drawn += [
            text(230, 368, "k", role="k", bold=True),
            text(230, 403, "v", role="v", bold=True),
        ]
        for top, height in BARS:
            y = 150 + top + height / 2
            drawn += [self.flow((206, y), (250, y))]
        return drawn

    def _inside(self) -> list[Part]:
        """What every attention consists of, and the three letters."""
        names = {"attention": "look up, mix", "heads": "several heads"}
        names["efficient-attention"] = "at less cost"
        drawn: list[Part] = [
            _frame(4, 4, 182, 142, self.role),
            self.words(95, 20, "inside each attention"),
        ]
        for row, (name, label) in enumerate(names.items()):
            drawn += [self.part(name, label, Box(14, 36 + 36 * row, 162, 28))]
        for x, role, word in zip((4, 72, 126), LETTERS, ("query", "key", "value"), strict=True):
            drawn += [text(x, 176, f"{role} {word}", role=role, anchor="start", bold=True)]
        return [*drawn, text(4, 200, "numbers: chapters", role=self.role, anchor="start")]

    # --- in small ---------------------------------------------------------------------------

    def small(self, title: str) -> list[Part]:
        left, right = 98, 314
        rows = [30, 64, 98, 132, 166]
        drawn: list[Part] = [text(208, 13, title, bold=True)]
        for middle, words in ((40, "words, or"), (right, "words so far")):
            drawn += [self.words(middle, 220, words)]
        for middle, top in ((left, 98), (right, 30)):
            drawn += [self.flow((middle, 206), (middle, top), head=False)]
        drawn += [self.flow((left, 98), (left, 89), (204, 89), (204, 112), (216, 112))]
        drawn += [self.part("vision", "patches", Box(82, 206, 100, 28))]
        for name, label, y in (
            ("feed-forward", "feed-forward, norm", rows[2]),
            ("self-attention", "self-attention", rows[3]),
            ("positions", "positions", rows[4]),
        ):
            drawn += [self.part(name, label, Box(4, y, 188, 28))]
        for name, label, y in (
            ("output", "output", rows[0]),
            ("feed-forward", "feed-forward, norm", rows[1]),
            ("cross-attention", "cross-attention", rows[2]),
            ("masked-self-attention", "masked self-attention", rows[3]),
            ("positions", "positions", rows[4]),
        ):
            drawn += [self.part(name, label, Box(216, y, 196, 28))]
        drawn += [self.words(98, 38, "inside each attention:")]
        for name, label, x, width in (
            ("attention", "mix", 4, 54),
            ("heads", "heads", 60, 70),
            ("efficient-attention", "fast", 132, 60),
        ):
            drawn += [self.part(name, label, Box(x, 52, width, 28))]
        return drawn


LETTERS: tuple[Role, Role, Role] = ("q", "k", "v")
BARS = ((0, 9), (13, 9), (26, 22), (52, 9), (65, 9))  # top and height of five layers from outside


def _frame(x: Number, y: Number, width: Number, height: Number, role: Role) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" '
        f'stroke="{ROLES[role]}" stroke-dasharray="2 4"/>'
    )
