"""The parts of a model, made in one way for all models."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

from torch import Tensor, nn

from minitx.blocks import Decoder, DecoderBlock, Encoder, EncoderBlock
from minitx.cores import AttentionCore, FusedAttention
from minitx.multihead import MultiHeadAttention
from minitx.positions import Position

CoreFactory = Callable[..., AttentionCore]
"""Makes a core: a class, or a `partial` of one with its settings; `make_core` calls it."""

REMEDY = {
    "dropout": "set attention_dropout to 0, or take a core that drops weights, as FusedAttention",
    "scale": "take a core whose scale can be set, as FusedAttention's",
}


def make_core(
    factory: CoreFactory, *, dropout: float = 0.0, scale: float | None = None
) -> AttentionCore:
    """The core of one attention, with the settings that are the model's.

    A factory is called with those that it takes; what it does not take must not be needed.

    Args:
        factory: makes the core.
        dropout: share of the attention weights set to 0 in training.
        scale: factor on the dot products; None leaves the core its own, 1/√D_k.

    Raises:
        ValueError: if the factory does not take a dropout above 0, or a scale that is given.

    >>> core = make_core(FusedAttention, dropout=0.1)
    >>> core.dropout, core.scale
    (0.1, None)
    """
    takes = signature(factory).parameters
    settings: dict[str, float] = {}
    for name, value, needed in (
        ("dropout", dropout, dropout > 0),
        ("scale", scale, scale is not None),
    ):
        if name in takes and value is not None:
            settings[name] = value
        elif needed:
            made_by = factory.func if isinstance(factory, partial) else factory
            raise ValueError(
                f"{getattr(made_by, '__name__', made_by)} takes no {name}, and this model has a "
                f"{name} of {value} for attention: {REMEDY[name]}"
            )
    return factory(**settings)


def initialise(
    model: nn.Module, *, linear: Callable[[Tensor], Any], embedding: Callable[[Tensor], Any]
) -> None:
    """Draw the weights of all linear layers and embeddings anew, in place; biases start at 0.

    What is neither keeps the start it was made with: norms, experts and their router, and what
    cores and positions learn beside such layers. A table that serves as output layer, too, is tied
    after this, or it would start as the later of the two.

    Args:
        model: whose layers.
        linear: fills the matrix of a linear layer.
        embedding: fills the table of an embedding.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            linear(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            embedding(module.weight)


@dataclass(frozen=True)
class Parts:
    """How one model makes its blocks, and stacks them.

    Args:
        attention: makes an attention; is given its core and its position.
        feed_forward: makes the network of one block.
        norm: makes one normalisation layer.
        pre_norm: see `blocks.Residual`; a stack of pre-norm blocks ends with one more norm.
        dropout: see `blocks.Residual`.
        attention_dropout: share of the attention weights set to 0 in training; as dropout if None.
        core: makes the core of each self-attention, see `make_core`; `FusedAttention` serves where
            a memory is read.
        scale: of the scores of every attention, see `make_core`.
    """

    attention: Callable[..., MultiHeadAttention]
    feed_forward: Callable[[], nn.Module]
    norm: Callable[[], nn.Module]
    pre_norm: bool
    dropout: float
    attention_dropout: float | None = None
    core: CoreFactory = FusedAttention
    scale: float | None = None

    def encoder(self, num_layers: int, *, position: Position) -> Encoder:
        """A stack of blocks with self-attention; they share the scheme of positions."""
        return Encoder(
            (
                EncoderBlock(
                    self._attention(self.core, position),
                    self.feed_forward(),
                    norm=self.norm,
                    pre_norm=self.pre_norm,
                    dropout=self.dropout,
                )
                for _ in range(num_layers)
            ),
            self._last_norm(),
        )

    def decoder(self, num_layers: int, *, position: Position) -> Decoder:
        """A stack of blocks that also read a memory; to those attentions it has no positions."""
        return Decoder(
            (
                DecoderBlock(
                    self._attention(self.core, position),
                    self._attention(FusedAttention, None),
                    self.feed_forward(),
                    norm=self.norm,
                    pre_norm=self.pre_norm,
                    dropout=self.dropout,
                )
                for _ in range(num_layers)
            ),
            self._last_norm(),
        )

    def _attention(self, core: CoreFactory, position: Position | None) -> MultiHeadAttention:
        dropout = self.dropout if self.attention_dropout is None else self.attention_dropout
        made = make_core(core, dropout=dropout, scale=self.scale)
        return self.attention(core=made, position=position)

    def _last_norm(self) -> nn.Module:
        return self.norm() if self.pre_norm else nn.Identity()
