"""What is being graded: functions by name, and where their lines can be found."""

import inspect
import linecache
import os
import re
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LOOP = re.compile(r"\s*(?:async\s+)?(?:while|for)\b")
_PACKAGE = str(Path(__file__).resolve().parents[2])
_LIBRARIES = tuple(
    os.path.abspath(path) + os.sep
    for path in {_PACKAGE, *(sysconfig.get_path(k) for k in ("stdlib", "purelib", "platlib"))}
)


@dataclass(frozen=True)
class Problem:
    """Something that went wrong while the learner's file was read."""

    text: str
    names: frozenset[str] = frozenset()  # what that piece of the file would have defined
    aside: bool = False  # told only where one of the names turns out to be missing


@dataclass
class Submission:
    """Functions to be graded, by name.

    `places` maps a file name, as Python knows it, to the words a learner reads: a line of
    "exercise.py" is "line 12"; one of a notebook's cells is "line 3 of code cell 5".
    """

    namespace: dict[str, Any]
    origin: str = "your functions"
    places: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    printed: str = ""

    def is_mine(self, filename: str) -> bool:
        """Whether a line of that file was written by the learner."""
        if self.places:
            return filename in self.places
        return not os.path.abspath(filename).startswith(_LIBRARIES)

    def function(self, name: str) -> Any:
        """The learner's object of that name, or None."""
        return self.namespace.get(name)

    def where(self, filename: str, line: int) -> str:
        """ "line 12 (`return weights`)" for the learner's eyes."""
        place = self.places.get(filename, "")
        text = linecache.getline(filename, line).strip()
        quoted = f" (`{_cut(text)}`)" if text else ""
        return f"line {line}{place}{quoted}"

    def loop_around(self, filename: str, line: int) -> int:
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


def from_functions(functions: Mapping[str, Callable[..., Any]]) -> Submission:
    """A submission made of live functions; other names they see are found in their module."""
    namespace: dict[str, Any] = {}
    for function in functions.values():
        around = getattr(inspect.unwrap(function), "__globals__", {})
        namespace = {**around, **namespace}
    return Submission({**namespace, **functions})


def _cut(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
