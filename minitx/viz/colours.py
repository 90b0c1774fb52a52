"""The colours of all pictures, and what each stands for.

On the book's pages they are CSS variables (`--minitx-q` …), which `book/_static/custom.css` sets
for the light and for the dark theme; anywhere else the fallback beside the variable is seen, on a
light ground of the picture's own. A colour never stands alone: a letter or a hatch says the same.
"""

import re
from typing import Literal

Role = Literal["q", "k", "v", "score", "ink"]

# Dark enough for letters on white paper (contrast of 4.5 and more).
INK = "var(--minitx-ink, #14181e)"
GROUND = "var(--minitx-ground, #fcfcfc)"  # none on the book's pages: the page itself is the ground
PAPER = "var(--minitx-paper, #fcfcfc)"  # around letters that stand on a hatch
QUERY = "var(--minitx-q, #0067a6)"
KEY = "var(--minitx-k, #a84600)"
VALUE = "var(--minitx-v, #006f55)"
LIT = "var(--minitx-lit, #ffe08a)"  # behind what stands out, as by a marker; ink lies on it
SCORE = "var(--minitx-score, #5a6472)"

ROLES: dict[Role, str] = {"q": QUERY, "k": KEY, "v": VALUE, "score": SCORE, "ink": INK}

# What a plot is drawn in, and the variable that stands for it on the book's pages.
PLOTS = {
    "#14181e": "--minitx-ink",
    "#fcfcfc": "--minitx-ground",
    "#0067a6": "--minitx-q",
    "#a84600": "--minitx-k",
    "#006f55": "--minitx-v",
    "#5a6472": "--minitx-score",
    "#a3478a": "--minitx-rose",
    "#7a5c00": "--minitx-ochre",
    "#dddddd": "--minitx-grid",
    "#aab1bb": "--minitx-hatch",
    "#3f86c9": "--minitx-amount",
    "#d97b29": "--minitx-debt",
}
# What a cell of a chapter may have said in words.
_WORDS = {"#000000": "#14181e", "#808080": "#5a6472"}
_LETTERS = re.compile(r"'?DejaVu Sans[^;\"]*")  # those that matplotlib brings along
_COLOUR = re.compile(r"\b(fill|stroke): ?(#[0-9a-fA-F]{6})\b")


def on_the_page(svg: str) -> str:
    """A plot's SVG with the page's letters and the book's variables for its colours.

    Colours that no variable stands for stay.

    >>> on_the_page('<path style="fill: #0067a6; stroke: #123456"/>')
    '<path style="fill: var(--minitx-q, #0067a6); stroke: #123456"/>'
    """

    def variable(found: re.Match[str]) -> str:
        colour = found[2].lower()
        name = PLOTS.get(_WORDS.get(colour, colour))
        return f"{found[1]}: var({name}, {colour})" if name else found[0]

    return _COLOUR.sub(variable, _LETTERS.sub("var(--pst-font-family-base, sans-serif)", svg))
