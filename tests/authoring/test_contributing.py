"""What CONTRIBUTING shows of a chapter is what the build and the lints take."""

import re
import textwrap
from pathlib import Path

import pytest

from minitx.authoring import questions
from minitx.authoring.page_lints import CELL_LINES, CODE_LINES, LINE, PICTURES, QUESTIONS, WORDS
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
    assert {"figure", "image"} <= set(piece.cell.metadata["mystnb"])


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
