"""German numbers, against num2words."""

import re

import pytest
from num2words import num2words

from minitx.data import german


def test_every_number_is_said_as_num2words_says_it():
    assert len(german.numbers()) == 9 * 8 * 9
    for number, (words, english) in german.numbers().items():
        assert words.replace(" ", "") == num2words(number, lang="de")
        theirs = re.sub(r"[-,]|\band\b", " ", num2words(number, lang="en"))
        assert english.split() == theirs.split()


def test_every_word_of_what_is_held_out_was_learned():
    train, validation, test = german.split()
    known = {word for pair in train for text in pair for word in text.split()}
    for pair in (*validation, *test):
        assert {word for text in pair for word in text.split()} <= known
    assert not {*train} & {*validation, *test}


@pytest.mark.parametrize(
    "typed", ["524", " Fünfhundertvierundzwanzig ", "fünf hundert vier-und-zwanzig"]
)
def test_read(typed):
    assert german.read(typed) == "fünf hundert vier und zwanzig"


@pytest.mark.parametrize("typed", ["", "120", "511", "fünf", "five hundred"])
def test_refused(typed):
    with pytest.raises(
        ValueError, match="is no number from 121 to 999 that says units before tens"
    ):
        german.read(typed)
