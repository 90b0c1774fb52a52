"""The products behind the scores as a block: added up in one piece, or slice by slice."""

from minitx.viz.colours import PAPER, ROLES
from minitx.viz.drawings.heads import STEP, sheets
from minitx.viz.svg import Drawing, Number, Part, Point, arrow, shape, text

T, H, D = 5, 3, 4
FACE, BACK = 75.0, 4.6  # a side of the front; of one product, backwards
GAP = 8.0  # between slices


def products(heads: int) -> int:
    """Multiplications of all scores: C / heads for every head and pair of tokens.

    >>> products(1), products(H)
    (300, 300)
    """
    return heads * T * T * (H * D // heads)


def one_wide_head() -> Drawing:
    """All products of queries and keys: one block for a wide head, the same in slices for three."""
    parts: list[Part] = []
    told = []
    for left, heads, name in ((0.0, 1, "one wide head"), (214.0, H, f"{H} heads")):
        x, wide = left + 54, H * D // heads
        parts += [text(left + 100, 12, name, bold=True)]
        for head in reversed(range(heads)):
            start = head * (wide * BACK + GAP)
            parts += _slab((x + start, 112 - start), wide)
        back = wide * BACK
        letter = "C" if heads == 1 else "D"
        parts += [text(x + back / 2 - 8, 112 - back / 2 - 4, f"{letter} = {wide}", anchor="end")]
        parts += [text(x - 8, 112 + FACE / 2, f"T = {T}", anchor="end")]
        factors = [T, T, wide] if heads == 1 else [heads, T, T, wide]
        sum_of = " · ".join(map(str, factors))
        parts += [text(x + 40, 208, f"{sum_of} = {products(heads)}", bold=True)]
        parts += [text(x + 40, 227, "products")]
        parts += [arrow((x + FACE / 2, 246), (x + FACE / 2, 284), width=2)]
        parts += [text(x + FACE / 2 + 12, 255, "each score", anchor="start")]
        parts += [text(x + FACE / 2 + 12, 274, f"adds up {wide}", anchor="start")]
        top = 296 + (H - heads) * STEP  # the foremost sheets at the same height
        parts += sheets((x, top), heads, T, T, FACE / T, "score")
        tables = "1 table" if heads == 1 else f"{heads} tables"
        parts += [text(x + FACE / 2, 296 + (H - 1) * STEP + FACE + 18, tables, bold=True)]
        told += [f"{name}: {sum_of} = {products(heads)} products, of which {wide} make a score, "
                 f"{tables} of scores"]  # fmt: skip
    alt = (
        f"For {T} queries and {T} keys of width C = {H * D}, the products of their numbers fill a "
        f"block, {T} by {T} and {H * D} deep. {'; '.join(told)}. With several heads the same block "
        "is cut into slices, and every slice is added up by itself."
    )
    return Drawing("The same work, cut differently", alt, 416, 416, parts)


def _slab(corner: Point, deep: Number) -> list[Part]:
    """A block as seen from the front, a little from above and from the right."""
    x, y = corner
    back = deep * BACK
    outline = f"M{x:g},{y:g} l{back:g},{-back:g} h{FACE:g} v{FACE:g} l{-back:g},{back:g} h{-FACE:g}"
    lines = [f"M{x:g},{y + i * FACE / T:g} h{FACE:g}" for i in range(1, T)]
    lines += [f"M{x + i * FACE / T:g},{y:g} v{FACE:g}" for i in range(1, T)]
    return [
        f'<path d="{outline} Z" fill="{PAPER}"/>',
        shape(f"M{x},{y} h{FACE} v{FACE} h{-FACE} Z", role="score", fill=0.3),
        shape(f"M{x},{y} l{back},{-back} h{FACE} l{-back},{back} Z", role="score", fill=0.1),
        shape(f"M{x + FACE},{y} l{back},{-back} v{FACE} l{-back},{back} Z", role="score", fill=0.2),
        f'<path d="{" ".join(lines)}" stroke="{ROLES["score"]}" stroke-width="1"/>',
    ]
