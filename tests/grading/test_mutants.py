"""Every small change to a worked answer is noticed by a check, or waived with a reason.

The scores are printed at the end of the test run.
"""

from pathlib import Path

import pytest

from minitx.authoring.mutants import mutation_score
from minitx.grading.course import Course

pytestmark = pytest.mark.usefixtures("as_users_run")

COURSE = Course(Path(__file__).resolve().parents[2])
EXERCISES = [
    (chapter, exercise)
    for chapter in COURSE.chapters.values()
    for exercise in chapter.exercises.values()
]
TITLE = "mutants of the worked answers"


@pytest.mark.parametrize(
    ("chapter", "exercise"), EXERCISES, ids=[exercise.id for _, exercise in EXERCISES]
)
def test_all_mutants_are_killed_or_waived(chapter, exercise, record_property):
    score = mutation_score(chapter, exercise)
    record_property("summary", (TITLE, score.line()))
    assert score.made >= 5
    assert score.problems == []
