"""`check(...)` in a notebook."""

from collections.abc import Callable
from typing import Any


def check(exercise_id: str, function: Callable[..., Any], *more: Callable[..., Any]) -> Any:
    """Grades live functions (filled in below)."""
    raise NotImplementedError
