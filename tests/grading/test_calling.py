"""Whatever a learner's function does, the check gets a value or one clear paragraph."""

import random
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from minitx import numpy_core
from minitx.grading import exercise
from minitx.grading.judge.run import grade
from minitx.grading.registry import Exercise, Registry, filling
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.local import LocalCaller

X = np.array([[3.0, 1.0], [2.0, 5.0]])


def asking(*questions: Callable[[Any], Any], **options: Any) -> Exercise:
    """An exercise `f` whose checks make these calls."""
    given = {"returns": "array", "seconds": 0.3, **options}
    with filling(Registry()):
        one = exercise("01.1", function="f", title="t", page="p", hints=("a", "b", "c"), **given)
    for number, question in enumerate(questions):

        def check(sub: Any, rng: Any, question: Callable[[Any], Any] = question) -> None:
            question(sub)

        check.__name__ = f"test_{number}"
        check.__signature__ = __import__("inspect").signature(lambda sub, rng: None)
        one.check(points=1, title=f"question {number}", hint="think")(check)
    return one


def report_on(
    f: Any, question: Callable[[Any], Any] = lambda sub: sub.f(X.copy()), **options: Any
) -> ExerciseReport:
    return grade(asking(question, **options), LocalCaller.of({"f": f}))


def paragraph(
    f: Any, question: Callable[[Any], Any] = lambda sub: sub.f(X.copy()), **o: Any
) -> str:
    """What the learner reads about a call that went wrong."""
    check = report_on(f, question, **o).checks[0]
    assert check.status == "failed"
    assert "Traceback" not in check.text
    assert "minitx/grading" not in check.text
    assert "\n" not in check.text
    return check.text


def test_a_good_call() -> None:
    report = report_on(lambda x: x + 1)
    assert report.status == "passed"
    (call,) = report.calls
    assert np.array_equal(call.args[0], X)
    assert np.array_equal(call.outcome.value, X + 1)


def test_returns_none() -> None:
    def f(x):
        x + 1

    assert paragraph(f) == "f returned None: is a `return` missing?"


@pytest.mark.parametrize(
    ("value", "returns", "text"),
    [
        (
            [1, 2],
            "array",
            "f returned a list of 2 numbers; wanted a NumPy array (`np.array(…)` makes one).",
        ),
        (ValueError("no"), "array", "f returned ValueError: write `raise` in place of `return`."),
        (ValueError, "array", "f returned ValueError: write `raise` in place of `return`."),
        ("ab", "array", "f returned the text 'ab'; wanted a NumPy array."),
        (3.5, "array", "f returned the number 3.5; wanted a NumPy array."),
        (True, "array", "f returned the truth value True; wanted a NumPy array."),
        (np.sum, "array", "f returned a function or class (sum); wanted a NumPy array."),
        (object(), "array", "f returned an object of type object; wanted a NumPy array."),
        ({}, "array", "f returned an empty dict; wanted a NumPy array."),
        ((X, X), "array", "f returned a tuple of 2 arrays; wanted a NumPy array."),
        (
            X,
            "tensor",
            "f returned an array of shape (2, 2) and dtype float64; wanted a torch tensor.",
        ),
        (X, "number", "f returned an array of shape (2, 2) and dtype float64; wanted a number."),
        (
            X,
            ("array", "array"),
            "f returned an array of shape (2, 2) and dtype float64; wanted 2 values, "
            "(a NumPy array, a NumPy array).",
        ),
        (
            (X, [1]),
            ("array", "array"),
            "f returned a list as value 2 of 2; wanted a NumPy array (`np.array(…)` makes one).",
        ),
    ],
)
def test_returns_another_thing(value: Any, returns: Any, text: str) -> None:
    assert paragraph(lambda x: value, returns=returns) == text


def test_a_list_of_values_is_as_good_as_a_tuple() -> None:
    assert report_on(lambda x: [x, x], returns=("array", "array")).status == "passed"


def test_raises() -> None:
    def f(x):
        return x[99]

    line = f.__code__.co_firstlineno + 1
    assert paragraph(f) == (
        f"f raised IndexError at line {line} (`return x[99]`): index 99 is out of bounds for axis "
        "0 with size 2. It was called as f(<array of shape (2, 2)>)."
    )


def test_raises_inside_a_library() -> None:
    def f(x):
        return np.linalg.inv(x[0])

    assert f"line {f.__code__.co_firstlineno + 1} (`return np.linalg.inv(x[0])`)" in paragraph(f)


def test_raises_what_cannot_be_printed() -> None:
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    def f(x):
        raise Odd

    assert paragraph(f).startswith("f raised Odd at line")


def test_an_assertion_of_the_learners_own() -> None:
    def f(x):
        assert x.ndim == 3, "three axes"

    assert "raised AssertionError" in paragraph(f)
    assert "three axes" in paragraph(f)


def test_missing() -> None:
    question = lambda sub: sub.f(X)  # noqa: E731
    report = grade(asking(question), LocalCaller.of({"g": lambda x: x}))
    assert report.checks[0].text == (
        "There is no function f in your functions: was it renamed, or its cell deleted?"
    )
    assert paragraph(3).startswith("f is the number 3; wanted a function of that name.")


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda: 1, "f is called with 1 arguments but takes no parameter: yours is `def f()`."),
        (lambda x, y: 1, "f wants a value for `y` that nobody gives it: yours is `def f(x, y)`."),
        (lambda x, *, k: 1, "f wants a value for `k` that nobody gives it"),
    ],
)
def test_wrong_signature(f: Any, text: str) -> None:
    assert paragraph(f).startswith(text)
    assert paragraph(f).endswith("Keep the first line it came with.")


def test_wrong_signature_by_name() -> None:
    text = paragraph(lambda x: x, lambda sub: sub.f(X, scale=2))
    assert text.startswith("f has no parameter `scale`: yours is `def f(x)`.")
    text = paragraph(lambda x: x, lambda sub: sub.f(X, X))
    assert text.startswith("f is called with 2 arguments but takes one: yours is `def f(x)`.")


def test_a_class_or_a_builtin_will_do() -> None:
    assert report_on(np.exp).status == "passed"
    assert report_on(np.ndarray.copy).status == "passed"


def test_changed_in_place_by_position_and_by_name() -> None:
    def f(x, scale=None):
        x += 1
        return x

    text = paragraph(f)
    assert text.startswith("f changed its input `x` in place")

    def g(x, scale):
        scale[0] = 7
        return x

    assert "`scale` in place" in paragraph(g, lambda sub: sub.f(X.copy(), scale=X.copy()))
    assert "inputs `x` and `y` in place" in paragraph(
        lambda x, y: (x.sort(0), y.sort(0), x)[2], lambda sub: sub.f(X.copy(), X.copy())
    )


def test_the_check_gets_its_input_back() -> None:
    x = X.copy()

    def f(x):
        x[:] = 0
        return x

    paragraph(f, lambda sub: sub.f(x))
    assert np.array_equal(x, X)


def test_changed_in_place_tensors_and_lists() -> None:
    t = torch.tensor(X)
    assert "`x` in place" in paragraph(lambda x: x.mul_(2), lambda sub: sub.f(t), returns="tensor")
    assert torch.equal(t, torch.tensor(X))
    assert "`x` in place" in paragraph(lambda x: x.append(1) or X, lambda sub: sub.f([1]))


def test_a_mark_on_an_input_is_a_change_and_is_taken_off_again() -> None:
    t = torch.tensor(X)

    def f(x):
        loss = (x.requires_grad_() ** 2).sum()
        loss.backward()
        return x.grad

    for question in (lambda sub: sub.f(t), lambda sub: sub.f([t]), lambda sub: sub.f({"t": t})):
        text = paragraph(
            lambda x: f(x["t"] if type(x) is dict else x[0] if type(x) is list else x),
            question,
            returns="tensor",
        )
        assert text.startswith("f calls requires_grad_() on its input `x`, which belongs to")
        assert not t.requires_grad and t.grad is None
    copied = report_on(lambda x: f(x.clone()), lambda sub: sub.f(t), returns="tensor")
    assert copied.status == "passed"


def test_writing_the_same_numbers_is_no_change() -> None:
    assert report_on(lambda x: np.copyto(x, x) or x + 1).status == "passed"
    nan = np.array([np.nan, 1.0])
    assert report_on(lambda x: x + 1, lambda sub: sub.f(nan)).status == "passed"


def test_endless_loop() -> None:
    def f(x):
        count = 0
        while True:
            count += 1
            if count < 0:
                break

    line = f.__code__.co_firstlineno + 2
    began = time.process_time()
    exercise = asking(*[lambda sub: sub.f(X)] * 3)
    report = grade(exercise, LocalCaller.of({"f": f}))
    assert time.process_time() - began < 5
    assert report.checks[0].text == (
        f"f did not end: endless loop? Stopped after 0.3 s at line {line} (`while True:`)."
    )
    assert [check.status for check in report.checks] == ["failed", "not run", "not run"]
    assert report.checks[1].text == "An earlier check was stopped."
    assert (report.earned, report.points) == (0, 3)


def test_endless_loop_that_swallows_everything() -> None:
    def f(x):
        for _ in iter(int, 1):
            try:
                np.exp(x)
            except:  # noqa: E722
                continue

    assert "(`for _ in iter(int, 1):`)" in paragraph(f)


def test_the_time_is_for_the_whole_check() -> None:
    def slow(x):
        began = time.thread_time()
        while time.thread_time() < began + 0.15:
            pass
        return x + 1

    assert "did not end" in paragraph(slow, lambda sub: [sub.f(X) for _ in range(5)])


def test_exit_recursion_memory_input() -> None:
    def leaves(x):
        sys.exit(0)

    def recurses(x):
        return recurses(x)

    def huge(x):
        raise MemoryError

    def asks(x):
        return float(input("number? "))

    assert paragraph(leaves).startswith("f ended the whole program at line")
    assert paragraph(recurses).startswith("f calls itself without end at line")
    assert paragraph(huge).startswith("f asked for more memory than there is at line")
    assert paragraph(asks).startswith("f asks for input at line")


def test_ctrl_c_reaches_the_learner() -> None:
    def f(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        report_on(f)


def test_a_flood_of_print(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x):
        for _ in range(50_000):
            print("a line that says little")
        print("to stderr", file=sys.stderr)

    report = report_on(f)
    assert capsys.readouterr() == ("", "")
    assert len(report.printed) < 5000
    assert report.shown_print.count("\n") == 6
    assert report.shown_print.endswith("…")


def test_warnings_are_kept_for_the_report() -> None:
    report = report_on(lambda x: np.log(x * 0))
    assert "divide by zero" in report.calls[0].outcome.warning


def test_no_text_of_the_learners_commands_the_terminal() -> None:
    """An escape sequence could clear the screen and write a verdict of its own."""

    def f(x):
        print("\x1b[2J\x1b[1;1Hall points \u202eearned")
        raise ValueError("\x1b]0;title\x07 \x1b[31mred")  # \x1b[2J

    report = report_on(f)
    for text in (report.printed, report.checks[0].text):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
    assert report.printed == "[2J[1;1Hall points earned\n"
    assert "ValueError at line" in report.checks[0].text
    assert "]0;title [31mred" in report.checks[0].text


def test_unattempted() -> None:
    def f(x):
        raise NotImplementedError("Exercise 1.1 is yours to write")

    report = report_on(f)
    assert (report.status, report.earned, report.points) == ("unattempted", 0, 1)


def test_leaning_on_an_unattempted_exercise() -> None:
    def f(x):
        raise NotImplementedError("Exercise 1.7 is yours to write")

    assert paragraph(f) == (
        "f needs an exercise that has no answer yet: Exercise 1.7 is yours to write"
    )


def test_another_not_implemented_error_is_an_error() -> None:
    def f(x):
        raise NotImplementedError("later")

    assert paragraph(f).startswith("f raised NotImplementedError")


def test_global_dice_are_fixed_and_put_back() -> None:
    def f(x):
        return np.array([random.random(), np.random.rand(), float(torch.rand(()))])

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    values = [report_on(f).calls[0].outcome.value.tolist() for _ in range(2)]
    assert values[0] == values[1]
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == states


def test_two_calls_do_not_throw_the_same_dice() -> None:
    """So that dropout left on shows."""
    report = report_on(lambda x: np.random.rand(3), lambda sub: (sub.f(X), sub.f(X)))
    first, second = (call.outcome.value for call in report.calls)
    assert not np.array_equal(first, second)


def test_gradients_flow_through_the_handle() -> None:
    x = torch.tensor(X, requires_grad=True)
    seen = []

    def question(sub: Any) -> None:
        seen.append(sub.f.vjp(x, cotangent=torch.ones(2, 2)))
        seen.append(sub.f.vjp(x, cotangent=torch.tensor([[1.0, 2.0], [3.0, 4.0]])))

    assert report_on(lambda x: x * 3, question, returns="tensor").status == "passed"
    assert torch.equal(seen[0][0], torch.full((2, 2), 3.0, dtype=torch.float64))
    assert seen[1][0].tolist() == [[3.0, 6.0], [9.0, 12.0]]


def test_a_gradient_without_a_path_or_with_a_broken_one() -> None:
    x = torch.tensor(X, requires_grad=True)
    seen = []
    ask = lambda sub: seen.append(sub.f.vjp(x, x.detach().requires_grad_()))  # noqa: E731
    report_on(lambda x, y: x.detach() * 3, ask, returns="tensor")
    report_on(lambda x, y: x * 3, ask, returns="tensor")
    assert seen[0] == (None, None)
    assert seen[1][1] is None
    assert seen[1][0] is not None

    def broken(x):
        y = x.exp()
        z = y * 2
        y += 1
        return z + y.exp() * 0

    text = paragraph(broken, lambda sub: sub.f.vjp(x), returns="tensor")
    assert text.startswith(
        "f: the result is connected to the inputs, but the way back breaks: one of the variables "
        "needed for gradient computation has been modified by an inplace operation"
    )
    assert text.endswith("after it was used is the usual cause.")
    text = paragraph(
        lambda x: x, lambda sub: sub.f.vjp(x, cotangent=torch.ones(3)), returns="tensor"
    )
    assert text == "f: the result has shape (2, 2), not (3,)."


def test_what_comes_back_holds_no_graph() -> None:
    """So that no check can run the learner's `backward` outside of the limits."""
    x = torch.tensor(X, requires_grad=True)
    (call,) = report_on(lambda x: x * 3, lambda sub: sub.f(x), returns="tensor").calls
    assert call.outcome.value.requires_grad
    assert call.outcome.value.grad_fn is None


def test_memory_layout_reaches_the_learner() -> None:
    def f(x):
        return np.array([x.flags["C_CONTIGUOUS"], x.strides[0]])

    (call,) = report_on(f, lambda sub: sub.f(X.T)).calls
    assert call.outcome.value.tolist() == [False, X.T.strides[0]]
    (call,) = report_on(
        lambda x: torch.tensor(x.stride()), lambda sub: sub.f(torch.ones(3, 4).T), returns="tensor"
    ).calls
    assert call.outcome.value.tolist() == [1, 4]


def test_steps_tell_a_loop_from_none() -> None:
    def loops(x):
        total = 0
        for number in x:
            total += number
        return total

    def hidden(x):
        return np.vectorize(float)(x).sum() + np.apply_along_axis(numpy_core.softmax, 1, x[:, None])

    seen: dict[str, list[int]] = {}
    for name, f in [("loop", loops), ("none", lambda x: x.sum()), ("hidden", hidden)]:
        report_on(
            f,
            lambda sub, name=name: seen.update({name: [sub.f.steps(np.ones(n)) for n in (5, 50)]}),
        )
    assert seen["loop"][1] - seen["loop"][0] == 90
    assert seen["none"][0] == seen["none"][1]
    assert seen["hidden"][1] - seen["hidden"][0] > 90  # numpy's loop, over the library's function


def test_private_names_are_not_the_learners() -> None:
    def question(sub: Any) -> None:
        assert not hasattr(sub, "_secret")
        sub.f(X)

    assert report_on(lambda x: x + 1, question).status == "passed"
