"""A sentence as a bag of vectors, and how a causal mask opens the bag."""

import numpy as np

from minitx import numpy_core
from minitx.viz.svg import Box, Drawing, Part, arrow, curve, grid, shape, text

SENTENCES = (("the", "cat", "chased", "the", "dog"), ("the", "dog", "chased", "the", "cat"))
VECTORS = {"the": (0.0, 0.0), "cat": (2.0, 0.0), "chased": (0.0, 1.0), "dog": (1.0, 1.0)}
ANIMALS = ("cat", "dog")
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
    wide, left = 74.0, 15.0
    first, second = SENTENCES
    top, bottom = 56.0, 322.0
    x, y = 138.0, 203.0  # the middle of the bag
    parts: list[Part] = []
    for words, row, up in ((first, top, 1), (second, bottom, -1)):
        for i, word in enumerate(words):
            parts += [Box(left + i * (wide + 4), row, wide, 28, word, bold=word in ANIMALS,
                          fill=0.15 if word in ANIMALS else 0)]  # fmt: skip
        hunter, hunted = (left + i * (wide + 4) + wide / 2 for i in (1, 4))
        edge, far = (row - 3, row + 34) if up > 0 else (row + 31, row - 6)
        parts += [curve((hunter, edge), (hunted, edge), bend=0.1 * up, width=2)]
        parts += [text((hunter + hunted) / 2, edge - up * 38, f"the {words[1]} hunts")]
        parts += [arrow((x, far), (x, y - up * 84), width=2.5)]
    parts += [shape(
        f"M{x - 118},{y} C{x - 122},{y - 92} {x + 122},{y - 92} {x + 118},{y} "
        f"C{x + 122},{y + 92} {x - 122},{y + 92} {x - 118},{y} Z", role="score", fill=0.12,
    )]  # fmt: skip
    scattered = ((-62, 24), (12, 38), (58, -8), (-52, -30), (26, -44))
    for word, (dx, dy) in zip(sorted(first), scattered, strict=True):
        parts += [text(x + dx, y + dy, word, bold=word in ANIMALS)]
    outputs = [_vector(attended(words)["cat"]) for words in SENTENCES]
    same = "both times" if len(set(outputs)) == 1 else f"and {outputs[1]}"
    parts += [arrow((x + 122, y), (x + 150, y), width=2.5)]
    for line, said in enumerate(("attention", "makes of *cat*", outputs[0], same)):
        parts += [text(x + 158, y - 33 + 22 * line, said, anchor="start", bold=line in (0, 2),
                       role="v" if line == 2 else "ink")]  # fmt: skip
    alt = (
        f"Above, the sentence {' '.join(first)}; below, {' '.join(second)}; in each an arrow from "
        "the hunter to the hunted. Both go into one and the same bag, in which the five words lie "
        f"in no order: {', '.join(sorted(first))}. Out of it comes what attention makes of cat: "
        f"{outputs[0]}, {same}."
    )
    return Drawing("Two sentences, one bag", alt, 416, 406, parts)


def order_from_causality() -> Drawing:
    """Even weights over all tokens, and over those up to oneself: the mask gives each its share."""
    cell, high, left, top, block = 42.0, 26.0, 74.0, 74.0, 244.0
    right = left + T * cell + 36
    parts: list[Part] = []
    told = []
    for number, (name, says, mask) in enumerate((
        ("no mask", "all outputs alike: no place", np.ones((T, T), dtype=bool)),
        ("causal mask", "1 over the place", numpy_core.causal_allowed(T, T)),
    )):  # fmt: skip
        y = top + number * block
        weights, outputs = shares(mask)
        parts += [text(left + 2.5 * cell, y - 64, name, bold=True)]
        parts += [text(left - 8, y - 37, "values", role="v", anchor="end")]
        parts += grid(left, y - 48, [[f"{v:g}" for v in START[:, 0]]], cell=(cell, 22), role="v",
                      fill=[(0.3 * START[:, 0]).tolist()])  # fmt: skip
        labels = [[f"{w:.2f}" if may else "" for w, may in zip(*rows, strict=True)]
                  for rows in zip(weights, mask, strict=True)]  # fmt: skip
        fill = np.where(mask, 0.1 + 0.25 * weights, 0).tolist()
        parts += grid(left, y - 14, labels, cell=(cell, high), fill=fill, hatch=(~mask).tolist())
        parts += [text(right + 26, y - 30, "output", role="v")]
        for i, output in enumerate(outputs):
            middle = y - 14 + (i + 0.5) * high
            parts += [text(left - 8, middle, f"place {i + 1}", role="q", anchor="end")]
            parts += [arrow((left + T * cell + 4, middle), (right - 4, middle))]
            parts += [Box(right, middle - 12, 52, 24, f"{output:.2f}", "v",
                          fill=0.3 * float(output), bold=True)]  # fmt: skip
        parts += [text(right + 52, y + T * high + 6, says, anchor="end", bold=True)]
        told += [f"With {name} the outputs are {', '.join(f'{output:.2f}' for output in outputs)}"]
    alt = (
        f"Two tables of even weights over {T} tokens; the value of the first token is 1, those of "
        f"the others are 0. {told[0]}: no token can tell where it stands. {told[1]}: 1, a half, a "
        "third, a quarter, a fifth, and so each knows its place."
    )
    return Drawing("Order out of a mask", alt, 416, top + block + T * high + 18, parts)


def shares(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Even weights over what a mask leaves, and what each place then gets of the first token.

    >>> shares(numpy_core.causal_allowed(T, T))[1].round(2).tolist()
    [1.0, 0.5, 0.33, 0.25, 0.2]
    """
    weights = numpy_core.softmax(np.where(mask, 0.0, -np.inf))
    return weights, (weights @ START)[:, 0]


def _vector(row: np.ndarray) -> str:
    return f"({', '.join(f'{number:.2f}' for number in row)})"
