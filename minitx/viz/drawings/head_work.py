"""The products behind the scores as a block: added up in one piece, or slice by slice."""

from minitx.viz.colours import PAPER, ROLES
from minitx.viz.drawings.heads import sheets
from minitx.viz.svg import Drawing, Part, Point, arrow, shape, text

T, H, D = 5, 3, 4
FACE, DEPTH = 80.0, 7.0  # of the front; of one product, backwards


def one_wide_head() -> Drawing:
    """All products of q and k: one block for one wide head, the same in slices for three."""
    C = H * D
    parts: list[Part] = []
    told = []
    for x, heads, name in ((12.0, 1, "one wide head"), (220.0, H, f"{H} heads")):
        width = C // heads
        products = heads * T * T * width
        parts += [text(x + 88, 12, name, bold=True)]
        gap = 12.0 if heads > 1 else 0.0
        for head in reversed(range(heads)):
            start = head * (width * DEPTH + gap) * 0.7
            parts += _slab((x + 4 + start, 128 - start), width)
        parts += [text(x + 44, 222, "T × T pairs")]
        parts += [text(x + 88, 246, f"{products} products")]
        parts += [arrow((x + 44, 262), (x + 44, 300), width=2)]
        parts += [text(x + 58, 281, f"sums of {width}", anchor="start")]
        parts += sheets((x + 8, 312), heads, T, T, 15, "score")
        tables = "1 table" if heads == 1 else f"{heads} tables"
        parts += [text(x + 116, 350, tables, anchor="start", bold=True)]
        told += [f"{name}: {products} products, added up {width} at a time, make {tables}"]
    alt = (
        f"For {T} tokens of width {C}, every pair of a query and a key has {C} products: a block, "
        f"{T} by {T} and {C} deep. {'; '.join(told)} of {T} by {T} scores. The block is the same; "
        "with several heads it is cut into slices, and each slice is added up by itself."
    )
    return Drawing("The same work, cut differently", alt, 416, 412, parts)


def _slab(corner: Point, width: int) -> list[Part]:
    """A block as seen from the front, a little from above and from the right."""
    x, y = corner
    back = 0.7 * width * DEPTH
    outline = f"M{x:g},{y:g} l{back:g},{-back:g} h{FACE:g} v{FACE:g} l{-back:g},{back:g}"
    lines = [f"M{x:g},{y + i * FACE / T:g} h{FACE:g}" for i in range(1, T)]
    lines += [f"M{x + i * FACE / T:g},{y:g} v{FACE:g}" for i in range(1, T)]
    return [
        f'<path d="{outline} h{-FACE:g} Z" fill="{PAPER}"/>',
        shape(f"M{x},{y} h{FACE} v{FACE} h{-FACE} Z", role="score", fill=0.3),
        shape(f"M{x},{y} l{back},{-back} h{FACE} l{-back},{back} Z", role="score", fill=0.12),
        shape(f"M{x + FACE},{y} l{back},{-back} v{FACE} l{-back},{back} Z", role="score", fill=0.2),
        f'<path d="{" ".join(lines)}" stroke="{ROLES["score"]}" stroke-width="1"/>',
    ]
