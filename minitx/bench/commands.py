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
