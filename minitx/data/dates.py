"""A task that reads many languages: dates as people write them, to ISO 8601.

    "Freitag, 5. März 2021", "March 5, 2021", "2021年3月5日"  ->  "2021-03-05"

Only spellings that name one day whoever writes them: "05/03/2021" is in March for a Briton and in
May for an American, and no model can know.
"""

from datetime import date, timedelta
from random import Random

from minitx.data.cached import cached, version_of
from minitx.data.split import Split, hold_out
from minitx.data.text import canonical

LOCALES = (
    "en_US", "en_GB", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "fi", "pl",
    "cs", "ru", "uk", "el", "tr", "hu", "ro", "ca", "id", "vi", "ja", "zh", "ko",
)  # fmt: skip
STYLES = ("medium", "long", "full")
"""The Unicode consortium's; its "short" is left out because it is ambiguous."""

FIRST, DAYS = date(1950, 1, 1), 36_525
"""The days from 1950 to 2049."""

Pair = tuple[str, str]


def _month(index: int) -> range:
    """The days of a month, counted from the first of all."""
    year, month = FIRST.year + index // 12, 1 + index % 12
    after = date(year + month // 12, 1 + month % 12, 1)
    return range((date(year, month, 1) - FIRST).days, (after - FIRST).days)


TEST = [_month(12 * year + 5 * year % 12) for year in range(100)]
"""One month of every year, each time another: no date of these months is trained on."""

VALIDATION = [_month(12 * year + (5 * year + 6) % 12) for year in range(100)]
"""The month half a year away."""


def pairs() -> list[Pair]:
    """Every day in the spelling of a locale drawn at random, and in ISO 8601; in order of time.

    Raises:
        ModuleNotFoundError: if babel is not installed.

    >>> pairs()[0]
    ('1950년 1월 1일', '1950-01-01')
    """
    name = f"dates-iso-{DAYS}-babel-{version_of('babel')}.tsv"
    lines = cached(name, _lines).split("\n")
    return [(spelled, iso) for spelled, iso in (line.split("\t") for line in lines)]


def split() -> Split[Pair]:
    """Pairs to train on, for validation and to test: whole months apart.

    >>> [len(part) for part in split()]
    [30440, 3044, 3041]
    """
    return hold_out(pairs(), validation=VALIDATION, test=TEST)


def read(typed: str) -> str:
    """What somebody typed, in the one form in which texts are compared, blanks one at a time.

    >>> read(" 5  Ma\u0308rz\u00a02021 ")
    '5 März 2021'
    """
    return " ".join(canonical(typed).split())


def spelled(day: date, style: str, locale: str) -> str:
    """A day as people write it.

    >>> spelled(date(2021, 3, 5), "full", "de")
    'Freitag, 5. März 2021'
    """
    from babel.dates import format_date

    return format_date(day, style, locale)


def _lines() -> str:
    rng = Random(0)
    days = (FIRST + timedelta(days=i) for i in range(DAYS))
    return "\n".join(
        f"{spelled(day, rng.choice(STYLES), rng.choice(LOCALES))}\t{day.isoformat()}"
        for day in days
    )
