"""What holds of every exercise that is registered, in seconds.

The whole proof, over five seeds and with every mistake turned down and named, is made, slowly, by
`test_kept_proof.py`.
"""

import contextlib
import dataclasses
import functools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from minitx.authoring.proof import SEEDS, worked_answers
from minitx.grading.course import Chapter, Course
from minitx.grading.judge.banks import names_used
from minitx.grading.judge.run import grade
from minitx.grading.judge.worked import functions_of
from minitx.grading.registry import Exercise
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.closed_doors import door_of
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller

pytestmark = pytest.mark.usefixtures("as_users_run")

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
FEWEST_MISTAKES = 60

for _chapter in COURSE.chapters.values():
    _chapter.load_right_answers()

EXERCISES = [
    (chapter, exercise)
    for chapter in COURSE.chapters.values()
    for exercise in chapter.exercises.values()
]
MISTAKES = [
    (chapter, exercise, mistake)
    for chapter, exercise in EXERCISES
    for mistake in exercise.mistakes.values()
]
RIGHT_ANSWERS = [
    (chapter, exercise, name) for chapter, exercise in EXERCISES for name in exercise.right_answers
]


RUNGS = [
    (chapter, exercise, name)
    for chapter, exercise in EXERCISES
    for name in worked_answers(chapter, exercise)
]
each_exercise = pytest.mark.parametrize(
    ("chapter", "exercise"), EXERCISES, ids=[exercise.id for _, exercise in EXERCISES]
)


@cache
def solution(chapter: Chapter) -> LocalCaller:
    return LocalCaller(load(chapter.solution_file))


@cache
def stub(chapter: Chapter) -> LocalCaller:
    return LocalCaller(load(chapter.stub_file()))


def graded(
    chapter: Chapter, exercise: Exercise, caller: LocalCaller, seed: int = 0
) -> ExerciseReport:
    return grade(
        exercise,
        caller,
        seed,
        siblings=chapter.exercises,
        reference=lambda: solution(chapter),
    )


def losses(report: ExerciseReport) -> list[str]:
    return [f"{check.name}: {check.text}" for check in report.checks if check.status != "passed"]


def test_there_is_something_to_prove():
    assert len(EXERCISES) >= 11
    assert len(MISTAKES) >= FEWEST_MISTAKES


@each_exercise
def test_the_worked_answer_earns_full_points(chapter, exercise):
    for seed in SEEDS:
        report = graded(chapter, exercise, solution(chapter), seed)
        assert losses(report) == [], f"seed {seed}"
        assert report.earned == report.points > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chapter", "exercise", "name"),
    RIGHT_ANSWERS,
    ids=[f"{exercise.id}/{name}" for _, exercise, name in RIGHT_ANSWERS],
)
def test_a_right_answer_written_differently_earns_full_points(chapter, exercise, name):
    submission = LocalCaller.of({exercise.function: exercise.right_answers[name]})
    assert losses(graded(chapter, exercise, submission)) == []


@each_exercise
def test_five_right_answers_at_least(chapter, exercise):
    assert len(exercise.right_answers) >= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chapter", "exercise", "name"), RUNGS, ids=[f"{e.id}/{name}" for _, e, name in RUNGS]
)
def test_every_rung_of_the_ladder_earns_full_points(chapter, exercise, name):
    rung = LocalCaller.of({exercise.function: worked_answers(chapter, exercise)[name]})
    assert losses(graded(chapter, exercise, rung)) == []


@each_exercise
def test_an_exercise_that_uses_others_is_composed_of_them_somewhere(chapter, exercise):
    if not exercise.uses:
        return
    composed = worked_answers(chapter, exercise)[f"{exercise.function}_from_parts"]
    parts = {chapter.exercises[part].function for part in exercise.uses}
    called = {name for f in functions_of(composed) for name in names_used(f.__code__)}
    assert parts & called


@each_exercise
def test_text_and_docstring_say_what_is_closed(chapter, exercise):
    text = chapter.solution_file.read_text(encoding="utf-8")
    section = text.partition(f"# ## {exercise.label}:")[2].partition("\n# ## Exercise")[0]
    assert "# **Closed** here" in section
    doc = worked_answers(chapter, exercise)[exercise.function].__doc__
    assert ("Closed:" in doc) == bool(exercise.closed)
    if exercise.closed and exercise.closed[0].startswith("minitx."):
        own = exercise.closed[0].split(".")[-1]
        assert own in doc.partition("Closed:")[2]
        assert f"{own}`" in section.partition("**Closed** here")[2]


@each_exercise
def test_every_closed_name_can_be_closed(chapter, exercise):
    doors = {name: door_of(name) for name in exercise.closed}  # raises where there is none
    assert all(doors[name] for name in doors if name.startswith("minitx."))


NOTHING = {
    "zeros": lambda likes: tuple(0 * like for like in likes),
    "ones": lambda likes: tuple(0 * like + 1 for like in likes),
    "an empty body": lambda likes: None,
}


def independent(value):
    if isinstance(value, np.ndarray):
        return np.nan_to_num(value)
    value = value.detach().clone()
    return value.nan_to_num() if value.is_floating_point() else value  # 0 times -inf is NaN


@pytest.mark.parametrize("nothing", NOTHING)
@each_exercise
def test_doing_nothing_earns_nothing(chapter, exercise, nothing):
    """A value of the right shape and dtype that is computed from nothing."""
    answer = worked_answers(chapter, exercise)[exercise.function]

    def idle(function, *args, **kwargs):
        try:
            like = function(*args, **kwargs)
        except ValueError:
            like = np.zeros(2)
        if isinstance(like, dict):
            made = NOTHING[nothing](tuple(map(independent, like.values())))
            return None if made is None else dict(zip(like, made, strict=True))
        several = isinstance(like, tuple)
        made = NOTHING[nothing](tuple(map(independent, like if several else (like,))))
        return made if several or made is None else made[0]

    if isinstance(answer, type):

        class Idle(answer):
            def __init__(self, *args):
                with contextlib.suppress(ValueError):
                    super().__init__(*args)

            def forward(self, *args):
                return idle(super().forward, *args)

        does_nothing = Idle
    else:
        does_nothing = functools.wraps(answer)(functools.partial(idle, answer))

    assert graded(chapter, exercise, LocalCaller.of({exercise.function: does_nothing})).earned == 0


@each_exercise
def test_the_stub_counts_as_not_attempted(chapter, exercise):
    report = graded(chapter, exercise, stub(chapter))
    assert report.status == "unattempted"
    assert report.earned == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chapter", "exercise", "mistake"), MISTAKES, ids=[mistake.id for _, _, mistake in MISTAKES]
)
def test_a_typical_mistake_fails_whatever_the_dice(chapter, exercise, mistake):
    submission = LocalCaller.of({exercise.function: mistake.function})
    check = exercise.checks[mistake.caught_by]
    alone = dataclasses.replace(exercise, checks={check.name: check})
    for seed in SEEDS[1:]:
        assert graded(chapter, alone, submission, seed).status == "failed", f"seed {seed}"


@each_exercise
def test_every_check_is_there_for_a_mistake(chapter, exercise):
    used = {mistake.caught_by for mistake in exercise.mistakes.values()}
    assert sorted(set(exercise.checks) - used) == []
