"""A report in the terminal. Colour never carries a meaning that a word does not."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from minitx.grading.registry import Exercise, display_id
from minitx.grading.render_text import SMALLEST, VERDICTS
from minitx.grading.report import CheckReport, ExerciseReport, Report
from minitx.terminal import Prose

_SIGNS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "red"),
    "unattempted": ("·", "dim"),
    "not run": ("·", "dim"),
    "grader error": ("!", "yellow"),
}


def exercise_view(report: ExerciseReport, *, most: int | None = 2) -> RenderableType:
    """One exercise in full: its checks, the diagnosis, the paragraphs."""
    head = Text.assemble((f"{report.label}: {report.title}", "bold"), f"  {report.score}")
    if report.status == "unattempted":
        return head
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column()
    for check in report.checks:
        sign, colour = _SIGNS[check.status]
        verdict = Text(f"{sign} {VERDICTS[check.status]}", style=colour)
        table.add_row(verdict, Text(f"{check.earned}/{check.points}"), Text(check.title))
    parts: list[RenderableType] = [head, Padding(table, (0, 0, 0, 2))]
    parts += explanation(report, most=most)
    if report.shown_print:
        parts += ["", _indented(Text("Your code printed:"))]
        parts.append(Padding(Text(report.shown_print, style="dim"), (0, 0, 0, 4)))
    return Group(*parts)


def explanation(report: ExerciseReport, *, most: int | None = 2) -> list[RenderableType]:
    """What is wrong and what to do, in paragraphs."""
    parts: list[RenderableType] = []
    for named in report.named:
        parts += ["", _indented(Prose(named.text))]
        if named.page:
            parts.append(_indented(Prose(f"Read {named.page}.", "dim", link=named.link)))
    for check in report.explained(most):
        parts += ["", *_paragraph(check)]
    if report.case:
        code = Padding(Text(report.case.text), (0, 0, 0, 4))
        parts += ["", _indented(Text(SMALLEST)), code]
    if report.reading:
        parts += ["", _indented(Prose(f"Read {report.reading}.", "dim", link=report.link))]
    return parts


def overview(report: Report, titles: Iterable[Exercise] = ()) -> RenderableType:
    """Several exercises, a line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    table.add_column()
    for each in report.exercises:
        sign, colour = _SIGNS[each.status]
        table.add_row(
            Text(display_id(each.id)),
            Text(f"{each.earned}/{each.points}"),
            Text(f"{sign} {VERDICTS[each.status]}", style=colour),
            Text(each.title),
        )
    return Padding(table, (0, 0, 0, 2))


def _paragraph(check: CheckReport) -> list[RenderableType]:
    if not check.hint:
        return [_indented(Prose(check.text))]
    parts: list[RenderableType] = [_indented(Prose(check.text, lead=f"{check.title}: "))]
    if check.status == "failed":
        parts.append(_indented(Prose(check.hint, lead="Hint: ")))
    return parts


def _indented(text: RenderableType) -> RenderableType:
    return Padding(text, (0, 0, 0, 2))
