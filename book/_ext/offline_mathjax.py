"""MathJax served from the book itself, as one script that draws SVG.

SVG rather than web fonts: browsers refuse fonts to pages opened straight from a disk.
"""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx-mathjax-offline")  # copies MathJax into _static/mathjax
    app.config.mathjax_path = "mathjax/tex-svg.js"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
