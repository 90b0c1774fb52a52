"""Worked examples of what a model in the page does without some of its parts."""

import math

import torch
from torch import Tensor

from minitx.data.vocabulary import BOS, EOS
from minitx.measure.heads import Head, attentions, without
from minitx.models.seq2seq import Transformer
from minitx.positions import NoPosition
from minitx.projects.page.reading import Read, written
from minitx.projects.page.tables import heat_table, table
from minitx.projects.translation import Translator


def heads_example(translator: Translator, data: dict[str, str]) -> str:
    """Each head off by itself, and one attention in which a single head is left."""
    model = translator.model
    assert isinstance(model, Transformer)  # script.read makes no other
    ids = translator.encode(data["text"])
    read = Read.of(translator, ids)

    def alone(head: Head) -> str:
        with without(model, [head]):
            mean, same = _kept(model, read)
        return f"{100 * mean:.0f}" if same else f"≠ {100 * mean:.0f}"

    places = attentions(model)
    rows = [
        [f"{kind} {layer}", *(alone(Head(kind, layer, n + 1)) for n in range(attention.num_heads))]
        for (kind, layer), attention in places.items()
    ]
    count = places["cross", 1].num_heads
    last = max(layer for kind, layer in places if kind == "cross")
    others = [Head("cross", last, n) for n in range(2, count + 1)]
    with without(model, others):
        pruned = Read.of(translator, ids)
    typed = " ".join(read.src[:-1])
    return "\n".join(
        [
            f"The translator reads “{typed}” and writes “{written(read)}”. Each of its "
            f"{count * len(places)} heads is switched off by itself. How probable the words of "
            "this translation still are, each after the words before it, on average and in percent "
            f"(with every head {100 * _kept(model, read)[0]:.0f}; ≠ where other words win):",
            "",
            table(["attention", *(f"head {n + 1}" for n in range(count))], rows),
            "",
            f"Head 1 of the cross-attention in layer {last} looks here (rows are queries, columns "
            "keys, in hundredths):",
            "",
            heat_table("query", read.rows, read.src, _weights(read, "cross", last, 1)),
            "",
            "With the other heads of this attention off, the translator writes "
            f"“{written(pruned)}”.",
        ]
    )


def positions_example(translator: Translator, data: dict[str, str]) -> str:
    """The words as they are and in reverse, with positions and without."""
    model = translator.model
    assert isinstance(model, Transformer)
    ids = translator.encode(data["text"])
    orders = {"as typed": ids, "reversed": ids[::-1]}
    reads = {("on", name): Read.of(translator, order) for name, order in orders.items()}
    changed = [_change(model, *orders.values())]
    model.src_position, model.tgt_position = NoPosition(), NoPosition()
    reads |= {("off", name): Read.of(translator, order) for name, order in orders.items()}
    changed.append(_change(model, *orders.values()))
    typed, turned = (
        heat_table("query", read.src, read.src, _weights(read, "encoder", 1, 1))
        for read in (reads["off", name] for name in orders)
    )
    return "\n".join(
        [
            "The translator reads a number whose words stand as typed, then in reverse, with "
            "positions in encoder and decoder and without:",
            "",
            table(
                ["positions", "words read", "words written"],
                [
                    [positions, " ".join(read.src[:-1]), written(read)]
                    for (positions, _), read in reads.items()
                ],
            ),
            "",
            "Reversing the words changes the encoder's vector of a word by up to "
            f"{100 * changed[0]:.0f}\u00a0% of its length with positions, and by "
            f"{100 * changed[1]:.0f}\u00a0% without: the vectors are then the same, in another "
            "order. So are the weights, here those of head 1 of the encoder's self-attention in "
            "layer 1, in hundredths (rows are queries, columns keys):",
            "",
            typed,
            "",
            turned,
        ]
    )


@torch.no_grad()
def _kept(model: Transformer, read: Read) -> tuple[float, bool]:
    """Mean probability of the words written, and whether each is the most probable one."""
    inputs = torch.cat([torch.full((1, 1), BOS), read.tgt_ids[:, :-1]], dim=1)
    shares = model(read.src_ids, inputs).softmax(-1)
    mean = shares.gather(-1, read.tgt_ids[..., None]).mean()
    return float(mean), bool((shares.argmax(-1) == read.tgt_ids).all())


@torch.no_grad()
def _change(model: Transformer, before: list[int], after: list[int]) -> float:
    """The largest change of a token's encoder vector if they are reversed, in its lengths."""
    a, b = (model.encode(torch.tensor([[*ids, EOS]]))[0] for ids in (before, after))
    b = torch.cat([b[:-1].flip(0), b[-1:]])
    return float(((b - a).norm(dim=-1) / a.norm(dim=-1)).max())


def _weights(read: Read, kind: str, layer: int, head: int) -> Tensor:
    """An unmasked head's weights."""
    q, k, _ = read.head(kind, layer, head)
    return (q @ k.mT / math.sqrt(q.size(-1))).softmax(-1)
