"""The map of the book: every part there, lit or not, and links only to pages that exist."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minitx.viz import drawings
from minitx.viz.colours import LIT
from minitx.viz.drawings.book_map import CHAPTERS, PARTS, parts_of

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
HIGHEST = 300 / 1.2  # of a chapter's small map: drawings are shown at 1.2 times their size


def texts(drawing):
    return ["".join(tag.itertext()) for tag in root(drawing).iter(f"{SVG}text")]


def root(drawing):
    return ElementTree.fromstring(drawing.svg())


def addresses(drawing):
    return [tag.attrib["href"] for tag in root(drawing).iter(f"{SVG}a")]


def test_the_pages_are_those_of_the_book():
    contents = (ROOT / "book/_toc.yml").read_text(encoding="utf-8")
    pages = {*re.findall(r"^      - file: book/(\d\d_\w+)\.ipynb$", contents, re.MULTILINE)}
    assert {page for _, page in CHAPTERS.values() if page} == pages
    assert all(page.startswith(f"{n:02d}_") for n, (_, page) in CHAPTERS.items() if page)


def test_every_chapter_has_a_part():
    assert {*PARTS.values()} == {*CHAPTERS} == {*range(1, 9)}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_on_the_map_and_can_be_lit(part):
    assert drawings.transformer().svg().count(LIT) == 0
    plain, lit = drawings.transformer(), drawings.transformer([part])
    times = lit.svg().count(LIT)
    assert times == {"embedding": 2, "positions": 2, "feed-forward": 2, "output": 2,
                     "add-and-norm": 5}.get(part, 1)  # fmt: skip
    assert texts(plain) == texts(lit)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_small_map_lights_the_chapter(chapter):
    drawing = drawings.you_are_here(chapter)
    assert drawing.svg().count(LIT) >= 1
    assert drawing.height <= HIGHEST
    assert f"chapter {chapter}" in drawing.title
    assert all(name.replace("-", " ") in drawing.alt for name in parts_of(chapter))
    assert texts(drawing).count(str(chapter)) == drawing.svg().count(LIT)


def test_what_is_not_lit_steps_back_without_getting_pale():
    svg = drawings.transformer(["heads"]).svg()
    assert "opacity" not in svg
    assert len(re.findall(r'<text[^>]*font-weight="700"[^>]*>several heads<', svg)) == 1


def test_links_lead_to_written_chapters_and_nowhere_else():
    assert addresses(drawings.transformer()) == []
    for here, drawing in ((None, drawings.transformer(linked=True)), (2, drawings.you_are_here(2))):
        found = addresses(drawing)
        wanted = {f"{page}.html" for n, (_, page) in CHAPTERS.items() if page and n != here}
        assert {*found} == wanted
        unwritten = sum(CHAPTERS[int(t)][1] is None for t in texts(drawing) if t.isdigit())
        assert drawing.svg().count("(being written)</title>") == unwritten
        assert root(drawing).attrib["role"] == "group"
    names = [tag.attrib["aria-label"] for tag in root(drawings.you_are_here(1)).iter(f"{SVG}a")]
    assert "masked self-attention: chapter 2, self-attention" in names


def test_the_decoder_reads_the_last_layer_in_all_its_layers():
    """One arrow of keys and one of values into the first layer, one into each of five others."""
    svg = drawings.transformer().svg()
    heads = re.findall(r'd="M250,([\d.]+) L[^"]*Z"', svg)
    assert len(heads) == 5 + 2


def test_refusals():
    with pytest.raises(ValueError, match=r"lit must name parts of the map, .*; got \['softmax'\]"):
        drawings.transformer(["softmax"])
    with pytest.raises(ValueError, match=r"chapter must be one of \[1, .*8\], got 9"):
        drawings.you_are_here(9)
