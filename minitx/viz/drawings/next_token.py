"""From logits to a draw: temperature, then top-k, then top-p, on one and the same word."""

import numpy as np

from minitx import numpy_core
from minitx.viz.colours import SCORE
from minitx.viz.drawings.written import percent, signed
from minitx.viz.svg import Drawing, Part, arrow, text

LOGITS = {"mat": 4.0, "sofa": 3.5, "floor": 3.0, "roof": 2.0, "moon": 0.5, "of": -1.0}
TEMPERATURE, TOP_K, TOP_P = 0.7, 4, 0.9


def stages() -> dict[str, np.ndarray]:
    """The probabilities after each step, the most probable word first.

    >>> [round(float(p), 2) for p in stages()["top-p"]]
    [0.58, 0.28, 0.14, 0.0, 0.0, 0.0]
    """
    logits = np.array([*LOGITS.values()])
    warm = numpy_core.softmax(logits / TEMPERATURE)
    first = np.where(np.arange(len(logits)) < TOP_K, warm, 0) / warm[:TOP_K].sum()
    before = np.cumsum(first) - first
    nucleus = np.where(before < TOP_P, first, 0)
    return {
        "softmax": numpy_core.softmax(logits),
        "temperature": warm,
        "top-k": first,
        "top-p": nucleus / nucleus.sum(),
    }


def next_token_bars() -> Drawing:
    """Four columns of bars, each made from the one before; what falls out is crossed."""
    names = ("÷ 1, softmax", f"÷ {TEMPERATURE:g}, softmax", f"top-k {TOP_K}", f"top-p {TOP_P:g}")
    left, wide, high, top = 92.0, 81.0, 30.0, 78.0
    parts: list[Part] = [
        text(2, 12, "The cat slept on the …", anchor="start", bold=True),
        text(2, top - 20, "logits", anchor="start", role="score"),
    ]
    for i, (word, logit) in enumerate(LOGITS.items()):
        y = top + (i + 0.5) * high
        parts += [text(2, y, word, anchor="start"), text(80, y, signed(logit), anchor="end",
                                                         role="score")]  # fmt: skip
    told = []
    for column, (name, p) in enumerate(zip(names, stages().values(), strict=True)):
        x = left + column * wide
        for line, words in enumerate(name.split(", ")):
            parts += [text(x, top - 36 + 18 * line, words, anchor="start", bold=True)]
        for i, share in enumerate(p):
            y = top + i * high + 5
            if share > 0:
                long = 70 * share
                parts += [f'<rect x="{x:g}" y="{y + 14:.1f}" width="{long:.2f}" height="8" '
                          f'fill="{SCORE}"/>']  # fmt: skip
                parts += [text(x, y + 5, percent(share), anchor="start")]
            else:
                parts += [text(x, y + 10, "✗", anchor="start", role="score")]
        told += [f"{name}: {', '.join(percent(share) for share in p if share > 0)}"]
    y = top + len(LOGITS) * high + 18
    parts += [arrow((left, y), (left + 4 * wide - 12, y), role="score")]
    parts += [text(left, y + 20, "each cut is made in the column before", anchor="start")]
    parts += [text(2, y + 48, f"÷: logits divided by the temperature, 1 or {TEMPERATURE:g}",
                   anchor="start", role="score")]  # fmt: skip
    alt = (
        "The next word after The cat slept on the, for the candidates "
        f"{', '.join(f'{word} with logit {signed(x)}' for word, x in LOGITS.items())}. Bars of "
        f"their probabilities in four columns: at temperature 1, "
        f"at a lower one, and after two cuts, each made in the column before. {'. '.join(told)}. "
        "What has fallen out is crossed, and the rest is scaled up to 1 again."
    )
    return Drawing("From logits to a draw", alt, 416, y + 60, parts)
