"""Exercises keep their anchor when their title changes: `#exercise-1-2` on every page that has one.

Links from the text, `[Exercise 1.2](../exercises/01_attention_intuition.ipynb#exercise-1-2)`, are
checked when the book is built: a number that is not there is a warning, and warnings are errors.
What a link says after the number (`#exercise-1-2-a-soft-lookup`) is for whoever reads the source.
"""

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

_TITLE = re.compile(r"Exercise (\d+)\.(\d+)\b")
_ANCHOR = re.compile(r"exercise-\d+-\d+(?=-|$)")


def setup(app: Sphinx) -> dict[str, bool]:
    # Before `labels` notes every place of the page.
    app.connect("doctree-read", mark_exercises, priority=400)
    app.connect("doctree-read", shorten_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mark_exercises(app: Sphinx, doctree: nodes.document) -> None:
    for section in doctree.findall(nodes.section):
        title = section.next_node(nodes.title)
        exercise = _TITLE.match(title.astext()) if title is not None else None
        if exercise:
            section["ids"].append("exercise-{}-{}".format(*exercise.groups()))


def shorten_links(app: Sphinx, doctree: nodes.document) -> None:
    """Only the number counts."""
    for link in doctree.findall(pending_xref):
        anchor = _ANCHOR.match(link.get("reftargetid") or "")
        if anchor:
            link["reftargetid"] = anchor[0]
