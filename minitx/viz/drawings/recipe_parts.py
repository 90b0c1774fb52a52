"""The recipe of a transformer as a ladder: each part is a rung that can be taken out."""

from minitx.viz.svg import Box, Drawing, Part, arrow, line, text

PARTS = (
    "positions",
    "several heads",
    "scaled scores",
    "residual connections",
    "layer norm",
    "feed-forward network",
    "warm-up",
    "label smoothing",
)
TAKEN = 3  # which rung is drawn outside


def ladder_of_parts() -> Drawing:
    """Eight rungs between two rails, and one of them pulled out."""
    left, wide, pitch, high = 14.0, 178.0, 40.0, 28.0
    bottom = 22 + pitch * len(PARTS)
    parts: list[Part] = [line((x, 4), (x, bottom), width=5) for x in (left - 6, left + wide + 6)]
    for i, name in enumerate(reversed(PARTS)):
        y = 20.0 + pitch * i
        taken = len(PARTS) - 1 - i == TAKEN
        parts += [Box(left, y, wide, high, "" if taken else name, fill=0 if taken else 0.08,
                      dashed=taken, role="score" if taken else "ink")]  # fmt: skip
        if taken:
            parts += [arrow((left + wide - 30, y + 14), (234, y + 14), width=2)]
            parts += [Box(238, y, wide - 4, high, name, lit=True)]
            for row, words in enumerate(("train anew without it", "measure", "put it back")):
                parts += [text(238, y + 54 + 24 * row, f"{row + 1}. {words}", anchor="start")]
    alt = (
        f"A ladder whose rungs, from the ground up, are the parts of the recipe: "
        f"{', '.join(PARTS)}. The rung of {PARTS[TAKEN]} is pulled out, and its place is an empty "
        "outline. Beside it: train anew without it, measure, put it back."
    )
    return Drawing("A recipe with one part out", alt, 416, bottom + 6, parts)
