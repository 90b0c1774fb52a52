"""What CONTRIBUTING shows of a chapter is what the build and the lints take."""

import re
import textwrap
from pathlib import Path

import pytest

from minitx.authoring import questions
from minitx.authoring.build import build
from minitx.authoring.page_lints import (
    CELL_LINES,
    CODE_LINES,
    LINE,
    PICTURES,
    QUESTIONS,
    WORDS,
    faults,
)
from minitx.authoring.pages import Page
from tests.authoring.conftest import HEADER

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHAPTER = TEXT.partition("### … a chapter\n")[2].partition("\n## ")[0]
SHOWN = re.findall(r"^ +(`{3,})\n(.*?)^ +\1$", CHAPTER, flags=re.DOTALL | re.MULTILINE)
DRAWING, QUESTION = (textwrap.dedent(text) for _, text in SHOWN)


def test_the_drawing_is_one():
    (piece,) = Page("01_a", f"{HEADER}\n{DRAWING}", {}).pieces
    assert piece.kind == "drawing"
    assert {"name", "caption"} == set(piece.cell.metadata["mystnb"]["figure"])


def test_the_question_can_be_asked():
    assert list(questions.faults(questions.parse(QUESTION))) == []


@pytest.mark.parametrize("shown", re.findall(r"`\*\*(\S[^*]*)\*\* \(([^)]*)\)`", CHAPTER))
def test_the_numbers_are_understood(shown):
    low, high = questions.accepted(*shown)
    assert low < questions.number(shown[0]) < high


def test_the_budget_is_the_one_that_is_checked():
    budget = re.search(r"\*\*The budget\*\*.*", CHAPTER)[0]
    figures = [int(n.replace(",", "")) for n in re.findall(r"(?<![-\w.])\d[\d,]*", budget)]
    assert figures == [WORDS, CODE_LINES, CELL_LINES, PICTURES, QUESTIONS, LINE]


def test_every_file_it_names_is_there():
    named = re.findall(r"`((?:minitx|book|tests)/[\w./]+)`", CHAPTER)
    fixed = [name for name in named if "NN_" not in name]
    assert len(fixed) >= 8
    assert [name for name in fixed if not (ROOT / name).exists()] == []


def test_a_chapter_of_these_pieces_is_accepted(course):
    """Built, its time filled in, and without a fault, on a main page and on the further one."""
    time = re.search(r"line `(\*\*Time\.\*\* [^`]*)`", CHAPTER)[1]
    parts = [
        f"## Part {i}\n\n{QUESTION.replace('q-2-', f'q-1-{i}-')}\n{DRAWING}"
        for i in range(max(QUESTIONS, PICTURES))
    ]
    for name, text in (("01_small", "\n".join(parts)), ("01_small_further", "More.\n")):
        page = f"{HEADER}\n# A chapter\n\n{time}\n\n{text}"
        (course / f"book/{name}.md").write_text(page, encoding="utf-8")
    build(course, echo=lambda line: None)
    assert faults(course) == []
    stated = r"\*\*Time\.\*\* About \d+ minutes skimmed, \d+ minutes worked through\."
    for built in ("01_small.md", "01_small.ipynb"):
        assert re.search(stated, (course / "book" / built).read_text(encoding="utf-8"))
