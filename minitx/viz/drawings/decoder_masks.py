"""The three masks of an encoder-decoder, for one sentence of a padded batch."""

import numpy as np

from minitx.viz.drawings.translated import END, PAD, START
from minitx.viz.svg import Drawing, Part, bracket, grid, text

SOURCE = ("twenty", "four", END, PAD, PAD)
WRITTEN = (START, "vingt", "quatre", PAD)


def tables() -> dict[str, np.ndarray]:
    """True where a query may attend to a key, in each of the three attentions.

    >>> tables()["decoder self-attention"].astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    """
    from minitx.masks import causal, padding

    src, tgt = (padding([sum(w != PAD for w in words)], len(words)) for words in (SOURCE, WRITTEN))
    T_src, T_tgt = len(SOURCE), len(WRITTEN)
    return {
        "encoder self-attention": src.dense(T_src, T_src, "cpu")[0, 0].numpy(),
        "decoder self-attention": (causal() & tgt).dense(T_tgt, T_tgt, "cpu")[0, 0].numpy(),
        "cross-attention": src.dense(T_tgt, T_src, "cpu")[0, 0].numpy(),
    }


def three_masks() -> Drawing:
    """Padding closes columns, causal closes a triangle, and cross-attention has both lengths."""
    wide, high, left = 56.0, 23.0, 58.0
    queries = (SOURCE, WRITTEN, WRITTEN)
    keys = (SOURCE, WRITTEN, SOURCE)
    says = (
        "closed: padding",
        "closed: padding, and all that comes later",
        "closed: the source's padding",
    )
    parts: list[Part] = []
    told = []
    y = 12.0
    for (name, table), asking, asked, why in zip(
        tables().items(), queries, keys, says, strict=True
    ):
        parts += [text(2, y, name, anchor="start", bold=True)]
        parts += [text(2, y + 19, why, anchor="start", role="score")]
        top = y + 56
        for j, word in enumerate(asked):
            parts += [text(left + (j + 0.5) * wide, top - 12, word, role="k")]
        for i, word in enumerate(asking):
            parts += [text(left - 6, top + (i + 0.5) * high, word, role="q", anchor="end")]
        marks = [["✓" if may else "" for may in row] for row in table]
        parts += grid(
            left, top, marks, cell=(wide, high), hatch=(~table).tolist(),
            fill=np.where(table, 0.14, 0).tolist(),
        )  # fmt: skip
        unread = asking.count(PAD)
        end = top + high * len(asking)
        x = left + wide * len(asked) + 2
        label = "unread" if unread else ""
        parts += [bracket((x, end - unread * high + 2), (x, end - 2), side="right", label=label,
                          role="score")]  # fmt: skip
        y = end + 26
        rows = ", ".join(str(int(row.sum())) for row in table)
        told += [f"{name}, queries {' '.join(asking)}, keys {' '.join(asked)}, {why}: its rows "
                 f"allow {rows} keys"]  # fmt: skip
    alt = (
        f"Three tables of queries, the rows, against keys, the columns. {'; '.join(told)}. A tick "
        "is what is allowed, hatched what is closed. The rows of the padding are there, too, but "
        "nobody reads what comes of them."
    )
    return Drawing("Three masks", alt, 416, y - 18, parts)
