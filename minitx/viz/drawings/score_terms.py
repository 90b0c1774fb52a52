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

    position = TransformerXL(1, D, d_model=2).double()  # one pair of sinusoids, the fast one
    random = np.random.default_rng(0)

    def drawn(*size: int) -> torch.Tensor:
        return torch.from_numpy(random.normal(size=size))

    q, k, u, v = drawn(1, 1, T, D), drawn(1, 1, T, D), drawn(1, D), drawn(1, D)
    places, none = positions_from(0, T), torch.zeros(1, D, dtype=torch.float64)

    def bias(q: torch.Tensor, u: torch.Tensor, v: torch.Tensor) -> np.ndarray:
        position.u.copy_(u)
        position.v.copy_(v)
        found = position.bias(q, k, places, places)
        assert found is not None
        table: np.ndarray = found[0, 0].numpy()
        return table

    with torch.no_grad():
        position.r_proj.weight.copy_(drawn(D, 2))
        return {
            "qk": (q @ k.mT / D**0.5)[0, 0].numpy(),
            "qr": bias(q, none, none),
            "uk": bias(0 * q, u, none),
            "vr": bias(0 * q, none, v),
        }


def xl_terms() -> Drawing:
    """Who asks, and for what: four small tables, with no pattern, stripes and diagonals."""
    cell, left, top, step_x, step_y = 15.0, 112.0, 90.0, 168.0, 200.0
    side = T * cell
    parts: list[Part] = []
    columns = (("what stands there?", "key *k*_j"), ("how far is it?", "*r* of the distance"))
    for column, (asked, by) in enumerate(columns):
        x = left + column * step_x + side / 2
        parts += [text(x, 12, asked, bold=True), text(x, 34, by, role="k")]
    for row, (asking, by) in enumerate((("this query", "*q*_i"), ("any query", "*u* or *v*"))):
        y = top + row * step_y + side / 2
        parts += [text(4, y - 10, asking, anchor="start", bold=True)]
        parts += [text(4, y + 12, by, anchor="start", role="q")]
        parts += [text(left + step_x - (step_x - side) / 2, y, "+", bold=True, size=20)]
    parts += [text(left + step_x - (step_x - side) / 2, top + step_y - 34, "+", bold=True, size=20)]
    names = {
        "qk": ("*q*_i · *k*_j", "no pattern"),
        "qr": ("*q*_i · *r*", "a wave per query"),
        "uk": ("*u* · *k*_j", "one value per key"),
        "vr": ("*v* · *r*", "one per distance"),
    }
    for number, (term, table) in enumerate(terms().items()):
        x, y = left + number % 2 * step_x, top + number // 2 * step_y
        name, pattern = names[term]
        parts += [text(x + side / 2, y - 18, name, bold=True)]
        parts += [text(x + side / 2, y + side + 14, pattern)]
        shade = (table - table.min()) / np.ptp(table)
        parts += [
            f'<rect x="{x + j * cell:g}" y="{y + i * cell:g}" width="{cell:g}" height="{cell:g}" '
            f'fill="{SCORE}" fill-opacity="{0.05 + 0.9 * shade[i, j]:.2f}"/>'
            for i, j in np.ndindex(T, T)
        ]
    alt = (
        "Four tables of scores, which are added. This query asks what stands there, q times k: no "
        "pattern. This query asks how far it is, q times r: each row has a wave of its own. Any "
        "query asks what stands there, u times k: columns, one value for each key. Any query asks "
        "how far it is, v times r: one value along each diagonal."
    )
    return Drawing("Four terms of a score", alt, 416, top + step_y + side + 28, parts)
