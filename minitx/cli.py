"""The command `minitx`: it joins the commands of the rooms, each imported when it is asked for."""

import importlib
import os
import sys
from typing import Any

import click

from minitx import __version__
from minitx.terminal import BROKEN_PIPE, program, say_error

LEARNER = "minitx.grading.learner.commands"
GRADING = "minitx.grading.learner.grading_commands"
EXERCISES = {"list": f"{LEARNER}:list_exercises", "build": "minitx.authoring.commands:build"}
COMMANDS = {
    "start": f"{LEARNER}:start",
    "watch": f"{GRADING}:watch",
    "check": f"{GRADING}:check",
    **{name: f"{LEARNER}:{name}" for name in ("hint", "progress", "solution", "reset")},
    "exercises": "minitx.cli:exercises",
    **{name: f"minitx.projects.commands:{name}" for name in ("train", "translate")},
    "assemble": "minitx.assemble:assemble",
    "export": "minitx.projects.page.commands:export",
    "bench": "minitx.bench.commands:bench",
}
HELP = f"""Do the exercises of the course on transformers, and run its models.

\b
{program()} start 01        copies chapter 1's exercises to work/
{program()} watch           grades what you save, says what is wrong
{program()} hint 01.1       helps with an exercise
{program()} train numbers   trains a translator, in about a minute
{program()} export runs/numbers -o numbers.js   makes a script of it that runs in a page
{program()} bench models    compares with other libraries
"""
HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class Joined(click.Group):
    """A group that knows where its commands are, "module:attribute"."""

    def __init__(self, name: str, places: dict[str, str], **options: Any) -> None:
        super().__init__(name, **options)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.places)

    def get_command(self, ctx: click.Context, name: str) -> Any:
        module, _, attribute = self.places.get(name, "").partition(":")
        return getattr(importlib.import_module(module), attribute) if module else None

    def invoke(self, ctx: click.Context) -> Any:
        """What a room has no words of its own for is told in one line."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            os._exit(BROKEN_PIPE)  # whoever read our output has seen enough
        except Exception as error:
            if os.environ.get("MINITX_DEBUG"):
                raise
            text = f"{type(error).__name__}: {' '.join(str(error).split())}".strip(": ")
            name = f"{ctx.command_path} {ctx.invoked_subcommand}"
            say_error(f"{name} failed: {text} (MINITX_DEBUG=1 shows where)")
            ctx.exit(1)


cli = Joined("minitx", COMMANDS, help=HELP, context_settings=HELP_NAMES)
click.version_option(__version__, prog_name="minitx")(cli)
exercises = Joined("exercises", EXERCISES, help="List the exercises, or rebuild their files.")


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no ✓ gets a ? instead
            stream.reconfigure(errors="replace")
    cli(prog_name=program())
