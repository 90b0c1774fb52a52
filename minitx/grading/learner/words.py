"""How the grader's commands tell what went wrong: a sentence and an exit code.

Exit codes: 0 all points earned, 1 not all, 2 wrong use, 3 the grader itself failed.
"""

import os
from typing import Any

import click

from minitx.terminal import STOPPED, say_error

NOT_EARNED, WRONG_USE, GRADER_FAILED = 1, 2, 3


class Graders(click.Command):
    """A command of the grader: what can go wrong in a sentence, with its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        from minitx.grading.errors import CourseError, GraderError

        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            say_error("Stopped.")
            ctx.exit(STOPPED)
        except CourseError as error:
            say_error(str(error))
            ctx.exit(WRONG_USE)
        except Exception as error:
            if os.environ.get("MINITX_DEBUG"):
                raise
            text = " ".join(str(error).split())
            if not isinstance(error, GraderError):
                text = f"{type(error).__name__}: {text}. Please report it."
            say_error(f"The grader itself failed: {text} MINITX_DEBUG=1 shows where.")
            ctx.exit(GRADER_FAILED)
