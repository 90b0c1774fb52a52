"""A mistake is named when its output is the submission's, and only then."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading import exercise, mistake
from minitx.grading.course import Chapter, Course
from minitx.grading.judge.alike import SINGLE, alike
from minitx.grading.judge.assess import assess
from minitx.grading.judge.banks import own_bank
from minitx.grading.judge.diagnose import Evidence
from minitx.grading.judge.notation import Notation
from minitx.grading.judge.probes import Asker, without_dtypes
from minitx.grading.judge.run import grade
from minitx.grading.own import OwnCaller
from minitx.grading.registry import Registry, filling
from minitx.grading.report import Named, Report
from minitx.grading.worker.local import LocalCaller


def named(chapter: Chapter, f: Any, exercise_id: str = "01.1") -> list[str]:
    one = chapter.exercises[exercise_id]
    report = assess(chapter, one, LocalCaller.of({one.function: f}))
    return [each.id for each in report.named]


def test_every_mistake_of_the_bank_names_itself(chapter: Chapter) -> None:
    for one in chapter.exercises.values():
        for wrong in one.mistakes.values():
            assert named(chapter, wrong.function, one.id) == [wrong.id]


def test_written_differently(chapter: Chapter) -> None:
    def f(x):
        if not x.size:
            raise ValueError("nothing there")
        return np.exp(2 * np.log(np.abs(x)))

    assert named(chapter, f) == ["01.1/squared"]


def test_what_the_learner_reads(chapter: Chapter) -> None:
    one = chapter.exercises["01.2"]
    (each,) = assess(chapter, one, LocalCaller.of({"quadruple": lambda x: 2 * x})).named
    assert each.text == (
        "Your output equals what you get when the numbers are doubled once. Do it twice."
    )
    assert each.page == "“Twice as much” in book/01_small.md"


def test_another_mistake_gets_a_relation(chapter: Chapter) -> None:
    def thrice(x):
        if x.size == 0:
            raise ValueError("empty")
        return 3 * x

    one = chapter.exercises["01.1"]
    (each,) = assess(chapter, one, LocalCaller.of({"double": thrice})).named
    assert (each.source, each.sentence) == (
        "relation",
        "Yours is 1.5 times the expected, everywhere.",
    )


def test_evidence_suffices_and_what_else_is_wrong_is_told(chapter: Chapter) -> None:
    one = chapter.exercises["01.1"]
    (each,) = assess(chapter, one, LocalCaller.of({"double": lambda x: x**2})).named
    assert each.id == "01.1/squared"
    assert each.extra.startswith("Besides, a call that must raise ValueError")


def test_what_else_is_wrong_gets_no_cause_but_a_next_step(chapter: Chapter) -> None:
    def squared_else(other: Any) -> Any:
        return lambda x: other(x) if x.shape == (4,) else x**2

    one = chapter.exercises["01.1"]
    for other in (
        lambda x: np.cumsum(x) ** 3,
        lambda x: x.size * [0],
        lambda x: x**2 / 3,
        lambda x: np.append(x[:-1] ** 2, 7.0),
    ):
        strange = LocalCaller.of({"double": squared_else(other)})
        (each,) = assess(chapter, one, strange).named
        assert each.id == "01.1/squared"
        assert re.fullmatch(
            r"Besides, something else is wrong in \d+ more calls?: "
            r"mend this first, then check again\.",
            each.extra,
        )


def test_what_is_left_over_is_not_taken_for_a_division(chapter: Chapter) -> None:
    course = Course(Path(__file__).resolve().parents[2])
    one = course.exercise("04.4")

    def alibi_bias(num_heads: int, q_pos: Any, k_pos: Any) -> Any:
        slopes = 2.0 ** (-8 * torch.arange(num_heads, dtype=torch.float64) / num_heads)
        return (-slopes[:, None, None] * (q_pos[:, None] - k_pos).abs()).float()

    report = assess(course.chapter("04"), one, LocalCaller.of({one.function: alibi_bias}))
    text = " ".join(each.text for each in report.named)
    assert "Besides" in text
    assert "sum to 1" not in text


def test_a_page_is_named_once_below_the_last_that_asks_for_it(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [Named(each, each, "", "book/01_small.md#twice") for each in ("one", "two")]
    monkeypatch.setattr("minitx.grading.judge.assess.diagnose", lambda *_: ([*both, both[0]], None))
    one = chapter.exercises["01.1"]
    report = assess(chapter, one, LocalCaller.of({"double": lambda x: x**2}))
    assert [each.page for each in report.named] == ["", "", "“Twice as much” in book/01_small.md"]
    assert [bool(each.link) for each in report.named] == [False, False, True]


def told(exercise_id: str, f: Any) -> list[str]:
    course = Course(Path(__file__).resolve().parents[2])
    one = course.exercise(exercise_id)
    report = assess(course.chapter(exercise_id[:2]), one, LocalCaller.of({one.function: f}))
    return [each.sentence for each in report.named]


def test_too_few_digits_are_told_by_what_float64_gives() -> None:
    def layer_norm(x: Any, weight: Any, bias: Any, eps: float = 1e-5) -> Any:
        first, second = (torch.einsum("...c->...", y) / x.shape[-1] for y in (x, x * x))
        spread = (second - first * first).clamp(min=0)[..., None]
        return (x - first[..., None]) / (spread + eps).sqrt() * weight + bias

    (sentence,) = told("05.1", layer_norm)
    assert sentence.startswith("For the same numbers in float64 your function is right: in float32")


def test_inputs_that_are_changed_or_marked_have_their_names() -> None:
    class Added(torch.nn.Module):
        def __init__(self, d_model: int, pre_norm: bool, dropout: float = 0.0) -> None:
            super().__init__()
            self.norm, self.pre_norm = torch.nn.LayerNorm(d_model), pre_norm
            self.sublayer = torch.nn.Linear(d_model, d_model)
            self.dropout = torch.nn.Dropout(dropout)

        def forward(self, x: Any) -> Any:
            x += self.dropout(self.sublayer(self.norm(x) if self.pre_norm else x))
            return x if self.pre_norm else self.norm(x)

    def accumulated(weight: Any, batches: Any) -> Any:
        tokens = sum(int((targets != -100).sum()) for _, targets in batches)
        loss = 0.0
        for x, targets in batches:
            logits = (x @ weight.requires_grad_().T).mT
            part = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") / tokens
            part.backward()
            loss += part.item()
        return loss, weight.grad

    assert told("05.3", Added)[0].startswith("Your function changes its input `x`, which")
    assert told("05.9", accumulated)[0].startswith(
        "Your function calls requires_grad_() on its input `weight`"
    )


def test_diagnosis_does_not_look_closer_than_the_checks() -> None:
    """torch adds 1e-6 to the norm that it divides by, most people who write it by hand do not."""

    def clipped(gradients: Any, max_norm: float) -> Any:
        norm = sum(float(g.float().square().sum()) for g in gradients) ** 0.5
        factor = min(1.0, max_norm / (norm + 1e-6))
        return [g * factor for g in gradients], norm * factor

    assert told("05.8", clipped) == ["the norm *after* clipping is returned."]


def test_nothing_is_named_without_values(chapter: Chapter) -> None:
    def endless(x):
        while True:
            pass

    assert named(chapter, endless) == []
    assert named(chapter, lambda: 1) == []


@pytest.mark.parametrize("minds", [False, True])
def test_a_dtype_is_spoken_of_only_where_a_check_minds_it(minds: bool) -> None:
    with filling(Registry()):
        one = exercise("01.1", function="f", title="t", page="p", hints=("a", "b", "c"))

        @one.check(points=1, title="t", hint="h")
        def test_small(sub, rng):
            answer = sub.f(np.ones(3))
            assert answer.dtype == np.float64 or not minds

        @one.check(points=1, title="t", hint="h")
        def test_negative(sub, rng):
            sub.f(-np.ones(3))
            raise AssertionError

        @mistake("01.1", caught_by="test_negative")
        def sign_lost(x):
            """the sign is lost.

            Keep it.
            """
            return abs(2 * x)

    single = lambda x: sign_lost(x).astype(np.float32)  # noqa: E731
    right = lambda x: 2 * x  # noqa: E731
    calls = grade(one, OwnCaller({"f": single})).calls
    asker = Asker("f", ("x",), Notation(), None, OwnCaller({"f": right}), right)
    probes = without_dtypes([asker.seen(call) for call in calls])
    evidence = Evidence(Chapter(Path("nowhere"), "01_none"), one, asker, probes)
    named = [each.id for each in evidence.exact(own_bank(one))]
    assert named == ([] if minds else ["01.1/sign_lost"])


def test_what_an_operator_made_endless_is_stopped() -> None:
    def growing(x):
        rows = [x]
        for each in rows:
            rows.append(each)

    caller = OwnCaller({"f": growing}, limited=True)
    outcome = caller.call("f", (np.ones(3),), {}, seconds=0.05, seed=0)
    assert outcome.kind == "timeout"


def test_an_exception_gets_its_remedy(chapter: Chapter) -> None:
    one = chapter.exercises["01.1"]
    (each,) = assess(chapter, one, LocalCaller.of({"double": lambda x: F.relu(x)})).named
    assert (each.page, each.link) == ("", "")  # the book does not tell about imports
    assert (each.source, each.text) == (
        "remedy",
        "`F` is not imported. Add `from torch.nn import functional as F` to the imports.",
    )


def test_an_exception_is_told_once_and_gets_no_hint(chapter: Chapter) -> None:
    one = chapter.exercises["01.1"]
    text = repr(Report((assess(chapter, one, LocalCaller.of({"double": lambda x: undefined})),)))
    assert text.count("name 'undefined' is not defined") == 1
    assert "Hint" not in text


def bank(question: Any, *mistakes: Any, right: Any = lambda *_: "another") -> Any:
    """Diagnoses the first mistake, of an exercise with these, under one question."""
    evidence = evidence_of(question, *mistakes, right=right)
    return [each.id.split("/")[1] for each in evidence.exact(own_bank(evidence.exercise))]


def evidence_of(question: Any, *mistakes: Any, right: Any) -> Evidence:
    with filling(Registry()):
        one = exercise("01.1", function="f", title="t", page="p", hints=("a", "b", "c"))

        @one.check(points=1, title="t", hint="h")
        def test_it(sub, rng):
            question(sub)
            raise AssertionError

        for number, function in enumerate(mistakes):
            function.__name__ = f"m{number}"
            function.__doc__ = "it is wrong.\n\nDo it right."
            mistake("01.1", caught_by="test_it")(function)
    calls = grade(one, OwnCaller({"f": mistakes[0]})).calls
    asker = Asker("f", ("x",), Notation(), None, OwnCaller({"f": right}), right)
    return Evidence(Chapter(Path("nowhere"), "01_none"), one, asker, list(map(asker.seen, calls)))


def test_several_that_cannot_be_told_apart_are_all_named() -> None:
    ask = lambda sub: sub.f(np.ones(3))  # noqa: E731
    assert bank(ask, lambda x: 2 * x, lambda x: x + x, lambda x: 3 * x) == ["m0", "m1"]


def test_too_many_say_nothing() -> None:
    ask = lambda sub: sub.f(np.ones(3))  # noqa: E731
    alike_ones = [lambda x, k=k: x + k - k for k in range(4)]
    assert evidence_of(ask, *alike_ones, right=lambda x: 5 * x).names() == ()


def test_nothing_is_named_where_nothing_differs() -> None:
    ask = lambda sub: sub.f(np.ones(3))  # noqa: E731
    assert evidence_of(ask, lambda x: 2 * x, right=lambda x: x + x).names() == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x / 0, lambda x: x * 0),  # NaN and inf where the other has numbers
        (lambda x: x.astype(np.float32), lambda x: x.astype(np.float64)),
        (lambda x: x[None], lambda x: x),
        (lambda x: x.tolist(), lambda x: x),
        (lambda x: x.sort() or x + 0, lambda x: np.sort(x)),  # changed in place
        (lambda x: np.random.rand(3), lambda x: np.ones(3)),
    ],
)
def test_told_apart(one: Any, other: Any) -> None:
    ask = lambda sub: sub.f(np.array([3.0, 0.0, -1.0]))  # noqa: E731
    assert bank(ask, one, other) == ["m0"]


def test_told_apart_by_exceptions() -> None:
    def value_error(x):
        raise ValueError("a")

    def key_error(x):
        raise KeyError("a")

    def other_text(x):
        raise ValueError("b")

    ask = lambda sub: sub.f(np.ones(2))  # noqa: E731
    assert bank(ask, value_error, key_error, other_text) == ["m0"]


def test_told_apart_by_gradients() -> None:
    def question(sub: Any) -> None:
        sub.f(torch.tensor([1.0, 2.0], requires_grad=True))

    assert bank(
        question,
        lambda x: x.detach() * 2,
        lambda x: x * 2,
        lambda x: x.detach() + x,
        lambda x: torch.tensor((2 * x).tolist(), requires_grad=True),
    ) == ["m0"]


def test_told_apart_by_the_size_of_gradients() -> None:
    def question(sub: Any) -> None:
        sub.f(torch.tensor([1.0, 2.0], requires_grad=True))

    assert bank(question, lambda x: x.detach() + x, lambda x: x * 2) == ["m0"]


def test_told_apart_by_loops() -> None:
    ask = lambda sub: sub.f.steps(np.ones(100))  # noqa: E731

    def loops(x):
        return np.array([2 * each for each in x])

    def also_loops(x):
        result = np.empty_like(x)
        for i in range(len(x)):
            result[i] = 2 * x[i]
        return result

    assert bank(ask, loops, lambda x: 2 * x) == ["m0"]
    assert bank(ask, also_loops, lambda x: 2 * x) == ["m0"]


def test_alike() -> None:
    assert alike(np.float64(1.0), np.float64(1.0 + 1e-9))
    assert not alike(1.0, 1)
    assert alike((1.0, [2]), (1.0, [2]))
    assert not alike((1.0,), (1.0, 2.0))
    assert alike("a", "a")
    assert not alike("a", "b")
    assert alike(None, None)
    half = torch.ones(2, dtype=torch.float16)
    assert alike(half, half * 1.001)
    assert not alike(half, half * 2)


def test_alike_up_to_what_float32_loses() -> None:
    x = np.array([1.0, 2.0, 4.0])
    near = x * (1 + 1e-5)
    assert not alike(x, near)
    assert alike(x, near, within=SINGLE)
    assert alike({"x": [x]}, {"x": [near]}, within=SINGLE)
    assert not alike(x, x * 1.01, within=SINGLE)
    half = x.astype(np.float16)
    assert alike(half, half * np.float16(1.01), within=SINGLE)  # no less than half precision may


def test_rivals_are_settled_by_further_questions() -> None:
    def largest_size(scores):
        weights = np.exp(scores - np.abs(scores).max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    def weights_transposed(q, k, v):
        weights = np.exp(q @ k.T - (q @ k.T).max(-1, keepdims=True))
        return (weights / weights.sum(-1, keepdims=True)).T @ v

    course = Course(Path(__file__).resolve().parents[2])
    for exercise_id, f, words in [
        ("01.1", largest_size, "the largest absolute value is subtracted"),
        ("01.5", weights_transposed, "the table of weights is transposed"),
    ]:
        one = course.exercise(exercise_id)
        report = assess(course.chapter("01"), one, LocalCaller.of({one.function: f}))
        assert words in report.named[0].text


def _masked(scores: Any, allowed: Any) -> Any:
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1).nan_to_num()


def _logarithms(scores: Any, allowed: Any) -> Any:
    return scores.masked_fill(~allowed, float("-inf")).log_softmax(-1).nan_to_num()


def _in_place(scores: Any, allowed: Any) -> Any:
    scores.data[~allowed.expand_as(scores)] = float("-inf")
    return scores.softmax(-1).nan_to_num()


def _eps(scores: Any, allowed: Any) -> Any:
    weights = scores.softmax(-1) * allowed
    return weights / (weights.sum(-1, keepdim=True) + 1e-6)


def _dropout(scores: Any, allowed: Any) -> Any:
    return torch.nn.functional.dropout(_masked(scores, allowed), 0.2)


def _own_generator(scores: Any, allowed: Any) -> Any:
    return _masked(scores, allowed) * np.random.default_rng().uniform(0.5, 1.5)


def _min_shift(scores: Any) -> Any:
    above = scores - scores.min(-1, keepdims=True)
    return above / above.sum(-1, keepdims=True)


def _softmax(scores: Any) -> Any:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def _softmax_in_place(scores: Any) -> Any:
    scores -= scores.max(-1, keepdims=True)
    return _softmax(scores)


def _softmax_eps(scores: Any) -> Any:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / (weights.sum(-1, keepdims=True) + 1e-6)


def _softmax_single_inside(q: Any, k: Any, v: Any) -> Any:
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    return (_softmax(q @ k.T) @ v).astype(np.float64)


def _at_temperature(change: Any) -> Any:
    def f(query: Any, keys: Any, values: Any, temperature: float) -> Any:
        if not temperature >= 0:
            raise ValueError("temperature must not be negative")
        scores, other = keys @ query, change(temperature)
        if other == 0:
            return values[scores == scores.max()].mean(0)
        return _softmax(scores / other) @ values

    return f


def _asserting(query: Any, keys: Any, values: Any, temperature: float) -> Any:
    assert temperature >= 0
    return _at_temperature(lambda t: t)(query, keys, values, temperature)


def _always_causal(x: Any, W_q: Any, W_k: Any, W_v: Any, allowed: Any = None) -> Any:
    past = torch.ones(x.shape[1], x.shape[1]).tril() > 0
    scores = x @ W_q @ (x @ W_k).mT / W_q.shape[1] ** 0.5
    return _masked(scores, past if allowed is None else past & allowed) @ (x @ W_v)


def _mean_of_heads(q: Any, k: Any, v: Any) -> Any:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).mean(1, keepdim=True)
    return (weights @ v).transpose(1, 2)


def _numpy_results(x: Any, W_q: Any, W_k: Any, W_v: Any) -> Any:
    return tuple((x @ each).detach().numpy() for each in (W_q, W_k, W_v))


def _stacked(x: Any, W_q: Any, W_k: Any, W_v: Any) -> Any:
    return torch.stack([x @ W_q, x @ W_k, x @ W_v])


def _values_of_keys(x: Any, W_q: Any, W_k: Any, W_v: Any) -> Any:
    return x @ W_q, x @ W_k, x @ W_k @ W_v


def _complex(q: Any, k: Any) -> Any:
    return torch.sqrt((q @ k.mT).to(torch.complex64))


def _halves(x: Any, positions: Any, base: float = 10_000.0) -> Any:
    """Pairs of halves, angles in float32, a parameter with another name."""
    w = base ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    angles = positions[:, None, :, None] * w
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)


def _no_axis_for_heads(x: Any, pos: Any, base: float = 10_000.0) -> Any:
    angles = pos[..., None] * base ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, two = x[..., 0::2], x[..., 1::2]
    return torch.stack([one * cos - two * sin, one * sin + two * cos], dim=-1).flatten(-2)


@pytest.mark.filterwarnings("error")
@pytest.mark.usefixtures("as_users_run")
@pytest.mark.parametrize(
    ("exercise_id", "f", "words"),
    [
        ("01.1", _softmax_in_place, "Your function changes its input `scores`"),
        ("02.3", _in_place, "Your function changes its input `scores`"),
        ("01.1", _softmax_eps, "digits only"),
        ("02.3", _eps, "a small number is added to the divisor"),
        ("01.5", _softmax_single_inside, "the numbers were float32"),
        ("02.3", _dropout, "Random numbers take part"),
        ("02.3", _own_generator, "Something is kept from one call to the next"),
        ("01.1", lambda scores: _softmax(scores).round(4), "rounded to 4 places"),
        ("01.1", lambda scores: _softmax(scores).tolist(), "they come as a list"),
        ("01.1", _min_shift, "each weight is the score less the smallest one"),
        ("01.3", _at_temperature(lambda t: t + 1e-9), "temperature + 1e-9"),
        ("01.3", _at_temperature(lambda t: max(t, 1) if t else 0), "max(temperature, 1)"),
        ("01.3", _asserting, "There it raises AssertionError, wanted is ValueError."),
        ("02.6", _always_causal, "Every query sees every key that no given mask forbids."),
        ("02.7", _mean_of_heads, "the weights are averaged over the axis in front"),
        ("02.1", _numpy_results, "they come as a NumPy array; wanted is a tensor"),
        ("02.1", _stacked, "One tensor comes back, where a tuple of 3 values is wanted."),
        ("02.1", _values_of_keys, "Which two are meant to meet?"),
        ("02.2", _complex, "The result holds complex numbers."),
        ("02.3", _logarithms, "the logarithm of the expected"),
        ("04.6", _halves, "entry i is paired with entry i + D_k/2"),
        ("04.6", _halves, "it does so to a few digits only: somewhere on the way"),
        (
            "02.5",
            lambda lengths, max_len: torch.arange(max_len) == lengths[:, None] - 1,
            "only the last one is there",
        ),
    ],
)
def test_named_in_words(exercise_id: str, f: Any, words: str) -> None:
    course = Course(Path(__file__).resolve().parents[2])
    one = course.exercise(exercise_id)
    report = assess(course.chapter(one.chapter), one, LocalCaller.of({one.function: f}))
    assert words in " ".join(each.text for each in report.named)


def test_a_crash_is_told_before_lost_digits() -> None:
    course = Course(Path(__file__).resolve().parents[2])
    one = course.exercise("04.6")
    caller = LocalCaller.of({one.function: _no_axis_for_heads})
    crash, digits = assess(course.chapter("04"), one, caller).named
    assert crash.text.startswith("Two shapes do not fit together: along axis 1")
    assert digits.text.startswith("It is right to about 7 digits only")


def test_no_opening_speaks_of_output_where_there_was_none() -> None:
    course = Course(Path(__file__).resolve().parents[2])
    one = course.exercise("01.2")
    caller = LocalCaller.of({one.function: lambda query, keys, values: query @ keys})
    for each in assess(course.chapter("01"), one, caller).named:
        assert "Your output equals" not in each.text
