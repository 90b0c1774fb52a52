"""A report as HTML: one table per exercise, in the page's own colours, nothing from elsewhere."""

import re
from html import escape

from minitx.grading.render_text import SMALLEST, VERDICTS
from minitx.grading.report import CheckReport, ExerciseReport, Report

_SIGNS = {"passed": "✓", "failed": "✗", "unattempted": "–", "not run": "–", "grader error": "!"}
_LEFT = ' style="text-align: left"'


def as_html(report: Report) -> str:
    """Every exercise with its checks; paragraphs only where something is wrong."""
    parts = [f"<p>{_prose(problem)}</p>" for problem in report.problems]
    parts += [_exercise(each) for each in report.exercises]
    parts += [f"<p>{'<br>'.join(map(_prose, report.steps))}</p>"] if report.steps else []
    return '<div class="minitx-report">\n' + "\n".join(parts) + "\n</div>"


def _exercise(exercise: ExerciseReport) -> str:
    title = f"<b>{escape(exercise.label)}: {escape(exercise.title)}</b> ({escape(exercise.score)})"
    if exercise.status == "unattempted":
        return f"<p>{title}</p>"
    rows = "\n".join(_row(check) for check in exercise.checks)
    parts = [
        "<table>",
        f'<caption style="caption-side: top; text-align: left">{title}</caption>',
        f'<thead><tr><th scope="col"{_LEFT}>Verdict</th><th scope="col"{_LEFT}>Points</th>'
        f'<th scope="col"{_LEFT}>Check</th></tr></thead>',
        f"<tbody>\n{rows}\n</tbody>",
        "</table>",
    ]
    for named in exercise.named:
        read = f"<br>Read {_linked(named.page, named.link)}." if named.page else ""
        parts.append(f"<p>{_prose(named.text)}{read}</p>")
    parts += [_paragraph(check) for check in exercise.explained()]
    if exercise.case:
        parts.append(f"<p>{SMALLEST}</p>\n<pre>{escape(exercise.case.text)}</pre>")
    if exercise.shown_print:
        parts.append(f"<p>Your code printed:</p>\n<pre>{escape(exercise.shown_print)}</pre>")
    if exercise.reading:
        parts.append(f"<p>Read {_linked(exercise.reading, exercise.link)}.</p>")
    return "\n".join(parts)


def _row(check: CheckReport) -> str:
    verdict = f'<span aria-hidden="true">{_SIGNS[check.status]}</span> {VERDICTS[check.status]}'
    return (
        f"<tr><td{_LEFT}>{verdict}</td><td{_LEFT}>{check.earned}/{check.points}</td>"
        f'<th scope="row" style="text-align: left; font-weight: normal">'
        f"{_prose(check.title)}</th></tr>"
    )


def _paragraph(check: CheckReport) -> str:
    if not check.hint:
        return f"<p>{_prose(check.text)}</p>"
    text = f"<b>{_prose(check.title)}</b>: {_prose(check.text)}"
    if check.status == "failed":
        text += f"<br>Hint: {_prose(check.hint)}"
    return f"<p>{text}</p>"


def _linked(words: str, link: str) -> str:
    return f'<a href="{escape(link)}">{_prose(words)}</a>' if link else _prose(words)


def _prose(text: str) -> str:
    """Escaped, with `code` set as code and *stress* as stress."""
    parts = re.split(r"`([^`]+)`", escape(text, quote=False))  # every second part is code
    for i, part in enumerate(parts):
        stressed = re.sub(r"(?<![\w*])\*(\w[^*]*?)\*(?![\w*])", r"<em>\1</em>", part)
        parts[i] = f"<code>{part}</code>" if i % 2 else stressed
    return "".join(parts)
