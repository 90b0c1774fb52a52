"""What the two models of text share: one long text, its characters, pieces of it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from minitx.data import split
from minitx.data.text import python_topics, read_text
from minitx.data.vocabulary import Vocabulary
from minitx.projects import runs
from minitx.training import Processes, TrainingConfig, cosine_rate

VALIDATION_PIECES = 128


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a model of text turns out.

    Args:
        num_steps: updates.
        max_lr: highest learning rate; it falls along a cosine to a tenth.
        warmup_steps: updates until max_lr; a tenth of them all at most.
        batch_size: pieces of text per update, in each process.
        length: characters of a piece.
        seed: of the first weights, the pieces and dropout.

    The other names are those of the model's config.
    """

    num_steps: int = 600
    max_lr: float = 3e-3
    warmup_steps: int = 50
    batch_size: int = 16
    length: int = 128
    d_model: int = 128
    num_heads: int = 4
    num_layers: int = 4
    dropout: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Corpus:
    """A text: its beginning to learn from, its end to be measured on.

    Args:
        vocabulary: its characters.
        train: ids of the beginning.
        validation: ids of the last tenth.
    """

    vocabulary: Vocabulary
    train: Int[Tensor, " N"]
    validation: Int[Tensor, " M"]

    @classmethod
    def of(cls, text: str) -> "Corpus":
        """Raises ValueError if the text is too short to be cut."""
        vocabulary = Vocabulary.of([text])
        first, last = split.cut(vocabulary.encode(text))
        return cls(vocabulary, torch.tensor(first), torch.tensor(last))


def read(file: Path | None) -> str:
    """The text of a file, or of Python's documentation.

    Raises:
        OSError, ValueError: if the file cannot be read; see `data.text.read_text`.
    """
    return python_topics() if file is None else read_text(file)


def claim(
    project: str, text: str, corpus: Corpus, settings: Settings, *, group: Processes, folder: Path
) -> None:
    """Begin this run in folder, or see that it is the one that was begun there.

    Raises:
        OtherRun: if folder holds another run.
        ValueError: if the text is shorter than ten pieces.
    """
    if len(corpus.validation) <= settings.length:
        raise ValueError(
            f"the text has {len(text):,} characters; pieces of {settings.length} need more than "
            f"{10 * settings.length:,}"
        )
    record = runs.Record(
        project,
        asdict(settings),
        runs.checksum([text]),
        {"characters": list(corpus.vocabulary.tokens)},
        group.count,
    )
    runs.claim(folder, record, group)


def training_config(settings: Settings) -> TrainingConfig:
    """How to train, in the loop's words."""
    return TrainingConfig(
        num_steps=settings.num_steps, rate=rate_of(settings), weight_decay=0.1, seed=settings.seed
    )


def rate_of(settings: Settings) -> Callable[[int], float]:
    """The learning rate of every step."""
    return partial(
        cosine_rate,
        max_lr=settings.max_lr,
        min_lr=settings.max_lr / 10,
        warmup_steps=max(1, min(settings.warmup_steps, settings.num_steps // 10)),
        num_steps=max(settings.num_steps, 2),
    )
