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
    """How to train, in the loop's words.

    >>> config = training_config(Settings(num_steps=100, max_lr=3.0, batch_size=1))
    >>> [round(config.rate(step), 2) for step in (5, 10, 55, 100)]
    [1.5, 3.0, 1.53, 0.0]
    """
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
    """Weights that are drawn here depend on the seed only, and move nobody else's chance.

    >>> with first_weights_of(7):
    ...     one = torch.rand(())
    >>> with first_weights_of(7):
    ...     bool(torch.rand(()) == one)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def summed_loss(
    logits: Float[Tensor, "*batch V"], targets: Int[Tensor, "*batch"], *, smoothing: float = 0.0
) -> tuple[Float[Tensor, ""], Int[Tensor, ""]]:
    """What the loop makes small: the sum of the tokens' losses, and how many tokens count.

    Args:
        logits: of every token.
        targets: the right one; IGNORE does not count.
        smoothing: see `label_smoothed_cross_entropy`.

    Returns:
        In nats; and a number of tokens.

    >>> loss, tokens = summed_loss(torch.zeros(3, 2), torch.tensor([0, 1, IGNORE]))
    >>> round(float(loss), 4), int(tokens)      # 2 log 2
    (1.3863, 2)
    """
    loss = label_smoothed_cross_entropy(logits, targets, smoothing=smoothing, reduction="sum")
    return loss, (targets != IGNORE).sum()
