"""The command `minitx bench …`; everything heavy is imported inside it."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minitx.terminal import friendly_errors, usable

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from rich.table import Table


device_option = click.option("--device", help="Where to compute: cpu, cuda … A GPU unless given.")
quick_option = click.option(
    "--quick", is_flag=True, help="Tiny sizes, in seconds: to see that it works."
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs", "bench"),
    show_default=True,
    help="Where the numbers (.json) and the picture (.png) go.",
)


def several(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """`--cores A,B --cores C` as A, B, C."""
    return [name for text in given for name in text.replace(",", " ").split()]


def whole_numbers(context: click.Context, option: click.Parameter, given: Any) -> list[int]:
    """`--lengths 512,1024` as 512, 1024."""
    words = several(context, option, given)
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise click.BadParameter(f"must be whole numbers above 0, got {' '.join(words)}")
    return [int(word) for word in words]


cores_option = click.option(
    "--cores", multiple=True, callback=several, help="Only these (A,B …). All unless given."
)


@click.group()
def bench() -> None:
    """Measure speed and memory beside what people would otherwise import."""


@bench.command()
@device_option
@quick_option
@click.option("--only", help="Only the contests with this in their name.")
@out_option
def models(device: str | None, quick: bool, only: str | None, out: Path) -> None:
    """Attention, GPT and encoder-decoder beside PyTorch's and Hugging Face's.

    Both sides get the same weights and must agree before they are timed, in turn, on fresh
    inputs. After Ctrl-C the same command goes on; when all is measured it begins anew.
    """
    from minitx.bench.contest import Unequal
    from minitx.bench.memory import FailedMeasurement

    with friendly_errors(Unequal, FailedMeasurement):
        bench_models(chosen_device(device), quick, only, out)


@bench.command()
@click.option("--verify", is_flag=True, help="Is the kernel right here, everywhere? Times nothing.")
@click.option("--device", help="cuda unless given; cpu only with --quick.")
@click.option("--quick", is_flag=True, help="Tiny sizes, to see that it works.")
@click.option("--only", help="Only the rows or cases with this in their name.")
@click.option("--minutes", type=float, default=float("inf"), help="Stop within so many.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs", "bench"),
    show_default=True,
    help="Where tables, figures and pictures go.",
)
@click.pass_context
def attention(
    ctx: click.Context, verify: bool, device: str | None, quick: bool, only: str | None,
    minutes: float, out: Path,
) -> None:  # fmt: skip
    """minitx's attention kernel beside cuDNN's, FlashAttention-2 and FlexAttention.

    All must be right before they are timed. After Ctrl-C or the minutes the same command goes on.
    Exit codes: 0 all well, 1 something is wrong, 2 wrong use, 3 time was up. python -m
    minitx.bench.gpu does this and everything else that wants a GPU.
    """
    import time

    from minitx.bench.attention import run as timing
    from minitx.bench.attention import setup as attention_setup
    from minitx.bench.attention import verify as attention_verify

    deadline = time.monotonic() + 60 * minutes
    with friendly_errors():
        try:
            where = attention_setup.device_for(device, quick=quick)
            act = attention_verify.verify if verify else timing.bench
            found = act(where, quick=quick, only=only, out=out, deadline=deadline, say=say)
        except (attention_setup.NoDevice, timing.UnknownName) as error:
            raise click.UsageError(str(error)) from None
    click.echo(found.words)
    click.echo(f"Written to {out}")
    ctx.exit(found.exit_code)


def say(line: str) -> None:
    click.echo(line, err=True)


def bench_models(device: "torch.device", quick: bool, only: str | None, out: Path) -> None:
    from minitx.bench import report
    from minitx.bench.models import SIZES, contests
    from minitx.bench.run import run

    sizes = "quick" if quick else device.type
    chosen = [c for c in contests(SIZES[sizes]) if (only or "") in c.name]
    if not chosen:
        names = ", ".join(c.name for c in contests(SIZES[sizes]))
        raise click.BadParameter(f"no contest has {only!r} in its name: {names}")
    for package in {c.needs for c in chosen if c.needs}:
        if importlib.util.find_spec(package) is None:
            raise click.ClickException(
                f"Comparing with {package} needs the package {package}: pip install {package}. "
                "--only attention and --only encoder do without."
            )
    setup = report.set_up(device, sizes)
    with progress(len(chosen)) as at:
        results = run(
            chosen,
            out / "models.json",
            setup,
            device,
            sizes=sizes,
            seconds=1.0 if quick else 10.0,
            min_rounds=3 if quick else 7,
            on_contest=lambda i, c: at(i, c.name),
        )
    show(out / "models.json", report.picture(results), report.table(results, setup))


@bench.command()
@cores_option
@click.option(
    "--lengths",
    multiple=True,
    callback=whole_numbers,
    help="Tokens (512,1024 …). 512 to 16384 unless given, a table of T × T as far as it goes.",
)
@click.option("--causal/--no-causal", help="Whether nobody looks ahead; what cannot is left out.")
@device_option
@quick_option
@out_option
def scaling(
    cores: list[str],
    lengths: list[int],
    causal: bool,
    device: str | None,
    quick: bool,
    out: Path,
) -> None:
    """Time, memory and error of every attention core over the length of the text.

    Every point is measured in a process of its own and kept: after Ctrl-C the same command goes
    on; when all is measured it begins anew. A length that does not fit is said to be so.
    """
    with friendly_errors():
        bench_scaling(cores, lengths, causal, chosen_device(device), quick, out)


def bench_scaling(
    names: list[str],
    lengths: list[int],
    causal: bool,
    device: "torch.device",
    quick: bool,
    out: Path,
) -> None:
    from minitx.bench import budgets, report, scaling_report
    from minitx.bench.point import read
    from minitx.bench.scaling import LENGTHS, Plan, run, safe_bytes
    from minitx.bench.scaling_picture import picture

    plan = Plan(
        budgets.measured(names, device),
        lengths or LENGTHS["quick" if quick else "full"],
        causal,
        device,
        repeats=3 if quick else 5,
        max_seconds=2.0 if quick else 20.0,
        max_bytes=safe_bytes(device),
    )
    path = out / ("scaling_causal.json" if causal else "scaling.json")
    setup = report.set_up(device, plan.sizes)
    with progress(len(plan.points)) as at:
        points = run(plan, path, setup, on_point=lambda i, core, T: at(i, f"{core}, {T}"))
    kept = report.load(path, setup, read)
    report.save(path, setup, kept, laws=scaling_report.derived(kept))
    show(path, picture(points, setup), *scaling_report.tables(points, setup))
    for note in scaling_report.notes(points):
        click.echo(note)
    if any(p.outcome == "failed" for p in points):
        raise click.ClickException("not every core could be measured; see above.")


@bench.command()
@cores_option
@click.option("--steps", type=click.IntRange(min=1), help="Updates of every model.")
@click.option("--seed", type=int, help="Other first weights and another order.")
@device_option
@quick_option
@out_option
def training(
    cores: list[str],
    steps: int | None,
    seed: int | None,
    device: str | None,
    quick: bool,
    out: Path,
) -> None:
    """What a small model learns with every attention core, in as many steps.

    A GPT with those that can be causal, a BERT with the others, an encoder and decoder with all:
    on Python's documentation, from the same first weights. After Ctrl-C the same command goes on
    with the next core.
    """
    with friendly_errors():
        changes = {"num_steps": steps, "seed": seed}
        given = {name: value for name, value in changes.items() if value is not None}
        bench_training(cores, given, chosen_device(device), quick, out)


def bench_training(
    names: list[str], changes: dict[str, Any], device: "torch.device", quick: bool, out: Path
) -> None:
    from dataclasses import replace

    from minitx.bench import budgets, report, training_report
    from minitx.bench.training import SETTINGS, lines, run, sizes

    settings = replace(SETTINGS["quick" if quick else "full"], **changes)
    setup = report.set_up(device, sizes(settings))
    path = out / "training.json"
    wanted = lines(budgets.measured(names, device))
    with progress(len(wanted)) as at:
        results = run(wanted, settings, path, setup, device, on_line=at)
    show(path, training_report.picture(results, setup), training_report.table(results, setup))
    failures = [r for r in results if r.outcome == "failed"]
    for r in failures:
        click.echo(f"{r.model} with {r.core} failed: {r.note}")
    if failures:
        raise click.ClickException("not every core could be trained; see above.")


def chosen_device(name: str | None) -> "torch.device":
    """The device that is asked for, once it has computed something; else a GPU if there is one."""
    import torch

    return torch.device(usable(name) or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def progress(total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar that is told how many are done and what comes next."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda i, name: bar.update(task, completed=i, description=name)


def show(path: Path, figure: "Figure", *tables: "Table") -> None:
    """Print the tables, keep the picture beside the numbers, and say where they are."""
    import matplotlib.pyplot as plt
    from rich.console import Console

    figure.savefig(path.with_suffix(".png"))
    plt.close(figure)
    console = Console()
    for table in tables:
        console.print(table)
    console.print(f"Written: {path}, {path.with_suffix('.png')}", highlight=False)
