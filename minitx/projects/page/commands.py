"""The command `minitx export`. Everything heavy is imported inside it."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minitx import __version__
from minitx.terminal import friendly_errors, program, shown

if TYPE_CHECKING:
    from minitx.models.gpt import GPT
    from minitx.projects.runs import Record
    from minitx.projects.translation import Translator


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The script to write, FILE.js.",
)
def export(folder: Path, output: Path) -> None:
    """Write the model trained in FOLDER as a script that a page of the book can run.

    It is a translator of numbers, or a GPT of `train text`. Its weights are rounded to 8 bits; how
    good it is before and after is measured and stands at the top of the script. The same training
    gives the same bytes.
    """
    from minitx.projects import runs, text, translation
    from minitx.projects.page import script, writer
    from minitx.projects.translators import TRANSLATORS
    from minitx.training import DamagedCheckpoint

    if output.suffix != ".js":
        raise click.BadParameter(f"{output} must end in .js: it will be a script", param_hint="-o")
    with friendly_errors(DamagedCheckpoint):
        record = runs.read(folder)
        page_model: script.Scripted
        if record.project == text.NAME:
            model, vocabulary, steps = text.load(folder)
            page_model = writer.PageWriter.of(model, vocabulary)
            what, measured = "GPT", [measured_losses(record, model, page_model.model()[0])]
        elif record.project in TRANSLATORS:
            translator, steps = translation.load(TRANSLATORS[record.project], folder)
            page_model = script.PageModel.of(translator)
            what, measured = (
                "translator",
                measured_matches(translator, page_model.translator()),
            )
        else:
            raise script.NotForPages(
                f"{folder} holds a run of {record.project}; a page can run translators of "
                f"{' and '.join(script.READ_IN_THE_PAGE)}, and what `train text` makes"
            )
        if steps < record.settings["num_steps"]:
            click.echo(
                f"This {what} is unfinished: {steps} of {record.settings['num_steps']} steps. "
                f"{program()} train {record.project} --folder {folder} goes on.",
                err=True,
            )
        for line in measured:
            click.echo(line)
        about = [*made_how(record, folder, output, steps), *measured]
        size = script.write(page_model, output, about)
        click.echo(f"{shown(output)}: {size:,} bytes")


def made_how(record: "Record", folder: Path, output: Path, steps: int) -> list[str]:
    """Where a script comes from: the commands, the seed, the date of the checkpoint."""
    written = datetime.fromtimestamp((folder / "checkpoint.pt").stat().st_mtime, UTC)
    from minitx.projects import text

    what, small = f"A translator of {record.project}", ""
    if record.project == text.NAME:
        what = "A GPT of characters"
        small = " --small" if record.settings["d_model"] == text.SMALL.d_model else ""
    return [
        f"{what} for the pages of this book, made by",
        f"    minitx train {record.project}{small} --seed {record.settings['seed']}",
        f"    minitx export {shown(folder)} -o {shown(output)}",
        f"from the weights after {steps:,} steps, saved on {written:%Y-%m-%d}; "
        f"minitx {__version__}.",
        "Weights in 8 bits: a level from -127 to 127 each, a scale for each row of a matrix.",
    ]


def measured_matches(whole: "Translator", rounded: "Translator") -> list[str]:
    """Exact matches of both on all that the project measures, a sentence for each."""
    from minitx.projects.translation import scored

    lines = []
    for what, pairs in whole.project.measured().items():
        before, after = scored(whole, pairs), scored(rounded, pairs)
        lines.append(
            f"Exact match on {what}: {after.right:,} of {after.count:,} in 8 bits, "
            f"{before.right:,} before rounding."
        )
    return lines


def measured_losses(record: "Record", whole: "GPT", rounded: "GPT") -> str:
    """Both on the end of Python's documentation, which was not learned, in a sentence.

    A text of somebody's own is not at hand here, and nothing is measured.
    """
    import torch

    from minitx.data.batching import window_batches
    from minitx.projects import corpus, runs, text

    length = record.settings["length"]
    data = corpus.Corpus.of(corpus.read(None), length=length)
    if record.data != runs.checksum([data.text]):
        return "It learned from another text than Python's documentation, and is not measured here."
    batch = window_batches(
        data.validation, length=length, batch_size=corpus.VALIDATION_PIECES
    )(0)  # fmt: skip
    bits = []
    for model in (rounded, whole):
        with torch.no_grad():
            loss, count = text.loss_sum(model.eval(), batch)
        bits.append(float(loss / count) / math.log(2))
    return (
        f"On text never seen: {bits[0]:.2f} bits per character in 8 bits, {bits[1]:.2f} before "
        "rounding."
    )
