"""An encoder, a decoder and both, on one text: `minitx train families`.

All learn from the same characters, in pieces of the same length, for as many steps; what they are
asked differs. Afterwards all are asked the same: a hidden character in the middle of text never
seen. What was measured is kept beside this file and shown by `table` and `picture`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args, get_type_hints

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from minitx.data.batching import Batch, generator, translation_batch, window_batches
from minitx.data.corruption import corrupt_spans, spans
from minitx.data.vocabulary import BOS, EOS, UNK, Vocabulary
from minitx.masks import padding
from minitx.measure.table import Table
from minitx.models.gpt import GPT
from minitx.models.seq2seq import Transformer, TransformerConfig
from minitx.projects import corpus, learning, masked, text
from minitx.projects.corpus import Corpus
from minitx.projects.kept import Experiment, Trial, source
from minitx.projects.settings import FamilySettings, TextSettings
from minitx.projects.text import Writer
from minitx.training import Processes
from minitx.training import train as train_loop

HOLE = UNK
SENTINELS = 16
"""Tokens behind the characters, each for a span that is taken out."""

FAMILIES = get_args(get_type_hints(FamilySettings)["family"])
SETTINGS = FamilySettings(
    num_steps=500,
    max_lr=5e-3,
    final_lr=0.1,
    batch_size=16,
    warmup_steps=30,
    weight_decay=0.1,
    d_model=64,
    length=64,
    num_layers=2,
    family="encoder only",
)
TRIALS = tuple(
    Trial(
        family,
        replace(SETTINGS, family=family, num_layers=1 if family.startswith("both") else 2),
    )
    for family in FAMILIES
)
Pairs = Callable[[list[int], torch.Generator], tuple[list[int], list[int]]]


@dataclass(frozen=True)
class Trained:
    """A model of one family, and its characters.

    Args:
        family: its name.
        model: its weights.
        vocabulary: its characters.
    """

    family: str
    model: nn.Module
    vocabulary: Vocabulary


def train(settings: FamilySettings, folder: Path, group: Processes, progress: bool) -> Trained:
    """A model of this family, of Python's documentation."""
    data = Corpus.of(corpus.read(None), length=settings.length)
    if settings.family == "encoder only":
        model: nn.Module = masked.train(
            data, settings, group=group, folder=folder, progress=progress
        ).model
    elif settings.family == "decoder only":
        model = text.train(data, settings, group=group, folder=folder, progress=progress).model
    else:
        model = trained_pair(data, settings, group=group, folder=folder, progress=progress)
    return Trained(settings.family, model, data.vocabulary)


def spans_of(
    piece: list[int], chance: torch.Generator, *, first: int
) -> tuple[list[int], list[int]]:
    """T5's pair: the text with sentinels, and the spans behind theirs.

    Args:
        piece: the text.
        chance: which spans are taken out.
        first: the first sentinel's id.
    """
    taken_out = spans(len(piece), generator=chance)
    return corrupt_spans(piece, taken_out, sentinels=range(first, first + SENTINELS))


def mending_of(piece: list[int], chance: torch.Generator) -> tuple[list[int], list[int]]:
    """BART's pair: the text with one hole for each span, and the whole text.

    >>> source, target = mending_of([*range(10, 20)], torch.Generator().manual_seed(0))
    >>> source.count(HOLE), target == [*range(10, 20)]
    (1, True)
    """
    last = max(piece)
    src, _ = spans_of(piece, chance, first=last + 1)
    return [HOLE if token > last else token for token in src], piece


def trained_pair(
    data: Corpus, settings: FamilySettings, *, group: Processes, folder: Path, progress: bool
) -> Transformer:
    """Encoder and decoder that learn to bring back what was taken out of a text."""
    corpus.claim("families", data, settings, group=group, folder=folder)
    V = len(data.vocabulary)
    pair: Pairs = mending_of
    if settings.family == "both, spans":
        pair = partial(spans_of, first=V)
    with learning.first_weights_of(settings.seed):
        model = Transformer(
            TransformerConfig(
                src_vocab_size=V + SENTINELS,
                tgt_vocab_size=V + SENTINELS,
                d_model=settings.d_model,
                num_heads=settings.num_heads,
                num_encoder_layers=settings.num_layers,
                num_decoder_layers=settings.num_layers,
                d_ff=4 * settings.d_model,
                dropout=settings.dropout,
                share_embeddings=True,
            )
        ).to(group.device)
    pieces = window_batches(
        data.train, length=settings.length, batch_size=settings.batch_size, seed=settings.seed
    )

    def batch_at(number: int) -> Batch:
        chance = generator(settings.seed, number)
        rows = pieces(number)[0].tolist()
        return translation_batch([pair(row, chance) for row in rows]).to(group.device)

    train_loop(
        model,
        loss_sum,
        batch_at,
        learning.training_config(settings),
        group=group,
        folder=folder,
        progress=progress,
    )
    return model


def loss_sum(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """What is made small, and over how many tokens."""
    logits = model(batch.src, batch.tgt_in, src_mask=padding(batch.lengths, batch.src.size(1)))
    return learning.summed_loss(logits, batch.tgt_out)


def three_gaps(length: int, place: int) -> Bool[Tensor, " T"]:
    """What a pair is asked with: one place in the middle, and a longer gap on either side of it.

    For that is what it always met: of 64 characters `spans` takes out ten, in three spans.

    >>> three_gaps(16, 8).int().tolist()
    [0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0]
    """
    out = torch.zeros(length, dtype=torch.bool)
    for middle, before, behind in ((length // 4, 2, 2), (place, 0, 1), (length * 3 // 4, 2, 3)):
        out[middle - before : middle + behind] = True
    return out


@torch.no_grad()
def guesses(trained: Trained, pieces: Int[Tensor, "B T"], place: int) -> Int[Tensor, " B"]:
    """Which character each model puts at that place of each piece, where it is hidden.

    Who reads from left to right sees only what stands before it. The pairs are asked with as many
    gaps as they learned with: see `three_gaps`.
    """
    model, V = trained.model, len(trained.vocabulary)
    holed = pieces.clone()
    holed[:, place] = HOLE
    if isinstance(model, masked.MaskedLanguage):
        asked = torch.zeros_like(pieces, dtype=torch.bool)
        asked[:, place] = True
        logits = model(holed, asked)
    elif isinstance(model, GPT):
        logits = model(pieces[:, :place])[:, -1]
    else:
        sentinels = range(V, V + SENTINELS)
        out = three_gaps(pieces.size(1), place)
        pairs = [corrupt_spans(row, out, sentinels=sentinels) for row in pieces.tolist()]
        src, tgt = (torch.tensor(rows) for rows in zip(*pairs, strict=True))
        if trained.family == "both, spans":
            known = tgt[:, : tgt[0].tolist().index(V + 1) + 1]
        else:
            src, known = src.where(src < V, HOLE), pieces[:, :place]
        ends = partial(torch.full_like, pieces[:, :1])
        logits = model(torch.cat([src, ends(EOS)], 1), torch.cat([ends(BOS), known], 1))[:, -1]
    return logits[:, :V].argmax(dim=-1)


def measure(trained: Trained) -> dict[str, int]:
    """How many hidden characters in the middle of pieces never seen are guessed, of how many."""
    data = Corpus.of(corpus.read(None))
    T = SETTINGS.length
    pieces = data.validation[: len(data.validation) // T * T].view(-1, T)
    right = guesses(trained, pieces, T // 2) == pieces[:, T // 2]
    return {"right": int(right.sum()), "of": len(pieces)}


EXPERIMENT = Experiment("families", TRIALS, train, measure)


def table() -> Table:
    """What was measured, as a table."""
    return table_of(EXPERIMENT.kept())


def table_of(result: Mapping[str, Any]) -> Table:
    """What `EXPERIMENT.run` returned, as a table: a row for each family."""
    sees = {"decoder only": "what stands before"}
    rows = []
    for trial in result["trials"]:
        runs = trial["runs"]
        right = [run["right"] / run["of"] for run in runs]
        seconds = round(sum(run["cpu"] for run in runs) / len(runs))
        seen = sees.get(trial["name"], "both sides")
        rows.append([trial["name"], runs[0]["parameters"], seen, min(right), max(right), seconds])
    return Table(
        ["family", "parameters", "sees", "right, worst seed", "best seed", "CPU seconds"],
        rows,
        ["", ",d", "", ".1%", ".1%", "d"],
        caption=f"One hidden character in text never seen; {source(result)}",
    )


SMALL_WRITER = TextSettings(
    num_steps=300, max_lr=5e-3, final_lr=0.1, batch_size=16, warmup_steps=30, weight_decay=0.1,
    d_model=64, num_layers=2, length=64,
)  # fmt: skip


def small_writer(settings: TextSettings = SMALL_WRITER) -> Writer:
    """A GPT of characters, trained here and now on the CPU in some seconds."""
    data = Corpus.of(corpus.read(None), length=settings.length)
    alone = Processes(rank=0, count=1, device=torch.device("cpu"))
    with TemporaryDirectory() as folder:
        return text.train(data, settings, group=alone, folder=Path(folder), progress=False)
