"""How many parameters models have, as areas of one scale."""

import math

from minitx.viz.svg import Box, Drawing, Part, line, shape, text

PARAMETERS = {  # as `measure.sizes` counts them
    "GPT-3, 2020": 174_604_259_328,
    "GPT-2, 2019": 1_557_611_200,
    "BERT-base, 2018": 109_482_240,
    "the base model, 2017": 63_082_496,
    "our translator": 942_592,
}
SIDE = 412.0  # of the largest


def side(parameters: int) -> float:
    """Of a square with an area of so many parameters.

    >>> round(side(174_604_259_328 // 100), 2)
    41.2
    """
    return SIDE * math.sqrt(parameters / max(PARAMETERS.values()))


def sizes() -> Drawing:
    """One square for GPT-3, and in it, to the same scale, all the others."""
    (largest, most), *others = PARAMETERS.items()
    parts: list[Part] = [
        Box(2, 2, SIDE, SIDE, fill=0.08, radius=0),
        text(208, 150, largest, bold=True, size=18),
        text(208, 176, f"{_written(most)} parameters", size=18),
    ]
    y = SIDE - 150
    for name, count in others:
        edge = side(count)
        corner = f"M{46 - edge / 2:.3f},{y - edge / 2:.3f}"
        parts += [shape(f"{corner} h{edge:.3f} v{edge:.3f} h{-edge:.3f} Z", fill=0.7, width=0)]
        parts += [line((46 + edge / 2 + 8, y), (79, y), role="score")]
        parts += [text(84, y, f"{name}: {_written(count)}", anchor="start")]
        y += 38
    parts += [text(414, SIDE + 20, "every area is true to the number", anchor="end", role="score")]
    told = "; ".join(f"{name}, {_written(count)}, {side(count) / SIDE:.1%}".replace("%", " %")
                     for name, count in others)  # fmt: skip
    alt = (
        f"A large square stands for {largest}, with {_written(most)} parameters. In it lie squares "
        f"whose areas have the same scale; after each its number of parameters and its side, in "
        f"parts of the large one's: {told}. The last is a speck."
    )
    return Drawing("Sizes of models", alt, 416, SIDE + 32, parts)


def _written(count: int) -> str:
    """With two or three digits, in millions or billions.

    >>> _written(1_557_611_200), _written(63_082_496)
    ('1.56 billion', '63 million')
    """
    value, unit = (count / 1e9, "billion") if count >= 1e9 else (count / 1e6, "million")
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2f} {unit}"
