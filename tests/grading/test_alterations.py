"""The right answer to changed inputs: what each change makes of a call, and when nothing."""

from typing import Any

import numpy as np
import pytest

from minitx.grading.judge.alterations import alterations
from minitx.grading.judge.notation import Notation, notation

LETTERS: Notation = notation("Args:\n    pos: integers, (T,).\n\nReturns:\n    (T, C).")
USUAL = {"base": 10_000.0, "both": True}


def changed(arguments: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any] | None]:
    given = {**USUAL, **arguments}
    return {each.key: each.change(given) for each in alterations(given, LETTERS, USUAL)}


@pytest.mark.parametrize(
    ("key", "pos"),
    [
        (("whole", "one more", "pos"), [4, 6, 5]),
        (("whole", "one less", "pos"), [2, 4, 3]),
        (("whole", "negated", "pos"), [-3, -5, -4]),
        (("whole", "doubled", "pos"), [6, 10, 8]),
        (("whole", "from the first", "pos"), [0, 2, 1]),
        (("whole", "row numbers", "pos"), [0, 1, 2]),
    ],
)
def test_whole_numbers(key: tuple[Any, ...], pos: list[int]) -> None:
    made = changed({"pos": np.array([3, 5, 4])})[key]
    assert made is not None and made["pos"].tolist() == pos


def test_the_usual_value_whatever_is_given() -> None:
    pos = np.arange(3)
    assert changed({"pos": pos})["default", "base"] is None, "it is given already"
    made = changed({"pos": pos, "base": 100.0})["default", "base"]
    assert made is not None and made["base"] == 10_000.0


def test_a_switch_is_turned_or_stands_still() -> None:
    found = changed({"pos": np.arange(3), "both": False})
    for key, value in (("turned round", True), (True, True), (False, None)):
        made = found["switch", key, "both"]
        assert (made and made["both"]) == value


def test_pairs_of_halves_and_of_neighbours() -> None:
    letters = notation("Args:\n    x: (T, D).\n\nReturns:\n    (T, D).")
    x = np.arange(6.0)[None]
    found = {each.key: each for each in alterations({"x": x}, letters)}
    one, both = found["halves", "x", False], found["halves", "x", True]
    made = one.change({"x": x})
    assert made is not None and made["x"].tolist() == [[0, 3, 1, 4, 2, 5]]
    assert one.back(made["x"]).tolist() == made["x"].tolist()
    assert both.back(made["x"]).tolist() == x.tolist()
