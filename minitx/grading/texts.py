"""Text of a submission, made fit for a terminal: bounded, and without control characters."""

import unicodedata
from collections.abc import Collection

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, format (also right-to-left), half characters


def cleaned(text: str, most: int = 2000) -> str:
    r"""The text without characters that a terminal obeys, cut after `most` characters.

    >>> cleaned("\x1b[2Jall points\x07 earned")
    '[2Jall points earned'
    """
    kept = "".join(c for c in text[:most] if c in "\n\t" or unicodedata.category(c) not in _HIDDEN)
    return kept + "…" * (len(text) > most)


def a_few(names: Collection[str], most: int = 3) -> str:
    """The first names, and how many more there are: nobody reads a wall of them.

    >>> a_few(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = list(names)[:most]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
