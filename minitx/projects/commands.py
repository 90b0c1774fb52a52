"""The commands `minitx train …` and `minitx translate`.

Everything heavy is imported inside them: `minitx --help` reads this file.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minitx.terminal import plainly, sentence, usable

if TYPE_CHECKING:
    from torch import nn

    from minitx.projects.translation import Score, Translator
    from minitx.training import Processes

SHOWN_MISTAKES = 3

Command = Callable[..., None]


@click.group()
def train() -> None:
    """Train a small model on real data, from nothing, in minutes.

    Ctrl-C stops a training and keeps it; the same command goes on with it. A folder that holds a
    training with other settings is left alone.
    """


def with_options(name: str) -> Callable[[Command], Command]:
    """The options that all trainings have."""
    options = (
        click.option(
            "--folder",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("runs", name),
            show_default=True,
            help="Where the training is kept.",
        ),
        click.option("--steps", type=click.IntRange(min=1), help="Updates in all."),
        click.option("--seed", type=int, help="Other first weights and another order."),
        click.option("--device", help="Where to compute: cpu, cuda … A GPU unless given."),
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


interactive_option = click.option(
    "--interactive", is_flag=True, help="Then translate what is typed."
)
file_option = click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Learn from this text, in UTF-8. Python's documentation unless given.",
)


@train.command(name="numbers")
@with_options("numbers")
@interactive_option
def train_numbers(**options: Any) -> None:
    """Numbers in words, English to French, in about a minute."""
    train_translator("numbers", **options)


@train.command(name="dates")
@with_options("dates")
@interactive_option
def train_dates(**options: Any) -> None:
    """Dates as people write them in 25 locales, to ISO 8601."""
    train_translator("dates", **options)


@train.command(name="text")
@with_options("text")
@file_option
@click.option("--prompt", help="How the sample begins; as the text does unless given.")
def train_text(file: Path | None, prompt: str | None, folder: Path, **options: Any) -> None:
    """A GPT over characters; then it writes a sample."""
    from minitx.projects import corpus, text

    with running(options.pop("device")) as group:
        settings = chosen(text.SETTINGS, **options)
        contents = corpus.read(file)
        writer = text.train(contents, settings, group=group, folder=folder, progress=True)
        if group.writes:
            tell_training(writer.model, folder)
            bits = writer.loss / math.log(2)
            click.echo(f"On text never seen: {bits:.2f} bits per character. It writes:\n")
            prompt = contents[:10] if prompt is None else prompt
            click.echo(prompt + writer.write(prompt, seed=settings.seed))


@train.command(name="masked")
@with_options("masked")
@file_option
def train_masked(file: Path | None, folder: Path, **options: Any) -> None:
    """A BERT that puts back hidden characters; then it shows some."""
    from minitx.projects import corpus, masked

    with running(options.pop("device")) as group:
        settings = chosen(masked.SETTINGS, **options)
        restorer = masked.train(
            corpus.read(file), settings, group=group, folder=folder, progress=True
        )
        if group.writes:
            tell_training(restorer.model, folder)
            click.echo(
                f"Of the characters asked about, in text never seen, {restorer.right:.1%} are "
                f"right; always the most frequent one would be {restorer.always_the_same:.1%}."
            )
            for name, piece in restorer.example.items():
                click.echo(f"\n{name}:\n{piece}")


def train_translator(name: str, *, interactive: bool, folder: Path, **options: Any) -> None:
    project = translator_projects()[name]
    with running(options.pop("device")) as group:
        settings = chosen(project.SETTINGS, **options)
        translator = project.train(settings, group=group, folder=folder, progress=True)
        if group.writes:
            tell_training(translator.model, folder)
            tell_score(project.score(translator))
            if interactive:
                converse(translator, project, folder / "alignment.png")
            else:
                click.echo(f"Try it: minitx translate --folder {folder}")


@click.command()
@click.argument("texts", nargs=-1)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs", "numbers"),
    show_default=True,
    help="Where `minitx train` has kept a translator.",
)
@click.option(
    "--alignment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Picture of what was read for each word written; FOLDER/alignment.png unless given.",
)
def translate(texts: tuple[str, ...], folder: Path, alignment: Path | None) -> None:
    """Translate TEXTS, or what is typed, with a translator that was trained before."""
    from minitx.projects import runs, translation
    from minitx.training import DamagedCheckpoint

    with plainly(DamagedCheckpoint):
        record = runs.read(folder)
        project = translator_projects().get(record.project)
        if project is None:
            raise click.ClickException(f"{folder} holds a run of {record.project}, no translator.")
        translator, steps = translation.load(folder, record.project, project.cut)
        if steps < record.settings["num_steps"]:
            click.echo(
                f"This translator is unfinished: {steps} of {record.settings['num_steps']} steps. "
                f"minitx train {record.project} --folder {folder} goes on.",
                err=True,
            )
        picture = alignment or folder / "alignment.png"
        if texts:
            answers = [answer(text, translator, project) for text in texts]
            drawn(answers[-1], picture)
        else:
            converse(translator, project, picture)


# --- around a training ----------------------------------------------------------------------


@contextmanager
def running(device: str | None) -> "Iterator[Processes]":
    """The processes of a training."""
    from minitx.training import DamagedCheckpoint, processes

    with plainly(DamagedCheckpoint), processes(usable(device)) as group:
        yield group


def chosen(settings: Any, *, steps: int | None, seed: int | None) -> Any:
    """A project's settings, with what the user wants otherwise."""
    wanted = {"num_steps": steps, "seed": seed}
    return replace(settings, **{name: x for name, x in wanted.items() if x is not None})


def tell_training(model: "nn.Module", folder: Path) -> None:
    """Say how large the model is and how long it took; draw its training."""
    import matplotlib.pyplot as plt

    from minitx import viz

    figure = viz.training_curves(folder / "log.csv")
    figure.savefig(folder / "training.png")
    plt.close(figure)
    numbers = sum(parameter.numel() for parameter in model.parameters())
    click.echo(
        f"{numbers:,} parameters; {time.process_time():.0f} seconds of CPU in this process. "
        f"Its training: {folder / 'training.png'}"
    )


def tell_score(score: "Score") -> None:
    """Say how good a translator is, with some of its mistakes."""
    chrf = "" if score.chrf is None else f", chrF {score.chrf:.1f}"
    click.echo(f"Exact match on {score.count:,} texts never seen: {score.exact:.2%}{chrf}")
    for text, got, wanted in score.mistakes[:SHOWN_MISTAKES]:
        click.echo(f"  wrong: {text} → {got}   (right: {wanted})")


# --- translating ----------------------------------------------------------------------------


def translator_projects() -> dict[str, Any]:
    """The projects that translate."""
    from minitx.projects import dates, numbers

    return {"numbers": numbers, "dates": dates}


def answer(typed: str, translator: "Translator", project: Any) -> Any:
    """Print the translation of what was typed; its alignment.

    Raises:
        ValueError: if it cannot be translated.
    """
    from minitx.projects.alignment import align
    from minitx.projects.translation import UnknownToken

    try:
        aligned = align(translator, project.read(typed))
    except UnknownToken as error:
        raise ValueError(f"{error}; it has learned {project.KNOWN}") from None
    click.echo(aligned.text)
    return aligned


def converse(translator: "Translator", project: Any, picture: Path) -> None:
    """Translate line after line; the last one's alignment is drawn, at a terminal every one's."""
    typing = sys.stdin.isatty()
    if typing:
        click.echo(f"Type {project.KNOWN}; an empty line ends.")
    newest = None
    while line := next_line("> " if typing else ""):
        try:
            newest = answer(line, translator, project)
        except ValueError as error:
            click.echo(sentence(error), err=True)
            continue
        if typing:
            drawn(newest, picture)
    if newest is not None and not typing:
        drawn(newest, picture)


def next_line(prompt: str) -> str:
    """What is typed next; nothing at the end of the input."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def drawn(aligned: Any, picture: Path) -> None:
    """Draw an alignment, and say where."""
    from minitx.projects.alignment import draw

    draw(aligned, picture)
    click.echo(f"What was read for each word: {picture}", err=True)
