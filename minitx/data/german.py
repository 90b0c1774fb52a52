"""A translation task in which words change places: numbers, German to English.

German says 524 as "fünf hundert vier und zwanzig", five hundred four and twenty, written as one
word. These are the numbers in which tens and units both have to be turned round.
"""

from functools import cache
from itertools import product

from minitx.data.split import Split, hold_out
from minitx.data.text import canonical
from minitx.data.vocabulary import shown

Pair = tuple[str, str]

UNITS = (
    ("ein", "one"), ("zwei", "two"), ("drei", "three"), ("vier", "four"), ("fünf", "five"),
    ("sechs", "six"), ("sieben", "seven"), ("acht", "eight"), ("neun", "nine"),
)  # fmt: skip
TENS = (
    ("zwanzig", "twenty"), ("dreißig", "thirty"), ("vierzig", "forty"), ("fünfzig", "fifty"),
    ("sechzig", "sixty"), ("siebzig", "seventy"), ("achtzig", "eighty"), ("neunzig", "ninety"),
)  # fmt: skip


@cache
def numbers() -> dict[int, Pair]:
    """Every such number from 121 to 999: its words in German, cut apart, and in English.

    >>> numbers()[524]
    ('fünf hundert vier und zwanzig', 'five hundred twenty four')
    """
    places = product(enumerate(UNITS, 1), enumerate(TENS, 2), enumerate(UNITS, 1))
    return {
        100 * h + 10 * t + u: (
            f"{hundreds[0]} hundert {units[0]} und {tens[0]}",
            f"{hundreds[1]} hundred {tens[1]} {units[1]}",
        )
        for (h, hundreds), (t, tens), (u, units) in places
    }


def split() -> Split[Pair]:
    """486 pairs to train on, 81 for validation and 81 to test.

    Held out are numbers whose digits sum to a multiple of 8, or to one more than that: no two
    neighbours in one place, and every word is trained on.

    >>> [len(part) for part in split()]
    [486, 81, 81]
    """
    sums = [sum(map(int, str(number))) % 8 for number in numbers()]
    validation, test = (
        [range(i, i + 1) for i, rest in enumerate(sums) if rest == place] for place in (1, 0)
    )
    return hold_out(list(numbers().values()), validation=validation, test=test)


def read(typed: str) -> str:
    """The words of what somebody typed, in German words, cut apart or not, or in digits.

    Raises:
        ValueError: if it is none of these numbers.

    >>> read("524"), read("Fünfhundertvierundzwanzig")
    ('fünf hundert vier und zwanzig', 'fünf hundert vier und zwanzig')
    """
    text = canonical(typed).lower().replace(" ", "").replace("-", "")
    if text in _spellings():
        return _spellings()[text]
    raise ValueError(
        f"{shown(canonical(typed)) or 'nothing'} is no number from 121 to 999 that says units "
        "before tens, in German words or in digits"
    )


@cache
def _spellings() -> dict[str, str]:
    found = {str(number): german for number, (german, _) in numbers().items()}
    return found | {german.replace(" ", ""): german for german, _ in numbers().values()}
