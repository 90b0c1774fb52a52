"""Normalisation and feed-forward layers against torch's kernels, the formulas and Hugging Face."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from transformers.models.t5.modeling_t5 import T5LayerNorm

from minitx import numpy_core
from minitx.layers import FeedForward, LayerNorm, RMSNorm

from . import oracles
from .oracles import EXACT

T, C, F_ = 5, 7, 11


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_layer_norm_in_numpy_is_torchs(eps):
    x = 0.05 * np.random.default_rng(0).normal(size=(T, C))
    weight, bias = np.random.default_rng(1).normal(size=(2, C))
    want = F.layer_norm(
        *map(torch.from_numpy, (x,)), (C,), *map(torch.from_numpy, (weight, bias)), eps
    )
    got = numpy_core.layer_norm(x, weight, bias, eps=eps)
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_layer_norm_is_its_definition(eps, bias):
    layer = oracles.randomise(LayerNorm(C, eps=eps, bias=bias))
    x = 0.05 * torch.randn(2, T, C, dtype=torch.float64)
    shift = np.zeros(C) if layer.bias is None else layer.bias.detach().numpy()
    for b in range(2):
        want = numpy_core.layer_norm(x[b].numpy(), layer.weight.detach().numpy(), shift, eps=eps)
        np.testing.assert_allclose(layer(x)[b].detach().numpy(), want, rtol=1e-10, atol=1e-12)


def test_layer_norm_of_a_constant_token_and_of_a_far_one():
    layer = oracles.randomise(LayerNorm(C))
    torch.testing.assert_close(layer(torch.full((1, C), 3.0).double())[0], layer.bias, **EXACT)
    x = torch.randn(T, C)
    low = layer.float()
    # x + 10⁴ keeps three digits of x in float32; E[x²] - E[x]² would keep none.
    assert (low(x + 1e4) - low(x)).abs().max() < 0.02


@pytest.mark.parametrize("eps", [1e-6, 0.1])
def test_rms_norm_is_the_formula_and_hugging_faces(eps):
    layer = oracles.randomise(RMSNorm(C, eps=eps))
    x = 0.3 * torch.randn(2, T, C, dtype=torch.float64)
    for b in range(2):
        for t in range(T):
            root = math.sqrt(sum(float(f) ** 2 for f in x[b, t]) / C + eps)
            torch.testing.assert_close(layer(x)[b, t], layer.weight * x[b, t] / root, **EXACT)
    theirs = T5LayerNorm(C, eps=eps)
    theirs.load_state_dict(layer.state_dict())
    # Hugging Face takes the mean square in float32.
    torch.testing.assert_close(layer.float()(x.float()), theirs(x.float()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_norms_in_half_precision(make, dtype):
    layer = oracles.randomise(make(C))
    x = 300 * torch.randn(T, C, dtype=torch.float64)  # squares beyond float16's largest number
    want = layer(x)
    got = layer.to(dtype)(x.to(dtype))
    assert got.dtype == dtype
    # Roundings of input, weight and result, of half an epsilon each, on numbers up to two.
    assert (got - want).abs().max() < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
def test_gradients_of_norms(make):
    layer = oracles.randomise(make(C))
    x = torch.randn(T, C, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize(
    "make", [lambda: LayerNorm(C), lambda: RMSNorm(C), lambda: FeedForward(C, F_)]
)
def test_every_token_by_itself(make):
    layer = oracles.randomise(make())
    x = torch.randn(2, T, C, dtype=torch.float64)
    before = layer(x)
    x[:, 3, 0] += 1.0
    changed = (layer(x) - before).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [t == 3 for t in range(T)]


KINDS = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_feed_forward_is_the_formula(kind, gated, bias):
    layer = oracles.randomise(FeedForward(C, F_, activation=KINDS[kind], gated=gated, bias=bias))
    own = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    assert len(own) == (3 if gated else 2) * (2 if bias else 1)
    formulas = {
        "relu": lambda z: np.maximum(z, 0),
        "gelu": lambda z: z * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2,
        "silu": lambda z: z / (1 + np.exp(-z)),
    }
    x = np.random.default_rng(0).normal(size=(T, C))

    def linear(name, z):
        return z @ own[f"{name}.weight"].T + own.get(f"{name}.bias", 0.0)

    hidden = formulas[kind](linear("in_proj", x))
    if gated:
        hidden = hidden * linear("gate_proj", x)
    got = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, linear("out_proj", hidden), rtol=1e-10, atol=1e-12)


def test_dropout_of_the_feed_forward_network_is_inside_it():
    layer = oracles.randomise(FeedForward(C, F_, dropout=1.0))
    x = torch.randn(T, C, dtype=torch.float64)
    assert not torch.equal(layer(x), layer.out_proj.bias.expand(T, C))
    torch.testing.assert_close(layer.train()(x), layer.out_proj.bias.expand(T, C), **EXACT)
