"""What was measured: kept on disk as it comes in, shown as a table and as a picture."""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from minitx import __version__
from minitx.bench.contest import Timing
from minitx.training.checkpoints import whole_or_absent

if TYPE_CHECKING:  # measuring needs neither
    from matplotlib.figure import Figure
    from rich.table import Table

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Args:
        name: the contest's.
        peer: whose implementation minitx was compared with.
        tokens: per call.
        timing: see `Timing`.
        memory_ours: bytes that a call takes on top of module and inputs, at its peak.
        memory_theirs: the peer's.
    """

    name: str
    peer: str
    tokens: int
    timing: Timing
    memory_ours: int
    memory_theirs: int


class OtherSetUp(ValueError):
    """The file holds measurements that cannot stand beside those that are to come."""


def set_up(device: torch.device, sizes: str) -> dict[str, Any]:
    """Everything that the numbers depend on."""
    try:
        transformers = metadata.version("transformers")
    except metadata.PackageNotFoundError:
        transformers = "not installed"
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "threads": torch.get_num_threads(),
        "sizes": sizes,
        "minitx": __version__,
        "torch": torch.__version__,
        "transformers": transformers,
        "python": platform.python_version(),
    }


def cpu_name() -> str:
    """The processor's name, as well as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def save(path: Path, setup: dict[str, Any], results: Sequence[Any], **derived: Any) -> None:
    """Write what was measured so far, results that are dataclasses, and what follows from them."""
    content = {"set_up": setup, "results": [asdict(result) for result in results], **derived}
    with whole_or_absent(path) as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=False).encode())


def result_of(content: dict[str, Any]) -> Result:
    """One line of the table, as it stands in the file."""
    return Result(**{**content, "timing": Timing(**content["timing"])})


def load(
    path: Path,
    setup: dict[str, Any],
    read: Callable[[dict[str, Any]], Kind] = result_of,  # type: ignore[assignment]
) -> list[Kind]:
    """What was measured so far with this set-up; nothing if there is no file.

    Args:
        path: the file.
        setup: of today.
        read: makes a result of what stands in the file.

    Raises:
        OtherSetUp: if it was measured with another one, or the file is damaged.
    """
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        there = dict(content["set_up"])
        results = [read(result) for result in content["results"]]
    except (ValueError, TypeError, KeyError):
        raise OtherSetUp(f"{path} is damaged; delete it, or choose another --out") from None
    differences = [
        f"{name} {there.get(name)} (now: {setup[name]})"
        for name in setup
        if there.get(name) != setup[name]
    ]
    if differences:
        raise OtherSetUp(
            f"{path} was measured with {', '.join(differences)}; delete it, or choose another --out"
        )
    return results


def table(results: Sequence[Result], setup: dict[str, Any]) -> "Table":
    """One row per contest; a ratio above 1 means that minitx is faster."""
    from rich.table import Table

    out = Table(
        title=f"{setup['device']}, {setup['threads']} threads, torch {setup['torch']}",
        caption="minitx above, the peer below; ratio: how many times as fast as the peer minitx "
        "is, median and middle half of the rounds; MB: at the peak of a call, beyond weights and "
        "inputs",
        show_lines=True,
    )
    out.add_column("contest", ratio=1)
    for name in ("ms", "tokens/s", "ratio", "MB"):
        out.add_column(name, justify="right", no_wrap=True)
    for result in results:
        t = result.timing
        out.add_row(
            f"{result.name}\n[dim]{result.peer}[/dim]",
            f"{1000 * t.ours:.2f}\n{1000 * t.theirs:.2f}",
            f"{result.tokens / t.ours:,.0f}\n{result.tokens / t.theirs:,.0f}",
            f"{t.ratio:.2f}\n{t.ratio_low:.2f}–{t.ratio_high:.2f}",
            f"{result.memory_ours / 1e6:.1f}\n{result.memory_theirs / 1e6:.1f}",
            style="" if t.ratio >= 1 else "yellow",
        )
    return out


def picture(results: Sequence[Result]) -> "Figure":
    """Every contest's ratio with the middle half of its rounds; 1 is the peer."""
    import matplotlib.pyplot as plt

    from minitx import viz

    with viz.style():
        figure, ax = plt.subplots(figsize=(6.0, 1.2 + 0.55 * len(results)))
        for row, result in enumerate(results):
            t = result.timing
            ax.plot([t.ratio_low, t.ratio_high], [row, row], color=viz.PALETTE[0], marker="")
            ax.plot([t.ratio], [row], color=viz.PALETTE[0], marker=viz.MARKERS[0])
            ax.annotate(
                f"{t.ratio:.2f}", (t.ratio, row), xytext=(0, 7), textcoords="offset points",
                ha="left", fontsize=11,
            )  # fmt: skip
        ax.axvline(1.0, color="black", linestyle="--", marker="", linewidth=1.0)
        ax.set_xscale("log")
        ticks = [t for t in (0.25, 0.5, 1, 2, 5, 10, 20, 50) if ax.get_xlim()[0] < t]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_yticks(range(len(results)), [f"{r.name}\n{r.peer}" for r in results], fontsize=11)
        ax.set_ylim(len(results) - 0.5, -0.7)
        ax.set(xlabel="times as fast as the peer (log scale)")
    return figure
