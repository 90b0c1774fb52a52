"""A link to `page.ipynb#place` finds every place that the built page has.

MyST knows of another page its headings only, as GitHub spells them. A label `(label)=` outlives a
new wording; figures, questions and headings as docutils spells them are places, too.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

_ID = re.compile(r'\bid="([^"]+)"')


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", note_places)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def note_places(app: Sphinx, doctree: nodes.document) -> None:
    known = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for element in doctree.findall(nodes.Element):
        places = list(element.get("ids", ()))
        if isinstance(element, nodes.raw):
            places += _ID.findall(element.astext())
        for place in places:
            known.setdefault(place, (element.line, place, ""))
