"""What a check sees: calling a function gives a value, or the paragraph that says why not."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.calling import MARKED, Call, Caller, Counted, ObjectRef, Opaque, Outcome, Target
from minitx.grading.errors import CallFailed, Died, OutOfTime, Rejected, Unattempted, Unusable
from minitx.grading.judge.module_handle import ModuleHandle


@dataclass
class Handle:
    """`sub` in a check: `sub.softmax(scores)` calls the learner's softmax, guarded.

    `sub.softmax.steps(scores)` makes the same call and returns how many lines of
    Python were executed: the number grows with the input where there is a loop.
    """

    _caller: Caller
    _returns: dict[str, tuple[str, ...]]
    _seconds: float
    _seed: int
    _calls: list[Call] = field(default_factory=list)
    _owner: str = ""
    _closed: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> "Guarded":
        if name.startswith("_"):
            raise AttributeError(name)
        return Guarded(self, name)

    def _ask(
        self,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        count: Counted = False,
        cotangent: Any = None,
        parameters: bool = False,
        name: str = "",
        launch: bool = False,
    ) -> Outcome:
        saved_args, saved_kwargs = values.copied(args), values.copied(kwargs)
        seed = self._seed + len(self._calls)
        outcome = self._caller.call(
            target,
            args,
            kwargs,
            seconds=max(self._seconds, 0.01),
            seed=seed,
            count=count,
            closed=self._closed,
            cotangent=cotangent,
            parameters=parameters,
        )
        self._seconds -= outcome.seconds
        kept = replace(outcome, value=values.copied(outcome.value))
        self._calls.append(Call(target, saved_args, saved_kwargs, seed, count, kept, cotangent))
        if launch:  # a kernel's results are what it writes into its arguments
            outcome = replace(outcome, changed=(), changed_names=())
        _judge(name or str(target), outcome, saved_args, saved_kwargs, self._owner)
        return outcome


class Guarded:
    """One function of the submission."""

    def __init__(self, handle: Handle, name: str) -> None:
        self._handle = handle
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outcome = self._handle._ask(self._name, args, kwargs)
        self._check_kind(outcome)
        if isinstance(outcome.value, ObjectRef):
            return ModuleHandle(self._handle._ask, outcome.value)
        return outcome.value

    def launch(self, grid: tuple[int, ...], *args: Any, **meta: Any) -> tuple[Any, ...]:
        """Launches a Triton kernel, in the interpreter; what each argument holds afterwards."""
        outcome = self._handle._ask(
            (self._name, "launch"), (grid, args, meta), {}, name=self._name, launch=True
        )
        return tuple(outcome.value)

    def steps(self, *args: Any, **kwargs: Any) -> int:
        """Lines of Python executed during this call, the learner's and the libraries'."""
        return self._handle._ask(self._name, args, kwargs, count=True).steps

    def kept(self, *args: Any, **kwargs: Any) -> int:
        """Tensors that autograd kept for the way back, at most at one time during this call."""
        return self._handle._ask(self._name, args, kwargs, count="kept").kept

    def vjp(self, *args: Any, cotangent: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """Vector-Jacobian products with respect to the inputs that require grad, in order.

        Args:
            args: the call's positional arguments.
            cotangent: shaped like the result, or one for each of several results, None for those
                that are left out; fixed unequal numbers where it is not given.
            kwargs: the call's keyword arguments.

        Returns:
            One tensor for each such input; None where the result does not depend on it.

        Raises:
            Rejected: if the call came to nothing, or the way back breaks.
        """
        outcome = self._handle._ask(self._name, args, kwargs, cotangent=cotangent)
        self._check_kind(outcome)
        if isinstance(outcome.gradients, str):
            raise Rejected(f"{self._name}: {outcome.gradients}")
        return outcome.gradients

    def _check_kind(self, outcome: Outcome) -> None:
        check_kind(self._name, outcome.value, self._handle._returns.get(self._name, ("any",)))


_MAKERS = {"array": "np.array", "tensor": "torch.tensor"}


def check_kind(name: str, value: Any, wanted: tuple[str, ...]) -> None:
    """Turns down a value that is not what the exercise says the function returns.

    Raises:
        Unusable: naming what was returned and what is wanted.
    """
    if value is None:
        raise Unusable(f"{name} returned None: is a `return` missing?")
    if isinstance(value, Opaque) and value.kind == "exception":
        raise Unusable(f"{name} returned {value.description}: write `raise` in place of `return`.")
    if len(wanted) == 1:
        if not values.is_kind(value, wanted[0]):
            maker = _MAKERS.get(wanted[0])
            how = f" (`{maker}(…)` makes one)" if maker and isinstance(value, list) else ""
            phrase = values.kind_phrase(wanted[0])
            if isinstance(value, Opaque) and value.kind in ("array", "tensor"):
                phrase = phrase.replace("a ", "a plain ", 1)
            raise Unusable(f"{name} returned {values.describe(value)}; wanted {phrase}{how}.")
        return
    phrase = "(" + ", ".join(values.kind_phrase(kind) for kind in wanted) + ")"
    if not isinstance(value, tuple | list) or len(value) != len(wanted):
        raise Unusable(
            f"{name} returned {values.describe(value)}; wanted {len(wanted)} values, {phrase}."
        )
    for number, (item, kind) in enumerate(zip(value, wanted, strict=True), start=1):
        if not values.is_kind(item, kind):
            maker = _MAKERS.get(kind) if isinstance(item, list) else None
            what = "a list" if maker else values.describe(item)  # one text, however long it is
            how = f" (`{maker}(…)` makes one)" if maker else ""
            raise Unusable(
                f"{name} returned {what} as value {number} of {len(wanted)}; "
                f"wanted {values.kind_phrase(kind)}{how}."
            )


def _judge(
    name: str, outcome: Outcome, args: tuple[Any, ...], kwargs: dict[str, Any], owner: str
) -> None:
    """Turns an outcome without a usable value into the exception that says so."""
    if outcome.kind == "returned" and not outcome.changed:
        return  # the words below take longer than most calls
    at = f" at {outcome.where}" if outcome.where else ""
    called = f"{name}({_arguments(args, kwargs)})"
    if outcome.kind == "unattempted":
        if owner and outcome.text and not outcome.text.startswith(f"{owner} "):
            raise Unusable(f"{name} needs an exercise that has no answer yet: {outcome.text}")
        raise Unattempted(outcome.text)
    if outcome.kind in ("missing", "signature"):
        raise CallFailed(outcome.text)
    if outcome.kind == "timeout":
        raise OutOfTime(f"{name} did not end: {outcome.text}")
    if outcome.kind == "died":
        raise Died(f"{name} ended the process it was graded in: {outcome.text} Called as {called}.")
    if outcome.kind == "exit":
        raise CallFailed(
            f"{name} ended the whole program{at}: take the call of exit() or sys.exit() out."
        )
    if outcome.kind == "raised":
        raise CallFailed(
            _raised(name, outcome, at, called), kinds=outcome.error_kinds, text=outcome.text
        )
    marked = [each.removesuffix(MARKED) for each in outcome.changed_names if each.endswith(MARKED)]
    if marked:
        raise Unusable(
            f"{name} calls requires_grad_() on its input {' and '.join(f'`{n}`' for n in marked)}, "
            "which belongs to whoever called it: from then on it collects gradients, of this call "
            "and of every later one. Mark a copy: `x.clone().requires_grad_()`."
        )
    if outcome.changed:
        names = " and ".join(f"`{each}`" for each in outcome.changed_names)
        noun = "input" if len(outcome.changed) == 1 else "inputs"
        raise Unusable(
            f"{name} changed its {noun} {names} in place: whoever called it still needs the old "
            "numbers. Compute a new array instead of writing into the one you were given "
            "(`x = x + 1` makes a new one; `x += 1` and `x[...] = 1` do not)."
        )


def _raised(name: str, outcome: Outcome, at: str, called: str) -> str:
    kind = outcome.error_kinds[0]
    if "ClosedDoor" in outcome.error_kinds:
        return f"{name} may not do this{at}: {outcome.text}. It was called as {called}."
    if name.endswith(".load") and "ValueError" in outcome.error_kinds:  # nobody wrote that method
        return f"The weights that the exercise names do not fit: {outcome.text}."
    if "RecursionError" in outcome.error_kinds:
        return f"{name} calls itself without end{at} (RecursionError)."
    if "MemoryError" in outcome.error_kinds:
        return f"{name} asked for more memory than there is{at} (MemoryError), called as {called}."
    if "EOFError" in outcome.error_kinds:
        return f"{name} asks for input{at}: nobody answers while it is graded; take input() out."
    text = f": {outcome.text}" if outcome.text else ""
    end = "" if text.endswith((".", "!", "?")) else "."
    return f"{name} raised {kind}{at}{text}{end} It was called as {called}."


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    parts = [_argument(value) for value in args]
    parts += [f"{name}={_argument(value)}" for name, value in kwargs.items()]
    return ", ".join(parts)


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray) or values.is_tensor(value):
        noun = "tensor" if values.is_tensor(value) else "array"
        return f"<{noun} of shape {tuple(value.shape)}>"
    text = repr(value)
    return text if len(text) <= 30 else f"<{type(value).__name__}>"
