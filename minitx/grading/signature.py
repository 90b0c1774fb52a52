"""Do a call's arguments fit a function, and under which names do they arrive?"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of a function's parameters; none where they cannot be known."""
    try:
        return tuple(inspect.signature(function).parameters)
    except Exception:  # a signature may be code of the learner's
        return ()


def fit(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, list[str]]:
    """(what does not fit or "", the names under which the arguments arrive)."""
    try:
        signature = inspect.signature(function)
    except Exception:  # a signature may be code of the learner's
        return "", _filled([], len(args))
    parameters = list(signature.parameters.values())
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return _misfit(name, signature, args, kwargs), []
    if hasattr(function, "forward"):  # a module takes anything and hands it on
        return "", _filled(parameter_names(function.forward), len(args))
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return "", _filled([p.name for p in places], len(args))


def _filled(names: Sequence[str], count: int) -> list[str]:
    names = list(names[:count])
    return names + [f"argument {i + 1}" for i in range(len(names), count)]


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
