"""The schemes of positions by name, each as a small model of characters takes it."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.positions import (
    ALiBi,
    Learned,
    NoPosition,
    Position,
    Rotary,
    Shaw,
    Sinusoidal,
    T5Bias,
    TransformerXL,
)
from minitx.projects.settings import PositionName, TextSettings

FAINT = 0.1


class FaintSinusoidal(Sinusoidal):
    """Sinusoids that do not drown the embeddings with which a GPT starts.

        x + 0.1 · PE

    The transformer of 2017 multiplies its embeddings by √C, so that they are about as large as the
    sinusoids. A GPT's start at 0.02 and grow; of the factors 0.02, 0.1, 0.3 and 1 this is the one
    with which a small model predicts best within the trained length.
    """

    def _embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        wide = torch.promote_types(x.dtype, torch.float32)
        return x + (FAINT * self.table(pos, wide)).to(x.dtype)


def scheme(settings: TextSettings) -> Callable[[], Position]:
    """Makes the positions that the settings name, for texts read forwards.

    T5's last bucket begins at half the trained length, so that it is trained, as in the paper,
    where it begins at 128 of 512 tokens.

    >>> scheme(TextSettings(num_steps=1, max_lr=1.0, batch_size=1, positions="learned"))()
    Learned(
      (table): Embedding(128, 128)
    )
    """
    H, C = settings.num_heads, settings.d_model
    schemes: dict[PositionName, Callable[[], Position]] = {
        "none": NoPosition,
        "sinusoidal": partial(FaintSinusoidal, C),
        "learned": partial(Learned, settings.length, C),
        "Shaw": partial(Shaw, C // H),
        "T5": partial(T5Bias, H, max_distance=max(17, settings.length // 2), bidirectional=False),
        "ALiBi": partial(ALiBi, H),
        "Transformer-XL": partial(TransformerXL, H, C // H),
        "rotary": partial(Rotary, C // H),
    }
    return schemes[settings.positions]
