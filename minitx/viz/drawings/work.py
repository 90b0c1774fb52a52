"""Work and depth: how much there is to do, and how often one must wait."""

from minitx.viz.svg import Box, Drawing, Part, arrow, text

N = WIDTH = 8  # tokens, and numbers per token


def work_and_depth() -> Drawing:
    """Two layers as rectangles: to the right what must wait, upwards what is done at once.

    The operations of one layer of width d on n tokens: attention projects (6nd²), scores (2n²d)
    and averages (2n²d); a recurrent layer multiplies all inputs (2nd²), then n states one after
    the other (2d² each).
    """
    n, d = N, WIDTH
    attention = [6 * n * d * d, 2 * n * n * d, 2 * n * n * d]
    recurrent = [2 * n * d * d, *[2 * d * d] * n]
    step, scale = 38.0, 132 / max(attention)
    parts: list[Part] = []
    told = []
    for bottom, name, steps in ((196, "self-attention", attention), (330, "recurrent", recurrent)):
        x = 56.0
        for i, work in enumerate(steps):
            high = work * scale
            box = Box(x + i * step, bottom - high, step, high, role="score", fill=0.35, radius=0)
            parts += [box]
        parts += [arrow((x, bottom), (412, bottom), role="score")]
        parts += [text(x, bottom - max(steps) * scale - 14, name, anchor="start", bold=True)]
        words = (f"depth: {len(steps)} steps", f"work: {sum(steps):,} operations")
        beside = x + (3 if name == "self-attention" else 1) * step + 14
        parts += [text(beside, bottom - 36, words[0], anchor="start")]
        parts += [text(beside, bottom - 17, words[1], anchor="start")]
        told += [f"{name}, {', '.join(words)}, the first {steps[0]:,}, the last {steps[-1]:,}"]
    parts += [text(102, 78, "project", anchor="start")]
    parts += [text(56 + (i + 1.5) * step, 142, word) for i, word in enumerate(("score", "mix"))]
    parts += [arrow((30, 330), (30, 30), role="score")]
    parts += [text(12, 14, "operations at once", role="score", anchor="start")]
    parts += [text(412, 348, "steps that must wait", role="score", anchor="end")]
    alt = (
        f"Two layers on {n} tokens of width {d}, as columns: as high as the operations that can "
        "be done at once, side by side where one step must wait for the one before. "
        + "; ".join(told)
        + ". Attention is short and tall and has more area; the recurrent layer is long and flat."
    )
    return Drawing("Work and depth", alt, 416, 360, parts)
