"""The translator made of answers: every part is used, and the whole is the library's model."""

from dataclasses import replace

import pytest
import torch

from minitx.data.batching import translation_batch
from minitx.projects import own_translator, translation
from minitx.projects.own_translator import PARTS, PartMissing, PartWrong
from tests.answers_2_to_6 import ANSWERS

SETTINGS = replace(own_translator.SETTINGS, d_model=12, num_steps=3)
BATCH = translation_batch([([4, 5, 6], [7, 8]), ([9], [4, 5, 6, 7])])


def answers(**changed):
    namespaces = {}
    for chapter, text in ANSWERS.items():
        namespaces[chapter] = {"__name__": "answers"}
        exec(text + changed.get(f"in_{chapter}", ""), namespaces[chapter])
    return namespaces


def assembled(given):
    return own_translator.assembled(given, SETTINGS, src_vocab_size=11, tgt_vocab_size=13)


def loss(own):
    return own_translator.loss_sum(own, own.model, BATCH, smoothing=0.1)


def test_every_part_is_called():
    own = assembled(answers())
    assert own.idle == [part for part in PARTS if (part.exercise[:2] in ("02", "05", "04")
                        and part.name != "FeedForward") or part.name == "shift_right"]  # fmt: skip
    _, tokens = loss(own)
    assert own.idle == []
    assert int(tokens) == 3 + 5
    norms = 2 * 2 + 3 * 2  # two layers of either kind
    assert own.calls["05.1"] == norms
    assert own.calls["03.4"] == own.calls["03.5"] == 2 + 2 * 2  # made once for each attention


def test_with_the_same_weights_it_is_the_librarys_model():
    own = assembled(answers())
    model = translation.model_of(SETTINGS, src_vocab_size=11, tgt_vocab_size=13).eval()
    model.load_state_dict(own_translator.librarys_names(own.model.state_dict()))
    own_translator.require_the_same(own.model, model, BATCH)
    with torch.no_grad():
        model.src_embedding.weight += 1
    with pytest.raises(PartWrong, match=r"your model and the library's differ by .* in a logit"):
        own_translator.require_the_same(own.model, model, BATCH)


def test_the_gradient_reaches_all_weights():
    own = assembled(answers())
    loss(own)[0].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.model.parameters())


def test_a_wrong_part_is_noticed():
    """Norms behind each other instead of beside: the library says something else."""
    wrong = "\ndef layer_norm(x, weight, bias, eps=1e-5):\n    return weight * x + bias\n"
    with pytest.raises(PartWrong, match="let `minitx check` look at your parts"):
        own_translator.trained(answers(in_05=wrong), SETTINGS)


def test_missing_names_are_told_together():
    given = answers()
    del given["03"], given["06"]["shift_right"]
    with pytest.raises(PartMissing) as told:
        assembled(given)
    assert str(told.value).splitlines() == [
        "3 parts are not there yet:",
        "  Exercise 3.4, MultiHeadSelfAttention: it is the attention within a sentence.",
        "  Exercise 3.5, MultiHeadCrossAttention: it reads the memory.",
        "  Exercise 6.2, shift_right: it makes inputs and targets.",
    ]
    assert own_translator.missing([PARTS[0]]).startswith("One part is not there yet:\n")


def test_a_part_may_do_itself_what_another_does():
    by_itself = """
def alone(self, q, k, v, allowed):
    import torch
    heads = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    return self.out_proj(heads.transpose(1, 2).flatten(2))

MultiHeadSelfAttention.mixed = alone
"""
    _, own = own_translator.trained(answers(in_03=by_itself), SETTINGS)
    assert [part.name for part in own.idle] == ["attention_scores", "masked_softmax"]


@pytest.mark.slow
def test_it_learns_and_translates():
    settings = replace(SETTINGS, d_model=32, num_steps=60)
    translator, own = own_translator.trained(answers(), settings)
    assert isinstance(translator.translate(["ninety-two"])[0], str)
    assert own.calls["06.3"] == 2
    assert own.calls["05.5"] == own.calls["06.2"] == settings.num_steps
