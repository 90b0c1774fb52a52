"""The numbers that decide how a training turns out; nothing heavy is imported here."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a model turns out, besides its data.

    Args:
        num_steps: updates.
        max_lr: highest learning rate; it falls along a cosine to final_lr.
        batch_size: examples per update, in each process.
        final_lr: the last step's rate, as a share of max_lr.
        warmup_steps: updates until max_lr; a tenth of them all at most.
        weight_decay: of the matrices.
        smoothing: of the labels, in training only.
        seed: of the first weights, the order of the examples and dropout.

    The other names are those of the models' configs; num_layers is meant for each stack.
    """

    num_steps: int
    max_lr: float
    batch_size: int
    final_lr: float = 0.0
    warmup_steps: int = 40
    weight_decay: float = 0.0
    smoothing: float = 0.0
    d_model: int = 128
    num_heads: int = 4
    num_layers: int = 2
    dropout: float = 0.0
    seed: int = 0


PositionName = Literal[
    "none", "sinusoidal", "learned", "Shaw", "T5", "ALiBi", "Transformer-XL", "rotary"
]


@dataclass(frozen=True, kw_only=True)
class TextSettings(Settings):
    """The same for a model that reads pieces of one long text.

    Args:
        length: characters of a piece.
        positions: of a model that writes; one that restores has BERT's own.
    """

    length: int = 128
    positions: PositionName = "ALiBi"


Part = Literal["nothing", "residual connections", "layer norm", "feed-forward", "scaled scores"]


@dataclass(frozen=True, kw_only=True)
class FamilySettings(TextSettings):
    """The same for a model of one of the families that learn from plain text.

    Args:
        family: what it is made of, and what it is asked.
    """

    family: Literal["encoder only", "decoder only", "both, spans", "both, mending"]


@dataclass(frozen=True, kw_only=True)
class TranslationSettings(Settings):
    """The same for a translator, which need not be the transformer of 2017.

    Args:
        architecture: a transformer, or a recurrent encoder and decoder; num_heads, num_layers and
            positions are the transformer's.
        positions: "none" leaves them out: then the encoder sees a bag of words.
        pre_norm: see `blocks.Residual`.
        without: what is taken out of every block of a transformer, see `taken_out`.
    """

    architecture: Literal["transformer", "recurrent", "recurrent, with attention"] = "transformer"
    positions: Literal["sinusoidal", "none"] = "sinusoidal"
    pre_norm: bool = False
    without: Part = "nothing"
