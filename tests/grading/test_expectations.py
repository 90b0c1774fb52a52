"""The paragraphs of expect_close and its friends, word for word where it matters."""

import math
import re
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading import Rejected, Tolerance, expect, expect_close, expect_equal, expect_raises
from minitx.grading.errors import CallFailed

WANT = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


def paragraph(got: Any, want: Any = WANT, **options: Any) -> str:
    """What the learner reads; empty where the numbers agree."""
    given = {"rtol": 1e-9, "atol": 0.0, "because": "a reason", **options}
    try:
        expect_close(got, want, Tolerance(**given), what="the result")
    except Rejected as rejected:
        return str(rejected)
    return ""


def equal_paragraph(got: Any, want: Any) -> str:
    try:
        expect_equal(got, want, what="the mask")
    except Rejected as rejected:
        return str(rejected)
    return ""


def test_numbers_that_agree() -> None:
    assert paragraph(WANT * (1 + 1e-12)) == ""
    assert paragraph(torch.tensor(WANT), torch.tensor(WANT)) == ""
    assert paragraph(1.5, 1.5) == paragraph(np.float64(1.5), 1.5) == ""
    assert paragraph(torch.tensor(1.5), 1.5) == ""
    special = np.array([np.nan, np.inf, -np.inf, 0.0])
    assert paragraph(special, special) == ""
    assert paragraph(np.zeros((0, 3)), np.zeros((0, 3))) == ""


def test_the_worst_place_and_the_share() -> None:
    got = WANT.copy()
    got[0, 1], got[1, 2] = 2.01, 9.0
    text = paragraph(got)
    assert text == (
        "The result: at [1, 2] got 9, wanted 7; 2 of 6 values are off."
    )  # how far is allowed is said of a near miss


def test_one_value_only() -> None:
    got = WANT.copy()
    got[0, 0] = 1.5
    assert "1 of 6 values is off." in paragraph(got)
    assert paragraph(1.5, 2.5).startswith("The result: got 1.5, wanted 2.5.")


def test_as_many_digits_as_the_difference_needs() -> None:
    assert "got 1.000001, wanted 1" in paragraph(np.array(1.000001), np.array(1.0))
    assert "got 1.00000001, wanted 1;" in paragraph(np.full(2, 1.00000001), np.ones(2), rtol=1e-12)


def test_the_tolerance_is_what_it_says() -> None:
    assert paragraph(np.array([1.1]), np.array([1.0]), rtol=0.2) == ""
    assert paragraph(np.array([1.1]), np.array([1.0]), rtol=0.0, atol=0.2) == ""
    near = paragraph(WANT + 0.011, atol=0.01)
    assert "are off. (Allowed: 1e-09 relative and 0.01 absolute; a reason.)" in near
    assert "no difference at all" in paragraph(WANT + 0.001, rtol=0.0)


def test_other_types() -> None:
    assert paragraph(WANT.tolist()) == ("The result: got a list of 2 lists; wanted a NumPy array.")
    assert "got a tensor of shape (2, 3) and dtype float64; wanted a NumPy array" in paragraph(
        torch.tensor(WANT)
    )
    assert "wanted a torch tensor" in paragraph(WANT, torch.tensor(WANT))
    assert "got an array of shape (2, 3) and dtype float64; wanted a number" in paragraph(WANT, 1.0)
    assert "got None" in paragraph(None)
    assert "got the text 'abc'" in paragraph("abc")


def test_other_dtypes() -> None:
    assert "the dtype is int64; wanted floating-point" in paragraph(WANT.astype(int))
    assert "the dtype is bool; wanted floating-point" in paragraph(WANT > 2)
    assert "the dtype is object" in paragraph(WANT.astype(object))
    assert "the dtype is complex128" in paragraph(WANT.astype(complex))


def test_other_shapes() -> None:
    assert paragraph(WANT.T) == (
        "The result: got shape (3, 2), wanted (2, 3). The sizes are right but the axes are in "
        "another order."
    )
    assert paragraph(WANT[0]).endswith(
        "got shape (3,), wanted (2, 3). Yours has 1 axis, wanted are 2."
    )
    assert paragraph(WANT[:, :2]) == "The result: got shape (2, 2), wanted (2, 3)."


def test_nan_and_infinity_have_a_place() -> None:
    got = WANT.copy()
    got[0, 2] = got[1, 1] = np.nan
    assert paragraph(got) == "The result: at [0, 2] got nan, wanted 3; 2 of 6 values are NaN."
    got = WANT.copy()
    got[1, 0] = -np.inf
    assert paragraph(got) == (
        "The result: at [1, 0] got -inf, wanted 4; 1 of 6 values is an infinity."
    )
    want = WANT.copy()
    want[0, 0] = -np.inf
    assert "at [0, 0] got 1, wanted -inf" in paragraph(WANT, want)


def test_single_precision_is_noticed() -> None:
    third = np.full((2, 2), 1 / 3)
    text = paragraph(third.astype(np.float32), third, rtol=1e-12)
    assert "your result is float32, which carries about 7 digits" in text
    assert "float32" not in paragraph(third.astype(np.float32) * 2, third)


def test_half_precisions_can_be_read() -> None:
    assert paragraph(torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)) == ""


def test_sparse_tensors_can_be_read() -> None:
    assert paragraph(torch.eye(2).to_sparse(), torch.eye(2)) == ""
    assert "at [0, 0] got 2, wanted 1" in paragraph(2 * torch.eye(2).to_sparse(), torch.eye(2))


def test_a_check_must_give_its_reason_and_a_name() -> None:
    with pytest.raises(ValueError, match="a tolerance needs a reason; because is empty"):
        Tolerance(rtol=1e-9, atol=0.0, because=" ")
    with pytest.raises(ValueError, match="needs a name for its numbers; what is empty"):
        expect_close(1.0, 1.0, Tolerance(1e-9, 0.0, "a reason"), what=" ")


@pytest.mark.parametrize(("rtol", "atol"), [(-1e-9, 0.0), (0.0, math.inf), (math.nan, 0.0)])
def test_a_tolerance_is_finite_and_not_negative(rtol: float, atol: float) -> None:
    with pytest.raises(ValueError, match=r"rtol \(.*\) and atol \(.*\) must be finite and at le"):
        Tolerance(rtol, atol, "a reason")


def test_equal() -> None:
    mask = np.array([[True, False], [True, True]])
    assert equal_paragraph(mask, mask) == ""
    assert equal_paragraph(torch.tensor(mask), torch.tensor(mask)) == ""
    assert equal_paragraph(mask.astype(int), mask) == (
        "The mask: the dtype is int64; wanted bool (True and False)."
    )
    other = mask.copy()
    other[0, 1] = True
    assert equal_paragraph(other, mask) == (
        "The mask: at [0, 1] got True, wanted False; 1 of 4 values is off."
    )
    assert "got shape (2,), wanted (2, 2)" in equal_paragraph(mask[0], mask)
    assert equal_paragraph(np.array([1, 2], np.int32), np.array([1, 2])) == ""


def test_expect() -> None:
    expect(True, "never")
    with pytest.raises(Rejected, match=r"^the message$"):
        expect(False, "the message")


def failing(kinds: tuple[str, ...], text: str) -> Any:
    def call() -> None:
        raise CallFailed("paragraph", kinds=kinds, text=text)

    return call


def test_expect_raises() -> None:
    expect_raises(ValueError, failing(("UnicodeError", "ValueError", "Exception"), "x"), what="w")
    with pytest.raises(
        Rejected, match=re.escape("must raise ValueError, but your function raised")
    ):
        expect_raises(ValueError, failing(("KeyError", "LookupError"), "x"), what="w")
    with pytest.raises(
        Rejected, match=re.escape("A w must raise ValueError, but your function ret")
    ):
        expect_raises(ValueError, lambda: 3, what="a w")
    with pytest.raises(
        Rejected, match=re.escape("A w raises ValueError without a message: say what was wrong")
    ):
        expect_raises(ValueError, failing(("ValueError", "Exception"), " "), what="a w")
    with pytest.raises(CallFailed, match=r"^paragraph$"):  # the function could not be called
        expect_raises(ValueError, failing((), ""), what="w")
