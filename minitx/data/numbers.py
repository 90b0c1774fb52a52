"""A translation task that can be learned in a minute: numbers in words, English to French.

It is real language with real traps: 71 is "soixante et onze" (sixty and eleven), 80 is
"quatre-vingts" (four twenties) but 81 "quatre-vingt-un", 200 "deux cents" but 201 "deux cent un".
"""

import re
from collections.abc import Iterable
from functools import cache

from minitx.data.cached import cached, version_of
from minitx.data.split import Split, hold_out
from minitx.data.text import canonical
from minitx.data.vocabulary import shown

COUNT = 24_000
"""The numbers are 0 … 23,999."""


def _hundreds(offset: int) -> list[range]:
    starts = (1000 * t + 100 * ((3 * t + offset) % 10) for t in range(1, COUNT // 1000))
    return [range(start, start + 100) for start in starts]


TEST = _hundreds(5)
"""One hundred of every thousand: no number with these thousands and hundreds is trained on.

Numbers below 1,000 are all trained on: the others are made of them.
"""

VALIDATION = _hundreds(8)
"""Another hundred of every thousand."""

Pair = tuple[str, str]


def pairs() -> list[Pair]:
    """Every number in English and in French; the index is the number.

    The words are num2words', in British English and in the French of France.

    Raises:
        ModuleNotFoundError: if num2words is not installed.

    >>> pairs()[281]
    ('two hundred and eighty-one', 'deux cent quatre-vingt-un')
    """
    name = f"numbers-en-fr-{COUNT}-num2words-{version_of('num2words')}.tsv"
    lines = cached(name, lambda: "\n".join(map(_line, range(COUNT)))).split("\n")
    return [(english, french) for english, french in (line.split("\t") for line in lines)]


def split() -> Split[Pair]:
    """19,400 pairs to train on, 2,300 for validation and 2,300 to test, held out in ranges.

    >>> [len(part) for part in split()]
    [19400, 2300, 2300]
    """
    return hold_out(pairs(), validation=VALIDATION, test=TEST)


def short_ones_more_often(pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs to learn from: with each word less, up to six, a number comes twice as often.

    Of the 19,400 only 28 are a single word. Learned as often as the others, "one" and "zero" would
    be what a translator knows least; they are what people try first.

    >>> [len(short_ones_more_often([pairs()[n]])) for n in (1, 21, 777, 7_777)]
    [32, 16, 4, 1]
    """
    return [pair for pair in pairs for _ in range(max(1, 2 ** (6 - len(plain(pair[0]).split()))))]


def plain(english: str) -> str:
    """A number in words without what spellings differ in: case, hyphens, commas, "and".

    >>> plain("Twenty-One thousand, nine hundred and two")
    'twenty one thousand nine hundred two'
    """
    separate = re.sub(r"[-\u2010-\u2015\u2212,]", " ", canonical(english).lower())
    return " ".join(word for word in separate.split() if word != "and")


def read(typed: str) -> str:
    """The plain spelling of what somebody typed, in words or in digits.

    Raises:
        ValueError: if it is no number from 0 to 23,999.

    >>> read("281"), read("two hundred and eighty-one"), read("Two hundred  eighty one")
    ('two hundred eighty one', 'two hundred eighty one', 'two hundred eighty one')
    """
    text = " ".join(canonical(typed).split())
    if re.fullmatch(r"\d+|\d{1,3}([, ]\d{3})+", text):
        digits = re.sub(r"[, ]", "", text).lstrip("0") or "0"
        if len(digits) <= len(str(COUNT)) and int(digits) < COUNT:
            return plain(pairs()[int(digits)][0])
    elif plain(text) in _plain_spellings():
        return plain(text)
    raise ValueError(
        f"{shown(text) or 'nothing'} is no whole number from 0 to {COUNT - 1:,}, in English words "
        "or in digits"
    )


@cache
def _plain_spellings() -> frozenset[str]:
    return frozenset(plain(english) for english, _ in pairs())


def _line(number: int) -> str:
    from num2words import num2words

    return f"{num2words(number, lang='en')}\t{num2words(number, lang='fr')}"
