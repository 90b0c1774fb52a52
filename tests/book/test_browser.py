"""Every page in Chromium, opened from the disk with no network: quiet, rendered, accessible."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.browser

WIDTHS = (1200, 360)
THEMES = ("light", "dark")
WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "resultTypes": ["violations"],
    "preload": False,
}
# axe takes long over code and formulas. A second span of the same class in the same kind of cell has
# the same colours, and the strokes of a formula are hidden from assistive technology anyway.
TRIM = """() => {
    const seen = new Set();
    for (const span of document.querySelectorAll(".highlight pre span")) {
        const look = span.className + " in " + span.closest(".highlight").parentElement.className;
        if (seen.has(look) && span.id === "") span.replaceWith(...span.childNodes);
        seen.add(look);
    }
    document.querySelectorAll(".highlight pre").forEach(pre => pre.normalize());
    document.querySelectorAll("mjx-container > svg > *").forEach(stroke => stroke.remove());
}"""


@dataclass
class Visit:
    """A page that was opened, and what it did meanwhile."""

    name: str
    page: Page
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def dress(self, theme: str, width: int) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.evaluate(
            """theme => new Promise(done => {
                document.documentElement.dataset.theme = theme;
                document.documentElement.dataset.mode = theme;
                requestAnimationFrame(() => requestAnimationFrame(done));
            })""",
            theme,
        )


@pytest.fixture(scope="module")
def visit(browser: Browser, each_page: Path) -> Iterator[Visit]:
    """The page, open; everything but files from the disk is refused and written down."""
    context = browser.new_context(reduced_motion="reduce", offline=True)
    page = context.new_page()
    visit = Visit(each_page.stem, page)

    def note(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            visit.asked.append(request.url)

    page.on("request", note)
    page.on("websocket", lambda socket: visit.asked.append(socket.url))
    page.on("console", lambda m: visit.said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: visit.said.append(str(error)))
    page.on("requestfailed", lambda request: visit.said.append(f"not found: {request.url}"))
    page.goto(each_page.as_uri(), wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")
    page.add_style_tag(content="*, *::before, *::after { transition: none !important; }")
    page.evaluate(AXE_SCRIPT)
    yield visit
    context.close()


def test_asks_no_other_host(visit: Visit) -> None:
    assert visit.asked == []


def test_no_script_error(visit: Visit) -> None:
    assert visit.said == []


def test_maths_is_rendered(visit: Visit) -> None:
    state = visit.page.evaluate(
        r"""() => {
            const all = [...document.querySelectorAll("span.math, div.math")];
            const text = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
            const raw = [];
            while (text.nextNode()) {
                const inside = text.currentNode.parentElement;
                const words = text.currentNode.textContent;
                if (!inside.closest("pre, code, script, style, mjx-container")
                    && /\\\(|\\\[|\$\$|\\begin\{/.test(words)) raw.push(words.trim().slice(0, 80));
            }
            const wrong = [...document.querySelectorAll("[data-mjx-error], mjx-merror")];
            return {
                bare: all.filter(m => !m.querySelector("mjx-container")).map(m => m.textContent.slice(0, 80)),
                raw,
                wrong: wrong.map(m => m.dataset.mjxError ?? m.textContent),
            };
        }"""
    )
    assert state == {"bare": [], "raw": [], "wrong": []}


def test_nothing_is_wider_than_a_phone(visit: Visit) -> None:
    visit.dress("light", 360)
    wide = visit.page.evaluate(
        """() => {
            const root = document.documentElement;
            if (root.scrollWidth <= root.clientWidth) return [];
            const scrolls = e => e && (/auto|scroll|hidden|clip/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
            return [...document.querySelectorAll("main *")]
                .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(e.parentElement))
                .map(e => `${e.tagName}.${e.className} to ${Math.round(e.getBoundingClientRect().right)}px`)
                .concat([`the page is ${root.scrollWidth}px wide`]);
        }"""
    )
    assert wide == []


@pytest.fixture(scope="module")
def trimmed(visit: Visit) -> Visit:
    visit.page.evaluate(TRIM)
    return visit


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_accessible(trimmed: Visit, theme: str, width: int) -> None:
    visit = trimmed
    visit.dress(theme, width)
    found: dict[str, Any] = visit.page.evaluate("options => axe.run(document, options)", WCAG)
    assert readable(visit.name, theme, width, found["violations"]) == ""


def test_the_first_page(browser: Browser, html: Path) -> None:
    """index.html leads to the preface."""
    page = browser.new_page()
    page.goto((html / "index.html").as_uri())
    page.wait_for_url((html / "book/intro.html").as_uri())
    page.close()


def readable(name: str, theme: str, width: int, violations: list[dict[str, Any]]) -> str:
    """One paragraph per broken rule, with the elements that break it."""
    return "\n".join(
        f"{name}, {theme}, {width}px: {broken['id']}: {broken['help']}\n"
        + "\n".join(
            f"    {' '.join(map(str, node['target']))}\n        {node['html'][:160]}\n"
            f"        {node['failureSummary'].splitlines()[-1].strip()[:200]}"
            for node in broken["nodes"][:8]
        )
        + (f"\n    … and {len(broken['nodes']) - 8} more" if len(broken["nodes"]) > 8 else "")
        for broken in violations
    )
