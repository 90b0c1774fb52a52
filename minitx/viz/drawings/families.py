"""The three families of transformers: what a token may see, what it learns from, what it is for."""

from dataclasses import dataclass

import numpy as np

from minitx import numpy_core
from minitx.viz.svg import Drawing, Number, Part, grid, line, text

T = 4


@dataclass(frozen=True)
class Family:
    """One of them, in the words of the drawing; lines are parted by a line break."""

    name: str
    models: str
    sees: str
    learns: str
    used: str


FAMILIES = (
    Family(
        "encoder only",
        "BERT",
        sees="both sides",
        learns="words that\nwere hidden",
        used="to classify,\ntag, search",
    ),
    Family(
        "decoder only",
        "GPT",
        sees="what came\nbefore",
        learns="the next word,\nat every place",
        used="to write,\nto go on",
    ),
    Family(
        "both",
        "T5, BART",
        sees="the source,\nown past",
        learns="the target,\nword by word",
        used="to translate,\nsummarise",
    ),
)


def three_families() -> Drawing:
    """Three columns: the mask, what is seen, the loss, the use."""
    wide, cell = 140.0, 18.0
    rows = {"sees": 218.0, "learns": 284.0, "used": 350.0}
    titles = {"sees": "a token sees", "learns": "it learns from", "used": "it is used"}
    parts: list[Part] = []
    told = []
    for number, family in enumerate(FAMILIES):
        x = 2 + number * wide
        parts += [text(x, 12, family.name, anchor="start", bold=True)]
        parts += [text(x, 31, family.models, anchor="start", role="score")]
        if number:
            parts += [line((x - 8, 4), (x - 8, 374), role="score", dashed=True)]
        parts += _masks(x, 56, cell, number)
        for field, y in rows.items():
            parts += [text(x, y - 18, titles[field], anchor="start", role="score")]
            for i, words in enumerate(getattr(family, field).split("\n")):
                parts += [text(x, y + 18 * i, words, anchor="start")]
        said = ", ".join(
            f"{titles[field]} {getattr(family, field)}".replace("\n", " ") for field in rows
        )
        told += [f"{family.name}, {family.models}: {said}"]
    parts += [text(2, 146, "rows: queries", anchor="start", role="q")]
    parts += [text(2, 165, "filled: seen", anchor="start", role="score")]
    alt = (
        f"Three columns, each with its masks. {'. '.join(told)}. The mask of the first is full, "
        "that of the second a triangle; the third has a full one in the encoder, and in the "
        "decoder a triangle, beside it a full rectangle over the encoder's words."
    )
    return Drawing("Three families", alt, 416, 380, parts)


def _masks(x: Number, y: Number, cell: Number, number: int) -> list[Part]:
    full, triangle = np.ones((T, T), dtype=bool), numpy_core.causal_allowed(T, T)
    if number == 0:
        return _mask(x, y, full, cell)
    if number == 1:
        return _mask(x, y, triangle, cell)
    small = cell * 0.8
    across, down = x + T * small + 6, y + T * small + 6
    return [
        *_mask(x, y, full, small),
        text(across, y + 8, "encoder", anchor="start"),
        text(across, down - 16, "decoder", anchor="start"),
        *_mask(x, down, full[:3], small),
        *_mask(across, down, triangle[:3, :3], small),
        text(x + T * small / 2, down + 3 * small + 12, "source", role="k"),
        text(across + 1.5 * small, down + 3 * small + 12, "own", role="k"),
    ]


def _mask(x: Number, y: Number, table: np.ndarray, cell: Number) -> list[Part]:
    labels = [[""] * table.shape[1]] * table.shape[0]
    return [*grid(x, y, labels, cell=(cell, cell), fill=np.where(table, 0.45, 0).tolist())]
