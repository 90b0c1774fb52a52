"""The gradient that arrives at a distance: networks of others, and decays known in closed form."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from minitx.measure import gradients

B, T, C = 3, 11, 5


def drawn(*shapes: tuple[int, int]) -> list[Tensor]:
    """The parameters that a network draws from a generator with seed 7."""
    generator = torch.Generator().manual_seed(7)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64) / math.sqrt(C)
        for shape in shapes
    ]


def run(network: gradients.Network, x: Tensor) -> Tensor:
    return network(x, torch.Generator().manual_seed(7))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(B, T, C, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_rnn_is_torchs(x: Tensor, gain: float) -> None:
    W, U = drawn((C, C), (C, C))
    theirs = nn.RNN(C, C, bias=False, batch_first=True).double()
    theirs.load_state_dict({"weight_ih_l0": W.T, "weight_hh_l0": gain * U.T})
    torch.testing.assert_close(run(gradients.rnn(gain=gain), x), theirs(x)[0][:, -1])


@pytest.mark.parametrize("bias", [0.0, 4.0])
def test_lstm_is_torchs(x: Tensor, bias: float) -> None:
    W, U = drawn((C, 4 * C), (C, 4 * C))
    theirs = nn.LSTM(C, C, batch_first=True).double()
    biases = torch.zeros(4 * C, dtype=torch.float64)
    biases[C : 2 * C] = bias  # torch's order is i, f, g, o as well
    theirs.load_state_dict(
        {
            "weight_ih_l0": W.T,
            "weight_hh_l0": U.T,
            "bias_ih_l0": biases,
            "bias_hh_l0": torch.zeros_like(biases),
        }
    )
    torch.testing.assert_close(run(gradients.lstm(forget_bias=bias), x), theirs(x)[0][:, -1])


def test_attention_is_torchs(x: Tensor) -> None:
    W_q, W_k, W_v = drawn((C, C), (C, C), (C, C))
    theirs = nn.functional.scaled_dot_product_attention(x @ W_q, x @ W_k, x @ W_v)
    torch.testing.assert_close(run(gradients.attention(), x), theirs[:, -1])


def test_a_running_mean_fades_as_its_formula_says() -> None:
    """h = (1 - a) h + a x: the gradient at distance k is a (1 - a)^k, in every direction."""

    def running_mean(x: Tensor, generator: torch.Generator) -> Tensor:
        h = torch.zeros_like(x[:, 0])
        for t in range(x.shape[1]):
            h = 0.7 * h + 0.3 * x[:, t]
        return h

    norms = gradients.by_distance(running_mean, T=T, C=C, batch=B)
    np.testing.assert_allclose(norms, 0.3 * 0.7 ** np.arange(T), rtol=1e-12)


def test_the_mean_over_the_batch_is_geometric() -> None:
    def one_hears_a_hundred_times_more(x: Tensor, generator: torch.Generator) -> Tensor:
        return x[:, 0] * torch.tensor([[1.0], [100.0]])

    norms = gradients.by_distance(one_hears_a_hundred_times_more, T=1, C=C, batch=2)
    np.testing.assert_allclose(norms, [10.0], rtol=1e-12)


def test_distance_counts_from_the_last_position() -> None:
    def the_first(x: Tensor, generator: torch.Generator) -> Tensor:
        return x[:, 0]

    norms = gradients.by_distance(the_first, T=T, C=C, batch=B)
    assert (norms > 0).tolist() == [False] * (T - 1) + [True]


def test_chapter_1_says_what_is_so() -> None:
    """Over 100 steps of networks of width 32, to orders of magnitude."""
    for network, orders in ((gradients.rnn(), 22), (gradients.lstm(), 19)):
        norms = gradients.by_distance(network)
        assert abs(math.log10(norms[1] / norms[100]) - orders) < 0.5
    assert gradients.by_distance(gradients.rnn(gain=4.0))[100] > 1e11
    assert (gradients.by_distance(gradients.lstm(forget_bias=4.0))[1:] > 0.04).all()
    flat = gradients.by_distance(gradients.attention())[1:] * 101
    assert flat.min() > 0.5 and flat.max() < 1.5
