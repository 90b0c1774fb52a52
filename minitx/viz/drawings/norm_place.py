"""Where the norm stands: on the road, or at the turn-off."""

from minitx.viz.drawings.road import detour, on_road, rejoins, road, stops
from minitx.viz.svg import Drawing, Part, text

SUBLAYERS = ("attention", "feed-forward")


def pre_post() -> Drawing:
    """One block of each kind, side by side."""
    top, pitch = 78.0, rejoins(0, 2) + 24
    bottom = top + len(SUBLAYERS) * pitch + 10
    parts: list[Part] = []
    for x, name, formula, pre_norm, says in (
        (36.0, "post-norm, 2017", "norm(*x* + *f*(*x*))", False, "a norm across the road"),
        (252.0, "pre-norm", "*x* + *f*(norm(*x*))", True, "nothing on the road"),
    ):
        parts += [text(x - 34, 12, name, anchor="start", bold=True)]
        parts += [text(x - 34, 36, formula, anchor="start")]
        parts += road(x, top - 22, bottom)
        for i, sublayer in enumerate(SUBLAYERS):
            y = top + i * pitch
            names = ["norm", sublayer] if pre_norm else [sublayer]
            parts += detour(x, y, stops(x + 44, 112, y, names))
            if not pre_norm:
                parts += on_road(x, rejoins(y, 1) + 18, "norm", lit=True)
        parts += [text(x - 34, bottom + 18, says, anchor="start")]
    alt = (
        "Two blocks side by side, each with a straight road from top to bottom and two detours, "
        "through attention and through the feed-forward network, whose results are added to the "
        "road. Post-norm, 2017: after each sum a norm stands across the road; norm(x + f(x)). "
        "Pre-norm: the norm stands at the beginning of each detour, before the sublayer, and "
        "nothing stands on the road; x + f(norm(x))."
    )
    return Drawing("Where the norm stands", alt, 416, bottom + 34, parts)
