"""Numbers in words: what they say, and that no held-out hundred is trained on."""

from importlib import metadata

import pytest

from minitx.data import numbers
from minitx.data.vocabulary import UNK, Vocabulary, words

SPELLED = {
    0: ("zero", "zéro"),
    71: ("seventy-one", "soixante et onze"),
    80: ("eighty", "quatre-vingts"),
    81: ("eighty-one", "quatre-vingt-un"),
    200: ("two hundred", "deux cents"),
    201: ("two hundred and one", "deux cent un"),
    1_000: ("one thousand", "mille"),
    21_999: (
        "twenty-one thousand, nine hundred and ninety-nine",
        "vingt et un mille neuf cent quatre-vingt-dix-neuf",
    ),
}


@pytest.fixture(scope="module")
def pairs():
    return numbers.pairs()


@pytest.mark.parametrize("number", SPELLED)
def test_the_index_is_the_number(pairs, number):
    assert pairs[number] == SPELLED[number]


def test_there_are_24000_different_ones(pairs):
    assert len(pairs) == 24_000
    for language in zip(*pairs, strict=True):
        assert len(set(language)) == 24_000


def test_held_out_are_whole_hundreds(pairs):
    split = numbers.split()
    number_of = {pair: number for number, pair in enumerate(pairs)}
    train, validation, test = ([number_of[pair] for pair in part] for part in split)
    assert sorted([*train, *validation, *test]) == list(range(24_000))
    hundreds = [{number // 100 for number in part} for part in (train, validation, test)]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert not hundreds[a] & hundreds[b]
    # Every hundred and every thousand is trained on, but not together.
    assert {h // 10 for h in hundreds[0]} == {0} | {h // 10 for h in hundreds[2]} == {*range(24)}
    assert {h % 10 for h in hundreds[0]} == {h % 10 for h in hundreds[2]} == {*range(10)}


@pytest.mark.parametrize("split_words", [words, list])
def test_nothing_held_out_is_an_unknown_word(split_words):
    split = numbers.split()
    for side in (0, 1):
        vocabulary = Vocabulary.of(split_words(pair[side]) for pair in split.train)
        assert len(vocabulary) < 100
        for pair in [*split.validation, *split.test]:
            assert UNK not in vocabulary.encode(split_words(pair[side]))


def test_they_are_kept_in_the_cache(pairs, monkeypatch):
    monkeypatch.setattr(numbers, "_line", None)
    assert numbers.pairs() == pairs


def test_without_num2words_it_says_what_to_install(monkeypatch):
    def no_version(package):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr("minitx.data.cached.metadata.version", no_version)
    with pytest.raises(ModuleNotFoundError, match=r"num2words; install it .* 'minitx\[data\]'"):
        numbers.pairs()
