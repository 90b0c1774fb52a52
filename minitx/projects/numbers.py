"""Numbers in words, English to French: the transformer of 2017, trained in about a minute.

minitx train numbers
minitx translate 281 "nineteen thousand and eighty"
"""

import re
from pathlib import Path

from minitx.data import numbers
from minitx.data.vocabulary import words
from minitx.projects.translation import Score, Settings, Translator, scored, train_translator
from minitx.training import Processes

NAME = "numbers"
SETTINGS = Settings(num_steps=600, max_lr=2e-3, batch_size=64)
KNOWN = f"whole numbers from 0 to {numbers.COUNT - 1:,}, in English words or in digits"
cut = words


def train(settings: Settings, *, group: Processes, folder: Path, progress: bool) -> Translator:
    """Train on the hundreds that are not held out; see `train_translator`."""
    data = numbers.split()
    return train_translator(
        NAME, data.train, data.validation, cut, settings,
        group=group, folder=folder, progress=progress,
    )  # fmt: skip


def score(translator: Translator) -> Score:
    """How many numbers are right, of whole hundreds that were never seen."""
    return scored(translator, numbers.split().test)


def read(typed: str) -> str:
    """What somebody typed, as it stands in the data: small letters, digits in words.

    Raises:
        ValueError: if it is in digits and too large.

    >>> read(" 281 "), read("Two  hundred")
    ('two hundred and eighty-one', 'two hundred')
    """
    text = " ".join(typed.lower().split())
    if not re.fullmatch(r"\d[\d, ]*", text):
        return text
    number = int(re.sub(r"\D", "", text))
    if number >= numbers.COUNT:
        raise ValueError(f"{number:,} is too large: the translator has learned {KNOWN}")
    return numbers.pairs()[number][0]
