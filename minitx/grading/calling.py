"""What is asked of a function and what came of it, as plain data.

A check sees a handle (`judge/handle.py`). The handle asks a `Caller` for the outcome of one call.
Who runs the code, and in which process, is the caller's business.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal[
    "returned", "raised", "missing", "signature", "unattempted", "timeout", "exit", "died"
]
Target = str | tuple[int | str, str]  # a function's name, or (object's id or name, method)
Counted = bool | Literal["kept"]  # lines of Python, or tensors that autograd keeps
MARKED = ".requires_grad"  # stands behind the name of an input that was marked to be learned


@dataclass(frozen=True)
class Opaque:
    """What stands for a value that is neither numbers nor text nor made of such.

    `description` completes "f returned …"; `kind` says what it was: an exception or its class, an
    array or tensor whose numbers cannot be read, something to call, or any other object.
    """

    description: str
    kind: Literal["exception", "array", "tensor", "callable", "object"]


@dataclass(frozen=True)
class ObjectRef:
    """What stands for a module: its number, its class, and the shapes of all that it can learn."""

    id: int
    name: str
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)
    buffers: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came of one call.

    `gradients` are vector-Jacobian products with respect to the inputs that require grad, in
    their order, None where no path leads back; or a text where autograd failed. They are computed
    by whoever runs the code, whenever an input requires grad.
    """

    kind: Kind
    value: Any = None
    error_kinds: tuple[str, ...] = ()  # the exception's classes, most special first
    text: str = ""  # the exception's message, or what did not fit
    where: str = ""  # the learner's line, in words
    changed: tuple[int | str, ...] = ()  # arguments changed in place: positions and keywords
    changed_names: tuple[str, ...] = ()
    steps: int = 0  # lines of Python executed, where asked for
    kept: int = 0  # tensors that autograd kept at most at one time, where asked for
    printed: str = ""
    warning: str = ""
    gradients: tuple[Any, ...] | str = ()
    parameter_gradients: dict[str, Any] = field(default_factory=dict)  # where asked for
    seconds: float = 0.0  # CPU time of the call


@dataclass(frozen=True)
class Call:
    """One call as it was made, for asking a mistake the same question."""

    target: Target
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    seed: int
    count: Counted
    outcome: Outcome
    cotangent: Any = None
    passed: bool = False  # whether the check that asked had nothing to say against the answers

    @property
    def name(self) -> str:
        """The name of the function or the kernel, or the method's."""
        if isinstance(self.target, str):
            return self.target
        return next(part for part in self.target if isinstance(part, str))


@dataclass(frozen=True)
class Problem:
    """Something that went wrong while the learner's file was read."""

    text: str
    names: frozenset[str] = frozenset()  # what that piece of the file would have defined
    aside: bool = False  # told only where one of the names turns out to be missing


@dataclass(frozen=True)
class Facts:
    """What is known of a submission without calling it."""

    origin: str = "your functions"
    problems: tuple[Problem, ...] = ()
    printed: str = ""
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of each function


class Caller(Protocol):
    """Calls functions of a submission by name."""

    @property
    def facts(self) -> Facts: ...

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
        """The outcome of one call; it never raises what the called code raises.

        Args:
            target: which function, or which method of which object.
            args: positional arguments; they are given back unchanged.
            kwargs: keyword arguments.
            seconds: CPU time the call may take.
            seed: where the global random generators start.
            count: whether to count the lines of Python that are executed, or ("kept") the tensors
                that autograd keeps for the way back.
            closed: dotted names that the learner's code may not call.
            cotangent: the vector of the vector-Jacobian products, shaped like the result; fixed
                unequal numbers where it is not given.
            parameters: whether gradients with respect to a module's parameters are wanted too.
        """
        ...


def missing(name: str, facts: Facts) -> Outcome:
    """For a function that is not there: the reason, where the file's problems tell one."""
    for problem in facts.problems:
        if name in problem.names:
            return Outcome("missing", text=problem.text)
    return Outcome(
        "missing",
        text=f"There is no function {name} in {facts.origin}: was it renamed, or its cell deleted?",
    )
