"""What an exercise is: its checks with their points, its hints, its typical mistakes.

A check file calls `exercise(...)` once per exercise and decorates its checks; the mistake bank
beside it and the right answers in the tests add to what the check file registered. Everything
goes into the registry that is being filled at the moment, so that two courses, or two chapters,
never mix.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import cleandoc, signature
from typing import Any

Function = Callable[..., Any]
CheckFunction = Callable[[Any, Any], None]
Legal = Callable[[Mapping[str, int]], bool]

_ID = re.compile(r"\d\d\.\d+")
_KINDS = ("array", "tensor", "number", "module", "any")


@dataclass(frozen=True)
class Check:
    """One question to the submission, worth `points`."""

    name: str
    points: int
    title: str
    hint: str
    function: CheckFunction


@dataclass(frozen=True)
class Mistake:
    """A typical wrong answer, with the sentence that names it."""

    exercise_id: str
    name: str
    sentence: str  # completes "Your output equals what you get when ..."
    advice: str
    page: str
    caught_by: str
    function: Function

    @property
    def id(self) -> str:
        return f"{self.exercise_id}/{self.name}"


@dataclass
class Exercise:
    """One exercise and everything the grader knows about it."""

    id: str
    function: str
    title: str
    page: str
    hints: tuple[str, str, str]
    uses: tuple[str, ...] = ()
    returns: tuple[str, ...] = ("any",)
    seconds: float = 5.0
    closed: tuple[str, ...] = ()
    legal: Legal = lambda sizes: True
    within: tuple[float, float] | None = None
    checks: dict[str, Check] = field(default_factory=dict)
    mistakes: dict[str, Mistake] = field(default_factory=dict)
    right_answers: dict[str, Function] = field(default_factory=dict)
    waivers: dict[str, str] = field(default_factory=dict)

    @property
    def chapter(self) -> str:
        return self.id.split(".")[0]

    @property
    def label(self) -> str:
        """The name readers see: "Exercise 1.1"."""
        return "Exercise " + display_id(self.id)

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks.values())

    def check(
        self, *, points: int, title: str, hint: str
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Registers the decorated function `(sub, rng)` as a check of this exercise."""

        def register(function: CheckFunction) -> CheckFunction:
            name = function.__name__
            if name in self.checks:
                raise ValueError(f"{self.id}: two checks are called {name}")
            if list(signature(function).parameters) != ["sub", "rng"]:
                raise ValueError(f"{self.id}: {name} must take exactly (sub, rng)")
            if points < 1:
                raise ValueError(f"{self.id}: {name} must be worth at least 1 point, not {points}")
            if not title.strip() or not hint.strip():
                raise ValueError(f"{self.id}: {name} needs a title and a hint")
            self.checks[name] = Check(name, points, title, hint, function)
            return function

        return register

    def waive(self, mutant: str, *, reason: str) -> None:
        """Says why a mutant of the solution may survive the checks."""
        if not reason.strip():
            raise ValueError(f"{self.id}: the waiver of {mutant} needs a reason")
        self.waivers[mutant] = reason


@dataclass
class Registry:
    """The exercises of one chapter."""

    exercises: dict[str, Exercise] = field(default_factory=dict)

    def find(self, exercise_id: str) -> Exercise:
        if exercise_id not in self.exercises:
            known = ", ".join(self.exercises) or "none"
            raise ValueError(f"there is no exercise {exercise_id} here; registered: {known}")
        return self.exercises[exercise_id]


_active = Registry()


@contextmanager
def filling(registry: Registry) -> Iterator[Registry]:
    """While this is open, check files and banks register into `registry`."""
    global _active
    before, _active = _active, registry
    try:
        yield registry
    finally:
        _active = before


def display_id(exercise_id: str) -> str:
    """The form for readers: "1.1" for "01.1"."""
    chapter, number = exercise_id.split(".")
    return f"{int(chapter)}.{number}"


def exercise(
    id: str,
    *,
    function: str,
    title: str,
    page: str,
    hints: tuple[str, str, str],
    uses: tuple[str, ...] = (),
    returns: str | tuple[str, ...] = "any",
    seconds: float = 5.0,
    closed: tuple[str, ...] = (),
    legal: Legal = lambda sizes: True,
    within: tuple[float, float] | None = None,
) -> Exercise:
    """Registers an exercise; the checks are added with the `check` method of the result.

    Args:
        id: chapter and number, "01.1".
        function: name of the function that the learner writes.
        title: a few words.
        page: the section of the book to read, "book/01_topic.md#section".
        hints: a nudge, a pointer into the book, nearly the answer.
        uses: ids of exercises whose function this one may call.
        returns: what the function gives back: "array" (NumPy), "tensor" (torch), "number",
            "module" (a torch.nn.Module: the function is its class) or
            "any"; a tuple such as ("tensor", "tensor") for several values. Anything else is
            turned down with a clear sentence before the check looks at it.
        seconds: how long the learner's code may take within one check.
        closed: dotted names of the functions that an answer may not call, because they are what
            it is to be; "!" in front keeps one open although it uses a closed one (see
            `worker.closed_doors.shut`). The exercise's text must say what is closed.
        legal: whether lengths, by the letters of the docstring, and whole numbers, by name, may
            be asked for. The grader makes calls smaller, and what the worked answer takes is not
            always what the text allows.
        within: how far right answers may be apart, relative and as a share of the largest number,
            where that is more than rounding; diagnosis must not look closer than the checks.

    Raises:
        ValueError: if a part is missing, an id is used twice, or a closed name has no dot.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"an exercise id looks like 01.1, not {id!r}")
    if id in _active.exercises:
        raise ValueError(f"exercise {id} is registered twice")
    if len(hints) != 3 or not all(isinstance(hint, str) and hint.strip() for hint in hints):
        raise ValueError(f"{id}: hints must be three texts: nudge, pointer, nearly the answer")
    if not function.isidentifier():
        raise ValueError(f"{id}: {function!r} is no name of a function")
    if not title.strip() or not page.strip():
        raise ValueError(f"{id}: title and page must not be empty")
    wanted = (returns,) if isinstance(returns, str) else tuple(returns)
    for kind in wanted:
        if kind not in _KINDS:
            raise ValueError(f"{id}: returns is one of {', '.join(_KINDS)}, not {kind!r}")
    for name in closed:
        if "." not in name:
            raise ValueError(f"{id}: closed wants dotted names such as torch.softmax, not {name!r}")
    made = Exercise(
        id, function, title, page, hints, tuple(uses), wanted, seconds, tuple(closed), legal, within
    )
    _active.exercises[id] = made
    return made


def mistake(exercise_id: str, *, caught_by: str, page: str = "") -> Callable[[Function], Function]:
    """Adds the decorated function to the mistake bank of an exercise.

    The first line of its docstring completes "Your output equals what you get when ..."; the
    rest tells the learner what to do.

    Raises:
        ValueError: if the exercise or the check does not exist, the name is taken, or the
            docstring lacks its two parts.
    """
    owner = _active.find(exercise_id)
    if caught_by not in owner.checks:
        known = ", ".join(owner.checks) or "none"
        raise ValueError(f"{exercise_id}: there is no check {caught_by!r}; its checks: {known}")

    def register(function: Function) -> Function:
        name = function.__name__
        if name in owner.mistakes:
            raise ValueError(f"{exercise_id}: two mistakes are called {name}")
        sentence, _, advice = cleandoc(function.__doc__ or "").partition("\n\n")
        sentence, advice = " ".join(sentence.split()), " ".join(advice.split())
        first = sentence.split(" ")[0]
        capitalised = len(first) > 1 and first.isalpha() and first.istitle()
        if not sentence.endswith(".") or capitalised:
            raise ValueError(
                f"{exercise_id}/{name}: the docstring's first line must complete "
                f"'Your output equals what you get when ...' and end with a full stop; "
                f"got {sentence!r}"
            )
        if not advice:
            raise ValueError(f"{exercise_id}/{name}: the docstring must say what to do instead")
        owner.mistakes[name] = Mistake(
            exercise_id, name, sentence, advice, page or owner.page, caught_by, function
        )
        return function

    return register


def right_answer(exercise_id: str) -> Callable[[Function], Function]:
    """Adds the decorated function to the right answers that the grader must accept.

    Raises:
        ValueError: if the exercise does not exist or the name is taken.
    """
    owner = _active.find(exercise_id)

    def register(function: Function) -> Function:
        name = function.__name__
        if name in owner.right_answers:
            raise ValueError(f"{exercise_id}: two right answers are called {name}")
        owner.right_answers[name] = function
        return function

    return register
