"""Twelve layers learn to give back the words that they are given, joined in one way or another."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.measure.depth import C, Kind, Sublayers, T, norm
from minitx.positions import Sinusoidal, positions_from

WORDS = 16


class Echo(nn.Module):
    """Embedding, positions, twelve layers (attention and feed-forward network each), a word."""

    def __init__(self, kind: Kind, *, num_layers: int = 12, small_start: bool = False) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(WORDS, C), Sinusoidal(C)
        self.stack = Sublayers(kind, 2 * num_layers, small_start=small_start)
        self.output = nn.Linear(C, WORDS)

    def forward(self, token_ids: Tensor) -> Tensor:
        x = self.position.embed(self.embedding(token_ids), positions_from(0, token_ids.size(1)))
        logits: Tensor = self.output(norm(self.stack(x)))
        return logits


def losses(
    kind: Kind,
    *,
    num_steps: int = 100,
    num_layers: int = 12,
    small_start: bool = False,
    seed: int = 0,
) -> list[float]:
    """The loss of every step: mean cross-entropy per token, in nats. To guess is ln 16 = 2.77.

    Args:
        kind: how the sublayers are joined; above the last one stands a norm in any case.
        num_steps: updates by Adam, with 32 random sequences of 8 words each.
        num_layers: attention and feed-forward network count as one.
        small_start: see `depth.Sublayers`.
        seed: of weights and sequences.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Echo(kind, num_layers=num_layers, small_start=small_start)
        random = torch.Generator().manual_seed(seed)
    optimiser, measured = torch.optim.Adam(model.parameters(), lr=1e-3), []
    for _ in range(num_steps):
        token_ids = torch.randint(WORDS, (32, T), generator=random)
        loss = F.cross_entropy(model(token_ids).flatten(0, 1), token_ids.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        measured.append(loss.item())
    return measured
