"""Byte pairs: lossless, and merge for merge those of Hugging Face's tokenizers."""

import json
import re
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from minitx.data.bpe import BYTES, BytePairs, joined, pieces
from minitx.data.text import python_topics

ALPHABET = pre_tokenizers.ByteLevel.alphabet()
BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False)

# Short alphabets make many ties and many runs of one token.
CROWDED = st.text(st.sampled_from("ab c'sé\n½"), max_size=80)


def theirs(text, num_merges):
    """Hugging Face's tokenizer, learned from the same text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = BYTE_LEVEL
    trainer = trainers.BpeTrainer(
        vocab_size=256 + num_merges, initial_alphabet=ALPHABET, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def seen(piece):
    """A piece in the letters that stand for its bytes with Hugging Face."""
    letters = sorted(ALPHABET)
    return "".join(letters[BYTES.index(byte)] for byte in piece.encode())


def named(tokenizer, token):
    """A token in those letters."""
    letters = sorted(ALPHABET)
    return "".join(letters[BYTES.index(byte)] for byte in tokenizer._spelling[token])


@pytest.fixture(scope="module")
def topics():
    return python_topics()


@pytest.fixture(scope="module")
def learned(topics):
    return BytePairs.learn(topics, num_merges=701)


@pytest.fixture(scope="module")
def reference(topics):
    return theirs(topics, 701)


def test_same_tokens_as_hugging_face_on_a_real_text(learned, reference):
    vocabulary = reference.get_vocab()
    assert len(learned) == len(vocabulary) == 256 + 701
    assert {named(learned, i): i for i in range(len(learned))} == vocabulary
    merges = json.loads(reference.to_str())["model"]["merges"]
    assert [[named(learned, i) for i in merge] for merge in learned.merges] == merges


def test_same_ids_as_hugging_face_on_a_real_text(learned, reference, topics):
    ids = learned.encode(topics)
    assert ids == reference.encode(topics).ids
    assert learned.decode(ids) == topics
    assert len(ids) < len(topics) / 2


SENTENCES = (
    "We'll see: it's I'd've don't 'S 'll",
    "  two  blanks\t\ttabs\n\n\nlines   \n end ",
    "Größe, naïve, Ελλάδα, Россия, 東京, ไทย, हिन्दी, العربية, עברית",
    "m² ½ Ⅷ ⅷ ৴ ៰ ① 12３４ 10⁻³ x₁",
    "a\x1cb \x1d\x1e\x1f \x85 \xa0\u2028\u3000z",
    "👩🏽‍🚀🏳️‍🌈 e\u0301 _under_score_ __init__(self)",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_same_ids_as_hugging_face_in_many_scripts(learned, reference, text):
    assert learned.encode(text) == reference.encode(text).ids


@given(CROWDED, st.integers(0, 13))
@example("aaaaaaa aaa aaaaa", 7)
def test_same_ids_as_hugging_face_on_any_text(text, num_merges):
    tokenizer, reference = BytePairs.learn(text, num_merges=num_merges), theirs(text, num_merges)
    assert {named(tokenizer, i): i for i in range(len(tokenizer))} == reference.get_vocab()
    assert tokenizer.encode(text) == reference.encode(text).ids


@given(st.text())
def test_pieces_are_gpt2s(text):
    assert [seen(piece) for piece in pieces(text)] == [
        piece for piece, _ in BYTE_LEVEL.pre_tokenize_str(text)
    ]


def test_every_kind_of_character_goes_where_gpt2_puts_it():
    """All but ideographs and syllables that were there in Unicode 3.2.

    Newer ones depend on whose tables are used.
    """
    old = unicodedata.ucd_3_2_0.category
    many = {*range(0x3400, 0xD7A4), *range(0xE000, 0xF900), *range(0x20000, 0x110000)}
    text = "".join(
        f"a{chr(i)}1" for i in range(0x110000) if i not in many and old(chr(i)) not in ("Cn", "Cs")
    )
    assert len(text) > 3 * 10_000
    assert [seen(piece) for piece in pieces(text)] == [
        piece for piece, _ in BYTE_LEVEL.pre_tokenize_str(text)
    ]


@given(st.text(), CROWDED)
def test_every_text_comes_back(text, corpus):
    tokenizer = BytePairs.learn(corpus, num_merges=11)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert "".join(pieces(text)) == text


@given(st.binary())
def test_any_tokens_can_be_read(data):
    tokenizer = BytePairs(())
    tokens = [BYTES.index(byte) for byte in data]
    assert tokenizer.decode(tokens) == data.decode(errors="replace")


def test_bytes_are_numbered_as_gpt2_does():
    assert sorted(BYTES) == list(range(256))
    assert [chr(byte) for byte in BYTES[:3]] == ["!", '"', "#"]
    assert BYTES.index(ord(" ")) == 220  # the "Ġ" of GPT-2's vocabulary


def test_the_textbook_example():
    """Sennrich et al. 2016, §3.2: l-o, lo-w, and e-r, in words told apart by blanks."""
    tokenizer = BytePairs.learn("low low low low lower lower newest widest", num_merges=2)
    spelled = [tokenizer.decode([token]) for token in tokenizer.encode("lower")]
    assert spelled == ["low", "e", "r"]


def test_it_stops_when_no_pair_is_left():
    assert len(BytePairs.learn("ab ab", num_merges=1000)) == 256 + 2  # "ab" and " ab"
    assert BytePairs.learn("", num_merges=7) == BytePairs.learn("abc", num_merges=0)


def test_learning_takes_seconds(topics):
    start = time.process_time()
    BytePairs.learn(topics, num_merges=500)
    assert time.process_time() - start < 20  # seen: 1.5 s; a search of all pairs takes minutes


def test_joined_goes_from_the_left():
    assert joined([7, 7, 7, 5, 7, 7], (7, 7), 300) == [300, 7, 5, 300]
    assert joined([7, 5, 7, 5], (7, 5), 300) == [300, 300]
    assert joined([], (7, 7), 300) == []


@pytest.mark.parametrize("merge", [(256, 3), (3, 256), (-1, 3), (3, -1)])
def test_a_merge_of_tokens_made_later_is_refused(merge):
    text = f"merge 0 joins {merge[0]} and {merge[1]}, wanted ids below 256"
    with pytest.raises(ValueError, match=text):
        BytePairs((merge,))


def test_a_negative_number_of_merges_is_refused():
    with pytest.raises(ValueError, match="num_merges must be at least 0, got -1"):
        BytePairs.learn("text", num_merges=-1)


@pytest.mark.parametrize("token", [-1, 257])
def test_a_token_that_is_none_is_refused(token):
    bounds = f"{min(token, 5)} to {max(token, 5)}"
    with pytest.raises(ValueError, match=re.escape(f"must lie in 0 … 256, got {bounds}")):
        BytePairs(((1, 2),)).decode([5, token])


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        BytePairs(()).encode("\ud800")
