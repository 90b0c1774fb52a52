"""How a report looks: as text, as HTML, in the terminal."""

import html.parser
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from minitx.grading.course import Chapter
from minitx.grading.judge.assess import assess_all
from minitx.grading.render_rich import exercise_view, overview
from minitx.grading.report import Case, CheckReport, ExerciseReport, Named, Report, count
from minitx.grading.worker.local import LocalCaller

CHECKS = (
    CheckReport("test_a", "rows sum to 1", 2, "passed", "", "h1"),
    CheckReport("test_b", "values", 3, "failed", "At `[0, 1]` got <b>nan</b> & 3.", "Which axis?"),
    CheckReport("test_c", "shape", 1, "failed", "The shape is (3,).", "Look."),
    CheckReport("test_d", "dtype", 1, "failed", "Third paragraph.", "Look."),
)
NAMED = Named(
    "02.3/x",
    "you sum over the wrong axis.",
    "Use dim=-1.",
    "“Softmax” in book/02.md",
    opening="Your output equals what you get when",
)
CASE = Case(("x = 1", "f(x)"), "[1 < 2]", "[2]")


def exercise(**changes: Any) -> ExerciseReport:
    return replace(
        ExerciseReport("02.3", "Exercise 2.3", "A softmax", "softmax", "“Masks” in b.md", CHECKS),
        **changes,
    )


def terminal(renderable: Any, width: int = 80, **options: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, **options).print(renderable)
    return out.getvalue()


def test_points_and_status() -> None:
    report = exercise()
    assert (report.points, report.earned, report.status) == (7, 2, "failed")
    assert report.score == "2 of 7 points"
    waiting = tuple(replace(check, status="unattempted") for check in CHECKS)
    assert exercise(checks=waiting).score == "not attempted yet, 7 points"
    assert (count(1, "point"), count(2, "point")) == ("1 point", "2 points")


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["passed", "passed", "passed", "passed"], 0),
        (["passed", "failed", "not run", "not run"], 1),
        (["unattempted"] * 4, 1),
        (["passed", "grader error", "failed", "passed"], 3),
    ],
)
def test_exit_codes(states: list[Any], code: int) -> None:
    checks = tuple(replace(c, status=s) for c, s in zip(CHECKS, states, strict=True))
    assert Report((exercise(checks=checks),)).exit_code == code
    assert Report(()).exit_code == 1


def test_text() -> None:
    assert repr(Report((exercise(),))) == (
        "Exercise 2.3: A softmax (2 of 7 points)\n"
        "  passed  2/2  rows sum to 1\n"
        "  failed  0/3  values\n"
        "  failed  0/1  shape\n"
        "  failed  0/1  dtype\n"
        "\n"
        "values: At `[0, 1]` got <b>nan</b> & 3.\n"
        "Hint: Which axis?\n"
        "\n"
        "shape: The shape is (3,).\n"
        "Hint: Look.\n"
        "\n"
        "Read “Masks” in b.md."
    )


def test_a_named_mistake_comes_first_and_spares_paragraphs() -> None:
    text = repr(Report((exercise(named=(NAMED,)),)))
    assert "equals what you get when you sum over the wrong axis. Use dim=-1." in text
    assert "Read “Softmax” in book/02.md." in text
    assert "Hint: Which axis?" in text
    assert "shape: The shape" not in text
    assert "Masks" not in text


def test_nothing_is_said_to_be_read_where_there_is_no_page() -> None:
    report = exercise(named=(replace(NAMED, page="", link=""),))
    for shown in (repr(Report((report,))), Report((report,))._repr_html_()):
        assert "Read" not in shown
    assert "Read" not in terminal(exercise_view(report))


def test_the_same_paragraph_is_not_said_twice() -> None:
    same = tuple(replace(check, text="The same.") for check in CHECKS)
    assert repr(Report((exercise(checks=same),))).count("The same.") == 1


def test_no_hint_where_there_is_no_value() -> None:
    missing = (replace(CHECKS[1], text="There is no function f.", hint=""),)
    text = repr(Report((exercise(checks=missing),)))
    assert text.endswith("\n\nThere is no function f.")
    assert "Hint" not in text


def test_what_was_printed() -> None:
    text = repr(Report((exercise(printed="one\n" * 10 + "x" * 500),)))
    assert "Your code printed:\n    one\n    one\n    one\n    one\n    one\n    one\n    …" in text
    long = repr(Report((exercise(printed="x" * 500),)))
    assert "x" * 100 + " …" in long
    assert "x" * 101 not in long
    passed = (CHECKS[0],)
    assert "printed" not in repr(Report((exercise(checks=passed, printed="debugging"),)))


def test_problems_stand_in_front() -> None:
    assert repr(Report((exercise(),), ("b cannot be read.",))).startswith("b cannot be read.\n\nEx")


class Page(html.parser.HTMLParser):
    """Tags in order, with their attributes; complains about what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_shows_stress_as_stress_and_a_product_as_a_product() -> None:
    advice = "Scale *once*: `q * k * s`, that is 2*3*4, or a * b."
    shown = Report((exercise(named=(replace(NAMED, advice=advice),)),))._repr_html_()
    assert "Scale <em>once</em>: <code>q * k * s</code>, that is 2*3*4, or a * b." in shown


def test_html() -> None:
    shown = Report((exercise(named=(NAMED,), printed="<script>"),), ("`f` is lost",))._repr_html_()
    page = Page(shown)
    names = [tag for tag, _ in page.tags]
    assert "At [0, 1] got <b>nan</b> & 3." in page.text
    assert "<script>" in page.text
    assert "script" not in names
    assert "<code>f</code> is lost" in shown
    assert names.count("table") == names.count("caption") == 1
    scopes = [attributes["scope"] for tag, attributes in page.tags if tag == "th"]
    assert scopes == ["col"] * 3 + ["row"] * 4
    assert "color" not in shown  # the page's own colours, light or dark
    assert "http" not in shown


def test_html_of_an_unattempted_exercise_is_a_line() -> None:
    waiting = tuple(replace(check, status="unattempted") for check in CHECKS)
    page = Page(Report((exercise(checks=waiting),))._repr_html_())
    assert page.text.strip() == "Exercise 2.3: A softmax (not attempted yet, 7 points)"


def test_in_the_terminal() -> None:
    text = terminal(exercise_view(exercise(named=(NAMED,))))
    assert "✓ passed 2/2 rows sum to 1" in text
    assert "✗ failed 0/3 values" in text
    assert "Your output equals what you get when you sum over the wrong axis." in text
    assert "[0, 1]" in text  # not taken for markup
    assert "Third paragraph." not in text
    assert "Third paragraph." in terminal(exercise_view(exercise(), most=None))
    assert "2.3  2/7  ✗ failed  A softmax" in terminal(overview(Report((exercise(),))))


def test_a_narrow_terminal() -> None:
    lines = terminal(exercise_view(exercise(named=(NAMED,))), width=40).splitlines()
    assert max(map(len, lines)) <= 40


def test_without_colour_no_escape_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = terminal(exercise_view(exercise()), force_terminal=True)
    assert "\x1b[3" in coloured
    assert "\x1b" not in terminal(exercise_view(exercise()))


def test_the_same_answer_gives_the_same_bytes(chapter: Chapter, tmp_path: Path) -> None:
    def shown() -> tuple[str, str]:
        answers = LocalCaller.of({"double": lambda x: x**3, "quadruple": lambda x: 2 * x})
        report = assess_all(chapter, chapter.exercises.values(), answers)
        return repr(report), report._repr_html_()

    assert shown() == shown()


def test_the_smallest_case_is_shown_ready_to_paste() -> None:
    report = exercise(case=CASE)
    text = repr(Report((report,)))
    assert (
        "The smallest call found that shows it:\n"
        "    x = 1\n    f(x)\n    # expected  [1 < 2]\n    # yours     [2]"
    ) in text
    assert "<pre>x = 1\nf(x)\n# expected  [1 &lt; 2]\n" in Report((report,))._repr_html_()
    assert "    # yours     [2]" in terminal(exercise_view(report))


def test_what_to_read_is_a_link_where_the_medium_can() -> None:
    named = replace(NAMED, link="file:///a.html#b")
    shown = Report((exercise(named=(named,)),))._repr_html_()
    assert '<a href="file:///a.html#b">“Softmax” in book/02.md</a>' in shown
    linked = terminal(exercise_view(exercise(named=(named,))), force_terminal=True)
    assert "\x1b]8;" in linked
    assert "file:///a.html#b" in linked
    assert "file:" not in terminal(exercise_view(exercise(named=(named,))))
    page = Report((exercise(link="file:///c.html"),))._repr_html_()
    assert '<a href="file:///c.html">“Masks” in b.md</a>' in page


def test_an_exception_of_several_checks_is_told_once() -> None:
    texts = [f"f raised KeyError at line 3. It was called as f({n})." for n in range(4)]
    checks = tuple(replace(c, text=t, status="failed") for c, t in zip(CHECKS, texts, strict=True))
    assert repr(Report((exercise(checks=checks),))).count("KeyError") == 1
