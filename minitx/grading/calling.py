"""Calling a learner's function so that nothing it does can hurt the grader.

A check sees a `Handle`. The handle asks a `Caller` for the outcome of one call and turns it into
a value or into a paragraph. Outcomes are plain data: the caller here runs the function in this
process; another one may run it elsewhere.
"""

import contextlib
import inspect
import io
import random
import sys
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from minitx.grading import values
from minitx.grading.errors import CallFailed, OutOfTime, Unattempted, Unusable
from minitx.grading.judge import expectations
from minitx.grading.worker.limits import TimeLimit
from minitx.grading.worker.submission import Submission

Kind = Literal["returned", "raised", "missing", "signature", "unattempted", "timeout", "exit"]
_PRINT_LIMIT = 2000


@dataclass(frozen=True)
class Outcome:
    """What came of one call."""

    kind: Kind
    value: Any = None
    error_kinds: tuple[str, ...] = ()  # the exception's classes, most special first
    text: str = ""  # the exception's message, or what did not fit
    where: str = ""  # the learner's line, in words
    changed: tuple[int | str, ...] = ()  # arguments changed in place: positions and keywords
    changed_names: tuple[str, ...] = ()
    steps: int = 0  # lines of Python executed, where asked for
    printed: str = ""
    warning: str = ""


@dataclass(frozen=True)
class Call:
    """One call as it was made, for asking a mistake the same question."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    seed: int
    count: bool
    outcome: Outcome


class Caller(Protocol):
    """Calls functions of a submission by name."""

    def call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        seconds: float,
        seed: int,
        count: bool,
    ) -> Outcome: ...


@dataclass
class Handle:
    """`sub` in a check: `sub.softmax(scores)` calls the learner's softmax, guarded.

    `sub.softmax.steps(scores)` makes the same call and returns how many lines of the learner's
    Python were executed: the number grows with the input where there is a loop.
    """

    _caller: Caller
    _returns: dict[str, tuple[str, ...]]
    _seconds: float
    _seed: int
    _calls: list[Call] = field(default_factory=list)
    _owner: str = ""

    def __getattr__(self, name: str) -> "Guarded":
        if name.startswith("_"):
            raise AttributeError(name)
        return Guarded(self, name)

    def _ask(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], count: bool
    ) -> Outcome:
        expectations.remember_sizes(values.sizes([*args, *kwargs.values()]))
        saved_args, saved_kwargs = values.copied(args), values.copied(kwargs)
        seed = self._seed + len(self._calls)
        began = time.monotonic()
        outcome = self._caller.call(
            name, args, kwargs, seconds=max(self._seconds, 0.01), seed=seed, count=count
        )
        self._seconds -= time.monotonic() - began
        kept = _replace_value(outcome)
        self._calls.append(Call(name, saved_args, saved_kwargs, seed, count, kept))
        _judge(name, outcome, saved_args, saved_kwargs, self._owner)
        return outcome


class Guarded:
    """One function of the submission."""

    def __init__(self, handle: Handle, name: str) -> None:
        self._handle = handle
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outcome = self._handle._ask(self._name, args, kwargs, False)
        check_kind(self._name, outcome.value, self._handle._returns.get(self._name, ("any",)))
        return outcome.value

    def steps(self, *args: Any, **kwargs: Any) -> int:
        """Lines of the learner's Python executed during this call."""
        return self._handle._ask(self._name, args, kwargs, True).steps


def check_kind(name: str, value: Any, wanted: tuple[str, ...]) -> None:
    """Turns down a value that is not what the exercise says the function returns.

    Raises:
        Unusable: naming what was returned and what is wanted.
    """
    if value is None:
        raise Unusable(f"{name} returned None: is a `return` missing?")
    error = value if isinstance(value, type) else type(value)
    if issubclass(error, BaseException):
        raise Unusable(f"{name} returned {error.__name__}: write `raise` in place of `return`.")
    if len(wanted) == 1:
        if not values.is_kind(value, wanted[0]):
            maker = {"array": "np.array", "tensor": "torch.tensor"}.get(wanted[0])
            how = f" (`{maker}(…)` makes one)" if maker and isinstance(value, list) else ""
            raise Unusable(
                f"{name} returned {values.describe(value)}; "
                f"wanted {values.kind_phrase(wanted[0])}{how}."
            )
        return
    phrase = "(" + ", ".join(values.kind_phrase(kind) for kind in wanted) + ")"
    if not isinstance(value, tuple | list) or len(value) != len(wanted):
        raise Unusable(
            f"{name} returned {values.describe(value)}; wanted {len(wanted)} values, {phrase}."
        )
    for number, (item, kind) in enumerate(zip(value, wanted, strict=True), start=1):
        if not values.is_kind(item, kind):
            raise Unusable(
                f"{name} returned {values.describe(item)} as value {number} of {len(wanted)}; "
                f"wanted {values.kind_phrase(kind)}."
            )


def _replace_value(outcome: Outcome) -> Outcome:
    kept = dict(outcome.__dict__)
    kept["value"] = values.copied(outcome.value)
    return Outcome(**kept)


def _judge(
    name: str, outcome: Outcome, args: tuple[Any, ...], kwargs: dict[str, Any], owner: str
) -> None:
    """Turns an outcome without a usable value into the exception that says so."""
    at = f" at {outcome.where}" if outcome.where else ""
    called = f"{name}({_arguments(args, kwargs)})"
    if outcome.kind == "unattempted":
        if owner and outcome.text and not outcome.text.startswith(f"{owner} "):
            raise Unusable(f"{name} needs an exercise that has no answer yet: {outcome.text}")
        raise Unattempted(outcome.text)
    if outcome.kind == "missing":
        raise CallFailed(outcome.text)
    if outcome.kind == "signature":
        raise CallFailed(outcome.text)
    if outcome.kind == "timeout":
        raise OutOfTime(f"{name} did not end: {outcome.text}")
    if outcome.kind == "exit":
        raise CallFailed(
            f"{name} ended the whole program{at}: take the call of exit() or sys.exit() out."
        )
    if outcome.kind == "raised":
        raise CallFailed(
            _raised(name, outcome, at, called), kinds=outcome.error_kinds, text=outcome.text
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


class LocalCaller:
    """Runs the submission's functions in this process."""

    def __init__(self, submission: Submission) -> None:
        self.submission = submission

    def call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        seconds: float,
        seed: int,
        count: bool,
    ) -> Outcome:
        function = self.submission.function(name)
        if function is None:
            return Outcome("missing", text=self._missing(name))
        if not callable(function):
            return Outcome(
                "missing",
                text=f"{name} is {values.describe(function)}; wanted a function of that name.",
            )
        misfit, names = _bind(name, function, args, kwargs)
        if misfit:
            return Outcome("signature", text=misfit)
        before = values.copied((args, kwargs))
        outcome = self._run(name, function, args, kwargs, seconds, seed, count)
        return _with_changes(outcome, before, (args, kwargs), names)

    def _missing(self, name: str) -> str:
        for problem in self.submission.problems:
            if name in problem.names:
                return problem.text
        return (
            f"There is no function {name} in {self.submission.origin}: "
            "was it renamed, or its cell deleted?"
        )

    def _run(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seconds: float,
        seed: int,
        count: bool,
    ) -> Outcome:
        mine = self.submission.is_mine
        result: dict[str, Any] = {}
        limit = TimeLimit(seconds, mine)

        def work() -> None:
            try:
                result.update(kind="returned", value=function(*args, **kwargs))
            except SystemExit as error:
                result.update(kind="exit", where=self._where(error))
            except Exception as error:
                result.update(self._failure(error))

        with quietly(seed) as said, counting_lines(mine if count else None) as lines:
            limit.run(work)
        if limit.expired:
            result = {"kind": "timeout", "text": self.timeout(seconds, limit.line)}
        return Outcome(**result, steps=lines.count, printed=said.text, warning=said.warning)

    def _failure(self, error: Exception) -> dict[str, Any]:
        if isinstance(error, NotImplementedError) and str(error).startswith("Exercise"):
            return {"kind": "unattempted", "text": str(error)}
        return {
            "kind": "raised",
            "error_kinds": tuple(kind.__name__ for kind in type(error).__mro__[:-1]),
            "text": one_line(error) + self._why_missing(error),
            "where": self._where(error),
        }

    def _why_missing(self, error: Exception) -> str:
        """For a name that is not there because its line in the file failed: that line."""
        if not isinstance(error, NameError):
            return ""
        for problem in self.submission.problems:
            if error.name in problem.names:
                return f" ({problem.text})"
        return ""

    def _where(self, error: BaseException) -> str:
        spot = learners_line(error, self.submission.is_mine)
        return self.submission.where(*spot) if spot else ""

    def timeout(self, seconds: float, line: tuple[str, int] | None) -> str:
        """The sentence about a call that was stopped."""
        shown = f"{seconds:.0f}" if seconds >= 1 else f"{seconds:.1f}"
        if line is None:
            return f"endless loop? Stopped after {shown} s."
        first = self.submission.loop_around(*line)
        return f"endless loop? Stopped after {shown} s at {self.submission.where(line[0], first)}."


def learners_line(error: BaseException, is_mine: Callable[[str], bool]) -> tuple[str, int] | None:
    """File and line of the innermost frame that the learner wrote."""
    spots = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_mine(frame.f_code.co_filename)
    ]
    return spots[-1] if spots else None


def one_line(error: BaseException, width: int = 200) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return text if len(text) <= width else text[: width - 1] + "…"


def _bind(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, list[str]]:
    """(what does not fit or "", the names under which the arguments arrive)."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "", [f"argument {i + 1}" for i in range(len(args))]
    parameters = list(signature.parameters.values())
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return _misfit(name, signature, args, kwargs), []
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [p.name for p in places][: len(args)]
    names += [f"argument {i + 1}" for i in range(len(names), len(args))]
    return "", names


def _misfit(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Which parameter is missing, or which argument has no place."""
    parameters = signature.parameters.values()
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    shown = f"{name}{signature.replace(return_annotation=inspect.Signature.empty)}"
    unknown = [key for key in kwargs if key not in signature.parameters]
    if len(args) > len(places):
        few = "no parameter" if not places else "one" if len(places) == 1 else str(len(places))
        problem = f"is called with {len(args)} arguments but takes {few}"
    elif unknown:
        problem = f"has no parameter `{unknown[0]}`"
    else:
        filled = {p.name for p in places[: len(args)]} | set(kwargs)
        missing = [
            f"`{p.name}`"
            for p in parameters
            if p.default is p.empty
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            and p.name not in filled
        ]
        problem = f"wants a value for {' and '.join(missing)} that nobody gives it"
    return f"{name} {problem}: yours is `def {shown}`. Keep the first line it came with."


def _with_changes(
    outcome: Outcome,
    before: tuple[tuple[Any, ...], dict[str, Any]],
    after: tuple[tuple[Any, ...], dict[str, Any]],
    names: list[str],
) -> Outcome:
    """Notes which inputs the call changed, and gives them their old numbers back."""
    changed: list[int | str] = []
    words: list[str] = []
    for position, (old, new) in enumerate(zip(before[0], after[0], strict=True)):
        if not values.unchanged(old, new):
            changed.append(position)
            words.append(names[position] if position < len(names) else f"argument {position + 1}")
            values.restore(new, old)
    for key, old in before[1].items():
        if not values.unchanged(old, after[1][key]):
            changed.append(key)
            words.append(key)
            values.restore(after[1][key], old)
    if not changed:
        return outcome
    kept = {**outcome.__dict__, "changed": tuple(changed), "changed_names": tuple(words)}
    return Outcome(**kept)


@dataclass
class Said:
    """What code printed and warned about."""

    text: str = ""
    warning: str = ""


class _Bounded(io.StringIO):
    """Keeps the beginning of what is printed and forgets the flood."""

    def write(self, text: str) -> int:
        if self.tell() < _PRINT_LIMIT:
            super().write(text[:_PRINT_LIMIT])
        return len(text)


@contextlib.contextmanager
def quietly(seed: int) -> Iterator[Said]:
    """Catches what is printed, answers input() with nothing, and fixes the global dice."""
    said, out = Said(), _Bounded()
    stdin, sys.stdin = sys.stdin, io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            warnings.catch_warnings(record=True) as caught,
            fixed_dice(seed),
        ):
            warnings.simplefilter("always")
            yield said
    finally:
        sys.stdin = stdin
        said.text = out.getvalue()
        said.warning = " ".join(str(caught[0].message).split()) if caught else ""


@contextlib.contextmanager
def fixed_dice(seed: int) -> Iterator[None]:
    """Python's, NumPy's and torch's global generators start from `seed`, then go on as before."""
    torch = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if torch:
        torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if torch:
            torch.set_rng_state(torch_state)


@dataclass
class Lines:
    count: int = 0


@contextlib.contextmanager
def counting_lines(is_mine: Callable[[str], bool] | None) -> Iterator[Lines]:
    """Counts executed lines and calls in the files for which `is_mine` holds."""
    lines = Lines()
    if is_mine is None:
        yield lines
        return

    def line(frame: types.FrameType, event: str, _: object) -> Any:
        lines.count += event == "line"
        return line

    def call(frame: types.FrameType, event: str, _: object) -> Any:
        if not is_mine(frame.f_code.co_filename):
            return None
        lines.count += 1
        return line

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield lines
    finally:
        sys.settrace(before)
