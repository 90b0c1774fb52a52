"""A report as plain text: for `print` in a notebook, and for files."""

import textwrap

from minitx.grading.report import CheckReport, ExerciseReport, Report, count

WIDTH = 88
SMALLEST = "The smallest call found that shows it:"
VERDICTS = {
    "passed": "passed",
    "failed": "failed",
    "unattempted": "not attempted",
    "not run": "not run",
    "grader error": "grader failed",
}


def as_text(report: Report) -> str:
    """Every exercise with its checks; paragraphs only where something is wrong."""
    blocks = [_wrapped(problem) for problem in report.problems]
    blocks += [exercise_text(each) for each in report.exercises]
    blocks += ["\n".join(map(_wrapped, report.steps))] if report.steps else []
    return "\n\n".join(blocks)


def exercise_text(exercise: ExerciseReport) -> str:
    """One exercise."""
    lines = [f"{exercise.label}: {exercise.title} ({exercise.score})"]
    if exercise.status == "unattempted":
        return lines[0]
    width = max(len(VERDICTS[check.status]) for check in exercise.checks)
    for check in exercise.checks:
        verdict = VERDICTS[check.status].ljust(width)
        lines.append(f"  {verdict}  {check.earned}/{check.points}  {check.title}")
    for named in exercise.named:
        lines += ["", _wrapped(named.text)]
        lines += [_wrapped(f"Read {named.page}.")] if named.page else []
    for check in exercise.explained():
        lines += ["", check_text(check)]
    if exercise.case:
        lines += ["", SMALLEST, textwrap.indent(exercise.case.text, "    ")]
    if exercise.shown_print:
        lines += ["", "Your code printed:", textwrap.indent(exercise.shown_print, "    ")]
    if exercise.reading:
        lines += ["", _wrapped(f"Read {exercise.reading}.")]
    return "\n".join(lines)


def check_text(check: CheckReport) -> str:
    """A failed check's paragraph and hint."""
    if not check.hint:
        return _wrapped(check.text)
    lines = [_wrapped(f"{check.title}: {check.text}")]
    if check.status == "failed":
        lines.append(_wrapped(f"Hint: {check.hint}"))
    return "\n".join(lines)


def summary(report: Report) -> str:
    """ "12 of 26 points." """
    return f"{report.earned} of {count(report.points, 'point')}."


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
