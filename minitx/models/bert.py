"""BERT: an encoder that reads in both directions, with its two heads for pre-training.

Shape letters: B batch, T length, C model width, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.blocks import Encoder, EncoderBlock
from minitx.cores import AttentionCore
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import Mask
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
        dropout: in training, after every sublayer, on the embeddings and on attention weights.
        norm_eps: eps of every LayerNorm.
        core: makes the core of each attention; `FusedAttention` unless given.
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
    norm_eps: float = 1e-12
    core: Callable[[], AttentionCore] | None = None
    position: Callable[[], Position] | None = None

    @classmethod
    def base(cls) -> "BERTConfig":
        """BERT-base, about 110 million parameters. Source: Devlin et al. 2019, §3."""
        return cls()


class BERT(nn.Module):
    """Embeddings of token, position and segment; post-norm encoder blocks; two heads.

    Args:
        config: sizes and parts.

    Source: Devlin et al. 2019, §3 and appendix A; the transform before the masked-language
    logits, the pooler before the next-sentence logits and the start (matrices from N(0, 0.02), cut
    off at two standard deviations) are as in the authors' code.
    """

    def __init__(self, config: BERTConfig) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.embedding = nn.Embedding(config.vocab_size, C)
        self.segment = nn.Embedding(config.num_segments, C)
        self.position = config.position() if config.position else Learned(config.max_len, C)
        self.embedding_norm = self._norm()
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder((self._block() for _ in range(config.num_layers)), nn.Identity())
        self.pooler = nn.Linear(C, C)
        self.next_sentence = nn.Linear(C, 2)
        self.transform = nn.Sequential(nn.Linear(C, C), nn.GELU(), self._norm())
        self.output = nn.Linear(C, config.vocab_size)
        self.output.weight = self.embedding.weight
        self.apply(_initialise)

    def forward(
        self,
        token_ids: Int[Tensor, "B T"],
        *,
        segments: Int[Tensor, "B T"] | None = None,
        key_padding: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """Every token, seen in the light of the whole text.

        Args:
            token_ids: the texts.
            segments: which sentence each token belongs to; the first unless given.
            key_padding: True for tokens, False for padding.
        """
        positions = positions_from(0, token_ids.size(1), token_ids.device)
        segment = self.segment(token_ids.new_zeros(()) if segments is None else segments)
        x = self.position.embed(self.embedding(token_ids) + segment, positions)
        x = self.dropout(self.embedding_norm(x))
        return self.encoder(x, mask=Mask(key_padding=key_padding), positions=positions)

    def masked_language_logits(
        self, hidden: Float[Tensor, "*batch C"]
    ) -> Float[Tensor, "*batch V"]:
        """Which token stood here: logits over the vocabulary."""
        return self.output(self.transform(hidden))

    def next_sentence_logits(self, hidden: Float[Tensor, "B T C"]) -> Float[Tensor, "B 2"]:
        """Does the second sentence follow the first: logits of yes and no, read off token 0."""
        return self.next_sentence(self.pooler(hidden[:, 0]).tanh())

    def _block(self) -> EncoderBlock:
        config = self.config
        core = config.core() if config.core else None
        return EncoderBlock(
            MultiHeadAttention(
                config.d_model,
                config.num_heads,
                core=core,
                position=None if self.position.only_embeds else self.position,
                dropout=0.0 if core else config.dropout,
            ),
            FeedForward(config.d_model, config.d_ff, activation=F.gelu),
            norm=self._norm,
            pre_norm=False,
            dropout=config.dropout,
        )

    def _norm(self) -> LayerNorm:
        return LayerNorm(self.config.d_model, eps=self.config.norm_eps)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
