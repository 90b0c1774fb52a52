"""Where the learner's lines are, and how they are quoted."""

import linecache
import os
import re
import sysconfig
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from minitx.grading.texts import cleaned

_LOOP = re.compile(r"\s*(?:async\s+)?(?:while|for)\b")
_PACKAGE = str(Path(__file__).resolve().parents[1])
_LIBRARIES = tuple(
    os.path.abspath(path) + os.sep
    for path in {_PACKAGE, *(sysconfig.get_path(k) for k in ("stdlib", "purelib", "platlib"))}
)


@dataclass
class Source:
    """The files that count as the learner's.

    `places` maps a file name, as Python knows it, to the words a learner reads: a line of
    "exercise.py" is "line 12"; one of a notebook's cells is "line 3 of code cell 5". Without
    places, everything outside of Python, its libraries and this package is the learner's.
    """

    places: dict[str, str] = field(default_factory=dict)

    def is_mine(self, filename: str) -> bool:
        """Whether a line of that file was written by the learner."""
        if self.places:
            return filename in self.places
        return not os.path.abspath(filename).startswith(_LIBRARIES)

    def where(self, filename: str, line: int) -> str:
        """ "line 12 (`return weights`)" for the learner's eyes."""
        place = self.places.get(filename, "")
        text = cleaned(linecache.getline(filename, line).strip())
        quoted = f" (`{_cut(text)}`)" if text else ""
        return f"line {line}{place}{quoted}"

    def line_of(self, error: BaseException) -> tuple[str, int] | None:
        """File and line of the innermost frame that the learner wrote."""
        spots = [
            (frame.f_code.co_filename, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if self.is_mine(frame.f_code.co_filename)
        ]
        return spots[-1] if spots else None

    def endless(self, seconds: float, spot: tuple[str, int] | None) -> str:
        """The sentence about code that was stopped."""
        shown = f"{seconds:.0f}" if seconds >= 1 else f"{seconds:.1f}"
        if spot is None:
            return f"endless loop? Stopped after {shown} s."
        place = self.where(spot[0], _loop_around(*spot))
        return f"endless loop? Stopped after {shown} s at {place}."


def one_line(error: BaseException, width: int = 200) -> str:
    """An exception's message in one line, shortened; empty where it cannot be had."""
    try:
        text = " ".join(cleaned(str(error)).split())
    except Exception:
        text = ""
    return _cut(text, width)


def _loop_around(filename: str, line: int) -> int:
    """First line of the innermost loop around a line, or that line itself."""
    margin = 10**6
    for number in range(line, 0, -1):
        text = linecache.getline(filename, number)
        indent = len(text) - len(text.lstrip())
        if not text.strip() or indent >= margin:
            continue
        if _LOOP.match(text):
            return number
        margin = indent
    return line


def _cut(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
