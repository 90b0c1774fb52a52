"""A number is a number, whoever made it: 0.5, `torch.tensor(0.5)` and `np.float32(0.5)`.

Where an exercise asks for a number, checks take any of them; so must whoever compares two answers,
or no mistake would be known in the answer of somebody who writes `.item()`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from minitx.grading import values
from minitx.grading.calling import Call, Caller, Facts, Outcome, Target


def as_numbers(outcome: Outcome, returns: Sequence[str]) -> Outcome:
    """With Python's numbers where the exercise asks for numbers, and its several values a tuple.

    What still hangs on a graph stays a tensor: that is a difference.
    """
    value = outcome.value
    if outcome.kind != "returned":
        return outcome
    if len(returns) == 1:
        return replace(outcome, value=_number(value, returns[0]))
    if not isinstance(value, list | tuple) or len(value) != len(returns):
        return outcome
    return replace(outcome, value=tuple(map(_number, value, returns)))


def _number(value: Any, kind: str) -> Any:
    numbered = kind == "number" and hasattr(value, "item") and values.is_number(value)
    return value.item() if numbered and not getattr(value, "requires_grad", False) else value


@dataclass
class AsNumbers:
    """A caller whose numbers are Python's."""

    caller: Caller
    returns: Sequence[str]

    @property
    def facts(self) -> Facts:
        return self.caller.facts

    def call(self, target: Target, *given: Any, **options: Any) -> Outcome:
        """The outcome of the call; see `as_numbers`."""
        return as_numbers(self.caller.call(target, *given, **options), self.returns)


def of_calls(calls: Sequence[Call], returns: Sequence[str]) -> list[Call]:
    """Recorded calls alike."""
    return [replace(call, outcome=as_numbers(call.outcome, returns)) for call in calls]
