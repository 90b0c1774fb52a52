"""A sentence as a bag of vectors, and how a causal mask opens the bag."""

import numpy as np

from minitx import numpy_core
from minitx.viz.svg import Box, Drawing, Part, arrow, curve, grid, shape, text

SENTENCES = (("the", "cat", "chased", "the", "dog"), ("the", "dog", "chased", "the", "cat"))
VECTORS = {"the": (0.0, 0.0), "cat": (2.0, 0.0), "chased": (0.0, 1.0), "dog": (1.0, 1.0)}
T = 5
START = np.array([[1.0], [0], [0], [0], [0]])  # the value of the first token, and of the others


def attended(words: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What attention without projections makes of each word.

    >>> [attended(words)["cat"].round(2).tolist() for words in SENTENCES]
    [[1.58, 0.21], [1.58, 0.21]]
    """
    x = np.array([VECTORS[word] for word in words])
    return dict(zip(words, numpy_core.attention(x, x, x), strict=True))


def same_bag() -> Drawing:
    """Two sentences that mean the opposite go into the same bag."""
    wide = 72.0
    first, second = SENTENCES
    parts: list[Part] = []
    top, bottom = 44.0, 314.0
    for words, y, side in ((first, top, 1), (second, bottom, -1)):
        for i, word in enumerate(words):
            parts += [Box(20 + i * (wide + 4), y, wide, 28, word, fill=0.08,
                          bold=word in ("cat", "dog"))]  # fmt: skip
        xs = [20 + i * (wide + 4) + wide / 2 for i in (1, 4)]
        edge = y - 2 if side > 0 else y + 30
        parts += [curve((xs[0], edge), (xs[1], edge), bend=0.12 * side, width=2)]
    parts += [text(246, 8, "the cat runs after the dog")]
    parts += [text(246, 378, "the dog runs after the cat")]
    x, y = 130.0, 112.0
    parts += [arrow((x, top + 36), (x, y - 6), width=2)]
    parts += [arrow((x, bottom - 8), (x, y + 170), width=2)]
    parts += [shape(
        f"M{x - 40},{y} C{x - 34},{y + 22} {x - 110},{y + 60} {x - 100},{y + 120} "
        f"C{x - 94},{y + 166} {x + 94},{y + 166} {x + 100},{y + 120} "
        f"C{x + 110},{y + 60} {x + 34},{y + 22} {x + 40},{y} Z", role="score", fill=0.1,
    )]  # fmt: skip
    for word, (dx, dy) in zip(
        sorted(first), ((-46, 84), (36, 122), (42, 88), (-40, 122), (0, 52)), strict=True
    ):
        parts += [text(x + dx, y + dy, word, bold=word in ("cat", "dog"))]
    outputs = [_vector(attended(words)["cat"]) for words in SENTENCES]
    parts += [arrow((x + 108, y + 84), (x + 150, y + 84), width=2)]
    parts += [text(x + 160, y + 52, "attention", anchor="start", bold=True)]
    parts += [text(x + 160, y + 74, "makes of cat", anchor="start")]
    parts += [text(x + 160, y + 98, outputs[0], anchor="start", role="v", bold=True)]
    same = "both times" if len(set(outputs)) == 1 else f"and {outputs[1]}"
    parts += [text(x + 160, y + 120, same, anchor="start")]
    alt = (
        f"Above, the sentence {' '.join(first)}; below, {' '.join(second)}; in each an arrow from "
        "the hunter to the hunted. Both go into one and the same bag, in which the five words lie "
        f"in no order: {', '.join(sorted(first))}. Out of it comes what attention makes of cat: "
        f"{outputs[0]}, {same}."
    )
    return Drawing("Two sentences, one bag", alt, 416, 388, parts)


def order_from_causality() -> Drawing:
    """Even weights over all tokens, and over those up to oneself: the mask gives each its share."""
    cell, left, top = 40.0, 96.0, 62.0
    parts: list[Part] = []
    told = []
    for block, (name, mask) in enumerate((
        ("no mask: all see the same", np.ones((T, T), dtype=bool)),
        ("causal mask: place p sees p tokens", numpy_core.causal_allowed(T, T)),
    )):  # fmt: skip
        y = top + block * 226
        scores = np.where(mask, 0.0, -np.inf)
        weights = numpy_core.softmax(scores)
        outputs = (weights @ START)[:, 0]
        parts += [text(left + 2.5 * cell, y - 50, name, bold=True)]
        parts += grid(left, y - 30, [[f"{v:g}" for v in START[:, 0]]], cell=(cell, 22), role="v",
                      fill=[(0.3 * START[:, 0]).tolist()])  # fmt: skip
        parts += [text(left - 8, y - 19, "values", role="v", anchor="end")]
        labels = [[f"{w:.2f}" if may else "" for w, may in zip(*rows, strict=True)]
                  for rows in zip(weights, mask, strict=True)]  # fmt: skip
        parts += grid(left, y, labels, cell=(cell, 26), fill=(0.4 * weights).tolist(),
                      hatch=(~mask).tolist())  # fmt: skip
        for i, output in enumerate(outputs):
            middle = y + (i + 0.5) * 26
            parts += [text(left - 8, middle, f"place {i + 1}", role="q", anchor="end")]
            parts += [arrow((left + T * cell + 4, middle), (left + T * cell + 30, middle))]
            parts += [Box(left + T * cell + 34, middle - 12, 50, 24, f"{output:.2f}", "v",
                          fill=0.3 * float(output))]  # fmt: skip
        told += [f"{name}: the outputs are {', '.join(f'{output:.2f}' for output in outputs)}"]
    alt = (
        f"Two tables of even weights over {T} tokens; the value of the first token is 1, those of "
        f"the others are 0. {told[0]}: no token can tell where it stands. {told[1]}: one half, a "
        "third, a quarter, and so each knows its place."
    )
    return Drawing("Order out of a mask", alt, 416, top + 226 + T * 26 + 8, parts)


def _vector(row: np.ndarray) -> str:
    return f"({', '.join(f'{number:.2f}' for number in row)})"
