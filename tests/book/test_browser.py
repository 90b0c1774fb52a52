"""Every page in Chromium, opened from the disk with no network: quiet, rendered, accessible."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (1200, 360)
THEMES = ("light", "dark")
PHONE = 375
PAPER = 665  # A4 without its margins, in the 96ths of an inch that a browser calls a pixel
SCREENSHOTS = os.environ.get("MINITX_SCREENSHOTS") or (
    str(ROOT / "_build/screenshots") if os.environ.get("CI") == "true" else ""
)
TALLEST = 8000  # Chromium repeats itself in pictures that are taller than twice that
# Elements that hide a part of themselves and do not say so, by a fade and a place for the keyboard.
CUT = """() => [...document.querySelectorAll(
        "main *:not(svg *, mjx-assistive-mml, mjx-assistive-mml *)")]
    .filter(element => {
        const style = getComputedStyle(element);
        if (element.matches("input, textarea")) return false;
        const more = element.scrollWidth - element.clientWidth;
        if (more <= 1 || element.clientWidth <= 2 || style.overflowX === "visible") return false;
        const says = style.maskImage !== "none" && element.tabIndex === 0;
        return !(/auto|scroll/.test(style.overflowX) && says);
    })
    .map(e => `${e.tagName}.${e.className}: ${e.scrollWidth} in ${e.clientWidth} px: `
        + e.textContent.trim().slice(0, 60))"""
WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "resultTypes": ["violations"],
    "preload": False,
}
# axe takes long over code and formulas. A second span of the same class in the same kind of cell
# has the same colours, and the strokes of a formula are hidden from assistive technology anyway.
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
    visit = Visit(f"{each_page.parent.name}-{each_page.stem}", page)

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
            const main = document.querySelector("main");
            const text = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
            const raw = [];
            while (text.nextNode()) {
                const inside = text.currentNode.parentElement;
                const words = text.currentNode.textContent;
                if (!inside.closest("pre, code, script, style, mjx-container")
                    && /\\\(|\\\[|\$\$|\\begin\{/.test(words)) raw.push(words.trim().slice(0, 80));
            }
            const bare = all.filter(formula => !formula.querySelector("mjx-container"));
            // A macro that MathJax does not know is written out in red.
            const wrong = [...document.querySelectorAll(
                "[data-mjx-error], mjx-merror, " +
                "mjx-container [mathcolor=red], mjx-container [fill=red]"
            )];
            return {
                bare: bare.map(formula => formula.textContent.slice(0, 80)),
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
            const right = element => Math.round(element.getBoundingClientRect().right);
            const scrolls = element => element !== null
                && (/auto|scroll|hidden|clip/.test(getComputedStyle(element).overflowX)
                    || scrolls(element.parentElement));
            return [...document.querySelectorAll("main *")]
                .filter(e => right(e) > root.clientWidth + 1 && !scrolls(e.parentElement))
                .map(e => `${e.tagName}.${e.className} to ${right(e)}px`)
                .concat([`the page is ${root.scrollWidth}px wide`]);
        }"""
    )
    assert wide == []


def test_what_is_cut_on_a_phone_says_that_it_scrolls(visit: Visit) -> None:
    visit.dress("light", PHONE)
    assert visit.page.evaluate(CUT) == []


def test_a_worked_example_fits_a_phone(visit: Visit) -> None:
    """The result of a table calculated by hand stands in its last column."""
    visit.dress("light", PHONE)
    cut = visit.page.evaluate(
        """() => [...document.querySelectorAll("main .pst-scrollable-table-container")]
            .filter(e => !e.closest(".cell_output") && e.scrollWidth > e.clientWidth + 1)
            .map(e => e.textContent.trim().replace(/\\s+/g, " ").slice(0, 60))"""
    )
    assert cut == []


def test_the_number_of_an_equation_has_a_line_of_its_own_on_a_phone(visit: Visit) -> None:
    visit.dress("light", PHONE)
    beside = visit.page.evaluate(
        """() => [...document.querySelectorAll("main div.math > .eqno")]
            .filter(number => number.getBoundingClientRect().height > 0)
            .filter(number => {
                const formula = number.parentElement.querySelector("mjx-container");
                return number.getBoundingClientRect().top
                    < formula.getBoundingClientRect().bottom - 1;
            })
            .map(number => number.textContent)"""
    )
    assert beside == []


def test_code_fits_beside_both_lists_of_contents(visit: Visit) -> None:
    """A line of 78 characters, at the narrowest width that shows the book's list and the page's."""
    visit.dress("light", WIDTHS[0])
    wide = visit.page.evaluate(
        """() => [...document.querySelectorAll("main .cell_input pre")]
            .filter(code => code.scrollWidth > code.clientWidth + 1)
            .map(code => code.textContent.split("\\n").sort((a, b) => b.length - a.length)[0])"""
    )
    assert wide == []


def test_nothing_is_cut_on_paper_and_every_fold_is_open(visit: Visit) -> None:
    visit.dress("light", PAPER)
    visit.page.emulate_media(media="print")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    cut = visit.page.evaluate(
        """() => {
            const text = document.querySelector("article") ?? document.querySelector("main");
            const edge = text.getBoundingClientRect().right + 1;
            const all = [...text.querySelectorAll(
                "*:not(svg *, mjx-assistive-mml, mjx-assistive-mml *, .playable-spoken)")];
            const hides = e => getComputedStyle(e).overflowX !== "visible"
                && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 2;
            const beyond = e => e.getBoundingClientRect().right > edge;
            const shut = e => e.matches("details > :not(summary)") && e.textContent.trim() !== ""
                && e.getBoundingClientRect().height === 0 && getComputedStyle(e).display !== "none";
            const fades = e => e.matches("details > *")
                && getComputedStyle(e).animationName !== "none";
            return all.filter(e => hides(e) || beyond(e) || shut(e) || fades(e))
                .map(e => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 60)}`);
        }"""
    )
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    visit.page.emulate_media(media="screen")
    assert cut == []


def test_paper_is_light_whatever_the_screen_is(visit: Visit) -> None:
    colours = """() => [...document.querySelectorAll("html, body, h1, main p, main pre")]
        .map(e => getComputedStyle(e)).map(style => [style.color, style.backgroundColor])"""
    printed = []
    for theme in THEMES:
        visit.dress(theme, PAPER)
        visit.page.emulate_media(media="print")
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        printed.append(visit.page.evaluate(colours))
        visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
        visit.page.emulate_media(media="screen")
        assert visit.page.evaluate("document.documentElement.dataset.theme") == theme
    assert printed[0] == printed[1]


@pytest.mark.skipif(not SCREENSHOTS, reason="MINITX_SCREENSHOTS names no folder to put pictures in")
@pytest.mark.parametrize("width", (1200, PHONE))
@pytest.mark.parametrize("theme", THEMES)
def test_a_picture_for_whoever_wants_to_look(visit: Visit, theme: str, width: int) -> None:
    """Kept as output of CI; nothing is compared."""
    visit.dress(theme, width)
    height: int = visit.page.evaluate("document.documentElement.scrollHeight")
    for part, top in enumerate(range(0, height, TALLEST)):
        path = f"{SCREENSHOTS}/{visit.name}-{width}-{theme}-{part + 1}.jpg"
        clip = {"x": 0, "y": top, "width": width, "height": min(TALLEST, height - top)}
        visit.page.screenshot(path=path, full_page=True, clip=clip, type="jpeg", quality=70)  # type: ignore[arg-type]


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


def test_search_works_from_the_disk(browser: Browser, html: Path) -> None:
    """It finds pages without asking for any, which a page from the disk may not."""
    page = browser.new_context(offline=True).new_page()
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((html / "search.html").as_uri() + "?q=softmax")
    page.get_by_text("Search finished").wait_for()
    assert page.locator("#search-results li").count() >= 5
    assert said == []
    page.context.close()


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
