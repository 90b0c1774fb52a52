"""A part of every block taken out, to see what it was for."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from minitx.blocks import Residual
from minitx.cores import FusedAttention
from minitx.layers import FeedForward, LayerNorm
from minitx.projects.settings import Part


class NoRoad(Residual):
    """A sublayer and its norm, and no way past it."""

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """Dropout and norm as they were; x is not added."""
        if self.pre_norm:
            return self.dropout(sublayer(self.norm(x)))
        return self.norm(self.dropout(sublayer(x)))


class Silence(nn.Module):
    """In the place of a sublayer: it adds nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros."""
        return torch.zeros_like(x)


def take_out(model: nn.Module, part: Part) -> None:
    """Take a part out of all blocks of a transformer, in place.

    Args:
        model: before training; what is left keeps the weights it was drawn with.
        part: "residual connections": only what the sublayers give goes on. "layer norm": numbers
            go on as they are. "feed-forward": attention alone. "scaled scores": dot products are
            not divided by √D_k.

    >>> from minitx.models import Transformer, TransformerConfig
    >>> model = Transformer(TransformerConfig(5, 7, d_model=8, num_heads=2, d_ff=16))
    >>> take_out(model, "layer norm")
    >>> any(isinstance(module, LayerNorm) for module in model.modules())
    False
    """
    for name, module in list(model.named_modules()):
        if part == "residual connections" and isinstance(module, Residual):
            bare = NoRoad(module.norm, pre_norm=module.pre_norm, dropout=module.dropout.p)
            model.set_submodule(name, bare)
        elif part == "layer norm" and isinstance(module, LayerNorm):
            model.set_submodule(name, nn.Identity())
        elif part == "feed-forward" and isinstance(module, FeedForward):
            model.set_submodule(name, Silence())
        elif part == "scaled scores" and isinstance(module, FusedAttention):
            module.scale = 1.0
