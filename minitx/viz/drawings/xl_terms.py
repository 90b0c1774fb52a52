"""The four terms of a score in Transformer-XL, as tables."""

import numpy as np

from minitx.viz.colours import SCORE
from minitx.viz.svg import Drawing, Part, text

T, D = 8, 8


def terms() -> dict[str, np.ndarray]:
    """Each term's table for one head with weights drawn at random.

    >>> by_distance = terms()["vr"]
    >>> bool(np.allclose(by_distance[1:, 1:], by_distance[:-1, :-1]))      # one value a diagonal
    True
    """
    import torch

    from minitx.positions import TransformerXL, positions_from

    position = TransformerXL(1, D)
    random = np.random.default_rng(0)

    def drawn(*size: int) -> torch.Tensor:
        return torch.from_numpy(random.normal(size=size).astype("float32"))

    q, k, u, v = drawn(1, 1, T, D), drawn(1, 1, T, D), drawn(1, D), drawn(1, D)
    places, none = positions_from(0, T), torch.zeros(1, D)

    def bias(q: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> np.ndarray:
        position.u.copy_(u)
        position.v.copy_(v)
        found = position.bias(q, k, places, places)
        assert found is not None
        table: np.ndarray = found[0, 0].numpy()
        return table

    with torch.no_grad():
        position.r_proj.weight.copy_(drawn(D, D))
        return {
            "qk": (q @ k.mT / D**0.5)[0, 0].numpy(),
            "qr": bias(q, none, none),
            "uk": bias(0 * q, u, none),
            "vr": bias(0 * q, none, v),
        }


def xl_terms() -> Drawing:
    """Who asks, and for what: four small tables, with no pattern, stripes and diagonals."""
    cell, left, top, step_x, step_y = 15.0, 122.0, 78.0, 156.0, 170.0
    parts: list[Part] = []
    for column, (name, what) in enumerate(
        (("what stands there", "*k*_j"), ("how far it is", "*r*_{*i−j*}"))
    ):
        x = left + column * step_x + T * cell / 2
        parts += [text(x, 12, name, bold=True), text(x, 34, what, role="k")]
    for row, (name, what) in enumerate((("this query", "*q*_i"), ("any query", "*u*, *v*"))):
        y = top + row * step_y + T * cell / 2
        parts += [text(4, y - 10, name, anchor="start", bold=True)]
        parts += [text(4, y + 12, what, anchor="start", role="q")]
    names = {"qk": "*q*_i · *k*_j", "qr": "*q*_i · *r*", "uk": "*u* · *k*_j", "vr": "*v* · *r*"}
    for number, (name, table) in enumerate(terms().items()):
        x, y = left + number % 2 * step_x, top + number // 2 * step_y
        parts += [text(x + T * cell / 2, y - 12, names[name])]
        shade = (table - table.min()) / np.ptp(table)
        parts += [
            f'<rect x="{x + j * cell:g}" y="{y + i * cell:g}" width="{cell:g}" height="{cell:g}" '
            f'fill="{SCORE}" fill-opacity="{0.9 * shade[i, j]:.2f}"/>'
            for i, j in np.ndindex(T, T)
        ]
    alt = (
        "Four tables of scores. This query asks what stands there, q times k: no pattern. This "
        "query asks how far it is, q times r: each row has its own profile over distances. Any "
        "query asks what stands there, u times k: columns, each key has one value. Any query asks "
        "how far it is, v times r: one value along each diagonal. The score is their sum."
    )
    return Drawing("Four terms of a score", alt, 416, top + step_y + T * cell + 12, parts)
