"""Questions in the page: judged, named, kept, by keyboard, and a fold without scripts."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from docutils.core import publish_parts
from markdown_it import MarkdownIt
from myst_parser.docutils_ import Parser
from playwright.sync_api import BrowserContext, Locator, Page, expect

from minitx.authoring import questions
from minitx.authoring.pages import pages
from tests.book.test_browser import THEMES, WCAG, WIDTHS, readable

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "book/_static"
TEXT = """\
# A page

<div class="question" id="q-1-weights">

**Predict.** Four keys score $x$ equally. What is the weight of each?

1. $y_1$, whole
2. $y_2$, a quarter
3. it depends on the values

<details><summary>Answer</summary>

**2.** Equal scores give equal weights.

- 1: that is the exponential of the score.
- 3: values are mixed with the weights.

</details>
</div>

<div class="question" id="q-1-mixture">

**Predict.** What comes out?

The keys are those of this table:

| a | b |
|---|---|
| 1 | 2 |

<details><summary>Answer</summary>

**0.25** (± 0.01) It is computed below.

- 0.155: the weights were not divided by their sum.
- −3: the sign of the score is wrong.
- 1: everything goes to one key.

</details>
</div>

<div class="question" id="q-1-share">

**Question.** How much of it?

<details><summary>Answer</summary>

**30 %** (± 5) Nearly a third.

- 3 %: a decimal place is missing.
- 70: that is the rest.

</details>
</div>

<div class="question" id="q-1-scores">

**Question.** How many?

<details><summary>Answer</summary>

**65,536 scores** Each query has a score for each key.

- 256: that is one row.

</details>
</div>

<div class="question" id="q-1-bytes">

**Question.** How many in all?

<details><summary>Answer</summary>

**1,000** (300 to 3,000) In the thousands.

- 1,000,000: that is bits.

</details>
</div>

<div class="question" id="q-1-verdict">

**Question.** True, not quite, or false?

1. True
2. Not quite
3. False

<details><summary>Answer</summary>

**2.** It depends.

</details>
</div>
"""
FRAME = """<!doctype html><html lang="en" data-theme="light"><head><title>A page</title>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="{static}/custom.css">
<link rel="stylesheet" href="{static}/question.css">
<style>body {{ background: var(--minitx-paper); color: var(--minitx-ink); }}</style>
<script src="{static}/playable.js"></script><script src="{static}/question.js"></script>
</head><body>{body}</body></html>"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as MyST makes it of the Markdown, with the book's scripts and styles."""
    settings = {"myst_enable_extensions": ["dollarmath"], "math_output": "MathJax /nowhere.js"}
    body = publish_parts(TEXT, parser=Parser(), writer_name="html5", settings_overrides=settings)[
        "html_body"
    ]
    path = tmp_path_factory.mktemp("page") / "01_page.html"
    path.write_text(FRAME.format(static=STATIC.as_uri(), body=body), encoding="utf-8")
    return path


@pytest.fixture
def page(new_context: Any, file: Path) -> Page:
    return opened(new_context(), file)


def opened(context: BrowserContext, file: Path) -> Page:
    page = context.new_page()
    page.goto(file.as_uri())
    return page


def at(page: Page, name: str) -> Locator:
    return page.locator(f"#q-1-{name}")


def write(page: Page, name: str, text: str) -> Locator:
    """Answer a number question and give its verdict."""
    place = at(page, name)
    place.get_by_role("textbox", name="Your number").fill(text)
    place.get_by_role("button", name="Answer").click()
    return place.get_by_role("status")


def test_a_right_choice_is_called_right_and_explained(page: Page) -> None:
    place = at(page, "weights")
    group = place.get_by_role("group", name="Predict. Four keys score")
    expect(group.get_by_role("radio")).to_have_count(3)
    expect(place.get_by_text("Equal scores give")).not_to_be_visible()
    place.get_by_label("a quarter").check()
    place.get_by_role("button", name="Answer").click()
    expect(place.get_by_role("status")).to_have_text("Right.")
    expect(place.get_by_text("Equal scores give")).to_be_visible()
    expect(place.get_by_text("✓ right")).to_be_visible()


def test_a_wrong_choice_is_named_by_its_own_line(page: Page) -> None:
    place = at(page, "weights")
    for label, line in (("whole", "exponential of the score"), ("depends", "mixed with the weigh")):
        place.get_by_label(label).check()
        place.get_by_role("button", name="Answer").click()
        expect(place.get_by_role("status")).to_contain_text("No.")
        expect(place.get_by_role("status")).to_contain_text(line)
    # The other line is back among the rest, and both are there once.
    expect(place.get_by_role("status")).not_to_contain_text("exponential")
    expect(place.get_by_text("exponential of the score")).to_have_count(1)
    expect(place.get_by_text("✗ your answer")).to_have_count(1)
    expect(place.get_by_text("Equal scores give")).to_be_visible()


def test_a_wrong_choice_without_a_line_is_told_the_right_one(page: Page) -> None:
    place = at(page, "verdict")
    place.get_by_label("False").check()
    place.get_by_role("button", name="Answer").click()
    expect(place.get_by_role("status")).to_have_text("No. The answer is 2: Not quite.")


def test_no_choice_is_no_answer(page: Page) -> None:
    place = at(page, "weights")
    place.get_by_role("button", name="Answer").click()
    expect(place.get_by_role("status")).to_have_text("Choose one of the answers first.")
    expect(place.get_by_text("Equal scores give")).not_to_be_visible()
    expect(place.get_by_label("whole")).to_be_focused()


RIGHT = {
    "mixture": [
        *("0.25", "0,25", ".25", "1/4", "25 %", "25%", "+0.25", "0.26", "0.24"),
        *("2^-2", "2.5e-1", "= 1 / 4", "5·0.05"),
    ],
    "share": ["30 %", "30", "0.3", "0,3", "3/10", "35", "25 per cent"],
    "scores": [
        *("65536", "65,536", "65 536", "65,536 scores", "6.5536·10⁴"),
        *("256 * 256", "2^16", "256²", "2**16", "256 x 256"),
    ],
    "bytes": ["300", "3,000", "1e3", "10^3"],
}
WRONG = {
    "mixture": {
        "0.155": "the weights were not divided",
        "0,16": "the weights were not divided",
        "-3": "the sign of the score",
        "−3": "the sign of the score",
        "1": "everything goes to one key",
        "0.98": "everything goes to one key",
        "0.6": "The answer is 0.25.",
        "0.2": "The answer is 0.25.",
        "0.2611": "The answer is 0.25.",
        "-0.25": "The answer is 0.25.",
    },
    "share": {
        "3": "a decimal place is missing",
        "36 %": "The answer is 30 %.",
        "70": "the rest",
        "70 %": "the rest",
    },
    "scores": {"256": "that is one row", "65535": "The answer is 65,536 scores."},
    "bytes": {"1000000": "that is bits", "299": "The answer is 1,000."},
}


def verdicts(page: Page, name: str, texts: Iterable[str]) -> dict[str, str]:
    """What is said of each text, from a fresh start each time."""
    said = {}
    for text in texts:
        said[text] = " ".join(write(page, name, text).inner_text().split())
        again = at(page, name).get_by_role("button", name="Start again")
        if again.is_visible():
            again.click()
    return said


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_number_in_any_spelling(page: Page, name: str) -> None:
    assert verdicts(page, name, RIGHT[name]) == dict.fromkeys(RIGHT[name], "Right.")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_number_is_named_or_told(page: Page, name: str) -> None:
    for text, said in verdicts(page, name, WRONG[name]).items():
        assert said.startswith("No. "), text
        assert WRONG[name][text] in said, text


def test_what_is_no_number_is_no_answer(page: Page) -> None:
    for text in ("", "many", "1/", "1/0", "--1", "1.2.3", "0.25 or so"):
        expect(write(page, "mixture", text)).to_contain_text("Write a number first")
        expect(at(page, "mixture").get_by_text("It is computed below")).not_to_be_visible()


def test_by_keyboard_alone(page: Page) -> None:
    keys = page.keyboard
    keys.press("Tab")  # into the choices
    expect(at(page, "weights").get_by_label("whole")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    expect(at(page, "weights").get_by_label("depends")).to_be_checked()
    keys.press("Tab")
    keys.press("Space")
    expect(at(page, "weights").get_by_role("status")).to_contain_text("mixed with the weights")
    keys.press("Tab")
    expect(at(page, "weights").get_by_role("button", name="Start again")).to_be_focused()
    keys.press("Enter")
    expect(at(page, "weights").get_by_label("whole")).to_be_focused()
    keys.press("Tab")
    keys.press("Tab")  # the fold, which still opens by itself
    keys.press("Enter")
    expect(at(page, "weights").get_by_text("Equal scores give")).to_be_visible()
    keys.press("Tab")
    keys.type("1/4")
    keys.press("Enter")
    expect(at(page, "mixture").get_by_role("status")).to_have_text("Right.")


def test_focus_can_be_seen(page: Page) -> None:
    for control in at(page, "weights").locator("input, button, summary").all():
        if control.is_visible():
            control.evaluate("e => e.focus({focusVisible: true})")
            assert control.evaluate("e => getComputedStyle(e).outlineStyle") != "none"


def test_answers_are_kept_and_forgotten_on_request(new_context: Any, file: Path) -> None:
    context = new_context()
    page = opened(context, file)
    at(page, "weights").get_by_label("whole").check()
    at(page, "weights").get_by_role("button", name="Answer").click()
    write(page, "mixture", "1/4")
    page.close()

    page = opened(context, file)
    expect(at(page, "weights").get_by_label("whole")).to_be_checked()
    expect(at(page, "weights").get_by_role("status")).to_contain_text("exponential of the score")
    expect(at(page, "mixture").get_by_role("textbox")).to_have_value("1/4")
    expect(at(page, "mixture").get_by_role("status")).to_have_text("Right.")
    expect(at(page, "share").get_by_role("status")).to_be_empty()
    at(page, "weights").get_by_role("button", name="Start again").click()
    expect(at(page, "weights").get_by_role("status")).to_be_empty()
    expect(at(page, "weights").get_by_role("button", name="Start again")).not_to_be_visible()

    page.reload()
    expect(at(page, "weights").get_by_label("whole")).not_to_be_checked()
    expect(at(page, "weights").get_by_text("Equal scores give")).not_to_be_visible()
    expect(at(page, "mixture").get_by_role("status")).to_have_text("Right.")


def test_what_was_kept_and_no_longer_fits_is_ignored(new_context: Any, file: Path) -> None:
    context = new_context()
    page = opened(context, file)
    place = at(page, "weights")
    place.get_by_label("whole").check()
    place.get_by_role("button", name="Answer").click()
    page.evaluate("() => { for (const key of Object.keys(localStorage)) localStorage[key] = '9'; }")
    page.reload()
    expect(place.get_by_role("status")).to_be_empty()
    expect(place.get_by_role("radio", checked=True)).to_have_count(0)


def test_a_browser_that_keeps_nothing_is_no_error(new_context: Any, file: Path) -> None:
    context = new_context()
    context.add_init_script(
        """Object.defineProperty(window, "localStorage", {
            get() { throw new DOMException("refused", "SecurityError"); },
        });"""
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    expect(write(page, "mixture", "0.25")).to_have_text("Right.")
    at(page, "mixture").get_by_role("button", name="Start again").click()
    assert said == []


def test_formulas_are_moved_not_copied(new_context: Any, file: Path) -> None:
    """MathJax may have found them before the script runs, and writes into what it has found."""
    context = new_context()
    context.add_init_script(
        """document.addEventListener("DOMContentLoaded", () => {
            document.querySelectorAll("span.math").forEach(span => { span.found = true; });
        });"""
    )
    page = opened(context, file)
    spans = page.locator("form span.math").evaluate_all("all => all.map(s => s.found ?? false)")
    assert spans == [True, True, True]


def test_without_scripts_it_is_text_with_a_fold(new_context: Any, file: Path) -> None:
    page = opened(new_context(java_script_enabled=False), file)
    place = at(page, "weights")
    expect(place.get_by_text("a quarter")).to_be_visible()
    expect(place.get_by_text("Equal scores give")).not_to_be_visible()
    expect(page.locator("input, button")).to_have_count(0)
    place.locator("summary").click()
    expect(place.get_by_text("Equal scores give")).to_be_visible()
    expect(place.get_by_text("exponential of the score")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_question_and_answer_print(new_context: Any, file: Path, scripts: bool) -> None:
    page = opened(new_context(java_script_enabled=scripts), file)
    place = at(page, "weights")
    if scripts:
        place.get_by_label("whole").check()
        place.get_by_role("button", name="Answer").click()
        place.locator("summary").click()  # closed again by the reader
    page.emulate_media(media="print")
    for text in ("Four keys", "a quarter", "Equal scores give", "exponential of", "mixed with"):
        printed = place.get_by_text(text).first
        box = printed.bounding_box()
        assert box is not None and box["height"] > 0, text
        visible = "e => e.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
        assert printed.evaluate(visible), text
    expect(place.locator("button:visible")).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_accessible_once_answered(page: Page, theme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    at(page, "weights").get_by_label("whole").check()
    at(page, "weights").get_by_role("button", name="Answer").click()
    write(page, "mixture", "0.25")
    write(page, "share", "x")
    page.evaluate(AXE_SCRIPT)
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", WCAG)
    assert readable("questions", theme, width, found["violations"]) == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_colab_and_jupyter_read_the_same_markdown() -> None:
    """Plain CommonMark, without MyST, gives the same text with a fold."""
    html = MarkdownIt("commonmark").enable("table").render(TEXT)
    assert html.count('<div class="question"') == html.count("</div>") == 6
    assert html.count("<details><summary>Answer</summary>") == html.count("</details>") == 6
    inside = re.findall(r"<details>.*?</details>", html, flags=re.DOTALL)
    assert all(re.search(r"<p><strong>[^<]+</strong>", fold) for fold in inside)
    assert "<li>1: that is the exponential of the score.</li>" in html
    assert "<ol>" in html and "<li>it depends on the values</li>" in html


# --- the questions of the book, in the built pages ------------------------------------------------


def of_the_book() -> list[tuple[str, questions.Question]]:
    return [
        (page.name, questions.parse(piece.text))
        for page in pages(ROOT)
        for piece in page.pieces
        if piece.kind == "question"
    ]


ASKED = of_the_book()


@pytest.mark.parametrize("name", sorted({name for name, _ in ASKED}))
def test_every_question_of_the_book_knows_right_from_wrong(
    new_context: Any, html: Path, name: str
) -> None:
    """Each right answer is called right, and each named wrong one shows its line."""
    context = new_context()
    context.route("**/mathjax/**", lambda route: route.abort())  # takes long; not needed here
    page = context.new_page()
    page.goto((html / f"book/{name}.html").as_uri(), wait_until="domcontentloaded")
    for _, question in [pair for pair in ASKED if pair[0] == name]:
        place = page.locator(f"#{question.id}.question-ready")
        for given in (question.right, *question.named):
            if question.choices:
                place.locator(f"input[value='{given}']").check()
            else:
                place.get_by_role("textbox").fill(given)
            place.get_by_role("button", name="Answer").click()
            verdict = place.get_by_role("status")
            if given == question.right:
                expect(verdict).to_have_text("Right.")
            else:
                expect(verdict.get_by_role("listitem")).to_contain_text(f"{given}:")
