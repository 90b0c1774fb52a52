"""How two results are related: each relation is found where it holds, and not where it does not."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.judge.relations.relate import relate
from minitx.grading.judge.relations.relation import Given

RNG = np.random.default_rng(0)
B = RNG.normal(size=(3, 5))
W = np.exp(B) / np.exp(B).sum(-1, keepdims=True)
SQUARE = RNG.normal(size=(4, 4))
HEADS = RNG.normal(size=(2, 5, 3, 4))
COUNTS = np.arange(12).reshape(3, 4) % 7
ALLOWED = B > -0.3
ALLOWED[1] = False
GIVEN = Given({"T_q": 3, "T_k": 5, "D_k": 8}, {"allowed": ALLOWED, "scores": B}, ("T_q", "T_k"))


def keys(got: Any, want: Any, given: Given = GIVEN) -> list[tuple[Any, ...]]:
    return [relation.key for relation in relate(got, want, given)]


def test_an_index_stands_still_only_where_it_shows() -> None:
    other = RNG.normal(size=(4, 6))
    want = RNG.normal(size=(4, 6))
    standing = np.repeat(want[:, :1], 6, 1)
    left_out = np.where(np.arange(6) > 0, 0.0, want)
    exchanged = np.where(np.arange(6) > 0, other, want)
    given = Given({}, {}, ("T", "C"))
    assert ("except", "index", "all but first", -1) in keys(standing, want, given)
    assert ("except", "index", "all but first", -1) in keys(left_out, want, given)
    assert ("except", "index", "all but first", -1) not in keys(exchanged, want, given)


def first(got: Any, want: Any, given: Given = GIVEN) -> str:
    return relate(got, want, given)[0].sentence


@pytest.mark.parametrize(
    ("got", "want", "key"),
    [
        (-B, B, ("factor", "-1")),
        (B * math.sqrt(8), B, ("factor", "√D_k")),
        (B / 8, B, ("factor", "1/D_k")),
        (B * math.sqrt(8 / 5), B, ("factor", "√(D_k/T_k)")),
        (B * math.log(2), B, ("factor", "ln 2")),
        (B * 1.2345, B, ("some factor",)),
        (B + 0.5, B, ("shift", 0.5)),
        (B - 16, B, ("shift", "2·D_k", "small")),
        (B + 1.5, B, ("some shift",)),
        (COUNTS + 1, COUNTS, ("shift", 1.0)),
        (
            np.where([0, 0, 1, 1], -SQUARE, SQUARE),
            SQUARE,
            ("except", "part", "in the second half", -1),
        ),
        (
            np.where([0, 1, 0, 1], 0, SQUARE),
            SQUARE,
            ("except", "part", "at the odd places, 1, 3, 5 …,", -1),
        ),
        (SQUARE * np.eye(4), SQUARE, ("except", "beside")),
        (COUNTS * 2, COUNTS, ("factor", "2")),
        (COUNTS + (COUNTS > 3), COUNTS, ("one off", 1)),
        (COUNTS - (COUNTS > 3), COUNTS, ("one off", -1)),
        (HEADS * np.array([1, 2, 0.5, 1, 3]).reshape(-1, 1, 1), HEADS, ("factor for each", -3)),
        (B - B.mean(-1, keepdims=True), B, ("shift along", -1)),
        (W * [[2.0], [3.0], [0.5]], W, ("normaliser", -1)),
        (B * [[2.0], [3.0], [0.5]], B, ("factor along", -1)),
        (np.exp(B) / np.exp(B).sum(0), W, ("normalised over", -2)),
        (np.log(W), W, ("curve", "log")),
        (np.maximum(B, 0), B, ("curve", "relu")),
        (B, W, ("missing curve", "softmax")),
        (np.exp(B), W, ("missing curve", "normalise")),
        (np.round(B, 2), B, ("rounded", 2)),
        (SQUARE.T, SQUARE, ("axes", (-1, -2))),
        (B.T, B, ("axes", (-1, -2))),
        (B[::-1], B, ("reversed", -2)),
        (np.roll(B, 1, 1), B, ("rolled", -1, 1)),
        (B[[1, 2, 0]], B, ("permuted", -2)),
        (np.repeat(B[:1], 3, 0), B, ("repeated", -2, "first")),
        (B[0], B, ("part", "first", -2)),
        (B.sum(0), B, ("reduced", "sum", -2)),
        (B[None], B, ("squeezed", False)),
        (B[:1, 0], B[:1, :1], ("squeezed", True)),
        (B.reshape(15), B, ("folded",)),
        (HEADS.swapaxes(1, 2).reshape(HEADS.shape), HEADS, ("read", (-2, -3, -1))),
        (B * 0, B, ("constant", 0.0)),
        (B.astype(np.float32), B, ("dtype",)),
        (B.astype(np.float32).astype(float), B, ("seven digits",)),
        (np.trunc(4 * B).astype(int), 4 * B, ("whole numbers",)),
        (np.where(ALLOWED, B, B + 1), B, ("except", "forbidden")),
        (np.where([[False], [True], [False]], 7.0, B), B, ("except", "nothing allowed")),
        (np.where([[False], [True], [False]], np.nan, B), B, ("NaN", "nothing allowed")),
        (B * np.nan, B, ("NaN", "everywhere")),
        (np.where(ALLOWED, B, -1e4), np.where(ALLOWED, B, -np.inf), ("number", "for -∞")),
        (~ALLOWED, ALLOWED, ("opposite",)),
        (np.where(ALLOWED, 0.0, -np.inf), ALLOWED, ("to be added",)),
        (np.tri(4, 6, dtype=bool), np.tri(4, 6, 2, dtype=bool), ("triangle", "≤", "i")),
        (np.tri(4, 4, -1, dtype=bool), np.tri(4, 4, dtype=bool), ("except", "diagonal")),
        (torch.tensor(-B), torch.tensor(B), ("factor", "-1")),
        ((W, B), (B, W), ("order", (1, 0))),
        ((B, B), (B, -B), ("copy", 1, 0)),
        ((B, -W), (B, W), (1, "factor", "-1")),
        (B.tolist(), B, ("kind", "list")),
        (B.tolist(), -B, ("kind", "list")),
        ([[1.0], [2.0, 3.0]], B, ("kind", "list")),
        (B, torch.tensor(B), ("kind", "NumPy array")),
        (torch.tensor(B), B, ("kind", "tensor")),
        ((B, -W), (B, torch.tensor(-W)), (1, "kind", "NumPy array")),
        (torch.ones(3, 2), (B, B, B), ("kind", "one")),
        (B + 1j, B, ("kind", "complex")),
        ((B, B, B), (B, B), ("count", 3)),
        (B[0, 0], B[0], ("one number", "first entry of the right result")),
        (B[0].sum(), B[0], ("one number", "sum of the right result")),
        (np.float64(9.0), B[0], ("one number",)),
        (np.exp(B) / (np.exp(B).sum(-1, keepdims=True) + 1e-6), W, ("small number",)),
        (W / (1 + 1e-6 / W[:, :1]), W, ("small divisor", -1)),
        (W / [[1.00001], [1e30], [1.00002]], W, ("small divisor", -1)),
        (B * (1 + 1e-10), B, ("small number",)),
        (np.where(B < 0, np.nan, abs(B) ** 0.5), B, ("NaN", "negative")),
        (B + B.mean(-1, keepdims=True), B, ("own mean", "added to", -1)),
        (B - B.mean(-1, keepdims=True), B, ("own mean", "taken from", -1)),
        (np.log(np.where(ALLOWED, W, 1e-99)), np.where(ALLOWED, W, 0), ("curve", "log")),
        (np.eye(3, 5, dtype=bool), np.tri(3, 5, dtype=bool), ("one per row", "last")),
        (np.arange(5) == [[0]] * 3, np.tri(3, 5, dtype=bool), ("one per row", "first")),
    ],
)
def test_found(got: Any, want: Any, key: tuple[Any, ...]) -> None:
    assert key in keys(got, want)


def test_the_number_is_named_with_its_letter() -> None:
    assert first(B * math.sqrt(8), B) == (
        "Yours is 2.828 = √D_k times the expected, everywhere: D_k = 8 here."
    )
    assert first(B.T, B) == (
        "It is the right result with its axes in another order: yours is (5, 3) = (T_k, T_q), "
        "wanted is (3, 5) = (T_q, T_k)."
    )


def test_shapes_are_told_in_plain_letters() -> None:
    sizes = Given({"B": 2, "T": 9, "D": 4}, {}, ("B", "T"))
    want = np.ones((2, 9))
    assert relate(np.ones((2, 1)), want + RNG.random((2, 9)), sizes)[0].advice.startswith(
        "Of the axis T one entry is left. Write"
    )
    twice = relate(RNG.random((2, 9, 9)), want, sizes)[0]
    assert twice.advice.startswith("There is an axis T too many. Write")
    only = relate(np.array([0.5]), RNG.random(4), Given({"D": 4}, {}, ("D",)))[0]
    assert "yours is (1,), wanted is (4,) = (D,)." in only.sentence
    other = relate(RNG.random((2, 4)), want, sizes)[0]
    assert other.advice.startswith("No axis T is left. The axis D should not be there. Write")


def test_letters_of_equal_lengths_are_not_told() -> None:
    given = Given({"B": 1, "T": 2}, {"num_heads": 2}, ())
    text = first(np.ones((2, 1, 2, 3)), np.ones((1, 2, 2, 2)) * np.arange(2), given)
    assert text == "The shape is another: yours is (2, 1, 2, 3), wanted is (1, 2, 2, 2)."


def test_two_values_for_one() -> None:
    assert first((B, W), B) == (
        "A tuple of 2 values comes back; wanted is one NumPy array, and value 1 is right."
    )
    assert first((W, W), B) == "A tuple of 2 values comes back; wanted is one NumPy array."


def test_the_logarithm_is_no_missing_softmax() -> None:
    assert first(np.log(W), W) == "Yours is the logarithm of the expected."
    assert ("missing curve", "softmax") not in keys(np.log(W), W)


def test_the_sum_is_told_with_enough_digits() -> None:
    assert "yours are 1 +1.0e-05, wanted is 1" in first(W * (1 + 1e-5), W)
    assert "sum to just below 1 (0.9999900): a small number is added" in first(W / (1 + 1e-5), W)


def test_padding_masks_too_long_and_too_short() -> None:
    lengths = np.array([3, 0, 5])
    want = np.arange(5) < lengths[:, None]
    given = Given({"B": 3, "max_len": 5}, {"lengths": lengths}, ("B", "max_len"))
    assert ("rows longer", 1) in keys(np.arange(5) <= lengths[:, None], want, given)
    assert ("rows longer", -1) in keys(np.arange(5) < lengths[:, None] - 1, want, given)
    assert ("rows moved",) in keys(want[[2, 0, 1]], want, given)


def test_large_numbers_end_in_nan() -> None:
    loud = 1000 * B
    given = Given({}, {"scores": loud})
    got = np.where(np.arange(5) == 0, np.nan, W)
    assert ("NaN", "large") in keys(got, W, given)


def test_a_function_left_out_is_told_in_a_sentence() -> None:
    assert first(B, W, Given({}, {}, ())) == "The right result is softmax of yours."


def test_nothing_is_found_between_strangers() -> None:
    assert keys(RNG.normal(size=(3, 5)), B) == []
    assert keys("text", B) == []
    assert keys(None, B) == []
    assert keys(np.zeros((0, 2)), np.zeros((0, 2))) == []


def test_one_number_may_be_a_factor_only() -> None:
    assert keys(np.array([6.0]), np.array([3.0])) == [("factor", "2")]


def test_single_precision_is_not_told_to_have_lost_what_it_never_had() -> None:
    b = B.astype(np.float32)
    told = keys(np.nextafter(b, np.float32(np.inf)), b)
    assert ("seven digits",) not in told and ("small number",) not in told


def test_a_table_of_row_numbers_is_no_table_of_truths() -> None:
    numbers = np.array([[0, 1, 2], [0, 2, 2]])
    assert all(key[0] != "one per row" for key in keys(numbers * 0, numbers))
