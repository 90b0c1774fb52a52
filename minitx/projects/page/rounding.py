"""Weights in 8 bits: a whole number from -127 to 127 each, and one scale for each row."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

LARGEST = 127
"""As far on both sides: -128 is not used, so that a weight and its negative are rounded alike."""


@dataclass(frozen=True)
class Rounded:
    """A matrix or a vector in 8 bits.

        weight[i, j] ≈ levels[i, j] · scales[i]

    Args:
        levels: whole numbers, in the shape of the weights.
        scales: one for each row of a matrix, one in all for a vector.
    """

    levels: Int8[Tensor, "*shape"]
    scales: Float[Tensor, " rows"]

    @property
    def weight(self) -> Float[Tensor, "*shape"]:
        """What a model computes with: levels times scales, in float32."""
        rows = self.levels.float().view(len(self.scales), -1)
        return (rows * self.scales[:, None]).view(self.levels.shape)


def rounded(weight: Float[Tensor, "*shape"]) -> Rounded:
    """The nearest levels, where the largest weight of each row is 127 of them.

        scale = max |row| / 127,   levels = round(row / scale)

    No weight moves by more than half a scale.

    Raises:
        ValueError: if weight is neither a vector nor a matrix, or is not finite.

    Source: Jacob et al. 2018, §2.1, eq. 1, with zero point 0 and with one scale for each row
    instead of one for the whole matrix.

    >>> parts = rounded(torch.tensor([[0.5, -1.0], [0.0, 0.0]]))
    >>> parts.levels
    tensor([[  64, -127],
            [   0,    0]], dtype=torch.int8)
    >>> parts.weight
    tensor([[ 0.5039, -1.0000],
            [ 0.0000,  0.0000]])
    """
    if weight.dim() not in (1, 2):
        raise ValueError(f"weights must be vectors or matrices, got shape {tuple(weight.shape)}")
    if not torch.isfinite(weight).all():
        raise ValueError("weights must be finite, got inf or nan")
    rows = weight.detach().float().view(weight.size(0) if weight.dim() == 2 else 1, -1)
    scales = rows.abs().amax(dim=1) / LARGEST
    # A row of zeros has scale 0; its levels are 0, whatever they are divided by.
    levels = (rows / scales.where(scales > 0, 1.0)[:, None]).round().to(torch.int8)
    return Rounded(levels.view(weight.shape), scales)


def rounded_parameters(model: nn.Module) -> dict[str, Rounded]:
    """Every parameter of a model by name; a table used in two places is there once.

    Raises:
        ValueError: if one cannot be rounded; it is named.
    """
    parts = {}
    for name, weight in model.named_parameters():
        try:
            parts[name] = rounded(weight)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return parts


@torch.no_grad()
def put(parts: Mapping[str, Rounded], model: nn.Module) -> None:
    """Give a model these weights, in float32.

    Raises:
        ValueError: if they are not all of the model's, and of its shapes.
    """
    parameters = dict(model.named_parameters())
    got = {name: tuple(part.levels.shape) for name, part in parts.items()}
    wanted = {name: tuple(weight.shape) for name, weight in parameters.items()}
    if got != wanted:
        names = sorted(
            name for name in got.keys() | wanted.keys() if got.get(name) != wanted.get(name)
        )
        name = names[0]
        raise ValueError(
            f"the weights do not fit the model: {name} has shape {got.get(name)}, "
            f"wanted {wanted.get(name)}"
        )
    for name, part in parts.items():
        parameters[name].copy_(part.weight)
