"""What `minitx bench scaling` has measured: exponents, crossings, tables."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from minitx.bench.budgets import BUDGETED
from minitx.bench.fit import Crossover, Curve, Exponent, crossover, exponent
from minitx.bench.point import Point

NAME_WIDTH = 15  # of the longest name of a core
RIVALS = ("FullAttention", "FusedAttention")
SHORT = {"does not fit": "no room", "too slow": "too slow", "refused": "–", "failed": "failed"}

QUANTITIES: dict[str, Callable[[Point], float | None]] = {
    "forward": lambda p: statistics.median(p.forward) if p.forward else None,
    "both": lambda p: statistics.median(p.both) if p.both else None,
    "memory_forward": lambda p: p.memory_forward,
    "memory_both": lambda p: p.memory_both,
    "error": lambda p: p.error,
}


@dataclass(frozen=True)
class Law:
    """What follows from the points of one core.

    Args:
        core: its name.
        exponents: of the quantities but the error.
        crossovers: from which length on it is faster than each of the rivals, forward only and
            forward and backward; under "FullAttention, both", for example.
    """

    core: str
    exponents: dict[str, Exponent | None]
    crossovers: dict[str, Crossover | None]


def curve(points: Sequence[Point], core: str, quantity: str) -> Curve:
    """Length -> the quantity, of one core, where it was measured."""
    values = {p.T: QUANTITIES[quantity](p) for p in points if p.core == core}
    return {T: value for T, value in values.items() if value is not None}


def laws(points: Sequence[Point]) -> list[Law]:
    """One per core that was measured, in their order."""
    names = list(dict.fromkeys(p.core for p in points))
    return [
        Law(
            name,
            {what: exponent(curve(points, name, what)) for what in QUANTITIES if what != "error"},
            {
                f"{rival}, {what}": crossover(curve(points, name, what), curve(points, rival, what))
                for rival in RIVALS
                for what in ("forward", "both")
                if rival != name
            },
        )
        for name in names
    ]


def tables(points: Sequence[Point], setup: dict[str, Any]) -> tuple[Table, Table]:
    """What follows from the points, and the points."""
    return law_table(points, setup), point_table(points)


def law_table(points: Sequence[Point], setup: dict[str, Any]) -> Table:
    """One row per core: exponents and crossings."""
    out = Table(
        title=f"{setup['device']}, {setup['threads']} threads, torch {setup['torch']}; "
        f"{setup['sizes']}",
        caption="time and memory ∝ T^p: p, fitted over the top three octaves, with its 95 % "
        "interval; above forward, below forward and backward; * computes something else than "
        "softmax attention",
        show_lines=True,
    )
    out.add_column("core", min_width=NAME_WIDTH)
    for name in ("time", "memory", "faster than\nFull from T", "faster than\nFused from T"):
        out.add_column(name, justify="right", no_wrap=True)
    for law in laws(points):
        exponents = {name: exponent_text(value) for name, value in law.exponents.items()}
        crossings = [
            "\n".join(str(law.crossovers.get(f"{rival}, {what}") or "–") for what in kinds)
            for rival, kinds in ((rival, ("forward", "both")) for rival in RIVALS)
        ]
        out.add_row(
            title(law.core),
            f"{exponents['forward']}\n{exponents['both']}",
            f"{exponents['memory_forward']}\n{exponents['memory_both']}",
            *crossings,
        )
    return out


def point_table(points: Sequence[Point]) -> Table:
    """One row per core, one column per length, four numbers in each cell."""
    out = Table(
        caption="ms forward, ms forward and backward, MB forward and backward beyond the inputs, "
        "error relative to full attention in float64",
        show_lines=True,
    )
    out.add_column("core", min_width=NAME_WIDTH)
    lengths = sorted({p.T for p in points})
    for T in lengths:
        out.add_column(str(T), justify="right", no_wrap=True)
    at = {(p.core, p.T): p for p in points}
    for name in dict.fromkeys(p.core for p in points):
        out.add_row(title(name), *(cell(at.get((name, T))) for T in lengths))
    return out


def notes(points: Sequence[Point]) -> list[str]:
    """What could not be measured and why: a sentence for each core and reason, lengths together."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for p in points:
        if p.outcome != "measured":
            groups.setdefault((p.core, p.outcome, p.note), []).append(p.T)
    return [
        f"{core}, {', '.join(map(str, lengths))}: {outcome} ({note})"
        for (core, outcome, note), lengths in groups.items()
    ]


def title(name: str) -> str:
    """A core's name and its budget."""
    for budgeted in BUDGETED:
        if budgeted.name == name:
            return f"{name}{'' if budgeted.softmax else ' *'}\n[dim]{budgeted.budget}[/dim]"
    return name


def cell(p: Point | None) -> str:
    """The numbers of one point, or why there are none."""
    if p is None or p.outcome != "measured":
        return SHORT[p.outcome] if p else ""
    forward, both, _, memory, error = (number(p) for number in QUANTITIES.values())
    assert forward is not None and both is not None and memory is not None and error is not None
    return f"{short(1e3 * forward)}\n{short(1e3 * both)}\n{short(memory / 1e6)}\n{error:.2g}"


def short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def exponent_text(fitted: Exponent | None) -> str:
    """For example `1.03 ± 0.05`."""
    if fitted is None:
        return "–"
    if fitted.half_width is None:
        return f"{fitted.value:.2f}"
    return f"{fitted.value:.2f} ± {fitted.half_width:.2f}"


def derived(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The laws for the file."""
    return [asdict(law) for law in laws(points)]
