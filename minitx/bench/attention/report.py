"""What `minitx bench attention` measured, as text that needs no other package, and as a picture."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minitx.bench.attention.peers import MINITX
from minitx.bench.attention.problem import DIRECTIONS, Direction
from minitx.bench.attention.results import Entry, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NONE = "–"
EXP_PER_CLOCK = 16  # of a multiprocessor, sm_70 to sm_90
TERA = 1e12


def text(results: Sequence[Result], setup: Mapping[str, Any]) -> str:
    """Everything: both tables, the limits, what did not run and why."""
    parts = [heading(setup, results)]
    parts += [table(results, direction) for direction in DIRECTIONS]
    parts += [limits_text(results, setup), reasons(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def heading(setup: Mapping[str, Any], results: Sequence[Result]) -> str:
    """The machine, and how to read the tables."""
    clocks = [r.clocks for r in results if r.clocks]
    at_work = ", ".join(
        f"{name} {statistics.median(c[name] for c in clocks if name in c):.0f}"
        for name in dict.fromkeys(name for c in clocks for name in c)
    )
    dtypes = ", ".join(dict.fromkeys(r.row.problem.dtype for r in results))
    return "\n".join(
        [
            f"{setup['device']}, torch {setup['torch']}, triton {setup['triton']}, cuDNN "
            f"{setup['cudnn'] or NONE}, kernel {setup['kernel']}, {dtypes}",
            f"At work (nvidia-smi, medians; MHz, W, °C): {at_work or 'not known'}",
            "TFLOP/s: 4·B·H·T²·D forward, half of it if causal, pairs counted with a window or "
            "lengths; ×2.5 backward, timed alone.",
            "×: times as fast as that column minitx is, median of the rounds. %: of the matrix "
            "product timed in the same rounds.",
            "of base: minitx's TFLOP/s over those of the row with nothing left out (1 is ideal), "
            "and how many times as fast. mem: peak over inputs, outputs and log-sum-exp.",
        ]
    )


def table(results: Sequence[Result], direction: Direction) -> str:
    """One line per row."""
    by_name = {result.row.name: result for result in results}
    names = list(dict.fromkeys(name for result in results for name in result.entries))
    peers = [name for name in names if name != MINITX]
    lines = [[direction, MINITX, "%", *peers, "of base", "mem"]]
    for result in results:
        rate = result.rate(MINITX, direction)
        share = None if rate is None else 100 * rate / result.matmul[direction].median
        lines.append(
            [
                result.row.name,
                tera(rate),
                NONE if share is None else f"{share:.0f}",
                *(against(result, name, direction) for name in peers),
                of_base(result, by_name.get(result.row.base), direction),
                peak(result.entries[MINITX], direction),
            ]
        )
    return "\n".join(aligned(lines))


def tera(rate: float | None) -> str:
    """FLOP/s in TFLOP/s, also where they are few."""
    if rate is None:
        return NONE
    return f"{rate / TERA:.0f}" if rate >= 10 * TERA else f"{rate / TERA:.2g}"


def against(result: Result, column: str, direction: Direction) -> str:
    """A peer's rate and how many times as fast minitx is."""
    rate, ratios = result.rate(column, direction), result.entries[column].ratio
    if rate is None:
        return NONE
    return tera(rate) + (f" ×{ratios[direction].median:.2f}" if ratios else "")


def of_base(result: Result, base: Result | None, direction: Direction) -> str:
    """How much of the work saved is time saved: rates, then times, against the base."""
    rate = result.rate(MINITX, direction)
    whole = base.rate(MINITX, direction) if base else None
    if base is None or rate is None or whole is None:
        return NONE
    work = base.row.problem.flops(direction) / result.row.problem.flops(direction)
    return f"{rate / whole:.2f} ×{work * rate / whole:.2f}"


def peak(entry: Entry, direction: Direction) -> str:
    """The memory's share."""
    return f"{entry.memory[direction]:.3f}" if entry.memory else NONE


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first flush left, with a rule below the heading."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    out = [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return [out[0], "-" * len(out[0]), *out[1:]]


def limits(
    results: Sequence[Result], setup: Mapping[str, Any]
) -> dict[tuple[int, Direction], dict[str, float]]:
    """What bounds the kernel, in FLOP/s, by head size and direction, from rates that were measured.

        matmul                R, the matrix product timed in the same rounds
        no overlap            4 D / (4 D / R + 1 / E)      forward: products and exp take turns
        seven products        5/7 R                        backward: two of five are done twice

    E = multiprocessors · 16 · clock is the rate of exp, known where nvidia-smi told the clock at
    work. With both overlapped wholly, R is the limit of the forward pass.
    """
    out: dict[tuple[int, Direction], dict[str, float]] = {}
    for D in dict.fromkeys(result.row.problem.D for result in results):
        for direction in DIRECTIONS:
            own = [r for r in results if r.row.problem.D == D]
            R = statistics.median(r.matmul[direction].median for r in own)
            found = {"matmul": R}
            clocks = [r.clocks["clocks.sm"] for r in own if "clocks.sm" in r.clocks]
            if direction == "backward":
                found["seven products"] = 5 / 7 * R
            elif clocks and setup["multiprocessors"]:
                E = setup["multiprocessors"] * EXP_PER_CLOCK * statistics.median(clocks) * 1e6
                found["no overlap"] = 4 * D / (4 * D / R + 1 / E)
            out[D, direction] = found
    return out


def limits_text(results: Sequence[Result], setup: Mapping[str, Any]) -> str:
    """The limits in words."""
    lines = [
        f"D {D} {direction}: " + ", ".join(f"{name} {tera(rate)}" for name, rate in found.items())
        for (D, direction), found in limits(results, setup).items()
    ]
    note = (
        "(no overlap: 4D / (4D/R + 1/E), R the matrix product's rate, E = multiprocessors · 16 · "
        "clock; seven products: 5/7 R)"
    )
    return "\n".join(["Limits, TFLOP/s", *lines, note])


def reasons(results: Sequence[Result]) -> str:
    """Why there is a – in the tables, each reason once."""
    where: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, entry in result.entries.items():
            if entry.reason:
                where.setdefault((name, entry.reason), []).append(result.row.name)
    lines = [
        f"{name}: {reason[:300]} ({rows[0]}{f' and {len(rows) - 1} more' if rows[1:] else ''})"
        for (name, reason), rows in where.items()
    ]
    return "\n".join([f"{NONE}: not run", *lines]) if lines else ""


def failures(results: Iterable[Result]) -> list[str]:
    """One sentence per row in which minitx did not run or was wrong."""
    return [
        f"{result.row.name}: {result.entries[MINITX].reason}"
        for result in results
        if result.entries[MINITX].reason
    ]


def picture(results: Sequence[Result], setup: Mapping[str, Any]) -> "Figure":
    """Rates of the plain rows over T: a panel for each direction, head size and causality."""
    import matplotlib.pyplot as plt

    from minitx import viz

    plain = [result for result in results if not result.row.base]
    sizes = list(dict.fromkeys(result.row.problem.D for result in plain)) or [0]
    bounds = limits(plain, setup)
    with viz.style():
        figure, grid = plt.subplots(
            2 * len(sizes), 2, figsize=(9.0, 5.6 * len(sizes)), sharex=True, squeeze=False
        )
        panels = [(D, direction) for direction in DIRECTIONS for D in sizes]
        for (D, direction), pair in zip(panels, grid, strict=True):
            for causal, ax in zip((False, True), pair, strict=True):
                own = [r for r in plain if (r.row.problem.D, r.row.problem.causal) == (D, causal)]
                draw(ax, own, direction, bounds.get((D, direction), {}))
                ax.set_title(f"{direction}, D {D}{', causal' if causal else ''}")
            pair[0].set_ylabel("TFLOP/s")
        for ax in grid[-1]:
            ax.set_xlabel("T")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        figure.suptitle(f"{setup['device']}, torch {setup['torch']}")
    return figure


def draw(
    ax: "Axes", results: Sequence[Result], direction: Direction, bounds: Mapping[str, float]
) -> None:
    """One panel."""
    for name in dict.fromkeys(name for result in results for name in result.entries):
        points = [(r.row.problem.T_k, r.rate(name, direction)) for r in results]
        there = [(T, rate / TERA) for T, rate in points if rate is not None]
        ax.plot([T for T, _ in there], [rate for _, rate in there], label=name)
    for name, rate in bounds.items():
        ax.axhline(rate / TERA, color="black", linestyle="--", marker="", linewidth=1.0)
        ax.annotate(
            name, (0.01, rate / TERA), xycoords=("axes fraction", "data"), va="bottom", fontsize=11
        )
    ax.set_xscale("log", base=2)
    ax.set_ylim(bottom=0)
    lengths = sorted({result.row.problem.T_k for result in results})
    ax.set_xticks(lengths, [str(T) for T in lengths])
    ax.minorticks_off()
