"""A module's mistakes are named as a function's are: its calls, its changes, its smallest case."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from minitx import functional
from minitx.authoring.stubs import unwritten
from minitx.grading.calling import Call, Outcome
from minitx.grading.course import Course
from minitx.grading.judge.alike import alike, same_answer, same_gradients
from minitx.grading.judge.as_function import AsFunction, ModuleForm
from minitx.grading.judge.assess import assess
from minitx.grading.judge.banks import operator_bank, rebuilt
from minitx.grading.judge.handle import Handle
from minitx.grading.judge.notation import notation
from minitx.grading.judge.probes import replay
from minitx.grading.judge.relations.relate import relate
from minitx.grading.judge.relations.relation import Given
from minitx.grading.judge.worked import documentation, module_form, worked_answers
from minitx.grading.learner.answers import own_answer
from minitx.grading.learner.notebook import check
from minitx.grading.own import OwnCaller
from minitx.grading.report import ExerciseReport
from minitx.grading.worker.local import LocalCaller

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = Course(ROOT).chapter("03")
SELF = CHAPTER.exercises["03.4"]


class Scale(nn.Module):
    """x times a weight, with a part that may be refused."""

    def __init__(self, width: int, most: int = 9) -> None:
        super().__init__()
        if width > most:
            raise ValueError(f"{width} and {most}")
        self.w = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
        return x * self.w + shift


FORM = ModuleForm("Scale", ("width", "most"), ("x", "shift"))
X, W = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])


def asked() -> list[Call]:
    sub = Handle(OwnCaller({"Scale": Scale}), {"Scale": ("module",)}, 5.0, 0)
    module = sub.Scale(2)
    module(X)  # with weights that nobody knows
    module.load({"w": W})
    module(X, shift=1.0)
    module.vjp(X.clone().requires_grad_(), cotangent=torch.ones(2))
    sub.Scale(3)
    with pytest.raises(Exception, match="10 and 9"):
        sub.Scale(10)
    with pytest.raises(Exception, match="has no `v`"):
        sub.Scale(2, most=5).load({"v": W})
    return sub._calls


def test_calls_of_methods_become_calls_of_one_function() -> None:
    calls = FORM.calls(asked())
    told = [(sorted(c.kwargs), c.outcome.kind) for c in calls]
    assert told == [
        (["shift", "w", "width", "x"], "returned"),
        (["w", "width", "x"], "returned"),
        (["width"], "raised"),
        (["most", "v", "width"], "raised"),
        (["width"], "returned"),
    ]
    assert calls[1].kwargs["w"].requires_grad
    of_w, of_x = calls[1].outcome.gradients
    assert (of_w.tolist(), of_x.tolist()) == (X.tolist(), W.tolist())


def test_the_function_answers_as_the_module_did() -> None:
    twin = AsFunction(FORM, OwnCaller({"Scale": Scale}))
    for call in FORM.calls(asked()):
        again = twin.call("Scale", (), call.kwargs, seconds=1, seed=0, cotangent=call.cotangent)
        assert (again.kind, again.text) == (call.outcome.kind, call.outcome.text)
        assert alike(again.value, call.outcome.value)
        assert same_gradients(again.gradients, call.outcome.gradients)
    double = {"width": 1, "w": W[:1].double(), "x": X[:1].double()}
    value = twin.call("Scale", (), double, seconds=1, seed=0).value
    assert (value.dtype, value.tolist()) == (torch.float64, [3.0])


def test_the_form_and_the_letters_of_a_class() -> None:
    form = module_form(CHAPTER, SELF)
    assert form == ModuleForm("MultiHeadSelfAttention", ("d_model", "num_heads"), ("x", "allowed"))
    text, parameters = documentation(CHAPTER, SELF)
    assert parameters == ("d_model", "num_heads", "x", "allowed")
    read = notation(text)
    assert read.arguments["v_proj.weight"] == ("C", "C")
    assert (read.arguments["x"], read.results) == (("B", "T", "C"), (("B", "T", "C"),))


def test_changes_of_methods_and_of_what_they_call() -> None:
    bank = {each.id: each for each in operator_bank(CHAPTER, "03.4")}
    assert any(name.startswith("MultiHeadSelfAttention.__init__:") for name in bank)
    assert any(name.startswith("MultiHeadSelfAttention.forward:") for name in bank)
    assert "03.4/masked_softmax=added" in bank or any("masked_softmax=" in name for name in bank)
    assert not any("`self`" in each.sentence for each in bank.values())
    answer = worked_answers(CHAPTER, SELF)[0]
    uniform = rebuilt(answer, "masked_softmax", lambda scores, _: torch.full_like(scores, 0.5))
    module, right = uniform(2, 1), answer(2, 1)
    module.load_state_dict(right.state_dict())
    x = torch.randn(1, 2, 2)
    v = right.out_proj(right.v_proj(x).mean(1, keepdim=True).expand(1, 2, 2))
    torch.testing.assert_close(module(x), v)
    assert not torch.allclose(right(x), v)


class Heads(nn.Module):
    """Right unless a step is exchanged."""

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"{d_model} and {num_heads}")
        self.num_heads = num_heads
        self.q_proj, self.k_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.v_proj, self.out_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def cut(self, x: Any) -> Any:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def scores(self, q: Any, k: Any) -> Any:
        return functional.attention_scores(q, k)

    def rules(self, allowed: Any) -> Any:
        return None if allowed is None else allowed.unsqueeze(-3)

    def out(self, heads: Any) -> Any:
        return self.out_proj(heads)

    def forward(self, x: Any, allowed: Any = None) -> Any:
        q, k, v = (self.cut(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        weights = functional.masked_softmax(self.scores(q, k), self.rules(allowed))
        return self.out((weights @ v).transpose(1, 2).flatten(2))


def told(answer: Any) -> ExerciseReport:
    return assess(CHAPTER, SELF, LocalCaller.of({SELF.function: answer}))


def test_a_right_module_earns_everything() -> None:
    assert told(Heads).status == "passed"


def test_a_relation_names_the_weight() -> None:
    class Turned(Heads):
        def out(self, heads: Any) -> Any:
            return heads @ self.out_proj.weight + self.out_proj.bias

    (named,) = told(Turned).named
    assert named.sentence == "It equals the right result for `out_proj.weight` transposed."


def test_a_mistake_is_named_and_shown_by_a_call_that_can_be_pasted() -> None:
    class Wide(Heads):
        def scores(self, q: Any, k: Any) -> Any:
            return q @ k.mT / (q.shape[-1] * self.num_heads) ** 0.5

    report = told(Wide)
    assert [each.id for each in report.named] == ["03.4/scaled_by_the_model_width"]
    assert report.case is not None
    assert report.case.lines[-2:] == ("module.load_state_dict(weights)", "module(x)")
    namespace: dict[str, Any] = {"torch": torch, "MultiHeadSelfAttention": Wide}
    exec("\n".join(report.case.lines[:-1]), namespace)
    wrong = namespace["module"](namespace["x"])
    assert f"{wrong.detach().ravel()[0]:.3g}"[:4] in report.case.got


def test_where_something_is_kept_a_mistake_is_found_by_the_order_of_calls() -> None:
    shared = SELF.mistakes["projections_shared_by_all"]
    assert [each.id for each in told(shared.function).named] == [shared.id]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: delattr(m, "out_proj"), "The weight `out_proj.weight` is to be loaded"),
        (lambda m: setattr(m, "norm", nn.LayerNorm(2)), "has a weight `norm.weight` that the"),
        (lambda m: setattr(m, "v_proj", nn.Linear(2, 1)), "`v_proj.weight` has shape (1, 2)"),
        (lambda m: delattr(m, "num_heads"), "no `num_heads`: nothing of that name was put on self"),
    ],
)
def test_what_is_said_of_a_module_that_cannot_be_loaded(change: Any, words: str) -> None:
    class MultiHeadSelfAttention(Heads):
        def __init__(self, d_model: int, num_heads: int) -> None:
            super().__init__(d_model, num_heads)
            change(self)

    (named,) = told(MultiHeadSelfAttention).named
    assert words in named.sentence


def test_super_is_missing() -> None:
    class MultiHeadSelfAttention(nn.Module):
        def __init__(self, d_model: int, num_heads: int) -> None:
            self.q_proj = nn.Linear(d_model, d_model)

    (named,) = told(MultiHeadSelfAttention).named
    assert named.sentence.startswith("`super().__init__()` is missing")


def test_gradients_that_are_rounding_are_none() -> None:
    big, small = torch.ones(2), torch.full((2,), 1e-17)
    assert same_gradients((big, small), (big, -small))
    assert not same_gradients((small,), (-small,))
    assert not same_gradients((big, small), (big, big))
    assert not same_gradients((big, small * float("nan")), (big, small))


def test_results_under_names() -> None:
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(3)
    want = {"a": a, "b": b}
    assert alike(want, {"a": a.clone(), "b": b}) and not alike(want, {"a": a, "b": 2 * b})

    def first(got: dict[str, Any]) -> str:
        return relate(got, want, Given())[0].sentence

    assert first({"a": b, "b": b}) == "Under `a` stands what belongs under `b`."
    assert first({"a": a}) == "There is no `b` in what comes back."
    assert first({**want, "c": a}) == "`c` should not be in what comes back."
    assert first({"a": 2 * a, "b": b}).startswith("Under `a`: ")


def test_a_module_that_was_made_already_is_no_class() -> None:
    text = str(check("03.4", Heads(4, 2)))  # type: ignore[arg-type]
    assert 'Pass your class: check("03.4", MultiHeadSelfAttention), without brackets' in text


def test_classes_in_a_stub_and_in_a_learners_file(tmp_path: Path) -> None:
    assert "MultiHeadSelfAttention" in unwritten(
        "class MultiHeadSelfAttention:\n"
        "    def forward(self):\n        raise NotImplementedError('Exercise 3.4')"
    )
    path = tmp_path / "03_multi_head.py"
    path.write_text(
        'class MultiHeadSelfAttention:\n    """Doc."""\n\n    def forward(self, x):\n'
        '        """Doc too."""\n        return x\n'
    )
    found = own_answer(path, SELF)
    assert "Doc" not in found and "return x" in found


def test_an_outcome_without_a_module_is_passed_on() -> None:
    twin = AsFunction(FORM, OwnCaller({"Scale": lambda width: width}))
    outcome = twin.call("Scale", (), {"width": 2, "x": X}, seconds=1, seed=0)
    assert isinstance(outcome, Outcome) and outcome.value == 2


class Dropping(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(width, width), nn.Dropout(0.5)

    def forward(self, x: Any) -> Any:
        return self.dropout(self.linear(x))


def test_the_mode_is_part_of_the_question() -> None:
    form = ModuleForm("Dropping", ("width",), ("x",))
    asked = Handle(LocalCaller.of({"Dropping": Dropping}), {}, 60.0, 0)
    module = asked.Dropping(3)
    module.load({"linear.weight": torch.eye(3), "linear.bias": torch.zeros(3)})
    x = torch.ones(2, 5, 3)
    in_training, in_evaluation, again = (module.train(mode)(x) for mode in (True, False, True))
    assert torch.equal(in_evaluation, x)
    assert not torch.equal(in_training, x) and not torch.equal(again, x)
    calls = form.calls(asked._calls)
    assert [call.kwargs.get("training", True) for call in calls] == [True, False, True]
    other = AsFunction(form, OwnCaller({"Dropping": Dropping}))
    assert all(same_answer(call.outcome, replay(call, other)) for call in calls)
