"""The heads of small number translators, trained while one waits: where they look, who is missed.

What a head does is guessed from where it looks and tried by removing it. Two controls keep the
guesses honest: another seed, and a training in which every number has the translation of another.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Literal

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from minitx import viz
from minitx.data.vocabulary import BOS, EOS
from minitx.measure import heads
from minitx.measure.heads import Head, Kind
from minitx.models.seq2seq import Transformer
from minitx.projects import translation
from minitx.projects.alignment import attention_weights
from minitx.projects.translation import Translator
from minitx.projects.translators import NUMBERS, Pair

SETTINGS = replace(NUMBERS.settings, d_model=64, num_layers=1, num_steps=600, max_lr=5e-3)
"""Half as wide as `minitx train numbers` and one layer deep: 12 heads, and seconds of training."""

Watched = Mapping[tuple[Kind, int], Sequence[Float[Tensor, "H T_q T_k"]]]


def learned(
    seed: int = 0, *, labels: Literal["right", "shuffled"] = "right", num_steps: int = 600
) -> Translator:
    """A translator trained here and now, from this seed.

    Args:
        seed: of the weights and the order of the examples.
        labels: "shuffled" gives every English number the French of another. There is then nothing
            in the English that would help, and still all of French to learn.
        num_steps: updates.
    """
    project = replace(NUMBERS, settings=replace(SETTINGS, seed=seed, num_steps=num_steps))
    if labels == "shuffled":
        project = replace(project, lessons=_shuffled)
    return translation.learned(project)


def _shuffled(pairs: list[Pair]) -> list[Pair]:
    sources, targets = zip(*NUMBERS.lessons(pairs), strict=True)
    return list(zip(sources, random.Random(0).sample(targets, len(targets)), strict=True))


def never_seen() -> list[Pair]:
    """Every fifth of the numbers held out, so that a score takes a tenth of a second."""
    return NUMBERS.split().test[::5]


@torch.no_grad()
def watched(translator: Translator, pairs: Iterable[Pair]) -> Watched:
    """The weights of every attention while the translator reads each pair, right answer included.

    Returns:
        One table per head and pair, by kind and layer.
    """
    model = _transformer(translator)
    attentions = heads.attentions(model)
    cores = [attention.core for attention in attentions.values()]
    seen: dict[tuple[Kind, int], list[Tensor]] = {place: [] for place in attentions}
    for pair in pairs:
        source, target = translator.ids(pair)
        src, tgt = torch.tensor([[*source, EOS]]), torch.tensor([[BOS, *target]])
        weights = attention_weights(cores, partial(model, src, tgt))
        for tables, table in zip(seen.values(), weights, strict=True):
            tables.append(table[0])
    return seen


def looks(translator: Translator) -> dict[Head, dict[str, float]]:
    """Each head's mean weight on the places of `heads.places`, over numbers never seen.

    The decoder's first query is left out, which has only one key to look at.
    """
    found = {}
    for head, tables in _by_head(translator):
        skip = int(head.kind == "decoder")
        shares = [heads.places(table[[head.number - 1]], skip=skip) for table in tables]
        found[head] = {
            name: float(torch.stack([share[name] for share in shares]).nanmean())
            for name in shares[0]
        }
    return found


def first_if_even(translator: Translator) -> float:
    """What `looks` would find at "first" in a decoder's head that spreads its weight evenly."""
    tables = watched(translator, never_seen()[::5])["decoder", 1]
    return fmean(fmean(1 / i for i in range(2, len(table[0]) + 1)) for table in tables)


def widths(translator: Translator) -> dict[Head, float]:
    """Among how many keys each head divides its weight, on the mean: `heads.effective_keys`."""
    return {
        head: float(
            torch.cat([heads.effective_keys(table[head.number - 1]) for table in tables]).mean()
        )
        for head, tables in _by_head(translator)
    }


def _by_head(translator: Translator) -> list[tuple[Head, Sequence[Tensor]]]:
    seen = watched(translator, never_seen()[::5])
    return [
        (head, seen[head.kind, head.layer]) for head in heads.heads_of(_transformer(translator))
    ]


def right_without(translator: Translator, removed: Iterable[Head], *, every: int = 1) -> float:
    """Of every n-th of `never_seen`: what share is fully right while some heads are 0."""
    pairs = never_seen()[::every]
    with heads.without(_transformer(translator), list(removed)):
        return translation.scored(translator, pairs).right / len(pairs)


def pruned(translator: Translator, *, every: int = 1) -> dict[str, dict[Kind, float]]:
    """What is right without each head, with each head alone, and with none, kind by kind.

    Within a kind only; the other kinds keep all their heads. Of `never_seen`, every n-th is read.
    """
    present = heads.heads_of(_transformer(translator))
    right = partial(right_without, translator, every=every)
    kinds: dict[Kind, list[Head]] = {}
    for head in present:
        kinds.setdefault(head.kind, []).append(head)
    numbers = sorted({head.number for head in present})

    def row(number: int, *, alone: bool) -> dict[Kind, float]:
        return {
            kind: right([h for h in own if (h.number == number) != alone])
            for kind, own in kinds.items()
        }

    return {
        **{f"without head {number}": row(number, alone=False) for number in numbers},
        **{f"only head {number}": row(number, alone=True) for number in numbers},
        "no head at all": {kind: right(own) for kind, own in kinds.items()},
    }


def worst_and_best(pruned: Mapping[str, Mapping[Kind, float]]) -> dict[str, dict[Kind, float]]:
    """Of what `pruned` told, kind by kind: the worst single loss, the best single head, and none.

    >>> shares = {"without 1": 0.9, "without 2": 0.4, "only 1": 0.2, "no head at all": 0.0}
    >>> told = {name: {"cross": share} for name, share in shares.items()}
    >>> [row["cross"] for row in worst_and_best(told).values()]
    [0.4, 0.2, 0.0]
    """
    none = dict(pruned["no head at all"])

    def shares(start: str, kind: Kind) -> list[float]:
        return [row[kind] for name, row in pruned.items() if name.startswith(start)]

    return {
        "without one, worst": {kind: min(shares("without", kind)) for kind in none},
        "only one, best": {kind: max(shares("only", kind)) for kind in none},
        "none": none,
    }


def picture(table: Mapping[object, Mapping[str, float]], *, column_axis: str) -> Figure:
    """Named rows of named numbers as a heat table."""
    rows = [list(row.values()) for row in table.values()]
    columns = list(next(iter(table.values())))
    return viz.heat_table(rows, rows=[*map(str, table)], columns=columns, column_axis=column_axis)


def _transformer(translator: Translator) -> Transformer:
    if not isinstance(translator.model, Transformer):
        raise TypeError(f"only a Transformer has heads, got a {type(translator.model).__name__}")
    return translator.model
