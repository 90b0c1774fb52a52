"""What a drawing shows, read off its SVG again: words, boxes, lines."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing):
    """All words, line by line, in the order in which they are drawn."""
    root = ElementTree.fromstring(drawing.svg())
    return ["".join(tag.itertext()) for tag in root.iter(f"{SVG}text")]


def has_in_order(shown, wanted):
    """Whether some texts stand one right after the other."""
    return any(shown[i : i + len(wanted)] == wanted for i in range(len(shown)))


@dataclass(frozen=True)
class Rectangle:
    """A drawn box, and the first word in it."""

    x: float
    y: float
    width: float
    height: float
    strength: float
    lit: bool
    dashed: bool
    hatched: bool
    label: str


def rectangles(drawing):
    """All boxes; what fills the whole picture or hides what is below is none of them."""
    found = []
    for tag in list(ElementTree.fromstring(drawing.svg()))[2:]:
        at = tag.attrib
        if tag.tag == f"{SVG}rect" and "fill-opacity" in at and "stroke" in at:
            sizes = (float(at[name]) for name in ("x", "y", "width", "height"))
            found += [[*sizes, float(at["fill-opacity"]), "--minitx-lit" in at["fill"],
                       "stroke-dasharray" in at, False, ""]]  # fmt: skip
        elif found and tag.tag == f"{SVG}path" and at.get("stroke-opacity") == "0.55":
            found[-1][7] = True
        elif found and tag.tag == f"{SVG}text" and not found[-1][8]:
            x, y, wide, high = found[-1][:4]
            if x <= float(at["x"]) <= x + wide and y <= float(at["y"]) <= y + high:
                found[-1][8] = "".join(tag.itertext())
    return [Rectangle(*each) for each in found]


def polylines(drawing):
    """The corners of each line that is straight from point to point; heads of arrows are none."""
    return [
        [tuple(map(float, point.split(","))) for point in path.split(" L")]
        for path in re.findall(r'<path d="M([-\d.,]+(?: L[-\d.,]+)+)"', drawing.svg())
    ]


def arrow_tips(drawing):
    """Where each arrow ends."""
    tips = re.findall(r'<path d="M([-\d.]+),([-\d.]+) L[^"]* Z" fill', drawing.svg())
    return [(float(x), float(y)) for x, y in tips]
