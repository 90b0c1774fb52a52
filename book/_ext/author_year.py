"""The bibliography: labels that name author and year, titles as they were printed, and back links.

`[Vaswani et al. 2017]` says who and when; the usual styles write `[VSP+17]`, and turn "O(n²)" in a
title into "o(n²)", which is another claim.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from pybtex.database import Entry, Person
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style as Unsorted
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.template import field, sentence
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode


def setup(app: Sphinx) -> dict[str, bool]:
    register_plugin("pybtex.style.labels", "author_year_label", Labels)
    register_plugin("pybtex.style.formatting", "author_year", Style)
    app.connect("doctree-resolved", say_where_cited)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Labels(BaseLabelStyle):  # type: ignore[misc]
    """Vaswani et al. 2017; two of the same year become 2014a and 2014b."""

    def format_labels(self, sorted_entries: list[Entry]) -> Iterator[str]:
        plain = [label(entry) for entry in sorted_entries]
        together = Counter(plain)
        seen: Counter[str] = Counter()
        for text in plain:
            yield text + ("abcdefgh"[seen[text]] if together[text] > 1 else "")
            seen[text] += 1


class Style(Unsorted):  # type: ignore[misc]
    default_sorting_style = "author_year_title"
    default_label_style = "author_year_label"

    def format_title(self, e: Entry, which_field: str, as_sentence: bool = True) -> Any:
        return sentence[field(which_field)] if as_sentence else field(which_field)


def label(entry: Entry) -> str:
    people: list[Person] = entry.persons.get("author") or entry.persons["editor"]
    names = [" ".join(person.prelast_names + person.last_names) for person in people]
    names = [name.replace("{", "").replace("}", "") for name in names]
    many = len(names) > 2 or "others" in names[1:]
    who = f"{names[0]} et al." if many else " and ".join(names)
    return f"{who} {entry.fields['year']}"


def say_where_cited(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Under each source the pages that cite it."""
    domain = app.env.get_domain("cite")
    pages: dict[str, dict[str, str]] = defaultdict(dict)
    for reference in domain.citation_refs:  # type: ignore[attr-defined]
        for target in reference.targets:
            pages[target.key].setdefault(reference.docname, reference.citation_ref_id)
    keys = {known.citation_id: known.key for known in domain.citations}  # type: ignore[attr-defined]
    for citation in doctree.findall(nodes.citation):
        key = next((keys[each] for each in citation["ids"] if each in keys), None)
        if key in pages:
            citation += _cited_in(app, name, pages[key])


def _cited_in(app: Sphinx, name: str, pages: dict[str, str]) -> nodes.paragraph:
    paragraph = nodes.paragraph("", "Cited in: ", classes=["cited-in"])
    for number, (page, anchor) in enumerate(sorted(pages.items())):
        if number:
            paragraph += nodes.Text(" · ")
        title = nodes.Text(app.env.titles[page].astext())
        paragraph += make_refnode(app.builder, name, page, anchor, title)
    return paragraph
