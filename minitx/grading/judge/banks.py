"""Functions that are wrong in a known way: whoever agrees with one has made that mistake.

Three kinds: the exercise's own mistakes; those of the exercises it is built from, put into the
worked answer in place of the right part; and the worked answer with one thing changed.
"""

import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

from minitx.grading.course import Chapter
from minitx.grading.judge.known_names import known_names
from minitx.grading.judge.notation import notation
from minitx.grading.judge.operators import slips_of
from minitx.grading.judge.stand_ins import SOFTMAXES, stand_ins
from minitx.grading.judge.worked import documentation, functions_of, variants, worked_answers
from minitx.grading.registry import Exercise

Function = Callable[..., Any]
_PACKAGE = "minitx"
_HOW = "Look for that step in your code, and compare it with the exercise's text."


@dataclass(frozen=True)
class Candidate:
    """A function with a known mistake; `sentence` completes "... what you get when".

    Without a sentence it takes part in every comparison, and nothing is told.
    """

    source: Literal["bank", "operator"]
    id: str
    sentence: str
    advice: str
    page: str
    function: Function
    certain: bool = True  # whether its sentence says enough to be told where it fits in part only


def own_bank(exercise: Exercise) -> list[Candidate]:
    """The mistakes written down for this exercise."""
    return [
        Candidate("bank", m.id, m.sentence, m.advice, m.page, m.function)
        for m in exercise.mistakes.values()
    ]


@cache
def sister_bank(chapter: Chapter, exercise_id: str) -> tuple[Candidate, ...]:
    """Everything known about exercises that ask for the same function in another way."""
    exercise = chapter.exercises[exercise_id]
    return tuple(
        candidate
        for other in chapter.exercises.values()
        if other is not exercise and same_task(chapter, exercise, other)
        for candidate in (*own_bank(other), *operator_bank(chapter, other.id))
    )


def same_task(chapter: Chapter, one: Exercise, other: Exercise) -> bool:
    """Whether two exercises take the same inputs and describe the same result."""
    first, second = (documentation(chapter, each) for each in (one, other))
    return first[1] == second[1] and notation(first[0]) == notation(second[0])


@cache
def composed_bank(chapter: Chapter, exercise_id: str) -> tuple[Candidate, ...]:
    """Mistakes of the chapter's other exercises, in worked answers that call these by name."""
    exercise = chapter.exercises[exercise_id]
    return tuple(_composed(chapter, exercise))


def _composed(chapter: Chapter, exercise: Exercise) -> Iterator[Candidate]:
    answers = worked_answers(chapter, exercise)
    for part in chapter.exercises.values():
        if part.id == exercise.id:
            continue
        for answer in answers:
            if not _reaches(answer, part.function):
                continue
            for m in part.mistakes.values():
                whole = rebuilt(answer, part.function, _forgiving(m.function))
                sentence = f"in the step that {part.label} asks for, {m.sentence}"
                yield Candidate("bank", m.id, sentence, m.advice, m.page, whole)


@cache
def operator_bank(chapter: Chapter, exercise_id: str) -> tuple[Candidate, ...]:
    """The worked answer with one thing changed, for every thing; what it calls included.

    First come the stand-ins for a softmax, whose sentences say more.
    """
    exercise = chapter.exercises[exercise_id]
    return (*_with_stand_ins(chapter, exercise), *_with_slips(chapter, exercise))


def _with_stand_ins(chapter: Chapter, exercise: Exercise) -> Iterator[Candidate]:
    for answer in worked_answers(chapter, exercise):
        for name in (*SOFTMAXES, "tanh", "attention_scores"):
            if not _reaches(answer, name):
                continue
            for each in stand_ins(name):
                whole = rebuilt(answer, name, each.function)
                identity = f"{exercise.id}/{name}={each.name}"
                yield Candidate(
                    "operator", identity, each.sentence, each.advice, exercise.page, whole
                )
    if exercise.function in SOFTMAXES:
        for each in stand_ins(exercise.function):
            identity = f"{exercise.id}/{each.name}"
            yield Candidate(
                "operator", identity, each.sentence, each.advice, exercise.page, each.function
            )


def _with_slips(chapter: Chapter, exercise: Exercise) -> Iterator[Candidate]:
    slips = partial(slips_of, known=known_names(chapter, exercise.id))
    for mutant, function in variants(chapter, exercise, slips, rungs=True):
        yield Candidate(
            "operator", mutant.id, mutant.sentence, _HOW, exercise.page, function, certain=False
        )


def _reaches(function: Function, name: str, depth: int = 3) -> bool:
    """Whether a function of ours, or one of ours that it calls, calls something of that name."""
    for inner in functions_of(function):
        names = names_used(inner.__code__)
        if name in names and inner.__name__ != name:
            return True
        if depth > 0 and any(_reaches(each, name, depth - 1) for each in _ours(inner, names)):
            return True
    return False


def rebuilt(function: Function, name: str, new: Function, depth: int = 3) -> Function:
    """A copy of a function of ours that calls `new` wherever it, or what it calls, says `name`.

    Of a class it is a class derived from it, with copies of its methods.
    """
    if isinstance(function, type):
        methods = {m.__name__: rebuilt(m, name, new, depth) for m in functions_of(function)[::-1]}
        return type(function.__name__, (function,), methods)
    inner = inspect.unwrap(function)
    names = names_used(inner.__code__)
    around = dict(inner.__globals__)
    for each in names:
        value = around.get(each)
        if each == name and callable(value):
            around[each] = new
        elif isinstance(value, types.ModuleType) and name in names and hasattr(value, name):
            around[each] = types.SimpleNamespace(**{**vars(value), name: new})
        elif isinstance(value, types.ModuleType) and value.__name__.startswith(_PACKAGE):
            inside = dict(vars(value))
            for key in names & inside.keys():
                if key == name:
                    inside[key] = new
                elif depth and _is_ours(inside[key]):
                    inside[key] = rebuilt(inside[key], name, new, depth - 1)
            around[each] = types.SimpleNamespace(**inside)
        elif depth and _is_ours(value):
            around[each] = rebuilt(around[each], name, new, depth - 1)
    made = types.FunctionType(
        inner.__code__, around, inner.__name__, inner.__defaults__, inner.__closure__
    )
    made.__kwdefaults__ = inner.__kwdefaults__
    return made


def names_used(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_used(constant)
    return found


def _ours(function: Any, names: set[str]) -> Iterator[Function]:
    """Functions of the package that a function names, directly or as an attribute of a module."""
    for name in names:
        value = function.__globals__.get(name)
        if _is_ours(value):
            yield value
        elif isinstance(value, types.ModuleType) and value.__name__.startswith(_PACKAGE):
            yield from (vars(value)[key] for key in names if _is_ours(vars(value).get(key)))


def _is_ours(value: Any) -> bool:
    module = str(getattr(inspect.unwrap(value), "__module__", "")) if callable(value) else ""
    return inspect.isfunction(value) and module.startswith(_PACKAGE)


def _forgiving(function: Function) -> Function:
    """A mistake that may be called as the library calls the right function.

    The library leaves options at None and passes no mask as None; exercises know neither.
    """

    def called(*args: Any, **kwargs: Any) -> Any:
        first = args[0]
        everything = first == first
        places = [everything if each is None else each for each in args]
        return function(
            *places, **{key: value for key, value in kwargs.items() if value is not None}
        )

    return called
