"""The colours of all pictures, and what each stands for.

On the book's pages they are CSS variables (`--minitx-q` …), which `book/_static/custom.css` sets
for the light and for the dark theme; anywhere else the fallback beside the variable is seen, on a
light ground of the picture's own. A colour never stands alone: a letter or a hatch says the same.
"""

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
