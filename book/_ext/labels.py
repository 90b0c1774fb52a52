"""A link to `page.ipynb#label` finds a label written as `(label)=`, on any page.

MyST knows the headings of another page by their text only; a label outlives a new wording.
"""

from docutils import nodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", note_labels)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def note_labels(app: Sphinx, doctree: nodes.document) -> None:
    known = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for name, written in doctree.nametypes.items():
        if written and (label := doctree.nameids.get(name)):
            known.setdefault(label, (None, label, name))
