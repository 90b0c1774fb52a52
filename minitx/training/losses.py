"""What a model that predicts tokens is trained to make small."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.masks import IGNORE


def label_smoothed_cross_entropy(
    logits: Float[Tensor, "*batch V"],
    targets: Int[Tensor, "*batch"],
    *,
    smoothing: float = 0.0,
    ignore_index: int = IGNORE,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Float[Tensor, ""] | Float[Tensor, "*batch"]:
    """Cross-entropy against targets that are a little less than certain.

        loss = -Σ_v p(v) log softmax(logits)[v]
        p(v) = (1 - smoothing) · [v is the target] + smoothing / V

    Args:
        logits: one row per token.
        targets: the right token of each row.
        smoothing: share of the target's mass spread over all V tokens, the right one included.
        ignore_index: rows with this target do not count, neither in the sum nor in the mean.
        reduction: mean over the rows that count, their sum, or none: one number per row, 0 for
            one that does not count.

    Returns:
        In nats, at least in float32; 0 if no row counts. A target with a logit of -inf costs
        infinitely much, and with smoothing so does every token; without smoothing other tokens
        may be forbidden by -inf.

    Raises:
        ValueError: if smoothing is not in [0, 1), or there is no such reduction.

    Source: Szegedy et al. 2016, §7; Vaswani et al. 2017, §5.4. The convention is PyTorch's:
    smoothing / V for every token; others spread it over the V - 1 wrong ones.

    >>> logits = torch.tensor([[0.9, 0.05, 0.05]]).log()
    >>> round(float(label_smoothed_cross_entropy(logits, torch.tensor([0]))), 4)     # -log 0.9
    0.1054
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in [0, 1), got {smoothing}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be mean, sum or none, got {reduction!r}")
    counts = targets != ignore_index
    # A sum over many tokens needs more digits than half precision has.
    log_probs = logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    losses = -log_probs.gather(-1, targets.where(counts, 0)[..., None])[..., 0]
    if smoothing:  # not a sum with the weight 0, in which a forbidden token would be 0 · inf
        losses = (1 - smoothing) * losses - smoothing * log_probs.mean(dim=-1)
    losses = losses.where(counts, 0.0)
    if reduction == "none":
        return losses
    total = losses.sum()
    return total if reduction == "sum" else total / counts.sum().clamp(min=1)
