"""The command `minitx exercises build`, for maintainers."""

import click

from minitx.terminal import say_error

WRONG_USE = 2


@click.command()
@click.option("--execute", is_flag=True, help="Also run the notebooks whose code has changed.")
@click.option("--check", is_flag=True, help="Write nothing; fail if something is out of step.")
@click.pass_context
def build(ctx: click.Context, execute: bool, check: bool) -> None:
    """Derive stubs and notebooks from their sources (for maintainers)."""
    from minitx.grading.course import find_course
    from minitx.grading.errors import CourseError

    try:
        root = find_course().root
        from minitx.authoring.build import build as derive
    except CourseError as error:
        say_error(str(error))
        ctx.exit(WRONG_USE)
    except ModuleNotFoundError as error:
        say_error(
            f"Building needs {error.name}, which is not installed: pip install -e '.[dev]' in "
            f"{root} brings it."
        )
        ctx.exit(WRONG_USE)
    ctx.exit(derive(root, execute=execute, check=check))
