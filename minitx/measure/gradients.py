"""How large the gradient is that arrives at an earlier position, in networks before training."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# x of shape (B, T, C) and a generator for its parameters; returns the last output, (B, C).
Network = Callable[[Tensor, torch.Generator], Tensor]


def by_distance(
    network: Network, *, T: int = 101, C: int = 32, batch: int = 32, seed: int = 0
) -> np.ndarray:
    """The norm of the gradient of the last output with respect to each input.

        norm[k] = ‖ ∂(u · output) / ∂x[T - 1 - k] ‖

    with u a random direction of length 1, as the geometric mean over a batch of random inputs.

    Args:
        network: reads (batch, T, C), returns (batch, C).
        T: how many positions it reads.
        C: their width.
        batch: sequences the mean is taken over, each with inputs and a direction of its own.
        seed: of inputs, parameters and directions.

    Returns:
        (T,): index k is the distance to the last position.

    >>> def fading(x, generator):
    ...     return sum(0.5**k * x[:, -1 - k] for k in range(4))
    >>> by_distance(fading, T=4, C=3)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = normal(batch, T, C).requires_grad_()
    output = network(x, generator)
    u = normal(batch, C)
    u = u / u.norm(dim=-1, keepdim=True)
    (gradient,) = torch.autograd.grad((u * output).sum(), x)
    geometric_mean = gradient.norm(dim=-1).log().mean(dim=0).exp()
    norms: np.ndarray = geometric_mean.flip(0).numpy()
    return norms


def rnn(*, gain: float = 1.0) -> Network:
    """h = tanh(x W + h U) over all positions, U `gain` times as large as usual."""

    def run(x: Tensor, generator: torch.Generator) -> Tensor:
        C = x.shape[-1]
        W, U = _matrix(x, C, generator), gain * _matrix(x, C, generator)
        h = x.new_zeros(len(x), C)
        for t in range(x.shape[1]):
            h = torch.tanh(x[:, t] @ W + h @ U)
        return h

    return run


def lstm(*, forget_bias: float = 0.0) -> Network:
    """A long short-term memory over all positions; its biases are 0 but the forget gate's."""

    def run(x: Tensor, generator: torch.Generator) -> Tensor:
        C = x.shape[-1]
        W, U = _matrix(x, 4 * C, generator), _matrix(x, 4 * C, generator)
        h = c = x.new_zeros(len(x), C)
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ W + h @ U).chunk(4, dim=-1)
            c = torch.sigmoid(f + forget_bias) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h

    return run


def attention() -> Network:
    """The last position attends to all, by scaled dot products of projections."""

    def run(x: Tensor, generator: torch.Generator) -> Tensor:
        C = x.shape[-1]
        W_q, W_k, W_v = (_matrix(x, C, generator) for _ in range(3))
        q, k, v = x[:, -1:] @ W_q, x @ W_k, x @ W_v
        weights = torch.softmax(q @ k.mT / math.sqrt(C), dim=-1)  # (B, 1, T)
        return (weights @ v)[:, 0]

    return run


def _matrix(x: Tensor, columns: int, generator: torch.Generator) -> Tensor:
    """For x to be multiplied with from the right, of the size that keeps its variance."""
    rows = x.shape[-1]
    return torch.randn(rows, columns, generator=generator, dtype=x.dtype) / math.sqrt(rows)
