"""Makes the built book whole without a network, also where its pages are opened from a disk.

Browsers refuse font files to such pages. So MathJax comes from the book itself as one script that
draws SVG and holds every TeX package it may need, and the icon font is written into its style
sheet.
"""

import base64
import re
import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

_FACE = re.compile(r"@font-face\{[^}]*fa-solid-900\.woff2[^}]*\}")
_PRELOAD = re.compile(r'\s*<link rel="preload" as="font"[^>]*>')
_DEPRECATED = 'role="doc-biblioentry"'
# One script of 2.3 MB, of the 24 MB that the package holds.
_MATHJAX = Path("mathjax/tex-svg-full.js")


def setup(app: Sphinx) -> dict[str, bool]:
    app.config.mathjax_path = _MATHJAX.as_posix()
    # Without the menu no formula asks for another script, and none is a stop of the tab key.
    app.config.mathjax3_config = {"options": {"enableMenu": False}}
    app.connect("html-page-context", drop_deprecated_roles)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", embed_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_deprecated_roles(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """docutils gives citations a role that WAI-ARIA has since withdrawn."""
    if "body" in context:
        context["body"] = context["body"].replace(_DEPRECATED, 'role="listitem"')


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """The one script that the pages name."""
    if exception is not None or app.builder.format != "html":
        return
    package = find_spec("sphinx-mathjax-offline")
    assert package is not None and package.origin is not None
    target = Path(app.outdir, "_static", _MATHJAX)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(package.origin).parent / "static" / _MATHJAX, target)


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
        embed = partial(_embedded, sheet.parent)
        sheet.write_text(_FACE.sub(embed, text), encoding="utf-8")
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if _PRELOAD.search(text):
            page.write_text(_PRELOAD.sub("", text), encoding="utf-8")


def _embedded(folder: Path, face: re.Match[str]) -> str:
    if "6 Free" not in face[0]:
        return ""
    font = base64.b64encode((folder / "../webfonts/fa-solid-900.woff2").read_bytes()).decode()
    return re.sub(r"src:[^}]*", f"src:url(data:font/woff2;base64,{font})", face[0])
