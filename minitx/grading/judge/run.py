"""Running an exercise's checks on a submission."""

import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.calling import Call, Caller
from minitx.grading.errors import OutOfTime, Rejected, Unattempted
from minitx.grading.judge.handle import Handle
from minitx.grading.registry import Check, Exercise
from minitx.grading.report import CheckReport, ExerciseReport, Status

_BLAMED = (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError)
Reference = Callable[[], Caller | None]


def grade(
    exercise: Exercise,
    caller: Caller,
    seed: int = 0,
    *,
    siblings: Mapping[str, Exercise] | None = None,
    reference: Reference | None = None,
) -> ExerciseReport:
    """Runs every check of an exercise.

    Args:
        exercise: what is asked; its registered checks are the points to be had.
        caller: runs the functions that are graded.
        seed: another seed makes other random inputs.
        siblings: the chapter's exercises, so that what a used function returns is known.
        reference: gives the worked answers, asked only to find out who is to blame when a
            check stumbles over a returned value.
    """
    checks: list[CheckReport] = []
    calls: list[Call] = []
    stopped = False
    for check in exercise.checks.values():
        if stopped:
            checks.append(_report(check, "not run", "An earlier check was stopped."))
            continue
        handle = _handle(exercise, check, caller, seed, siblings)
        status, text = _run(exercise, check, handle, seed, siblings, reference)
        stopped = status == "stopped"
        checks.append(_report(check, status, text))
        calls += [replace(call, passed=status == "passed") for call in handle._calls]
    return ExerciseReport(
        id=exercise.id,
        label=exercise.label,
        title=exercise.title,
        function=exercise.function,
        page=exercise.page,
        checks=tuple(checks),
        calls=tuple(calls),
        printed="".join(call.outcome.printed for call in calls),
    )


def _report(check: Check, status: Any, text: str) -> CheckReport:
    if status in ("stopped", "unusable"):
        return CheckReport(check.name, check.title, check.points, "failed", text, hint="")
    return CheckReport(check.name, check.title, check.points, status, text, check.hint)


def _handle(
    exercise: Exercise,
    check: Check,
    caller: Caller,
    seed: int,
    siblings: Mapping[str, Exercise] | None,
) -> Handle:
    returns = {other.function: other.returns for other in (siblings or {}).values()}
    returns[exercise.function] = exercise.returns
    start = zlib.crc32(f"{exercise.id}/{check.name}/{seed}".encode())
    return Handle(
        caller, returns, exercise.seconds, start, _owner=exercise.label, _closed=exercise.closed
    )


def rng_for(exercise: Exercise, check: Check, seed: int) -> np.random.Generator:
    """The generator a check is given: its own, and the same every time."""
    return np.random.default_rng([seed % 2**64, zlib.crc32(f"{exercise.id}/{check.name}".encode())])


def _run(
    exercise: Exercise,
    check: Check,
    handle: Handle,
    seed: int,
    siblings: Mapping[str, Exercise] | None,
    reference: Reference | None,
) -> tuple[Status | str, str]:
    try:
        _ask(exercise, check, handle, seed)
    except OutOfTime as late:
        return "stopped", str(late)
    except Rejected as rejected:
        return "failed" if rejected.about_value else "unusable", str(rejected)
    except Unattempted:
        return "unattempted", f"{exercise.label} is not attempted yet."
    except Exception as error:
        return _blame(exercise, check, handle, seed, siblings, reference, error)
    if not handle._calls:
        return "grader error", f"The check {check.name} asked the submission nothing."
    return "passed", ""


def _blame(
    exercise: Exercise,
    check: Check,
    handle: Handle,
    seed: int,
    siblings: Mapping[str, Exercise] | None,
    reference: Reference | None,
    error: Exception,
) -> tuple[Status | str, str]:
    """A check stumbled: over the returned value, or over its own feet?"""
    detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
    returned = [call for call in handle._calls if call.outcome.kind == "returned"]
    if (
        isinstance(error, _BLAMED)
        and returned
        and not _stumbles(exercise, check, seed, siblings, reference)
    ):
        last = returned[-1]
        return "failed", (
            f"{last.name} returned {values.describe(last.outcome.value)}, with which the check "
            f"could not go on ({detail})."
        )
    return "grader error", (
        f"The check {check.name} of {exercise.id} failed by itself ({detail}). This is a mistake "
        "of the course, not yours: please report it."
    )


def _stumbles(
    exercise: Exercise,
    check: Check,
    seed: int,
    siblings: Mapping[str, Exercise] | None,
    reference: Reference | None,
) -> bool:
    """Whether the check fails by itself on the worked answer too."""
    answer = reference() if reference else None
    if answer is None:
        return False
    handle = _handle(exercise, check, answer, seed, siblings)
    try:
        _ask(exercise, check, handle, seed)
    except (Rejected, Unattempted):
        return False
    except Exception:
        return True
    return False


def _ask(exercise: Exercise, check: Check, handle: Handle, seed: int) -> None:
    with warnings.catch_warnings(), _torch_as_it_comes():
        warnings.simplefilter("ignore")
        check.function(handle, rng_for(exercise, check, seed))


@contextmanager
def _torch_as_it_comes() -> Iterator[None]:
    """A check computes on the CPU in float32 by default, whatever a notebook has set."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        torch.set_default_dtype(dtype)
