"""How fast attention learns a lookup, by the factor on its scores."""

import numpy as np
import torch
from torch.nn import functional as F

from minitx.functional import attention_scores

SYMBOLS, T, C, D_V, NOISE = 32, 16, 64, 4, 0.5


def losses(
    scale: float,
    *,
    D_k: int = 256,
    num_steps: int = 300,
    rate: float = 1e-3,
    batch_size: int = 64,
    runs: int = 3,
) -> list[float]:
    """The loss of every step while two projections learn which key answers a query.

        output = softmax(scale · (x W_Q)(X W_K)ᵀ) V,    loss = mean (output - wanted value)²

    Each sequence holds 16 of 32 symbols as noisy vectors, each with a random value; a query shows
    one symbol and asks for the value of the one before it in the alphabet. W_Q and W_K start so
    that queries and keys have components of variance 1. Values have variance 1, too: a plain
    average of all of them has loss 15/16, one of them chosen by chance has 2 · 15/16.

    Args:
        scale: the factor on the dot products.
        D_k: width of queries and keys.
        num_steps: updates by Adam.
        rate: its learning rate.
        batch_size: sequences in each.
        runs: of which the mean is taken, each with matrices and sequences of its own. Where the
            softmax is saturated, one run differs much from the next, and from one processor to
            another.
    """
    every = [_run(seed, scale, D_k, num_steps, rate, batch_size) for seed in range(runs)]
    mean: list[float] = np.mean(every, axis=0).tolist()
    return mean


def _run(
    seed: int, scale: float, D_k: int, num_steps: int, rate: float, batch_size: int
) -> list[float]:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    symbols = normal(SYMBOLS, C)
    W_q, W_k = ((normal(C, D_k) / C**0.5).requires_grad_() for _ in "qk")
    optimiser = torch.optim.Adam([W_q, W_k], lr=rate)
    every, seen = torch.arange(batch_size), []
    for _ in range(num_steps):
        drawn = torch.stack([torch.randperm(SYMBOLS, generator=random) for _ in every])[:, :T]
        x = symbols[drawn] + NOISE * normal(batch_size, T, C)
        values = normal(batch_size, T, D_V)
        place = torch.randint(T, (batch_size,), generator=random)
        asked = symbols[(drawn[every, place] + 1) % SYMBOLS]
        scores = attention_scores((asked @ W_q).unsqueeze(1), x @ W_k, scale=scale)
        output = (scores.softmax(dim=-1) @ values).squeeze(1)
        loss = F.mse_loss(output, values[every, place])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    return seen
