"""Times are computed from the page, and the build writes them where pages say them."""

import pytest

from minitx.authoring.build import build
from minitx.authoring.errors import SourceError
from minitx.authoring.pages import Page, Size
from minitx.authoring.reading_time import ReadingTime, reading_time, time_of, with_times

STATED = "**Time.** About 1 minutes skimmed, 2 h worked through; the exercises come on top.\n"


def size(**counted) -> Size:
    nothing = dict.fromkeys(Size.__dataclass_fields__, 0)
    return Size(**(nothing | counted))


def test_each_part_has_its_pace():
    full = size(words=4000, code_lines=150, drawings=5, figures=4, panels=1, questions=8)
    # 4000 / 230 + 150 / 25 + 20 = 43.4; 4000 / 140 + 15 + 20 + 16 = 79.6
    assert reading_time(full) == ReadingTime(45, 80)
    assert reading_time(size(words=1400)) == ReadingTime(5, 10)
    assert reading_time(size(code_lines=1000)) == ReadingTime(40, 100)
    for picture in ("drawings", "figures", "panels"):
        assert reading_time(size(**{picture: 10})) == ReadingTime(20, 20)
    assert reading_time(size(questions=10)) == ReadingTime(5, 20)


@pytest.mark.parametrize(
    ("minutes", "said"), [(5, "5 minutes"), (60, "1 h"), (65, "1 h 05"), (140, "2 h 20")]
)
def test_minutes_are_said_as_one_says_them(minutes, said):
    assert ReadingTime(5, minutes).worked == said


def test_the_sentence_is_computed_and_the_rest_of_its_line_kept():
    text = f"# Page\n\n{STATED}\n{'word ' * 2800}\n"
    now = with_times(None, text, name="01_page")
    assert now == text.replace(
        "About 1 minutes skimmed, 2 h worked through",
        "About 10 minutes skimmed, 20 minutes worked through",
    )
    assert with_times(None, now, name="01_page") == now


def test_the_sentence_itself_takes_no_time():
    """Else a longer time could make the page longer, and the build would never be done."""
    page = Page("p", f"{STATED}\n{'word ' * 1040}", {})  # 1,046 words without it, 1,054 with it
    assert reading_time(page.size) == ReadingTime(5, 10)
    assert time_of(page) == ReadingTime(5, 5)


@pytest.fixture
def told(course):
    """A course whose page, and another page, tell the page's time."""
    page = course / "book/01_small.md"
    page.write_text(page.read_text().replace("Some text.", STATED + "\n" + "word " * 2800))
    words = course / "book/words.md"
    words.write_text("| 1 | <!-- time 01_small -->?<!-- end --> |\n")
    return course


def test_the_build_writes_times_and_the_notebook_has_them(told):
    build(told, echo=lambda line: None)
    wanted = "10 minutes skimmed, 20 minutes worked through"
    assert f"**Time.** About {wanted}; the exercises" in (told / "book/01_small.md").read_text()
    assert f"**Time.** About {wanted}; the exercises" in (told / "book/01_small.ipynb").read_text()
    line = f"| 1 | <!-- time 01_small -->about {wanted}<!-- end --> |\n"
    assert (told / "book/words.md").read_text() == line
    assert not (told / "book/words.ipynb").exists()


def test_check_fails_when_a_time_is_out_of_step(told):
    build(told, echo=lambda line: None)
    page = told / "book/01_small.md"
    page.write_text(page.read_text() + "word " * 2800 + "\n")
    lines: list[str] = []
    before = page.read_text()
    assert build(told, check=True, echo=lines.append) == 1
    for name in ("01_small", "words"):
        said = f"book/{name}.md is out of step with minitx/authoring/reading_time.py"
        assert any(line.startswith(said) for line in lines)
    assert page.read_text() == before
    build(told, echo=lambda line: None)
    lines.clear()
    build(told, check=True, echo=lines.append)
    assert not any("reading_time" in line for line in lines)


def test_the_time_of_a_page_that_is_not_there_is_refused(told):
    text = "<!-- time 09_none -->?<!-- end -->"
    with pytest.raises(SourceError, match=r"book/words\.md: no page 09_none to tell the time of"):
        with_times(told, text, name="words")
