"""Weight decay and L2: where λw joins the gradient, and what becomes of two weights."""

from minitx.viz.svg import Box, Drawing, Part, arrow, joint, line, text

GRADIENTS = (10.0, 0.1)  # of two weights that begin at 1, with a sign that changes at every step
DECAY, RATE, STEPS = 0.1, 1e-3, 1000


def left_over(decoupled: bool) -> list[float]:
    """Both weights after all steps of AdamW, or of Adam with λw in the gradient.

    >>> [round(weight, 2) for weight in left_over(True)]
    [0.9, 0.9]
    """
    import torch

    weights = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimiser = kind([weights], lr=RATE, weight_decay=DECAY)
    gradient = torch.tensor(GRADIENTS, dtype=torch.float64)
    for step in range(STEPS):
        weights.grad = gradient * (-1) ** step
        optimiser.step()
    found: list[float] = weights.detach().tolist()
    return found


def decay_or_l2() -> Drawing:
    """Two flows, λw before or after Adam's division, and the two weights below each."""
    parts: list[Part] = []
    told = []
    for left, name, decoupled in ((2.0, "L2 in Adam", False), (216.0, "weight decay: AdamW", True)):
        x, early, late = left + 50, 82.0, 164.0
        meets = late if decoupled else early
        parts += [text(left, 12, name, anchor="start", bold=True)]
        parts += [Box(left, 30, 100, 26, "gradient *g*", fill=0.06)]
        parts += [Box(left, 110, 100, 26, "÷ √*v*", fill=0.06)]
        for y in (early, late):
            after = 110 if y == early else 194
            if y == meets:
                parts += [
                    arrow((x, y - 26), (x, y - 10)),
                    joint(x, y),
                    arrow((x, y + 10), (x, after)),
                ]
                parts += [Box(left + 124, y - 13, 46, 26, "λ*w*", lit=True)]
                parts += [arrow((left + 124, y), (x + 10, y), width=2)]
            else:
                parts += [arrow((x, y - 26), (x, after))]
        parts += [text(x, 206, "step")]
        weights = left_over(decoupled)
        for row, (gradient, weight) in enumerate(zip(GRADIENTS, weights, strict=True)):
            y = 262.0 + 52 * row
            parts += [text(left, y - 14, f"gradient ±{gradient:g}", anchor="start")]
            parts += [Box(left, y, 140, 20, dashed=True, role="score", radius=0)]
            parts += [Box(left, y, 140 * weight, 20, role="score", fill=0.3, radius=0)]
            parts += [text(left + 150, y + 10, f"{weight:.2f}", anchor="start", bold=True)]
        told += [f"{name}: {', '.join(f'{weight:.2f}' for weight in weights)}"]
    parts += [text(2, 228, f"two weights of 1, after {STEPS:,} steps", anchor="start", bold=True)]
    parts += [line((208, 4), (208, 208), role="score", dashed=True)]
    parts += [text(2, 356, "λ*w* is divided as well", anchor="start")]
    parts += [text(216, 356, "λ*w* is not divided", anchor="start")]
    alt = (
        "Two flows from the gradient g to the step, with Adam's division by the root of v in "
        "between. L2 in Adam: λw is added to the gradient before the division, so that it is "
        "divided by the size of the gradient as well. Weight decay, AdamW: λw is added after the "
        f"division. Below, two weights of 1 after {STEPS:,} steps, one with gradients of plus or "
        f"minus {GRADIENTS[0]:g}, the other of {GRADIENTS[1]:g}. {'; '.join(told)}: L2 hardly "
        "moves the first; decay takes the same share of both."
    )
    return Drawing("Weight decay is not L2", alt, 416, 372, parts)
