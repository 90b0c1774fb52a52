"""The table on the page *How grading works* is what grading everything gives today.

So every mutant of a worked answer is killed or waived, every planted mistake is turned down and
named, every right answer earns everything. The rows are printed at the end of the test run.
"""

from pathlib import Path

import pytest

from minitx.authoring.proof import kept_table, proof
from minitx.grading.course import Course

pytestmark = [pytest.mark.usefixtures("as_users_run"), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
EXERCISES = [
    (chapter, exercise)
    for chapter in COURSE.chapters.values()
    for exercise in chapter.exercises.values()
]
KEPT = {row.exercise_id: row for row in kept_table(ROOT)}
HOW = "python -m minitx.authoring.proof --write keeps the table anew"


def test_it_has_a_row_for_every_exercise():
    assert list(KEPT) == [exercise.id for _, exercise in EXERCISES], HOW


@pytest.mark.parametrize(
    ("chapter", "exercise"), EXERCISES, ids=[exercise.id for _, exercise in EXERCISES]
)
def test_its_row_holds(chapter, exercise, record_property):
    row = proof(chapter, exercise)
    record_property("summary", ("the grader's proof", "  ".join(row.cells())))
    assert row.lost == ()
    assert row.killed.made >= 5
    assert row.cells() == KEPT[exercise.id].cells(), HOW
