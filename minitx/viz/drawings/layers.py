"""What a layer connects: one sequence or two, and how far apart its ends are."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from minitx.viz.colours import Role
from minitx.viz.svg import Box, Drawing, Number, Part, arrow, dot, line, text

Reach = Callable[[int, int], Iterable[int]]  # position and layer -> the positions above it

POSITIONS = 14  # the last is 1 + 3 + 9 after the first
ROW = 10.0


def two_sequences_one_sequence() -> Drawing:
    """Cross-attention asks another sequence; self-attention asks its own."""
    parts: list[Part] = [
        text(98, 16, "two sequences", bold=True),
        text(302, 16, "one sequence", bold=True),
        line((200, 8), (200, 240), role="score", dashed=True),
        *_asking(6, ("twenty", "three"), ("drei", "und", "zwanzig")),
        *_asking(210, ("the", "cat", "sat"), ("the", "cat", "sat")),
        text(98, 214, "the written one asks"),
        text(98, 233, "the one that was read"),
        text(302, 214, "every word asks"),
        text(302, 233, "all words, itself too"),
    ]
    alt = (
        "Left, cross-attention: the queries are of the words twenty, three, and lines lead from "
        "each of them to all keys and values, which are of drei, und, zwanzig. Right, "
        "self-attention: queries above and keys and values below are of the same words, the, cat, "
        "sat, and each word is joined with all of them, itself included."
    )
    return Drawing("Two sequences, or one", alt, 400, 248, parts)


def _asking(x: Number, asking: Sequence[str], asked: Sequence[str]) -> list[Part]:
    upper = _words(x, 50, asking, "q")
    lower = _words(x, 146, asked, "k")
    parts: list[Part] = [
        arrow((a.bottom[0], a.bottom[1] + 2), (b.top[0], b.top[1] - 3), role="score")
        for a in upper
        for b in lower
    ]
    parts += [*upper, *lower]
    parts += [text(x + 66, 188, "keys", role="k"), text(x + 122, 188, "values", role="v")]
    parts += [text(x + 92, 38, "queries", role="q")]
    return parts


def _words(x: Number, y: Number, words: Sequence[str], role: Role) -> list[Box]:
    gap = 4.0
    wide = (184 - gap * (len(words) - 1)) / len(words)
    return [
        Box(x + (wide + gap) * i, y, wide, 28, word, role, fill=0.12)
        for i, word in enumerate(words)
    ]


KINDS: dict[str, Reach] = {  # as in chapter 1: neighbours on both sides
    "recurrent": lambda i, step: (i, i + 1),
    "convolution, 3 wide": lambda i, step: (i - 1, i, i + 1),
    "dilated, 3 wide": lambda i, step: (i - 3**step, i, i + 3**step),
    "attention, 4 each side": lambda i, step: range(i - 4, i + 5),
    "attention": lambda i, step: range(POSITIONS),
}


def path_lengths() -> Drawing:
    """From the first position to the last, in five kinds of layer."""
    parts: list[Part] = [
        text(8, 16, f"from the first of {POSITIONS} to the last", bold=True, anchor="start"),
    ]
    y, counted = 46.0, []
    for name, reach in KINDS.items():
        path = shortest_path(POSITIONS, reach)
        steps = len(path) - 1
        counted += [f"{name}: {steps}"]
        unit = "step" if steps == 1 else "steps"
        parts += [
            text(8, y, name, anchor="start"),
            text(392, y, f"{steps} {unit}", bold=True, anchor="end"),
        ]
        parts += _ladder(8, y + 18, path, level=name == "recurrent")
        y += 18 + (22 if name == "recurrent" else ROW * steps + 14) + 22
    alt = (
        f"{POSITIONS} positions in a row, five times, with the shortest way from the first to the "
        f"last. {'; '.join(counted)}. A recurrent layer walks along the row; in a stack of layers "
        "each step is one layer up."
    )
    return Drawing("How long the way is", alt, 400, y - 12, parts)


def shortest_path(positions: int, reach: Reach) -> list[int]:
    """The positions on the shortest way from the first to the last, one per step.

    >>> shortest_path(14, KINDS["dilated, 3 wide"])
    [0, 1, 4, 13]
    """
    ways = {0: [0]}
    step = 0
    while positions - 1 not in ways:
        longer: dict[int, list[int]] = {}
        for i, way in ways.items():
            for j in reach(i, step):
                if 0 <= j < positions:
                    longer.setdefault(j, [*way, j])
        ways, step = longer, step + 1
    return ways[positions - 1]


def _ladder(x: Number, y: Number, path: Sequence[int], *, level: bool) -> list[Part]:
    """Rows of dots from the input, below, to the output; the way through them."""
    steps = len(path) - 1
    rows = 1 if level else steps + 1
    wide, high = 28.0, ROW
    at = [
        (x + 8 + wide * i, y + (0 if level else high * (steps - step)) + (6 if level else 0))
        for step, i in enumerate(path)
    ]
    parts: list[Part] = [
        dot(x + 8 + wide * i, y + high * row + (6 if level else 0), 1.6, role="score")
        for row in range(rows)
        for i in range(POSITIONS)
    ]
    parts += [arrow(a, b, width=2.5) for a, b in pairwise(at)]
    return parts
