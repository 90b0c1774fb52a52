"""Points come from what is registered; the grader's own faults are told apart from a learner's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minitx.grading.calling import Facts, Outcome
from minitx.grading.course import Chapter
from minitx.grading.errors import GraderError
from minitx.grading.judge.assess import assess
from minitx.grading.judge.run import grade
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller


def right(x):
    if x.size == 0:
        raise ValueError("empty")
    return x + x


def graded(chapter: Chapter, f: Any, seed: int = 0) -> ExerciseReport:
    return assess(chapter, chapter.exercises["01.1"], LocalCaller.of({"double": f}), seed)


@pytest.mark.parametrize("seed", range(5))
def test_a_right_answer_earns_all(chapter: Chapter, seed: int) -> None:
    report = graded(chapter, right, seed)
    assert (report.status, report.earned, report.points) == ("passed", 4, 4)


def test_a_wrong_answer_fails_where_it_is_wrong(chapter: Chapter) -> None:
    report = graded(chapter, lambda x: 2 * x)
    assert [check.status for check in report.checks] == ["passed", "passed", "failed"]
    assert (report.status, report.earned, report.points) == ("failed", 3, 4)
    assert report.checks[2].text == (
        "An empty array must raise ValueError, but your function returned an array of shape (0,) "
        "and dtype float64."
    )


def test_seeds_make_other_inputs_and_the_same_seed_the_same(chapter: Chapter) -> None:
    def inputs(seed: int) -> Any:
        return graded(chapter, right, seed).calls[0].args[0]

    assert np.array_equal(inputs(1), inputs(1))
    assert not np.array_equal(inputs(1), inputs(2))


def test_a_negative_seed_is_a_seed(chapter: Chapter) -> None:
    def inputs(seed: int) -> Any:
        return graded(chapter, right, seed).calls[0].args[0]

    assert graded(chapter, right, -5).status == "passed"
    assert np.array_equal(inputs(-5), inputs(-5))
    assert not any(np.array_equal(inputs(-1), inputs(seed)) for seed in (-2, 0, 1))


def with_check(chapter: Chapter, body: Any) -> Chapter:
    """The chapter, with one more check for exercise 01.1."""

    def test_more(sub, rng):
        body(sub)

    chapter.exercises["01.1"].check(points=1, title="more", hint="h")(test_more)
    return chapter


def test_a_value_over_which_the_check_stumbles(chapter: Chapter) -> None:
    with_check(chapter, lambda sub: sub.double(np.ones((2, 2)))[1, 1])
    report = graded(chapter, lambda x: right(x).reshape(-1))
    assert report.checks[-1].status == "failed"
    assert report.checks[-1].text.startswith(
        "double returned an array of shape (4,) and dtype float64, with which the check could not "
        "go on (IndexError: too many indices"
    )


def test_a_check_that_stumbles_by_itself(chapter: Chapter) -> None:
    with_check(chapter, lambda sub: sub.double(np.ones(2)).no_such_attribute)
    report = graded(chapter, right)
    assert report.status == "grader error"
    assert report.checks[-1].text == (
        "The check test_more of 01.1 failed by itself (AttributeError: 'numpy.ndarray' object has "
        "no attribute 'no_such_attribute'). This is a mistake of the course, not yours: please "
        "report it."
    )
    assert report.earned == 4


@pytest.mark.parametrize("body", [lambda sub: undefined_name, lambda sub: 1 / 0])
def test_a_fault_before_any_answer_is_the_graders(chapter: Chapter, body: Any) -> None:
    with_check(chapter, body)
    assert graded(chapter, right).status == "grader error"


def test_a_check_that_asks_nothing(chapter: Chapter) -> None:
    with_check(chapter, lambda sub: None)
    report = graded(chapter, right)
    assert report.checks[-1].status == "grader error"
    assert report.checks[-1].text == "The check test_more asked the submission nothing."


@pytest.mark.parametrize("fault", [AssertionError, NameError, ZeroDivisionError, ImportError])
def test_what_no_value_can_cause_is_the_graders(chapter: Chapter, fault: type[Exception]) -> None:
    def body(sub: Any) -> None:
        sub.double(np.ones(2))
        raise fault

    with_check(chapter, body)
    report = grade(chapter.exercises["01.1"], LocalCaller.of({"double": right}))
    assert report.checks[-1].status == "grader error"


def test_without_a_reference_the_value_is_to_blame(chapter: Chapter) -> None:
    with_check(chapter, lambda sub: sub.double(np.ones(2)).no_such_attribute)
    report = grade(chapter.exercises["01.1"], LocalCaller.of({"double": right}))
    assert report.checks[-1].status == "failed"


def test_a_check_file_that_cannot_be_run(root: Path, chapter: Chapter) -> None:
    chapter.check_file.write_text("import no_such_module_at_all\n")
    with pytest.raises(GraderError, match=r"test_01_small.py of the course cannot be run \(Module"):
        chapter.exercises  # noqa: B018


def test_the_functions_of_other_exercises_are_at_hand(chapter: Chapter) -> None:
    answers = LocalCaller(load(chapter.solution_file))
    report = assess(chapter, chapter.exercises["01.2"], answers)
    assert (report.status, report.earned) == ("passed", 3)


def test_a_live_function_finds_its_neighbours(chapter: Chapter) -> None:
    namespace: dict[str, Any] = {"double": right}
    exec("def quadruple(x):\n    return double(double(x))\n", namespace)
    submission = LocalCaller.of({"quadruple": namespace["quadruple"]})
    assert assess(chapter, chapter.exercises["01.2"], submission).status == "passed"


def test_the_stub_is_unattempted(chapter: Chapter) -> None:
    stub = LocalCaller(load(chapter.stub_file()))
    for exercise in chapter.exercises.values():
        report = assess(chapter, exercise, stub)
        assert (report.status, report.earned) == ("unattempted", 0)
        assert report.points == exercise.points


def test_code_elsewhere_can_be_graded(chapter: Chapter) -> None:
    """A caller of another kind, as one that asks another process would be."""
    asked = []

    class Elsewhere:
        facts = Facts()

        def call(self, name: str, args: Any, kwargs: Any, **options: Any) -> Outcome:
            asked.append(name)
            return LocalCaller.of({"double": right}).call(name, args, kwargs, **options)

    report = grade(chapter.exercises["01.1"], Elsewhere())
    assert report.status == "passed"
    assert asked == ["double"] * 3


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("book/01_small.md#twice", "“Twice as much” in book/01_small.md"),
        ("book/01_small.md#four-times", "“Four times” in book/01_small.md"),
        ("book/01_small.md#roots", "“Divided by √d_k, *not* d_k” in book/01_small.md"),
        ("book/01_small.md#absent", "book/01_small.md#absent"),
        ("book/01_small.md", "book/01_small.md"),
        ("book/absent.md#twice", "book/absent.md#twice"),
    ],
)
def test_what_to_read(root: Path, chapter: Chapter, page: str, words: str) -> None:
    with (root / "book/01_small.md").open("a") as stream:
        stream.write("\n(roots)=\n\n### Divided by $\\sqrt{d_k}$, *not* `d_k`\n")
    assert chapter.reading(page) == words.replace("*", "")
