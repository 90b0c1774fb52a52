"""Accumulation: gradients of several small batches are added up, then one step is made."""

from minitx.viz.svg import Box, Drawing, Part, arrow, bracket, signed, text

TOKENS = (6, 2, 4, 8)  # of each batch
GRADIENTS = (12.0, 10.0, -4.0, 2.0)  # of the sum of its tokens' losses, by one weight


def running() -> list[float]:
    """What stands in `.grad` after each batch's backward.

    >>> running()
    [12.0, 22.0, 18.0, 20.0]
    """
    import torch

    weight = torch.nn.Parameter(torch.zeros(()))
    seen = []
    for gradient in GRADIENTS:
        (gradient * weight).backward()
        assert weight.grad is not None
        seen += [float(weight.grad)]
    return seen


def accumulate() -> Drawing:
    """Four batches from left to right, the sum that grows below them, and one step at the end."""
    wide, pitch, left = 80.0, 104.0, 12.0
    sums = running()
    total, tokens = sums[-1], sum(TOKENS)
    means = [g / n for g, n in zip(GRADIENTS, TOKENS, strict=True)]
    parts: list[Part] = []
    for i, (count, gradient, so_far) in enumerate(zip(TOKENS, GRADIENTS, sums, strict=True)):
        x = left + i * pitch
        batch = Box(x, 4, wide, 48, f"batch {i + 1}\n{count} tokens", fill=0.06)
        grown = Box(x, 132, wide, 34, signed(so_far), fill=0.2, bold=True)
        parts += [batch, arrow(batch.bottom, grown.top, width=2)]
        parts += [text(x + wide / 2 + 8, 100, signed(gradient, "+g"), anchor="start")]
        if i == 0:
            parts += [text(x + wide / 2 + 8, 80, "gradient", anchor="start", role="score")]
        else:
            parts += [arrow((x - pitch + wide, 149), (x, 149))]
        parts += [grown]
    parts += [bracket((left, 174), (left + 3 * pitch + wide, 174), side="bottom",
                      label=".grad: adds up, is not set to 0 in between")]  # fmt: skip
    last = left + 3 * pitch + wide / 2
    parts += [text(12, 236, f"÷ {tokens} tokens:  {total:g} / {tokens} = {total / tokens:g}",
                   anchor="start", bold=True)]  # fmt: skip
    parts += [arrow((222, 236), (last - 46, 236), width=2), Box(last - 42, 222, 82, 28, "one step",
                                                              lit=True, bold=True)]  # fmt: skip
    parts += [text(12, 270, f"the same as one batch of {tokens} tokens", anchor="start")]
    parts += [text(12, 298, f"The mean of four means, {sum(means) / len(means):.2f}, is another "
                   "number:", anchor="start", role="score")]  # fmt: skip
    parts += [text(12, 317, "each token must count the same.", anchor="start", role="score")]
    alt = (
        f"Four batches of {', '.join(map(str, TOKENS))} tokens. The backward pass of each adds the "
        f"gradient of its sum of losses, {', '.join(signed(g, '+g') for g in GRADIENTS)}, to "
        f".grad, which grows from {' to '.join(signed(g) for g in sums)} and is not set to 0 in "
        f"between. Divided by all {tokens} tokens it is {total / tokens:g}, the same as for one "
        f"batch of {tokens} tokens, and then one step is made. The mean of the four means, "
        f"{sum(means) / len(means):.2f}, is another number: each token must count the same."
    )
    return Drawing("Four small batches, one step", alt, 416, 332, parts)
