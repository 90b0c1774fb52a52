"""A page that is too long, asks too late or links to nowhere is named, with the figure."""

import pytest

from minitx.authoring.page_lints import beyond_budget, faults, question_faults
from minitx.authoring.pages import Page
from tests.authoring.conftest import HEADER

CELL = "```{{code-cell}} ipython3\n{}\n```\n"
QUESTION = """\
<div class="question" id="q-1-{id}">

**{kind}.** What comes out?

<details><summary>Answer</summary>

**{right}** (± 0.01) As computed.

- 7: one too many.

</details>
</div>
"""
DRAWING = CELL.format(":tags: [remove-input]\n\ndrawings.recipe()")


def question(id="one", kind="Predict", right="0.42") -> str:
    return QUESTION.format(id=id, kind=kind, right=right)


def chapter(*, words=100, lines=10, cell="x = 1", drawings=8, asked=8) -> str:
    """A main page of this size, each question before a drawing."""
    parts = [
        HEADER,
        "# A chapter\n",
        "**Time.** About 5 minutes skimmed, 5 minutes worked through.\n",
        "word " * words,
        CELL.format(cell),
        *[CELL.format(f"y = {line}") for line in range(lines)],
        *[f"## Part {i}\n\n{question(id=f'n{i}')}" + "\n" + DRAWING for i in range(asked)],
        *[DRAWING for _ in range(drawings - asked)],
    ]
    return "\n".join(parts)


def said(text: str, name: str = "01_small", outputs: dict[str, str] | None = None) -> list[str]:
    page = Page(name, text, outputs or {})
    return [*beyond_budget(page), *question_faults(page)]


def test_a_page_within_its_budget_is_not_named():
    assert said(chapter()) == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (chapter(words=5000), "5,0"),
        (chapter(lines=150), "151 visible lines of code; at most 150"),
        (chapter(cell="x = 1\n" * 12 + "y = 2"), "13 lines in the longest cell; at most 12"),
        (
            chapter(cell=f"x = '{'a' * 73}'"),
            "79 characters in the longest line of code; at most 78",
        ),
        (chapter(asked=7), "7 questions; at least 8"),
        (chapter(asked=8, drawings=7).replace(DRAWING, "", 1), "7 drawings and figures"),
    ],
)
def test_what_is_beyond_the_budget_is_said_with_its_figure(page, fault):
    found = said(page)
    assert [line for line in found if line.startswith(fault)], found


def test_a_further_page_has_a_budget_of_line_length_only():
    long = chapter(words=9000, lines=300, asked=0, drawings=0)
    assert said(long, name="01_small_further") == []
    assert said(long + CELL.format(f"x = '{'a' * 74}'"), name="01_small_further") != []


def test_a_prediction_needs_something_to_see_in_its_own_section():
    head = f"{HEADER}\n## One\n\n{question()}\n"
    fault = "question q-1-one: no output, figure or table follows it in its section"
    assert fault in list(question_faults(Page("01_a", head + "## Two\n\n" + DRAWING, {})))
    assert fault in list(question_faults(Page("01_a", head + "Only prose.\n", {})))
    hidden = CELL.replace("\n{}", "\n:tags: [remove-output]\n\n{}").format("print(1)")
    assert fault in list(question_faults(Page("01_a", head + hidden, {})))
    for seen in (DRAWING, CELL.format("print(x)"), "### Deeper\n\n| a |b|\n|---|---|\n|1|2|\n"):
        assert list(question_faults(Page("01_a", head + seen, {}))) == []


@pytest.mark.parametrize(
    ("above", "outputs", "late"),
    [
        ("It gives 0.42 here.\n", {}, True),
        ("It gives 0.421, or 10.42, here.\n", {}, False),
        (CELL.format("print(x)"), {"print(x)": "x is 0.42\n"}, True),
        (CELL.format("print(x)"), {"print(x)": "x is 0.43\n"}, False),
        ("It gives 0.42 here.\n\n## Another section\n", {}, False),
    ],
)
def test_a_prediction_stands_above_its_answer(above, outputs, late):
    text = f"{HEADER}\n## One\n\n{above}\n{question()}\n{DRAWING}"
    found = list(question_faults(Page("01_a", text, outputs)))
    assert found == (
        ["question q-1-one: its answer, 0.42, stands above it in its section"] if late else []
    )


def test_a_prediction_does_not_contain_its_answer():
    text = f"{HEADER}\n## One\n\n{question()}\n{DRAWING}".replace("comes out", "comes, 0.42, out")
    assert list(question_faults(Page("01_a", text, {}))) == [
        "question q-1-one: its answer, 0.42, stands above it in its section"
    ]


def test_on_a_page_of_verdicts_no_wrong_one_has_a_line():
    text = f"{HEADER}\n## One\n\n{question(kind='Question')}".replace("- 7:", "*")
    assert list(question_faults(Page("said", text.replace("q-1-", "q-said-"), {}))) == []
    (fault,) = question_faults(Page("01_a", text, {}))
    assert "no wrong number is named" in fault


def test_another_question_may_look_back():
    text = f"{HEADER}\n## One\n\nIt gives 0.42 here.\n\n{question(kind='Question')}"
    assert list(question_faults(Page("01_a", text, {}))) == []


def test_a_question_of_another_shape_is_shown():
    text = f"{HEADER}\n# One\n\n{question().replace('</summary>', '</summary> More')}"
    (fault,) = question_faults(Page("01_a", text, {}))
    assert fault.startswith('question `<div class="question" id="q-1-one"> **Predict.** What')
    assert "its Markdown must be" in fault


def test_an_id_names_its_chapter():
    text = f"{HEADER}\n# One\n\n{question()}\n{DRAWING}"
    assert list(question_faults(Page("02_b", text, {}))) == [
        "question q-1-one: its id must be q-2-…"
    ]
    assert list(question_faults(Page("words", text.replace("q-1-", "q-words-"), {}))) == []


@pytest.fixture
def book(course):
    """A course whose one page is a chapter within its budget, beside a page of words."""
    (course / "book/01_small.md").write_text(chapter())
    return course


def test_a_whole_book_without_a_fault(book):
    assert faults(book) == []


def test_the_faults_of_a_book_name_the_page(book):
    (book / "book/02_more.md").write_text(chapter(asked=7))
    found = faults(book)
    assert "book/02_more.md: 7 questions; at least 8" in found
    assert "book/02_more.md: question q-1-n0: its id must be q-2-…" in found
    assert "book/02_more.md: the question q-1-n0 is in book/01_small.md too" in found


def test_a_chapter_says_how_long_it_takes(book):
    page = book / "book/01_small.md"
    page.write_text(page.read_text().replace("**Time.**", "**Letters.**"))
    (fault,) = faults(book)
    assert fault.startswith("book/01_small.md: no line `**Time.** About")


def test_the_start_page_has_the_time_of_every_chapter(book):
    start = book / "book/intro.md"
    start.write_text("# Start\n\n| 1 | <!-- time 01_small -->?<!-- end --> |\n")
    assert faults(book) == []
    (book / "book/01_small_further.md").write_text("# More\n\n**Time.** About 1 worked through\n")
    assert faults(book) == []
    start.write_text("# Start\n")
    assert faults(book) == ["book/intro.md: no `<!-- time 01_small --><!-- end -->`"]


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("[Exercise 1.1](../exercises/01_small.ipynb#exercise-1-1-doubling)", None),
        ("[Exercise 1.1](../exercises/01_small.ipynb#exercise-11-doubling)", None),
        ("[Exercise 1.1](../exercises/01_small.ipynb)", "leads to no exercise"),
        ("[Exercise 1.1](../exercises/01_small.ipynb#exercise-1-1)", None),
        ("[Exercise 1.1](../exercises/01_small.ipynb#exercise-1-1-an-older-title)", None),
        ("[Exercise 1.9](../exercises/01_small.ipynb#exercise-1-9)", "leads to no such place"),
        ("[Exercises for chapter 1](../exercises/01_small.ipynb)", None),
        ("[so](words.md#said-here)", None),
        ("[so](words.md#said-there)", "leads to no such place in book/words.md"),
        ("[above](#part-3)", None),
        ("[above](#part-9)", "leads to no such place in book/01_small.md"),
        ("[elsewhere](https://example.org/#part-9)", None),
        ("[a file](../LICENSE#part-9)", None),
    ],
)
def test_links_end_where_something_is(book, link, fault):
    (book / "book/words.md").write_text("(said-here)=\n## Words\n")
    page = book / "book/01_small.md"
    page.write_text(f"{page.read_text()}\nSee {link}.\n")
    found = faults(book)
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]
