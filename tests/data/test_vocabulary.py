"""Vocabularies: nothing is lost, nothing special slips in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitx.data.vocabulary import (
    BOS,
    EOS,
    PAD,
    SPECIAL,
    UNK,
    UnknownToken,
    Vocabulary,
    shown,
    words,
)


@given(st.text())
def test_words_joined_are_the_text(text):
    assert "".join(words(text)) == text


@given(st.lists(st.text()), st.data())
def test_what_was_read_comes_back(texts, data):
    vocabulary = Vocabulary.of(texts)
    for text in texts:
        ids = vocabulary.encode(text)
        assert all(len(SPECIAL) <= i < len(vocabulary) for i in ids)
        assert "".join(vocabulary.decode([BOS, *ids, EOS, PAD, *ids])) == text


def test_the_special_tokens_have_their_places():
    vocabulary = Vocabulary.of([])
    assert [vocabulary.tokens[i] for i in (PAD, BOS, EOS, UNK)] == list(SPECIAL)
    assert vocabulary.tokens == ("<pad>", "<bos>", "<eos>", "<unk>")


def test_the_most_frequent_come_first_and_ties_are_in_order():
    assert Vocabulary.of(["cab", "bc", "bad"]).tokens[4:] == ("b", "a", "c", "d")


def test_unknown_tokens_and_names_of_special_ones_are_unknown():
    vocabulary = Vocabulary.of([["ja"]])
    assert vocabulary.encode(["nein", "<eos>", "<pad>", "ja"]) == [UNK, UNK, UNK, 4]
    assert vocabulary.decode([UNK, 4]) == ["<unk>", "ja"]


def test_unknown_tokens_are_named_once_each():
    vocabulary = Vocabulary.of([["ja", " doch"]])
    assert vocabulary.encode_known(["ja", " doch", "ja"]) == vocabulary.encode(
        ["ja", " doch", "ja"]
    )
    with pytest.raises(UnknownToken, match=r"^never seen: “nein”, NO-BREAK SPACE, “<pad>”$"):
        vocabulary.encode_known(["ja", " nein", "\u00a0", " nein", "<pad>"])


@given(st.text(min_size=1))
def test_a_token_is_never_shown_as_nothing(token):
    """Something that can be seen stands between the marks, or a name without marks."""
    text = shown(token)
    assert text.isprintable() or text.startswith("“")
    assert text.strip("“” \u0308\u200b")


@pytest.mark.parametrize(
    ("token", "wanted"),
    [
        (" vingt", "“vingt”"),
        ("\u0308", "COMBINING DIAERESIS"),
        ("\u00a0", "NO-BREAK SPACE"),
        ("\t", "U+0009"),
        ("\u200b", "ZERO WIDTH SPACE"),
        (" ", "SPACE"),
        ("e\u0301", "“e\u0301”"),
        ("²", "“²”"),
    ],
)
def test_tokens_as_messages_show_them(token, wanted):
    assert shown(token) == wanted


@pytest.mark.parametrize("i", [-1, 5])
def test_an_id_that_is_none_is_refused(i):
    with pytest.raises(ValueError, match=f"ids must lie in 0 … 4, got {i}"):
        Vocabulary.of(["a"]).decode([4, i])


def test_special_tokens_must_be_first():
    with pytest.raises(ValueError, match=re.escape(f"must begin with {SPECIAL}, got ('a', 'b')")):
        Vocabulary(("a", "b"))


def test_tokens_must_differ():
    with pytest.raises(ValueError, match=re.escape("got twice: ['a']")):
        Vocabulary((*SPECIAL, "a", "b", "a"))
    with pytest.raises(ValueError, match=re.escape("got twice: ['<pad>']")):
        Vocabulary.of([["<pad>"]])
