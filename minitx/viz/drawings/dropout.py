"""Where dropout stands in the transformer of 2017."""

from minitx.viz.colours import Role
from minitx.viz.drawings.road import detour, on_road, rejoins, road, stops
from minitx.viz.svg import Box, Drawing, Part, arrow, plate, text

RATE = 0.1  # Vaswani et al. 2017, §5.4


def drop_places() -> Drawing:
    """The way into a block and through it, with three numbered places."""
    x, top, left = 40.0, 150.0, 92.0
    pitch = rejoins(0, 1) + 74
    bottom = top + 2 * pitch - 10
    parts: list[Part] = [Box(2, 4, 190, 28, "embedding + position", fill=0.06)]
    parts += [arrow((x, 32), (x, 100)), *road(x, 104, bottom)]
    parts += [plate(1, (x, x), 66)]
    for i, sublayer in enumerate(("attention", "feed-forward")):
        y = top + i * pitch
        parts += detour(x, y, stops(left, 116, y, [sublayer]))
        back = rejoins(y, 1)
        parts += [plate(2 + i, (96, 96), back)]
        parts += [text(232, back - 10, f"{2 + i}: after {sublayer},", anchor="start", bold=True)]
        parts += [text(232, back + 10, "before the sum", anchor="start")]
        parts += on_road(x, back + 20, "norm")
    parts += [text(232, 66, "1: on what enters", anchor="start", bold=True)]
    for row, words in enumerate((
        f"In training each number becomes 0 with probability {RATE:g};",
        f"the others are divided by {1 - RATE:g}. Never on the road.",
        "Our code drops attention weights, too, and numbers",
        "inside the feed-forward network, as the authors' does.",
    )):  # fmt: skip
        role: Role = "ink" if row < 2 else "score"
        parts += [text(2, bottom + 22 + 19 * row + 7 * (row > 1), words, anchor="start", role=role)]
    alt = (
        "A flow from embedding plus position into a block with two sublayers, attention and "
        "feed-forward, beside a straight road. Dropout stands in three places. 1: on what enters "
        "the stack, embedding plus position. 2: after attention, before the sum on the "
        "road. 3: after the feed-forward network, before the sum. In training each number "
        f"becomes 0 with probability {RATE:g}, and the others are divided by {1 - RATE:g}. Nothing "
        "is dropped on the road. Our code drops attention weights, too, and numbers inside the "
        "feed-forward network, as the authors' does."
    )
    return Drawing("Three places of dropout", alt, 416, bottom + 100, parts)
