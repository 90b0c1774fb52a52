"""Banks that nobody wrote: mistakes of parts, stand-ins and changed worked answers."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minitx import functional
from minitx.grading.calling import Call
from minitx.grading.course import Chapter, Course
from minitx.grading.errors import GraderError
from minitx.grading.judge import diagnose
from minitx.grading.judge.assess import assess
from minitx.grading.judge.banks import composed_bank, operator_bank, rebuilt, same_task
from minitx.grading.judge.diagnose import Evidence
from minitx.grading.judge.run import grade
from minitx.grading.judge.stand_ins import SOFTMAXES, stand_ins
from minitx.grading.judge.worked import documentation, worked_answers
from minitx.grading.registry import Exercise
from minitx.grading.report import Named
from minitx.grading.worker.local import LocalCaller

from .helpers import SOLUTION

ROOT = Path(__file__).resolve().parents[2]
COURSE = Course(ROOT)
FIRST, SECOND = COURSE.chapter("01"), COURSE.chapter("02")
FROM_PARTS = """
def quadruple_from_parts(x):
    return double(double(x))
"""


def named(chapter: Chapter, exercise_id: str, f: Any) -> tuple[Named, ...]:
    exercise = chapter.exercises[exercise_id]
    return assess(chapter, exercise, LocalCaller.of({exercise.function: f})).named


def test_a_mistake_of_a_part_is_named_in_the_whole() -> None:
    def self_attention(x, W_q, W_k, W_v, allowed=None):
        q, k, v = x @ W_q, x @ W_k, x @ W_v
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if allowed is not None:
            scores = scores + allowed.to(scores.dtype)
        return scores.softmax(-1) @ v

    (each,) = named(SECOND, "02.6", self_attention)
    assert each.id == "02.3/mask_added_as_numbers"
    assert each.sentence.startswith("in the step that Exercise 2.3 asks for, the mask is added")


def test_parts_are_found_by_their_names(root: Path) -> None:
    (root / "solutions/01_small.py").write_text(SOLUTION + FROM_PARTS, encoding="utf-8")
    chapter = Chapter(root, "01_small")
    names = [candidate.id for candidate in composed_bank(chapter, "01.2")]
    assert "01.1/squared" in names
    exercise = chapter.exercises["01.2"]
    assert [f.__name__ for f in worked_answers(chapter, exercise)] == [
        "quadruple",
        "quadruple_from_parts",
    ]


def test_a_function_is_rebuilt_around_another() -> None:
    lookup = worked_answers(FIRST, FIRST.exercises["01.2"])[0]
    hard = rebuilt(lookup, "softmax", lambda s: (s == s.max()) * 1.0)
    query, keys, values = np.ones(2), np.eye(2) * [[1], [2]], np.array([[3.0], [4.0]])
    assert hard(query, keys, values) == np.array([4.0])
    assert lookup(query, keys, values) != np.array([4.0])


def test_operators_name_what_no_bank_holds() -> None:
    exercise = FIRST.exercises["01.6"]
    kept = dict(exercise.mistakes)
    exercise.mistakes.clear()
    try:
        (each,) = named(
            FIRST, "01.6", lambda query, keys, W_q, W_k, w: np.sin(keys @ W_k + query @ W_q) @ w
        )
    finally:
        exercise.mistakes.update(kept)
    assert (each.source, each.sentence) == ("operator", "sin stands where tanh belongs.")


def test_operators_are_there_for_every_exercise() -> None:
    for chapter in (FIRST, SECOND):
        for exercise in chapter.exercises.values():
            bank = operator_bank(chapter, exercise.id)
            assert len(bank) > 20, exercise.id
            told = [each for each in bank if each.sentence]  # of the others, nothing can be
            assert len(told) > 10, exercise.id
            assert all(each.sentence.endswith(".") and each.advice for each in told)


@pytest.mark.parametrize("name", [*SOFTMAXES, "tanh"])
def test_stand_ins_are_wrong_in_numpy_and_torch(name: str) -> None:
    rng = np.random.default_rng(0)
    scores, allowed = 3 * rng.normal(size=(2, 3, 5, 5)), rng.random((2, 3, 5, 5)) < 0.7
    allowed[0, 0, 0] = False
    masks = [allowed] if name == "masked_softmax" else []
    right = np.tanh(scores) if name == "tanh" else softmax_of(scores, *masks)
    for each in stand_ins(name):
        with np.errstate(all="ignore"):
            first = np.asarray(each.function(scores, *masks))
        second = each.function(*map(torch.tensor, [scores, *masks])).numpy()
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-15, err_msg=each.name)
        if each.name not in HARMLESS:
            assert not np.allclose(first, right, rtol=1e-7, atol=1e-12), each.name


def test_stand_ins_for_scores_are_other_scores() -> None:
    q, k = (torch.randn(2, 3, T, 5, dtype=torch.float64) for T in (4, 7))
    made = {each.name: each.function(q, k, scale=None) for each in stand_ins("attention_scores")}
    right = functional.attention_scores(q, k)
    torch.testing.assert_close(made["unscaled"], right * 5**0.5)
    torch.testing.assert_close(made["scaled_by_all_heads"], right / 3**0.5)
    assert len(made) == 6 and not any(torch.allclose(x, right) for x in made.values())


def softmax_of(scores: Any, allowed: Any = None) -> Any:
    return functional.masked_softmax(
        torch.tensor(scores), None if allowed is None else torch.tensor(allowed)
    ).numpy()


# Wrong for large scores only; a fill of -100 and then 0 is right for small ones as well.
HARMLESS = {
    "largest_size",
    "global_maximum",
    "no_maximum",
    "filled_-100",
    "filled_-1000",
    "filled_-10000",
    "filled_-1e+09",
}


def test_sisters_ask_for_the_same_function() -> None:
    loops, matrix, lookup = (FIRST.exercises[i] for i in ("01.4", "01.5", "01.2"))
    assert same_task(FIRST, loops, matrix)
    assert not same_task(FIRST, loops, lookup)


def test_a_function_that_is_not_there(root: Path) -> None:
    (root / "solutions/01_small.py").write_text("x = 1\n", encoding="utf-8")
    chapter = Chapter(root, "01_small")
    with pytest.raises(GraderError, match=r"01_small.py of the course defines no function double"):
        documentation(chapter, chapter.exercises["01.1"])


# Named as another of the same exercise when its own entry is left out: each pair was read, and
# what the other says is true, as far as it goes.
NEIGHBOURS = {
    ("01.1/second_axis_normalised_and_overflow", "01.1/no_maximum_subtracted"),
    ("01.2/query_on_the_wrong_side", "01.2/keys_turned_when_square"),
    ("01.2/scores_standardised", "01.2/scores_standardised_with_care"),
    ("01.3/no_special_cases", "01.3/divided_by_zero"),
    ("01.3/first_of_ties_and_negative_accepted", "01.3/first_of_ties"),
    ("01.3/brackets_missing", "01.3/temperature_ignored"),
    ("02.3/filled_with_minus_ten_thousand", "02.3/empty_rows_get_the_average"),
    ("02.3/filled_with_minus_a_billion", "02.3/empty_rows_get_the_average"),
    ("02.3/plain_exponentials", "02.3/divided_again_after_the_mask"),
    ("02.3/normalised_over_queries", "02.3/normalised_over_axis_one"),
    ("02.3/normalised_over_queries_with_nan", "02.3/normalised_over_queries"),
    ("02.3/normalised_over_axis_one", "02.3/normalised_over_queries"),
    ("02.5/slices_end_too_early", "02.5/last_token_lost"),
    ("02.6/layer_without_scale_but_with_nan", "02.6/layer_without_scale"),
    ("02.6/scaled_by_the_token_width_and_nan", "02.6/scaled_by_the_token_width"),
    ("04.1/as_in_the_tutorial", "04.1/exponentials_in_single_precision"),
    ("04.3/not_clipped", "04.3/clipped_above_only"),
    ("04.3/clipped_above_only", "04.3/not_clipped"),
    ("04.5/one_bucket_too_many", "04.5/no_last_bucket"),
    ("04.5/no_last_bucket", "04.5/one_bucket_too_many"),
    ("04.7/keys_turned_after_joining", "04.7/cache_turned_again"),
    ("04.7/cache_turned_again", "04.7/keys_turned_after_joining"),
    ("06.2/end_behind_the_longest", "06.2/end_in_the_last_column"),
    ("06.2/end_in_the_last_column", "06.2/end_behind_the_longest"),
    ("06.4/decoder_looks_ahead", "06.4/causal_only_with_padding"),
    ("06.5/mask_of_the_target_for_the_memory", "06.5/source_padding_read_by_the_decoder"),
    ("06.8/first_end_among_the_best_wins", "06.8/ends_take_a_beam"),
    ("06.8/sum_returned_as_score", "06.8/lengths_not_penalised"),
    ("06.9/aligned_at_the_top_left", "06.9/aligned_at_the_top_left_if_several"),
    ("05.3/KindsExchanged", "05.3/AlwaysPostNorm"),
    ("05.3/NoNormAtAll", "05.3/NoNormBefore"),
    ("05.6/larger_of_the_two", "05.6/no_warm_up"),
    ("05.9/means_weighted_by_positions", "05.9/means_weighted_by_all_positions"),
    ("05.10/loss_in_float16", "05.10/errors_in_float16"),
    ("05.11/clipped_in_every_batch_and_again", "05.11/norm_of_the_clipped"),
    ("06.4/cross_attention_to_itself", "06.4/only_the_mask_of_the_memory"),
    ("06.4/only_the_mask_of_the_memory", "06.4/cross_attention_to_itself"),
    ("06.4/real_for_the_memory", "06.4/padding_of_the_memory_read"),
    ("06.10/corrupted_whether_chosen_or_not", "06.10/corrupted_unless_special"),
    ("06.10/corrupted_unless_special", "06.10/corrupted_whether_chosen_or_not"),
    ("06.10/masked_chosen_or_special", "06.10/masked_whether_chosen_or_not"),
    ("06.10/masked_whether_chosen_or_not", "06.10/masked_chosen_or_special"),
    ("05.9/averaged_on_the_way", "05.9/mean_of_the_means"),
    ("05.9/classes_on_the_wrong_axis", "05.9/logits_reshaped"),
    ("03.3/packed_matrix_transposed", "03.3/packed_matrix_reshaped"),
    ("03.4/nobody_looks_ahead", "03.4/causal_unless_told"),
    ("03.4/sentences_taken_for_heads", "03.4/mask_repeated_head_by_head"),
    ("03.5/cut_to_the_longest", "03.5/lengths_ignored"),
    ("03.5/lengths_taken_for_heads", "03.5/lengths_repeated_head_by_head"),
    ("03.5/mask_as_long_as_the_queries", "03.5/lengths_ignored"),
    ("03.5/mask_as_long_as_the_queries", "03.5/one_token_too_many"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize("exercise_id", [i for c in COURSE.chapters.values() for i in c.exercises])
def test_a_mistake_that_is_not_in_the_bank_is_not_named_as_another(
    exercise_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many are named by something else is measured on answers that were written without the
    bank (`test_first_contact`): entries are there because nothing else had named them.
    """
    # What comes after the exercise's own mistakes names none of them, and takes longest.
    monkeypatch.setattr(Evidence, "guessed", lambda self: [])
    monkeypatch.setattr(diagnose, "smallest", lambda *_: None)
    chapter = COURSE.chapter(exercise_id[:2])
    exercise = chapter.exercises[exercise_id]
    told = set()
    for key, wrong in exercise.mistakes.items():
        left = replace(exercise, mistakes={k: m for k, m in exercise.mistakes.items() if k != key})
        submission = LocalCaller.of({exercise.function: wrong.function})
        calls = grade(left, submission, siblings=chapter.exercises).calls
        ask = partial(own_mistakes_named, chapter, left, calls, submission)
        with monkeypatch.context() as without:
            # What comes in between can only keep one of them from being named.
            without.setattr(diagnose, "composed_bank", lambda *_: [])
            without.setattr(diagnose, "sister_bank", lambda *_: [])
            without.setattr(Evidence, "related", lambda *_: [])
            possible = ask()
        if possible:
            told |= {(wrong.id, other) for other in ask()}
    assert told <= NEIGHBOURS


def own_mistakes_named(
    chapter: Chapter, exercise: Exercise, calls: Sequence[Call], submission: LocalCaller
) -> set[str]:
    named, _ = diagnose.diagnose(chapter, exercise, calls, submission)
    return {each.id for each in named} & {each.id for each in exercise.mistakes.values()}
