"""The command `minitx`: doing the exercises from a terminal.

Everything heavy is imported inside the commands, so that `minitx --help` answers at once.
Exit codes: 0 all points earned, 1 not all, 2 wrong use, 3 the grader itself failed.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minitx import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from minitx.grading.course import Chapter, Course
    from minitx.grading.learner.progress import Progress
    from minitx.grading.registry import Exercise
    from minitx.grading.report import Report

EARNED, NOT_EARNED, WRONG_USE, GRADER_FAILED = 0, 1, 2, 3


class Commands(click.Group):
    """Turns what can go wrong into a sentence and an exit code; knows commands kept elsewhere."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return ELSEWHERE[name]() if name in ELSEWHERE else super().get_command(ctx, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt):
            raise
        except BrokenPipeError:
            os._exit(EARNED)  # whoever read our output has seen enough
        except Exception as error:
            from minitx.grading.errors import CourseError, GraderError

            if isinstance(error, CourseError):
                say_error(str(error))
                ctx.exit(WRONG_USE)
            if os.environ.get("MINITX_DEBUG"):
                raise
            text = " ".join(str(error).split())
            if not isinstance(error, GraderError):
                text = f"{type(error).__name__}: {text}. Please report it."
            say_error(f"The grader itself failed: {text} MINITX_DEBUG=1 shows where.")
            ctx.exit(GRADER_FAILED)


def _bench() -> click.Command:
    from minitx.bench.commands import bench

    return bench


def _train() -> click.Command:
    from minitx.projects.commands import train

    return train


def _translate() -> click.Command:
    from minitx.projects.commands import translate

    return translate


ELSEWHERE = {"bench": _bench, "train": _train, "translate": _translate}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="minitx")
def cli() -> None:
    """Do the exercises of the course on transformers, and run its models.

    \b
    minitx start 01        makes your own copy of chapter 1's exercises in work/
    minitx check 01.1      grades an exercise and says what is wrong with it
    minitx watch           does so whenever you save
    minitx train numbers   trains a translator from nothing, in about a minute
    minitx bench models    compares speed and memory with other libraries
    """


@cli.command()
@click.argument("chapter")
@click.option("--notebook", is_flag=True, help="A Jupyter notebook in place of a .py file.")
def start(chapter: str, notebook: bool) -> None:
    """Make your own copy of a chapter's exercises in work/.

    An existing copy is never overwritten.
    """
    from minitx.grading.learner.workspace import start as make

    course, number, _ = find(chapter)
    path, made = make(course.chapter(number), ".ipynb" if notebook else ".py")
    out = console()
    if made:
        out.print(
            f"Your copy is {shown(path)}. Open it in your editor and write the answers there."
        )
        out.print(f"Then: minitx check {number}   (or minitx watch {number} while you write)")
    else:
        out.print(f"You have a copy already: {shown(path)}. It was left as it is.")
        out.print(f"minitx reset {number} puts it back to the beginning and keeps yours.")


@cli.command()
@click.argument("target", required=False)
@click.option("--file", type=click.Path(path_type=Path), help="Grade this file instead.")
@click.option("--seed", default=0, show_default=True, help="Other random inputs.")
@click.option("-v", "--verbose", is_flag=True, help="Explain every failed check.")
@click.pass_context
def check(
    ctx: click.Context, target: str | None, file: Path | None, seed: int, verbose: bool
) -> None:
    """Grade your answers: all, a chapter (02), an exercise (02.3) or a file.

    Without a file your copy in work/ is graded.
    """
    from minitx.grading.learner.progress import load_progress

    course, jobs = what_to_grade(target, file)
    progress = load_progress(course.work)
    if progress.notice:
        say_error(progress.notice)
    codes = []
    for chapter, exercises, path in jobs:
        report = grade_file(chapter, exercises, path, seed)
        if is_working_copy(chapter, path):  # somebody else's file is not the learner's progress
            for each in report.exercises:
                progress.record(each)
        show(report, chapter, path, verbose)
        codes.append(report.exit_code)
    trouble = progress.save()
    if trouble:
        say_error(trouble)
    ctx.exit(max(codes))


@cli.command()
@click.argument("exercise_id", metavar="EXERCISE")
@click.option("--level", type=click.IntRange(1, 3), help="1 nudge, 2 where to read, 3 nearly all.")
def hint(exercise_id: str, level: int | None) -> None:
    """Show the next hint for an exercise: a nudge, where to read, nearly the answer."""
    course, _, exercise = find(exercise_id, "minitx hint")
    assert exercise is not None
    progress = opened_progress(course)
    reached = progress.of(exercise.id)
    level = level or min(reached.hints + 1, 3)
    again = reached.hints >= 3 and level == 3
    reached.hints = max(reached.hints, level)
    report_trouble(progress.save())
    out = console()
    out.print(f"{exercise.label}, hint {level} of 3", style="bold")
    out.print(prose(exercise.hints[level - 1]))
    if level == 2:
        where = course.chapter(exercise.chapter).reading(exercise.page)
        out.print(prose(f"Read {where}.", "dim"))
    if level < 3:
        out.print(prose(f"Not enough? `minitx hint {exercise.id}` shows the next one.", "dim"))
    elif again:
        last = f"That is all. `minitx solution {exercise.id} --give-up` shows the answer."
        out.print(prose(last, "dim"))


@cli.command()
@click.argument("chapter", required=False)
def progress(chapter: str | None) -> None:
    """Show the points you have reached so far."""
    course = found_course()
    numbers = [find(chapter)[1]] if chapter else list(course.chapters)
    table_of_exercises(course, [course.chapter(number) for number in numbers], attempts=True)


@cli.command()
@click.argument("target", required=False)
@click.option("--seed", default=0, show_default=True, help="Other random inputs.")
def watch(target: str | None, seed: int) -> None:
    """Grade what you changed whenever you save; Ctrl-C ends it."""
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.learner.watching import Watcher

    course, jobs = what_to_grade(target, None)
    out = console()
    watcher = Watcher(course, [chapter for chapter, _, _ in jobs], seed)

    def tell(path: Path, report: "Report | None") -> None:
        if report is None:
            out.print(f"{shown(path)}: saved; no exercise changed.", style="dim")
            return
        if not report.exercises:
            for problem in report.problems:
                out.print(prose(problem))
            return
        kept = load_progress(course.work)
        for each in report.exercises:
            kept.record(each)
        report_trouble(kept.save())
        chapter = watcher.chapter_of(path)
        assert chapter is not None
        show(report, chapter, path, False, footer=False)

    try:
        for _, _, path in jobs:
            tell(path, watcher.look(path))
        out.print(f"\nWatching {shown(course.work)}. Save your file to grade it; Ctrl-C ends this.")
        watcher.run(tell, say_error)
    except KeyboardInterrupt:
        pass
    out.print("Stopped watching.")


@cli.command()
@click.argument("target")
def reset(target: str) -> None:
    """Put an exercise (02.3) or a chapter (02) back to its beginning.

    Your file is first copied to work/backups/.
    """
    from minitx.grading.learner.workspace import reset_chapter, reset_exercise

    course, number, exercise = find(target)
    chapter = course.chapter(number)
    path = newest_copy(chapter)
    if exercise is None:
        kept = reset_chapter(chapter, path)
        what = "is as it was handed out"
    else:
        kept = reset_exercise(chapter, exercise, path)
        what = f"has the unanswered {exercise.function} of {exercise.label} again"
    out = console()
    out.print(f"{shown(path)} {what}.")
    out.print(f"Your version of before is kept: {shown(kept)}")


@cli.command()
@click.argument("exercise_id", metavar="EXERCISE")
@click.option("--give-up", is_flag=True, help="Show it although the exercise is not done yet.")
@click.pass_context
def solution(ctx: click.Context, exercise_id: str, give_up: bool) -> None:
    """Show the worked answer of an exercise you have finished, or given up."""
    from minitx.grading.learner.answers import library_functions, worked_answer

    course, number, exercise = find(exercise_id, "minitx solution")
    assert exercise is not None
    progress = opened_progress(course)
    reached = progress.of(exercise.id)
    if not (reached.complete or reached.gave_up or give_up):
        say_error(
            f"{exercise.label} is not finished: {reached.best} of {exercise.points} points so far. "
            f"minitx hint {exercise.id} helps; minitx solution {exercise.id} --give-up shows the "
            "answer all the same."
        )
        ctx.exit(NOT_EARNED)
    if give_up and not reached.complete:
        reached.gave_up = True
        report_trouble(progress.save())
    chapter = course.chapter(number)
    answer = worked_answer(chapter, exercise)
    out = console()
    out.print(f"{exercise.label}: {exercise.title}", style="bold")
    show_code(answer)
    for name, source in library_functions(chapter, answer):
        out.print(f"It hands over to {name}:", style="bold")
        show_code(source)


@cli.group()
def exercises() -> None:
    """List the exercises, or (for maintainers) rebuild their files."""


@exercises.command(name="list")
def list_exercises() -> None:
    """All exercises with their points and how far you are."""
    course = found_course()
    table_of_exercises(course, list(course.chapters.values()))


@exercises.command()
@click.option("--execute", is_flag=True, help="Also run the notebooks whose code has changed.")
@click.option("--check", is_flag=True, help="Write nothing; fail if something is out of step.")
@click.pass_context
def build(ctx: click.Context, execute: bool, check: bool) -> None:
    """Derive stubs and notebooks from their sources (for maintainers)."""
    course = found_course()
    try:
        from minitx.authoring.build import build as derive
    except ModuleNotFoundError as error:
        say_error(
            f"Building needs {error.name}, which is not installed: pip install -e '.[dev]' in "
            f"{course.root} brings it."
        )
        ctx.exit(WRONG_USE)
    ctx.exit(derive(course.root, execute=execute, check=check))


# --- finding things -------------------------------------------------------------------------


def found_course() -> "Course":
    from minitx.grading.course import find_course

    return find_course()


def find(target: str, example: str = "") -> "tuple[Course, str, Exercise | None]":
    """The course, the chapter's number, and the exercise where one is named."""
    from minitx.grading.course import parse_id
    from minitx.grading.errors import CourseError

    course = found_course()
    parsed = parse_id(target)
    if "." in parsed:
        return course, parsed[:2], course.exercise(parsed)
    if example:
        first = next(iter(course.chapter(parsed).exercises))
        raise CourseError(f"{target} is a chapter; name an exercise: {example} {first}")
    course.chapter(parsed)
    return course, parsed, None


Job = tuple["Chapter", list["Exercise"], Path]


def what_to_grade(target: str | None, file: Path | None) -> "tuple[Course, list[Job]]":
    """Which exercises of which files."""
    from minitx.grading.errors import CourseError

    course = found_course()
    if target is None and file is None:
        existing = [c for c in course.chapters.values() if c.working_copies()]
        if not existing:
            first = next(iter(course.chapters), "01")
            raise CourseError(
                f"You have no copy of any exercises yet. Make one: minitx start {first}"
            )
        jobs = [(c, list(c.exercises.values()), newest_copy(c)) for c in existing]
        return course, jobs
    if target is not None and file is None and looks_like_a_file(target):
        file, target = Path(target), None
    exercise = None
    if target is None:
        assert file is not None
        number = chapter_in_name(course, file)
    else:
        course, number, exercise = find(target)
    chapter = course.chapter(number)
    path = file if file is not None else newest_copy(chapter)
    return course, [(chapter, [exercise] if exercise else list(chapter.exercises.values()), path)]


def looks_like_a_file(target: str) -> bool:
    path = Path(target)
    return path.suffix in (".py", ".ipynb") or os.sep in target or path.exists()


def chapter_in_name(course: "Course", path: Path) -> str:
    """The chapter a file belongs to, from the number in its name."""
    import re

    from minitx.grading.errors import CourseError

    if not path.exists():
        raise CourseError(f"There is no file {path}.")
    if path.is_dir():
        raise CourseError(f"{path} is a folder; name the .py file or the notebook in it.")
    for number in re.findall(r"(?<!\d)\d\d(?!\d)", path.stem):
        if number in course.chapters:
            return str(number)
    raise CourseError(
        f"The name of {path} does not say which chapter it answers. Say so: "
        f"minitx check 02 --file {path}"
    )


def newest_copy(chapter: "Chapter") -> Path:
    """The working copy that was saved last; says so where there is another."""
    from minitx.grading.errors import CourseError

    paths = chapter.working_copies()
    if not paths:
        raise CourseError(
            f"You have no copy of chapter {int(chapter.number)}'s exercises yet. Make one: "
            f"minitx start {chapter.number}   (with --notebook for a notebook)"
        )
    if len(paths) > 1:
        others = ", ".join(shown(path) for path in paths[1:])
        say_error(f"There are two copies; {shown(paths[0])} was saved last, not {others}.")
    return paths[0]


def is_working_copy(chapter: "Chapter", path: Path) -> bool:
    return path.resolve() in [copy.resolve() for copy in chapter.working_copies()]


def opened_progress(course: "Course") -> "Progress":
    from minitx.grading.learner.progress import load_progress

    progress = load_progress(course.work)
    report_trouble(progress.notice)
    return progress


# --- grading and showing --------------------------------------------------------------------


def grade_file(chapter: "Chapter", exercises: "list[Exercise]", path: Path, seed: int) -> "Report":
    """Grades a file; where somebody looks on, a line says what is being done."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    os.environ.setdefault("MPLBACKEND", "agg")  # a plot in the learner's file opens no window
    from minitx.grading.judge.assess import assess_all
    from minitx.grading.worker.loading import load

    screen = Console(file=sys.stderr)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(f"reading {shown(path)}", total=None)
        submission = load(path)
        return assess_all(
            chapter,
            exercises,
            submission,
            seed,
            on_exercise=lambda each: bar.update(task, description=f"grading {each.label}"),
        )


def show(
    report: "Report", chapter: "Chapter", path: Path, verbose: bool, *, footer: bool = True
) -> None:
    """Prints a report: in full for one exercise, an overview and what to do next for more."""
    from rich.padding import Padding

    from minitx.grading.render_rich import exercise_view, explanation, overview
    from minitx.grading.render_text import summary

    out = console()
    for problem in report.problems:
        out.print(prose(problem))
        out.print()
    if len(report.exercises) == 1:
        only = report.exercises[0]
        out.print(exercise_view(only, most=None if verbose else 2))
        if footer and only.status in ("unattempted", "failed"):
            out.print()
            out.print(prose(f"Stuck? `minitx hint {only.id}` shows a hint.", "dim"))
        return
    out.print(f"Chapter {int(chapter.number)}: {shown(path)}", style="bold")
    out.print(overview(report))
    for each in report.exercises:
        if each.status in ("failed", "grader error"):
            out.print()
            out.print(f"{each.label}: {each.title}", style="bold")
            parts = explanation(each, most=None if verbose else 1)
            for part in parts[1:]:
                out.print(part)
    out.print()
    out.print(summary(report), style="bold")
    if not footer:
        return
    unfinished = [each for each in report.exercises if each.earned < each.points]
    if unfinished:
        name = unfinished[0].id
        steps = prose(f"`minitx check {name}` shows all its checks, `minitx hint {name}` helps.")
        out.print(Padding(steps, (0, 0)))


def table_of_exercises(
    course: "Course", chapters: "Iterable[Chapter]", attempts: bool = False
) -> None:
    from rich.table import Table
    from rich.text import Text

    from minitx.grading.registry import display_id

    progress = opened_progress(course)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("exercise")
    if attempts:
        table.add_column("tries", justify="right")
        table.add_column("hints", justify="right")
    earned = total = 0
    for chapter in chapters:
        for exercise in chapter.exercises.values():
            reached = progress.exercises.get(exercise.id)
            best = min(reached.best, exercise.points) if reached else 0
            earned, total = earned + best, total + exercise.points
            row = [
                Text(display_id(exercise.id)),
                Text(f"{best}/{exercise.points}"),
                state(best, exercise.points, reached is not None and reached.attempts > 0),
                Text(exercise.title),
            ]
            if attempts:
                row.append(Text(str(reached.attempts) if reached else "0"))
                row.append(Text(f"{reached.hints if reached else 0}/3"))
            table.add_row(*row)
    out = console()
    out.print(table)
    out.print(f"\n{earned} of {total} points.", style="bold")


def state(best: int, points: int, tried: bool) -> Any:
    """A word for how far an exercise is."""
    from rich.text import Text

    if best >= points:
        return Text("✓ done", style="green")
    return Text("… begun", style="yellow") if tried else Text("· open", style="dim")


def show_code(source: str) -> None:
    from rich.syntax import Syntax

    out = console()
    if out.is_terminal and not out.no_color:
        out.print(Syntax(source.rstrip(), "python", theme="ansi_dark", background_color="default"))
    else:
        print(source.rstrip())


def prose(text: str, style: str = "") -> Any:
    from minitx.grading.render_rich import prose as set_off

    return set_off(text, style)


def shown(path: Path) -> str:
    """A path as short as it can be typed."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


def console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def say_error(text: str) -> None:
    console(stderr=True).print(prose(text))


def report_trouble(text: str) -> None:
    if text:
        say_error(text)


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows no ✓ gets a ? instead
            stream.reconfigure(errors="replace")
    cli()


if __name__ == "__main__":
    main()
