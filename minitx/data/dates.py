"""A task that reads many languages: dates as people write them, to ISO 8601.

    "Freitag, 5. März 2021", "March 5, 2021", "2021年3月5日"  ->  "2021-03-05"

Only spellings that name one day whoever writes them: "05/03/2021" is in March for a Briton and in
May for an American, and no model can know.
"""

from datetime import date, timedelta
from random import Random

from minitx.data.cached import cached, version_of
from minitx.data.split import Split, hold_out

LOCALES = (
    "en_US", "en_GB", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "fi", "pl",
    "cs", "ru", "uk", "el", "tr", "hu", "ro", "ca", "id", "vi", "ja", "zh", "ko",
)  # fmt: skip
STYLES = ("medium", "long", "full")
"""The Unicode consortium's; its "short" is left out because it is ambiguous."""

FIRST, DAYS = date(1950, 1, 1), 36_525
"""The days from 1950 to 2049."""

Pair = tuple[str, str]


def _year(year: int) -> range:
    return range((date(year, 1, 1) - FIRST).days, (date(year + 1, 1, 1) - FIRST).days)


TEST = [_year(1950 + 10 * d + (3 * d + 5) % 10) for d in range(10)]
"""One year of every decade: no date of these years is trained on."""

VALIDATION = [_year(1950 + 10 * d + (3 * d + 8) % 10) for d in range(10)]
"""Another year of every decade."""


def pairs() -> list[Pair]:
    """Every day in the spelling of a locale drawn by lot, and in ISO 8601; in order of time.

    Raises:
        ModuleNotFoundError: if babel is not installed.

    >>> pairs()[0]
    ('1950년 1월 1일', '1950-01-01')
    """
    name = f"dates-iso-{DAYS}-babel-{version_of('babel')}.tsv"
    lines = cached(name, _lines).split("\n")
    return [(spelled, iso) for spelled, iso in (line.split("\t") for line in lines)]


def split() -> Split[Pair]:
    """About 29,200 pairs to train on, 3,650 for validation and 3,650 to test: whole years apart.

    >>> [len(part) for part in split()]
    [29220, 3652, 3653]
    """
    return hold_out(pairs(), validation=VALIDATION, test=TEST)


def spelled(day: date, style: str, locale: str) -> str:
    """A day as people write it.

    >>> spelled(date(2021, 3, 5), "full", "de")
    'Freitag, 5. März 2021'
    """
    from babel.dates import format_date

    return format_date(day, style, locale)


def _lines() -> str:
    lot = Random(0)
    days = (FIRST + timedelta(days=i) for i in range(DAYS))
    return "\n".join(
        f"{spelled(day, lot.choice(STYLES), lot.choice(LOCALES))}\t{day.isoformat()}"
        for day in days
    )
