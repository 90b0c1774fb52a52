"""What `minitx bench attention` found out about a row, and how it is read from JSON again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minitx.bench.attention.problem import Direction, Problem
from minitx.bench.attention.rows import Row
from minitx.bench.attention.timing import Quartiles


@dataclass(frozen=True)
class Entry:
    """One column's part of a row.

    Args:
        reason: why it was not timed; "" if it was.
        wrong: it ran, and its answer was further from the right one than rounding explains.
        remark: how it was called, where that matters.
        errors: for the output and each gradient, see `attention.reference.row_error`.
        allowed: the largest that they may be.
        seconds: of a call, by direction.
        ratio: how many times as fast as this column minitx is, by direction, of each round.
        memory: peak, as a share of inputs, outputs and log-sum-exp, by direction.
    """

    reason: str = ""
    wrong: bool = False
    remark: str = ""
    errors: Mapping[str, float] | None = None
    allowed: Mapping[str, float] | None = None
    seconds: Mapping[str, Quartiles] | None = None
    ratio: Mapping[str, Quartiles] | None = None
    memory: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Result:
    """A row that was measured.

    Args:
        row: which.
        entries: by column.
        matmul: floating-point operations per second of the matrix product, by direction.
        rounds: by direction.
        clocks: see `attention.timing.answered`.
        took: seconds for everything, compilers included.
    """

    row: Row
    entries: Mapping[str, Entry]
    matmul: Mapping[str, Quartiles]
    rounds: Mapping[str, int]
    clocks: Mapping[str, float]
    took: float

    def rate(self, column: str, direction: Direction) -> float | None:
        """Counted floating-point operations per second, of the median; None if not timed."""
        entry = self.entries.get(column, Entry())
        if not entry.seconds or direction not in entry.seconds:
            return None
        return self.row.problem.flops(direction) / entry.seconds[direction].median


def from_json(kept: dict[str, Any]) -> Result:
    """What `asdict` made of a result, as a result."""
    row = dict(kept["row"])
    lengths = row["problem"]["key_lengths"]
    changes = {"key_lengths": None if lengths is None else tuple(lengths)}
    row["problem"] = Problem(**{**row["problem"], **changes})
    entries = {name: entry_from_json(entry) for name, entry in kept["entries"].items()}
    rates = quartiles_from_json(kept["matmul"])
    return Result(**{**kept, "row": Row(**row), "entries": entries, "matmul": rates})


def entry_from_json(kept: dict[str, Any]) -> Entry:
    for name in ("seconds", "ratio"):
        if kept[name] is not None:
            kept = {**kept, name: quartiles_from_json(kept[name])}
    return Entry(**kept)


def quartiles_from_json(kept: dict[str, Any]) -> dict[str, Quartiles]:
    return {direction: Quartiles(**numbers) for direction, numbers in kept.items()}
