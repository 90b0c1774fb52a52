"""The built book: where it lies, its pages, and a browser that cannot reach any network.

`MINITX_BOOK_HTML` names another build than `_build/html`. What is missing (the build, Chromium)
is a visible skip on a laptop and a failure where `CI=true`.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("MINITX_BOOK_HTML", ROOT / "_build/html"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
# A page on a busy machine is slow, not wrong: no test waits less than this, in milliseconds.
PATIENCE = 300_000
expect.set_options(timeout=PATIENCE)


def all_pages() -> list[Path]:
    """Every page of the built book; index.html only sends the reader to the first."""
    found = sorted(HTML.rglob("*.html"))
    pages = [path for path in found if "_static" not in path.relative_to(HTML).parts]
    return [path for path in pages if path != HTML / "index.html"]


def missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} (and CI=true, where nothing may be skipped)")
    pytest.skip(what)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per page of the book; without a book one that says so."""
    if "each_page" in metafunc.fixturenames:
        pages = all_pages() or [HTML / "no-book"]
        names = [page.relative_to(HTML).as_posix() for page in pages]
        metafunc.parametrize("each_page", pages, ids=names, indirect=True, scope="module")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at the built book says so: `make test-fast` leaves it out."""
    for item in items:
        if "html" in getattr(item, "fixturenames", ()):
            item.add_marker("book")


@pytest.fixture(scope="session")
def html() -> Path:
    if not (HTML / "index.html").exists():
        missing(f"needs the built book at {HTML}: make book")
    return HTML


@pytest.fixture(scope="session")
def pages(html: Path) -> list[Path]:
    return all_pages()


@pytest.fixture(scope="module")
def each_page(request: pytest.FixtureRequest, html: Path) -> Path:
    page: Path = request.param
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        missing("needs Chromium: apt-get install chromium, or your system's way to it")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=FLAGS,
            env={**os.environ, "HOME": home},
            timeout=PATIENCE,
        )
        browser.new_context = patient(browser.new_context)  # type: ignore[method-assign]
        browser.new_page = patient(browser.new_page)  # type: ignore[method-assign]
        yield browser
        browser.close()


def patient(make: Callable[..., Any]) -> Callable[..., Any]:
    """The same, for pages and contexts that wait as long as it takes."""

    def made(**settings: Any) -> Any:
        opened = make(**settings)
        opened.set_default_timeout(PATIENCE)
        return opened

    return made


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes contexts without a network, and closes them after the test."""
    contexts: list[BrowserContext] = []

    def made(**settings: Any) -> BrowserContext:
        contexts.append(browser.new_context(offline=True, **settings))
        return contexts[-1]

    yield made
    for context in contexts:
        context.close()
