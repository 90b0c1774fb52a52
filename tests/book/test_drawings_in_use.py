"""Drawings that can be used, in a browser: the map's links by keyboard, the picture that moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from minitx.viz import Drawing, drawings
from tests.book.conftest import ROOT

pytestmark = pytest.mark.browser

FRAME = """<!doctype html><html lang="en" data-theme="light"><head><title>A page</title>
<meta charset="utf-8"><link rel="stylesheet" href="{css}"></head>
<body><main class="bd-article">{svg}</main></body></html>"""


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[object]:
    """A drawing as it stands in a page of the book."""
    page = browser.new_page()

    def shown(drawing: Drawing) -> Page:
        svg = drawing.svg().replace("minitx-drawing", "minitx-picture", 1)
        css = (ROOT / "book/_static/custom.css").as_uri()
        path = tmp_path / "page.html"
        path.write_text(FRAME.format(css=css, svg=svg), encoding="utf-8")
        page.goto(path.as_uri())
        return page

    yield shown
    page.close()


def states(page: Page) -> list[str]:
    found: list[str] = page.evaluate("document.getAnimations().map((move) => move.playState)")
    return found


def test_every_link_of_the_map_is_reached_by_keyboard_and_seen(show, tmp_path):
    page = show(drawings.transformer(linked=True))
    links = page.locator("a").evaluate_all("all => all.map((a) => a.getAttribute('aria-label'))")
    reached = []
    for _ in links:
        page.keyboard.press("Tab")
        reached += [page.evaluate("document.activeElement.getAttribute('aria-label')")]
        outline = page.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid" in outline
        assert "3px" in outline
    assert reached == links != []
    last = page.locator("a").last.get_attribute("href")  # where the keyboard stands now
    (tmp_path / last).write_text("a chapter", encoding="utf-8")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{last}")


def test_it_moves_and_can_be_stopped_by_keyboard(show):
    page = show(drawings.translation_in_motion())
    assert {*states(page)} == {"running"}
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert {*states(page)} == {"paused"}
    page.keyboard.press("Space")
    assert {*states(page)} == {"running"}


@pytest.mark.parametrize("media", [{"reduced_motion": "reduce"}, {"media": "print"}])
def test_it_stands_still_where_motion_is_not_wanted_and_shows_all(show, media):
    page = show(drawings.translation_in_motion())
    page.emulate_media(**media)
    assert states(page) == []
    assert not page.locator(".minitx-pause").is_visible()
    words = page.locator(".minitx-move:has(text)")
    assert words.count() == 4
    seen = words.evaluate_all("all => all.map((word) => getComputedStyle(word).opacity)")
    assert seen == ["1"] * 4
