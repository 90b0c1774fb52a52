"""A small BERT that has read a text, and then is told a few labels: `minitx train fine-tuning`.

It learns to put back hidden characters of Python's documentation. Then it has to say of a piece of
64 characters whether it is as it was written or spoilt, and is shown 4, 16 or 64 pieces of either
kind. The last part of each topic was neither read nor shown. What was measured is kept beside this
file.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.data.text import canonical, topic_texts
from minitx.data.vocabulary import Vocabulary
from minitx.measure.table import Table
from minitx.models.bert import BERT
from minitx.projects import masked
from minitx.projects.corpus import Corpus
from minitx.projects.kept import Experiment, Trial, source
from minitx.projects.masked import MaskedLanguage
from minitx.projects.settings import TextSettings
from minitx.training import Processes

TOPICS = 8
READ = 0.7
"""Of each topic: the beginning that is read and labelled; the rest is asked about in the end."""

PASSAGE = 100
"""Characters that two topics must not have in common."""

SWAPS = 16
"""So many pairs of neighbours change places in a spoilt piece: no character is gone or new."""

KINDS = 2  # 0: as it was written; 1: spoilt
LABELS = (4, 16, 64)
"""Pieces of either kind that are shown with their label."""

HELD = 100
"""Pieces of either kind, of the part that was read, by which each way's rate is chosen."""

ASKED = 256
"""Pieces of either kind, of the part that was not read, that are asked about in the end."""

Way = Literal["from nothing", "only the head", "the top, too", "everything"]
WAYS: tuple[Way, ...] = get_args(Way)
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
PASSES = 20
"""So often every way is shown all of its labelled pieces, whatever their number."""

BATCH = 16

SETTINGS = TextSettings(
    num_steps=700,
    max_lr=5e-3,
    final_lr=0.1,
    batch_size=16,
    warmup_steps=50,
    weight_decay=0.1,
    d_model=64,
    num_layers=2,
    length=64,
)
Labelled = tuple[Int[Tensor, "N T"], Int[Tensor, " N"]]


@dataclass(frozen=True)
class Reader:
    """A small BERT that has read.

    Args:
        model: its weights.
        vocabulary: its characters.
        seed: of its first weights and of what it read when.
    """

    model: MaskedLanguage
    vocabulary: Vocabulary
    seed: int


class Classifier(nn.Module):
    """A BERT, the mean of what it makes of a text, and one linear layer.

    Args:
        bert: is changed unless it is frozen.
        num_classes: of which one is right.
    """

    def __init__(self, bert: BERT, num_classes: int) -> None:
        super().__init__()
        self.bert = bert
        self.head = nn.Linear(bert.config.d_model, num_classes)

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B classes"]:
        logits: Tensor = self.head(self.bert(token_ids).mean(dim=1))
        return logits


def largest_topics() -> dict[str, str]:
    """The topics with the longest texts; of two that share a passage only the longer."""
    texts = {name: canonical(words) for name, words in topic_texts().items()}
    found: dict[str, str] = {}
    for name in sorted(texts, key=lambda name: -len(texts[name])):
        words = texts[name]
        passages = [words[i : i + PASSAGE] for i in range(0, len(words) - PASSAGE, PASSAGE)]
        if not any(passage in other for passage in passages for other in found.values()):
            found[name] = words
        if len(found) == TOPICS:
            break
    return found


def corpus_read() -> Corpus:
    """What is read before any label is seen: the beginnings of the largest topics.

    Nothing else: other topics repeat passages of these, also of their ends.
    """
    beginnings = [words[: int(READ * len(words))] for words in largest_topics().values()]
    return Corpus.of("\n\n".join(beginnings), length=SETTINGS.length)


def spoilt(piece: list[int], chance: torch.Generator) -> list[int]:
    """The piece with `SWAPS` pairs of neighbours swapped, none of which has a place in common.

    With fewer, if there are not so many pairs of different neighbours.
    """
    piece, moved = piece.copy(), set[int]()
    for i in torch.randperm(len(piece) - 1, generator=chance).tolist():
        if len(moved) < 2 * SWAPS and piece[i] != piece[i + 1] and not moved & {i, i + 1}:
            piece[i], piece[i + 1] = piece[i + 1], piece[i]
            moved |= {i, i + 1}
    return piece


def pieces(vocabulary: Vocabulary, *, last: bool, seed: int) -> Labelled:
    """The largest topics in pieces, every second one spoilt, and which ones are; both as many.

    Args:
        vocabulary: whose characters are used.
        last: the part that was not read, or the one that was.
        seed: of the order, and of what is spoilt and how.
    """
    T, rows = SETTINGS.length, []
    for words in largest_topics().values():
        cut = int(READ * len(words))
        ids = vocabulary.encode(words[cut:] if last else words[:cut])
        rows += [ids[i : i + T] for i in range(0, len(ids) - T + 1, T)]
    chance = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(rows), generator=chance)[: len(rows) // KINDS * KINDS].tolist()
    kinds = [place % KINDS for place in range(len(order))]
    made = [
        spoilt(rows[i], chance) if kind else rows[i] for i, kind in zip(order, kinds, strict=True)
    ]
    return torch.tensor(made), torch.tensor(kinds)


def first(labelled: Labelled, count: int) -> Labelled:
    """So many pieces of either kind, from the beginning; from the end, if count is negative."""
    ids, kinds = labelled
    part = slice(count) if count > 0 else slice(count, None)
    kept = torch.cat([torch.nonzero(kinds == kind)[part, 0] for kind in range(KINDS)])
    return ids[kept], kinds[kept]


def freeze(model: Classifier, way: Way) -> None:
    """Leave as they are the parts that this way does not train."""
    if way in ("only the head", "the top, too"):
        model.bert.requires_grad_(False)
    if way == "the top, too":
        blocks = model.bert.encoder.blocks
        for block in blocks[len(blocks) // 2 :]:
            block.requires_grad_(True)


def tuned(bert: BERT, way: Way, shown: Labelled, *, rate: float, seed: int) -> Classifier:
    """A classifier that was shown some labelled pieces, `PASSES` times.

    Args:
        bert: pre-trained, or new; it is not changed.
        way: what is trained; "from nothing" trains all of a new one.
        shown: the pieces, `BATCH` in a step.
        rate: of AdamW; it rises for a tenth of the steps, then falls to 0.
        seed: of the head's first weights and of the order.
    """
    ids, kinds = shown
    num_steps = PASSES * -(-len(ids) // BATCH)
    warm = num_steps // 10
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(deepcopy(bert), KINDS)
        freeze(model, way)
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=rate)
        falling = torch.optim.lr_scheduler.LambdaLR(
            optimiser,
            lambda step: min((step + 1) / warm, (num_steps - step) / (num_steps - warm)),
        )
        for _ in range(PASSES):
            for some in torch.randperm(len(ids)).split(BATCH):
                optimiser.zero_grad()
                F.cross_entropy(model(ids[some]), kinds[some]).backward()
                optimiser.step()
                falling.step()
    return model.eval()


@torch.no_grad()
def right(model: Classifier, asked: Labelled) -> int:
    """How many pieces it knows for what they are."""
    said = torch.cat([model(part) for part in asked[0].split(256)]).argmax(dim=-1)
    return int((said == asked[1]).sum())


def train(settings: TextSettings, folder: Path, group: Processes, progress: bool) -> Reader:
    """The small BERT, before any label."""
    restorer = masked.train(corpus_read(), settings, group=group, folder=folder, progress=progress)
    return Reader(restorer.model, restorer.vocabulary, settings.seed)


def measure(reader: Reader) -> dict[str, Any]:
    """How many are right by way, number of labels and rate: of those asked, and of those held out.

    The reader's seed also draws the labels that are shown, the head, and the model that has read
    nothing.
    """
    seed, vocabulary = reader.seed, reader.vocabulary
    read = pieces(vocabulary, last=False, seed=seed)
    held = first(read, -HELD)
    asked = first(pieces(vocabulary, last=True, seed=seed), ASKED)
    new = masked.untrained(len(vocabulary), replace(SETTINGS, seed=seed)).bert

    def found(way: Way, count: int, rate: float) -> tuple[int, int]:
        start = new if way == "from nothing" else reader.model.bert
        model = tuned(start, way, first(read, count), rate=rate, seed=seed)
        return right(model, asked), right(model, held)

    return {
        "of": len(asked[0]),
        "right, held": {way: [[found(way, n, r) for r in RATES] for n in LABELS] for way in WAYS},
    }


EXPERIMENT = Experiment("fine-tuning", (Trial("small BERT", SETTINGS),), train, measure)


def shares(run: Mapping[str, Any], way: Way, labels: int) -> list[float]:
    """Which share of the asked pieces is right, by rate."""
    return [right / run["of"] for right, _ in run["right, held"][way][LABELS.index(labels)]]


def chosen(run: Mapping[str, Any], way: Way, labels: int) -> float:
    """That share at the rate which was best on what was held out; the lowest of equal ones."""
    held = [held for _, held in run["right, held"][way][LABELS.index(labels)]]
    return shares(run, way, labels)[held.index(max(held))]


def table(name: Literal["ways", "rates"] = "ways") -> Table:
    """What was measured, as a table: by what is trained, or by rate."""
    return table_of(EXPERIMENT.kept(), name)


def table_of(result: Mapping[str, Any], name: Literal["ways", "rates"] = "ways") -> Table:
    """What `EXPERIMENT.run` returned, as a table; in each cell mean, lowest and highest seed."""
    (trial,) = result["trials"]
    runs = trial["runs"]

    def cell(shares: list[float]) -> str:
        mean = sum(shares) / len(shares)
        return f"{mean:.0%} ({min(shares):.0%}–{max(shares):.0%})"

    headings = [f"{count} + {count} labels" for count in LABELS]
    if name == "rates":
        return Table(
            ["rate, everything trained", *headings],
            [
                [f"{rate:g}"]
                + [cell([shares(run, "everything", n)[i] for run in runs]) for n in LABELS]
                for i, rate in enumerate(RATES)
            ],
            caption="Right among real and spoilt pieces, mean (lowest and highest seed); "
            f"{source(result)}",
        )
    return Table(
        ["trained", *headings],
        [[way, *(cell([chosen(run, way, n) for run in runs]) for n in LABELS)] for way in WAYS],
        caption="Right among real and spoilt pieces, each at its best rate, mean (lowest and "
        f"highest seed); {source(result)}",
    )
