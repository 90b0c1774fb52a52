"""The formats of numbers that training uses: how many bits for what, and how far they reach."""

import math
from dataclasses import dataclass

from minitx.viz.svg import Box, Drawing, Part, line, text


@dataclass(frozen=True)
class Format:
    """Bits of a number besides its sign.

    >>> Format("fp16", 5, 10).smallest, Format("fp16", 5, 10).largest
    (6.103515625e-05, 65504.0)
    """

    name: str
    exponent: int
    fraction: int

    @property
    def smallest(self) -> float:
        """With all its digits: the smallest normal number."""
        return 2.0 ** (2 - 2 ** (self.exponent - 1))

    @property
    def largest(self) -> float:
        return (2 - 2.0**-self.fraction) * 2.0 ** (2 ** (self.exponent - 1) - 1)

    @property
    def digits(self) -> float:
        """Decimal digits."""
        return (self.fraction + 1) * math.log10(2)


FORMATS = (
    Format("fp32", 8, 23),
    Format("tf32", 8, 10),
    Format("bf16", 8, 7),
    Format("fp16", 5, 10),
)


def number_formats() -> Drawing:
    """Four rows of bits, and below each row how far its numbers reach."""
    left, cell, pitch, top = 84.0, 10.0, 72.0, 44.0
    one, scale = left + 16 * cell, 2.76  # where 1 stands, and how wide a power of ten is
    bottom = top + len(FORMATS) * pitch
    parts: list[Part] = [line((one, top + 26), (one, bottom - 20), role="score", dashed=True)]
    parts += [text(one, bottom - 10, "1", role="score")]
    for x, name, fill, hatch in (
        (84.0, "sign", 0.9, False),
        (146.0, "exponent: reach", 0.12, True),
        (290.0, "fraction: digits", 0.12, False),
    ):
        parts += [Box(x, 4, cell, 18, fill=fill, hatch=hatch, radius=0)]
        parts += [text(x + cell + 5, 13, name, anchor="start")]
    told = []
    for row, form in enumerate(FORMATS):
        y = top + row * pitch
        parts += [text(2, y + 10, form.name, anchor="start", bold=True)]
        parts += [text(2, y + 36, f"{form.digits:.1f} digits", anchor="start")]
        for bit in range(1 + form.exponent + form.fraction):
            is_exponent = 0 < bit <= form.exponent
            parts += [Box(left + bit * cell, y, cell, 20, fill=0.12 if bit else 0.9,
                          hatch=is_exponent, radius=0)]  # fmt: skip
        low, high = (math.log10(end) for end in (form.smallest, form.largest))
        start, end = one + low * scale, one + high * scale
        parts += [line((start, y + 36), (end, y + 36), width=5)]
        parts += [text(start - 6, y + 36, f"10^{{−{-math.floor(low)}}}", anchor="end")]
        parts += [text(end + 6, y + 36, f"10^{{{math.floor(high)}}}", anchor="start")]
        told += [f"{form.name}: {form.exponent} bits of exponent and {form.fraction} of fraction, "
                 f"from {form.smallest:.0e} to {form.largest:.0e}, {form.digits:.1f} "
                 "decimal digits"]  # fmt: skip
    alt = (
        "Four formats of numbers as rows of bits, one for the sign, some for the exponent, "
        "hatched, and some for the fraction; below each a bar from its smallest to its largest "
        f"number. {'; '.join(told)}. bf16 reaches as far as fp32 with few digits; fp16 has more "
        "digits and a short reach."
    )
    return Drawing("Formats of numbers", alt, 416, bottom + 2, parts)
