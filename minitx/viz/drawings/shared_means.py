"""Which numbers are normalised together: of one token, or of one feature in the whole batch."""

import numpy as np

from minitx.viz.svg import Drawing, Part, bracket, grid, text

SENTENCES = (("the", "cat", "sat", "down"), ("it", "rains", "", ""))
FEATURES, TOKEN, FEATURE = 5, 1, 2  # which token and which feature stand out


def together(kind: str) -> np.ndarray:
    """The entries of the batch, (B, T, C), that share a mean or a mean square with one of them.

    >>> [int(together(kind).sum()) for kind in ("layer", "RMS", "batch")]
    [5, 5, 8]
    """
    batch = np.zeros((len(SENTENCES), len(SENTENCES[0]), FEATURES), dtype=bool)
    if kind == "batch":
        batch[:, :, FEATURE] = True
    else:
        batch[0, TOKEN] = True
    return batch


def layer_or_batch() -> Drawing:
    """The same batch three times, and in each what one number is normalised with."""
    wide, high, top, gap = 20.0, 24.0, 74.0, 14.0
    T = len(SENTENCES[0])
    side = FEATURES * wide
    parts: list[Part] = []
    for row, word in enumerate(SENTENCES[0] + SENTENCES[1]):
        y = top + (row + 0.5) * high + (gap if row >= T else 0)
        parts += [text(58, y, word or "padding", anchor="end", role="ink" if word else "score")]
    bottom = top + 2 * T * high + gap
    told = []
    for column, (kind, takes, says) in enumerate((
        ("layer", "mean, variance", ("of one token", "alone")),
        ("RMS", "mean square", ("of one token;", "no mean")),
        ("batch", "mean, variance", ("of one feature,", "in all tokens")),
    )):  # fmt: skip
        x = 72.0 + column * (side + 16)
        shared = together(kind)
        parts += [text(x + side / 2, 12, f"{kind} norm", bold=True)]
        for b, sentence in enumerate(shared):
            parts += grid(
                x, top + b * (T * high + gap), [[""] * FEATURES] * T, cell=(wide, high),
                fill=np.where(sentence, 0.5, 0.0).tolist(), hatch=sentence.tolist(), role="score",
            )  # fmt: skip
        parts += [text(x + side / 2, bottom + 18, takes)]
        parts += [text(x + side / 2, bottom + 37 + 18 * i, line) for i, line in enumerate(says)]
        told += [f"{kind} norm: {takes} {' '.join(says)}, {shared.sum()} numbers"]
    parts += [text(208, bottom + 88, "hatched: normalised together", role="score")]
    parts += [bracket((72, top - 6), (72 + side, top - 6), side="top", label=f"C = {FEATURES}")]
    alt = (
        f"A batch of two sentences of {T} tokens, the second with two tokens of padding, as a "
        f"table of {2 * T} rows and {FEATURES} features, three times. Hatched is what is "
        f"normalised together. {'; '.join(told)}. In batch norm the other sentence, and its "
        "padding, change the result; in the others a token is on its own."
    )
    return Drawing("What shares a mean", alt, 416, bottom + 102, parts)
