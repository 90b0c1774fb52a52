"""Answers of every wrong kind to every exercise of the course: one paragraph, never a crash.

A check that computes with a returned value before it has looked at it must not fall over it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.calling import Outcome, Target
from minitx.grading.course import Chapter, Course
from minitx.grading.judge.assess import assess
from minitx.grading.own import OwnCaller
from minitx.grading.registry import Exercise
from minitx.grading.worker.local import LocalCaller

pytestmark = pytest.mark.usefixtures("as_users_run", "each_question_once")

COURSE = Course(Path(__file__).resolve().parents[2])
EXERCISES = [
    pytest.param(chapter, one, id=one.id, marks=pytest.mark.slow if number else ())
    for chapter in COURSE.chapters.values()
    for number, one in enumerate(chapter.exercises.values())
]


@pytest.fixture
def each_question_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The course's own functions answer alike whoever is graded: each is asked once.

    Diagnosis puts the same thousands of questions to worked answers and mistakes for every value.
    """
    known: dict[Any, Outcome] = {}
    ask = OwnCaller.call

    def call(
        self: OwnCaller, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], **how: Any
    ) -> Outcome:
        if not isinstance(target, str):
            return ask(self, target, args, kwargs, **how)
        key = (self.functions.get(target), target, *map(content, (args, kwargs, how)))
        if key not in known:
            known[key] = ask(self, target, args, kwargs, **how)
        return known[key]

    monkeypatch.setattr(OwnCaller, "call", call)


def content(value: Any) -> Any:
    """What distinguishes arguments: equal only where no function can tell them apart."""
    if isinstance(value, torch.Tensor):
        numbers = value.detach().view(torch.uint8) if value.dtype is torch.bfloat16 else value
        return (value.dtype, value.requires_grad, value.stride(), content(numbers.detach().numpy()))
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.strides, value.tobytes())
    if isinstance(value, list | tuple):
        return (type(value), *map(content, value))
    if isinstance(value, dict):
        return (dict, *((name, content(each)) for name, each in value.items()))
    return (type(value), repr(value))


ONE_AXIS = ("01.2", "01.6", "01.3", "05.5", "06.11")  # or none


class Odd:
    """Says nothing, compares with nothing, converts to nothing."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("no")


VALUES: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "list": lambda: [[1.0, 2.0], [3.0, 4.0]],
    "ragged": lambda: [[1.0], [2.0, 3.0]],
    "text": lambda: "0.5",
    "number": lambda: 0.5,
    "truth": lambda: True,
    "dict": lambda: {"weights": 1},
    "generator": lambda: (x for x in range(3)),
    "function": lambda: np.sum,
    "class": lambda: np.ndarray,
    "odd": Odd,
    "no axes": lambda: np.array(0.5),
    "empty": lambda: np.zeros((0, 3)),
    "five axes": lambda: np.zeros((1, 2, 1, 2, 1)),
    "truths": lambda: np.ones((3, 5), bool),
    "whole": lambda: np.ones((3, 5), np.int32),
    "complex": lambda: np.ones((3, 5), complex),
    "objects": lambda: np.array([[None, "a"], [1, 2]], dtype=object),
    "texts": lambda: np.array(["a", "b"]),
    "dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "matrix": lambda: np.matrix([[1.0, 2.0]]),
    "masked": lambda: np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    "nan": lambda: np.full((3, 5), np.nan),
    "tensor": lambda: torch.ones(3, 5),
    "tensor without axes": lambda: torch.tensor(0.5),
    "tensor of truths": lambda: torch.ones(3, 5, dtype=torch.bool),
    "whole tensor": lambda: torch.ones(3, 5, dtype=torch.int8),
    "complex tensor": lambda: torch.ones(3, 5, dtype=torch.complex64),
    "half": lambda: torch.ones(3, 5, dtype=torch.bfloat16),
    "tensor of NaN": lambda: torch.full((2, 5, 4), torch.nan),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "meta": lambda: torch.ones(3, 5, device="meta"),
    "conjugate": lambda: torch.ones(3, 5, dtype=torch.complex64).conj(),
    "leaf": lambda: torch.ones(3, 5, requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(torch.ones(2, 5, 4)),
    "pair": lambda: (torch.ones(2, 5, 3), torch.ones(2, 5, 3)),
    "three": lambda: (torch.ones(2), torch.ones(2), None),
    "three tensors": lambda: (torch.ones(2), torch.ones(()), torch.ones(2, 3, 4, 5)),
    "three lists": lambda: ([1], [2], [3]),
}


@pytest.mark.parametrize(("chapter", "one"), EXERCISES)
def test_no_answer_makes_the_grader_fail(chapter: Chapter, one: Exercise) -> None:
    for name, make in VALUES.items():
        answer = LocalCaller.of({one.function: lambda *a, make=make, **k: make()})
        report = assess(chapter, one, answer)
        assert report.status == "failed", f"{name}: {report}"
        for check in report.checks:
            assert check.status in ("passed", "failed"), f"{name}: {check}"
            assert (check.status == "failed") == bool(check.text), name
            assert "\n" not in check.text, name
            assert len(check.text) < 1500, name


@pytest.mark.parametrize(("chapter", "one"), EXERCISES)
def test_no_change_of_a_right_answer_makes_the_grader_fail(chapter: Chapter, one: Exercise) -> None:
    """Right numbers in a wrong dress: another shape, type or dtype."""
    right = chapter.reference()
    assert right is not None
    solution = right.functions[one.function]

    def each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda value: (
            tuple(map(change, value)) if isinstance(value, tuple) else change(value)
        )

    changes: dict[str, Callable[[Any], Any]] = {
        "as a list": each(lambda x: x.tolist()),
        "another axis in front": each(lambda x: x[None]),
        "one axis": each(lambda x: x.reshape(-1)),
        "no last entry": each(lambda x: x[..., :-1]),
        "axes turned round": each(lambda x: x.T if isinstance(x, np.ndarray) else x.mT),
        "as text": each(str),
        "in a tuple": lambda value: (value,),
        "negative": each(lambda x: -1.0 * x),
        "with NaN": each(lambda x: x * float("nan")),
        "from the other library": each(
            lambda x: torch.tensor(x) if isinstance(x, np.ndarray) else x.detach().numpy()
        ),
    }
    for name, change in changes.items():
        if name in ("axes turned round", "one axis") and one.id in ONE_AXIS:
            continue

        def wrong(*args: Any, change: Callable[[Any], Any] = change, **kwargs: Any) -> Any:
            return change(solution(*args, **kwargs))

        report = assess(chapter, one, LocalCaller.of({one.function: wrong}))
        assert report.status == "failed", f"{name}: {report}"
        states = {check.status for check in report.checks}
        assert states <= {"passed", "failed"}, f"{name}: {report}"
