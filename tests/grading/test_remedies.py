"""An exception's text becomes what to do, in the exercise's letters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from minitx.grading.calling import Outcome
from minitx.grading.invoke import invoke
from minitx.grading.judge.remedies import Scene, remedy

Q, K = np.ones((3, 8)), np.ones((5, 8))
TQ, TK = torch.ones(3, 8), torch.ones(5, 8)
SIZES = {"T_q": 3, "T_k": 5, "D_k": 8}


def told(function: Callable[..., Any], *args: Any, **arguments: Any) -> str:
    outcome = invoke("f", function, args, {}, seed=0)
    made = remedy(Scene(outcome, SIZES, arguments))
    return f"{made.sentence} {made.advice}" if made else ""


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: np_.exp(1), "No line before gives `np_` a value."),  # type: ignore[name-defined]
        (lambda: F.relu(1), "`F` is not imported. Add `from torch.nn"),  # type: ignore[name-defined]
        (lambda: TQ @ torch.ones(1, 1, 8), "one operand has 8 (D_k) and the other 1 where the"),
        (lambda: torch.ones(5, 3, 8) @ torch.ones(5, 3, 2), "has 8 (D_k) and the other 3 (T_q)"),
        (lambda: torch.mv(TQ, torch.ones(5)), "has 8 (D_k) and the other 5 (T_k)"),
        (lambda: torch.dot(torch.ones(3), torch.ones(5)), "has 3 (T_q) and the other 5 (T_k)"),
        (lambda: [Q, Q].max(), "take one of them, or make one array of them (np.array(…), torch"),  # type: ignore[attr-defined]
        (lambda: Q.masked_fill(Q > 0, 1), "NumPy has no `masked_fill`, torch has. Here it is np."),
        (lambda: TQ.astype(int), "torch has no `astype`, NumPy has. Here it is .to(dtype)."),
        (lambda: Q.sum(keepdim=True), "`keepdim=` is the other library's word. Here it is `keepd"),
        (lambda: Q @ K, "the inner sizes are 8 (D_k) and 5 (T_k)"),
        (lambda: TQ @ TK, "(3, 8) = (T_q, D_k) @ (5, 8) = (T_k, D_k)"),
        (lambda: TQ @ TK, "Turn the second operand: its last axis is the one to sum over."),
        (lambda: torch.ones(5, 8) @ torch.ones(3, 5), "The other way round they would fit"),
        (lambda: torch.ones(1, 8) @ torch.ones(3, 1), "Which two are meant to meet?"),
        (lambda: torch.stack([TQ, TK]), "Arrays of different shapes cannot be stacked into one."),
        (lambda: np.stack([Q, K]), "Arrays of different shapes cannot be stacked into one."),
        (lambda: np.array([[1], [1, 2]]), "Arrays of different shapes cannot be stacked"),
        (lambda: Q + Q[:, 0], "(3, 8) = (T_q, D_k) and (3,) = (T_q,) do not fit together."),
        (lambda: TQ + TK, "along axis 0 one has 3 (T_q), the other 5 (T_k)"),
        (lambda: TQ.softmax(2), "There is no axis 2"),
        (lambda: Q[5], "Index 5 is out of bounds: that axis has 3 (T_q) entries, 0 to 2."),
        (lambda: Q[0, 0, 0], "more indices than axes"),
        (lambda: TQ[TK > 0], "A boolean index must have the shape"),
        (lambda: TQ.T.view(24), "`view` cannot read axes that were moved."),
        (lambda: TQ.reshape(5, 5), "another number of entries"),
        (lambda: TQ @ TQ.double().T, "Two dtypes meet: float and double."),
        (lambda: 1 - (TQ > 0), "Arithmetic with a boolean tensor"),
        (lambda: ~TQ, "A mask must be boolean here."),
        (lambda: bool(Q > 0), "An array with many entries stands where one truth value"),
        (lambda: TQ.requires_grad_().numpy(), "turned into a NumPy array"),
        (lambda: TQ.half().masked_fill(TQ > 0, -1e9), "float16 ends at 65504"),
        (lambda: float(Q), "Several numbers stand where one is needed."),
        (lambda: Q[: 8 / 2], "A fraction stands where a whole number is needed."),
        (lambda: TQ.view(3, 2, 8 / 2), "A fraction stands where a whole number is needed."),
        (lambda: TQ.chunk(8 / 2), "A fraction stands where a whole number is needed."),
        (lambda: np.ones(2, int).__iadd__(0.5), "Fractions are written into an array of whole"),
        (lambda: Q(1), "A numpy.ndarray is called as if it were a function."),
        (lambda: 1 / 0, "A plain number is divided by 0."),
        (lambda: torch.einsum("ij,jk->ik", TQ, TK), "The letters of einsum do not fit"),
        (lambda: TQ.sum("x", 1.5), "`sum` is given arguments of kinds"),
    ],
)  # fmt: skip
def test_told(function: Callable[..., Any], words: str) -> None:
    assert words in told(function)


def test_stacks_of_different_lengths_have_no_remedy() -> None:
    assert told(lambda: torch.bmm(torch.ones(2, 5, 3), torch.ones(4, 3, 8))) == ""


def test_a_name_that_got_lost_is_not_to_be_imported() -> None:
    """Its definition is in the file, and broken: another one would hide that."""

    outcome = invoke("f", lambda: softmax(1), (), {}, seed=0)  # type: ignore[name-defined]
    explained = replace(outcome, text=outcome.text + " (softmax cannot be read: line 7.)")
    made = remedy(Scene(explained, SIZES, {}))
    assert made is not None
    assert made.sentence == "`softmax` got no value: softmax cannot be read: line 7."
    assert made.advice == "Mend that first."


def test_none_is_named() -> None:
    text, line = "'NoneType' object is not subscriptable", "line 3 (`n = lengths[:, None]`)"
    asked = raised("TypeError", text, line, lengths=None)
    assert asked.startswith("`lengths` is None in this call, which the exercise allows.")
    for where, arguments in ((line, {"lengths": TQ}), ("line 3 (`y = x.sort()[0]`)", {})):
        assert raised("TypeError", text, where, **arguments).startswith("Something is None")
    other = raised("TypeError", text, "line 3 (`n = real[0]`)", lengths=None)
    assert other.startswith("Something is None")
    assert other.endswith("And `lengths` is None in this call: was it made of that?")


def test_an_entry_that_is_not_there_is_named() -> None:
    text, line = "'NoneType' object has no attribute 'chunk'", "line 3 (`s.get('bias').chunk(3)`)"
    assert raised("AttributeError", text, line, s={}).startswith("`s.get('bias')` is None: `s` has")
    assert raised("AttributeError", text, line, s={"bias": 1}).startswith("Something is None")


def test_pieces_are_told_by_number_or_by_width() -> None:
    text = "not enough values to unpack (expected 3, got 1)"
    split = raised("ValueError", text, "line 3 (`q, k, v = y.split(3, dim=-1)`)")
    assert "chunk takes the *number* of pieces" in split
    unbind = raised("ValueError", text, "line 3 (`q, k, v = y.unbind(2)`)")
    assert "as many pieces as its axis is long" in unbind
    own = raised("ValueError", text, "line 3 (`q, k, v = self.split(y)`)")
    assert own.startswith("Another number of values")


def test_a_tensor_where_a_module_is_wanted() -> None:
    text = "M has no `q_proj.weight`; its weights: q_proj, k_proj"
    assert raised("ValueError", text).startswith("`q_proj` is a tensor itself")


def test_no_gpu() -> None:
    text = "Torch not compiled with CUDA enabled"
    assert raised("AssertionError", text).startswith("A tensor is moved to a GPU")


def test_none_is_no_matter_of_a_name() -> None:
    text = "name 'mask' is not defined"
    assert "None" not in raised("NameError", text, "line 3 (`f(mask, lengths)`)", lengths=None)


def test_what_stands_where_a_mask_is_wanted() -> None:
    text = "mask must be a Mask, such as minitx.masks.padding(…) or NO_MASK, got "
    assert "Leave `mask` out" in raised("TypeError", text + "NoneType")
    table = raised("TypeError", text + "Tensor")
    assert table.startswith("A Tensor is given as the mask, where a Mask is wanted.")


def test_an_axis_that_an_index_took_away() -> None:
    text = "q must have shape (B, H, T_q, D_k), got (1, {}2, 3)"
    lost = raised("ValueError", text.format(""))
    assert lost.startswith("q has lost axes: (1, 2, 3) where (B, H, T_q, D_k) is wanted.")
    assert raised("ValueError", text.format("5, ")) == ""


def test_the_padding_of_another_sequence() -> None:
    text = "key_padding must have shape (B=2, T_k=4), got (2, {})"
    other = raised("ValueError", text.format("5"))
    assert other.startswith("key_padding has 5 columns, and there are 4 keys. Is it that of")
    assert "lost" not in other
    assert raised("ValueError", text.format("4")) == ""


def test_weights_that_are_computed_or_shared_are_told_of() -> None:
    tables = {"src_embedding.weight": 0, "tgt_embedding.weight": 0}
    text = "M has `{}`, for which there is no weight; its weights: a, b, c and 3 more"
    for name in ("output.weight", "lm_head.weight", "out_proj.weight"):
        told = raised("ValueError", text.format(name), **tables)
        assert told.endswith("`y @ self.tgt_embedding.weight.T`."), told
    assert "not learned" in raised("ValueError", text.format("position.weight"), **tables)
    assert "Leave it out" in raised("ValueError", text.format("dropout.weight"), **tables)
    assert "Leave it out" in raised("ValueError", text.format("output.weight"))


def test_a_misspelt_argument() -> None:
    assert "Did you mean the argument `keys`?" in told(lambda: kys, keys=K)  # type: ignore[name-defined]


def raised(kind: str, text: str, where: str = "", **arguments: Any) -> str:
    """What is told of an exception of this kind and text."""
    made = remedy(
        Scene(Outcome("raised", error_kinds=(kind,), text=text, where=where), {}, arguments)
    )
    return f"{made.sentence} {made.advice}" if made else ""


def test_a_name_that_the_dictionary_given_lacks() -> None:
    asked = raised("KeyError", "'b'", 'line 3 (`return state["b"]`)', state={"a": TQ})
    assert asked.startswith("`state` has no `b` in this call, which the exercise allows; it has a.")
    assert 'Ask `if "b" in state`' in asked
    own = raised("KeyError", "'b'", 'line 3 (`return made["b"]`)', state={"a": TQ})
    assert own.startswith("A dictionary is asked for `b`, which is not in it.")


def test_a_projection_without_bias() -> None:
    text = "M has no `q_proj.bias`; its weights: q_proj.weight, out_proj.weight"
    assert raised("ValueError", text).startswith("`q_proj` has a weight and no bias")
    text = "M has no `q_proj.bias`; its weights: W_q.weight, W_q.bias"
    assert "has none of that name; it has W_q.weight" in raised("ValueError", text)
    text = "M has no `q_proj.bias`; its weights: a, q_proj.weight and 30 more"
    assert raised("ValueError", text).startswith("`q_proj` has a weight and no bias")


def test_ones_own_raise() -> None:
    outcome = Outcome("raised", error_kinds=("ValueError",), where="line 3 (`raise ValueError`)")
    made = remedy(Scene(outcome, {}, {}))
    assert made is not None
    assert made.sentence == "Your own line refuses a call that the exercise allows."


def test_a_stranger_is_not_explained() -> None:
    assert told(lambda: [].pop()) == ""
