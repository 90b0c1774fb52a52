"""The measuring tool for wrong answers written without the bank."""

from pathlib import Path

import pytest

from minitx.grading.course import Course

from .first_contact import meet, read, summary

FOLDER = Path(__file__).parent / "wrong_answers"
ROOT = Path(__file__).resolve().parents[2]
ANSWERS = sorted({each.exercise_id[:2] for each in read(FOLDER)})

WRONG = '''
@wrong("01.1")
def squares(x):
    """It squares."""
    if x.size == 0:
        raise ValueError("empty")
    return x * x

@wrong("01.1")
def right_after_all(x):
    """Nothing is wrong."""
    if x.size == 0:
        raise ValueError("empty")
    return x + x
'''


def test_counts_what_was_accepted_and_what_was_named(course: Course, tmp_path: Path) -> None:
    (tmp_path / "wrong_one.py").write_text(WRONG, encoding="utf-8")
    answers = read(tmp_path)
    assert [(each.name, each.truth) for each in answers] == [
        ("squares", "It squares."),
        ("right_after_all", "Nothing is wrong."),
    ]
    fates = list(meet(answers, course))
    assert [fate.verdict for fate in fates] == ["failed", "ACCEPTED"]
    assert fates[0].sources == "bank"
    assert summary(fates).splitlines()[:2] == [
        "2 answers: 1 failed, 1 ACCEPTED",
        "named: 1 of 1 rejected, 100.0 %",
    ]


def test_a_folder_without_answers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no wrong answers in"):
        read(tmp_path)


def test_an_answer_without_its_truth(tmp_path: Path) -> None:
    (tmp_path / "wrong_one.py").write_text("@wrong('01.1')\ndef f(x):\n    return x\n")
    with pytest.raises(ValueError, match="f: the docstring must say what is wrong"):
        read(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("number", ANSWERS)
def test_answers_written_without_the_bank_are_turned_down_and_named(number: str) -> None:
    answers = [each for each in read(FOLDER) if each.exercise_id.startswith(number)]
    fates = list(meet(answers, Course(ROOT)))
    assert [fate.wrong.name for fate in fates if fate.verdict != "failed"] == []
    assert sum(bool(fate.report.named) for fate in fates) >= 0.85 * len(fates)


def test_there_are_answers_for_every_chapter() -> None:
    assert sorted(Course(ROOT).chapters) == ANSWERS
