"""Numbers in words: what they say, and that no held-out hundred is trained on."""

import re
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


@pytest.mark.slow
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


def american(english):
    return english.replace(" and ", " ")


SPELLINGS = {
    "as it is": str,
    "without hyphens": lambda text: text.replace("-", " "),
    "with no-break hyphens": lambda text: text.replace("-", "\u2011"),
    "without commas": lambda text: text.replace(",", ""),
    "American": american,
    "American, without hyphens and commas": lambda text: american(re.sub("[-,]", " ", text)),
    "as a title": str.title,
    "shouted, with no-break spaces": lambda text: text.upper().replace(" ", "\u00a0"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_whatever_the_spelling_it_is_the_same_number(pairs, spelling):
    changed = [SPELLINGS[spelling](english) for english, _ in pairs]
    assert [numbers.read(text) for text in changed] == [numbers.plain(text) for text, _ in pairs]
    assert len(set(map(numbers.plain, changed))) == len(pairs)


@pytest.mark.parametrize("text", ["twenty one", "Twenty-One", "TWENTY  ONE", "21", "0021"])
def test_what_people_write_is_read(text):
    assert numbers.read(text) == "twenty one"


@pytest.mark.parametrize(
    "text", ["one thousand ten", "one thousand and ten", "1,010", "1\u00a0010"]
)
def test_and_or_none(text):
    assert numbers.read(text) == "one thousand ten"


@pytest.mark.parametrize("number", [0, 1, 999, 1_000, 20_003, 23_999])
def test_digits_are_spelled_out(pairs, number):
    for text in (f"{number}", f" {number:,}\t", f"{number:,}".replace(",", " ")):
        assert numbers.read(text) == numbers.plain(pairs[number][0])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *((x, f"“{x}”") for x in ("and", "foo", "one one", "nineteen hundred", "thirty thousand")),
        *((x, f"“{x}”") for x in ("24000", "9" * 5000, "3.5", "3,5", "-5", "1,00", "2_0", "one.")),
        ("", "nothing"),
        ("\u200b", "ZERO WIDTH SPACE"),
    ],
)
def test_what_is_no_such_number_is_refused(text, told):
    """Not translated as something else: "3,5" is not 35."""
    wanted = re.escape(f"{told} is no whole number from 0 to 23,999, in English words or in digits")
    with pytest.raises(ValueError, match=f"^{wanted}$"):
        numbers.read(text)


def test_held_out_numbers_are_held_out_in_every_spelling():
    """And the short ones come more often, but none that may not be learned."""
    split = numbers.split()
    lessons = numbers.short_ones_more_often(split.train)
    assert {*lessons} == {*split.train}
    learned = {numbers.plain(english) for english, _ in lessons}
    for english, _ in [*split.validation, *split.test]:
        assert not learned & {numbers.read(spell(english)) for spell in SPELLINGS.values()}


def test_they_are_kept_in_the_cache(pairs, monkeypatch):
    monkeypatch.setattr(numbers, "_line", None)
    assert numbers.pairs() == pairs


def test_without_num2words_it_says_what_to_install(monkeypatch):
    def no_version(package):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr("minitx.data.cached.metadata.version", no_version)
    with pytest.raises(ModuleNotFoundError, match=r"num2words; install it .* 'minitx\[data\]'"):
        numbers.pairs()
