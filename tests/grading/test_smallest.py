"""The smallest call that shows what is wrong, ready to paste; and which calls go wrong."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.course import Course
from minitx.grading.judge.assess import assess
from minitx.grading.judge.smallest import _result, _within
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.local import LocalCaller

pytestmark = pytest.mark.usefixtures("as_users_run")

COURSE = Course(Path(__file__).resolve().parents[2])


def graded(exercise_id: str, f: Any) -> ExerciseReport:
    exercise = COURSE.exercise(exercise_id)
    return assess(
        COURSE.chapter(exercise.chapter), exercise, LocalCaller.of({exercise.function: f})
    )


def test_one_query_and_one_key_suffice() -> None:
    case = graded("02.2", lambda q, k: 2 * q @ k.mT / q.shape[-1] ** 0.5).case
    assert case is not None
    assert case.text == (
        "q = torch.tensor([[1.0]])\n"
        "k = torch.tensor([[1.0]])\n"
        "attention_scores(q, k)\n"
        "# expected  [[1]]\n"
        "# yours     [[2]]"
    )


def test_the_lines_run_and_give_what_they_say() -> None:
    def attention(q: Any, k: Any, v: Any) -> Any:
        weights = np.exp(q @ k.T)
        return weights / weights.sum(0) @ v

    case = graded("01.5", attention).case
    assert case is not None
    names = {"np": np, "attention_matrix": attention}
    exec("\n".join([*case.lines[:-1], f"result = {case.lines[-1]}"]), names)
    shown = np.array([float(n) for n in re.findall(r"[-\d.]+", case.got)])
    np.testing.assert_allclose(np.ravel(names["result"]), shown, rtol=1e-3)
    assert case.expected != case.got


def test_a_whole_number_is_made_small() -> None:
    case = graded("02.4", lambda T_q, T_k: torch.ones(T_q, T_k, dtype=torch.bool)).case
    assert case is not None
    assert case.lines == ("T_q = 2", "T_k = 2", "causal_mask(T_q, T_k)") or case.lines[:2] == (
        "T_q = 2",
        "T_k = 1",
    )


@pytest.mark.parametrize(
    ("exercise_id", "f", "lengths"),
    [
        ("04.3", lambda T_q, T_k, max_distance: torch.ones(T_q, T_k, dtype=torch.int64), ()),
        ("04.3", lambda T_q, T_k, max_distance: _query_minus_key(T_q, T_k, max_distance), ()),
        ("04.6", lambda x, pos, base=1e4: x.double(), (2, 4)),
        ("04.6", lambda x, pos, base=1e4: x, (2, 4)),
    ],
)
def test_what_the_exercise_rules_out_is_not_asked(
    exercise_id: str, f: Any, lengths: tuple[int, ...]
) -> None:
    case = graded(exercise_id, f).case
    assert case is not None
    names: dict[str, Any] = {"torch": torch}
    exec("\n".join(case.lines[:-1]), names)
    if lengths:
        assert names["x"].shape[-1] in lengths
    else:
        assert names["T_q"] <= names["T_k"]


def _query_minus_key(T_q: int, T_k: int, m: int) -> Any:
    return (torch.arange(T_k - T_q, T_k)[:, None] - torch.arange(T_k)).clamp(-m, m) + m


def test_no_case_where_a_name_is_missing_or_all_is_right() -> None:
    assert graded("02.2", lambda q, k: undefined).case is None  # type: ignore[name-defined]
    assert graded("02.2", lambda q, k: q @ k.mT / q.shape[-1] ** 0.5).case is None


def test_zero_has_no_sign() -> None:
    assert _result(torch.tensor([-0.0, -1.0]), 4) == "[0, -1]"


def test_where_it_goes_wrong_is_told() -> None:
    def soft_lookup(query: Any, keys: Any, values: Any) -> Any:
        weights = np.exp(keys @ query - (keys @ query).max())
        return weights / weights.sum() @ values + 3 * (keys.dtype.kind == "i")

    told = " ".join(each.text for each in graded("01.2", soft_lookup).named)
    assert "holds whole numbers: Everywhere it is 3 too large." in told


def test_seven_digits_are_seen() -> None:
    def softmax(scores: Any) -> Any:
        short = scores.astype(np.float32)
        weights = np.exp(short - short.max(-1, keepdims=True))
        return (weights / weights.sum(-1, keepdims=True)).astype(float)

    (each,) = graded("01.1", softmax).named
    assert each.sentence.startswith("It is right to about 7 digits only")


def test_a_cut_gradient_is_seen() -> None:
    (each,) = graded("02.2", lambda q, k: q @ k.detach().mT / q.shape[-1] ** 0.5).named
    assert each.sentence == "The values are right, but no gradient reaches `k`."


def test_the_order_of_the_parameters_is_seen() -> None:
    def soft_lookup(keys: Any, query: Any, values: Any) -> Any:
        weights = np.exp(keys @ query)
        return weights / weights.sum() @ values

    (each,) = graded("01.2", soft_lookup).named
    assert each.sentence == (
        "Your function takes its inputs as (keys, query, values), but is called with "
        "(query, keys, values)."
    )


def test_a_loop_is_counted() -> None:
    exercise = COURSE.exercise("01.5")
    kept = dict(exercise.mistakes)
    exercise.mistakes.clear()

    def attention(q: Any, k: Any, v: Any) -> Any:
        rows = []
        for row in q:
            scores = k @ row
            weights = np.exp(scores - scores.max())
            rows.append(weights / weights.sum() @ v)
        return np.array(rows)

    try:
        report = graded("01.5", attention)
        (each,) = report.named
    finally:
        exercise.mistakes.update(kept)
    assert each.sentence.startswith("The numbers are right, but Python runs ")


def test_no_case_where_a_module_cannot_be_made() -> None:
    class MultiHeadSelfAttention(torch.nn.Module):
        def __init__(self, d_model: int, num_heads: int) -> None:
            self.q_proj = torch.nn.Linear(d_model, d_model)

    assert graded("03.4", MultiHeadSelfAttention).case is None


def test_there_are_no_more_real_tokens_than_tokens() -> None:
    given = {"lengths": torch.tensor([2, 1])}
    assert _within("T_m", 1, given)["lengths"].tolist() == [1, 1]
    assert _within("T_q", 1, given) is given
