"""Activation checkpointing: which activations are kept until the backward pass."""

from minitx.viz.svg import Box, Drawing, Part, text

BLOCKS, INSIDE = 4, 5  # activations within a block, besides its input
RUNNING = 3  # the block whose gradients are being computed, counted from 1
CELL, PITCH, LEFT = 13.0, 104.0, 8.0


def kept_at_most(checkpoints: bool) -> int:
    """Activations in memory when the backward pass begins with the last block.

    >>> kept_at_most(False), kept_at_most(True)
    (24, 9)
    """
    return BLOCKS + (1 if checkpoints else BLOCKS) * INSIDE


def checkpointing() -> Drawing:
    """Four blocks at three moments: all kept; only inputs kept; one block made again."""
    parts: list[Part] = []
    moments = (
        ("keep all", "after the forward pass", 0, 0),
        ("checkpoints: keep the blocks' inputs", "after the forward pass", BLOCKS, 0),
        ("checkpoints", f"backward, in block {RUNNING}", RUNNING, RUNNING),
    )
    for row, (name, moment, inputs, again) in enumerate(moments):
        y = 12.0 + 110 * row
        parts += [text(LEFT, y, name, anchor="start", bold=True)]
        parts += [text(LEFT, y + 20, moment, anchor="start")]
        kept = kept_at_most(False) if not inputs else inputs + INSIDE * (again > 0)
        parts += [text(408, y + 20, f"{kept} in memory", anchor="end", bold=True)]
        for block in range(1, BLOCKS + 1):
            for cell in range(1 + INSIDE):
                full = not inputs or (cell == 0 and block <= inputs)
                remade = block == again and cell > 0
                x = LEFT + (block - 1) * PITCH + cell * (CELL + 1)
                parts += [Box(x, y + 38, CELL, 26, fill=0.5 if full else 0.0, lit=remade, radius=0,
                              role="ink" if full or remade else "score",
                              dashed=not (full or remade))]  # fmt: skip
            if row == 2:
                x = LEFT + (block - 1) * PITCH
                parts += [text(x + 41, y + 78, f"block {block}", role="score")]
    y = 352.0
    for x, name, fill, lit, dashed in (
        (8.0, "kept", 0.5, False, False),
        (84.0, "computed again", 0.0, True, False),
        (226.0, "given back", 0.0, False, True),
    ):
        parts += [Box(x, y - 9, CELL, 18, fill=fill, lit=lit, dashed=dashed, radius=0)]
        parts += [text(x + 20, y, name, anchor="start")]
    parts += [text(LEFT, y + 30, f"at most {kept_at_most(True)} instead of {kept_at_most(False)}; "
                   "the same gradients;", anchor="start")]  # fmt: skip
    parts += [text(LEFT, y + 49, "one forward pass more", anchor="start")]
    alt = (
        f"{BLOCKS} blocks with {1 + INSIDE} activations each, at three moments. Keep all: after "
        f"the forward pass {kept_at_most(False)} are in memory. Checkpoints: after the forward "
        f"pass only the {BLOCKS} inputs of the blocks are. In the backward pass, in block "
        f"{RUNNING}, its {INSIDE} inner activations have been computed again, the later block is "
        f"done, and {RUNNING + INSIDE} are in memory. At most {kept_at_most(True)} instead of "
        f"{kept_at_most(False)}; the gradients are the same, for one forward pass more."
    )
    return Drawing("Activation checkpointing", alt, 416, y + 64, parts)
