"""What is kept of a token: keys and values for every head, for groups of heads, or one latent."""

from minitx.viz.svg import Box, Drawing, Part, arrow, line, text

H, D = 8, 64  # the base model of 2017: Vaswani et al. 2017, table 3
GROUPS = {"multi-head": 8, "grouped-query": 2, "multi-query": 1}  # to their heads of keys

DEEPSEEK_V2 = {"heads": 128, "width": 128, "latent": 512, "rotary": 64}
"""Sizes of one layer: DeepSeek-AI 2024, §3.1.2."""


def grouped_heads() -> Drawing:
    """Eight query heads over eight, two and one heads of keys and values."""
    step, wide = 30.0, 24.0
    parts: list[Part] = [text(412, 12, "kept of a token", anchor="end", bold=True)]
    told = []
    for row, (name, H_kv) in enumerate(GROUPS.items()):
        y = 22.0 + 136 * row
        kept = 2 * H_kv * D
        parts += [text(2, y + 10, name, bold=True, anchor="start")]
        group = H // H_kv
        for j in range(H_kv):
            x = 2 + (j * group + (group - 1) / 2) * step
            for i in range(j * group, (j + 1) * group):
                parts += [
                    line((2 + i * step + wide / 2, y + 46), (x + wide / 2, y + 66), role="score")
                ]
            parts += [
                Box(x, y + 66, wide, 22, "k", "k", fill=0.15),
                Box(x, y + 90, wide, 22, "v", "v", fill=0.15),
            ]
        parts += [
            Box(2 + i * step, y + 24, wide, 22, "q", "q", fill=0.15, radius=10) for i in range(H)
        ]
        bar = 140 * kept / (2 * H * D)
        parts += [
            Box(270, y + 66, bar, 22, role="k", fill=0.3, radius=0),
            Box(270, y + 90, bar, 22, role="v", fill=0.3, radius=0),
        ]
        parts += [text(270, y + 50, f"{kept:,} numbers", anchor="start")]
        told += [f"{name}: {H_kv} of keys and values, {kept:,} numbers"]
    alt = (
        f"Three rows of {H} query heads, of {D} numbers each, above the heads of keys and values "
        f"that they share, and what is kept of every token in a layer. {'; '.join(told)}. The "
        "queries are as many each time; only keys and values are kept, and those are shared."
    )
    return Drawing("Shared keys and values", alt, 416, 426, parts)


def kept_numbers() -> tuple[int, int]:
    """Numbers kept of a token in a layer: all keys and values; the latent and the rotary key.

    >>> kept_numbers()
    (32768, 576)
    """
    sizes = DEEPSEEK_V2
    return 2 * sizes["heads"] * sizes["width"], sizes["latent"] + sizes["rotary"]


def latent_cache() -> Drawing:
    """Keep all keys and values, or what they can be made from."""
    every, few = kept_numbers()
    long, left = 376.0, 20.0
    short = long * few / every
    parts: list[Part] = [text(2, 12, "keep keys and values", bold=True, anchor="start")]
    parts += [
        Box(178, 34, 60, 26, "token", fill=0.1),
        arrow((196, 62), (120, 96), role="k"),
        arrow((220, 62), (296, 96), role="v"),
    ]
    parts += [
        Box(left, 100, long / 2, 30, "keys of 128 heads", "k", fill=0.2, radius=0),
        Box(left + long / 2, 100, long / 2, 30, "values", "v", fill=0.2, radius=0),
    ]
    parts += [text(208, 148, f"kept: {every:,} numbers")]
    parts += [text(2, 190, "keep a latent", bold=True, anchor="start")]
    parts += [Box(178, 206, 60, 26, "token", fill=0.1), arrow((208, 234), (208, 262))]
    parts += [Box(208 - short / 2, 266, short, 30, role="ink", fill=0.5, radius=0)]
    parts += [text(222, 281, f"kept: {few:,} numbers", anchor="start")]
    parts += [
        arrow((204, 300), (120, 336), role="k", dashed=True),
        arrow((212, 300), (296, 336), role="v", dashed=True),
    ]
    parts += [
        Box(left, 340, long / 2, 30, "keys", "k", dashed=True, radius=0),
        Box(left + long / 2, 340, long / 2, 30, "values", "v", dashed=True, radius=0),
    ]
    parts += [text(208, 388, "made again when they are needed")]
    alt = (
        f"Above, a token's keys and values are kept, {every:,} numbers, as a long bar. Below, a "
        f"short latent is kept, {few:,} numbers, drawn to the same scale, and the keys and values "
        "are made from it again when they are needed."
    )
    return Drawing("A latent instead of keys and values", alt, 416, 402, parts)
