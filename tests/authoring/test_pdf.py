"""The one page from which the PDF is printed, made of a book of two."""

import re
from pathlib import Path

import pytest

from minitx.authoring import pdf
from minitx.authoring.errors import SourceError
from minitx.authoring.pdf_file import destinations, reference

HEAD = '<link rel="stylesheet" href="../_static/a.css?v=1"><script src="../_static/mathjax/m.js">'
FIRST = f"""<html><head>{HEAD}</script><script src="../_static/theme.js"></script>
<link rel="next" href="../solutions/02_b.html"></head><body>
<nav class="bd-links"><p class="caption">Answers</p><ul><li><a href="../solutions/02_b.html">b</a>
</li></ul></nav><article class="bd-article"><section id="one"><h1>One<a class="headerlink"
href="#one">#</a></h1><img src="../_images/x.svg"><a href="../solutions/02_b.html#two">two</a>
<a href="../solutions/02_b.html">b</a><a href="#one">up</a><a href="https://example.org/">far</a>
<section id="part"><h2>A part</h2></section><details><summary>Answer</summary>Yes.</details>
<svg viewBox="0 0 1 1"><style>.l {{ marker-end: url(#tip) }}</style><marker id="tip"></marker>
<path marker-end="url(#tip)" aria-labelledby="tip"></path></svg><button>play</button></section>
</article></body></html>"""
SECOND = """<html><head></head><body><article class="bd-article"><section id="two"><h1>Two</h1>
</section></article></body></html>"""


@pytest.fixture
def html(tmp_path: Path) -> Path:
    for name, text in (("book/intro.html", FIRST), ("solutions/02_b.html", SECOND)):
        path = tmp_path / "html" / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "html"


def test_names_of_two_pages_do_not_meet_and_addresses_follow(html: Path) -> None:
    page = pdf.one_page(html, html.parent)
    links = re.findall(r'<a (?:class="[^"]*" )?href="([^"]*)"', page.split("</nav>")[1])
    wanted = ["#solutions-02_b--two", "#solutions-02_b", "#book-intro--one", "https://example.org/"]
    assert links == wanted
    assert 'id="book-intro--one"' in page and 'id="solutions-02_b--two"' in page
    assert 'src="html/_images/x.svg"' in page
    assert page.count("url(#book-intro--tip)") == 2
    assert 'aria-labelledby="book-intro--tip"' in page


def test_only_what_is_of_use_on_paper_is_kept(html: Path) -> None:
    page = pdf.one_page(html, html.parent)
    assert 'href="html/_static/a.css"' in page and 'src="html/_static/mathjax/m.js"' in page
    assert "theme.js" not in page and "<button" not in page and "headerlink" not in page
    assert '<details open="">' in page


def test_contents_name_parts_pages_and_sections(html: Path) -> None:
    page = pdf.one_page(html, html.parent)
    contents = re.findall(r'<p class="contents-(\w+)">(?:<a href="([^"]*)">)?([^<]*)', page)
    assert contents == [
        ("h1", "#book-intro", "One"),
        ("h2", "#book-intro--part", "A part"),
        ("part", "", "Answers"),
        ("h1", "#solutions-02_b", "Two"),
    ]


def test_what_is_missing_is_named(
    html: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = html / "nowhere"
    assert pdf.main(["--html", str(nowhere), "--out", str(html / "x.pdf")]) == 1
    assert capsys.readouterr().err == f"{nowhere}: no built book here: make book\n"
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(SourceError, match=r"make pdf: needs Chromium: apt-get install chromium"):
        pdf.make_pdf(html, html / "x.pdf")
    (html / "solutions/02_b.html").write_text("<html></html>", encoding="utf-8")
    with pytest.raises(SourceError, match=r"02_b\.html: has no article"):
        pdf.one_page(html, html.parent)


FILE = b"""%PDF-1.4
1 0 obj
<</Type /Page>>
endobj
2 0 obj
<</Kids [1 0 R]>>
endobj
3 0 obj
<</Kids [4 0 R 2 0 R]>>
endobj
4 0 obj
<</Type /Page>>
endobj
5 0 obj
<</a.b [1 0 R /XYZ 0 0 0]
/x#2520y [4 0 R /XYZ 0 0 0]>>
endobj
6 0 obj
<</Type /Catalog
/Pages 3 0 R
/Dests 5 0 R>>
endobj
"""


def test_places_in_a_file() -> None:
    """Pages count in the order of the tree, not of the objects; names are unescaped twice."""
    assert destinations(FILE) == ({"a.b": 2, "x y": 1}, 2)
    assert destinations(FILE.replace(b"/Dests 5 0 R", b"")) == ({}, 2)


def test_a_reference_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"no /Pages in b'<<>>'"):
        reference(b"<<>>", b"Pages")
