"""The command `minitx assemble`: a translator made of a learner's own answers.

Everything heavy is imported inside it: `minitx --help` reads this file.
"""

import time

import click

from minitx.grading.errors import CourseError
from minitx.terminal import friendly_errors


@click.command()
@click.option("--solutions", is_flag=True, help="The worked answers in place of your own.")
@click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    default=0,
    help="Other first weights and another order.",
)
def assemble(*, solutions: bool, seed: int) -> None:
    """Build the number translator from your answers to exercises 2 to 6, and train it.

    Fourteen answers take the places of the library's parts. What is missing is named.
    """
    from minitx import own_parts
    from minitx.projects import translation
    from minitx.projects.own_translator import PARTS, PartMissing, PartWrong
    from minitx.projects.translators import NUMBERS

    with friendly_errors(CourseError, PartMissing, PartWrong):
        where: own_parts.Where = "solutions" if solutions else "work"
        translator, own = own_parts.trained(where, seed=seed, progress=True)
    click.echo(f"Made of {len(PARTS)} parts:")
    for part in PARTS:
        calls = own.calls[part.exercise]
        used = f"{calls:,} calls" if calls else "no calls: your other answers do this themselves"
        click.echo(f"  {part.number:5}{part.name}: it {part.does} ({used})")
    score = translation.scored(translator, NUMBERS.split().test)
    share = 1000 * score.right // score.count / 10  # rounded down
    click.echo(f"Right on numbers never seen: {score.right:,} of {score.count:,}, {share}%")
    click.echo(f"{time.process_time():.0f} seconds of CPU, the measuring included.")
    for text in ("four thousand two hundred seventy-one", "ninety-two"):
        click.echo(f"  {text} → {translator.translate([text])[0]}")
