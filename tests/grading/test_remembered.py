"""What is remembered is what would be answered, and only for the very same question."""

import numpy as np
import pytest
import torch

from minitx.grading.calling import Call, Outcome
from minitx.grading.judge import remembered as module
from minitx.grading.judge.remembered import question_of, remembered


def call(*args, seed=0, count=False, cotangent=None, **kwargs):
    return Call("f", args, kwargs, seed, count, Outcome("returned"), cotangent)


def test_a_question_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OUTCOMES", {})
    asked = []

    def answer() -> Outcome:
        asked.append(1)
        return Outcome("returned", len(asked))

    question = question_of(call(np.ones(3)))
    assert remembered(test_a_question_is_asked_once, question, answer).value == 1
    assert remembered(test_a_question_is_asked_once, question, answer).value == 1
    assert remembered(answer, question, answer).value == 2  # somebody else's answer
    assert remembered(test_a_question_is_asked_once, None, answer).value == 3
    monkeypatch.setattr(module, "MOST", 2)
    assert remembered(test_a_question_is_asked_once, b"another", answer).value == 4
    assert len(module._OUTCOMES) == 1


ONES = torch.ones(2, 2)
DIFFERENT = [
    call(ONES),
    call(ONES.double()),
    call(ONES.reshape(4)),
    call(ONES.clone().requires_grad_()),
    call(torch.tensor([[1.0, 1.0], [1.0, 1.5]])),
    call(ONES.numpy()),
    call(torch.ones(2, 2, 2)[:, :, 0]),
    call(ONES, 1),
    call(ONES, 1.0),
    call(ONES, True),
    call((ONES, 1)),
    call([ONES, 1]),
    call(x=ONES),
    call(y=ONES),
    call(ONES, None),
    call(ONES, seed=1),
    call(ONES, count=True),
    call(ONES, cotangent=ONES),
    call("1"),
    call(ONES.bfloat16()),
]


def test_different_questions_have_different_fingerprints() -> None:
    questions = [question_of(each) for each in DIFFERENT]
    assert None not in questions
    assert len(set(questions)) == len(DIFFERENT)
    assert questions[0] == question_of(call(torch.ones(2, 2)))


@pytest.mark.parametrize("thing", [object(), len, np.array([None]), torch.nn.Linear(2, 2)])
def test_what_has_no_numbers_is_asked_every_time(thing: object) -> None:
    assert question_of(call(thing)) is None
