"""Registering an exercise: what is accepted, and the text of every refusal."""

import re
from typing import Any

import pytest

from minitx.grading import exercise, mistake, right_answer
from minitx.grading.registry import Registry, display_id, filling

GOOD: dict[str, Any] = {
    "function": "double",
    "title": "Twice",
    "page": "book/01.md#twice",
    "hints": ("a", "b", "c"),
}


@pytest.fixture(autouse=True)
def registry():
    with filling(Registry()) as fresh:
        yield fresh


def made(**changes: Any):
    return exercise("01.1", **{**GOOD, **changes})


def with_check():
    one = made()

    @one.check(points=2, title="t", hint="h")
    def test_it(sub, rng):
        pass

    return one


def test_what_is_registered(registry: Registry) -> None:
    one = with_check()
    assert registry.exercises == {"01.1": one}
    assert (one.points, one.chapter, one.label) == (2, "01", "Exercise 1.1")
    assert display_id("12.10") == "12.10"


def test_two_registries_do_not_mix() -> None:
    made()
    with filling(Registry()) as other:
        made()
        assert list(other.exercises) == ["01.1"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"hints": ("a", "b")}, "01.1: hints must be three texts"),
        ({"hints": ("a", " ", "c")}, "01.1: hints must be three texts"),
        ({"function": "two words"}, "01.1: 'two words' is no name of a function"),
        ({"title": " "}, "01.1: title and page must not be empty"),
        ({"page": ""}, "01.1: title and page must not be empty"),
        (
            {"returns": "matrix"},
            "01.1: returns is one of array, tensor, number, module, any, not 'matrix'",
        ),
        (
            {"closed": ("softmax",)},
            "01.1: closed wants dotted names such as torch.softmax, not 'softmax'",
        ),
    ],
)
def test_a_bad_exercise(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        made(**changes)


def test_a_bad_id() -> None:
    with pytest.raises(ValueError, match=re.escape("an exercise id looks like 01.1, not '1.1'")):
        exercise("1.1", **GOOD)


def test_the_same_id_twice() -> None:
    made()
    with pytest.raises(ValueError, match=re.escape("exercise 01.1 is registered twice")):
        made()


def test_bad_checks() -> None:
    one = with_check()

    def test_it(sub, rng):
        pass

    def takes_too_little(sub):
        pass

    def test_other(sub, rng):
        pass

    with pytest.raises(ValueError, match=re.escape("01.1: two checks are called test_it")):
        one.check(points=1, title="t", hint="h")(test_it)
    with pytest.raises(ValueError, match=re.escape("takes_too_little must take exactly (sub, rng")):
        one.check(points=1, title="t", hint="h")(takes_too_little)
    with pytest.raises(ValueError, match="test_other must be worth at least 1 point, not 0"):
        one.check(points=0, title="t", hint="h")(test_other)
    with pytest.raises(ValueError, match="test_other needs a title and a hint"):
        one.check(points=1, title="t", hint=" ")(test_other)


def test_a_waiver_needs_a_reason() -> None:
    one = made()
    one.waive("constant-3", reason="equal for every input")
    assert one.waivers == {"constant-3": "equal for every input"}
    with pytest.raises(ValueError, match=re.escape("01.1: the waiver of m needs a reason")):
        one.waive("m", reason=" ")


def test_a_mistake() -> None:
    one = with_check()

    @mistake("01.1", caught_by="test_it")
    def squared(x):
        """the numbers are
        squared.

        Multiply
        by 2.
        """

    found = one.mistakes["squared"]
    assert (found.id, found.sentence) == ("01.1/squared", "the numbers are squared.")
    assert (found.advice, found.page) == ("Multiply by 2.", "book/01.md#twice")
    with pytest.raises(ValueError, match=re.escape("01.1: two mistakes are called squared")):
        mistake("01.1", caught_by="test_it")(squared)


@pytest.mark.parametrize("doc", [None, "The numbers are wrong.\n\nDo.", "no full stop\n\nDo."])
def test_a_sentence_that_completes_nothing(doc: str | None) -> None:
    with_check()

    def wrong(x):
        pass

    wrong.__doc__ = doc
    with pytest.raises(ValueError, match="must complete 'Your output equals what you get when"):
        mistake("01.1", caught_by="test_it")(wrong)


def test_a_mistake_without_advice() -> None:
    with_check()

    def wrong(x):
        """W_q and W_k are swapped."""

    with pytest.raises(ValueError, match=r"01\.1/wrong: the docstring must say what to do instead"):
        mistake("01.1", caught_by="test_it")(wrong)


def test_a_mistake_that_nothing_catches() -> None:
    with_check()
    with pytest.raises(ValueError, match=re.escape("no check 'test_x'; its checks: test_it")):
        mistake("01.1", caught_by="test_x")


def test_a_mistake_of_no_exercise() -> None:
    with pytest.raises(ValueError, match=re.escape("no exercise 09.9 here; registered: none")):
        mistake("09.9", caught_by="test_it")


def test_right_answers() -> None:
    one = with_check()

    @right_answer("01.1")
    def with_sum(x):
        return x + x

    assert one.right_answers == {"with_sum": with_sum}
    with pytest.raises(ValueError, match=re.escape("01.1: two right answers are called with_sum")):
        right_answer("01.1")(with_sum)
