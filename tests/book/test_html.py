"""The built pages as text: they load nothing from another host, and every link leads somewhere."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
# Images that only decorate: the logos beside the words Colab and minitx.
DECORATION = ("_static/images/logo_colab.png", "_static/favicon.svg")
LOADED_BY_LINK = {
    "stylesheet",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
}
LOADED_BY_LINK |= {"icon", "manifest", "apple-touch-icon"}
ELSEWHERE = re.compile(r"^\s*(https?:)?//")
CSS_LOADS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?\s*(?P<address>(?:https?:)?//[^\"')\s]+)")


@cache
def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(page: Path) -> frozenset[str]:
    return frozenset(tag["id"] for tag in soup(page).find_all(id=True))


def loaded(page: BeautifulSoup) -> Iterator[str]:
    """Every address that a browser fetches by itself."""
    for tag in page.find_all(src=True):
        yield tag["src"]
    for tag in page.find_all(srcset=True):
        yield from (part.split()[0] for part in tag["srcset"].split(","))
    for tag in page.find_all("link", href=True):
        if LOADED_BY_LINK & set(tag.get("rel", [])):
            yield tag["href"]
    for name, attribute in (("object", "data"), ("video", "poster"), ("image", "href")):
        yield from (tag[attribute] for tag in page.find_all(name) if tag.has_attr(attribute))
    for tag in page.find_all(style=True):
        yield from CSS_LOADS.findall(tag["style"])
    for tag in page.find_all("style"):
        yield from CSS_LOADS.findall(tag.get_text())


def test_no_page_loads_from_another_host(each_page: Path) -> None:
    assert [address for address in loaded(soup(each_page)) if ELSEWHERE.match(address)] == []


def test_what_a_page_loads_is_there(each_page: Path) -> None:
    absent = [
        address
        for address in loaded(soup(each_page))
        if not address.startswith(("data:", "#"))
        and not (each_page.parent / unquote(urlsplit(address).path)).is_file()
    ]
    assert absent == []


def test_no_style_sheet_loads_from_another_host(html: Path) -> None:
    found = {
        sheet.relative_to(html).as_posix(): CSS_LOADS.findall(sheet.read_text(encoding="utf-8"))
        for sheet in html.rglob("*.css")
    }
    assert found
    assert {sheet: addresses for sheet, addresses in found.items() if addresses} == {}


def test_our_scripts_name_no_host(html: Path) -> None:
    """Of other people's scripts the browser test shows that they ask nobody."""
    ours = sorted((ROOT / "book/_static").glob("*.js"))
    assert ours
    for script in ours:
        built = (html / "_static" / script.name).read_text(encoding="utf-8")
        addresses = re.findall(r"https?://[^\"'`\s]+", built)
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, script.name  # a name, not a place


def test_every_picture_has_words(each_page: Path) -> None:
    bare = [
        image["src"][:120]
        for image in soup(each_page).find_all("img")
        if not image.get("alt", "").strip() and not image["src"].endswith(DECORATION)
    ]
    assert bare == []


def test_every_internal_link_leads_somewhere(each_page: Path) -> None:
    dead = []
    for link in soup(each_page).find_all("a", href=True):
        address = urlsplit(link["href"])
        if address.scheme or address.netloc:
            continue
        target = each_page
        if address.path:
            target = Path(unquote(urlsplit(urljoin(each_page.as_uri(), address.path)).path))
        if not target.is_file():
            dead.append(f"{link['href']}: no such page")
        elif target.suffix == ".html" and address.fragment:
            place = unquote(address.fragment)
            dead += [] if place in anchors(target) else [f"{link['href']}: no such place there"]
    assert dead == []


def toc_files() -> list[str]:
    """Every file that the table of contents names."""
    text = (ROOT / "book/_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"^\s*(?:- file|root):\s*(\S+)", text, flags=re.MULTILINE)


NOTEBOOKS = [name for name in toc_files() if name.endswith(".ipynb")]


def test_the_book_has_chapters_exercises_and_solutions() -> None:
    for folder in ("book", "exercises", "solutions"):
        assert len([name for name in NOTEBOOKS if name.startswith(f"{folder}/")]) >= 2


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_colab_opens_the_committed_notebook(html: Path, notebook: str) -> None:
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    address = urlsplit(settings["repository"]["url"])
    assert address.netloc == "github.com"
    branch = settings["repository"]["branch"]
    wanted = f"https://colab.research.google.com/github{address.path}/blob/{branch}/{notebook}"
    page = soup(html / Path(notebook).with_suffix(".html"))
    links = [a["href"] for a in page.find_all("a", href=True) if "colab" in a["href"]]
    assert links == [wanted]


def test_every_page_with_code_cells_is_a_notebook_of_the_contents(html: Path) -> None:
    """Otherwise it would have no Colab button, and the test above would not notice."""
    known = {html / Path(name).with_suffix(".html") for name in NOTEBOOKS}
    for page in html.rglob("*.html"):
        if "_static" not in page.parts and soup(page).select(".cell_input"):
            assert page in known


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_what_colab_opens_is_tracked(notebook: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are tracked")
    done = subprocess.run(
        ["git", "ls-files", "--error-unmatch", notebook], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{notebook} is not committed: Colab would not find it"


def test_mathjax_is_one_script(html: Path) -> None:
    """It comes in 24 MB of files; the browser test shows that formulas are drawn from this one."""
    files = [path.name for path in (html / "_static/mathjax").rglob("*") if path.is_file()]
    assert files == ["tex-svg-full.js"]


def test_what_is_not_text_stays_small(html: Path) -> None:
    """Without the weights of models; the whole book is to stay below 40 MB."""
    sizes = {
        path.relative_to(html).as_posix(): path.stat().st_size
        for path in (html / "_static").rglob("*")
        if path.is_file() and "weights" not in path.name
    }
    assert sum(sizes.values()) < 12e6, sorted(sizes.items(), key=lambda item: -item[1])[:10]


def following(page: Path, way: str = "next") -> Path | None:
    link = soup(page).find("link", rel=way)
    if link is None:
        return None
    return Path(unquote(urlsplit(urljoin(page.as_uri(), str(link["href"]))).path))


def test_next_leads_from_chapter_to_chapter_and_past_no_solution(html: Path) -> None:
    """Chapter, going further, exercises, next chapter; worked answers after everything else."""
    page: Path | None = html / "book/intro.html"
    way = []
    while page is not None:
        way.append(page.relative_to(html).with_suffix("").as_posix())
        page = following(page)
    assert sorted(way) == sorted(str(Path(name).with_suffix("")) for name in toc_files())
    answers = [name for name in way if name.startswith("solutions/")]
    assert answers and way[-len(answers) :] == answers
    numbered = [name for name in way if re.match(r"(book|exercises)/\d\d_", name)]
    kinds = [(name.split("/")[1][:2], name.startswith("exercises/")) for name in numbered]
    assert kinds == sorted(kinds)


def test_links_to_an_exercise_lead_to_the_exercise(each_page: Path) -> None:
    """Not to the top of its page: `#exercise-1-2`."""
    vague = [
        f"{paragraph.get_text()[:60]} -> {link['href']}"
        for paragraph in soup(each_page).select("article p")
        for link in paragraph.select("a[href]")
        if paragraph.get_text().startswith("→") or re.match(r"Exercise \d+\.", link.get_text())
        if re.search(r"(exercises|solutions)/\d\d_\w+\.html$", link["href"])
    ]
    assert vague == []


def test_every_exercise_can_be_pointed_at(html: Path) -> None:
    for folder in ("exercises", "solutions"):
        for page in (html / folder).glob("*.html"):
            titles = re.findall(r"<h2>Exercise (\d+)\.(\d+):", page.read_text(encoding="utf-8"))
            assert titles, page.name
            assert {f"exercise-{chapter}-{number}" for chapter, number in titles} <= anchors(page)


def sources() -> dict[str, str]:
    """The entries of the bibliography, by key."""
    text = (ROOT / "book/references.bib").read_text(encoding="utf-8")
    entries = re.split(r"^@\w+\{", text, flags=re.MULTILINE)[1:]
    return {entry.split(",")[0]: entry for entry in entries}


@pytest.mark.parametrize("key", sources())
def test_every_source_has_a_link(key: str) -> None:
    fields = re.findall(r"^\s*(\w+)\s*=", sources()[key], flags=re.MULTILINE)
    assert {"eprint", "doi", "url"} & set(fields)


def test_sources_stand_as_they_were_printed_with_links_there_and_back(html: Path) -> None:
    """A style that lowers capitals made o(n²) of O(n²), which is another claim."""
    page = soup(html / "book/bibliography.html")
    text = " ".join(page.get_text().split())
    for entry in sources().values():
        title = re.search(r"\btitle\s*=\s*\{(.*)\},?$", entry, flags=re.MULTILINE)
        assert title is not None
        assert title[1].replace("{", "").replace("}", "").replace("--", "–") in text
    entries = page.select("div.citation")
    assert len(entries) == len(sources())
    for entry in entries:
        assert re.search(r"\d{4}[a-h]?$", entry.select_one(".label").get_text(" ").strip(" []"))
        assert entry.select("a.external"), entry.get_text()
    assert len(page.select(".cited-in a")) >= 30


def test_what_stands_beside_a_chapter_has_no_number(html: Path):
    """And its figures go on with the chapter's."""
    page = html / "book/01_attention_further.html"
    entries = [" ".join(a.text.split()) for a in soup(page).select("nav.bd-links a")]
    assert {"Going further: attention and recurrence", "Exercises 1"} <= set(entries)
    assert any(entry.startswith("1. ") for entry in entries)
    assert soup(page).select("article h1 .section-number, article h2 .section-number") == []
    assert re.findall(r"Fig\. 1\.\d+", soup(page).text)
