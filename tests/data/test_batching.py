"""Batches: a function of their number, each example once per epoch, the targets shifted by one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minitx.training
from minitx.data.batching import (
    generator,
    padded,
    shuffled_epochs,
    sources,
    translation_batch,
    translation_batches,
    window_batches,
)
from minitx.data.vocabulary import BOS, EOS, PAD
from minitx.masks import IGNORE

WORD = st.integers(4, 97)
ROWS = st.lists(st.lists(WORD, max_size=11), min_size=1, max_size=7)
PAIRS = st.lists(st.tuples(st.lists(WORD, max_size=5), st.lists(WORD, max_size=11)), min_size=1)


@given(ROWS, st.integers(-100, 3))
def test_padding_is_at_the_right_and_nothing_else_changes(rows, value):
    table = padded(rows, value=value)
    assert table.shape == (len(rows), max(map(len, rows)))
    assert table.dtype == torch.int64
    for row, wanted in zip(table.tolist(), rows, strict=True):
        assert row == wanted + [value] * (len(row) - len(wanted))


@given(ROWS)
def test_sources_end_and_know_their_length(rows):
    src, lengths = sources(rows)
    for row, length, wanted in zip(src.tolist(), lengths.tolist(), rows, strict=True):
        assert row[:length] == [*wanted, EOS]
        assert set(row[length:]) <= {PAD}


@given(PAIRS)
def test_targets_are_shifted_by_one(pairs):
    batch = translation_batch(pairs)
    assert batch.tgt_in.shape == batch.tgt_out.shape
    for read, said, (_, tgt) in zip(
        batch.tgt_in.tolist(), batch.tgt_out.tolist(), pairs, strict=True
    ):
        assert read[0] == BOS
        assert read[1 : len(tgt) + 1] == said[: len(tgt)] == list(tgt)
        assert said[len(tgt)] == EOS
        assert said.count(EOS) == 1
        assert BOS not in said
        assert set(said[len(tgt) + 1 :]) <= {IGNORE}
        assert set(read[len(tgt) + 1 :]) <= {PAD}
    assert torch.equal(batch.src, sources([src for src, _ in pairs])[0])


def test_what_is_ignored_is_what_the_losses_ignore():
    assert minitx.training.IGNORE is IGNORE
    assert torch.nn.CrossEntropyLoss().ignore_index == IGNORE


def test_a_batch_moves_whole():
    batch = translation_batch([([5, 6], [7])]).to("meta")
    for part in (batch.src, batch.lengths, batch.tgt_in, batch.tgt_out):
        assert part.device.type == "meta"


# --- order ---------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 17), min_size=1), st.integers(1, 7), st.integers(), st.integers(1, 5)
)
def test_each_example_once_per_epoch(lengths, batch_size, seed, pool):
    batch_at = shuffled_epochs(lengths, batch_size=batch_size, seed=seed, pool=pool)
    per_epoch = -(-len(lengths) // batch_size)
    for epoch in range(3):
        batches = [batch_at(epoch * per_epoch + i) for i in range(per_epoch)]
        assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
        sizes = sorted(map(len, batches))
        assert sizes[1:] == [batch_size] * (per_epoch - 1)


@given(st.lists(st.integers(0, 200), min_size=1))
def test_a_batch_depends_on_its_number_only(numbers):
    lengths = [i * i % 13 for i in range(101)]
    fresh = shuffled_epochs(lengths, batch_size=7, seed=3)
    used = shuffled_epochs(lengths, batch_size=7, seed=3)
    for number in numbers:
        used(number)
    assert used(numbers[0]) == fresh(numbers[0])


def test_epochs_and_seeds_differ():
    lengths = [5] * 101
    for pool in (1, 3):
        one, other = (
            shuffled_epochs(lengths, batch_size=7, seed=seed, pool=pool) for seed in (0, 1)
        )
        assert one(0) != other(0)
        assert one(0) != one(15)  # the same place in the second epoch
        # Nor are the same examples together again: two batches of 7 agree once in 10^10 times.
        first, second = ({frozenset(one(e + i)) for i in range(15)} for e in (0, 15))
        assert not first & second


def test_short_batches_do_not_come_first():
    """They are sorted in order to be cut, and must be shuffled again."""
    batch_at = shuffled_epochs(range(101), batch_size=7)
    longest = [max(batch_at(i)) for i in range(15)]
    assert longest != sorted(longest)
    assert longest != [max(batch_at(i)) for i in range(15, 30)]


def test_every_example_may_come_first():
    """The order is a fair one: 101 examples, the first batch of 40 epochs, 7 in each."""
    batch_at = shuffled_epochs([5] * 101, batch_size=7)
    assert len({i for epoch in range(40) for i in batch_at(15 * epoch)}) > 85  # 95 are expected


def test_batches_of_similar_length_waste_little():
    lengths = torch.randint(1, 100, (5003,), generator=generator(0)).tolist()

    def waste(pool):
        batch_at = shuffled_epochs(lengths, batch_size=31, pool=pool)
        batches = [[lengths[i] for i in batch_at(number)] for number in range(162)]
        return sum(max(b) * len(b) - sum(b) for b in batches) / sum(lengths)

    assert waste(pool=50) < 0.03
    assert waste(pool=1) > 0.8


def test_translation_batches_are_those_of_their_number():
    pairs = [([i] * (i % 7), [i] * (i % 5)) for i in range(4, 107)]
    batch_at = translation_batches(pairs, batch_size=11, seed=2)
    lengths = [len(src) + len(tgt) for src, tgt in pairs]
    indices_at = shuffled_epochs(lengths, batch_size=11, seed=2)
    for number in (13, 0, 13, 5):
        batch, wanted = batch_at(number), translation_batch([pairs[i] for i in indices_at(number)])
        assert torch.equal(batch.src, wanted.src)
        assert torch.equal(batch.tgt_out, wanted.tgt_out)
        assert torch.equal(batch.lengths, wanted.lengths)


# --- windows -------------------------------------------------------------------------------------


@given(st.integers(0, 2**40), st.integers(1, 12))
def test_windows_are_pieces_of_the_text(number, length):
    text = torch.arange(100, 113)
    tokens, targets = window_batches(text, length=length, batch_size=5)(number)
    assert tokens.shape == targets.shape == (5, length)
    assert torch.equal(targets, tokens + 1)
    assert torch.equal(tokens, tokens[:, :1] + torch.arange(length))
    assert tokens.min() >= 100
    assert targets.max() <= 112


def test_windows_depend_on_number_and_seed_only():
    text = torch.arange(1009)
    one, other = (window_batches(text, length=3, batch_size=7, seed=seed) for seed in (0, 1))
    first = one(5)[0]
    one(6)
    assert torch.equal(one(5)[0], first)
    assert not torch.equal(one(6)[0], first)
    assert not torch.equal(other(5)[0], first)


def test_windows_begin_everywhere():
    batch_at = window_batches(torch.arange(13), length=5, batch_size=97)
    assert set(batch_at(0)[0][:, 0].tolist()) == set(range(8))


# --- what is refused -----------------------------------------------------------------------------


def test_a_batch_of_nothing():
    with pytest.raises(ValueError, match="a batch needs at least one row, got none"):
        padded([])
    with pytest.raises(ValueError, match="batches need at least one example, got none"):
        shuffled_epochs([], batch_size=3)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_without_size(batch_size):
    wanted = f"batch_size must be at least 1, got {batch_size}"
    with pytest.raises(ValueError, match=wanted):
        shuffled_epochs([1, 2], batch_size=batch_size)
    with pytest.raises(ValueError, match=wanted):
        window_batches(torch.arange(7), length=3, batch_size=batch_size)


def test_a_pool_without_batches():
    with pytest.raises(ValueError, match="pool must be at least 1, got 0"):
        shuffled_epochs([1, 2], batch_size=2, pool=0)


def test_batches_are_counted_from_0():
    for batch_at in (
        shuffled_epochs([1, 2], batch_size=2),
        window_batches(torch.arange(7), length=3, batch_size=2),
    ):
        with pytest.raises(ValueError, match="batches are counted from 0, got -1"):
            batch_at(-1)


@pytest.mark.parametrize("length", [0, 7])
def test_windows_must_fit_the_text(length):
    with pytest.raises(ValueError, match=f"length must lie in 1 … 6, .* got {length}"):
        window_batches(torch.arange(7), length=length, batch_size=3)
