"""How long a page takes, computed from what stands on it, and written where pages say it."""

import re
from dataclasses import dataclass
from pathlib import Path

from minitx.authoring.errors import SourceError
from minitx.authoring.pages import Page, Size, read_page

WORDS_A_MINUTE = 140  # technical prose with formulas
WORDS_A_MINUTE_SKIMMED = 230
CODE_LINES_A_MINUTE = 10
CODE_LINES_A_MINUTE_SKIMMED = 25
MINUTES_A_FIGURE = 2
MINUTES_A_QUESTION = 2

# What the build writes: the first sentence of a page's **Time.** line, and whatever stands between
# `<!-- time NN_topic -->` and `<!-- end -->` on any page.
_OWN = re.compile(r"(?P<before>^\*\*Time\.\*\*) About .*? worked through", re.MULTILINE)
_OF_ANOTHER = re.compile(r"(?P<before><!-- time (?P<name>\w+) -->).*?(?P<after><!-- end -->)")


@dataclass(frozen=True)
class ReadingTime:
    """Minutes, to the nearest five.

    >>> str(ReadingTime(45, 80))
    'about 45 minutes skimmed, 1 h 20 worked through'
    """

    minutes_skimmed: int
    minutes_worked: int

    @property
    def skimmed(self) -> str:
        return _spoken(self.minutes_skimmed)

    @property
    def worked(self) -> str:
        return _spoken(self.minutes_worked)

    def __str__(self) -> str:
        return f"about {self.skimmed} skimmed, {self.worked} worked through"


def reading_time(size: Size) -> ReadingTime:
    """Words, code, figures and questions, each at its own pace.

        worked  = words / 140 + code lines / 10 + 2 figures + 2 questions
        skimmed = words / 230 + code lines / 25 + 2 figures

    A drawing, a plot and a panel count as a figure each.
    """
    figures = MINUTES_A_FIGURE * (size.drawings + size.figures + size.panels)
    skimmed = (
        size.words / WORDS_A_MINUTE_SKIMMED
        + size.code_lines / CODE_LINES_A_MINUTE_SKIMMED
        + figures
    )
    worked = (
        size.words / WORDS_A_MINUTE
        + size.code_lines / CODE_LINES_A_MINUTE
        + figures
        + MINUTES_A_QUESTION * size.questions
    )
    return ReadingTime(_to_five(skimmed), _to_five(worked))


def with_times(root: Path, text: str, *, name: str) -> str:
    """A page's text with every reading time that it states computed anew.

    Args:
        root: the checkout, for the times of other pages.
        text: of `book/NAME.md`.
        name: of the page, "01_attention_intuition".

    Raises:
        SourceError: if it asks for the time of a page that is not there.
    """

    def of_another(found: re.Match[str]) -> str:
        if not (root / "book" / f"{found['name']}.md").is_file():
            raise SourceError(
                f"book/{name}.md", None, f"no page {found['name']} to tell the time of"
            )
        return f"{found['before']}{time_of(read_page(root, found['name']))}{found['after']}"

    own = str(time_of(Page(name, text, {}))).capitalize()
    text = _OWN.sub(lambda found: f"{found['before']} {own}", text)
    return _OF_ANOTHER.sub(of_another, text)


def states_own_time(text: str) -> bool:
    """Whether a page says how long it takes itself."""
    return _OWN.search(text) is not None


def states_times(text: str) -> bool:
    """Whether a page says how long it, or another page, takes."""
    return states_own_time(text) or _OF_ANOTHER.search(text) is not None


def time_of(page: Page) -> ReadingTime:
    """The time of a page; the sentence that states it is not counted."""
    return reading_time(Page(page.name, _OWN.sub("", page.text), {}).size)


def _to_five(minutes: float) -> int:
    return max(5, 5 * round(minutes / 5))


def _spoken(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{rest} minutes"
    return f"{hours} h {rest:02}" if rest else f"{hours} h"
