"""Corrupted text: what was taken out can be put back exactly, and its amount is the paper's."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.batching import generator
from minitx.data.corruption import (
    SentencePair,
    corrupt_spans,
    mask_tokens,
    next_sentence_pairs,
    spans,
)
from minitx.masks import IGNORE

PAD, CLS, MASK = 0, 1, 2
SPECIAL = (PAD, CLS)
V = 101


def masked(token_ids, seed=0, **settings):
    settings = {"mask_id": MASK, "special_ids": SPECIAL, "vocab_size": V} | settings
    return mask_tokens(token_ids, generator=generator(seed), **settings)


@given(st.lists(st.integers(0, V - 1), max_size=97), st.integers(0, 2**40), st.floats(0, 1))
def test_the_text_can_be_put_back(tokens, seed, share):
    text = torch.tensor(tokens, dtype=torch.long)
    corrupted, targets = masked(text, seed, share=share)
    asked = targets != IGNORE
    assert torch.equal(torch.where(asked, targets, corrupted), text)
    assert not asked[torch.isin(text, torch.tensor([PAD, CLS, MASK]))].any()
    drawn = corrupted[(corrupted != text) & (corrupted != MASK)]
    assert not torch.isin(drawn, torch.tensor([PAD, CLS, MASK])).any()
    assert ((corrupted >= 0) & (corrupted < V)).all()


def test_fifteen_per_cent_and_of_these_eighty_ten_ten():
    n = 199_999
    text = torch.full((n,), 50)
    corrupted, targets = masked(text)
    asked = targets != IGNORE
    # Five standard deviations of a share measured on this many draws.
    assert abs(asked.float().mean() - 0.15) < 5 * (0.15 * 0.85 / n) ** 0.5
    of = corrupted[asked]
    assert abs((of == MASK).float().mean() - 0.8) < 5 * (0.8 * 0.2 / len(of)) ** 0.5
    # Of the exchanged, one in 98 draws the same token again.
    exchanged = 0.1 * 97 / 98
    share = ((of != MASK) & (of != 50)).float().mean()
    assert abs(share - exchanged) < 5 * (0.1 * 0.9 / len(of)) ** 0.5
    drawn = of[(of != MASK) & (of != 50)]
    assert set(drawn.tolist()) == {*range(3, V)} - {50}


def test_all_or_nothing_may_be_asked():
    text = torch.arange(3, 53).view(5, 10)
    corrupted, targets = masked(text, share=0.0)
    assert torch.equal(corrupted, text)
    assert (targets == IGNORE).all()
    assert torch.equal(masked(text, share=1.0)[1], text)


def test_chance_is_the_generators():
    text = torch.arange(3, 99)
    one, again, other = masked(text, 5), masked(text, 5), masked(text, 6)
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[1], other[1])
    assert torch.equal(text, torch.arange(3, 99))  # not changed in place


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"share": 1.1}, "share must lie in [0, 1], got 1.1"),
        ({"share": -0.1}, "share must lie in [0, 1], got -0.1"),
        ({"vocab_size": 7}, "token_ids must lie in 0 … 6, got 3 to 7"),
        ({"mask_id": 101}, "special_ids must lie in 0 … 100, got 0 to 101"),
        ({"special_ids": range(V)}, "all 101 tokens are special, none is left to draw"),
    ],
)
def test_what_cannot_be_masked(change, wanted):
    with pytest.raises(ValueError, match=re.escape(wanted)):
        masked(torch.tensor([3, 7, 5]), **change)


# --- next sentences ------------------------------------------------------------------------------


DOCUMENTS = [[f"{name}{i}" for i in range(n)] for name, n in (("a", 401), ("b", 1), ("c", 397))]


def test_half_of_the_sentences_follow():
    pairs = next_sentence_pairs([*DOCUMENTS, []], generator=generator(0))
    assert [pair.first for pair in pairs] == DOCUMENTS[0][:-1] + DOCUMENTS[2][:-1]
    for pair in pairs:
        after = f"{pair.first[0]}{int(pair.first[1:]) + 1}"
        assert (pair.second == after) == pair.follows
        assert pair.follows or pair.second[0] != pair.first[0]
    share = sum(pair.follows for pair in pairs) / len(pairs)
    assert abs(share - 0.5) < 5 * (0.25 / len(pairs)) ** 0.5
    others = {pair.second for pair in pairs if not pair.follows}
    assert "b0" in others
    assert len(others) > 150


def test_sentences_depend_on_the_generator_only():
    one, again, other = (next_sentence_pairs(DOCUMENTS, generator=generator(s)) for s in (1, 1, 2))
    assert one == again != other
    assert isinstance(one[0], SentencePair)


@pytest.mark.parametrize("documents", [[], [["a", "b"]], [["a", "b"], []]])
def test_other_documents_are_needed(documents):
    wanted = f"at least two documents need sentences, got {min(len(documents), 1)}"
    with pytest.raises(ValueError, match=wanted):
        next_sentence_pairs(documents, generator=generator(0))


# --- spans ---------------------------------------------------------------------------------------


def put_back(src, tgt, sentinels):
    """The text, from what the paper says the two mean."""
    assert tgt[-1] in sentinels
    inside = {}
    for token in tgt:
        if token in sentinels:
            current = inside.setdefault(token, [])
        else:
            current.append(token)
    assert list(inside) == sentinels[: len(inside)]
    assert inside.popitem()[1] == []
    assert [token for token in src if token in sentinels] == list(inside)
    return [word for token in src for word in inside.get(token, [token])]


SENTINELS = list(range(999, 899, -1))


@given(st.lists(st.tuples(st.integers(0, 97), st.booleans()), max_size=53))
def test_any_spans_can_be_put_back(tokens):
    text, out = [token for token, _ in tokens], [gone for _, gone in tokens]
    src, tgt = corrupt_spans(text, torch.tensor(out, dtype=torch.bool), sentinels=SENTINELS)
    assert put_back(src, tgt, SENTINELS) == text
    assert [t for t in tgt if t < 900] == [t for t, gone in tokens if gone]


def test_figure_2_of_the_paper():
    text = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]
    ids = {word: i for i, word in enumerate([*text, "<X>", "<Y>", "<Z>"])}
    out = torch.tensor([word in ("for", "inviting", "last") for word in text])
    src, tgt = corrupt_spans(
        [ids[word] for word in text], out, sentinels=[ids["<X>"], ids["<Y>"], ids["<Z>"]]
    )
    names = list(ids)
    assert " ".join(names[i] for i in src) == "Thank you <X> me to your party <Y> week ."
    assert " ".join(names[i] for i in tgt) == "<X> for inviting <Y> last <Z>"


@given(
    st.integers(2, 211), st.floats(0.01, 0.99), st.floats(1, 11), st.integers(0, 2**40)
)  # fmt: skip
def test_number_and_length_of_spans_are_exact(length, share, mean_span, seed):
    out = spans(length, generator=generator(seed), share=share, mean_span=mean_span)
    assert out.shape == (length,)
    gone = min(max(round(length * share), 1), length - 1)
    assert int(out.sum()) == gone
    begins = int(out[0]) + int((out[1:] & ~out[:-1]).sum())
    assert begins == min(max(round(gone / mean_span), 1), length - gone)
    assert not out[0]
    assert out[-1]


def test_the_papers_setting():
    """512 tokens, 15 %, spans of 3 on average: 77 tokens in 26 spans."""
    out = spans(512, generator=generator(0))
    assert int(out.sum()) == 77
    assert int((out[1:] & ~out[:-1]).sum()) == 26


def test_every_choice_of_spans_is_as_likely():
    """5 places in 2 spans of 7 in all: 4 ways to cut what stays 5 = 1+4 … 4+1, 1 to cut 2 = 1+1."""
    rng, counts = generator(0), {}
    for _ in range(800):
        key = tuple(spans(7, generator=rng, share=2 / 7, mean_span=1.0).tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 4
    # Each is binomial with p = 1/4: five standard deviations.
    assert all(abs(count - 200) < 5 * (800 * 3 / 16) ** 0.5 for count in counts.values())


@pytest.mark.parametrize(
    ("length", "change", "wanted"),
    [
        (1, {}, "a text needs at least 2 tokens to lose some, got 1"),
        (7, {"share": 0.0}, "share must lie in (0, 1), got 0.0"),
        (7, {"share": 1.0}, "share must lie in (0, 1), got 1.0"),
        (7, {"mean_span": 0.5}, "mean_span must be at least 1, got 0.5"),
    ],
)
def test_spans_that_cannot_be(length, change, wanted):
    with pytest.raises(ValueError, match=re.escape(wanted)):
        spans(length, generator=generator(0), **change)


@pytest.mark.parametrize(
    ("text", "out", "sentinels", "wanted"),
    [
        ([5, 6], [True], [9, 8], "taken_out has 1 places, the text 2 tokens"),
        ([5, 6], [True, False], [9, 6], "sentinels must not stand in the text, but [6] do"),
        ([5, 6, 7], [True, False, True], [9, 8], "more sentinels than spans, got 2"),
        ([5, 6], [False, False], [], "more sentinels than spans, got 0"),
    ],
)
def test_spans_that_cannot_be_taken_out(text, out, sentinels, wanted):
    with pytest.raises(ValueError, match=re.escape(wanted)):
        corrupt_spans(text, torch.tensor(out), sentinels=sentinels)
