"""The course's own functions: worked answers, right answers and mistakes."""

from collections.abc import Callable, Mapping
from typing import Any

from minitx.grading.calling import Counted, Facts, Outcome, Target, missing
from minitx.grading.invoke import invoke
from minitx.grading.limits import TimeLimit
from minitx.grading.objects import Objects


class OwnCaller:
    """Calls functions of the course in this process.

    Args:
        functions: by their names.
        origin: whose they are, in words.
        limited: whether a call is stopped after its seconds. What a person wrote is trusted to
            end; a worked answer in which something was exchanged may grow a list for ever.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        origin: str = "the worked answers",
        *,
        limited: bool = False,
    ) -> None:
        self.functions = functions
        self.limited = limited
        self._objects = Objects()
        self.facts = Facts(origin)

    def fits(self, number: int, dtype: str, weights: Mapping[str, Any]) -> bool:
        """Brings a module that was kept to a dtype and loads it, if the weights are its own."""
        for method, argument in (("to", dtype), ("load", weights)):
            _, function = self._objects.find((number, method), self.functions)
            try:
                function(argument)
            except ValueError:
                return False
        return True

    def call(
        self,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        seconds: float,
        seed: int,
        count: Counted = False,
        closed: tuple[str, ...] = (),
        cotangent: Any = None,
        parameters: bool = False,
    ) -> Outcome:
        name, function = self._objects.find(target, self.functions)
        if function is None:
            return missing(name, self.facts)

        def asked() -> Outcome:
            return invoke(
                name,
                function,
                args,
                kwargs,
                seed=seed,
                count=count,
                cotangent=cotangent,
                keep=self._objects.keep,
                parameters=lambda: self._objects.parameters(target) if parameters else {},
            )

        if not self.limited:
            return asked()
        return TimeLimit(seconds).result(asked) or Outcome("timeout", seconds=seconds)
