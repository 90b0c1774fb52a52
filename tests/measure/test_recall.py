"""What can be read back: all of it, none of it, and what lies between."""

import numpy as np
import pytest

from minitx.measure import recall


@pytest.fixture(autouse=True)
def fewer_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "LEARNED", 600)
    monkeypatch.setattr(recall, "TESTED", 200)


def test_one_symbol_is_always_read() -> None:
    assert recall.from_state(1, 13) == 1.0
    assert recall.by_attention(1, 13) == 1.0


def test_a_state_of_one_number_reads_little_better_than_guessing() -> None:
    assert recall.from_state(31, 1) < 2 / recall.SYMBOLS


def test_a_wider_state_holds_more_and_a_longer_sequence_is_harder() -> None:
    shares = np.array([[recall.from_state(T, width) for T in (7, 23)] for width in (11, 47)])
    assert (np.diff(shares, axis=0) > 0.1).all()
    assert (np.diff(shares, axis=1) < -0.1).all()


def test_attention_reads_everything_where_the_state_does_not() -> None:
    assert recall.by_attention(47, 37) == 1.0
    assert recall.from_state(47, 37) < 0.6


def test_a_hot_softmax_reads_nothing() -> None:
    """The average of all values says nothing about one position: guessing is left."""
    share = recall.by_attention(101, 37, temperature=1e6)
    assert abs(share - 1 / recall.SYMBOLS) < 0.03  # 20,200 guesses: three deviations are 0.007


def test_more_symbols_are_harder() -> None:
    assert recall.from_state(11, 23, symbols=31) < recall.from_state(11, 23, symbols=3)


def test_chapter_1_says_what_is_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five symbols without a mistake in 32 numbers, about four times as many in 128."""
    monkeypatch.setattr(recall, "LEARNED", 3000)
    monkeypatch.setattr(recall, "TESTED", 500)
    assert recall.from_state(5, 32) == 1.0
    assert recall.from_state(8, 32) < 0.97
    assert recall.from_state(18, 128) > 0.999
    assert recall.from_state(32, 128) < 0.97
