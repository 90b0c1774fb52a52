"""A formula in a sentence keeps its comma, its bracket and its ending ("d-dimensional") beside it.

MathJax draws a formula as one box, and browsers may break a line before and after a box, whatever
stands there. So what touches the formula is wrapped together with it. A few characters in a cell of
a table, "(0, 1)" or "7.4 mm", stay on one line as well, as does the sign in "7 %"; a longer cell of
a measured table may wrap.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

A_FEW = 12
LONG = 16  # characters; "50% (48%–53%)" is shorter, and would break within its bracket
_TOUCHING = re.compile(
    r"(?P<before>[(\[“‘±−–]*)"
    r"(?P<formula><span class=\"math notranslate nohighlight\">[^<]*</span>)"
    r"(?P<after>(?:[^\s<&]|&[#\w]+;){0,14})"
)


_PERCENT = re.compile(r"(?<=\d) (?=%)")
_LONG_CELL = re.compile(rf"<td>(?=[^<]{{{LONG}}})")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", keep_together)
    app.connect("doctree-read", keep_short_cells)
    app.connect("doctree-read", keep_percent)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep_together(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    if "body" in context:
        body = _TOUCHING.sub(_wrapped, context["body"])
        context["body"] = _LONG_CELL.sub('<td class="wraps">', body)


def _wrapped(match: re.Match[str]) -> str:
    if match["before"] or match["after"]:
        return f'<span class="unbroken">{match[0]}</span>'
    return match[0]


def keep_short_cells(app: Sphinx, doctree: nodes.document) -> None:
    for cell in doctree.findall(nodes.entry):
        if len(cell.astext()) <= A_FEW:
            cell["classes"].append("unbroken")


def keep_percent(app: Sphinx, doctree: nodes.document) -> None:
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.FixedTextElement | nodes.literal | nodes.math):
            kept = _PERCENT.sub("\N{NO-BREAK SPACE}", text)
            if kept != text:
                text.parent.replace(text, nodes.Text(kept))
