"""Every SVG that a cell shows stands in the page itself, follows its theme and prints as lines.

An SVG that is loaded as a file of its own sees neither the page's colours nor its letters. So
myst-nb's images are replaced by their source, with what one page needs: ids of its own for every
picture, the alternative text of the cell, and the book's variables for the colours of plots.
Below a figure, and not above it, stands the code that made it.
"""

import re
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from minitx.viz.page import on_the_page

_ID = re.compile(r'\sid="([^"]*)"')
_POINTS = re.compile(r'(url\(#|href="#|aria-labelledby=")([^")]*)([")])')
_NOT_FOR_PAGES = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style type=.*?</style>", re.S
)
_NOT_INSIDE = re.compile(r'\s(?:class|xmlns(?::\w+)?|version)="[^"]*"')
_FOLD = '<details class="below-figure"><summary>Code of this figure</summary>'


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(PicturesInThePage)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class PicturesInThePage(SphinxPostTransform):
    default_priority = 210  # after myst-nb has chosen one form of each output and hidden the code
    formats = ("html",)

    def run(self, **options: Any) -> None:
        cells = list(self.document.findall(_is_cell))
        pictures = [image for cell in cells for image in cell.findall(_is_svg)]
        for number, image in enumerate(pictures, start=1):
            source = Path(self.app.srcdir, image["uri"]).read_text(encoding="utf-8")
            svg = in_the_page(source, image.get("alt", ""), prefix=f"picture-{number}-")
            image.replace_self(nodes.raw("", svg, format="html"))
        for cell in cells:
            if next(cell.findall(nodes.figure), None) is not None:
                _put_code_below(cell)


def in_the_page(svg: str, words: str, *, prefix: str) -> str:
    """The source of a picture as a part of a page.

    Args:
        svg: as matplotlib or `Drawing` writes it.
        words: the alternative text; a drawing's own is kept where this is empty.
        prefix: for its ids, another for each picture of the page.
    """
    svg = on_the_page(_NOT_FOR_PAGES.sub("", svg).strip())
    start, rest = re.match(r"<svg([^>]*)>(.*)", svg, re.S).groups()  # type: ignore[union-attr]
    if "aria-labelledby" not in start:  # a plot: it brings no words of its own
        start += f' role="img" aria-label="{escape(words)}" stroke-linejoin="round"'
    elif words:
        rest = re.sub(
            r"(<desc[^>]*>).*?(</desc>)", lambda m: m[1] + escape(words) + m[2], rest, flags=re.S
        )
    svg = f'<svg class="minitx-picture"{_NOT_INSIDE.sub("", start)}>{rest}'
    return _with_ids_of_its_own(svg, prefix)


def _with_ids_of_its_own(svg: str, prefix: str) -> str:
    """Ids that something in the picture points at get the prefix; the others go."""
    own = set(_ID.findall(svg))
    pointed = {name for _, names, _ in _POINTS.findall(svg) for name in names.split()}

    def renamed(found: re.Match[str]) -> str:
        before, names, after = found.groups()
        return before + " ".join(prefix + n if n in own else n for n in names.split()) + after

    svg = _ID.sub(lambda m: f' id="{prefix}{m[1]}"' if m[1] in pointed else "", svg)
    return _POINTS.sub(renamed, svg)


def _put_code_below(cell: nodes.Element) -> None:
    for fold in list(cell.findall(HideCodeCellNode)):
        if "above-input" in fold["classes"]:
            cell.remove(fold)
            cell.append(nodes.raw("", _FOLD, format="html"))
            cell.extend(fold.children)
            cell.append(nodes.raw("", "</details>", format="html"))


def _is_cell(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def _is_svg(node: nodes.Node) -> bool:
    return isinstance(node, nodes.image) and node["uri"].endswith(".svg")
