"""Whether a token can tell at which place it stands, in a model without positions."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.layers import FeedForward, LayerNorm
from minitx.masks import NO_MASK, Mask, causal
from minitx.measure.table import Table
from minitx.models.parts import Parts
from minitx.multihead import MultiHeadAttention
from minitx.positions import NoPosition

T, WORDS, C, HEADS = 16, 16, 32, 2
CHANCE = 2 / T
"""Share of right answers without order: the start token knows itself, the others guess."""


def right(mask: Mask, *, seed: int, num_steps: int = 400, batch_size: int = 32) -> float:
    """The share of tokens that name their own place, after training one block to do so.

    Each text is a start token and 15 random ones of 16, so that no word gives its place away. The
    block has two heads and no positions of any kind.

    Args:
        mask: who may attend to whom.
        seed: of the weights and the texts.
        num_steps: updates by Adam, at a rate that falls to 0.
        batch_size: texts in each.

    Returns:
        Measured on 500 new texts, the start token included.
    """
    torch.manual_seed(seed)
    model, random = _Reader(), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=max(1, num_steps))
    for _ in range(num_steps):
        logits = model(_texts(batch_size, random), mask)
        loss = F.cross_entropy(logits.flatten(0, 1), torch.arange(T).repeat(batch_size))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
    with torch.inference_mode():
        named = model(_texts(500, random), mask).argmax(dim=-1)
    return float((named == torch.arange(T)).double().mean())


def table(seeds: Sequence[int] = (0, 1, 2)) -> Table:
    """The share that is right without a mask and with a causal one, worst and best seed."""
    rows: list[list[float | str]] = []
    for name, mask in (("none", NO_MASK), ("causal", causal())):
        shares = [right(mask, seed=seed) for seed in seeds]
        rows.append([name, min(shares), max(shares), CHANCE])
    return Table(
        ["mask", "right, worst seed", "best seed", "by chance"], rows, ["", ".0%", ".0%", ".0%"]
    )


class _Reader(nn.Module):
    """One block without positions, and the place that each token names."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.output = nn.Embedding(WORDS + 1, C), nn.Linear(C, T)
        parts = Parts(
            attention=partial(MultiHeadAttention, C, HEADS),
            feed_forward=partial(FeedForward, C, 4 * C),
            norm=partial(LayerNorm, C),
            pre_norm=True,
            dropout=0.0,
        )
        self.blocks = parts.encoder(1, position=NoPosition())

    def forward(self, token_ids: Tensor, mask: Mask) -> Tensor:
        logits: Tensor = self.output(self.blocks(self.embedding(token_ids), mask=mask))
        return logits


def _texts(count: int, random: torch.Generator) -> Tensor:
    token_ids = torch.randint(WORDS, (count, T), generator=random)
    token_ids[:, 0] = WORDS
    return token_ids
