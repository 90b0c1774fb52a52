"""BERT: an encoder that reads in both directions, with its two heads for pre-training.

Shape letters: B batch, T length, C model width, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.cores import FusedAttention
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import NO_MASK, Mask
from minitx.models.config import validate
from minitx.models.parts import CoreFactory, Parts, initialise
from minitx.multihead import MultiHeadAttention
from minitx.positions import Learned, Position, positions_from


@dataclass(frozen=True)
class BERTConfig:
    """Sizes and parts of a `BERT`; the defaults are BERT-base.

    Args:
        vocab_size: V.
        max_len: longest text, where the positions have an end.
        d_model: width C.
        num_heads: heads of every attention.
        num_layers: blocks.
        d_ff: width between the two layers of the feed-forward network.
        num_segments: kinds of segment (first and second sentence).
        dropout: in training, after every sublayer and on the embeddings.
        attention_dropout: in training, on attention weights; as dropout unless given. Cores that
            take no dropout need 0 here.
        norm_eps: eps of every LayerNorm.
        core: makes the core of each attention, see `parts.make_core`.
        position: makes the positions; `Learned` unless given.
    """

    vocab_size: int = 30_522
    max_len: int = 512
    d_model: int = 768
    num_heads: int = 12
    num_layers: int = 12
    d_ff: int = 3072
    num_segments: int = 2
    dropout: float = 0.1
    attention_dropout: float | None = None
    norm_eps: float = 1e-12
    core: CoreFactory = FusedAttention
    position: Callable[[], Position] | None = None

    def __post_init__(self) -> None:
        validate(self)

    @classmethod
    def base(cls) -> "BERTConfig":
        """BERT-base, about 110 million parameters. Source: Devlin et al. 2019, §3."""
        return cls()


class BERT(nn.Module):
    """Embeddings of token, position and segment; post-norm encoder blocks; two heads.

    Args:
        config: sizes and parts.

    Raises:
        ValueError: if sizes do not fit together, or the core takes no dropout and is to drop.

    Source: Devlin et al. 2019, §3 and appendix A; the transform before the masked-language
    logits, the pooler before the next-sentence logits and the start (matrices from N(0, 0.02), cut
    off at two standard deviations) are as in the authors' code.

    >>> import torch
    >>> from minitx.masks import padding
    >>> model = BERT(BERTConfig(11, max_len=7, d_model=8, num_heads=2, num_layers=1, d_ff=16))
    >>> hidden = model(torch.tensor([[2, 7, 1, 8]]), mask=padding([3], max_len=4))
    >>> model.masked_language_logits(hidden).shape, model.next_sentence_logits(hidden).shape
    (torch.Size([1, 4, 11]), torch.Size([1, 2]))
    """

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.embedding = nn.Embedding(config.vocab_size, C)
        self.segment = nn.Embedding(config.num_segments, C)
        self.position = config.position() if config.position else Learned(config.max_len, C)
        norm = partial(LayerNorm, C, eps=config.norm_eps)
        self.embedding_norm = norm()
        self.dropout = nn.Dropout(config.dropout)
        parts = Parts(
            attention=partial(MultiHeadAttention, C, config.num_heads),
            feed_forward=partial(FeedForward, C, config.d_ff, activation=F.gelu),
            norm=norm,
            pre_norm=False,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            core=config.core,
        )
        self.encoder = parts.encoder(config.num_layers, position=self.position)
        self.pooler = nn.Linear(C, C)
        self.next_sentence = nn.Linear(C, 2)
        self.transform = nn.Sequential(nn.Linear(C, C), nn.GELU(), norm())
        self.output = nn.Linear(C, config.vocab_size)
        normal = partial(nn.init.trunc_normal_, std=0.02, a=-0.04, b=0.04)
        initialise(self, linear=normal, embedding=normal)
        self.output.weight = self.embedding.weight

    def forward(
        self,
        token_ids: Int[Tensor, "B T"],
        *,
        mask: Mask = NO_MASK,
        segments: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Every token, seen in the light of the whole text.

        Args:
            token_ids: the texts.
            mask: the padding.
            segments: which sentence each token belongs to; the first unless given.
        """
        positions = positions_from(0, token_ids.size(1), token_ids.device)
        segment = self.segment(token_ids.new_zeros(()) if segments is None else segments)
        x = self.position.embed(self.embedding(token_ids) + segment, positions)
        x = self.dropout(self.embedding_norm(x))
        return self.encoder(x, mask=mask, positions=positions)

    def masked_language_logits(
        self, hidden: Float[Tensor, "*batch C"]
    ) -> Float[Tensor, "*batch V"]:
        """Which token stood here: logits over the vocabulary."""
        return self.output(self.transform(hidden))

    def next_sentence_logits(self, hidden: Float[Tensor, "B T C"]) -> Float[Tensor, "B 2"]:
        """Does the second sentence follow the first: logits of yes and no, read off token 0."""
        return self.next_sentence(self.pooler(hidden[:, 0]).tanh())
