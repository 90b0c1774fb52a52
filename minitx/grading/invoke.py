"""Running one function: its outcome as plain data, whatever it does short of never ending.

Both rooms stand on this: the worker wraps it with limits and closed doors, the judge runs the
course's own functions with it.
"""

import contextlib
import gc
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from minitx.grading import values
from minitx.grading.calling import MARKED, Counted, Outcome
from minitx.grading.gradients import vjp
from minitx.grading.graphs import KeptTensors, refuses_counting
from minitx.grading.plain import plain
from minitx.grading.quiet import quietly
from minitx.grading.signature import fit
from minitx.grading.source import Source, one_line
from minitx.grading.texts import cleaned


class Stop(BaseException):
    """Raised in running code by whoever watches it: no outcome of the code's own."""


def invoke(
    name: str,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    seed: int,
    count: Counted = False,
    cotangent: Any = None,
    source: Source | None = None,
    keep: Callable[[Any], Any] = lambda value: None,
    parameters: Callable[[], dict[str, Any]] = dict,
    passing: tuple[type[BaseException], ...] = (Stop, KeyboardInterrupt),
) -> Outcome:
    """Calls a function and says what came of it; the inputs get their old numbers back.

    Args:
        name: how the function is called in sentences.
        function: what is called.
        args: positional arguments.
        kwargs: keyword arguments.
        seed: where the global random generators start.
        count: whether to count the lines of Python that are executed, whoever wrote them, or
            ("kept") the tensors that autograd keeps.
        cotangent: see `Caller.call`.
        source: which lines are the learner's.
        keep: gives what stands for a result that is kept where it is, or None.
        parameters: gives what the function has learned, where its gradients are wanted.
        passing: exceptions that are not the function's but its caller's.
    """
    source = source or Source()
    if not callable(function):
        text = f"{name} is {values.describe(function)}; wanted a function of that name."
        return Outcome("missing", text=text)
    misfit, names = fit(name, function, args, kwargs)
    if misfit:
        return Outcome("signature", text=misfit)
    before = values.copied((args, kwargs))
    began = _cpu_time()
    outcome, uncounted = Outcome("returned"), False
    lines, kept = _Lines(), KeptTensors()
    with quietly(seed) as said:
        try:
            with lines.counted(count is True), kept.counted(count == "kept"):
                value = function(*args, **kwargs)
            learnt = parameters()
            gradients = vjp(value, (args, kwargs), cotangent, list(learnt.values()))
            outcome = _returned(keep(value) or plain(value), gradients, list(learnt))
            if isinstance(value, types.CoroutineType):
                value.close()  # an `async def` by mistake: told in the report, not by Python
        except passing:
            raise
        except BaseException as error:
            uncounted = count == "kept" and refuses_counting(error)
            outcome = _failure(error, source)
    if uncounted:
        return invoke(
            name, function, args, kwargs, seed=seed, cotangent=cotangent, source=source, keep=keep,
            parameters=parameters, passing=passing,
        )  # fmt: skip
    outcome = replace(
        outcome,
        steps=lines.count,
        kept=kept.most,
        printed=cleaned(said.text),
        warning=cleaned(said.warning),
        seconds=_cpu_time() - began,
    )
    return _with_changes(outcome, before, (args, kwargs), names)


def _returned(value: Any, gradients: tuple[Any, ...] | str, names: list[str]) -> Outcome:
    if isinstance(gradients, str) or not names:
        return Outcome("returned", value, gradients=gradients)
    inputs, learnt = gradients[: -len(names)], gradients[-len(names) :]
    named = dict(zip(names, learnt, strict=True))
    return Outcome("returned", value, gradients=inputs, parameter_gradients=named)


def _failure(error: BaseException, source: Source) -> Outcome:
    spot = source.line_of(error)
    where = source.where(*spot) if spot else ""
    if isinstance(error, SystemExit):
        return Outcome("exit", where=where)
    text = one_line(error)
    if isinstance(error, NotImplementedError) and text.startswith("Exercise"):
        return Outcome("unattempted", text=text)
    kinds = tuple(cleaned(kind.__name__, 100) for kind in type(error).__mro__[:-1])
    return Outcome("raised", error_kinds=kinds, text=text, where=where)


def _with_changes(
    outcome: Outcome,
    before: tuple[tuple[Any, ...], dict[str, Any]],
    after: tuple[tuple[Any, ...], dict[str, Any]],
    names: list[str],
) -> Outcome:
    """Notes which inputs the call changed, and gives them their old numbers back."""
    changed: list[int | str] = []
    words: list[str] = []
    places: list[tuple[int | str, str, Any, Any]] = []
    for i, (old, new) in enumerate(zip(before[0], after[0], strict=True)):
        places.append((i, names[i] if i < len(names) else f"argument {i + 1}", old, new))
    places += [(key, key, old, after[1][key]) for key, old in before[1].items()]
    for place, word, old, new in places:
        same = values.unchanged(old, new)
        if not same or values.marked(old, new):
            changed.append(place)
            words.append(word + MARKED if same else word)
            values.restore(new, old)
    return replace(outcome, changed=tuple(changed), changed_names=tuple(words))


@dataclass
class _Lines:
    """Executed lines and calls: a loop that a library runs over one's function is a loop."""

    count: int = 0

    @contextlib.contextmanager
    def counted(self, wanted: bool) -> Iterator[None]:
        """Counts what runs inside, if it is wanted."""
        if not wanted:
            yield
            return

        def line(frame: types.FrameType, event: str, _: object) -> Any:
            self.count += event == "line"
            return line

        def call(frame: types.FrameType, event: str, _: object) -> Any:
            self.count += 1
            return line

        before, collecting = sys.gettrace(), gc.isenabled()
        gc.disable()  # a finaliser of somebody else's is no line of this call
        sys.settrace(call)
        try:
            yield
        finally:
            sys.settrace(before)
            if collecting:
                gc.enable()


def _cpu_time() -> float:
    """Seconds of CPU that this thread has used, where the system knows."""
    try:
        return time.thread_time()
    except AttributeError:
        return time.process_time()
