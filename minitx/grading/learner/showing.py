"""How the commands show a report, and how far a learner is."""

from collections.abc import Iterable
from pathlib import Path

from rich.table import Table
from rich.text import Text

from minitx.grading.course import Chapter
from minitx.grading.learner.progress import Progress
from minitx.grading.learner.targets import Job
from minitx.grading.registry import display_id
from minitx.grading.render_rich import exercise_view, explanation, overview
from minitx.grading.render_text import summary
from minitx.grading.report import Report
from minitx.terminal import Prose, console, shown

_WIDE = 70  # columns


def show(report: Report, job: Job, *, verbose: bool = False, steps: Iterable[str]) -> None:
    """Prints a report, in full for one exercise, an overview for more; then what to do next."""
    out = console()
    for problem in report.problems:
        out.print(Prose(problem))
        out.print()
    if len(report.exercises) == 1:
        out.print(exercise_view(report.exercises[0], most=None if verbose else 2))
    else:
        out.print(f"Chapter {int(job.chapter.number)}: {shown(job.path)}", style="bold")
        out.print(overview(report))
        for each in report.exercises:
            if each.status in ("failed", "grader error"):
                out.print()
                out.print(f"{each.label}: {each.title}", style="bold")
                for part in explanation(each, most=None if verbose else 1)[1:]:
                    out.print(part)
        out.print()
        out.print(summary(report), style="bold")
    show_steps(steps)


def show_steps(steps: Iterable[str]) -> None:
    """A line for each sentence about what to do next."""
    out = console()
    for number, step in enumerate(steps):
        if number == 0:
            out.print()
        out.print(Prose(step))


def show_news(news: Report, report: Report, path: Path, steps: Iterable[str]) -> None:
    """Prints what a save has changed: the exercises whose verdict is another one."""
    out = console()
    if not news.exercises and not news.problems:
        out.print(f"{shown(path)}: saved; no verdict changed.  {summary(report)}", style="dim")
        return
    out.print()
    for problem in news.problems:
        out.print(Prose(problem))
    for each in news.exercises:
        out.print(exercise_view(each, most=1))
        out.print()
    out.print(f"{shown(path)}: {summary(report)}", style="bold")
    show_steps(steps)


def show_progress(progress: Progress, chapters: Iterable[Chapter], *, attempts: bool) -> None:
    """A table of the exercises, with the points reached; a narrow screen has no room for more."""
    out = console()
    attempts = attempts and out.width >= _WIDE
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
        for exercise in chapter.outline.values():
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
    out.print(table)
    out.print(f"\n{earned} of {total} points.", style="bold")


def state(best: int, points: int, tried: bool) -> Text:
    """A word for how far an exercise is."""
    if best >= points:
        return Text("✓ done", style="green")
    return Text("… begun", style="yellow") if tried else Text("· open", style="dim")
