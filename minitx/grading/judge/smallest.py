"""The smallest call that still shows what is wrong, ready to paste."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minitx.grading import values
from minitx.grading.judge.alterations import cut_axis
from minitx.grading.judge.as_function import MODE, ModuleForm
from minitx.grading.judge.probes import Asker, Probe, like
from minitx.grading.report import Case

_MOST_NUMBERS = 60
_WIDTH = 96
_DIGITS = (4, 6, 9, 12, 17)


def smallest(asker: Asker, probes: list[Probe]) -> Case | None:
    """Shrinks the call with the fewest numbers, as long as the same kind of fault remains.

    Lengths of axes become 1, 2 or 3 (all axes of one letter together), then numbers become 0, 1
    or whole. Every step is put to the submission and to the worked answer, which must return: it
    decides what is a legal call. None where the values are right, or the case stays too large.
    """
    shown = [probe for probe in probes if _fault(probe) and probe.want.kind == "returned"]
    if not shown:
        return None
    best = _shrunk(min(shown, key=_count), asker, plainer=False)
    if _count(best) > _MOST_NUMBERS:  # plainer numbers are no fewer
        return None
    return _case(_shrunk(best, asker, plainer=True), asker.form)


def _shrunk(best: Probe, asker: Asker, *, plainer: bool) -> Probe:
    """As short as it gets with the same fault, and with numbers as plain as they get."""
    fault = _fault(best)
    found = True
    while found:
        found = False
        for arguments in _smaller(best, asker, plainer=plainer):
            new = asker.ask(best.call, arguments)
            if new is not None and _fault(new) == fault:
                best, found = new, True
                break
    return best


def _fault(probe: Probe) -> tuple[str, ...]:
    """What kind of fault a call shows, so that shrinking does not wander to another."""
    got, want = probe.got, probe.want
    if got.kind == "raised":  # a missing name is shown by any call
        return () if "NameError" in got.error_kinds else ("raised", *got.error_kinds[:1])
    if got.kind != "returned" or not hasattr(want.value, "shape"):
        return ()
    if not hasattr(got.value, "shape"):
        return ("kind",)
    if tuple(got.value.shape) != tuple(want.value.shape):
        return ("shape", str(got.value.ndim - want.value.ndim))
    a, b = (values.to_numpy(x) for x in (got.value, want.value))
    if a.dtype.kind in "fc" and b.dtype.kind in "fc":
        if np.isnan(a).any() != np.isnan(b).any():
            return ("NaN",)
        wide = complex if "c" in (a.dtype.kind, b.dtype.kind) else float
        finite = np.isfinite(b)
        error = np.abs(a[finite].astype(wide) - b[finite].astype(wide))
        if np.max(error, initial=0.0) > 1e-3 * max(float(np.max(np.abs(b), initial=0.0)), 1e-3):
            return ("values",)
    elif a.dtype.kind == b.dtype.kind and not np.array_equal(a, b):
        return ("values",)
    return ("dtype",) if values.dtype_name(got.value) != values.dtype_name(want.value) else ()


def _count(probe: Probe) -> int:
    """How many numbers a reader has to look at."""
    results = [x for x in (probe.want.value, probe.got.value) if hasattr(x, "shape")]
    inputs = [x for x in probe.arguments.values() if hasattr(x, "shape")]
    plain = [abs(x) for x in probe.arguments.values() if type(x) is int]
    return sum(values.to_numpy(x).size for x in [*inputs, *results]) + sum(plain)


def _smaller(probe: Probe, asker: Asker, *, plainer: bool) -> Iterator[Mapping[str, Any]]:
    """One step down, the largest first; to plainer numbers only if they are wanted."""
    sizes = asker.notation.sizes(probe.arguments)
    for letter, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        for shorter in (1, 2, 3):
            if shorter < size:
                part = slice(0, shorter)
                made = cut_axis(letter, asker.notation, part, probe.arguments)
                if made is not None:
                    yield _within(letter, shorter, made)
    for name, x in probe.arguments.items():
        if type(x) is int:
            yield from ({**probe.arguments, name: n} for n in (1, 2, 3) if n < x)
        elif plainer and hasattr(x, "shape"):
            numbers = values.to_numpy(x)
            for simple in _simpler(numbers):
                if not np.array_equal(simple, numbers):
                    yield {**probe.arguments, name: like(x, simple)}


def _within(letter: str, size: int, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """With no more real tokens than there are, where the axis of the keys was cut."""
    lengths = arguments.get("lengths")
    if letter not in ("T", "T_k", "T_m") or not hasattr(lengths, "shape"):
        return arguments
    return {**arguments, "lengths": like(lengths, np.minimum(values.to_numpy(lengths), size))}


def _simpler(x: Any) -> Iterator[Any]:
    """Plainer numbers in the same places; nothing for those that are plain already."""
    if x.dtype.kind == "f" and not np.isin(x, (0.0, 1.0)).all():
        yield np.zeros_like(x)
        yield np.ones_like(x)
        if not np.array_equal(x, np.rint(x)):
            yield np.rint(x)
            yield np.round(x, 1)
        elif np.abs(x).max(initial=0) > 3:
            yield np.clip(x, -3, 3)


# --- as text ---------------------------------------------------------------------------------


def _case(probe: Probe, form: ModuleForm | None) -> Case | None:
    weights = form.weights(probe.arguments) if form else {}
    lines = ["weights = {}"] if weights else []
    for name, value in probe.arguments.items():
        if form and name == MODE:
            continue
        target = f'weights["{name}"]' if name in weights else name
        line = f"{target} = {_source(value)}"
        if _source(value) is None or len(line) > _WIDTH:
            return None
        lines.append(line)
    call = f"{probe.call.name}({', '.join(probe.arguments)})"
    if form:
        made = [name for name in form.made_of if name in probe.arguments]
        asked = [name for name in form.called_with if name in probe.arguments]
        if not weights or not asked:  # it failed when it was made: there is no call to show
            return None
        lines += [f"module = {form.name}({', '.join(made)})", "module.load_state_dict(weights)"]
        lines += [] if probe.arguments.get(MODE, True) else ["module.eval()"]
        call = f"module({', '.join(asked)})"
    if probe.got.kind == "raised":
        expected, got = _result(probe.want.value, 4), f"{probe.got.error_kinds[0]}"
    else:
        expected, got = _two_results(probe.want.value, probe.got.value)
    return Case((*lines, call), expected, got)


def _source(value: Any) -> str | None:
    """Python that makes the value."""
    if value is None or isinstance(value, bool | int):
        return repr(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if not hasattr(value, "shape"):
        return None
    numbers = values.to_numpy(value)
    if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
        return None
    maker, library = ("torch.tensor", "torch") if values.is_tensor(value) else ("np.array", "np")
    name = values.dtype_name(value)
    usual = {"float32": "torch", "float64": "np", "int64": library, "bool": library}
    suffix = "" if usual.get(name) == library else f", dtype={library}.{name}"
    return f"{maker}({numbers.tolist()}{suffix})"


def _two_results(want: Any, got: Any) -> tuple[str, str]:
    """Both with as many digits as it takes to see that they differ."""
    for digits in _DIGITS:
        expected, mine = _result(want, digits), _result(got, digits)
        if expected != mine:
            return expected, mine
    return f"{expected}  ({values.dtype_name(want)})", f"{mine}  ({values.dtype_name(got)})"


def _result(value: Any, digits: int) -> str:
    if not hasattr(value, "shape"):
        return values.describe(value)
    numbers = values.to_numpy(value)
    if numbers.dtype.kind == "f":
        numbers = numbers.astype(float) + 0.0  # -0 becomes 0
    text = np.array2string(
        numbers,
        separator=", ",
        threshold=_MOST_NUMBERS,
        max_line_width=10**6,
        formatter={"float_kind": lambda x: f"{x:.{digits}g}", "bool": str},
    )
    return " ".join(text.split())
