"""The worked example of the decoder's residual stream, layer by layer."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from minitx.data.vocabulary import BOS
from minitx.models.seq2seq import Transformer
from minitx.projects.page.reading import Read, shown, written
from minitx.projects.page.tables import table
from minitx.projects.translation import Translator

SUBLAYERS = {
    "self_attention": "self-attention",
    "cross_attention": "cross-attention",
    "feed_forward": "feed-forward",
}


@dataclass(frozen=True)
class Station:
    """The stream at one place of the decoder, of all words (T, C).

    Args:
        label: of its row; "embedded" is the first.
        y: the stream there.
        x: the stream before the sublayer; None before the first.
        added: what the sublayer gave.
    """

    label: str
    y: Tensor
    x: Tensor | None = None
    added: Tensor | None = None


@torch.no_grad()
def stations(model: Transformer, read: Read) -> list[Station]:
    """The stream behind the embedding and behind each sublayer, when a translation is read."""
    behind: list[Station] = []
    given: list[Tensor] = []

    def note_result(_: nn.Module, __: Any, result: Tensor) -> None:
        given.append(result[0])

    def note(label: str, x: Tensor, y: Tensor) -> None:
        behind.append(Station(label, y[0], x[0], given[-1]))

    handles = []
    for layer, block in enumerate(model.decoder.blocks):
        for name, label in SUBLAYERS.items():
            row = f"{layer + 1}: {label}"
            handles += [
                block.get_submodule(name).register_forward_hook(note_result),
                block.get_submodule(f"{name}_residual").register_forward_hook(
                    lambda _, inputs, y, row=row: note(row, inputs[0], y)
                ),
            ]
    begin = torch.tensor([[BOS]])
    model(read.src_ids, torch.cat([begin, read.tgt_ids[:, :-1]], dim=1))
    for handle in handles:
        handle.remove()
    first = behind[0].x
    assert first is not None
    return [Station("embedded", first), *behind]


@torch.no_grad()
def stream_example(translator: Translator, data: dict[str, str]) -> str:
    """What the output layer would write after each layer, and the way of one word."""
    model = translator.model
    assert isinstance(model, Transformer)  # script.read makes no other
    read = Read.of(translator, translator.encode(data["text"]))
    all_stations = stations(model, read)
    layers = range(0, len(all_stations), len(SUBLAYERS))
    best = [model.output(station.y).softmax(-1).max(-1) for station in all_stations]

    def word(n: int, t: int) -> str:
        return shown(translator.tgt.tokens[best[n].indices[t]])

    def percent(n: int, t: int) -> str:
        return f"{100 * float(best[n].values[t]):.0f}"

    def cell(n: int, t: int) -> str:
        same = best[n].indices[t] == read.tgt_ids[0, t]
        return f"{'' if same else '≠ '}{word(n, t)} {percent(n, t)}"

    decided = int((best[layers[-2]].indices == read.tgt_ids[0]).sum())
    titles = ["embedded", *(f"layer {n + 1}" for n in range(len(layers) - 1))]
    chosen = int(data["word"]) - 1
    return "\n".join(
        [
            f"The translator reads “{' '.join(read.src[:-1])}” and writes “{written(read)}”. What "
            "its output layer would write if it read the decoder's stream already there, with the "
            "probability in percent (≠ where it is another word than the one written at last; "
            f"{decided} of {len(read.tgt)} words stand there before the last layer):",
            "",
            table(
                ["word", *titles],
                [[row, *(cell(n, t) for n in layers)] for t, row in enumerate(read.rows)],
            ),
            "",
            f"The way of “{read.rows[chosen]}”, sublayer by sublayer: how long the vector is that "
            "is added, by how many degrees the stream turns, and how long it is then:",
            "",
            table(
                ["behind", "would write", "with", "added", "turns by", "length"],
                [
                    [
                        station.label,
                        word(n, chosen),
                        f"{percent(n, chosen)}\u00a0%",
                        *_moved(station, chosen),
                        f"{float(station.y[chosen].norm()):.1f}",
                    ]
                    for n, station in enumerate(all_stations)
                ],
            ),
        ]
    )


def _moved(station: Station, t: int) -> tuple[str, str]:
    """Length of what is added to a word, and the angle by which its stream turns."""
    if station.x is None or station.added is None:
        return "", ""
    cosine = torch.cosine_similarity(station.x[t], station.y[t], dim=0).clamp(max=1)
    return f"{float(station.added[t].norm()):.1f}", f"{float(cosine.acos().rad2deg()):.0f}°"
