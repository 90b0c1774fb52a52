"""What a check says about an answer, and the paragraph a learner reads when it does not hold."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.errors import CallFailed, Rejected, Unusable


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off, with the reason, which the learner reads.

        |got - want| <= atol + rtol * |want|

    Args:
        rtol: relative tolerance.
        atol: absolute tolerance.
        because: why they are what they are.

    Raises:
        ValueError: if there is no reason, or a tolerance is negative or no number.

    >>> Tolerance(rtol=1e-5, atol=0.0, because="float32 keeps 7 digits")
    Tolerance(rtol=1e-05, atol=0.0, because='float32 keeps 7 digits')
    """

    rtol: float
    atol: float
    because: str

    def __post_init__(self) -> None:
        if not self.because.strip():
            raise ValueError("a tolerance needs a reason; because is empty")
        if not (0 <= self.rtol < math.inf and 0 <= self.atol < math.inf):
            raise ValueError(
                f"rtol ({self.rtol}) and atol ({self.atol}) must be finite and at least 0"
            )


def expect(condition: object, message: str) -> None:
    """The condition must hold; otherwise the learner reads the message.

    Raises:
        Rejected: with the message, if the condition is false.
    """
    if not condition:
        raise Rejected(message)


def expect_raises(
    kind: type[Exception], call: Callable[[], Any], *, what: str, says: tuple[str, ...] = ()
) -> None:
    """The call must raise that kind of exception, with a message.

    Args:
        kind: of exception.
        call: makes the call.
        what: what is refused, "an empty array".
        says: what the message must hold; the exercise's text has to ask for it.

    `what` completes "... must raise ValueError": "a negative temperature".

    Raises:
        Rejected: if it returns, raises something else, or says nothing.
    """
    try:
        value = call()
    except CallFailed as failure:
        if not failure.kinds:
            raise
        if kind.__name__ not in failure.kinds:
            raise Rejected(
                f"{_capital(what)} must raise {kind.__name__}, but your function raised "
                + ": ".join(filter(None, [failure.kinds[0], failure.text]))
            ) from None
        if not failure.text.strip():
            raise Rejected(
                f"{_capital(what)} raises {kind.__name__} without a message: say what was wrong, "
                f"raise {kind.__name__}('… must be …, got …')."
            ) from None
        unsaid = [part for part in says if part not in failure.text]
        if unsaid:
            raise Rejected(
                f"{_capital(what)} raises {kind.__name__} with the message {failure.text!r}, which "
                f"does not say {' and '.join(unsaid)}."
            ) from None
        return
    raise Rejected(
        f"{_capital(what)} must raise {kind.__name__}, but your function returned "
        f"{values.describe(value)}."
    )


def expect_equal(got: Any, want: Any, *, what: str) -> None:
    """Truth values or whole numbers must be exactly these.

    Raises:
        Rejected: on another type, dtype kind, shape or value.
    """
    _same_type(got, want, what)
    kind, wanted_kind = _kind(got), _kind(want)
    if kind != wanted_kind:
        raise Unusable(
            f"{_capital(what)}: the dtype is {_dtype(got)}; wanted {_KIND_WORDS[wanted_kind]}."
        )
    _same_shape(got, want, what)
    a, b = values.to_numpy(got), values.to_numpy(want)
    wrong = a != b
    if not wrong.any():
        return
    spot = tuple(int(i) for i in np.argwhere(wrong)[0])
    text = (
        f"{_capital(what)}: {_where(spot)}got {_plain(a[spot])}, wanted {_plain(b[spot])}"
        f"{_share(wrong)}"
    )
    raise Rejected(text)


def expect_close(got: Any, want: Any, tolerance: Tolerance, *, what: str) -> None:
    """Numbers must agree within the tolerance, everywhere.

    Args:
        got: from the learner; NumPy, torch or a number, the same as `want`.
        want: from an oracle.
        tolerance: how far, and why so far.
        what: what the numbers are, "the sum of each row".

    Raises:
        Rejected: on another type, dtype kind, shape or value, or on NaN or inf.
        ValueError: if the numbers have no name.
    """
    if not what.strip():
        raise ValueError("expect_close needs a name for its numbers; what is empty")
    _same_type(got, want, what)
    if _kind(got) != "f":
        raise Unusable(f"{_capital(what)}: the dtype is {_dtype(got)}; wanted {_KIND_WORDS['f']}.")
    _same_shape(got, want, what)
    a = values.to_numpy(got).astype(np.float64)
    b = values.to_numpy(want).astype(np.float64)
    _same_finiteness(a, b, what)
    with np.errstate(all="ignore"):
        _same_values(got, want, a, b, tolerance, what)


def _same_values(got: Any, want: Any, a: Any, b: Any, tolerance: Tolerance, what: str) -> None:
    rtol, atol = tolerance.rtol, tolerance.atol
    finite = np.isfinite(b)
    error = np.where(finite, np.abs(np.subtract(a, b, where=finite, out=np.zeros_like(b))), 0.0)
    allowed = np.where(finite, atol + rtol * np.abs(b), 1.0)
    wrong = error > allowed
    if not wrong.any():
        return
    excess = np.where(wrong, error / np.maximum(allowed, np.finfo(float).tiny), 0.0)
    spot = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
    shown, wanted = _two_numbers(float(a[spot]), float(b[spot]))
    text = f"{_capital(what)}: {_where(spot)}got {shown}, wanted {wanted}{_share(wrong)}"
    dtype = _precision(got, want, error, b)
    text += dtype
    if error.max() <= _NEAR * np.max(np.abs(b), where=finite, initial=0.0):
        text += f" (Allowed: {_allowance(rtol, atol)}; {tolerance.because}.)"
    raise Unusable(text) if dtype else Rejected(text)


_NEAR = 1e-2  # of the largest number: beyond, how far is allowed explains nothing
_KIND_WORDS = {
    "b": "bool (True and False)",
    "i": "whole numbers (int64, say)",
    "f": "floating-point numbers (float64 or float32)",
    "c": "complex numbers",
    "O": "numbers",
}


def _kind(value: Any) -> str:
    kind = values.dtype_kind(value)
    return {"u": "i"}.get(kind, kind if kind in _KIND_WORDS else "O")


def _dtype(value: Any) -> str:
    return values.dtype_name(value if hasattr(value, "dtype") else np.asarray(value))


def _same_type(got: Any, want: Any, what: str) -> None:
    if values.is_number(want) and values.is_number(got):
        return
    if values.is_tensor(want):
        fits, wanted = values.is_tensor(got), "a torch tensor"
    elif isinstance(want, np.ndarray):
        fits, wanted = isinstance(got, np.ndarray | np.generic), "a NumPy array"
    else:
        fits, wanted = False, "a number"
    if not fits:
        raise Unusable(f"{_capital(what)}: got {values.describe(got)}; wanted {wanted}.")


def _same_shape(got: Any, want: Any, what: str) -> None:
    a, b = values.to_numpy(got).shape, values.to_numpy(want).shape
    if a == b:
        return
    text = f"{_capital(what)}: got shape {a}, wanted {b}."
    if len(a) != len(b):
        text += f" Yours has {_axes(len(a))}, wanted {'is' if len(b) == 1 else 'are'} {len(b)}."
    elif sorted(a) == sorted(b):
        text += " The sizes are right but the axes are in another order."
    raise Unusable(text)


def _axes(count: int) -> str:
    return "1 axis" if count == 1 else f"{count} axes"


def _same_finiteness(a: Any, b: Any, what: str) -> None:
    """NaN and infinities must stand exactly where they are wanted."""
    for name, bad in [
        ("NaN", np.isnan(a) & ~np.isnan(b)),
        ("an infinity", np.isinf(a) & (a != b) & ~np.isnan(b)),
    ]:
        if bad.any():
            spot = tuple(int(i) for i in np.argwhere(bad)[0])
            raise Rejected(
                f"{_capital(what)}: {_where(spot)}got {_plain(a[spot])}, "
                f"wanted {_plain(b[spot])}{_share(bad, f'are {name}')}"
            )
    missing = ~np.isfinite(b) & np.isfinite(a)
    if missing.any():
        spot = tuple(int(i) for i in np.argwhere(missing)[0])
        raise Rejected(
            f"{_capital(what)}: {_where(spot)}got {_plain(a[spot])}, "
            f"wanted {_plain(b[spot])}{_share(missing)}"
        )


def _share(wrong: Any, verb: str = "are off") -> str:
    count, total = int(wrong.sum()), int(wrong.size)
    if total == 1:
        return "."
    if count == total:
        return f"; all {total} values {verb}."
    if count == 1:
        return f"; 1 of {total} values {verb.replace('are', 'is', 1)}."
    return f"; {count} of {total} values {verb}."


def _precision(got: Any, want: Any, error: Any, b: Any) -> str:
    """A float64 answer was wanted and everything is right to single precision only."""
    if not hasattr(got, "dtype") or not hasattr(want, "dtype"):
        return ""
    single, double = values.dtype_name(got), values.dtype_name(want)
    if double != "float64" or single not in ("float32", "float16", "bfloat16"):
        return ""
    scale = float(np.nanmax(np.abs(np.where(np.isfinite(b), b, 0.0)), initial=0.0))
    if float(error.max()) > 1e-2 * max(scale, 1e-300):
        return ""
    digits = {"float32": 7, "float16": 3, "bfloat16": 2}[single]
    return (
        f" The input is float64 but your result is {single}, which carries about {digits} digits: "
        "keep the dtype of the input."
    )


def _allowance(rtol: float, atol: float) -> str:
    parts = []
    if rtol:
        parts.append(f"{rtol:.2g} relative")
    if atol:
        parts.append(f"{atol:.2g} absolute")
    return " and ".join(parts) or "no difference at all"


def _where(spot: tuple[int, ...]) -> str:
    return "at [" + ", ".join(map(str, spot)) + "] " if spot else ""


def _two_numbers(a: float, b: float) -> tuple[str, str]:
    """Both with as many digits as it takes to see the difference."""
    for digits in (4, 6, 9, 12, 17):
        x, y = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if x != y:
            return x, y
    return x, y


def _plain(value: Any) -> str:
    number = value.item() if hasattr(value, "item") else value
    return f"{number:.6g}" if isinstance(number, float) else str(number)


def _capital(text: str) -> str:
    """With a capital letter in front, unless it begins with a name, as in `p = 0.5`."""
    if re.match(r"[a-z]\w* = ", text):
        return text
    return text[:1].upper() + text[1:]
