"""What is being graded: functions by name, and where their lines can be found."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from minitx.grading.calling import Outcome, Problem
from minitx.grading.source import Source


@dataclass
class Submission:
    """Functions to be graded, by name."""

    namespace: dict[str, Any]
    origin: str = "your functions"
    source: Source = field(default_factory=Source)
    problems: list[Problem] = field(default_factory=list)
    printed: str = ""

    def explained(self, outcome: Outcome) -> Outcome:
        """For a name that is not there because its line in the file failed: that line."""
        if outcome.kind == "raised" and "NameError" in outcome.error_kinds:
            for problem in self.problems:
                if any(f"'{name}'" in outcome.text for name in problem.names):
                    return replace(outcome, text=f"{outcome.text} ({problem.text})")
        return outcome


def from_functions(functions: Mapping[str, Callable[..., Any]]) -> Submission:
    """A submission made of live functions; other names they see are found in their module."""
    namespace: dict[str, Any] = {}
    for function in functions.values():
        around = getattr(inspect.unwrap(function), "__globals__", {})
        namespace = {**around, **namespace}
    return Submission({**namespace, **functions})
