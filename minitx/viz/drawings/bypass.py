"""A residual connection is a road past every sublayer: what enters the stack arrives."""

from minitx.viz.drawings.road import detour, rejoins, road, stops
from minitx.viz.svg import Box, Drawing, Part, arrow, text

SUBLAYERS, GAIN, SENT = 3, 0.1, 1000.0  # each sublayer gives a tenth of what it gets


def arriving(residual: bool) -> list[float]:
    """The signal before each sublayer and after the last.

    >>> arriving(False), arriving(True)
    ([1000.0, 100.0, 10.0, 1.0], [1000.0, 1100.0, 1210.0, 1331.0])
    """
    signal = [SENT]
    for _ in range(SUBLAYERS):
        signal += [round(residual * signal[-1] + GAIN * signal[-1], 6)]
    return signal


def bypass_road() -> Drawing:
    """A stack without and with roads beside its sublayers, and what arrives at its end."""
    alone, through, top = 66.0, 250.0, 92.0
    chain, sums = arriving(False), arriving(True)
    pitch = rejoins(0, 1) + 28
    bottom = top + SUBLAYERS * pitch + 16
    parts: list[Part] = [
        text(alone, 12, "without a road", bold=True),
        text(286, 12, "with a road", bold=True),
    ]
    parts += [text(alone, 34, "*x* ← *f*(*x*)"), text(286, 34, "*x* ← *x* + *f*(*x*)")]
    parts += road(through, top - 18, bottom)
    parts += [text(through, top - 30, f"{SENT:,.0f}", bold=True)]
    parts += [text(alone, top - 30, f"{SENT:,.0f}", bold=True)]
    for i in range(SUBLAYERS):
        y = top + i * pitch
        box = Box(alone - 40, y + 18, 80, 26, f"*f*: × {GAIN:g}", fill=0.06)
        last = i == SUBLAYERS - 1
        parts += [arrow((alone, y - 18 if i == 0 else y - 4), box.top), box]
        parts += [arrow(box.bottom, (alone, bottom if last else y + 62))]
        parts += detour(through, y, stops(304, 80, y, [f"*f*: × {GAIN:g}"]))
        parts += [text(352, y + 53, f"{GAIN * sums[i]:,.0f}", role="score", anchor="start")]
        if not last:
            parts += [text(alone, y + 73, f"{chain[i + 1]:,.0f}")]
            parts += [text(through - 18, y + 76, f"{sums[i + 1]:,.0f}", anchor="end")]
    parts += [text(alone, bottom + 16, f"{chain[-1]:,.0f} arrives", bold=True)]
    parts += [text(through, bottom + 16, f"{sums[-1]:,.0f} arrives", bold=True)]
    alt = (
        f"Two stacks of {SUBLAYERS} sublayers f, each of which gives a tenth of what it gets. "
        f"Without a road the signal goes through every one of them: "
        f"{', '.join(f'{s:,.0f}' for s in chain)}. With a road past each sublayer, on which the "
        f"signal stays as it is and to which f's result is added: "
        f"{', '.join(f'{s:,.0f}' for s in sums)}. What entered arrives."
    )
    return Drawing("A road past every sublayer", alt, 416, bottom + 30, parts)
