"""The commands that grade: `minitx check` once, `minitx watch` whenever a file is saved.

Everything heavy is imported inside them: `minitx --help` reads this file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from minitx.grading.errors import CourseError
from minitx.grading.learner.words import Graders
from minitx.terminal import console, say_error, shown

if TYPE_CHECKING:
    from minitx.grading.course import Chapter
    from minitx.grading.registry import Exercise
    from minitx.grading.report import Report

seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Other random inputs."
)


@click.command(cls=Graders)
@click.argument("target", required=False)
@click.option("--file", type=click.Path(path_type=Path), help="Grade this file instead.")
@seed_option
@click.option("-v", "--verbose", is_flag=True, help="Explain every failed check.")
@click.pass_context
def check(
    ctx: click.Context, target: str | None, file: Path | None, seed: int, verbose: bool
) -> None:
    """Grade your answers: all, a chapter (02), an exercise (02.3) or a file.

    Without a file your copy in work/ is graded.
    """
    from minitx.grading.learner.next_steps import next_steps
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.learner.showing import show
    from minitx.grading.learner.targets import is_working_copy, what_to_grade

    course, jobs = what_to_grade(target, file)
    progress = load_progress(course.work)
    say_error(progress.notice)
    codes = []
    for chapter, exercises, path in jobs:
        report = grade_file(chapter, exercises, path, seed)
        mine = is_working_copy(chapter, path)
        if mine:  # somebody else's file is not the learner's progress
            for each in report.exercises:
                progress.record(each)
        say_error(progress.save())
        steps = next_steps(report, course, chapter, path, progress) if mine else []
        show(report, chapter, path, verbose=verbose, steps=steps)
        codes.append(report.exit_code)
    ctx.exit(max(codes))


@click.command(cls=Graders)
@click.argument("target", required=False)
@seed_option
def watch(target: str | None, seed: int) -> None:
    """Grade your answers whenever you save; Ctrl-C ends it."""
    from minitx.grading.learner.next_steps import after_a_pass, next_steps
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.learner.showing import show, show_news
    from minitx.grading.learner.targets import what_to_grade
    from minitx.grading.learner.watching import Watcher, news

    course, jobs = what_to_grade(target, None)
    chapters = [chapter for chapter, _, _ in jobs] if target else list(course.chapters.values())
    only = {exercise.id for _, exercises, _ in jobs for exercise in exercises} if target else None
    watcher = Watcher(course.work, chapters)
    last: dict[Path, Report] = {}

    def grade_and_tell(chapter: "Chapter", path: Path) -> None:
        exercises = [e for e in chapter.exercises.values() if only is None or e.id in only]
        try:
            report = grade_file(chapter, exercises, path, seed)
        except CourseError as error:
            say_error(str(error))
            return
        told = news(last[path], report) if path in last else report
        progress = load_progress(course.work)
        for each in told.exercises:
            progress.record(each)
        say_error(progress.save())
        if path not in last:
            show(report, chapter, path, steps=next_steps(report, course, chapter, path, progress))
        else:
            passed = [each for each in told.exercises if each.status == "passed"]
            steps = after_a_pass(passed[-1], course, chapter, progress) if passed else []
            show_news(told, report, path, steps)
        last[path] = report

    try:
        for chapter, _, path in jobs:
            grade_and_tell(chapter, path)
        console().print(
            f"\nWatching {shown(course.work)}. Save your file to grade it; Ctrl-C ends this."
        )
        for chapter, path in watcher.wait():
            grade_and_tell(chapter, path)
    except KeyboardInterrupt:
        console().print("Stopped watching.")


def grade_file(chapter: "Chapter", exercises: "list[Exercise]", path: Path, seed: int) -> "Report":
    """Grades a file; where somebody looks on, a line says what is being done."""
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from minitx.grading.judge.assess import assess_all
    from minitx.grading.worker.process import process_caller

    screen = console(stderr=True)
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with process_caller(path, needs_torch=chapter.needs_torch) as caller, bar:
        task = bar.add_task(f"reading {shown(path)}", total=None)
        return assess_all(
            chapter,
            exercises,
            caller,
            seed,
            on_exercise=lambda each: bar.update(task, description=f"grading {each.label}"),
        )
