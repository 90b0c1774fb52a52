"""One module, one sequence or two: only where keys and values come from changes."""

from collections.abc import Sequence

from minitx.viz.colours import Role
from minitx.viz.svg import Box, Drawing, Number, Part, arrow, grid, line, text

WRITTEN, READ = ("five", "hundred", "twenty"), ("fünf", "hundert", "vier", "und", "zwanzig")
CELL = 20.0


def cross_attention() -> Drawing:
    """The same module called with x, and with x and a memory."""
    parts: list[Part] = [line((206, 6), (206, 400), role="score", dashed=True)]
    parts += _panel(4, "attention(x)", None)
    parts += _panel(216, "attention(x, memory)", READ)
    alt = (
        f"Left, attention(x): queries, keys and values are made from the same words, "
        f"{', '.join(WRITTEN)}; the table of weights is {len(WRITTEN)} by {len(WRITTEN)}. Right, "
        f"attention(x, memory): the queries are made from {', '.join(WRITTEN)}, keys and values "
        f"from {', '.join(READ)}; the table is {len(WRITTEN)} by {len(READ)}. The module is the "
        f"same, and the output has a row for each query, {len(WRITTEN)} both times."
    )
    return Drawing("The same module for two sequences", alt, 416, 404, parts)


def _panel(x: Number, call: str, memory: Sequence[str] | None) -> list[Part]:
    parts: list[Part] = [text(x + 98, 12, call, bold=True)]
    parts += _words(x + (62 if memory is None else 0), 52, "x", WRITTEN, "ink")
    if memory is not None:
        parts += _words(x + 112, 52, "memory", memory, "ink")
    ports: tuple[tuple[str, Role, float], ...] = (("Q", "q", 36), ("K", "k", 98), ("V", "v", 160))
    for letter, role, at in ports:
        own = letter == "Q" or memory is None
        from_x = 98 if memory is None else (36 if own else 154)
        from_y = 52 + CELL * (3 if own else 5)
        shift = (at - 98) * 0.3 if memory is None else (0 if own else (at - 129) * 0.3)
        parts += [arrow((x + from_x + shift, from_y + 3), (x + at, 198), role=role)]
        parts += [Box(x + at - 14, 200, 28, 24, f"*{letter}*", role, fill=0.15)]
    parts += [Box(x + 2, 192, 192, 124, role="ink", radius=8)]
    keys = len(memory or WRITTEN)
    fill = [[0.2] * keys] * 3
    parts += grid(x + 98 - keys * 9, 246, [[""] * keys] * 3, cell=(18, 18), fill=fill)
    parts += [
        text(x + 98 - keys * 9 - 8, 273, "3", role="q", anchor="end"),
        text(x + 98, 236, str(keys), role="k"),
    ]
    parts += [arrow((x + 98, 318), (x + 98, 336))]
    parts += grid(x + 66, 340, [[""]] * 3, cell=(64, 18), role="v", fill=[[0.15]] * 3)
    return parts


def _words(x: Number, y: Number, name: str, words: Sequence[str], role: Role) -> list[Part]:
    return [
        text(x + 36, y - 13, name, role=role),
        *grid(x, y, [[word] for word in words], cell=(74, CELL), role=role),
    ]
