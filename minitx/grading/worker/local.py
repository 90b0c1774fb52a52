"""Running a submission's functions in this process."""

from collections.abc import Callable, Mapping
from typing import Any

from minitx.grading.calling import Counted, Facts, Outcome, Target, missing
from minitx.grading.invoke import Stop, invoke
from minitx.grading.limits import TimeLimit
from minitx.grading.objects import Objects
from minitx.grading.signature import parameter_names
from minitx.grading.worker.closed_doors import shut
from minitx.grading.worker.submission import Submission, from_functions


class UnlimitedCaller:
    """Calls the functions of a submission in this process, which may never end or die of it."""

    passing: tuple[type[BaseException], ...] = ()

    def __init__(self, submission: Submission, objects: Objects | None = None) -> None:
        self.submission = submission
        self._objects = objects or Objects()

    @property
    def facts(self) -> Facts:
        known = self.submission
        functions = {name: f for name, f in known.namespace.items() if hasattr(f, "__code__")}
        parameters = {name: parameter_names(function) for name, function in functions.items()}
        return Facts(known.origin, tuple(known.problems), known.printed, parameters)

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
        name, function = self._objects.find(target, self.submission.namespace)
        if function is None:
            return missing(name, self.facts)
        with shut(closed):
            outcome = invoke(
                name,
                function,
                args,
                kwargs,
                seed=seed,
                count=count,
                cotangent=cotangent,
                source=self.submission.source,
                keep=self._objects.keep,
                parameters=lambda: self._objects.parameters(target) if parameters else {},
                passing=self.passing,
            )
        return self.submission.explained(outcome)


class LocalCaller(UnlimitedCaller):
    """The same, each call for so many seconds at most: for functions in a notebook."""

    passing = (Stop, KeyboardInterrupt)  # Ctrl-C is the user's

    @classmethod
    def of(cls, functions: Mapping[str, Callable[..., Any]]) -> "LocalCaller":
        """A caller of live functions."""
        return cls(from_functions(functions))

    def call(
        self,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        seconds: float,
        **options: Any,
    ) -> Outcome:
        source = self.submission.source
        limit = TimeLimit(seconds, source.is_mine)
        call = super().call
        # Doors around the limit: a time-out must not strike while they are opened again.
        with shut(options.pop("closed", ())):
            outcome = limit.result(lambda: call(target, args, kwargs, seconds=seconds, **options))
        if outcome is None:
            text = source.endless(seconds, limit.line)
            return Outcome("timeout", text=text, seconds=seconds)
        return outcome
