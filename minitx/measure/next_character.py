"""A small model that learns to spell numbers, and how well it does with a given attention core."""

import torch
from torch import Tensor, nn

from minitx.data import numbers
from minitx.data.batching import generator, padded
from minitx.data.vocabulary import Vocabulary
from minitx.masks import IGNORE
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.parts import CoreFactory
from minitx.training import TrainingConfig, label_smoothed_cross_entropy, processes, train

Pieces = tuple[Tensor, Tensor]


def losses(core: CoreFactory, *, num_steps: int = 200, batch_size: int = 32) -> list[float]:
    """The loss of every step while a GPT of one block learns the next character.

    The texts are numbers in English words, "four hundred and two". Weights and batches are the
    same for every core.

    Args:
        core: makes the attention that the model is to use.
        num_steps: optimiser updates.
        batch_size: numbers in each.

    Returns:
        Mean loss per character, in nats.
    """
    texts = [english for english, _ in numbers.split().train]
    vocabulary = Vocabulary.of(texts)

    def batch_at(number: int) -> Pieces:
        chosen = torch.randint(len(texts), (batch_size,), generator=generator(0, number))
        rows = [vocabulary.encode(texts[i]) for i in chosen.tolist()]
        return padded([row[:-1] for row in rows]), padded([row[1:] for row in rows], value=IGNORE)

    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=len(vocabulary), max_len=max(map(len, texts)), d_model=48, num_heads=4,
        num_layers=1, dropout=0.0, core=core,
    )  # fmt: skip
    how = TrainingConfig(num_steps=num_steps, rate=lambda step: 3e-3)
    with processes("cpu") as group:
        rows = train(GPT(config), _loss_sum, batch_at, how, group=group, progress=False)
    return [row["loss"] for row in rows]


def _loss_sum(model: nn.Module, batch: Pieces) -> tuple[Tensor, Tensor]:
    token_ids, targets = batch
    loss = label_smoothed_cross_entropy(model(token_ids), targets, reduction="sum")
    return loss, (targets != IGNORE).sum()
