"""Clipping: a gradient that is too long is shortened to a sphere and keeps its direction."""

from minitx.viz.svg import Drawing, Part, Point, arrow, dot, line, signed, text

LONG, SHORT, MAX_NORM = (3.0, 4.0), (-0.4, 0.3), 1.0


def clipped(gradient: tuple[float, float]) -> tuple[float, float]:
    """What torch leaves of a gradient.

    >>> [round(g, 2) for g in clipped((3.0, 4.0))]
    [0.6, 0.8]
    """
    import torch

    parameter = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([parameter], MAX_NORM)
    across, up = parameter.grad.tolist()
    return across, up


def clip_sphere() -> Drawing:
    """A long and a short gradient from the middle of a circle."""
    middle, unit = (128.0, 262.0), 58.0

    def at(vector: tuple[float, float]) -> Point:
        return middle[0] + unit * vector[0], middle[1] - unit * vector[1]

    cut, kept = clipped(LONG), clipped(SHORT)
    length = (LONG[0] ** 2 + LONG[1] ** 2) ** 0.5
    small = (SHORT[0] ** 2 + SHORT[1] ** 2) ** 0.5
    parts: list[Part] = [dot(*middle, unit * MAX_NORM, role="score", fill=0.1)]
    parts += [arrow(at(cut), at(LONG), role="score", dashed=True, width=2)]
    parts += [arrow(middle, at(cut), width=4), arrow(middle, at(kept), width=4), dot(*middle, 3)]
    parts += [text(at(LONG)[0] - 16, at(LONG)[1] + 4, f"gradient {_written(LONG)}", anchor="end")]
    parts += [text(at(LONG)[0] - 30, at(LONG)[1] + 24, f"length {length:g}", anchor="end")]
    x, y = at(cut)
    parts += [line((x + 6, y + 4), (226, y + 26), role="score")]
    parts += [text(230, y + 30, f"clipped {_written(cut)}", anchor="start", bold=True)]
    parts += [text(230, y + 50, f"length {MAX_NORM:g}, same direction", anchor="start")]
    x, y = at(kept)
    parts += [line((x - 4, y - 4), (76, 184), role="score")]
    parts += [text(4, 156, f"length {small:g}: stays", anchor="start", bold=True)]
    parts += [text(4, 175, "as it is", anchor="start")]
    words = f"sphere of radius {MAX_NORM:g}, the longest allowed"
    parts += [text(middle[0] + 20, middle[1] + unit + 16, words, role="score")]
    alt = (
        f"A circle of radius {MAX_NORM:g}, the longest allowed. From its middle a gradient "
        f"{_written(LONG)} of length {length:g} points far beyond it, dashed; clipped, it ends on "
        f"the circle, {_written(cut)}, of length {MAX_NORM:g} and in the same direction. A "
        f"gradient of length {small:g} ends inside and stays as it is."
    )
    return Drawing("Clipped to a sphere", alt, 416, middle[1] + unit + 32, parts)


def _written(vector: tuple[float, float]) -> str:
    return f"({', '.join(signed(number, '.2g') for number in vector)})"
