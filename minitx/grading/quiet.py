"""Code runs without a voice, without an audience, and with the same random numbers every time."""

import contextlib
import io
import random
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_PRINT_LIMIT = 2000
_reading = 0


@dataclass
class Said:
    """What code printed and warned about."""

    text: str = ""
    warning: str = ""


class _Bounded(io.StringIO):
    """Keeps the beginning of what is printed and forgets the flood."""

    def write(self, text: str) -> int:
        if self.tell() < _PRINT_LIMIT:
            super().write(text[: _PRINT_LIMIT - self.tell()])
        return len(text)

    def close(self) -> None:
        """Nothing: code that closes its output is no reason to lose what it printed."""


@contextlib.contextmanager
def quietly(seed: int) -> Iterator[Said]:
    """Catches what is printed, answers input() with nothing, seeds the global generators."""
    said, out = Said(), _Bounded()
    stdin, sys.stdin = sys.stdin, io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(out),
            warnings.catch_warnings(record=True) as caught,
            seeded(seed),
        ):
            warnings.simplefilter("always")
            yield said
    finally:
        sys.stdin = stdin
        said.text = out.getvalue()
        said.warning = " ".join(str(caught[0].message).split()) if caught else ""


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
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


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """While a file of answers is being read: `check(...)` in it has nothing to do then."""
    global _reading
    _reading += 1
    try:
        yield
    finally:
        _reading -= 1


def is_reading() -> bool:
    """Whether a file of answers is being read."""
    return _reading > 0
