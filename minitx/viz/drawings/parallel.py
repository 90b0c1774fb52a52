"""Two processes that train one model: the same weights, batches of their own, one mean gradient."""

from minitx.viz.svg import Box, Drawing, Part, arrow, text

WEIGHT, GRADIENTS, RATE = 1.0, (3.0, 1.0), 0.1


def step() -> tuple[float, float]:
    """The mean gradient, and the weight after one step in either process.

    >>> step()
    (2.0, 0.8)
    """
    mean = sum(GRADIENTS) / len(GRADIENTS)
    return mean, WEIGHT - RATE * mean


def two_processes() -> Drawing:
    """Two columns from the weights to the weights, which meet at their gradients."""
    mean, after = step()
    xs = (88.0, 328.0)
    parts: list[Part] = []
    middle = Box(168, 210, 80, 46, f"mean\n{mean:g}", lit=True, bold=True)
    for rank, (x, gradient) in enumerate(zip(xs, GRADIENTS, strict=True)):
        parts += [text(x, 12, f"process {rank}", bold=True)]
        boxes = [
            Box(x - 60, 30, 120, 28, f"*w* = {WEIGHT:g}", fill=0.15),
            Box(x - 60, 88, 120, 28, f"batch {rank}", fill=0.04),
            Box(x - 60, 146, 120, 28, f"gradient {gradient:g}", fill=0.04),
            Box(x - 60, 292, 120, 28, f"*w* = {after:g}", fill=0.15),
        ]
        parts += boxes
        parts += [arrow(boxes[0].bottom, boxes[1].top), arrow(boxes[1].bottom, boxes[2].top)]
        inner = -1 if rank else 1
        side = middle.right if rank else middle.left
        parts += [arrow((x + inner * 30, 174), (side[0], 222), width=2)]
        parts += [arrow((side[0], 246), (x + inner * 30, 290), width=2)]
    parts += [middle]
    for y, words in ((44, "the same"), (102, "different"), (160, "different"), (306, "the same")):
        parts += [text(208, y, words, role="score")]
    parts += [text(2, 224, "exchange", anchor="start", role="score")]
    parts += [text(2, 243, "gradients", anchor="start", role="score")]
    parts += [text(208, 344, f"both: {WEIGHT:g} − {RATE:g} · {mean:g} = {after:g}", bold=True)]
    alt = (
        f"Two processes side by side. Both hold the same weight, {WEIGHT:g}. Each has a batch of "
        f"its own and from it a gradient of its own, {GRADIENTS[0]:g} and {GRADIENTS[1]:g}. They "
        f"exchange them, and both get the mean, {mean:g}. Both make the same step, and hold the "
        f"same weight again, {after:g}."
    )
    return Drawing("Two processes, one model", alt, 416, 360, parts)
