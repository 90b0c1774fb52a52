"""The whole transformer as the code has it: tensors as boxes, and every arrow a call."""

from minitx.viz.colours import SCORE
from minitx.viz.svg import Box, Drawing, Number, Part, arrow, text

WIDE, HIGH = 48.0, 26.0
TOP, STEP = 30.0, 74.0  # of the uppermost tensor; from tensor to tensor
LEFT, RIGHT = 38.0, 246.0  # where the arrows of encoder and decoder are

ENCODER = (("src_embedding", "src_position"), ("attention",), ("feed_forward",))
DECODER = (
    ("tgt_embedding", "tgt_position"),
    ("self_attention",),
    ("cross_attention",),
    ("feed_forward",),
    ("output",),
)


def whole_transformer() -> Drawing:
    """Encoder left, decoder right, from the tokens at the bottom to the logits at the top."""
    memory, cross = TOP + 2 * STEP + HIGH / 2, TOP + 2.5 * STEP + HIGH / 2
    parts: list[Part] = [
        text(2, 12, "boxes are tensors,", anchor="start", bold=True),
        text(2, 31, "arrows are calls", anchor="start", bold=True),
        text(2, 62, "Inside the frames each", anchor="start"),
        text(2, 80, "goes through a Residual:", anchor="start"),
        text(2, 98, "add to x, then norm.", anchor="start"),
        _frame(4, 2, "encoder.blocks"),
        _frame(212, 1, "decoder.blocks"),
        *_column(LEFT, ("src", "x", "x", "memory"), ENCODER, ("T_{src}", "T_{src}, C", "", "")),
        *_column(
            RIGHT, ("tgt", "x", "x", "x", "x", "logits"), DECODER,
            ("T_{tgt}", "T_{tgt}, C", "", "", "T_{tgt}, C", "T_{tgt}, V"),
        ),
        text(82, memory - 22, "(B, T_{src}, C)"),
        arrow((LEFT + 34, memory), (206, memory), (206, cross), (RIGHT - 3, cross), width=2.5),
    ]  # fmt: skip
    alt = (
        "Boxes are tensors, arrows are calls, from the bottom up. Encoder: src, of shape (B, "
        "T_src); src_embedding and src_position make x; in each of encoder.blocks attention and "
        "feed_forward; what leaves the last block is memory, (B, T_src, C). Decoder: tgt, (B, "
        "T_tgt); tgt_embedding and tgt_position make x; in each of decoder.blocks self_attention, "
        "cross_attention and feed_forward; output makes logits, (B, T_tgt, V). One arrow leads "
        "from memory into cross_attention. In the blocks each call goes through a Residual: its "
        "result is added to x, and the sum normed."
    )
    return Drawing("The whole transformer, call by call", alt, 416, 430, parts)


def _column(
    x: Number, names: tuple[str, ...], calls: tuple[tuple[str, ...], ...], shapes: tuple[str, ...]
) -> list[Part]:
    """Tensors from the bottom up, their shapes beside them, and between them the calls."""
    boxes = [
        Box(x - wide / 2, TOP + STEP * (5 - i), wide, HIGH, name, fill=0.1, bold=True)
        for i, name in enumerate(names)
        for wide in (WIDE if len(name) < 6 else 66,)
    ]
    drawn: list[Part] = [*boxes]
    for box, shape in zip(boxes, shapes, strict=True):
        if shape:
            drawn += [text(x + box.width / 2 + 8, box.middle[1], f"(B, {shape})", anchor="start")]
    for below, above, words in zip(boxes, boxes[1:], calls, strict=False):
        drawn += [arrow(below.top, (x, above.bottom[1] + 2), width=2)]
        y = (below.y + above.y + HIGH) / 2
        for i, word in enumerate(words):
            drawn += [
                text(x + 12, y + 17 * (i - (len(words) - 1) / 2), _plain(word), anchor="start")
            ]
    return drawn


def _frame(x: Number, above: int, name: str) -> str:
    """Around one block, whose result is the tensor of that row, and which begins at row 4."""
    top, bottom = TOP + STEP * above + HIGH + 10, TOP + STEP * 4 - 10
    where = f'x="{x:g}" y="{top:g}" width="196" height="{bottom - top:g}" rx="8"'
    return (
        f'<rect {where} stroke="{SCORE}" stroke-dasharray="2 4"/>'
        + text(x + 190, (top + bottom) / 2 - (0 if above > 1 else STEP / 2), name, role="score",
               anchor="end")
    )  # fmt: skip


def _plain(name: str) -> str:
    """A name of the code, whose underscore lowers nothing."""
    return name.replace("_", r"\_")
