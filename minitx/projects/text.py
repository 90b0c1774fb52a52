"""A GPT that reads and writes characters, and learns from Python's own documentation.

minitx train text
minitx train text --file novel.txt --folder runs/novel
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.data.batching import window_batches
from minitx.data.vocabulary import SPECIAL, Vocabulary
from minitx.generate import GPTDecoding, sample
from minitx.models.gpt import GPT, GPTConfig
from minitx.projects import corpus, learning, runs
from minitx.projects.corpus import VALIDATION_PIECES, Corpus
from minitx.projects.schemes import scheme
from minitx.projects.settings import TextSettings
from minitx.training import Processes, mean_loss
from minitx.training import train as train_loop

NAME = "text"
SETTINGS = TextSettings(
    num_steps=600,
    max_lr=3e-3,
    final_lr=0.1,
    batch_size=16,
    warmup_steps=50,
    weight_decay=0.1,
    num_layers=4,
)
SMALL = replace(SETTINGS, d_model=64, length=64)
"""Small enough for a page, as `minitx export` makes it."""
Pieces = tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]


@dataclass(frozen=True)
class Writer:
    """A model and its characters.

    Args:
        model: its weights.
        vocabulary: its characters.
        loss: on text that it has never seen, in nats per character.
    """

    model: GPT
    vocabulary: Vocabulary
    loss: float

    def write(
        self, prompt: str, *, num_characters: int = 400, temperature: float = 0.8, seed: int = 0
    ) -> str:
        """What comes after prompt; the same seed writes the same.

        Raises:
            ValueError: if prompt is empty or holds a character that was never seen in training.
        """
        ids = corpus.prompt_ids(prompt, self.vocabulary)
        device = next(self.model.parameters()).device
        written = sample(
            OnlyCharacters(self.model),
            torch.tensor([ids], device=device),
            max_new_tokens=num_characters,
            temperature=temperature,
            generator=torch.Generator(device).manual_seed(seed),
        )
        return "".join(self.vocabulary.decode(written[0].tolist()))


class OnlyCharacters(GPTDecoding):
    """Generation that never chooses a special token: no text holds one."""

    def feed(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B V"]:
        logits = super().feed(token_ids)
        logits[:, : len(SPECIAL)] = -torch.inf
        return logits


def train(
    data: Corpus, settings: TextSettings, *, group: Processes, folder: Path, progress: bool
) -> Writer:
    """Train in folder on the text's first nine tenths, or go on with what was begun there.

    Raises:
        OtherRun: if folder holds another run.
        KeyboardInterrupt: after Ctrl-C; the same call continues.
    """
    corpus.claim(NAME, data, settings, group=group, folder=folder)
    model = untrained(len(data.vocabulary), settings).to(group.device)
    batches = partial(window_batches, length=settings.length, device=group.device)
    validation = batches(data.validation, batch_size=VALIDATION_PIECES)(0)
    config = learning.training_config(settings)
    train_loop(
        model,
        loss_sum,
        batches(data.train, batch_size=settings.batch_size, seed=settings.seed),
        config,
        group=group,
        folder=folder,
        validation=[validation],
        progress=progress,
    )
    loss = mean_loss(model, loss_sum, [validation], config, group)
    return Writer(model, data.vocabulary, loss)


def load(folder: Path) -> tuple[GPT, Vocabulary, int]:
    """The model trained in folder, on the CPU, its characters, and after how many steps.

    Raises:
        OtherRun: if there is none.
        DamagedCheckpoint: if its weights cannot be read.
    """
    record = runs.read(folder, NAME)
    vocabulary = Vocabulary(tuple(record.vocabularies["characters"]))
    model = untrained(len(vocabulary), TextSettings(**record.settings))
    return model, vocabulary, runs.trained_steps(folder, model)


def loss_sum(model: nn.Module, batch: Pieces) -> tuple[Tensor, Tensor]:
    """What is made small, and over how many characters."""
    token_ids, targets = batch
    return learning.summed_loss(model(token_ids), targets)


def untrained(vocab_size: int, settings: TextSettings) -> GPT:
    """The model at its start.

    With ALiBi, which is what it has unless the settings say otherwise, it writes on beyond the
    length it was trained at.
    """
    with learning.first_weights_of(settings.seed):
        return GPT(
            GPTConfig(
                vocab_size=vocab_size,
                d_model=settings.d_model,
                num_heads=settings.num_heads,
                num_layers=settings.num_layers,
                dropout=settings.dropout,
                position=scheme(settings),
            )
        )
