"""The command `minitx bench …`; everything heavy is imported inside it."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minitx.terminal import plainly, usable

if TYPE_CHECKING:
    import torch


@click.group()
def bench() -> None:
    """Measure speed and memory beside what people would otherwise import."""


@bench.command()
@click.option("--device", help="Where to compute: cpu, cuda … A GPU unless given.")
@click.option("--quick", is_flag=True, help="Tiny sizes, in seconds: to see that it works.")
@click.option("--only", help="Only the contests with this in their name.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs", "bench"),
    show_default=True,
    help="Where models.json and models.png go.",
)
def models(device: str | None, quick: bool, only: str | None, out: Path) -> None:
    """Attention, GPT and encoder-decoder beside PyTorch's and Hugging Face's.

    Both sides get the same weights and must agree before they are timed, in turn, on fresh
    inputs. After Ctrl-C the same command goes on; when all is measured it begins anew.
    """
    import torch

    from minitx.bench.contest import Unequal
    from minitx.bench.memory import FailedMeasurement

    with plainly(Unequal, FailedMeasurement):
        default = "cuda" if torch.cuda.is_available() else "cpu"
        bench_models(torch.device(usable(device) or default), quick, only, out)


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

    from minitx.bench import attention as timing
    from minitx.bench import attention_setup, attention_verify

    deadline = time.monotonic() + 60 * minutes
    with plainly():
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
    import matplotlib.pyplot as plt
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

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
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("", total=len(chosen))
        results = run(
            chosen,
            out / "models.json",
            setup,
            device,
            sizes=sizes,
            seconds=1.0 if quick else 10.0,
            min_rounds=3 if quick else 7,
            on_contest=lambda i, c: bar.update(task, completed=i, description=c.name),
        )
    out.mkdir(parents=True, exist_ok=True)
    figure = report.picture(results)
    figure.savefig(out / "models.png")
    plt.close(figure)
    console = Console()
    console.print(report.table(results, setup))
    console.print(f"Written: {out / 'models.json'}, {out / 'models.png'}", highlight=False)
