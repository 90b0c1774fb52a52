"""One module, one sequence or two: only where keys and values come from changes."""

from collections.abc import Sequence

from minitx.viz.colours import PAPER, Role
from minitx.viz.svg import Box, Drawing, Number, Part, Point, arrow, grid, line, text

WRITTEN, READ = ("cinq", "cent", "vingt"), ("five", "hundred", "twenty", "four", "⟨end⟩")
ROW = 20.0  # of a word
WORDS = 50.0  # where the sequences begin
MODULE = 196.0  # where the module does
PORTS: tuple[tuple[str, Role, float], ...] = (("Q", "q", 36), ("K", "k", 98), ("V", "v", 160))


def cross_attention() -> Drawing:
    """The same module called with x, and with x and a memory."""
    parts: list[Part] = [line((206, 4), (206, 382), role="score", dashed=True)]
    parts += _panel(4, "self-attention", None)
    parts += _panel(216, "cross-attention", READ)
    parts += [text(208, 402, f"the same module: {len(WRITTEN)} rows in, {len(WRITTEN)} rows out")]
    alt = (
        f"Left, self-attention: queries, keys and values are made from the same words of x, "
        f"{', '.join(WRITTEN)}; the table of weights is {len(WRITTEN)} by {len(WRITTEN)}. Right, "
        f"cross-attention: the queries are made from x, {', '.join(WRITTEN)}, keys and values from "
        f"memory, {', '.join(READ)}; the table is {len(WRITTEN)} by {len(READ)}. The module is the "
        f"same, and the output has a row for each query, {len(WRITTEN)} both times."
    )
    return Drawing("The same module for two sequences", alt, 416, 414, parts)


def _panel(x: Number, name: str, memory: Sequence[str] | None) -> list[Part]:
    parts: list[Part] = [text(x + 98, 12, name, bold=True)]
    own = x + 98 if memory is None else x + 36
    parts += _words(own, "x", WRITTEN)
    sources: dict[str, Point] = dict.fromkeys("QKV", (own, WORDS + ROW * len(WRITTEN)))
    if memory is not None:
        parts += _words(x + 154, "memory", memory)
        sources |= dict.fromkeys("KV", (x + 154, WORDS + ROW * len(memory)))
    parts += [Box(x + 2, MODULE, 192, 124, radius=8)]
    for letter, role, at in PORTS:
        from_x, from_y = sources[letter]
        start = from_x + (x + at - from_x) * 0.35
        parts += [arrow((start, from_y + 3), (x + at, MODULE - 15), role=role)]
        where = f'x="{x + at - 15:g}" y="{MODULE - 13:g}" width="30" height="26"'
        parts += [f'<rect {where} rx="4" fill="{PAPER}"/>']
        parts += [Box(x + at - 15, MODULE - 13, 30, 26, f"*{letter}*", role, fill=0.15)]
    keys = len(memory or WRITTEN)
    cell = 20.0
    left, top = x + 84, MODULE + 46
    labels = [[""] * keys] * len(WRITTEN)
    parts += grid(left, top, labels, cell=(cell, cell), fill=[[0.2] * keys] * len(WRITTEN))
    parts += [text(left + keys * cell / 2, top - 13, f"{keys} keys", role="k")]
    parts += [text(left - 7, top + 30, f"{len(WRITTEN)} queries", role="q", anchor="end")]
    parts += [arrow((x + 98, MODULE + 127), (x + 98, MODULE + 143))]
    rows = [[""]] * len(WRITTEN)
    parts += grid(x + 61, MODULE + 146, rows, cell=(74, 13), role="v", fill=[[0.15]] * len(WRITTEN))
    return parts


def _words(middle: Number, name: str, words: Sequence[str]) -> list[Part]:
    return [
        text(middle, WORDS - 13, f"*{name}*" if len(name) == 1 else name),
        *grid(middle - 37, WORDS, [[word] for word in words], cell=(74, ROW), role="ink"),
    ]
