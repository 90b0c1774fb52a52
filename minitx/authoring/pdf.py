"""The whole book as one PDF: `python -m minitx.authoring.pdf`, made by Chromium of the built pages.

The pages are put into one, in the order in which *Next* leads through them, with a cover and a list
of contents before them. Chromium draws the formulas and prints, and what it printed says on which
pages things stand; that is put into the contents and printed again, until it is so.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import sync_playwright

import minitx
from minitx.authoring.errors import SourceError
from minitx.authoring.pdf_file import destinations

FIRST = Path("book/intro.html")
MOST_PRINTINGS = 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# What a reader on paper has no use for.
LEFT_OUT = "a.headerlink, script, button, .playable-controls, .tocwrapper, .toctree-wrapper"
_POINTS = ("href", "xlink:href", "for", "aria-labelledby", "aria-describedby", "aria-controls")
_URL = re.compile(r"url\((['\"]?)#")


@dataclass
class Page:
    """One page of the built book."""

    path: Path
    soup: BeautifulSoup

    @property
    def key(self) -> str:
        """Its name in the printed book, before the names of its parts."""
        return f"{self.path.parent.name}-{self.path.stem}"


def make_pdf(html: Path, out: Path) -> int:
    """Print the book.

    Args:
        html: the built book, `_build/html`.
        out: where the PDF goes; the page it is printed from is written beside it.

    Returns:
        How many pages it has.

    Raises:
        SourceError: if there is no book, or no Chromium.
    """
    if not (html / FIRST).is_file():
        raise SourceError(str(html), None, "no built book here: make book")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SourceError("make pdf", None, "needs Chromium: apt-get install chromium")
    out.parent.mkdir(parents=True, exist_ok=True)
    page_path = out.with_suffix(".html")
    page_path.write_text(one_page(html.resolve(), out.parent.resolve()), encoding="utf-8")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=FLAGS, env={**os.environ, "HOME": home}
        )
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(0)  # a slow machine takes its time over thousands of formulas
        page.goto(page_path.resolve().as_uri())
        page.evaluate("window.MathJax?.startup?.promise")
        page.emulate_media(media="print")
        printed: list[dict[str, int]] = []
        said: dict[str, int] = {}
        for _ in range(MOST_PRINTINGS):
            page.pdf(
                path=out,
                prefer_css_page_size=True,
                print_background=True,
                outline=True,  # a tree of headings beside the pages
                tagged=True,  # for screen readers
            )
            places, total = destinations(out.read_bytes())
            if places == said:
                break
            printed.append(places)
            said = printed[-2:][0]  # Chromium may break pages in two ways, turn and turn about
            page.evaluate(
                """places => {
                    for (const number of document.querySelectorAll("[data-page-of]"))
                        number.textContent = places[number.dataset.pageOf] ?? "";
                }""",
                said,
            )
        browser.close()
    if places != said:
        raise SourceError(str(out), None, "its pages break elsewhere at each printing")
    return total


def one_page(html: Path, folder: Path) -> str:
    """The book as one HTML page that lies in `folder`."""
    pages = list(in_order(html))
    keys = {page.path: page.key for page in pages}
    articles = [article(page, keys, folder) for page in pages]
    head = _head(pages, folder)
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>minitx</title>
{head}
</head>
<body class="printed-book">
<main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<section class="cover"><p class="cover-title">minitx</p>
<p>A course on transformers that can be read, done and run</p>
<p>Version {minitx.__version__} · text and figures CC BY 4.0, code MIT</p></section>
{_contents(pages, articles)}
{"".join(str(each) for each in articles)}
</div></div></main></body></html>
"""


def in_order(html: Path) -> Iterator[Page]:
    """Every page, as *Next* leads from the first to the last."""
    path: Path | None = html / FIRST
    while path is not None:
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        yield Page(path, soup)
        following = soup.find("link", rel="next")
        path = (path.parent / unquote(str(following["href"]))).resolve() if following else None


def article(page: Page, keys: dict[Path, str], folder: Path) -> Tag:
    """The text of a page, its names and addresses made those of the printed book."""
    found = page.soup.select_one("article.bd-article")
    if found is None:
        raise SourceError(str(page.path), None, "has no article")
    for useless in found.select(LEFT_OUT):
        useless.decompose()
    for fold in found.find_all("details"):
        fold["open"] = ""
    for tag in found.find_all(True):
        _rename(tag, page, keys, folder)
    found["id"] = page.key
    return found


def _rename(tag: Tag, page: Page, keys: dict[Path, str], folder: Path) -> None:
    if tag.name == "style" and tag.string:
        tag.string = _URL.sub(rf"url(\1#{page.key}--", tag.string)
    for name, value in list(tag.attrs.items()):
        if not isinstance(value, str):
            continue
        if name == "id":
            tag["id"] = f"{page.key}--{value}"
        elif name in _POINTS:
            tag[name] = (
                _address(value, page, keys, folder)
                if "href" in name
                else " ".join(f"{page.key}--{each}" for each in value.split())
            )
        elif name == "src":
            tag[name] = _address(value, page, keys, folder)
        elif "url(" in value:
            tag[name] = _URL.sub(rf"url(\1#{page.key}--", value)


def _address(address: str, page: Page, keys: dict[Path, str], folder: Path) -> str:
    """An address as seen from the printed book."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
    if target in keys:
        return f"#{keys[target]}--{parts.fragment}" if parts.fragment else f"#{keys[target]}"
    return Path(os.path.relpath(target, folder)).as_posix()


def _head(pages: list[Page], folder: Path) -> str:
    """The style sheets of the book, and the scripts that draw formulas."""
    wanted: dict[str, None] = {}
    for page in pages:
        for tag in page.soup.select(
            "head link[rel=stylesheet], head style, head script, body script"
        ):
            source = tag.get("href") or tag.get("src")
            if tag.name == "script" and "mathjax" not in f"{source}{tag.string}".lower():
                continue
            if source:
                name = "href" if tag.name == "link" else "src"
                tag[name] = _address(str(source).split("?")[0], page, {}, folder)
            wanted.setdefault(str(tag))
    return "\n".join(wanted)


def _contents(pages: list[Page], articles: list[Tag]) -> str:
    """A list of the chapters and their sections, with a place for the number of each page."""
    captions = _captions(pages[0])
    lines = []
    for page, text in zip(pages, articles, strict=True):
        if page.path in captions:
            lines.append(f'<p class="contents-part">{captions[page.path]}</p>')
        for heading in text.find_all(["h1", "h2"]):
            if heading.name == "h2" and page.path.parent.name != "book":
                continue  # exercises are many
            place = heading.find_parent("section")
            key = page.key if heading.name == "h1" else str(place["id"]) if place else ""
            title = " ".join(heading.get_text().split())
            lines.append(
                f'<p class="contents-{heading.name}"><a href="#{key}">{title}</a>'
                f'<span class="contents-page" data-page-of="{key}"></span></p>'
            )
    return f'<nav class="printed-contents"><h1>Contents</h1>{"".join(lines)}</nav>'


def _captions(first: Page) -> dict[Path, str]:
    """For the first page of each part the part's title, from the list beside every page."""
    found = {}
    for caption in first.soup.select("nav.bd-links p.caption"):
        entries = caption.find_next("ul")
        link = entries.find("a") if entries else None
        if link is not None:
            path = (first.path.parent / unquote(str(link["href"]))).resolve()
            found[path] = caption.get_text().strip()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m minitx.authoring.pdf`."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(prog="python -m minitx.authoring.pdf", description=__doc__)
    parser.add_argument("--html", type=Path, default=root / "_build/html")
    parser.add_argument("--out", type=Path, default=root / "_build/minitx.pdf")
    chosen = parser.parse_args(arguments)
    try:
        total = make_pdf(chosen.html, chosen.out)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{chosen.out}: {total} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
