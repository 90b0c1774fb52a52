"""How much of a random sequence can be read back from a state of fixed size, or by attention."""

import math

import numpy as np

from minitx.numpy_core import softmax

SYMBOLS = 8  # blind guessing reads one in eight
LEARNED, TESTED = 3000, 500  # sequences that the reader is fitted to, and that it is tested on


def from_state(T: int, width: int, *, symbols: int = SYMBOLS) -> float:
    """Share of symbols that a linear reader gets back from the last state of a recurrence.

        h = h R + embedding[symbol]

    with R a random rotation, so that nothing ever fades. For each position a reader of its own is
    fitted by least squares; nothing is trained by gradient descent.

    Args:
        T: length of the sequences.
        width: numbers in the state.
        symbols: how many there are to tell apart.

    >>> from_state(2, 32)
    1.0
    """
    rng = np.random.default_rng(T)
    embedding, tokens = _sequences(T, width, symbols, rng)
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    h = np.zeros((len(tokens), width))
    for t in range(T):
        h = h @ rotation + embedding[tokens[:, t]]
    h = np.column_stack([h, np.ones(len(h))])
    wanted = np.eye(symbols)[tokens].reshape(len(tokens), T * symbols)
    seen = h[:LEARNED]
    gram = seen.T @ seen + 1e-6 * np.eye(width + 1)  # a little ridge: never singular
    reader = np.linalg.solve(gram, seen.T @ wanted[:LEARNED])
    read = (h[LEARNED:] @ reader).reshape(-1, T, symbols).argmax(axis=-1)
    return float((read == tokens[LEARNED:]).mean())


def by_attention(T: int, width: int, *, symbols: int = SYMBOLS, temperature: float = 0.05) -> float:
    """Share of symbols got back by looking each position up among T keys and T values.

    A key says at which position a value stands. Keys are random vectors, far enough apart for so
    sharp a softmax, and a query is the key of the position that is asked for: that the lookup finds
    it is built in. What it shows is the memory's size, T · 2 · width numbers.

    Args:
        T: length of the sequences.
        width: numbers in a key, and in a value.
        symbols: how many there are to tell apart.
        temperature: of the softmax.

    >>> by_attention(64, 32)
    1.0
    """
    rng = np.random.default_rng(T)
    embedding, tokens = _sequences(T, width, symbols, rng)
    keys = rng.normal(size=(T, width)) / math.sqrt(width)
    weights = softmax(keys @ keys.T / temperature)
    fetched = weights @ embedding[tokens[LEARNED:]]
    distance = ((fetched[:, :, None] - embedding) ** 2).sum(axis=-1)
    return float((distance.argmin(axis=-1) == tokens[LEARNED:]).mean())


def _sequences(
    T: int, width: int, symbols: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    embedding = rng.normal(size=(symbols, width)) / math.sqrt(width)
    return embedding, rng.integers(symbols, size=(LEARNED + TESTED, T))
