"""Dates: every spelling names one day, and no held-out month is trained on."""

from datetime import date, timedelta
from importlib import metadata

import pytest

from minitx.data import dates
from minitx.data.vocabulary import UNK, Vocabulary

SPELLED = {  # as people of the country write it
    ("medium", "en_US"): "Mar 5, 2021",
    ("long", "en_GB"): "5 March 2021",
    ("full", "fr"): "vendredi 5 mars 2021",
    ("medium", "de"): "05.03.2021",
    ("long", "es"): "5 de marzo de 2021",
    ("full", "ja"): "2021年3月5日金曜日",
    ("long", "ru"): "5 марта 2021\u202fг.",
}


@pytest.fixture(scope="module")
def pairs():
    return dates.pairs()


@pytest.mark.parametrize(("style", "locale"), SPELLED)
def test_spelled_as_people_do(style, locale):
    assert dates.spelled(date(2021, 3, 5), style, locale) == SPELLED[style, locale]


def test_every_day_of_a_hundred_years_in_order(pairs):
    assert [iso for _, iso in pairs] == [
        (date(1950, 1, 1) + timedelta(days=i)).isoformat() for i in range(36_525)
    ]
    assert pairs[-1][1] == "2049-12-31"


def test_the_spellings_are_the_locales(pairs):
    for spelled, iso in pairs[::997]:
        day = date.fromisoformat(iso)
        assert spelled in {
            dates.spelled(day, style, locale) for style in dates.STYLES for locale in dates.LOCALES
        }


def test_no_spelling_names_two_days():
    """Not only as they were drawn: in any locale and style, over a leap year and the next."""
    named = {}
    for i in range(366 + 365):
        day = date(2000, 1, 1) + timedelta(days=i)
        for locale in dates.LOCALES:
            for style in dates.STYLES:
                assert named.setdefault(dates.spelled(day, style, locale), day) == day


def test_held_out_are_whole_months():
    train, validation, test = ({iso[:7] for _, iso in part} for part in dates.split())
    assert len(validation) == len(test) == 100
    assert len(train) == 1000
    assert not (train & validation or train & test or validation & test)
    for months in (validation, test):
        assert len({month[:4] for month in months}) == 100  # every year
        assert len({month[5:] for month in months}) == 12  # and every month of the year


def test_nothing_held_out_is_an_unknown_character():
    split = dates.split()
    for side in (0, 1):
        vocabulary = Vocabulary.of(pair[side] for pair in split.train)
        for pair in [*split.validation, *split.test]:
            assert UNK not in vocabulary.encode(pair[side])


def test_they_are_kept_in_the_cache(pairs, monkeypatch):
    monkeypatch.setattr(dates, "spelled", None)
    assert dates.pairs() == pairs


def test_they_are_made_the_same_every_time(pairs):
    assert dates._lines() == "\n".join("\t".join(pair) for pair in pairs)


def test_without_babel_it_says_what_to_install(monkeypatch):
    def no_version(package):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr("minitx.data.cached.metadata.version", no_version)
    with pytest.raises(ModuleNotFoundError, match=r"babel; install it .* 'minitx\[data\]'"):
        dates.pairs()
