"""The commands `minitx train …` and `minitx translate`.

Everything heavy is imported inside them: `minitx --help` reads this file.
"""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from minitx.terminal import friendly_errors, program, sentence, usable

if TYPE_CHECKING:
    from torch import nn

    from minitx.projects.alignment import Alignment
    from minitx.projects.settings import Settings
    from minitx.projects.translation import Score, Translator
    from minitx.projects.translators import TranslationProject
    from minitx.training import Processes

SHOWN_MISTAKES = 3
NOT_ALL = 1  # exit code: something could not be translated

Command = TypeVar("Command", bound=Callable[..., None])
Chosen = TypeVar("Chosen", bound="Settings")


class Trainings(click.Group):
    """The trainings, among them that of every translator."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*translators(), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        project = translators().get(name)
        return training_of(project) if project else super().get_command(ctx, name)


def translators() -> "dict[str, TranslationProject]":
    """All translators by name."""
    from minitx.projects.translators import TRANSLATORS

    return TRANSLATORS


@click.group(cls=Trainings)
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
        click.option(
            "--seed",
            type=click.IntRange(min=0, max=2**32 - 1),
            help="Other first weights and another order.",
        ),
        click.option("--device", help="Where to compute: cpu, cuda … A GPU unless given."),
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


file_option = click.option(
    "--file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Learn from this text, in UTF-8. Python's documentation unless given.",
)


def training_of(project: "TranslationProject") -> click.Command:
    """The command that trains this translator."""

    @click.command(name=project.name, help=project.about)
    @with_options(project.name)
    @click.option("--interactive", is_flag=True, help="Then translate what is typed.")
    def command(
        *, interactive: bool, folder: Path, device: str | None, steps: int | None, seed: int | None
    ) -> None:
        from minitx.projects import translation

        with running(device) as group:
            settings = chosen(project.settings, steps=steps, seed=seed)
            translator = translation.train(
                project, settings, group=group, folder=folder, progress=True
            )
            if group.writes:
                tell_training(translator.model, folder)
                for what, pairs in project.measured().items():
                    tell_score(what, translation.scored(translator, pairs))
                click.echo(f"{time.process_time():.0f} seconds of CPU, the measuring included.")
                if interactive:
                    translate_input(translator, folder / "alignment.png")
                else:
                    click.echo(f"Try it: {program()} translate --folder {folder}")

    return command


@train.command(name="text")
@with_options("text")
@file_option
@click.option("--prompt", help="How the sample begins; as the text does unless given.")
@click.option("--small", is_flag=True, help="A quarter of the weights: for a page, see export.")
def train_text(
    *,
    file: Path | None,
    prompt: str | None,
    small: bool,
    folder: Path,
    device: str | None,
    steps: int | None,
    seed: int | None,
) -> None:
    """A GPT over characters; then it writes a sample."""
    from minitx.projects import corpus, text

    with running(device) as group:
        settings = chosen(text.SMALL if small else text.SETTINGS, steps=steps, seed=seed)
        data = corpus.Corpus.of(corpus.read(file), length=settings.length)
        prompt = data.text[:10] if prompt is None else prompt
        corpus.prompt_ids(prompt, data.vocabulary)  # better refused now than after the training
        writer = text.train(data, settings, group=group, folder=folder, progress=True)
        if group.writes:
            tell_training(writer.model, folder)
            bits = writer.loss / math.log(2)
            click.echo(f"On text never seen: {bits:.2f} bits per character. It writes:\n")
            click.echo(prompt + writer.write(prompt, seed=settings.seed))


@train.command(name="masked")
@with_options("masked")
@file_option
def train_masked(
    *, file: Path | None, folder: Path, device: str | None, steps: int | None, seed: int | None
) -> None:
    """A BERT that puts back hidden characters; then it shows some."""
    from minitx.projects import corpus, masked

    with running(device) as group:
        settings = chosen(masked.SETTINGS, steps=steps, seed=seed)
        data = corpus.Corpus.of(corpus.read(file), length=settings.length)
        restorer = masked.train(data, settings, group=group, folder=folder, progress=True)
        if group.writes:
            tell_training(restorer.model, folder)
            click.echo(
                f"Of the characters asked about, in text never seen, {restorer.right:.1%} are "
                f"right; always the most frequent one would be {restorer.always_the_same:.1%}."
            )
            for name, piece in restorer.example.items():
                click.echo(f"\n{name}:\n{piece}")


def train_experiment(name: str, about: str) -> None:
    """Adds the command of an experiment whose result the book shows."""

    @train.command(name=name, help=about)
    @click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs", name),
        show_default=True,
        help="Where the trainings are kept.",
    )
    @click.option("--keep", is_flag=True, help="Keep the result in the package, for the book.")
    def command(*, folder: Path, keep: bool) -> None:
        project = import_module(f"minitx.projects.{name.replace('-', '_')}")
        with running("cpu") as group:
            result = project.EXPERIMENT.run(folder, group=group, say=partial(click.echo, err=True))
            if keep:
                project.EXPERIMENT.keep(result)
            click.echo(project.table_of(result))


train_experiment("ladder", "The book's translator as it stands after each chapter.")
train_experiment("head-count", "The book's translator with 1 to 32 heads.")
train_experiment("extrapolation", "Texts longer than the trained ones, with each kind of position.")
train_experiment(
    "norm-place", "A deep translator, norms on the road or beside it, warmed up or not."
)
train_experiment("recipe", "The book's translator without each part of its recipe.")
train_experiment("families", "An encoder, a decoder and both, on the same text for as many steps.")
train_experiment("fine-tuning", "A small BERT with few labels: what is frozen, at which rate.")
train_experiment("dates-score", "The translator of dates: exact match and chrF.")


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
    """Translate TEXTS, or what is typed, with a translator that was trained before.

    From a file or a pipe every line in is a line out; one that is empty or cannot be translated
    stays empty. The exit code is 1 if something could not be translated.
    """
    from minitx.projects import runs, translation
    from minitx.training import DamagedCheckpoint

    with friendly_errors(DamagedCheckpoint):
        record = runs.read(folder)
        project = translators().get(record.project)
        if project is None:
            raise click.ClickException(f"{folder} holds a run of {record.project}, no translator.")
        translator, steps = translation.load(project, folder)
        if steps < record.settings["num_steps"]:
            click.echo(
                f"This translator is unfinished: {steps} of {record.settings['num_steps']} steps. "
                f"{program()} train {record.project} --folder {folder} goes on.",
                err=True,
            )
        picture = alignment or folder / "alignment.png"
        if texts:
            translate_lines(texts, translator, picture)
        else:
            translate_input(translator, picture)


# --- around a training ----------------------------------------------------------------------


@contextmanager
def running(device: str | None) -> "Iterator[Processes]":
    """The processes of a training."""
    import torch

    from minitx.training import DamagedCheckpoint, processes

    told = friendly_errors(DamagedCheckpoint, torch.OutOfMemoryError)
    with told, processes(usable(device)) as group:
        yield group


def chosen(settings: Chosen, *, steps: int | None, seed: int | None) -> Chosen:
    """A project's settings, with what the user wants otherwise."""
    if steps is not None:
        settings = replace(settings, num_steps=steps)
    if seed is not None:
        settings = replace(settings, seed=seed)
    return settings


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


def tell_score(what: str, score: "Score") -> None:
    """Say how good a translator is on some texts, with some of its mistakes."""
    # Rounded down: 100.00% is said of no translator that is ever wrong.
    share = math.floor(10_000 * score.right / score.count) / 10_000
    chrf = "" if score.chrf is None else f", chrF {score.chrf:.1f}"
    click.echo(f"Exact match on {what}: {score.right:,} of {score.count:,}, {share:.2%}{chrf}")
    for text, got, wanted in score.mistakes[:SHOWN_MISTAKES]:
        click.echo(f"  wrong: {text} → {got}   (right: {wanted})")


# --- translating ----------------------------------------------------------------------------


def translate_lines(lines: Iterable[str], translator: "Translator", picture: Path) -> None:
    """One line out per line in; the last one's alignment is drawn.

    What is empty or cannot be translated leaves an empty line, so that answers and questions stay
    in step; in the second case the exit code says so, too.
    """
    from minitx.projects.alignment import align

    newest, refused = None, False
    for line in lines:
        try:
            aligned = align(translator, line) if line.strip() else None
        except ValueError as error:
            click.echo(sentence(error), err=True)
            aligned, refused = None, True
        click.echo(aligned.text if aligned else "")
        newest = aligned or newest
    if newest is not None:
        drawn(newest, picture)
    if refused:
        sys.exit(NOT_ALL)


def translate_input(translator: "Translator", picture: Path) -> None:
    """Translate line after line of what is typed, or of what comes from a file or a pipe."""
    if sys.stdin.isatty():
        converse(translator, picture)
    else:
        translate_lines(sys.stdin, translator, picture)


def converse(translator: "Translator", picture: Path) -> None:
    """Answer what is typed at a terminal, and draw each answer's alignment."""
    from minitx.projects.alignment import align

    click.echo(f"Type {translator.project.known}; an empty line ends.")
    while line := typed("> "):
        try:
            aligned = align(translator, line)
        except ValueError as error:
            click.echo(sentence(error), err=True)
        else:
            click.echo(aligned.text)
            drawn(aligned, picture)


def typed(prompt: str) -> str:
    """What is typed next; nothing at the end of the input."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def drawn(aligned: "Alignment", picture: Path) -> None:
    """Draw an alignment, and say where."""
    from minitx.projects.alignment import draw

    draw(aligned, picture)
    click.echo(f"What was read for each word: {picture}", err=True)
