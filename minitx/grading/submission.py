"""What is being graded: functions by name, and where their lines can be found."""

import ast
import inspect
import linecache
import os
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES = tuple(
    os.path.abspath(path) + os.sep
    for path in {_PACKAGE, *(sysconfig.get_path(k) for k in ("stdlib", "purelib", "platlib"))}
)


@dataclass(frozen=True)
class Problem:
    """Something that went wrong while the learner's file was read."""

    text: str
    names: frozenset[str] = frozenset()  # what that piece of the file would have defined


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
    sources: dict[str, str] = field(default_factory=dict)  # file name -> its text

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
        text = self.sources.get(filename) or "".join(linecache.getlines(filename))
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return line
        around = [
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.For | ast.While)
            and node.lineno <= line <= (node.end_lineno or node.lineno)
        ]
        return max(around, default=line)


def from_functions(functions: Mapping[str, Callable[..., Any]]) -> Submission:
    """A submission made of live functions; other names they see are found in their module."""
    namespace: dict[str, Any] = {}
    for function in functions.values():
        around = getattr(inspect.unwrap(function), "__globals__", {})
        namespace = {**around, **namespace}
    return Submission({**namespace, **functions})


def _cut(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
