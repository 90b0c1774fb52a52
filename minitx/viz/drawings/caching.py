"""A cache of keys and values, pass by pass: what is kept, and what is computed anew."""

from minitx.viz.drawings.translated import READ
from minitx.viz.svg import Box, Drawing, Part, line, text

WIDE, STEP, LEFT, TOP = 52.0, 66.0, 40.0, 66.0


def cache_grows() -> Drawing:
    """In every pass one query, one new key and value; the earlier ones lie there already."""
    passes = len(READ) - 1  # the last word but one shows all there is to see
    columns = LEFT + passes * (WIDE + 4)
    parts: list[Part] = [
        text(LEFT, 12, "keys and values", anchor="start", bold=True),
        text(columns + 74, 12, "keys computed", bold=True),
        text(columns + 34, 31, "with cache"),
        text(columns + 108, 31, "without"),
    ]
    for t in range(1, passes + 1):
        y = TOP + (t - 1) * STEP
        parts += [text(2, y + 22, f"*q*_{t}", role="q", anchor="start", bold=True)]
        for i in range(t):
            x = LEFT + i * (WIDE + 4)
            new = i + 1 == t
            for letter, down in (("k", 0), ("v", 22)):
                parts += [Box(x, y + down, WIDE, 22, f"*{letter}*_{i + 1}",
                              "k" if letter == "k" else "v", fill=0.3 if new else 0,
                              dashed=not new, radius=0, bold=new)]  # fmt: skip
        parts += [text(columns + 34, y + 22, str(new_keys(t, cached=True)), bold=True)]
        parts += [text(columns + 108, y + 22, str(new_keys(t, cached=False)))]
    for t, word in enumerate(READ[:passes]):
        parts += [text(LEFT + t * (WIDE + 4) + WIDE / 2, TOP - 16, word)]
    y = TOP + passes * STEP
    few, many = (sum(new_keys(t, cached=kind) for t in range(1, passes + 1))
                 for kind in (True, False))  # fmt: skip
    parts += [line((2, y - 8), (414, y - 8), role="score")]
    parts += [text(2, y + 10, f"in {passes} passes", anchor="start")]
    parts += [text(columns + 34, y + 10, str(few), bold=True)]
    parts += [text(columns + 108, y + 10, str(many))]
    parts += [text(2, y + 34, "filled: computed in this pass. Dashed: kept.", anchor="start",
                   role="score")]  # fmt: skip
    alt = (
        f"Generation in {passes} passes, one row each. In pass 1 there is the query q1, and k1 and "
        f"v1, filled, of {READ[0]}, are computed. In each later pass one query is new, and one key "
        f"and value, those of the newest word, {', '.join(READ[1:passes])}; the earlier keys and "
        "values, dashed, lie in the cache. So the cache grows by a column in every pass. Keys, "
        f"each with its value, computed in {passes} passes: {few} with the cache, {many} without."
    )
    return Drawing("The cache grows", alt, 416, y + 46, parts)


def new_keys(t: int, *, cached: bool) -> int:
    """Keys that pass t computes, counted from 1: its own, or those of all tokens so far.

    >>> [new_keys(t, cached=False) for t in (1, 2, 3)]
    [1, 2, 3]
    """
    return 1 if cached else t
