"""Plots and drawings stand in the page itself, named, legible on a phone, in the page's colours."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Page

from minitx import viz
from minitx.viz import drawings

ROOT = Path(__file__).resolve().parents[2]
PHONE = 327  # pixels of a column there
PICTURE = "svg.minitx-picture"


@pytest.fixture(scope="module")
def pictures() -> Any:
    """The extension, which is no part of the package."""
    sys.path.insert(0, str(ROOT / "book/_ext"))
    try:
        import pictures

        return pictures
    finally:
        sys.path.remove(str(ROOT / "book/_ext"))


def a_plot(folder: Path) -> str:
    with viz.style(), plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "minitx"}):
        figure = viz.heat_table([[1.0, 2.0]], row_axis="query")
        figure.savefig(folder / "plot.svg", metadata={"Date": None})
    plt.close("all")
    return (folder / "plot.svg").read_text(encoding="utf-8")


# --- one picture -----------------------------------------------------------------------------


def test_a_plot_gets_the_page_s_colours_letters_and_words(pictures: Any, tmp_path: Path) -> None:
    svg = pictures.in_the_page(a_plot(tmp_path), 'Two cells, "1" & "2".', prefix="p-")
    root = BeautifulSoup(svg, "html.parser").svg
    assert root["role"] == "img" and root["aria-label"] == 'Two cells, "1" & "2".'
    assert "var(--minitx-amount, #3f86c9)" in svg and "var(--minitx-ink, #14181e)" in svg
    assert re.sub(r"var\([^)]*\)", "", svg).count("#14181e") == 0
    assert "DejaVu" not in svg and "<?xml" not in svg and "<metadata" not in svg
    assert {text.get_text() for text in root.find_all("text")} >= {"query", "1", "2"}


def test_a_formula_is_one_line_of_the_page_s_letters(pictures: Any, tmp_path: Path) -> None:
    """matplotlib writes italic letters last and places each by the widths of its own font."""
    with viz.style(), plt.rc_context({"svg.fonttype": "none"}):
        figure = viz.lines([1, 2], {"a": [1, 2]}, xlabel="width $d_k$ of $q$", ylabel="y")
        figure.axes[0].set_title(r"$\frac{1}{d}$")
        figure.savefig(tmp_path / "plot.svg")
    plt.close("all")
    svg = pictures.in_the_page((tmp_path / "plot.svg").read_text("utf-8"), "A.", prefix="p-")
    root = BeautifulSoup(svg, "html.parser")
    (line,) = [
        text
        for text in root.find_all("text")
        if text.get_text().replace("\xa0", " ") == "width dk of q"
    ]
    assert line["text-anchor"] == "middle" and not line.find_all("tspan", x=True)
    assert [float(run.get("dy", 0)) for run in line.find_all("tspan")] == [0, 0, 1.8, -1.8, 0]
    (fraction,) = [text for text in root.find_all("text") if text.get_text().strip() in "1 d, 1\nd"]
    assert fraction.find_all("tspan", x=True)


def test_a_plot_is_the_same_file_twice(tmp_path: Path) -> None:
    assert a_plot(tmp_path) == a_plot(tmp_path)


def test_the_words_of_the_cell_are_the_drawing_s(pictures: Any) -> None:
    source = drawings.lookup_bars().svg()
    own, other = (pictures.in_the_page(source, words, prefix="p-") for words in ("", "Bars < 1."))
    assert drawings.lookup_bars().alt in BeautifulSoup(own, "html.parser").desc.get_text()
    assert BeautifulSoup(other, "html.parser").desc.get_text() == "Bars < 1."


def test_ids_get_the_prefix_and_links_to_the_page_do_not(pictures: Any) -> None:
    source = (
        '<svg aria-labelledby="a b"><title id="a"></title><desc id="b"></desc><g id="unused"/>'
        '<pattern id="dots"/><rect fill="url(#dots)"/><use xlink:href="#dots"/>'
        '<a href="#section">x</a></svg>'
    )
    svg = pictures.in_the_page(source, "", prefix="p-")
    assert 'aria-labelledby="p-a p-b"' in svg and 'id="p-a"' in svg and 'id="p-b"' in svg
    assert 'id="p-dots"' in svg and "url(#p-dots)" in svg and 'xlink:href="#p-dots"' in svg
    assert 'href="#section"' in svg and "unused" not in svg


# --- the built pages -------------------------------------------------------------------------


def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def test_no_picture_is_a_file_of_its_own(each_page: Path) -> None:
    files = [image["src"] for image in soup(each_page).select(".cell_output img")]
    assert files == []


def test_every_picture_has_a_name_of_its_own(each_page: Path) -> None:
    page = soup(each_page)
    short = []
    for picture in page.select(PICTURE):
        ids = str(picture.get("aria-labelledby", "")).split()
        named = [page.find(id=name) for name in ids]
        words = picture.get("aria-label") or " ".join(tag.get_text() for tag in named if tag)
        if len(str(words).split()) < 5:
            short.append(str(picture)[:120])
    assert short == []


def test_no_id_stands_twice(each_page: Path) -> None:
    ids = Counter(
        tag["id"]
        for picture in soup(each_page).select(PICTURE)
        for tag in picture.find_all(id=True)
    )
    assert [name for name, times in ids.items() if times > 1] == []


def test_letters_are_11_pixels_high_on_a_phone(each_page: Path) -> None:
    small = []
    for picture in soup(each_page).select(PICTURE):
        wide = float(str(picture["viewbox"]).split()[2])
        for text in picture.find_all("text"):
            pixels = size(text) * min(1.0, PHONE / wide) if wide else 0.0
            if pixels < 11 and not is_power(text):
                small.append(f"{text.get_text()!r}: {pixels:.1f} px")
    assert small == []


def size(text: Tag) -> float:
    """Of the letters, in units of the picture; matplotlib says it in the style."""
    for tag in (text, *text.find_all("tspan")):
        found = re.search(r"font(?:-size)?: [^;]*?([\d.]+)px", str(tag.get("style", "")))
        if found:
            return float(found[1])
        if tag.has_attr("font-size"):
            return float(str(tag["font-size"]))
    return 0.0


def is_power(text: Tag) -> bool:
    """Whether the text is a formula, whose raised parts may be smaller."""
    return text.find("tspan") is not None


def test_the_code_of_a_figure_stands_below_it(each_page: Path) -> None:
    for fold in soup(each_page).select("details.below-figure"):
        before = fold.find_previous_sibling(class_="cell_output")
        assert before is not None and before.find("figure") is not None
        assert fold.summary.get_text() == "Code of this figure"
    assert soup(each_page).select(".cell:has(figure) > details.above-input") == []


# --- the drawings, in Chromium ----------------------------------------------------------------

WHERE = """() => [...document.querySelectorAll("svg")].map(svg => {
    const page = svg.getBoundingClientRect();
    const box = text => {
        const r = text.getBoundingClientRect();
        // A line box is higher than its letters.
        const spare = r.height * 0.17;
        return [text.textContent, r.left - page.left, r.top - page.top + spare,
                r.right - page.left, r.bottom - page.top - spare];
    };
    return {size: [page.width, page.height], texts: [...svg.querySelectorAll("text")].map(box)};
})"""


# Of the drawings that want some; they have more cases in tests/core.
ARGUMENTS: dict[str, Any] = {"you_are_here": (2,), "mistake_pair": ([0.5, 0.5], [0.5, 1.0])}


@pytest.fixture(scope="module")
def phone(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": PHONE, "height": 600})
    yield page
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("name", drawings.__all__)
def test_no_word_lies_over_another_or_outside(phone: Page, name: str) -> None:
    svg = getattr(drawings, name)(*ARGUMENTS.get(name, ())).svg()
    style = "body { margin: 0 } svg { display: block; width: 100%; height: auto }"
    phone.set_content(f"<style>{style}</style>{svg}")
    (drawn,) = phone.evaluate(WHERE)
    wide, high = drawn["size"]
    faults = []
    for i, (words, left, top, right, bottom) in enumerate(drawn["texts"]):
        if left < 0 or top < -1 or right > wide or bottom > high + 1:
            faults.append(f"{words!r} leaves the drawing")
        for other, left2, top2, right2, bottom2 in drawn["texts"][:i]:
            if left < right2 and left2 < right and top < bottom2 and top2 < bottom:
                faults.append(f"{words!r} over {other!r}")
    assert wide == PHONE and drawn["texts"] and faults == []


@pytest.mark.browser
def test_a_picture_follows_the_theme_and_is_dark_on_paper(phone: Page) -> None:
    css = (ROOT / "book/_static/custom.css").read_text(encoding="utf-8")
    phone.set_content(f"<style>{css}</style>{drawings.lookup_bars().svg()}")
    ink = "getComputedStyle(document.querySelector('svg')).color"
    seen = {}
    for theme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
        phone.emulate_media(media="print" if media == "print" else "screen")
        phone.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        seen[theme, media] = phone.evaluate(ink)
    phone.emulate_media(media="screen")
    assert seen["light", "screen"] == seen["dark", "print"] == "rgb(20, 24, 30)"
    assert seen["dark", "screen"] == "rgb(232, 235, 240)"
