"""Pictures of mistakes: computed, different from what is right, and from each other."""

import re

import numpy as np
import pytest
import torch

from minitx.authoring.gallery import gallery
from minitx.authoring.proof import kept_cases
from minitx.grading.course import find_course

SCORES = np.array([[1.0, 2.0, 3.0], [1001.0, 1002.0, 1003.0]])


def test_a_picture_shows_both_results_and_says_what_went_wrong():
    shown = gallery("01.1", SCORES, most=2)
    assert repr(shown) == f"2 of {len(find_course().exercise('01.1').mistakes)} mistakes"
    (words, svg), other = shown.pictures
    assert words == "No maximum is subtracted before exponentiating."
    assert "Yours: 0.09, 0.24, 0.67; NaN, NaN, NaN. 3 of 6 cells differ." in svg
    assert other[1] != svg
    html = shown._repr_html_()
    assert html.count("<figure>") == 2 and f"<figcaption>{words}</figcaption>" in html


def test_no_two_pictures_of_one_exercise_are_alike():
    x = torch.tensor([[[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]])
    to_q, to_k = torch.eye(2), torch.tensor([[1.0, 0.0], [3.0, 1.0]])
    drawn = [
        re.sub(r"<title.*?</title>|-title|-words|mistake-[\w-]+", "", svg)
        for _, svg in gallery("02.1", x, to_q, to_k, 2 * to_k, most=20).pictures
    ]
    assert len(set(drawn)) == len(drawn) > 5


def test_an_input_on_which_nothing_shows():
    with pytest.raises(ValueError, match=r"no mistake in 1.1 shows on this input"):
        gallery("01.1", np.zeros((7, 7)))


def test_the_smallest_calls_that_are_kept_show_their_mistakes():
    """Each is run again: the worked answer gives what is expected, the mistake something else."""
    course = find_course()
    cases = kept_cases(course.root)
    assert len(cases) > 200
    for name, case in cases.items():
        if name == "01.1/kept_by_shape":
            continue  # remembers the calls before it
        exercise = course.exercise(name.split("/")[0])
        assert case.expected != case.got, name
        *assignments, call = case.lines
        right = course.chapter(exercise.chapter).reference().functions[exercise.function]
        wrong = exercise.mistakes[name.split("/")[1]].function
        results = [
            _result(assignments, call, {"np": np, "torch": torch, exercise.function: each})
            for each in (right, wrong)
        ]
        assert _unlike(*results), name


def _result(assignments, call, names):
    """Of a function one call; a module is made and given its weights by the lines before.

    A mistake that draws has the generator that the grader gives it.
    """
    try:
        torch.manual_seed(0)
        with np.errstate(all="ignore"):
            exec("\n".join(assignments), names)
            return eval(call, names)
    except Exception as error:
        return type(error).__name__


def _unlike(a, b):
    if type(a) is not type(b) or isinstance(a, str):
        return True
    if isinstance(a, tuple):
        return any(_unlike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor) and a.dtype != b.dtype:
        return True
    if isinstance(a, torch.Tensor):  # NumPy has no bfloat16
        a, b = (x.detach().double() if x.is_floating_point() else x.detach() for x in (a, b))
    a, b = np.asarray(a), np.asarray(b)
    return a.shape != b.shape or a.dtype != b.dtype or not np.allclose(a, b, 1e-6, 1e-9)
