"""A translation task that can be learned in a minute: numbers in words, English to French.

It is real language with real traps: 71 is "soixante et onze" (sixty and eleven), 80 is
"quatre-vingts" (four twenties) but 81 "quatre-vingt-un", 200 "deux cents" but 201 "deux cent un".
"""

from minitx.data.cached import cached, version_of
from minitx.data.split import Split, hold_out

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


def _line(number: int) -> str:
    from num2words import num2words

    return f"{num2words(number, lang='en')}\t{num2words(number, lang='fr')}"
