"""A picture that moves: a translator looks from word to word while it writes."""

from collections.abc import Sequence
from typing import Any

from minitx.viz.colours import LIT
from minitx.viz.svg import Box, Drawing, Part, line, text
from minitx.viz.values import as_table, require_weights

# What `minitx train german` learns from seed 0, without the weights of the sentence's end.
SOURCE = ("fünf", "hundert", "vier", "und", "zwanzig")
TARGET = ("five", "hundred", "twenty", "four")
WEIGHTS = (
    (0.947, 0.010, 0.034, 0.002, 0.006),
    (0.040, 0.390, 0.223, 0.267, 0.060),
    (0.000, 0.000, 0.001, 0.013, 0.986),
    (0.005, 0.006, 0.975, 0.009, 0.005),
)
STEP, REST = 1.8, 3.0  # seconds for a word, and at the end for all of them
FAINTEST = 0.03  # weights below are not drawn


def translation_in_motion(
    weights: Any = WEIGHTS,
    source: Sequence[str] = SOURCE,
    target: Sequence[str] = TARGET,
    *,
    read: str = "German, read",
    written: str = "English, written",
) -> Drawing:
    """Words read above, words written below, one after the other, each with its weights as lines.

    It moves on a screen, unless the reader has asked for less motion; it can be stopped. On paper,
    and wherever nothing moves, all words and lines are there at once.

    Args:
        weights: (T_tgt, T_src), a row of attention weights for each word written.
        source: up to five words that were read.
        target: up to five words that were written.
        read: what stands above, at the left.
        written: what stands below, at the left.

    Raises:
        ValueError: if weights is no table of weights, or the words do not match its sizes.
    """
    table = as_table("weights", weights)
    require_weights(table)
    for what, words, size in (("source", source, table.shape[1]), ("target", target, len(table))):
        if len(words) != size or size > 5:
            raise ValueError(f"{what} must be {size} words, at most 5, got {len(words)}")
    above, below, high = 34.0, 188.0, 30.0
    parts: list[Part] = [_style(len(target))]
    parts += [text(4, 14, read, role="k", anchor="start")]
    parts += [text(4, below + high + 20, written, role="q", anchor="start")]
    here, there = _columns(len(source)), _columns(len(target))
    for x, word in zip(here, source, strict=True):
        parts += [Box(x - WIDE / 2, above, WIDE, high, word, "k", fill=0.1)]
    for i, (x, word) in enumerate(zip(there, target, strict=True)):
        lines: list[Part] = []
        marked: list[Part] = []
        for j, weight in enumerate(table[i]):
            if weight < FAINTEST:
                continue
            start, end = (here[j], above + high + 3), (x, below - 3)
            lines += [line(start, end, role="v", width=1 + 8 * float(weight))]
            marked += [
                f'<rect x="{here[j] - WIDE / 2 - 4:g}" y="{above - 4:g}" width="{WIDE + 8:g}" '
                f'height="{high + 8:g}" rx="7" stroke="{LIT}" '
                f'stroke-width="{1 + 6 * float(weight):.1f}"/>'
            ]
        parts += [_moving(f"line-{i}", lines), _moving(f"mark-{i}", marked, hidden=True)]
        parts += [_moving(f"word-{i}", [Box(x - WIDE / 2, below, WIDE, high, word, "q", fill=0.1)])]
    parts += [_PAUSE]
    strongest = [
        f"{word} from {source[int(row.argmax())]} ({row.max():.2f})"
        for word, row in zip(target, table, strict=True)
    ]
    alt = (
        f"A translation word by word, from {' '.join(source)} to {' '.join(target)}. Lines from "
        f"the words read to each word written are as thick as its attention weights; the "
        f"strongest: {', '.join(strongest)}."
    )
    return Drawing("A translation in motion", alt, 416, below + high + 36, parts)


WIDE = 72.0  # of a word


def _columns(count: int) -> list[float]:
    pitch = 416 / count
    return [pitch * (i + 0.5) for i in range(count)]


def _moving(name: str, parts: Sequence[Part], *, hidden: bool = False) -> str:
    still = ' opacity="0"' if hidden else ""
    inside = "".join(map(str, parts))
    return f'<g class="minitx-move" style="animation-name:minitx-{name}"{still}>{inside}</g>'


def _style(steps: int) -> str:
    """When each word, its lines and its marks are seen, in parts of one round."""
    round_ = steps * STEP + REST
    rules = [
        f"@media screen and (prefers-reduced-motion:no-preference)"
        f"{{.minitx-move{{animation:{round_:g}s linear infinite}}"
        f".minitx-picture .minitx-pause{{display:block}}}}",
        ".minitx-pause{display:none}",
        "svg:has(.minitx-pause :checked) .minitx-move{animation-play-state:paused}",
    ]
    end = 100 * steps * STEP / round_
    for i in range(steps):
        start, stop = (100 * (i + k) * STEP / round_ for k in (0, 1))
        on, off = start + 3, stop - 2
        rules += [
            f"@keyframes minitx-line-{i}{{0%,{start:.1f}%{{opacity:0}}{on:.1f}%,{off:.1f}%"
            f"{{opacity:1}}{min(stop, end - 1):.1f}%,{end:.1f}%{{opacity:.2}}"
            f"{end + 3:.1f}%,100%{{opacity:1}}}}",
            f"@keyframes minitx-mark-{i}{{0%,{start:.1f}%{{opacity:0}}{on:.1f}%,{off:.1f}%"
            f"{{opacity:1}}{stop:.1f}%,100%{{opacity:0}}}}",
            f"@keyframes minitx-word-{i}{{0%,{on + 3:.1f}%{{opacity:0}}{on + 7:.1f}%,100%"
            f"{{opacity:1}}}}",
        ]
    return f"<style>{''.join(rules)}</style>"


_PAUSE = (
    '<foreignObject class="minitx-pause" x="316" y="0" width="100" height="28">'
    '<label xmlns="http://www.w3.org/1999/xhtml" style="display:flex;gap:6px;'
    'align-items:center;justify-content:flex-end;margin:0;font-size:14px">'
    '<input type="checkbox"/>pause</label></foreignObject>'
)
