"""Which parameters decay, and that the optimiser is AdamW."""

import re

import pytest
import torch
from torch import nn

from minitx.experts import SwitchFeedForward
from minitx.models import BERT, GPT, T5, BERTConfig, GPTConfig, T5Config
from minitx.positions import TransformerXL
from minitx.training import adamw, decay_groups


def names(model, group):
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    return [of[id(parameter)] for parameter in group["params"]]


def test_matrices_decay_and_vectors_do_not():
    model = nn.Sequential(nn.Embedding(5, 3), nn.LayerNorm(3), nn.Linear(3, 7))
    decaying, others = decay_groups(model, 0.01)
    assert names(model, decaying) == ["0.weight", "2.weight"]
    assert names(model, others) == ["1.weight", "1.bias", "2.bias"]
    assert decaying["weight_decay"] == 0.01 and others["weight_decay"] == 0.0


MODELS = {
    "experts": lambda: SwitchFeedForward(6, 5, num_experts=3),
    "Transformer-XL": lambda: TransformerXL(2, 3),
    "T5": lambda: T5(T5Config(vocab_size=11, d_model=6, d_head=5, num_heads=2, num_layers=1)),
    "GPT": lambda: GPT(GPTConfig(vocab_size=11, max_len=5, d_model=6, num_heads=2, num_layers=1)),
    "BERT": lambda: BERT(BERTConfig(vocab_size=11, max_len=5, d_model=6, num_heads=2,
                                    num_layers=1)),
    "torch": lambda: nn.Sequential(
        nn.MultiheadAttention(6, 2, add_bias_kv=True), nn.LayerNorm((3, 5)), nn.Conv1d(3, 5, 2),
        nn.BatchNorm2d(3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_what_a_parameter_is_decides_and_not_its_axes(name):
    """Said here once more, in other words: by how the parameters are called."""
    model = MODELS[name]()
    decaying, others = (set(names(model, group)) for group in decay_groups(model, 0.1))
    assert not decaying & others and decaying | others == {n for n, _ in model.named_parameters()}
    known = r"bias|norm|^[uv]$|attention\.position\.table"
    known += {"BERT": r"|^transform\.2", "torch": r"|^[13]\."}.get(name, "")  # norms without a name
    assert others == {n for n in decaying | others if re.search(known, n)}


def test_a_vector_with_many_axes_does_not_shrink():
    """One step without a gradient: AdamW's decay alone moves what it moves."""
    model = nn.ModuleList([SwitchFeedForward(6, 5, num_experts=3), TransformerXL(2, 3)])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    optimiser = adamw(model, weight_decay=0.5)
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    optimiser.step()
    shrunk = {name for name, p in model.named_parameters() if (p < 1).all()}
    assert shrunk == {"0.router.weight", "0.in_weight", "0.out_weight", "1.r_proj.weight"}
    assert all((p == 1).all() for name, p in model.named_parameters() if name not in shrunk)


def test_a_tied_table_stands_in_one_group_once():
    model = GPT(GPTConfig(vocab_size=11, max_len=5, d_model=6, num_heads=2, num_layers=1))
    assert model.output.weight is model.embedding.weight
    parameters = [p for group in decay_groups(model, 0.1) for p in group["params"]]
    assert len(parameters) == len({id(p) for p in parameters})
    assert {id(p) for p in parameters} == {id(p) for p in model.parameters()}
    adamw(model)  # torch warns, or refuses, if a parameter comes twice


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 7))
    model[0].requires_grad_(False)
    decaying, others = decay_groups(model, 0.1)
    assert names(model, decaying) == ["1.weight"] and names(model, others) == ["1.bias"]


def test_only_matrices_or_only_vectors():
    for model in (nn.Linear(3, 5, bias=False), nn.LayerNorm(3)):
        optimiser = adamw(model, weight_decay=0.1)
        model(torch.ones(2, 3)).sum().backward()
        optimiser.step()


def test_one_step_in_closed_form():
    """The first step of Adam moves every weight by the rate; decay first takes its share."""
    model = nn.Linear(3, 5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = adamw(model, weight_decay=0.1)
    for group in optimiser.param_groups:
        group["lr"] = 0.01
    model(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    # All gradients are 2; the update is lr · m̂/(√v̂ + ε) = lr, to float32's precision.
    close = {"rtol": 0, "atol": 1e-7}
    torch.testing.assert_close(model.weight, before["weight"] * (1 - 0.01 * 0.1) - 0.01, **close)
    torch.testing.assert_close(model.bias, before["bias"] - 0.01, **close)
    assert optimiser.defaults["betas"] == (0.9, 0.98) and optimiser.defaults["eps"] == 1e-9


def test_the_rate_is_zero_until_it_is_set():
    model = nn.Linear(3, 5)
    before = model.weight.detach().clone()
    optimiser = adamw(model, weight_decay=0.1)
    model(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize(
    ("weight_decay", "trained", "text"),
    [
        (-0.1, True, "weight_decay must be at least 0, got -0.1"),
        (0.1, False, "the model has no parameter that requires a gradient"),
    ],
)
def test_refusals(weight_decay, trained, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        decay_groups(nn.Linear(2, 3).requires_grad_(trained), weight_decay)
