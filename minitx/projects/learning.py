"""What all trainings share: the settings in the loop's words, first weights, the loss."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.projects.settings import Settings
from minitx.training import IGNORE, TrainingConfig, cosine_rate, label_smoothed_cross_entropy


def training_config(settings: Settings) -> TrainingConfig:
    """How to train, in the loop's words."""
    rate = partial(
        cosine_rate,
        max_lr=settings.max_lr,
        min_lr=settings.max_lr * settings.final_lr,
        warmup_steps=max(1, min(settings.warmup_steps, settings.num_steps // 10)),
        num_steps=settings.num_steps + 1,  # the last step still learns a little
    )
    return TrainingConfig(
        num_steps=settings.num_steps,
        rate=rate,
        weight_decay=settings.weight_decay,
        seed=settings.seed,
    )


@contextmanager
def first_weights_of(seed: int) -> Iterator[None]:
    """Weights that are drawn here depend on the seed only, and move nobody else's chance."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def summed_loss(
    logits: Float[Tensor, "*batch V"], targets: Int[Tensor, "*batch"], *, smoothing: float = 0.0
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """What the loop makes small: the sum of the tokens' losses, and how many tokens count."""
    loss = label_smoothed_cross_entropy(logits, targets, smoothing=smoothing, reduction="sum")
    return loss, (targets != IGNORE).sum()
