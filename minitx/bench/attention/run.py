"""`minitx bench attention`: minitx's kernel beside the attentions that people use.

Each row is one problem. All columns must be right before they are timed, and they are timed in
turn, together with a large matrix product whose rate is the yardstick. What is measured is kept
after each row.
"""

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minitx.bench import memory, report
from minitx.bench.attention import report as attention_report
from minitx.bench.attention.peers import MINITX, Attend, CannotRun, columns, first_that_runs
from minitx.bench.attention.problem import DIRECTIONS, Direction, Inputs, Problem
from minitx.bench.attention.reference import OUTPUTS, Answer, Errors, bound, compare
from minitx.bench.attention.results import Entry, Result, from_json
from minitx.bench.attention.rows import SIZES, Row, Sizes, most_wanted_first, rows
from minitx.bench.attention.setup import set_up
from minitx.bench.attention.timing import (
    MATMUL,
    Quartiles,
    answered,
    ask_clocks,
    in_turn,
    matmul,
    prepared,
)
from minitx.bench.contest import synchronise

WORSE = 3  # times the error of the others: largest errors of rows differ so much by chance
SETS = 3  # of inputs that take turns


def run(
    chosen: Sequence[Row],
    path: Path,
    setup: dict[str, Any],
    device: torch.device,
    *,
    sizes: Sizes,
    seconds: float,
    min_rounds: int,
    deadline: float = float("inf"),
    on_row: Callable[[int, Row], None] = lambda done, row: None,
) -> list[Result]:
    """Measure what is not in the file at path yet; if it is all there, begin anew.

    Args:
        chosen: what to measure.
        path: where the results are kept, after each row.
        setup: from `set_up`.
        device: where.
        sizes: for the matrix product.
        seconds: see `in_turn`.
        min_rounds: see `in_turn`.
        deadline: of `time.monotonic()`; no row begins that would probably end after it.
        on_row: is told before each row how many are done.

    Returns:
        The rows that are there, in the order of chosen.

    Raises:
        OtherSetUp: if the file holds other measurements.
    """
    kept = report.load(path, setup, from_json)
    done = {result.row.name: result for result in kept}
    if all(row.name in done for row in chosen):
        done = {}
    slowest = 0.0
    for row in most_wanted_first(chosen):
        if row.name in done:
            continue
        if time.monotonic() + slowest > deadline:
            break
        on_row(sum(row.name in done for row in chosen), row)
        result = measure(row, sizes, device, seconds=seconds, min_rounds=min_rounds)
        slowest = max(slowest, result.took)
        done[row.name] = result
        report.save(path, setup, list(done.values()))
    return [done[row.name] for row in chosen if row.name in done]


def measure(
    row: Row, sizes: Sizes, device: torch.device, *, seconds: float, min_rounds: int
) -> Result:
    """Check every column, then time those that are right, both directions."""
    start, problem = time.monotonic(), row.problem
    inputs = [problem.inputs(i, device) for i in range(SETS)]
    entries, attends = checked(problem, inputs[0], device)
    yardstick = matmul(sizes.matmul, problem.type, device)
    rates: dict[str, Quartiles] = {}
    rounds: dict[str, int] = {}
    clocks: dict[str, float] = {}
    for direction in DIRECTIONS:
        calls = {name: prepared(attend, direction) for name, attend in attends.items()}
        peaks = {
            name: peak(attend, problem, inputs[1], direction) for name, attend in attends.items()
        }
        asked = ask_clocks() if device.type == "cuda" else None
        times = in_turn(
            {MATMUL: yardstick, **calls}, inputs, device, seconds=seconds, min_rounds=min_rounds
        )
        clocks |= answered(asked)
        rates[direction] = Quartiles.of([2 * sizes.matmul**3 / t for t in times[MATMUL]])
        rounds[direction] = len(times[MATMUL])
        for name in calls:
            entries[name] = timed(entries[name], direction, times, name, peaks[name])
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return Result(row, entries, rates, rounds, clocks, time.monotonic() - start)


def checked(
    problem: Problem, inputs: Inputs, device: torch.device
) -> tuple[dict[str, Entry], dict[str, Attend]]:
    """An entry for every column, and how to call those that are right."""
    entries, attends, answers = {}, {}, {}
    for column in columns(device):
        try:
            answer, attend, remark = first_that_runs(
                column, problem, device, lambda attend: answer_of(attend, inputs)
            )
        except CannotRun as error:
            entries[column.name] = Entry(reason=str(error))
            continue
        answers[column.name], attends[column.name] = answer, attend
        entries[column.name] = Entry(remark=remark)
    errors, plain = compare(problem, inputs, answers)
    for name in answers:
        limit = allowed(name, errors, plain, problem.type)
        # Written so that NaN is wrong.
        bad = [output for output in OUTPUTS if not errors[name][output] <= limit[output]]
        reason = ", ".join(
            f"{output} is wrong by {errors[name][output]:.1e}, allowed is {limit[output]:.1e}"
            for output in bad
        )
        entries[name] = replace(
            entries[name], reason=reason, wrong=bool(bad), errors=errors[name], allowed=limit
        )
    right = {name: attend for name, attend in attends.items() if not entries[name].wrong}
    return entries, right


def answer_of(attend: Attend, inputs: Inputs) -> Answer:
    """Output and gradients."""
    q, k, v, grad = inputs.leaves()
    output = attend(q, k, v)
    dq, dk, dv = torch.autograd.grad(output, (q, k, v), grad)
    return output.detach(), dq, dk, dv


def allowed(
    name: str, errors: Mapping[str, Errors], plain: Errors, dtype: torch.dtype
) -> dict[str, float]:
    """The largest errors that a column may have: what rounding explains, and others have too."""
    limits = {}
    for output in OUTPUTS:
        limits[output] = bound(dtype, plain[output])
        others = [errors[other][output] for other in errors if other != name]
        if others:
            usual = max(torch.finfo(dtype).eps / 2, 1e-6, WORSE * statistics.median(others))
            limits[output] = min(limits[output], usual)
    return limits


def timed(
    entry: Entry, direction: Direction, times: Mapping[str, list[float]], name: str,
    peak: float | None,
) -> Entry:  # fmt: skip
    """The entry with one direction's figures."""
    out = replace(entry, seconds={**(entry.seconds or {}), direction: Quartiles.of(times[name])})
    if MINITX in times:
        ratios = [b / a for a, b in zip(times[MINITX], times[name], strict=True)]
        out = replace(out, ratio={**(out.ratio or {}), direction: Quartiles.of(ratios)})
    if peak is not None:
        out = replace(out, memory={**(out.memory or {}), direction: peak})
    return out


def peak(attend: Attend, problem: Problem, inputs: Inputs, direction: Direction) -> float | None:
    """Bytes at the peak of a call, inputs included, as a share of what must be there.

    Only on a GPU, where PyTorch counts them; in a call that is not the first of its kind.
    """
    device = inputs.q.device
    if device.type != "cuda":
        return None
    if direction == "forward":
        call = prepared(attend, "forward")(inputs)
    else:

        def call() -> Any:
            return answer_of(attend, inputs)

    call()
    synchronise(device)
    memory.lower_mark(device)
    before = memory.mark(device)
    kept = call()
    synchronise(device)
    extra = memory.mark(device) - before
    del kept
    given = inputs[:3] if direction == "forward" else inputs
    return (extra + sum(x.nbytes for x in given)) / problem.least_bytes(direction)


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Args:
        words: what was found, for people.
        failed: one sentence each.
        complete: False if time was up before the end; the same command goes on.
    """

    words: str
    failed: list[str]
    complete: bool

    @property
    def exit_code(self) -> int:
        """0 all well, 1 something failed, 3 time was up."""
        return 1 if self.failed else 0 if self.complete else 3


class UnknownName(ValueError):
    """No row or case has such a name."""


def bench(
    device: torch.device,
    *,
    quick: bool,
    only: str | None,
    out: Path,
    deadline: float = float("inf"),
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> Outcome:
    """The whole benchmark: measured, written to out, and told.

    Args:
        device: from `device_for`.
        quick: tiny sizes.
        only: words that a row's name must have.
        out: the folder for attention.json, attention.txt and attention.png.
        deadline: see `run`.
        say: is told how it goes on.

    Raises:
        UnknownName: if no row has these words.
        OtherSetUp: if out has other measurements.
    """
    name = f"{device.type}, quick" if quick else device.type
    sizes = SIZES[name]
    chosen = [row for row in rows(sizes) if (only or "") in row.name]
    if not chosen:
        names = "; ".join(row.name for row in rows(sizes))
        raise UnknownName(f"no row has {only!r} in its name: {names}")
    setup = set_up(device, name)
    results = run(
        chosen,
        out / "attention.json",
        setup,
        device,
        sizes=sizes,
        seconds=0.0 if quick else 0.5,
        min_rounds=2 if quick else 20,
        deadline=deadline,
        on_row=lambda done, row: say(f"[{done + 1}/{len(chosen)}] {row.name}"),
    )
    words = attention_report.text(results, setup) if results else "Nothing was measured in time.\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "attention.txt").write_text(words, encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is None:
        say("No picture: matplotlib is not installed.")
    elif results:
        save_picture(results, setup, out / "attention.png")
    failed = attention_report.failures(results)
    return Outcome(words, failed, complete=len(results) == len(chosen))


def save_picture(results: Sequence[Result], setup: dict[str, Any], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure = attention_report.picture(results, setup)
    figure.savefig(path)
    plt.close(figure)
