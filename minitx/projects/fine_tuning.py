"""A small BERT that has read a text, and then is told a few labels: `minitx train fine-tuning`.

It learns to put back hidden characters of Python's documentation. Then it has to say of a hidden
character only what kind it is, and is shown 4, 16 or 64 pieces of each kind. The last tenth of the
text was neither read nor shown. What was measured is kept beside this file.
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

from minitx.data.vocabulary import Vocabulary
from minitx.measure.table import Table
from minitx.models.bert import BERT
from minitx.projects import corpus, masked
from minitx.projects.corpus import Corpus
from minitx.projects.kept import Experiment, Trial, source
from minitx.projects.masked import HOLE, MaskedLanguage
from minitx.projects.settings import TextSettings
from minitx.training import Processes

KINDS = ("vowel", "consonant", "blank", "other")

LABELS = (4, 16, 64)
"""Pieces of each kind that are shown with their label."""

Way = Literal["from nothing", "only the head", "the top, too", "everything"]
WAYS: tuple[Way, ...] = get_args(Way)
RATES = (1e-4, 1e-3, 1e-2)
BEST_RATES: dict[Way, float] = {
    "from nothing": 1e-3,
    "only the head": 1e-2,
    "the top, too": 1e-3,
    "everything": 1e-3,
}
STEPS = 30

SETTINGS = TextSettings(
    num_steps=1000,
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
    """A BERT, what it makes of the place in the middle, and one linear layer.

    Args:
        bert: is changed unless it is frozen.
        num_classes: of which one is right.
    """

    def __init__(self, bert: BERT, num_classes: int) -> None:
        super().__init__()
        self.bert = bert
        self.head = nn.Linear(bert.config.d_model, num_classes)

    def forward(self, token_ids: Int[Tensor, "B T"]) -> Float[Tensor, "B classes"]:
        logits: Tensor = self.head(self.bert(token_ids)[:, token_ids.size(1) // 2])
        return logits


def kind(character: str) -> int:
    """Place in `KINDS`.

    >>> [KINDS[kind(character)] for character in "ay 7"]
    ['vowel', 'consonant', 'blank', 'other']
    """
    if character.lower() in "aeiou":
        return 0
    if character.isalpha():
        return 1
    return 2 if character.isspace() else 3


def pieces(data: Corpus, *, last: bool) -> Labelled:
    """Pieces whose middle is hidden, with the kind of the character that stood there.

    Args:
        data: the text.
        last: the tenth that was not read, or the part that was.
    """
    T = SETTINGS.length
    ids = data.validation if last else data.train
    found = ids[: len(ids) // T * T].view(-1, T).clone()
    labels = torch.tensor([kind(data.vocabulary.tokens[i]) for i in found[:, T // 2].tolist()])
    found[:, T // 2] = HOLE
    return found, labels


def chosen(labelled: Labelled, count: int, *, seed: int) -> Labelled:
    """So many pieces of every kind, drawn from the seed; all of a kind that has fewer."""
    ids, labels = labelled
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))
    kept = torch.cat([order[labels[order] == k][:count] for k in range(len(KINDS))])
    return ids[kept], labels[kept]


def freeze(model: Classifier, way: Way) -> None:
    """Leave as they are the parts that this way does not train."""
    if way in ("only the head", "the top, too"):
        model.bert.requires_grad_(False)
    if way == "the top, too":
        blocks = model.bert.encoder.blocks
        for block in blocks[len(blocks) // 2 :]:
            block.requires_grad_(True)


def accuracy(
    bert: BERT, way: Way, shown: Labelled, asked: Labelled, *, rate: float, seed: int
) -> float:
    """What share of the asked pieces gets the right kind, after some steps on the shown ones.

    Args:
        bert: pre-trained, or new; it is not changed.
        way: what is trained; "from nothing" trains all of a new one.
        shown: all of them are in every step, at most 64 at once.
        asked: never seen.
        rate: of AdamW, falling to 0 after a tenth of the steps.
        seed: of the head's first weights and of the order.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(deepcopy(bert), len(KINDS))
        freeze(model, way)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=rate)
        warm = STEPS // 10
        falling = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min((step + 1) / warm, (STEPS - step) / (STEPS - warm))
        )
        ids, labels = shown
        for _ in range(STEPS):
            some = torch.randperm(len(ids))[:64]
            optimiser.zero_grad()
            F.cross_entropy(model(ids[some]), labels[some]).backward()
            optimiser.step()
            falling.step()
    model.eval()
    with torch.no_grad():
        said = torch.cat([model(part) for part in asked[0].split(512)]).argmax(dim=-1)
    return float((said == asked[1]).double().mean())


def text() -> Corpus:
    """What is read: Python's documentation."""
    return Corpus.of(corpus.read(None), length=SETTINGS.length)


def train(settings: TextSettings, folder: Path, group: Processes, progress: bool) -> Reader:
    """The small BERT, before any label."""
    restorer = masked.train(text(), settings, group=group, folder=folder, progress=progress)
    return Reader(restorer.model, restorer.vocabulary, settings.seed)


def measure(reader: Reader, *, labels: tuple[int, ...] = LABELS) -> dict[str, Any]:
    """Accuracy by way and number of labels; and, for everything and 16 labels, by rate.

    The reader's seed also draws the labels that are shown, the head, and the model that has read
    nothing.
    """
    seed, vocabulary = reader.seed, reader.vocabulary
    read, asked = pieces(text(), last=False), pieces(text(), last=True)
    new = masked.untrained(len(vocabulary), replace(SETTINGS, seed=seed)).bert

    def share(way: Way, count: int, rate: float) -> float:
        start = new if way == "from nothing" else reader.model.bert
        shown = chosen(read, count, seed=seed)
        return round(accuracy(start, way, shown, asked, rate=rate, seed=seed), 4)

    return {
        "of": len(asked[0]),
        "by_way": {way: [share(way, n, BEST_RATES[way]) for n in labels] for way in WAYS},
        "by_rate": [share("everything", 16, rate) for rate in RATES],
    }


EXPERIMENT = Experiment("fine-tuning", (Trial("small BERT", SETTINGS),), train, measure)


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

    if name == "rates":
        rows = [
            [f"{rate:g}", cell([run["by_rate"][i] for run in runs])] for i, rate in enumerate(RATES)
        ]
        return Table(["rate", "right, 16 labels a kind"], rows, caption=source(result))
    return Table(
        ["trained", *(f"{count} labels a kind" for count in LABELS)],
        [
            [way, *(cell([run["by_way"][way][i] for run in runs]) for i in range(len(LABELS)))]
            for way in WAYS
        ],
        caption=f"Right among {len(KINDS)} kinds, mean (lowest and highest seed); {source(result)}",
    )
