"""Which output of the encoder a layer of the decoder reads: the last one, every time."""

from itertools import pairwise

from minitx.viz.svg import Box, Drawing, Number, Part, arrow, line, text

LAYERS = 3


def memory_to_every_layer() -> Drawing:
    """Left, memory goes to every layer of the decoder; right, layer by layer, crossed out."""
    parts: list[Part] = [line((208, 8), (208, 350), role="score", dashed=True)]
    for x, name in ((4.0, "✓ all read memory"), (218.0, "✗ layer reads layer")):
        parts += [text(x + 97, 12, name, bold=True)]
        encoder, decoder = _stack(x), _stack(x + 122)
        parts += [text(x + 36, 296, "encoder"), text(x + 158, 296, "decoder")]
        parts += [*_climb(encoder), *_climb(decoder)]
        if x < 208:
            memory = Box(x, 40, 72, 28, "memory", fill=0.3, bold=True)
            parts += [arrow(encoder[-1].top, (memory.bottom[0], memory.bottom[1] + 3)), memory]
            for shift, role, up in ((8.0, "k", -6.0), (20.0, "v", 6.0)):
                at = x + 80 + shift
                start = 54 + up
                parts += [line((memory.right[0] + 2, start), (at, start), role=role, width=2)]
                parts += [line((at, start), (at, decoder[0].left[1] + up), role=role, width=2)]
                parts += [
                    arrow((at, box.left[1] + up), (box.x - 2, box.left[1] + up), role=role, width=2)
                    for box in decoder
                ]
            parts += [text(x + 84, 28, "k", role="k", bold=True)]
            parts += [text(x + 112, 60, "v", role="v", bold=True)]
        else:
            parts += [
                arrow((a.right[0] + 2, a.right[1]), (b.x - 2, b.left[1]), role="score", dashed=True)
                for a, b in zip(encoder, decoder, strict=True)
            ]
            parts += _cross(x + 97, encoder[1].middle[1])
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


def _stack(x: Number) -> list[Box]:
    """From the bottom up."""
    return [Box(x, 226 - 58 * i, 72, 32, f"layer {i + 1}", fill=0.08) for i in range(LAYERS)]


def _climb(stack: list[Box]) -> list[Part]:
    x = stack[0].bottom[0]
    drawn: list[Part] = [arrow((x, 284), (x, stack[0].bottom[1] + 3)), *stack]
    return drawn + [arrow(below.top, (x, above.bottom[1] + 3)) for below, above in pairwise(stack)]


def _cross(x: Number, y: Number) -> list[Part]:
    return [
        line((x - 19, y - 60), (x + 19, y + 60), width=4),
        line((x - 19, y + 60), (x + 19, y - 60), width=4),
    ]
