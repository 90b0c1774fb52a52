"""Fine-tuning: a new head on a pre-trained stack, and how much below it is trained with it."""

from minitx.viz.svg import Box, Drawing, Part, arrow, line, text

STACK = ("embedding", "layer 1", "layer 2", "layer 3", "layer 4")  # from the bottom up
WAYS = (  # how many of the stack's parts are trained, and how far the gradient goes
    ("only the head", 0, "the gradient\nends at once"),
    ("the top, too", 2, "it ends at the\nfirst frozen part"),
    ("everything", 5, "it goes all\nthe way"),
)
HEAD = "new head"


def fine_tune() -> Drawing:
    """Three stacks side by side: what is frozen is hatched, what is trained is filled."""
    wide, high, step, base = 96.0, 30.0, 42.0, 262.0
    parts: list[Part] = []
    told = []
    for number, (name, trained, ends) in enumerate(WAYS):
        x = 2 + number * 140.0
        parts += [text(x, 12, name, anchor="start", bold=True)]
        if number:
            parts += [line((x - 8, 4), (x - 8, 348), role="score", dashed=True)]
        for i, label in enumerate((*STACK, HEAD)):
            new = label == HEAD
            learns = new or i >= len(STACK) - trained
            y = base - step * i
            parts += [Box(x, y, wide, high, label, "ink" if learns else "score", bold=new,
                          fill=0.25 if learns else 0.0, hatch=not learns)]  # fmt: skip
            if i:
                parts += [arrow((x + wide / 2, y + step), (x + wide / 2, y + high + 1))]
        lowest = base - step * (len(STACK) - trained)
        parts += [arrow((x + wide + 14, base - step * len(STACK) - 2),
                        (x + wide + 14, lowest + high), width=2.5, dashed=True)]  # fmt: skip
        for i, words in enumerate(ends.split("\n")):
            parts += [text(x, base + 52 + 18 * i, words, anchor="start")]
        frozen = ", ".join(STACK[: len(STACK) - trained]) or "nothing"
        told += [f"{name}: frozen are {frozen}; {ends}".replace("\n", " ")]
    parts += [text(2, 366, "filled: trained. Hatched: frozen, as pre-trained.", anchor="start",
                   role="score")]  # fmt: skip
    parts += [text(2, 384, "Dashed arrow: the gradient.", anchor="start", role="score")]
    alt = (
        f"Three times the same pre-trained stack, from the bottom up {', '.join(STACK)}, and on it "
        f"a new head, which is always trained. {'. '.join(told)}."
    )
    return Drawing("What is trained on", alt, 416, 396, parts)
