"""What is kept of a token: keys and values for every head, for groups of heads, or one latent."""

from minitx.viz.svg import Box, Drawing, Number, Part, arrow, line, text

H, D = 8, 64  # Vaswani et al. 2017, table 3: the base model
GROUPS = {"multi-head": 8, "grouped-query": 2, "multi-query": 1}  # to their heads of keys
STEP, WIDE = 30.0, 24.0  # from head to head, and of one


def grouped_heads() -> Drawing:
    """Eight query heads over eight, two and one heads of keys and values."""
    parts: list[Part] = [text(412, 14, "kept for each token", anchor="end", bold=True)]
    told = []
    for row, (name, H_kv) in enumerate(GROUPS.items()):
        y = 34.0 + 136 * row
        kept = 2 * H_kv * D
        parts += [text(2, y, name, bold=True, anchor="start")]
        parts += _shared(y + 14, H_kv)
        for top, letter in ((y + 56, "k"), (y + 80, "v")):
            bar = 142 * H_kv / H
            parts += [Box(270, top, bar, 22, f"*{letter}*", "k" if letter == "k" else "v",
                          fill=0.15, radius=0)]  # fmt: skip
        parts += [text(270, y + 40, f"{kept:,} numbers", anchor="start")]
        told += [f"{name}: {H_kv} {'heads' if H_kv > 1 else 'head'}, {kept:,} numbers"]
    alt = (
        f"Three times {H} heads of queries, of {D} numbers each, joined by lines with the heads of "
        f"keys and values that they use, and beside them what one layer keeps for each token. "
        f"{'; '.join(told)}. There are as many queries each time; keys and values are kept, and "
        "those are shared."
    )
    return Drawing("Shared keys and values", alt, 416, 416, parts)


def _shared(y: Number, H_kv: int) -> list[Part]:
    """Query heads above the heads of keys and values, each joined with its own."""
    group = H // H_kv
    heads = [Box(2 + i * STEP, y, WIDE, 22, "*q*", "q", fill=0.15, radius=10) for i in range(H)]
    parts: list[Part] = [*heads]
    for j in range(H_kv):
        x = 2 + (j * group + (group - 1) / 2) * STEP
        own = heads[j * group : (j + 1) * group]
        parts += [line(head.bottom, (x + WIDE / 2, y + 42), role="score") for head in own]
        parts += [Box(x, y + 42, WIDE, 22, "*k*", "k", fill=0.15)]
        parts += [Box(x, y + 66, WIDE, 22, "*v*", "v", fill=0.15)]
    return parts


DEEPSEEK_V2 = {"heads": 128, "width": 128, "latent": 512, "rotary": 64}
"""Of one layer; the key that rotates is kept beside the latent. DeepSeek-AI 2024, §3.1.2."""


def kept_numbers() -> tuple[int, int]:
    """Numbers kept of a token in a layer: all keys and values; the latent and the rotary key.

    >>> kept_numbers()
    (32768, 576)
    """
    sizes = DEEPSEEK_V2
    return 2 * sizes["heads"] * sizes["width"], sizes["latent"] + sizes["rotary"]


def latent_cache() -> Drawing:
    """Keep all keys and values, or the short vector that they can be made from."""
    every, few = kept_numbers()
    whole = 412.0
    half = (whole - 4) / 2
    short = whole * few / every
    keys = f"keys of {DEEPSEEK_V2['heads']} heads"
    parts: list[Part] = [text(2, 14, "keep keys and values", bold=True, anchor="start")]
    parts += [text(414, 14, f"{every:,} numbers", bold=True, anchor="end")]
    parts += [Box(178, 34, 60, 26, "token", fill=0.06)]
    parts += [arrow((196, 62), (2 + half / 2, 94), role="k")]
    parts += [arrow((220, 62), (414 - half / 2, 94), role="v")]
    parts += [Box(2, 98, half, 30, keys, "k", fill=0.15, radius=0)]
    parts += [Box(414 - half, 98, half, 30, "and their values", "v", fill=0.15, radius=0)]
    parts += [text(208, 146, "sizes of one layer of DeepSeek-V2", role="score")]
    parts += [line((2, 168), (414, 168), role="score", dashed=True)]
    parts += [text(2, 194, "keep one short latent", bold=True, anchor="start")]
    parts += [text(414, 194, f"{few:,} numbers", bold=True, anchor="end")]
    parts += [Box(178, 214, 60, 26, "token", fill=0.06), arrow((208, 242), (208, 274))]
    parts += [text(196, 258, "compress", anchor="end")]
    parts += [Box(208 - short / 2, 278, short, 30, fill=0.9, radius=0)]
    parts += [text(224, 293, f"{every / few:.0f} times less", anchor="start")]
    parts += [text(196, 293, "latent, kept", anchor="end")]
    parts += [arrow((200, 312), (2 + half / 2, 346), role="k", dashed=True)]
    parts += [arrow((216, 312), (414 - half / 2, 346), role="v", dashed=True)]
    parts += [Box(2, 350, half, 30, "keys", "k", dashed=True, radius=0)]
    parts += [Box(414 - half, 350, half, 30, "values", "v", dashed=True, radius=0)]
    parts += [text(208, 400, "can be made from it: they need not be kept")]
    alt = (
        f"Above, the keys of {DEEPSEEK_V2['heads']} heads and their values are kept of a token, "
        f"{every:,} numbers, as a long bar. Below, the token is compressed to a short latent, and "
        f"only that is kept, with one small rotated key: {few:,} numbers, {every / few:.0f} times "
        "less, drawn to the same scale. Keys and values, dashed, can be made from it and need not "
        "be kept."
    )
    return Drawing("A latent instead of keys and values", alt, 416, 412, parts)
