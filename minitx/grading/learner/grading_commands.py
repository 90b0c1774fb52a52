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
    from minitx.grading.learner.targets import Job
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
    warm(jobs)
    codes = []
    for job in jobs:
        report = grade_file(job, seed)
        mine = is_working_copy(job.chapter, job.path)
        if mine:  # somebody else's file is not the learner's progress
            for each in report.exercises:
                progress.record(each)
        say_error(progress.save())
        steps = next_steps(report, course, job, progress) if mine else []
        show(report, job, verbose=verbose, steps=steps)
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
    from minitx.grading.learner.targets import Job, what_to_grade
    from minitx.grading.learner.watching import Watcher, news

    course, jobs = what_to_grade(target, None)
    chapters = [job.chapter for job in jobs] if target else list(course.chapters.values())
    watcher = Watcher(course.work, chapters)
    warm(jobs)
    last: dict[Path, Report] = {}

    def grade_and_tell(job: "Job") -> None:
        try:
            report = grade_file(job, seed)
        except CourseError as error:
            say_error(str(error))
            return
        told = news(last[job.path], report) if job.path in last else report
        progress = load_progress(course.work)
        for each in told.exercises:
            progress.record(each)
        say_error(progress.save())
        if job.path not in last:
            show(report, job, steps=next_steps(report, course, job, progress))
        else:
            passed = [each for each in told.exercises if each.status == "passed"]
            steps = after_a_pass(passed[-1], course, job.chapter, progress) if passed else []
            show_news(told, report, job.path, steps)
        last[job.path] = report

    try:
        for job in jobs:
            grade_and_tell(job)
        console().print(
            f"\nWatching {shown(course.work)}. Save your file to grade it; Ctrl-C ends this."
        )
        for chapter, path in watcher.wait():
            grade_and_tell(Job(chapter, path, jobs[0].only))
    except KeyboardInterrupt:
        console().print("Stopped watching.")


def warm(jobs: "list[Job]") -> None:
    """Processes begin to import what the answers need, while the checks are read here."""
    from minitx.grading.worker.starting import warm_up

    for needs_torch in {job.chapter.needs_torch for job in jobs}:
        warm_up(needs_torch=needs_torch)


def grade_file(job: "Job", seed: int) -> "Report":
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
    with bar:
        task = bar.add_task(f"reading {shown(job.path)}", total=None)
        exercises = job.exercises
        with process_caller(job.path, needs_torch=job.chapter.needs_torch) as caller:
            return assess_all(
                job.chapter,
                exercises,
                caller,
                seed,
                on_exercise=lambda each: bar.update(task, description=f"grading {each.label}"),
            )
