"""A quotation that begins with "Often said:" looks like every other box of that kind."""

from docutils import nodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", mark_often_said)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mark_often_said(app: Sphinx, doctree: nodes.document) -> None:
    for quotation in doctree.findall(nodes.block_quote):
        if quotation.astext().startswith("Often said:"):
            quotation["classes"].append("said")
