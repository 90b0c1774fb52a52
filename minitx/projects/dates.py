"""Dates in the spelling of twenty-five locales to ISO 8601, letter by letter.

minitx train dates
minitx translate --folder runs/dates "Freitag, 5. März 2021"
"""

from pathlib import Path

from minitx.data import dates
from minitx.projects.translation import Score, Settings, Translator, scored, train_translator
from minitx.training import Processes

NAME = "dates"
SETTINGS = Settings(num_steps=600, max_lr=2e-3)
KNOWN = (
    f"days of {dates.FIRST.year} to 2049 in the spelling of one of {len(dates.LOCALES)} locales: "
    f"{', '.join(dates.LOCALES)}"
)


def cut(text: str) -> str:
    """A text's tokens are its characters."""
    return text


def train(settings: Settings, *, group: Processes, folder: Path, progress: bool) -> Translator:
    """Train on the months that are not held out; see `train_translator`."""
    data = dates.split()
    return train_translator(
        NAME, data.train, data.validation, cut, settings,
        group=group, folder=folder, progress=progress,
    )  # fmt: skip


def score(translator: Translator) -> Score:
    """How many dates are right, of whole months that were never seen; and chrF."""
    return scored(translator, dates.split().test, with_chrf=True)


def read(typed: str) -> str:
    """What somebody typed, without blanks around it.

    >>> read(" 5 mars 2021 ")
    '5 mars 2021'
    """
    return typed.strip()
