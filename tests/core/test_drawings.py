"""Every drawing: well formed, legible on a phone, no word over another or outside."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont

from minitx.measure import path_length
from minitx.viz import Drawing, drawings
from minitx.viz.colours import INK, LIT, ROLES
from minitx.viz.drawings import layers
from minitx.viz.svg import FONT, WIDEST, Box, arrow, bracket, curve, elbow, grid, group, link, text

SVG = "{http://www.w3.org/2000/svg}"
PHONE = 327  # pixels of a column 375 wide
SMALLEST = 11  # pixels of a letter there; raised and lowered ones may be smaller
SMALLEST_SCRIPT = 8
# DejaVu Sans is wider than what browsers use: what fits in it fits.
FONTS = Path(matplotlib.get_data_path(), "fonts/ttf")


@cache
def width(words: str, size: float, bold: bool) -> float:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(FONTS / name), 100).getlength(words) * size / 100


@dataclass(frozen=True)
class Place:
    """Where a text stands, a little less than its letters' height."""

    words: str
    left: float
    right: float
    top: float
    bottom: float

    def meets(self, other: "Place") -> bool:
        return (
            self.left < other.right and other.left < self.right
            and self.top < other.bottom and other.top < self.bottom
        )  # fmt: skip


def pieces(tag: ElementTree.Element) -> Iterator[tuple[str, float]]:
    """The words of a text and their size, run by run."""
    size = float(tag.attrib["font-size"])
    yield tag.text or "", size
    for run in tag:
        yield run.text or "", float(run.attrib.get("font-size", size))
        yield run.tail or "", size


def place(tag: ElementTree.Element) -> Place:
    bold = tag.attrib.get("font-weight") == "700"
    long = sum(width(words, size, bold) for words, size in pieces(tag))
    size, x, y = (float(tag.attrib[name]) for name in ("font-size", "x", "y"))
    left = x - long * {"start": 0, "middle": 0.5, "end": 1}[tag.attrib.get("text-anchor", "start")]
    words = "".join(tag.itertext())
    return Place(words, left, left + long, y - 0.74 * size, y + 0.2 * size)


@cache
def theme(name: str) -> dict[str, str]:
    """The book's variables and their colours on one theme."""
    css = (Path(__file__).resolve().parents[2] / "book/_static/custom.css").read_text("utf-8")
    block = re.search(rf'data-theme="{name}"\] \{{(.*?)\n}}', css, re.S)
    assert block
    return dict(re.findall(r"(--minitx-[\w-]+): (#\w{6});", block[1]))


def faint(root: ElementTree.Element) -> Iterator[str]:
    """Words that do not stand out from the boxes they stand on, on either theme."""
    for name in ("light", "dark"):
        colours = theme(name)
        drawn: list[tuple[float, float, float, float, str, float]] = []
        for tag in root.iter():
            at = tag.attrib
            if tag.tag == f"{SVG}rect" and "fill-opacity" in at:
                x, y, wide, high = (float(at[side]) for side in ("x", "y", "width", "height"))
                drawn.append((x, y, x + wide, y + high, at["fill"], float(at["fill-opacity"])))
            if tag.tag == f"{SVG}text":
                here = place(tag)
                x, y = (here.left + here.right) / 2, (here.top + here.bottom) / 2
                ground = colours["--minitx-paper"]
                for left, top, right, bottom, colour, strength in drawn:
                    if left < x < right and top < y < bottom:
                        ground = mixed(ground, shown(colour, colours), strength)
                found = contrast(shown(at["fill"], colours), ground)
                if found < 4.5:
                    yield f"{here.words!r} has a contrast of {found:.1f} on the {name} theme"


def shown(colour: str, colours: dict[str, str]) -> str:
    name = re.match(r"var\((--[\w-]+),", colour)
    return colours[name[1] if name else "--minitx-ink"]


def mixed(ground: str, colour: str, strength: float) -> str:
    pairs = ((int(c[i : i + 2], 16) for c in (ground, colour)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + strength * (b - a)):02x}" for a, b in pairs)


def faults(drawing: Drawing) -> list[str]:
    """What is wrong with a drawing, in words."""
    root = ElementTree.fromstring(drawing.svg())
    found = []
    if not drawing.title.strip() or len(drawing.alt.split()) < 8:
        found.append("the alternative text says too little")
    texts = list(root.iter(f"{SVG}text"))
    for tag in texts:
        for i, (words, size) in enumerate(pieces(tag)):
            shown = size * PHONE / drawing.width
            if words.strip() and shown < (SMALLEST if i % 2 == 0 else SMALLEST_SCRIPT):
                found.append(f"{words!r} is {shown:.1f} px high on a phone")
    places = [place(tag) for tag in texts]
    for each in places:
        inside = each.left >= 0 and each.right <= drawing.width
        if not inside or each.top < 0 or each.bottom > drawing.height:
            found.append(f"{each.words!r} leaves the drawing")
    for one, other in combinations(places, 2):
        if one.meets(other):
            found.append(f"{one.words!r} over {other.words!r}")
    for tag in root.iter():
        for name in ("fill", "stroke"):
            colour = tag.attrib.get(name, "none")
            if not re.fullmatch(
                r"none|currentColor|var\(--[\w-]+, #\w{6}\)|url\(#[\w-]+\)", colour
            ):
                found.append(f"{name} {colour} is the same on every theme")
    found += faint(root)
    ids = [tag.attrib["id"] for tag in root.iter() if "id" in tag.attrib]
    named = re.findall(r"url\(#([\w-]+)\)", drawing.svg())
    named += root.attrib["aria-labelledby"].split()
    if len(set(ids)) != len(ids) or not set(named) <= set(ids):
        found.append("ids are double or missing")
    return found


ARGUMENTS = {"you_are_here": (2,), "mistake_pair": ([0.5, 0.5], [0.5, 1.0])}


def drawn(name):
    return getattr(drawings, name)(*ARGUMENTS.get(name, ()))


@pytest.mark.parametrize("name", drawings.__all__)
def test_a_drawing_can_be_read(name):
    assert faults(drawn(name)) == []


@pytest.mark.parametrize("name", drawings.__all__)
def test_a_drawing_is_the_same_twice(name):
    assert drawn(name).svg() == drawn(name).svg()


def a_drawing(*parts, width=300, alt="A box with a word in it, and nothing beside it.", title="A"):
    return Drawing(title, alt, width, 100, parts)


WRONG = {
    "too small": (a_drawing(text(150, 50, "ab", size=10)), "'ab' is 10.9 px high on a phone"),
    "too wide": (a_drawing(text(50, 50, "ab"), width=420), "'ab' is 10.9 px high on a phone"),
    "outside": (a_drawing(text(2, 50, "abc")), "'abc' leaves the drawing"),
    "below": (a_drawing(text(50, 97, "abc")), "'abc' leaves the drawing"),
    "over": (a_drawing(text(50, 50, "ab"), text(60, 55, "cd")), "'ab' over 'cd'"),
    "silent": (a_drawing(alt="A box."), "the alternative text says too little"),
    "nameless": (a_drawing(title=" "), "the alternative text says too little"),
    "black": (a_drawing('<path d="M0,0" fill="#000"/>'), "fill #000 is the same on every theme"),
    "faint": (
        a_drawing(Box(50, 20, 90, 40, "ab", fill=0.8)),
        "'ab' has a contrast of 1.9 on the light theme",
    ),
    "a hatch from nowhere": (
        a_drawing('<path d="M0,0" fill="url(#dots)"/>'), "ids are double or missing"
    ),
    "one id twice": (a_drawing('<g id="a"/><g id="a"/>'), "ids are double or missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_planted_fault_is_found(case):
    drawing, wanted = WRONG[case]
    assert wanted in faults(drawing)


def test_the_drawn_paths_are_as_long_as_the_measured_ones():
    """The chapter shows the drawing and, below it, a table of `measure.path_length`."""
    drawn = {kind: layers.shortest_path(14, reach) for kind, reach in layers.KINDS.items()}
    assert all(path[0] == 0 and path[-1] == 13 for path in drawn.values())
    table = path_length.table(sizes=(14,))
    assert [len(path) - 1 for path in drawn.values()] == [row[1] for row in table.rows]


def test_letters_of_the_usual_size_fit_the_widest_drawing():
    assert FONT * PHONE / WIDEST >= SMALLEST


def test_all_parts_together_are_well_formed():
    box = Box(10, 10, 60, 30, "h_{t-1}\nx < y", role="q", fill=0.2, hatch=True, dashed=True)
    parts = [
        box, arrow(box.right, (150, 25)), elbow(box.bottom, (150, 80)), curve((0, 0), (9, 9)),
        bracket((200, 20), (200, 80), side="right", label="*a*"), group(grid(80, 90, [["1"]])),
        link("page.html?a=1&b=2", 'a "name"', text(250, 80, "x^2")),
    ]  # fmt: skip
    drawing = Drawing("All < parts", "Every part there is, once, and an & for good measure.",
                      300, 130, parts)  # fmt: skip
    assert faults(drawing) == []
    root = ElementTree.fromstring(drawing.svg())
    assert root.attrib["role"] == "group"  # links in it can be reached
    assert root.find(f"{SVG}title").text == "All < parts"
    assert root.find(f"{SVG}desc").text == drawing.alt
    words = {"".join(tag.itertext()) for tag in root.iter(f"{SVG}text")}
    assert words == {"ht-1", "x < y", "a", "1", "x2"}


def test_a_script_is_followed_by_the_line():
    """What comes after a lowered letter stands on the line again."""
    root = ElementTree.fromstring(text(0, 0, "a_{ij} b^2", size=10))
    shifts = [float(run.attrib.get("dy", 0)) for run in root]
    assert shifts == [2.8, -2.8, -3.5]
    assert sum(shifts[:2]) == 0


def test_a_name_of_the_code_keeps_its_underscore():
    root = ElementTree.fromstring(text(0, 0, r"self\_attention of x_{tgt}"))
    assert root.text == "self_attention of x"
    assert [run.text for run in root] == ["tgt"]


@pytest.mark.parametrize("role", ROLES)
def test_a_hatch_fills_its_box_and_no_more(role):
    """It is drawn as lines: Chromium prints a pattern as pixels."""
    drawing = str(Box(10, 21, 61, 30, role=role, hatch=True))
    path = re.search(r'<path d="([^"]*)"', drawing)[1]
    x, y = [], []
    for command, numbers in re.findall(r"([MLHV])([-\d.,]+)", path):
        values = [float(number) for number in numbers.split(",")]
        x += values[:1] if command != "V" else []
        y += values[-1:] if command != "H" else []
    assert 10 <= min(x) <= 18 and 63 <= max(x) <= 71
    assert 21 <= min(y) <= 29 and 43 <= max(y) <= 51


def test_hatches_are_told_apart():
    boxes = [str(Box(0, 0, 40, 40, role=role, hatch=True)) for role in ROLES]
    assert len({re.search(r'<path d="([^"]*)"', box)[1] for box in boxes}) == len(ROLES)


def test_arrows_end_where_they_are_told():
    for drawn in (arrow((0, 0), (30, 40)), elbow((0, 0), (30, 40)), curve((0, 0), (30, 40))):
        assert re.search(r'd="M30,40 L[^"]* Z" fill="currentColor"', drawn)


def test_colours_stand_out_on_the_picture_s_own_ground():
    for colour in (INK, *ROLES.values()):
        assert contrast(colour[-8:-1], "#fcfcfc") >= 4.5, colour
    assert contrast(INK[-8:-1], LIT[-8:-1]) >= 4.5


def contrast(one: str, other: str) -> float:
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_what_you_need_is_drawn_with_the_numbers_of_its_page() -> None:
    words = drawings.dot_products().alt
    for name, product in {
        "honey (3, 0)": "6",
        "lemon (0, 3)": "−3",
        "lemonade (2, 2)": "2",
    }.items():
        assert f"{name} has dot product {product}" in words
    words = drawings.training_step().alt
    assert "At w = 1 it is 16, and its slope is −16" in words  # d/dw (2w - 6)² = 4 (2w - 6)
    assert "leads to w = 2.6, where the loss is 0.64" in words
