"""A plot as a part of a page: in the page's colours and letters, formulas as text to be read."""

import re
from itertools import groupby, pairwise

from minitx.viz.colours import PLOTS

# What a cell of a chapter may have said in words: black, gray.
_WORDS = {"#000000": "#14181e", "#808080": "#5a6472"}
_COLOUR = re.compile(r"\b(fill|stroke): ?(#[0-9a-fA-F]{6})\b")
_LETTERS = re.compile(r"'?DejaVu Sans[^;\"]*")  # those that matplotlib brings along
_PAGES_LETTERS = "var(--pst-font-family-base, sans-serif)"
_FORMULA = re.compile(r"<text>\s*((?:<tspan [^>]*>[^<]*</tspan>\s*)+)</text>")
_GLYPH = re.compile(r'<tspan x="([-\d.]+)" y="([-\d.]+)" style="([^"]*)">([^<]*)</tspan>')


def on_the_page(svg: str) -> str:
    """A plot's SVG with the page's letters and the book's variables for its colours.

    Colours that no variable stands for stay.

    >>> on_the_page('<path style="fill: #0067a6; stroke: #123456"/>')
    '<path style="fill: var(--minitx-q, #0067a6); stroke: #123456"/>'
    """
    svg = _FORMULA.sub(_in_one_line, svg)
    return _COLOUR.sub(_variable, _LETTERS.sub(_PAGES_LETTERS, svg))


def _variable(found: re.Match[str]) -> str:
    colour = found[2].lower()
    name = PLOTS.get(_WORDS.get(colour, colour))
    return f"{found[1]}: var({name}, {colour})" if name else found[0]


def _in_one_line(formula: re.Match[str]) -> str:
    """matplotlib places every glyph by the widths of its own letters, in the order of their styles.

    Here they are one line again, around the same middle, raised and lowered as they were. What
    stands one above the other, as in a fraction, stays as it is.
    """
    glyphs = sorted(
        (float(x), float(y), style, glyph) for x, y, style, glyph in _GLYPH.findall(formula[1])
    )
    places = [x for x, *_ in glyphs]
    complete = len(glyphs) == formula[1].count("<tspan")
    if not complete or any(b - a < 1 for a, b in pairwise(places)):
        return formula[0]
    size = re.search(r"font-size: ([\d.]+)px", glyphs[-1][2])
    end = places[-1] + 0.6 * float(size[1] if size else 12)
    height, runs = glyphs[0][1], []
    for (y, style), run in groupby(glyphs, key=lambda glyph: glyph[1:3]):
        moved = f' dy="{y - height:.2f}"' if y != height else ""
        runs += [f'<tspan{moved} style="{style}">{"".join(glyph for *_, glyph in run)}</tspan>']
        height = y
    place = f'x="{end / 2:.2f}" y="{glyphs[0][1]:.2f}" text-anchor="middle"'
    return f"<text {place}>{''.join(runs)}</text>"
