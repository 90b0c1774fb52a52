"""The letters of an exercise's docstring: what the axes of its arguments and its result are called.

q: queries, shape (T_q, D).      ->   {"q": ("T_q", "D")}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ARGUMENT = re.compile(r"^ {4,}([\w.]+(?:, [\w.]+)*): (.*)$")
_SHAPE = re.compile(r"\(((?:\.\.\.|\w+)(?:, ?\w+)*),?\)")


@dataclass(frozen=True)
class Notation:
    """Letters by argument, and those of the results; leading axes written `...` are left out."""

    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    results: tuple[tuple[str, ...], ...] = ()

    def sizes(self, arguments: Mapping[str, Any]) -> dict[str, int]:
        """The length that each letter stands for in one call."""
        found: dict[str, int] = {}
        for name, value in arguments.items():
            if type(value) is int and any(name in axes for axes in self.results):
                found[name] = value
            lengths = tuple(getattr(value, "shape", ()))
            letters = self.arguments.get(name, ())
            for letter, size in zip(reversed(letters), reversed(lengths), strict=False):
                if found.get(letter, 1) == 1:  # an axis of length 1 may only be spread
                    found[letter] = int(size)
        return found

    def axes_of(self, value: Any, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """The letters of a result; those of an argument of its shape where the text has none."""
        if self.results:
            return self.results[0]
        shape = tuple(getattr(value, "shape", ()))
        for name, argument in arguments.items():
            if shape and tuple(getattr(argument, "shape", ())) == shape:
                return self.arguments.get(name, ())
        return ()


def notation(docstring: str) -> Notation:
    """Reads the letters out of a docstring with the sections `Args:` and `Returns:`.

    >>> read = notation('''Scores.
    ...
    ... Args:
    ...     q, k: (..., T, D).
    ... Returns:
    ...     Scores, (..., T, T).
    ... ''')
    >>> read.arguments["k"], read.results
    (('T', 'D'), (('T', 'T'),))
    """
    section, names = "", dict[str, tuple[str, ...]]()
    results: list[tuple[str, ...]] = []
    for line in docstring.splitlines():
        if re.fullmatch(r"\s*(Args|Weights|Returns|Raises|Closed|Source\b.*):.*", line):
            section = line.strip().split(":")[0]
            continue
        shapes = [_axes(shape) for shape in _SHAPE.findall(line)]
        if section in ("Args", "Weights") and (match := _ARGUMENT.match(line)):
            for name in match.group(1).split(", "):
                names[name] = shapes[0] if shapes else ()
        elif section == "Returns":
            known = {letter for axes in names.values() for letter in axes}
            known |= {name for name, axes in names.items() if not axes}  # sizes given as numbers
            results += [axes for axes in shapes if axes and known.issuperset(axes)]
    return Notation(names, tuple(results))


def _axes(text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",")]
    return tuple(part for part in parts if part and part != "...")
