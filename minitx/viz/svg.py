"""A small kit for schematic drawings: text, boxes, arrows and grids, written as SVG.

All parts are strings of SVG in absolute coordinates, x to the right and y down, so that what a
drawing holds can be read off it again; the tests do. A `Drawing` puts them on one page.

>>> cell = Box(10, 10, 60, 30, "h_{t-1}", role="v")
>>> Drawing("A state", "One box.", 100, 50, [cell, arrow(cell.right, (95, 25))]).svg()[:20]
'<svg xmlns="http://w'
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal, SupportsFloat, TypeAlias

from minitx.viz.colours import GROUND, INK, LIT, PAPER, ROLES, Role

FONT = 14.0  # in a drawing up to 416 wide, still 11 px high on a phone
WIDEST = 416  # 327 px, the column of a phone, times FONT / 11
LINE = 1.5
Number: TypeAlias = float | int  # beartype, which checks the tests, takes them apart
Point: TypeAlias = tuple[Number, Number]
Side: TypeAlias = Literal["left", "right", "top", "bottom"]

# The second sign of a colour, for who does not see it: which lines fill a box.
_HATCHES: dict[Role, str] = {"q": "/", "k": "\\", "v": "-", "score": "|", "ink": "/\\"}
_GAP = 8.0
_MARKUP = re.compile(r"\*([^*]+)\*|([_^])(?:\{([^}]*)\}|(.))|((?:\\.|[^*_^\\])+)")


@dataclass(frozen=True)
class Box:
    """A rectangle with a label in its middle, and the points where arrows meet it.

    Args:
        x: its left edge.
        y: its upper edge.
        width: to the right.
        height: down.
        label: in the middle, in the words of `text`; lines are parted by a line break.
        role: whose colour it has.
        fill: how strongly it is filled with that colour, from 0 to 1.
        hatch: fill it with the hatch of its role, too.
        lit: fill it as if by a marker, instead: it is what to look at.
        dashed: as a gap, or as something that is left out.
        radius: of its corners.
        size: of the label's letters.
        bold: whether the label is.
    """

    x: Number
    y: Number
    width: Number
    height: Number
    label: str = ""
    role: Role = "ink"
    fill: Number = 0.0
    hatch: bool = False
    lit: bool = False
    dashed: bool = False
    radius: Number = 4.0
    size: Number = FONT
    bold: bool = False

    @property
    def middle(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def left(self) -> Point:
        return self.x, self.middle[1]

    @property
    def right(self) -> Point:
        return self.x + self.width, self.middle[1]

    @property
    def top(self) -> Point:
        return self.middle[0], self.y

    @property
    def bottom(self) -> Point:
        return self.middle[0], self.y + self.height

    def __str__(self) -> str:
        where = (
            f'x="{_n(self.x)}" y="{_n(self.y)}" width="{_n(self.width)}" '
            f'height="{_n(self.height)}" rx="{_n(self.radius)}"'
        )
        colour = ROLES[self.role]
        edge = ' stroke-dasharray="4 3"' if self.dashed else ""
        ground, strength = (LIT, 1.0) if self.lit else (colour, self.fill)
        drawn = (
            f'<rect {where} fill="{ground}" fill-opacity="{_n(strength)}" stroke="{colour}" '
            f'stroke-width="{LINE}"{edge}/>'
        )
        if self.hatch:
            drawn += _hatch(self)
        x, y = self.middle
        rows = self.label.split("\n") if self.label else []
        for row, words in enumerate(rows):
            below = (row - (len(rows) - 1) / 2) * self.size * 1.25
            role: Role = self.role if strength <= 0.15 else "ink"
            drawn += text(
                x, y + below, words, role=role, size=self.size, bold=self.bold, halo=self.hatch
            )
        return drawn


Part: TypeAlias = str | Box


@dataclass(frozen=True)
class Drawing:
    """A drawing: one idea, legible on a phone, said in words as well.

    A notebook shows it as SVG. Where links or boxes to tick are in it, a screen reader finds them;
    otherwise it is one picture with a name and a description.

    Args:
        title: what it is, in a few words.
        alt: all it says, for who does not see it.
        width: at most 416, with letters of 14 points.
        height: whatever it needs.
        parts: what the functions of this module return.
    """

    title: str
    alt: str
    width: Number
    height: Number
    parts: Sequence[Part] = field(repr=False)

    def svg(self) -> str:
        """The whole of it as one `<svg>`; twice the same, byte for byte."""
        body = "".join(map(str, self.parts))
        name = re.sub(r"\W+", "-", self.title.lower()).strip("-")
        role = "group" if "<a " in body or "<input" in body else "img"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="minitx-drawing" role="{role}" '
            f'aria-labelledby="{name}-title {name}-words" '
            f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" '
            f'width="{_n(1.2 * self.width)}" height="{_n(1.2 * self.height)}" '
            f'font-family="var(--pst-font-family-base, sans-serif)" font-size="{_n(FONT)}" '
            f'color="{INK}" fill="none" stroke-linejoin="round" stroke-linecap="round">'
            f'<title id="{name}-title">{escape(self.title)}</title>'
            f'<desc id="{name}-words">{escape(self.alt)}</desc>'
            f'<rect width="100%" height="100%" fill="{GROUND}"/>{body}</svg>'
        )

    def _repr_svg_(self) -> str:
        return self.svg()


def text(
    x: Number,
    y: Number,
    words: str,
    *,
    role: Role = "ink",
    size: Number = FONT,
    anchor: Literal["start", "middle", "end"] = "middle",
    bold: bool = False,
    halo: bool = False,
) -> str:
    r"""Words in one line, y at half the height of its letters.

    `h_t` and `h_{t-1}` put what follows the mark below, `x^2` above; `*x*` is a letter of a
    formula; `\_` is the sign itself, in a name of the code. With `halo`, the paper's colour lies
    around the letters, for words on lines or hatches.

    >>> text(0, 0, "at", size=20)
    '<text x="0" y="7" fill="currentColor" font-size="20" text-anchor="middle">at</text>'
    """
    weight = ' font-weight="700"' if bold else ""
    around = f' paint-order="stroke" stroke="{PAPER}" stroke-width="5"' if halo else ""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    letters, raised = [], 0.0
    for italic, mark, several, one, plain in _MARKUP.findall(words):
        style, wanted = "", 0.0
        if italic:
            style = (
                " font-style=\"italic\" font-family=\"'STIX Two Text', 'Times New Roman', serif\""
            )
        elif mark:
            wanted = 0.28 * size if mark == "_" else -0.35 * size
            style = f' font-size="{_n(0.78 * size)}"'
        # `dy` moves all that follows, so that what comes after a script has to be moved back.
        if wanted != raised:
            style += f' dy="{_n(wanted - raised)}"'
            raised = wanted
        content = escape(italic or several or one or re.sub(r"\\(.)", r"\1", plain))
        letters.append(f"<tspan{style}>{content}</tspan>" if style else content)
    return (
        f'<text x="{_n(x)}" y="{_n(y + 0.35 * size)}" fill="{_ink(role)}" '
        f'font-size="{_n(size)}"{place}{weight}{around}>{"".join(letters)}</text>'
    )


def line(*points: Point, role: Role = "ink", width: Number = LINE, dashed: bool = False) -> str:
    """Straight from point to point."""
    path = "M" + " L".join(f"{_n(x)},{_n(y)}" for x, y in points)
    return _path(path, role, width, dashed)


def arrow(*points: Point, role: Role = "ink", width: Number = LINE, dashed: bool = False) -> str:
    """Straight from point to point, with a head at the last."""
    before, end = points[-2], points[-1]
    neck = _towards(end, before, _head(width) * 0.8)
    shaft = line(*points[:-1], neck, role=role, width=width, dashed=dashed)
    return shaft + _arrow_head(before, end, role, width)


def elbow(
    start: Point,
    end: Point,
    *,
    first: Literal["across", "down"] = "across",
    role: Role = "ink",
    width: Number = LINE,
    dashed: bool = False,
) -> str:
    """An arrow with one right angle."""
    corner = (end[0], start[1]) if first == "across" else (start[0], end[1])
    return arrow(start, corner, end, role=role, width=width, dashed=dashed)


def curve(
    start: Point,
    end: Point,
    *,
    bend: Number = 0.25,
    role: Role = "ink",
    width: Number = LINE,
    dashed: bool = False,
    head: bool = True,
) -> str:
    """An arc; bend is its height in parts of the distance, to the left of the way if positive."""
    (x0, y0), (x1, y1) = start, end
    across, down = x1 - x0, y1 - y0
    control = ((x0 + x1) / 2 + 2 * bend * down, (y0 + y1) / 2 - 2 * bend * across)
    stop = _towards(end, control, _head(width) * 0.8) if head else end
    path = f"M{_n(x0)},{_n(y0)} Q{_n(control[0])},{_n(control[1])} {_n(stop[0])},{_n(stop[1])}"
    tip = _arrow_head(control, end, role, width) if head else ""
    return _path(path, role, width, dashed) + tip


def shape(path: str, *, role: Role = "ink", fill: Number = 0.0, width: Number = LINE) -> str:
    """Any closed form, from the commands of an SVG path."""
    colour = _ink(role)
    return (
        f'<path d="{path}" fill="{colour}" fill-opacity="{_n(fill)}" stroke="{colour}" '
        f'stroke-width="{_n(width)}"/>'
    )


def dot(
    x: Number, y: Number, radius: Number = 4.0, *, role: Role = "ink", fill: Number = 1.0
) -> str:
    """A round point."""
    colour = _ink(role)
    return (
        f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{colour}" '
        f'fill-opacity="{_n(fill)}" stroke="{colour}" stroke-width="{LINE}"/>'
    )


def joint(x: Number, y: Number, sign: str = "+", radius: Number = 10.0) -> str:
    """A ring with a sign, where two ways meet."""
    return dot(x, y, radius, fill=0.0) + text(x, y, sign, size=max(FONT, 1.25 * radius), bold=True)


def plate(number: int, across: tuple[Number, Number], y: Number) -> str:
    """A number on one arrow, or on several beside each other from the first x to the second."""
    start, end = across
    where = f'x="{_n(start - 13)}" y="{_n(y - 13)}" width="{_n(end - start + 26)}"'
    ground = f'<rect {where} height="26" rx="13" fill="{LIT}" stroke="currentColor"'
    return f'{ground} stroke-width="2"/>' + text((start + end) / 2, y, str(number), bold=True)


def bracket(start: Point, end: Point, *, side: Side, label: str = "", role: Role = "ink") -> str:
    """A square bracket from start to end, with its label outside, on the given side."""
    depth = 6.0
    across, down = {
        "left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)
    }[side]  # fmt: skip
    (x0, y0), (x1, y1) = start, end
    a, b = (x0 + depth * across, y0 + depth * down), (x1 + depth * across, y1 + depth * down)
    drawn = line(start, a, b, end, role=role)
    if label:
        x, y = (a[0] + b[0]) / 2 + 6 * across, (a[1] + b[1]) / 2 + 12 * down
        anchor: Literal["start", "middle", "end"] = "middle"
        if across:
            anchor = "start" if across > 0 else "end"
        drawn += text(x, y, label, role=role, anchor=anchor)
    return drawn


def grid(
    x: Number,
    y: Number,
    labels: Sequence[Sequence[str]],
    *,
    cell: tuple[Number, Number] = (40, 28),
    role: Role = "score",
    fill: Sequence[Sequence[Number]] | None = None,
    hatch: Sequence[Sequence[bool]] | None = None,
    size: Number = FONT,
) -> list[Box]:
    """A matrix as cells, row by row, each with its label and its strength of colour."""
    wide, high = cell
    return [
        Box(
            x + j * wide, y + i * high, wide, high, label, role, radius=0, size=size,
            fill=fill[i][j] if fill is not None else 0.0,
            hatch=hatch[i][j] if hatch is not None else False,
        )
        for i, row in enumerate(labels)
        for j, label in enumerate(row)
    ]  # fmt: skip


def row(
    x: Number,
    y: Number,
    labels: Sequence[str],
    *,
    cell: tuple[Number, Number] = (64, 28),
    gap: Number = 6,
    role: Role = "ink",
    fill: Number = 0.12,
) -> list[Box]:
    """Boxes side by side, as the tokens of a text are.

    >>> [box.x for box in row(8, 0, ["a", "b"], cell=(50, 20), gap=4)]
    [8, 62]
    """
    wide, high = cell
    return [
        Box(x + i * (wide + gap), y, wide, high, label, role, fill=fill)
        for i, label in enumerate(labels)
    ]


def link(address: str, name: str, *parts: Part) -> str:
    """Parts that lead to another place; name is what a screen reader says."""
    inside = "".join(map(str, parts))
    return f'<a href="{escape(address)}" aria-label="{escape(name)}">{inside}</a>'


def signed(number: SupportsFloat, form: str = "g") -> str:
    """A number with a minus as wide as a plus, in the form of a format string.

    >>> signed(-1.25, ".1f")
    '−1.2'
    """
    return f"{number:{form}}".replace("-", "−")


def group(parts: Iterable[Part]) -> str:
    """Parts as one."""
    return f"<g>{''.join(map(str, parts))}</g>"


def _path(path: str, role: Role, width: Number, dashed: bool) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="{path}" stroke="{_ink(role)}" stroke-width="{_n(width)}"{dashes}/>'


def _arrow_head(before: Point, end: Point, role: Role, width: Number) -> str:
    """A triangle: markers would need ids and could not take the line's colour everywhere."""
    length = _head(width)
    x, y = _towards(end, before, length)
    across = math.hypot(end[0] - before[0], end[1] - before[1]) or 1.0
    side = 0.42 * length
    nx, ny = -(end[1] - before[1]) / across * side, (end[0] - before[0]) / across * side
    corners = [end, (x + nx, y + ny), (x - nx, y - ny)]
    path = "M" + " L".join(f"{_n(px)},{_n(py)}" for px, py in corners) + " Z"
    return f'<path d="{path}" fill="{_ink(role)}"/>'


def _head(width: Number) -> float:
    return 6.0 + 2.0 * width


def _towards(start: Point, end: Point, distance: Number) -> Point:
    (x0, y0), (x1, y1) = start, end
    share = distance / (math.hypot(x1 - x0, y1 - y0) or 1.0)
    return x0 + share * (x1 - x0), y0 + share * (y1 - y0)


def _hatch(box: Box) -> str:
    """Lines of one grid for the whole drawing; a pattern would be printed as pixels."""
    left, top, right, bottom = box.x, box.y, box.x + box.width, box.y + box.height
    path = ""
    for direction in _HATCHES[box.role]:
        if direction == "-":
            path += "".join(f"M{_n(left)},{_n(y)} H{_n(right)} " for y in _steps(top, bottom))
        elif direction == "|":
            path += "".join(f"M{_n(x)},{_n(top)} V{_n(bottom)} " for x in _steps(left, right))
        elif direction == "/":
            for total in _steps(left + top, right + bottom):
                x0, x1 = max(left, total - bottom), min(right, total - top)
                path += f"M{_n(x0)},{_n(total - x0)} L{_n(x1)},{_n(total - x1)} "
        else:
            for apart in _steps(left - bottom, right - top):
                x0, x1 = max(left, apart + top), min(right, apart + bottom)
                path += f"M{_n(x0)},{_n(x0 - apart)} L{_n(x1)},{_n(x1 - apart)} "
    return f'<path d="{path.rstrip()}" stroke="{_ink(box.role)}" stroke-opacity="0.55"/>'


def _steps(start: Number, stop: Number) -> list[float]:
    """The multiples of the gap between the two."""
    first, last = math.floor(start / _GAP) + 1, math.ceil(stop / _GAP)
    return [_GAP * step for step in range(first, last)]


def _ink(role: Role) -> str:
    return "currentColor" if role == "ink" else ROLES[role]


def _n(number: Number) -> str:
    """At most two digits after the point, the same everywhere."""
    short = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if short in ("-0", "") else short
