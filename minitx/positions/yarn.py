"""Rotary positions for texts longer than the trained ones, each pair treated by its speed."""

import math

from jaxtyping import Float, Int
from torch import Tensor

from minitx.positions.rotary import Rotary, require_stretch, scaled


class YaRN(Rotary):
    """Rotary positions of a model that reads texts `stretch` times as long as in its training.

        frequency of pair i, times  γ_i + (1 - γ_i) / stretch
        γ_i = 1 if it made more than `many` turns in a trained text, 0 if less than `few`,
              and straight in between
        scores, times  (0.1 ln(stretch) + 1)²

    Pairs that went round many times have seen every angle and stay as they are; those that did
    not come round once would meet new angles, and are slowed. Longer texts spread the weights, and
    larger scores make up for that.

    Args:
        d_head: width D_k of one head, even.
        trained_len: length of the trained texts.
        stretch: how many times longer they may now be.
        base: with which the model was trained.
        few: turns in a trained text below which a pair is slowed in full.
        many: turns from which it is left alone.

    Raises:
        ValueError: if d_head is odd, one of the others is below 1, or many not above few.

    Source: Peng et al. 2024, §3, with the few and many that they give for LLaMA, 1 and
    32. The factor of the scores is put on queries and keys, half on each, as there. γ is straight
    in the number of turns, as in the paper; widespread code draws it straight in i.

    >>> YaRN(4, trained_len=64, stretch=4).frequencies / Rotary(4).frequencies
    tensor([0.4722, 0.2500])
    """

    def __init__(
        self,
        d_head: int,
        *,
        trained_len: int,
        stretch: int,
        base: float = 10_000.0,
        few: float = 1.0,
        many: float = 32.0,
    ) -> None:
        super().__init__(d_head, base=base)
        if trained_len < 1:
            raise ValueError(f"trained_len must be at least 1, got {trained_len}")
        require_stretch(stretch)
        if not many > few:
            raise ValueError(f"many must be above few, {few}, got {many}")
        turns = trained_len * self.frequencies.double() / 2.0**64
        kept = ((turns - few) / (many - few)).clamp(0, 1)
        slowed = scaled(self.frequencies, kept + (1 - kept) / stretch)
        self.register_buffer("frequencies", slowed, persistent=False)
        self.longer = 0.1 * math.log(stretch) + 1

    def _turn(
        self, x: Float[Tensor, "B H T D_k"], pos: Int[Tensor, "#B T"]
    ) -> Float[Tensor, "B H T D_k"]:
        return self.longer * super()._turn(x, pos)
