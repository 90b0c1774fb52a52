"""Recurrent layers: unrolled, layer on layer, with a cell, and joined in pairs."""

import math

import numpy as np

from minitx.viz.svg import Box, Drawing, Part, arrow, curve, grid, joint, line, text

INPUTS = (1.0, 0.0, 0.0, 0.0)  # chapter 1, by hand: h = tanh(x + h/2)


def unrolled_rnn() -> Drawing:
    """One box with a loop, and the same box once per time step, with chapter 1's numbers."""
    parts: list[Part] = [
        Box(10, 92, 60, 48, "tanh", fill=0.06, bold=True),
        arrow((40, 186), (40, 144)),
        text(40, 200, "x_t"),
        arrow((40, 92), (40, 58)),
        text(40, 44, "h_t"),
        curve((70, 104), (70, 130), bend=1.0),
        text(100, 88, "h_{t−1}"),
        text(124, 118, "=", size=22, bold=True),
    ]
    state = 0.0
    for t, value in enumerate(INPUTS):
        state = math.tanh(value + 0.5 * state)
        box = Box(142 + 66 * t, 92, 46, 48, "tanh", fill=0.06, bold=True)
        x = box.middle[0]
        parts += [
            box,
            arrow((x, 186), (x, 144)),
            text(x, 200, f"x_{t + 1} = {value:.0f}"),
            arrow((x, 92), (x, 58)),
            Box(x - 23, 34, 46, 22, f"{state:.3f}", fill=0.45 * state, radius=2),
            text(x, 20, f"h_{t + 1}"),
        ]
        if t < len(INPUTS) - 1:
            parts += [arrow(box.right, (box.right[0] + 20, box.right[1]), width=2.5)]
    parts += [
        text(264, 230, "time: each waits for the one before"),
        arrow((142, 252), (388, 252), role="score"),
    ]
    alt = (
        "Left, a box with a loop: from the input and its own last state it makes the next state. "
        "Right, the same box drawn once for each of four time steps, from left to right, each "
        "handing its state to the next. The input is 1 and then 0; the states fade: "
        + ", ".join(f"{h:.3f}" for h in _states())
        + "."
    )
    return Drawing("A recurrent network, unrolled", alt, 400, 264, parts)


def _states() -> list[float]:
    state, states = 0.0, []
    for value in INPUTS:
        state = math.tanh(value + 0.5 * state)
        states += [state]
    return states


def gradient_paths() -> Drawing:
    """From the last position to the first: many factors in a row, or one."""
    steps, factor = 6, 0.5
    xs = [34 + 66 * i for i in range(steps)]
    parts: list[Part] = [
        text(8, 16, "recurrent: a factor at every step", bold=True, anchor="start")
    ]
    for i, x in enumerate(xs):
        left = factor ** (steps - 1 - i)
        parts += [Box(x - 17, 44, 34, 34, f"h_{i + 1}", fill=0.35 * left)]
        if i:
            parts += [
                arrow((x - 18, 61), (xs[i - 1] + 18, 61), width=1 + 3 * left),
                text((x + xs[i - 1]) / 2, 38, f"×{factor:g}"),
            ]
        parts += [text(x, 94, f"{left:.3g}")]
    parts += [text(8, 138, "attention: one step from anywhere", bold=True, anchor="start")]
    for i, x in enumerate(xs):
        parts += [Box(x - 17, 240, 34, 34, f"x_{i + 1}", "v", fill=0.15)]
        parts += [
            arrow((xs[-1], 176), (x, 237), width=2),
        ]
    parts += [
        Box(xs[-1] - 17, 142, 34, 34, "*o*", fill=0.35),
        text(118, 182, f"each about ×1/{steps} = {1 / steps:.2g}"),
    ]
    alt = (
        f"Above, a chain of {steps} states. From the last to the first the gradient passes "
        f"{steps - 1} arrows, each with the factor {factor:g}: 1, "
        + ", ".join(f"{factor**k:.3g}" for k in range(1, steps))
        + f". Below, attention: one arrow from the output to each of {steps} inputs, each with a "
        f"factor of about one over {steps}, however far away the input is."
    )
    return Drawing("How far a gradient has to go", alt, 400, 286, parts)


def wavefront() -> Drawing:
    """The earliest time step in which each layer can do each position."""
    moments = _earliest_moments(4, 8)
    layers, positions = moments.shape
    chosen = 5
    left, top, wide, high = 62, 34, 41, 38
    parts: list[Part] = [text(left + positions * wide / 2, 14, "earliest time step", bold=True)]
    labels = [[str(moment) for moment in row] for row in moments[::-1]]
    shades = [[0.35 if m == chosen else 0.1 * (m < chosen) for m in row] for row in moments[::-1]]
    parts += grid(left, top, labels, cell=(wide, high), fill=shades, role="ink")
    for layer in range(layers):
        y = top + (layers - 1 - layer + 0.5) * high
        parts += [text(52, y, f"layer {layer + 1}", anchor="end")]
    bottom = top + layers * high
    parts += [text(left + (t + 0.5) * wide, bottom + 14, f"x_{t + 1}") for t in range(positions)]
    together = int((moments == chosen).sum())
    parts += [
        text(
            left + positions * wide / 2, bottom + 42,
            f"all {together} cells with a {chosen} run in the same time step",
        ),
        text(
            left + positions * wide / 2, bottom + 62,
            f"{moments.size} cells, {moments.max()} time steps", bold=True,
        ),
    ]  # fmt: skip
    alt = (
        f"A grid of {layers} layers and {positions} positions. Each cell holds the earliest "
        "time step of its own: one more than the later of its left and its lower neighbour. "
        f"Equal numbers lie on slanted lines; {together} cells run in time step {chosen}. "
        f"{moments.size} cells need {moments.max()} time steps."
    )
    return Drawing("The wavefront", alt, 400, bottom + 76, parts)


def _earliest_moments(layers: int, positions: int) -> np.ndarray:
    moments = np.zeros((layers, positions), dtype=int)
    for layer, t in np.ndindex(layers, positions):
        below = moments[layer - 1, t] if layer else 0
        before = moments[layer, t - 1] if t else 0
        moments[layer, t] = 1 + max(below, before)
    return moments


def lstm_conveyor() -> Drawing:
    """The cell of an LSTM as a belt: some of it falls off, something new is laid on."""
    cell, forget, gate, new = 2.0, 0.9, 0.2, 0.5  # chapter 1, by hand
    after = forget * cell + gate * new
    belt = 74
    parts: list[Part] = [
        line((10, belt - 16), (390, belt - 16), role="score"),
        line((10, belt + 16), (390, belt + 16), role="score"),
        *(line((x, belt + 16), (x - 8, belt + 24), role="score") for x in range(22, 392, 16)),
        Box(12, belt - 14, 52, 28, f"{cell:g}", fill=0.3),
        arrow((66, belt), (104, belt), width=2.5),
        joint(122, belt, "×", 16),
        arrow((140, belt), (220, belt), width=2.5),
        text(180, belt - 32, f"{forget * cell:g} left"),
        joint(238, belt, "+", 16),
        arrow((256, belt), (320, belt), width=2.5),
        Box(324, belt - 14, 58, 28, f"{after:g}", fill=0.3),
        text(38, 20, "c_{t−1}", bold=True),
        text(353, 20, "c_t", bold=True),
        Box(84, 148, 76, 48, f"forget\n{forget:g}", fill=0.08),
        arrow((122, 148), (122, belt + 19)),
        Box(200, 148, 76, 48, f"new\n{gate:g} · {new:g}", fill=0.08),
        arrow((238, 148), (238, belt + 19)),
        Box(312, 148, 82, 48, "output\nh_t", fill=0.08),
        arrow((353, belt + 27), (353, 145)),
        Box(84, 230, 192, 30, "x_t and h_{t−1}", fill=0.08),
        arrow((122, 230), (122, 199)),
        arrow((238, 230), (238, 199)),
    ]
    alt = (
        f"The cell lies on a conveyor belt, from left to right. It enters as {cell:g}, is "
        f"multiplied by the forget gate, {forget:g}, which leaves {forget * cell:g}; then the new "
        f"content, {gate:g} times {new:g}, is added, and it leaves as {after:g}. The gates come "
        "from the input and the last state. The output, h, is read off the belt."
    )
    return Drawing("The cell of an LSTM is a conveyor belt", alt, 400, 272, parts)


def scan_tree() -> Drawing:
    """A parallel scan: after each round every position knows twice as many steps."""
    positions = 8
    known = [(t, t) for t in range(positions)]
    left, wide, step = 34, 47.5, 68
    parts: list[Part] = []
    reach, row = 1, 0
    while True:
        y = 30 + step * row
        for t, (first, last) in enumerate(known):
            label = f"{last + 1}" if first == last else f"{first + 1}–{last + 1}"
            whole = first == 0
            parts += [
                Box(left + wide * t - 19, y - 13, 38, 26, label, fill=0.35 if whole else 0.04)
            ]
        if reach >= positions:
            break
        for t in range(positions):
            x = left + wide * t
            parts += [arrow((x, y + 13), (x, y + step - 15), role="score")]
            if t >= reach:
                parts += [arrow((x - reach * wide, y + 13), (x - 6, y + step - 15), width=2)]
        known = [(known[t - reach][0] if t >= reach else 0, t) for t in range(positions)]
        reach, row = 2 * reach, row + 1
    low = 30 + step * row
    parts += [
        text(200, low + 34, "in a box: the steps joined so far; filled: all"),
        text(200, low + 55, f"{positions} steps, {row} rounds", bold=True),
    ]
    alt = (
        f"{positions} boxes in a row, one per step of a linear recurrence. In each of {row} rounds "
        "every box is joined with one further to the left, at distance 1, 2, then 4, so that after "
        f"{row} rounds each box holds all steps from the first to its own."
    )
    return Drawing("A parallel scan", alt, 400, low + 70, parts)
