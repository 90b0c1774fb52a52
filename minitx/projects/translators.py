"""The translators that can be trained: one value each, and the list of them all.

minitx train numbers
minitx translate 281 "nineteen thousand and eighty"
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from minitx.data import dates, german, numbers
from minitx.data.split import Split
from minitx.data.vocabulary import words
from minitx.projects.settings import TranslationSettings

Pair = tuple[str, str]


@dataclass(frozen=True)
class TranslationProject:
    """Pairs of texts, and how to learn from them.

    Args:
        name: of the command, the folder and the run.
        about: what it translates, in a sentence.
        known: what it has learned to read.
        settings: of model and training.
        split: the pairs to learn from, and those held out.
        measured: the pairs on which it is measured, by what they are.
        read: a source as it is learned and translated; what cannot be read is a ValueError.
        cut: a text as tokens: its words, or itself, whose tokens are its characters.
        lessons: from the pairs to learn from to those shown in one epoch, some more than once.
        with_chrf: whether the score tells chrF, too.
    """

    name: str
    about: str
    known: str
    settings: TranslationSettings
    split: Callable[[], Split[Pair]]
    measured: Callable[[], Mapping[str, Sequence[Pair]]]
    read: Callable[[str], str]
    cut: Callable[[str], Sequence[str]]
    lessons: Callable[[list[Pair]], list[Pair]] = list
    with_chrf: bool = False

    def tokens(self, source: str) -> Sequence[str]:
        """A source as tokens, read as it is read everywhere.

        Raises:
            ValueError: if it cannot be read.
        """
        return self.cut(self.read(source))


def _characters(text: str) -> str:
    return text


NUMBERS = TranslationProject(
    name="numbers",
    about="Numbers in words, English to French, in about a minute.",
    known=f"whole numbers from 0 to {numbers.COUNT - 1:,}, in English words or in digits",
    settings=TranslationSettings(num_steps=800, max_lr=2e-3, batch_size=64, smoothing=0.1),
    split=numbers.split,
    measured=lambda: {
        "numbers of whole ranges never seen": numbers.split().test,
        "the numbers 0 … 999": numbers.pairs()[:1000],
        f"all numbers 0 … {numbers.COUNT - 1:,}, seen or not": numbers.pairs(),
    },
    read=numbers.read,
    cut=words,
    lessons=numbers.short_ones_more_often,
)

DATES = TranslationProject(
    name="dates",
    about="Dates as people write them in 25 locales, to ISO 8601.",
    known=(
        f"days of {dates.FIRST.year} to 2049 in the spelling of one of {len(dates.LOCALES)} "
        f"locales: {', '.join(dates.LOCALES)}"
    ),
    settings=TranslationSettings(num_steps=600, max_lr=2e-3, batch_size=128, smoothing=0.1),
    split=dates.split,
    measured=lambda: {"dates of whole months never seen": dates.split().test},
    read=dates.read,
    cut=_characters,
    with_chrf=True,
)

GERMAN = TranslationProject(
    name="german",
    about="German numbers, whose words stand in another order, by the translator of 2014.",
    known="the numbers from 121 to 999 that say units before tens, in German words or in digits",
    settings=TranslationSettings(
        num_steps=200, max_lr=1e-2, batch_size=64, d_model=24,
        architecture="recurrent, with attention",
    ),
    split=german.split,
    measured=lambda: {"numbers never seen": german.split().test},
    read=german.read,
    cut=words,
)  # fmt: skip

TRANSLATORS = {project.name: project for project in (NUMBERS, DATES, GERMAN)}
