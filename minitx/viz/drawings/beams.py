"""Beam search as a tree: two beginnings are kept, and the better sentence is found."""

from minitx.viz.colours import PAPER
from minitx.viz.drawings.translated import START
from minitx.viz.svg import LINE, Box, Drawing, Number, Part, line, text

Words = tuple[str, ...]

# The probability of a word after the words so far.
NEXT: dict[Words, dict[str, float]] = {
    (): {"it": 0.6, "there": 0.4},
    ("it",): {"was": 0.55, "is": 0.45},
    ("there",): {"was": 0.9, "is": 0.1},
    ("it", "was"): {"late": 0.6, "cold": 0.4},
    ("there", "was"): {"rain": 0.7, "snow": 0.3},
}
BEAMS = 2


def levels(beams: int) -> list[dict[Words, float]]:
    """The candidates at every step with their probabilities, when so many beginnings are kept.

    >>> [max(level, key=level.get) for level in levels(1)]
    [('it',), ('it', 'was'), ('it', 'was', 'late')]
    """
    kept: dict[Words, float] = {(): 1.0}
    found = []
    for _ in range(3):
        level = {
            (*words, word): share * probability
            for words, share in kept.items()
            for word, probability in NEXT[words].items()
        }
        found += [level]
        kept = dict(sorted(level.items(), key=lambda each: -each[1])[:beams])
    return found


def beam_tree() -> Drawing:
    """Three steps with two beams: kept boxes are filled, dropped ones dashed; greedy ends lower."""
    wide, high, step, top = 70.0, 40.0, 64.0, 44.0
    columns = (102.0, 220.0, 338.0)
    found = levels(BEAMS)
    rows: dict[Words, float] = {("it",): 0.5, ("there",): 2.5}
    for level in found[1:]:
        in_order = sorted(level, key=lambda words: rows[words[:-1]])
        rows |= {words: float(i) for i, words in enumerate(in_order)}

    def box(words: Words, share: float, *, kept: bool) -> Box:
        label = f"{words[-1]}\n{share:.2f}"
        return Box(columns[len(words) - 1], top + step * rows[words], wide, high, label,
                   fill=0.2 if kept else 0, dashed=not kept, bold=kept)  # fmt: skip

    boxes: dict[Words, Box] = {(): Box(2, top + step * 1.5, 56, high, START, fill=0.1)}
    told = []
    edges: list[Part] = []
    for number, level in enumerate(found, start=1):
        best = sorted(level, key=lambda words: -level[words])[:BEAMS]
        for words, share in level.items():
            boxes[words] = box(words, share, kept=words in best)
            start, end = boxes[words[:-1]].right, boxes[words].left
            edges += [
                line(start, end, width=3 if words in best else LINE, dashed=words not in best)
            ]
            edges += _label((start[0] + end[0]) / 2, (start[1] + end[1]) / 2,
                            f"{NEXT[words[:-1]][words[-1]]:g}")  # fmt: skip
        told += [f"Step {number}: " + ", ".join(
            f"{' '.join(words)} {share:.2f}{'' if words in best else ' (dropped)'}"
            for words, share in level.items())]  # fmt: skip
    (greedy, low), (winner, high_share) = (
        max(levels(beams)[-1].items(), key=lambda each: each[1]) for beams in (1, BEAMS)
    )
    parts: list[Part] = [*edges, *boxes.values()]
    parts += [text(x + wide / 2, 12, f"step {i + 1}", bold=True) for i, x in enumerate(columns)]
    y = top + 4 * step + 2
    parts += [
        text(2, y, f"{BEAMS} beams find: {' '.join(winner)}, {high_share:.2f}", anchor="start",
             bold=True),
        text(2, y + 22, f"greedy takes: {' '.join(greedy)}, {low:.2f}", anchor="start"),
        text(2, y + 50, "filled: kept. In a box: the product of all numbers on", anchor="start",
             role="score"),
        text(2, y + 68, "the way to it.", anchor="start", role="score"),
    ]  # fmt: skip
    alt = (
        f"A tree of beginnings with their probabilities, in which {BEAMS} are kept at every step. "
        f"{'. '.join(told)}. The best sentence found is {' '.join(winner)}, with "
        f"{high_share:.2f}. Greedy, which keeps one beginning, takes {' '.join(greedy)}, with "
        f"{low:.2f}: its first word was the more probable one, and its sentence is not."
    )
    return Drawing("Beams in a tree", alt, 416, y + 80, parts)


def _label(x: Number, y: Number, number: str) -> list[Part]:
    """A number in a gap of the line that it belongs to."""
    wide = 9.0 * len(number) - 1
    where = f'x="{x - wide / 2:g}" y="{y - 9:g}" width="{wide:g}" height="18"'
    return [f'<rect {where} fill="{PAPER}"/>', text(x, y, number)]
