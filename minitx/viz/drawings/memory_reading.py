"""Which output of the encoder a layer of the decoder reads: the last one, every time."""

from itertools import pairwise

from minitx.viz.colours import Role
from minitx.viz.svg import Box, Drawing, Number, Part, arrow, line, text

LAYERS = 3


LEFT, RIGHT = 4.0, 218.0  # of the two panels
LETTERS: tuple[tuple[Role, float, float], ...] = (("k", 88, -6), ("v", 100, 6))


def memory_to_every_layer() -> Drawing:
    """Left, memory goes to every layer of the decoder; right, layer by layer, crossed out."""
    parts: list[Part] = [
        line((208, 8), (208, 350), role="score", dashed=True),
        text(LEFT + 97, 12, "✓ all read memory", bold=True),
        text(RIGHT + 97, 12, "✗ layer reads layer", bold=True),
        *_as_it_is(LEFT),
        *_crossed_out(RIGHT),
    ]
    parts += [text(101, 326, "the encoder's last output,"), text(101, 344, "read by every layer")]
    parts += [text(315, 326, "often drawn so,"), text(315, 344, "and not what is computed")]
    alt = (
        f"Twice an encoder and a decoder of {LAYERS} layers each, drawn from the bottom up. Left, "
        "as it is: above the encoder's last layer stands memory, its output, and lines for k and v "
        "lead from memory to every layer of the decoder. Right, crossed out: dashed arrows from "
        "layer 1 of the encoder to layer 1 of the decoder, from 2 to 2 and from 3 to 3. That is "
        "often drawn, and not what is computed."
    )
    return Drawing("Every layer reads memory", alt, 416, 356, parts)


def _as_it_is(x: Number) -> list[Part]:
    """From memory a line for k and one for v, with an arrow into each layer of the decoder."""
    encoder, decoder = _stack(x), _stack(x + 122)
    memory = Box(x, 40, 72, 28, "memory", fill=0.3, bold=True)
    drawn = [*_climb(encoder, "encoder"), *_climb(decoder, "decoder"), memory]
    drawn += [arrow(encoder[-1].top, (memory.bottom[0], memory.bottom[1] + 3))]
    for letter, across, up in LETTERS:
        at, start = x + across, memory.right[1] + up
        lowest = decoder[0].left[1] + up
        drawn += [line((memory.right[0] + 2, start), (at, start), (at, lowest), role=letter,
                       width=2)]  # fmt: skip
        drawn += [
            arrow((at, box.left[1] + up), (box.x - 2, box.left[1] + up), role=letter, width=2)
            for box in decoder
        ]
    return [
        *drawn,
        text(x + 84, 34, "k", role="k", bold=True),
        text(x + 112, 60, "v", role="v", bold=True),
    ]


def _crossed_out(x: Number) -> list[Part]:
    encoder, decoder = _stack(x), _stack(x + 122)
    drawn = [*_climb(encoder, "encoder"), *_climb(decoder, "decoder")]
    drawn += [
        arrow((a.right[0] + 2, a.right[1]), (b.x - 2, b.left[1]), role="score", dashed=True)
        for a, b in zip(encoder, decoder, strict=True)
    ]
    middle, y = x + 97, encoder[1].middle[1]
    return [
        *drawn,
        line((middle - 19, y - 60), (middle + 19, y + 60), width=4),
        line((middle - 19, y + 60), (middle + 19, y - 60), width=4),
    ]


def _stack(x: Number) -> list[Box]:
    """From the bottom up."""
    return [Box(x, 226 - 58 * i, 72, 32, f"layer {i + 1}", fill=0.08) for i in range(LAYERS)]


def _climb(stack: list[Box], name: str) -> list[Part]:
    """The layers, arrows from each to the next, and below them the name of their stack."""
    x = stack[0].bottom[0]
    drawn: list[Part] = [text(x, 296, name), arrow((x, 284), (x, stack[0].bottom[1] + 3)), *stack]
    return drawn + [arrow(below.top, (x, above.bottom[1] + 3)) for below, above in pairwise(stack)]
