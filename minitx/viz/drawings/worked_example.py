"""The example by hand of chapter 2, from which its drawings take their numbers."""

from dataclasses import dataclass

import numpy as np

from minitx import numpy_core

WORDS = ("the", "nesting", "crane")
X = np.array([[0.0, 0], [3, 0], [1, 1]])  # (T = 3, C = 2): how much animal, how much machine
W_Q = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])  # (C = 2, D_k = 4)
W_K = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])  # (C = 2, D_k = 4)
W_V = np.array([[1.0, 0], [0, 1]])  # (C = 2, D_v = 2)


@dataclass(frozen=True)
class Steps:
    """Every tensor on the way from X to the output.

    >>> follow(X).weights.round(2)[2].tolist()
    [0.12, 0.55, 0.33]
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    scores: np.ndarray
    weights: np.ndarray
    output: np.ndarray


def follow(x: np.ndarray) -> Steps:
    """Self-attention of the example's matrices on x, (T, 2), step by step."""
    q, k, v = x @ W_Q, x @ W_K, x @ W_V
    scores = q @ k.T / np.sqrt(W_K.shape[1])
    weights = numpy_core.softmax(scores)
    return Steps(q, k, v, scores, weights, numpy_core.attention(q, k, v))


def short(number: float, digits: int = 2) -> str:
    """A number as a drawing shows it: whole where it is whole.

    >>> short(1.0), short(0.4217)
    ('1', '0.42')
    """
    return f"{number:.0f}" if float(number).is_integer() else f"{number:.{digits}f}"


def written(table: np.ndarray, digits: int = 2) -> list[list[str]]:
    """All numbers of a table, as `short` writes them, or none of them whole."""
    if np.all(table == np.round(table)):
        return [[short(number) for number in row] for row in table]
    return [[f"{number:.{digits}f}" for number in row] for row in table]
