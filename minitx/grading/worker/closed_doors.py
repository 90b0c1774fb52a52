"""Functions that an answer may not call, because they are what it is to be.

While doors are shut, a closed function raises `ClosedDoor` under whatever name it is reached: an
import under another name, `functools.partial`, `getattr`, a method of a tensor. A Python function
gets another code object for that time, which every alias shares; an operator of torch is seen by
a `TorchFunctionMode`, as function, as method and as `torch.ops.aten` operator alike.

Only the thread that shut the doors finds them closed. What nobody has imported yet is not closed:
an answer that imports scipy for the first time while it runs finds the door shut from its second
call on.
"""

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import CodeType, FunctionType, ModuleType
from typing import Any


class ClosedDoor(Exception):
    """The learner's function called what it is to be itself."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is closed here: this is what you are writing")


@contextmanager
def shut(names: tuple[str, ...]) -> Iterator[None]:
    """While this is open, the named functions raise `ClosedDoor` in this thread.

    Args:
        names: dotted names, "minitx.functional.masked_softmax" or "torch.softmax"; a name with an
            exclamation mark in front, "!minitx.functional.masked_softmax", stays open and may
            itself use what is closed.

    Raises:
        ValueError: if a name stands for nothing that can be closed.
    """
    closed: dict[FunctionType, str] = {}
    operators, opened = set(), set()
    for name in names:
        door = door_of(name.removeprefix("!"))
        if isinstance(door, FunctionType):
            if name.startswith("!"):
                opened.add(_code(door))
            else:
                closed[door] = name
        elif door is not None:
            operators.add(door)
    guard = _Guard(threading.get_ident(), closed, frozenset(opened))
    try:
        _close(guard)
        with _watched_operators(operators, guard) if operators else nullcontext():
            yield
    finally:
        _open(guard)


def door_of(name: str) -> FunctionType | str | None:
    """What is closed for a name: a Python function, the bare name of one of torch's operators, or
    None where the module has not been imported, so that nobody can have the function yet.

    Modules of minitx are imported; whoever lists one of another package need not have it.

    Raises:
        ValueError: if there is no such thing, or it can only be called and not closed.
    """
    thing = _look_up(name)
    if thing is None:
        return None
    thing = getattr(thing, "__func__", getattr(thing, "_implementation", thing))
    if isinstance(thing, FunctionType):
        return thing
    if callable(thing) and name.startswith("torch."):
        return _bare(name.rpartition(".")[2])
    raise ValueError(
        f"{name} cannot be closed: got {type(thing).__name__}, wanted a Python function or an "
        "operator of torch"
    )


def _look_up(name: str) -> Any:
    parts = name.split(".")
    if parts[0] == "minitx":
        for end in range(1, len(parts)):
            try:
                import_module(".".join(parts[:end]))
            except ModuleNotFoundError:
                break
    loaded = [end for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in sys.modules]
    if not loaded:
        return None
    thing: Any = sys.modules[".".join(parts[: loaded[0]])]
    for part in parts[loaded[0] :]:
        if not hasattr(thing, part):
            if isinstance(thing, ModuleType) and _is_module(f"{thing.__name__}.{part}"):
                return None  # nobody has imported it
            raise ValueError(f"{name} cannot be closed: there is no {part} in {thing}")
        thing = getattr(thing, part)
    return thing


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what stands before the last dot has no modules in it
        return False


# ---------------------------------------------------------------------------------------------
# Python functions


@dataclass(frozen=True, eq=False)
class _Guard:
    """One `shut` that is in force: its thread, its closed functions and the code of open ones."""

    thread: int
    closed: dict[FunctionType, str]
    opened: frozenset[CodeType]

    def blames(self) -> bool:
        """Whether a call that arrives now comes from the learner, not out of an open function."""
        if self.thread != threading.get_ident():
            return False
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code in self.opened:
                return False
            frame = frame.f_back  # type: ignore[assignment]
        return True


_lock = threading.RLock()
_guards: list[_Guard] = []
_originals: dict[FunctionType, CodeType] = {}


def _close(guard: _Guard) -> None:
    with _lock:
        _guards.append(guard)
        for function in guard.closed:
            if function not in _originals:
                _originals[function] = function.__code__
                function.__code__ = _gate_code(function)


def _open(guard: _Guard) -> None:
    """Takes the guard away, and the gates that no other guard needs."""
    with _lock:
        if guard in _guards:
            _guards.remove(guard)
        needed = {function for other in _guards for function in other.closed}
        for function in [f for f in _originals if f not in needed]:
            function.__code__ = _originals[function]
            del _originals[function]


def _code(function: FunctionType) -> CodeType:
    """The function's own code, also behind a decorator and while it is behind a gate."""
    function = inspect.unwrap(function)
    return _originals.get(function, function.__code__)


def _gate_code(function: FunctionType) -> CodeType:
    """Code that asks the guards and then does what the function did.

    It fits in the place of any code: a code object must have as many free variables as the
    function it is given to, and it finds the gate among its constants, not in the function's
    globals.
    """
    own = function.__code__
    original = FunctionType(
        own, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    original.__kwdefaults__ = function.__kwdefaults__

    def gate(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for guard in list(_guards):
            if function in guard.closed and guard.blames():
                raise ClosedDoor(guard.closed[function])
        return original(*args, **kwargs)

    template = _template.__code__
    return template.replace(
        co_consts=tuple(gate if const == "the gate" else const for const in template.co_consts),
        co_freevars=own.co_freevars,
        co_filename=own.co_filename,
        co_firstlineno=own.co_firstlineno,
        co_name=own.co_name,
        co_qualname=own.co_qualname,
    )


def _template(*args: Any, **kwargs: Any) -> Any:
    gate: Any = "the gate"
    return gate(args, kwargs)


# ---------------------------------------------------------------------------------------------
# torch's operators


def _bare(name: str) -> str:
    """ "softmax" for softmax, _softmax, softmax.int and special_softmax."""
    return name.split(".")[0].lstrip("_").removeprefix("special_")


def _watched_operators(names: set[str], guard: _Guard) -> Any:
    """A mode in which torch asks before every operator."""
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(
            self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            name = _bare(getattr(func, "__name__", ""))
            if name in names and guard.blames():
                raise ClosedDoor(f"torch's {name}")
            return func(*args, **(kwargs or {}))

    return Watch()
