"""A BERT that puts back the characters that were taken out of a text.

minitx train masked
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minitx.data.batching import generator, window_batches
from minitx.data.corruption import mask_tokens
from minitx.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from minitx.models.bert import BERT, BERTConfig
from minitx.positions import Rotary
from minitx.projects import corpus, learning
from minitx.projects.corpus import VALIDATION_PIECES, Corpus
from minitx.projects.settings import TextSettings
from minitx.training import IGNORE, Processes
from minitx.training import train as train_loop

NAME = "masked"
SETTINGS = TextSettings(
    num_steps=800,
    max_lr=2e-3,
    final_lr=0.1,
    batch_size=16,
    warmup_steps=50,
    weight_decay=0.1,
    num_layers=3,
)
HOLE = UNK  # what a character that is hidden becomes
Holes = tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]


class MaskedLanguage(nn.Module):
    """BERT with one of its two heads: logits for the characters that are asked about.

    Args:
        config: BERT's.
    """

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.bert = BERT(config)
        for head in (self.bert.pooler, self.bert.next_sentence):
            head.requires_grad_(False)  # not in use

    def forward(
        self, token_ids: Int[Tensor, "B T"], asked: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "N V"]:
        return self.bert.masked_language_logits(self.bert(token_ids)[asked])


@dataclass(frozen=True)
class Restorer:
    """A model and its characters.

    Args:
        model: its weights.
        vocabulary: its characters.
        right: share of the hidden characters that it puts back rightly, in unseen text.
        always_the_same: that share for who always says the most frequent character.
        example: a piece of unseen text with holes (_), as the model restores it, and as it was.
    """

    model: MaskedLanguage
    vocabulary: Vocabulary
    right: float
    always_the_same: float
    example: dict[str, str]


def train(
    data: Corpus, settings: TextSettings, *, group: Processes, folder: Path, progress: bool
) -> Restorer:
    """Train in folder on the text's first nine tenths, or go on with what was begun there.

    Raises:
        OtherRun: if folder holds another run.
        KeyboardInterrupt: after Ctrl-C; the same call continues.
    """
    corpus.claim(NAME, data, settings, group=group, folder=folder)
    model = untrained(len(data.vocabulary), settings).to(group.device)
    batches = holes(
        data.train, len(data.vocabulary), settings, batch_size=settings.batch_size, group=group
    )
    validation = holes(
        data.validation, len(data.vocabulary), settings, batch_size=VALIDATION_PIECES, group=group
    )(0)
    train_loop(
        model,
        loss_sum,
        batches,
        learning.training_config(settings),
        group=group,
        folder=folder,
        validation=[validation],
        progress=progress,
    )
    return measured(model, data, validation)


def holes(
    token_ids: Int[Tensor, " N"],
    vocab_size: int,
    settings: TextSettings,
    *,
    batch_size: int,
    group: Processes,
) -> Callable[[int], Holes]:
    """From a batch's number to pieces of the text with holes, and what stood there."""
    pieces = window_batches(
        token_ids, length=settings.length, batch_size=batch_size, seed=settings.seed
    )

    def batch_at(number: int) -> Holes:
        corrupted, targets = mask_tokens(
            pieces(number)[0],
            mask_id=HOLE,
            special_ids=(PAD, BOS, EOS),
            vocab_size=vocab_size,
            generator=generator(settings.seed, number, batch_size),
        )
        return corrupted.to(group.device), targets.to(group.device)

    return batch_at


def loss_sum(model: nn.Module, batch: Holes) -> tuple[Tensor, Tensor]:
    """What is made small, and over how many characters."""
    corrupted, targets = batch
    asked = targets != IGNORE
    return learning.summed_loss(model(corrupted, asked), targets[asked])


@torch.no_grad()
def measured(model: MaskedLanguage, data: Corpus, validation: Holes) -> Restorer:
    """How well the holes of unseen text are filled."""
    corrupted, targets = validation
    asked = targets != IGNORE
    guesses = model(corrupted, asked).argmax(dim=-1)
    ((most_frequent, _),) = Counter(data.train.tolist()).most_common(1)
    filled, truth = corrupted.clone(), corrupted.clone()
    filled[asked], truth[asked] = guesses, targets[asked]

    def shown(row: Int[Tensor, " T"]) -> str:
        return "".join("_" if i == HOLE else data.vocabulary.tokens[i] for i in row.tolist())

    return Restorer(
        model,
        data.vocabulary,
        float((guesses == targets[asked]).float().mean()),
        float((targets[asked] == most_frequent).float().mean()),
        {
            "with holes": shown(corrupted[0]),
            "restored": shown(filled[0]),
            "original": shown(truth[0]),
        },
    )


def untrained(vocab_size: int, settings: TextSettings) -> MaskedLanguage:
    """The model at its start; the weights are drawn from the seed.

    Its positions are rotary: with BERT's learned ones it takes thousands of steps to find out that
    neighbours matter.
    """
    with learning.first_weights_of(settings.seed):
        return MaskedLanguage(
            BERTConfig(
                vocab_size=vocab_size,
                max_len=settings.length,
                d_model=settings.d_model,
                num_heads=settings.num_heads,
                num_layers=settings.num_layers,
                d_ff=4 * settings.d_model,
                dropout=settings.dropout,
                position=partial(Rotary, settings.d_model // settings.num_heads),
            )
        )
