"""`make pdf`: every page of the book is in it, nothing is cut off, and the contents are right."""

import re
from pathlib import Path

import pytest

from minitx.authoring.pdf import in_order, make_pdf
from minitx.authoring.pdf_file import destinations
from tests.book.conftest import CHROMIUM, missing
from tests.book.pdf_text import text

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def printed(html: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if CHROMIUM is None:
        missing("needs Chromium: apt-get install chromium, or your system's way to it")
    out = tmp_path_factory.mktemp("pdf") / "minitx.pdf"
    total = make_pdf(html, out)
    assert total == len(text(out.read_bytes()))
    return out.read_bytes()


def plain(words: str) -> str:
    return "".join(words.split())


def test_every_page_is_in_it_and_begins_where_the_contents_say(printed: bytes, html: Path) -> None:
    places, _ = destinations(printed)
    said = text(printed)
    contents = "".join(said[: min(places.values()) - 1])
    starts = []
    for page in in_order(html):
        heading = page.soup.select_one("article h1")
        title = plain(heading.get_text().removesuffix("#"))
        starts.append(places[page.key])
        assert title in said[starts[-1] - 1], page.key
        assert f"{title}{starts[-1]}" in contents
    assert starts == sorted(starts)


def test_the_longest_lines_of_code_are_whole(printed: bytes, html: Path) -> None:
    everything = "".join(text(printed))
    lost = []
    for page in in_order(html):
        code = [
            plain(line)
            for block in page.soup.select("article .highlight pre")
            for line in block.get_text().splitlines()
        ]
        longest = sorted(set(code), key=len)[-30:]
        lost += [f"{page.key}: {line}" for line in longest if line not in everything]
    assert lost == []


def test_folds_are_open(printed: bytes, html: Path) -> None:
    """What stands in a fold is printed, up to its last words."""
    everything = "".join(text(printed))
    folds = [
        fold
        for page in in_order(html)
        for fold in page.soup.select("article details")
        if not fold.select("math, .math, img, svg")
    ]
    assert len(folds) >= 10
    ends = [plain(fold.get_text())[-25:] for fold in folds]
    assert [end for end in ends if end not in everything] == []


def test_links_inside_the_book_stay_inside_the_file(printed: bytes) -> None:
    assert b"/URI (file:" not in printed
    assert len(re.findall(rb"/Subtype /Link", printed)) > 300
