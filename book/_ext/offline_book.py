"""Makes the built book whole without a network, also when its pages are opened straight from a disk.

Browsers refuse font files to such pages. So MathJax comes from the book itself as one script that
draws SVG, and the icon font is written into its style sheet.
"""

import base64
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_FACE = re.compile(r"@font-face\{[^}]*fa-solid-900\.woff2[^}]*\}")
_PRELOAD = re.compile(r'\s*<link rel="preload" as="font"[^>]*>')
_DEPRECATED = 'role="doc-biblioentry"'


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx-mathjax-offline")  # copies MathJax into _static/mathjax
    app.config.mathjax_path = "mathjax/tex-svg.js"
    app.connect("html-page-context", drop_deprecated_roles)
    app.connect("build-finished", embed_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_deprecated_roles(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """docutils gives citations a role that WAI-ARIA has since withdrawn."""
    if "body" in context:
        context["body"] = context["body"].replace(_DEPRECATED, 'role="listitem"')


def embed_icons(app: Sphinx, exception: Exception | None) -> None:
    """The icon font into its style sheet, and no page fetches a font file early.

    Of the fonts in that sheet only the solid icons are used from CSS, under the family's present
    name; all others are drawn by a script.
    """
    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for sheet in out.glob("_static/vendor/fontawesome/*/css/*.css"):
        text = sheet.read_text(encoding="utf-8")
        sheet.write_text(_FACE.sub(lambda face: _embedded(sheet, face[0]), text), encoding="utf-8")
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if _PRELOAD.search(text):
            page.write_text(_PRELOAD.sub("", text), encoding="utf-8")


def _embedded(sheet: Path, face: str) -> str:
    if "6 Free" not in face:
        return ""
    font = base64.b64encode((sheet.parent / "../webfonts/fa-solid-900.woff2").read_bytes()).decode()
    return re.sub(r"src:[^}]*", f"src:url(data:font/woff2;base64,{font})", face)
