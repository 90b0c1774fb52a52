"""How well a model predicts, by how much it has read before."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

AT_ONCE = 64
"""Pieces that are read together."""


@torch.no_grad()
def losses_by_place(
    logits_of: Callable[[Int[Tensor, "B T"]], Float[Tensor, "B T V"]],
    text: Int[Tensor, " N"],
    *,
    length: int,
    stretches: int,
) -> list[float]:
    """Mean loss per token in each of so many stretches of a piece, the first without a past.

    Pieces begin at every stretch of the text, so that nearly all of it is read once at the
    beginning of a piece, once in its second stretch, and so on: what differs is how much was read
    before, not what is asked.

    Args:
        logits_of: a causal model in evaluation mode.
        text: longer than a piece.
        length: of a piece.
        stretches: into how many a piece is cut; they divide length.

    Returns:
        In nats.

    Raises:
        ValueError: if stretches do not divide length, or the text is not longer than a piece.

    >>> late = lambda ids: torch.tensor([[0.0, 0], [0, 0], [9, 0], [9, 0]]).expand(len(ids), 4, 2)
    >>> losses = losses_by_place(late, torch.zeros(9, dtype=int), length=4, stretches=2)
    >>> [round(loss, 3) for loss in losses]      # log 2 for a guess
    [0.693, 0.0]
    """
    if stretches < 1 or length % stretches:
        raise ValueError(f"stretches must divide length ({length}), got {stretches}")
    if len(text) <= length:
        raise ValueError(f"the text must be longer than a piece ({length}), got {len(text)}")
    pieces = text.unfold(0, length + 1, length // stretches)
    total = torch.zeros(length, dtype=torch.float64)
    for some in pieces.split(AT_ONCE):
        logits = logits_of(some[:, :-1])
        losses = F.cross_entropy(logits.mT, some[:, 1:], reduction="none")
        total += losses.double().sum(0).cpu()
    means: list[float] = (total / len(pieces)).view(stretches, -1).mean(1).tolist()
    return means
