"""A word that must look at two places at once: what one average gives, and what two give."""

import numpy as np

from minitx import numpy_core
from minitx.viz.colours import Role
from minitx.viz.svg import Drawing, Number, Part, arrow, curve, grid, text

WORDS = ("the", "cat", "ate", "its", "food")
ASKING = 2
VALUES = np.array([(0.0, 0), (2, 0), (0, 0), (0, 0), (0, 2)])  # how much animal, how much edible
KEYS = np.array([(0.0, 0), (4, 0), (0, 0), (0, 0), (0, 4)])  # can eat, can be eaten
ONE = np.array([(2.0, 2)])  # a single query has to ask for both
TWO = np.array([(2.0, 0), (0, 2)])  # the queries of two heads

LEFT, WIDE, HIGH = 84.0, 42.0, 26.0
RESULT = 318.0


def look(queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights and the mixture of each query.

    >>> weights, mixture = look(ONE)
    >>> weights.round(2).tolist(), mixture.round(2).tolist()
    ([[0.0, 0.5, 0.0, 0.0, 0.5]], [[1.0, 1.0]])
    """
    mixture = numpy_core.attention(queries, KEYS, VALUES, scale=1.0)
    return numpy_core.softmax(queries @ KEYS.T), mixture


def two_looks() -> Drawing:
    """*Ate* asks who and what: one head has one average for both, two heads have one each."""
    parts: list[Part] = []
    top = 50.0
    eater, ate, eaten = (LEFT + (i + 0.5) * WIDE for i in (1, ASKING, 4))
    parts += [
        curve((ate - 6, top - 2), (eater, top - 2), bend=-0.6, role="q", width=2),
        curve((ate + 6, top - 2), (eaten, top - 2), bend=0.3, role="q", width=2),
        text((eater + ate) / 2 - 8, 12, "who?", role="q", bold=True),
        text((ate + eaten) / 2 + 4, 12, "what?", role="q", bold=True),
    ]
    for i, word in enumerate(WORDS):
        parts += grid(
            LEFT + i * WIDE, top, [[word]], cell=(WIDE, HIGH), role="q" if i == ASKING else "k",
            fill=[[0.15 if i in (1, ASKING, 4) else 0.0]],
        )  # fmt: skip
    numbers = [[f"{number:.0f}" for number in row] for row in VALUES.T]
    parts += grid(LEFT, top + 32, numbers, cell=(WIDE, 22), role="v")
    for row, name in enumerate(("animal", "edible")):
        parts += [text(LEFT - 6, top + 43 + 22 * row, name, role="v", anchor="end")]
    told = []
    y = top + 32 + 44 + 50
    for queries, names, says in (
        (ONE, ("one head",), "one mixture: half cat, half food. Who eats what?"),
        (TWO, ("head 1", "head 2"), "two mixtures side by side: who, and what"),
    ):
        weights, mixture = look(queries)
        parts += [text(LEFT + 2.5 * WIDE, y - 14, f"weights of *{WORDS[ASKING]}*", role="score")]
        for column, name in enumerate(("animal", "edible")):
            parts += [text(RESULT + (column + 0.5) * 48, y - 14, name, role="v")]
        for row, name in enumerate(names):
            middle = y + (row + 0.5) * HIGH
            parts += [text(LEFT - 6, middle, name, anchor="end", bold=True)]
            parts += _row(LEFT, y + row * HIGH, weights[row], WIDE, "score")
            parts += [arrow((LEFT + 5 * WIDE + 4, middle), (RESULT - 4, middle))]
            parts += _row(RESULT, y + row * HIGH, mixture[row], 48, "v")
            seen, gives = (", ".join(_short(table[row])) for table in (weights, mixture))
            told += [f"{name}: {seen}, which gives {gives}"]
        y += len(names) * HIGH + 16
        parts += [text(208, y, says, bold=True)]
        y += 52
    alt = (
        f"The sentence {' '.join(WORDS)}, in which ate asks who, the cat, and what, the food. Each "
        "word's value says how much animal and how much edible: cat has 2 and 0, food 0 and 2, the "
        f"others 0. Weights of {told[0]}: a blend of both. Weights of {told[1]}; of {told[2]}: cat "
        "and food, kept apart."
    )
    return Drawing("One word, two looks", alt, 416, y - 40, parts)


def _row(x: Number, y: Number, numbers: np.ndarray, wide: Number, role: Role) -> list[Part]:
    fill = [(0.35 * numbers / numbers.max()).tolist()]
    return [*grid(x, y, [_short(numbers)], cell=(wide, HIGH), role=role, fill=fill)]


def _short(numbers: np.ndarray) -> list[str]:
    """Two digits, without zeros at the end.

    >>> _short(np.array([0.4998, 2.0]))
    ['0.5', '2']
    """
    return [f"{round(float(number), 2):g}" for number in numbers]
