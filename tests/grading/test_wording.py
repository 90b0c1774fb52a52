"""What was changed in the worked answer is told in names that the learner has read."""

import ast
import re
from pathlib import Path

import pytest

from minitx.grading.course import Course
from minitx.grading.judge.banks import operator_bank
from minitx.grading.judge.known_names import known_names
from minitx.grading.judge.wording import _EVERYBODYS, in_known_names, names_in

COURSE = Course(Path(__file__).resolve().parents[2])
EXERCISES = ["01.3", "03.3", "05.2", "05.11", "06.2", "06.3", "06.5"]
ANSWER = ast.parse(
    """
def f(x, targets):
    hidden = x - 1
    twice = 2 * hidden
    total = 0
    for row in x:
        total += helper(row)
    return total
"""
).body[0]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("`x` is subtracted from `targets`, not added.", "`x` is subtracted from `targets`, not "
         "added."),
        ("the factor `twice` is missing.", "the factor `2 * (x - 1)` is missing."),
        ("`hidden` stands where `x` belongs in `helper`.", "`x - 1` stands where `x` belongs."),
        ("`helper` is left out: `x` is used as it is.", "a step is left out: `x` is used as it "
         "is."),
        ("`helper` is left out: `row` is used as it is.", ""),
        ("only `total.detach()` is left of `x + total.detach()`.", ""),
        ("`total` is written anew each time, so that only the last one is kept.",
         "a sum is written anew each time, so that only the last term is kept."),
        ("the loop over `range(total)` ends one too early.", "a loop ends one too early."),
        ("`row < total` is asked where `row <= total` belongs (off by one).",
         "a comparison is off by one (< and <=, or > and >=)."),
        ("`dim=-1` is left out of `helper`.", "`dim=-1` is left out."),
        ("3 stands where 2 belongs for `dim` of `helper`.", "3 stands where 2 belongs."),
        ("`row` stands where `total` belongs.", ""),
    ],
)  # fmt: skip
def test_hidden_names_are_replaced_or_nothing_is_told(sentence: str, told: str) -> None:
    assert isinstance(ANSWER, ast.FunctionDef)
    assert in_known_names(sentence, {"x", "targets"}, ANSWER) == told


def test_names_are_those_of_code_and_formulas_not_of_prose() -> None:
    backward = known_names(COURSE.chapter("05"), "05.2")
    assert {"grad", "x", "eps", "x_hat", "g", "grad_weight"} <= backward
    assert not {"centred", "root", "token", "the"} & backward
    block = known_names(COURSE.chapter("06"), "06.3")
    assert {"attention_residual", "Residual", "key_padding", "real", "y"} <= block
    assert not {"first", "second"} & block  # "first self-attention, then …"


def test_names_of_another_exercise_are_not_known() -> None:
    assert "x_hat" in known_names(COURSE.chapter("05"), "05.2")
    assert "x_hat" not in known_names(COURSE.chapter("05"), "05.7")


@pytest.mark.parametrize("exercise_id", EXERCISES)
def test_no_sentence_says_a_name_of_the_worked_answer_alone(exercise_id: str) -> None:
    chapter = COURSE.chapter(exercise_id[:2])
    known = known_names(chapter, exercise_id) | _EVERYBODYS
    slips = [each for each in operator_bank(chapter, exercise_id) if not each.certain]
    told = [each for each in slips if each.sentence]
    assert len(told) > len(slips) / 2
    for each in told:
        for code in re.findall(r"`([^`]+)`", each.sentence):
            assert "…" in code or names_in(code) <= known, each.sentence


def test_telling_leaves_the_worked_answer_as_it_is() -> None:
    """A name that stands for another, twice in one piece of code."""
    lines = ["def f(x):", "z = 2 * x", "a = z + 1", "b = 3 * a", "return g(b, b)"]
    answer = ast.parse("\n    ".join(lines)).body[0]
    assert isinstance(answer, ast.FunctionDef)
    before = ast.dump(answer)
    assert in_known_names("`g(b, b)` is missing.", {"x", "g"}, answer) != ""
    assert ast.dump(answer) == before
