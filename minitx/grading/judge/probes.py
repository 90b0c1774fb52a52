"""One question, what the submission answered and what the worked answer answers."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.calling import Call, Caller, Outcome, Target
from minitx.grading.judge.alike import Tolerance, another_dtype, same_answer, same_but_for_dtype
from minitx.grading.judge.as_function import ModuleForm
from minitx.grading.judge.notation import Notation
from minitx.grading.judge.relations.relation import Given
from minitx.grading.judge.remembered import question_of, remembered
from minitx.grading.registry import Legal

_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Probe:
    """A call with both outcomes; `arguments` are the call's, by the names of the parameters."""

    call: Call
    want: Outcome
    arguments: Mapping[str, Any]
    given: Given
    within: Tolerance | None = None  # see `registry.exercise`

    @property
    def got(self) -> Outcome:
        return self.call.outcome

    @cached_property
    def question(self) -> bytes | None:
        return question_of(self.call)

    @property
    def differs(self) -> bool:
        return not same_answer(self.got, self.want, within=self.within)

    @property
    def differs_in_dtype(self) -> bool:
        """Whether the numbers are right and only their dtype is another."""
        return self.differs and same_but_for_dtype(self.got, self.want)

    def cast(self) -> "Probe":
        """With the numbers that the submission returned in the dtype that was wanted."""
        got, want = self.got.value, self.want.value
        if not (self.has_values and another_dtype(got, want) and values.dtype_kind(got) == "f"):
            return self
        outcome = replace(self.got, value=like(want, values.to_numpy(got)))
        return replace(self, call=replace(self.call, outcome=outcome))

    @property
    def has_values(self) -> bool:
        """Whether both returned something."""
        return self.got.kind == self.want.kind == "returned"


@dataclass
class Asker:
    """Puts questions to the submission and to the worked answer, so many and no more."""

    function: str
    parameters: tuple[str, ...]
    notation: Notation
    caller: Caller | None  # the submission; None where it must not be asked again
    right: Caller
    known_as: Hashable  # whose answers `right` gives: they are remembered under that
    form: ModuleForm | None = None  # where the function is a module
    legal: Legal = lambda sizes: True
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of parameters that may be left out
    within: Tolerance | None = None
    left: int = 80  # calls of the submission
    left_right: int = 4000  # calls of the course's own functions; see `diagnose.CALLS`
    asked: list[Probe] = field(default_factory=list)

    def named(self, call: Call) -> dict[str, Any]:
        """The arguments of a call by name."""
        return {**dict(zip(self.parameters, call.args, strict=False)), **call.kwargs}

    def seen(self, call: Call) -> Probe:
        """A recorded call, with the worked answer's outcome."""
        arguments = self.named(call)
        want = self.worked(call)
        return Probe(call, want, arguments, self.given(arguments, want), self.within)

    def given(self, arguments: Mapping[str, Any], want: Outcome) -> Given:
        sizes = self.notation.sizes(arguments)
        axes = self.notation.axes_of(want.value, arguments)
        return Given(sizes, arguments, axes, self.notation.results)

    def expected(self, call: Call, arguments: Mapping[str, Any]) -> Outcome | None:
        """The worked answer for other arguments."""
        if self.left_right <= 0:
            return None
        self.left_right -= 1
        return self.worked(_with(call, self.parameters, arguments))

    def worked(self, call: Call) -> Outcome:
        """The worked answer's outcome."""
        return remembered(self.known_as, question_of(call), lambda: replay(call, self.right))

    def ask(self, call: Call, arguments: Mapping[str, Any], seed: int = 0) -> Probe | None:
        """Both answers to a new question; None where it is not legal."""
        if self.left <= 0 or self.caller is None:
            return None
        plain = {name: x for name, x in arguments.items() if isinstance(x, int)}
        if not self.legal({**plain, **self.notation.sizes(arguments)}):
            return None
        changed = _with(call, self.parameters, arguments)
        want = self.expected(call, arguments)
        if want is None or want.kind != "returned":
            return None
        self.left -= 1
        got = replay(replace(changed, seed=call.seed + seed), self.caller)
        asked = replace(changed, outcome=got)
        return Probe(asked, want, arguments, self.given(arguments, want), self.within)


def _with(call: Call, parameters: Sequence[str], arguments: Mapping[str, Any]) -> Call:
    """The call with other arguments, by place as before: names may be the learner's own."""
    places = [name for name in parameters[: len(call.args)] if name in arguments]
    rest = {name: value for name, value in arguments.items() if name not in places}
    return replace(call, args=tuple(arguments[name] for name in places), kwargs=rest)


def replay(
    call: Call, caller: Caller, target: Target | None = None, *, parameters: bool = False
) -> Outcome:
    """The same question put to somebody else."""
    args, kwargs = values.copied(call.args), values.copied(call.kwargs)
    return caller.call(
        target or call.name,
        args,
        kwargs,
        seconds=_SECONDS,
        seed=call.seed,
        count=call.count,
        cotangent=call.cotangent,
        parameters=parameters,
    )


def redrawn(value: Any, seed: int) -> Any:
    """Other numbers of the same kind in the same places."""
    if not hasattr(value, "shape"):
        return value
    numbers = values.to_numpy(value)
    rng = np.random.default_rng([seed, numbers.size])
    if numbers.dtype.kind == "f":
        finite = numbers[np.isfinite(numbers)]
        width = float(np.std(finite)) if finite.size > 1 else 1.0
        middle = float(np.mean(finite)) if finite.size else 0.0
        new = rng.normal(middle, width or 1.0, numbers.shape)
    elif numbers.dtype.kind == "b":
        new = rng.random(numbers.shape) < 0.5
    else:
        new = rng.permutation(numbers.ravel()).reshape(numbers.shape)
    return like(value, new)


def scaled(value: Any, factor: float) -> Any:
    """Floating-point numbers times a factor; anything else as it is."""
    if not hasattr(value, "shape") or values.dtype_kind(value) != "f":
        return value
    return like(value, values.to_numpy(value) * factor)


def like(value: Any, numbers: Any) -> Any:
    """An array or tensor with these numbers, of the kind and dtype of `value`.

    Where whole numbers have become fractions it is floating point.
    """
    numbers = np.asarray(numbers)
    fractions = values.dtype_kind(value) == "i" and not np.array_equal(numbers, np.rint(numbers))
    if values.is_tensor(value):
        made = value.new_tensor(numbers.tolist(), dtype=None if fractions else value.dtype).reshape(
            numbers.shape
        )
        return made.requires_grad_() if value.requires_grad else made
    return numbers if fractions else numbers.astype(value.dtype)


def without_dtypes(probes: Sequence[Probe]) -> Sequence[Probe]:
    """All in the dtype that was wanted, if checks were content with another and none was not."""
    otherwise = [probe.call.passed for probe in probes if probe.differs_in_dtype]
    return [probe.cast() for probe in probes] if otherwise and all(otherwise) else probes


def differing(probes: Sequence[Probe]) -> list[Probe]:
    return [probe for probe in probes if probe.differs]
