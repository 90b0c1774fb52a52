"""The encoder-decoder transformer of 2017.

Shape letters: B batch, T_src and T_tgt lengths, C model width, V vocabulary of the target.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.blocks import Decoder, DecoderBlock, Encoder, EncoderBlock
from minitx.cache import KVCache
from minitx.cores import AttentionCore
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import NO_MASK, Mask, causal
from minitx.multihead import MultiHeadAttention
from minitx.positions import Position, Sinusoidal, positions_from


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes and parts of a `Transformer`; the defaults are the paper's base model.

    Args:
        src_vocab_size: tokens of the source language.
        tgt_vocab_size: V, tokens of the target language.
        d_model: width C.
        num_heads: heads of every attention.
        num_encoder_layers: blocks of the encoder.
        num_decoder_layers: blocks of the decoder.
        d_ff: width between the two layers of the feed-forward network.
        dropout: in training, after every sublayer, on the embeddings and on attention weights.
        pre_norm: norm before each sublayer, and once more at the end of each stack.
        norm_eps: eps of every LayerNorm.
        final_norm: a norm at the end of each stack; as pre_norm unless given.
        activation: between the two layers of the feed-forward network.
        share_embeddings: one table for source, target and output, for a shared vocabulary. The
            output layer shares the target's table in any case.
        output_bias: whether the logits have one; the paper's have none.
        core: makes the core of each self-attention; `FusedAttention` unless given.
        decoder_core: the same in the decoder, which needs one that can be causal; as core unless
            given.
        position: makes the positions of one stack; `Sinusoidal` unless given.
    """

    src_vocab_size: int
    tgt_vocab_size: int
    d_model: int = 512
    num_heads: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    d_ff: int = 2048
    dropout: float = 0.1
    pre_norm: bool = False
    norm_eps: float = 1e-5
    final_norm: bool | None = None
    activation: Callable[[Tensor], Tensor] = F.relu
    share_embeddings: bool = False
    output_bias: bool = False
    core: Callable[[], AttentionCore] | None = None
    decoder_core: Callable[[], AttentionCore] | None = None
    position: Callable[[], Position] | None = None

    @classmethod
    def base(cls) -> "TransformerConfig":
        """The paper's base model for English-German, about 65 million parameters.

        Source: Vaswani et al. 2017, table 3; about 37000 shared tokens, §5.1.
        """
        return cls(src_vocab_size=37_000, tgt_vocab_size=37_000, share_embeddings=True)


class Transformer(nn.Module):
    """Encoder and decoder, embeddings below, logits above.

    Args:
        config: sizes and parts.

    Raises:
        ValueError: if embeddings are to be shared between vocabularies of different sizes.

    Source: Vaswani et al. 2017, §3. Embeddings are multiplied by √C and share their table with
    the output layer (§3.4); matrices start as in Glorot & Bengio 2010, as in the authors' code.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.tgt_embedding = nn.Embedding(config.tgt_vocab_size, C)
        if not config.share_embeddings:
            self.src_embedding = nn.Embedding(config.src_vocab_size, C)
        elif config.src_vocab_size == config.tgt_vocab_size:
            self.src_embedding = self.tgt_embedding
        else:
            raise ValueError(
                f"shared embeddings need one vocabulary, got sizes {config.src_vocab_size} "
                f"(source) and {config.tgt_vocab_size} (target)"
            )
        make_position = config.position or partial(Sinusoidal, C)
        self.src_position = make_position()
        self.tgt_position = make_position()
        self.dropout = nn.Dropout(config.dropout)

        final_norm = config.pre_norm if config.final_norm is None else config.final_norm
        self.encoder = Encoder(
            (self._encoder_block() for _ in range(config.num_encoder_layers)),
            self._norm() if final_norm else nn.Identity(),
        )
        self.decoder = Decoder(
            (self._decoder_block() for _ in range(config.num_decoder_layers)),
            self._norm() if final_norm else nn.Identity(),
        )
        self.output = nn.Linear(C, config.tgt_vocab_size, bias=config.output_bias)
        self.apply(_initialise)
        self.output.weight = self.tgt_embedding.weight  # tied last: it starts as an embedding does

    def forward(
        self,
        src: Int[Tensor, "B T_src"],
        tgt: Int[Tensor, "B T_tgt"],
        *,
        src_mask: Mask = NO_MASK,
        tgt_mask: Mask = NO_MASK,
    ) -> Float[Tensor, "B T_tgt V"]:
        """Logits of every next target token, given the tokens before it.

        Args:
            src: source tokens.
            tgt: target tokens, beginning with the start token: the targets shifted by one.
            src_mask: the source's padding.
            tgt_mask: the target's padding; causal is added here.
        """
        return self.decode(
            tgt, self.encode(src, mask=src_mask), mask=tgt_mask, memory_mask=src_mask
        )

    def encode(
        self, src: Int[Tensor, "B T_src"], *, mask: Mask = NO_MASK
    ) -> Float[Tensor, "B T_src C"]:
        """The source's tokens, each seen in the light of the others: the decoder's memory."""
        positions = positions_from(0, src.size(1), src.device)
        x = self._embed(src, self.src_embedding, self.src_position, positions)
        return self.encoder(x, mask=mask, positions=positions)

    def decode(
        self,
        tgt: Int[Tensor, "B T_tgt"],
        memory: Float[Tensor, "B T_src C"],
        *,
        mask: Mask = NO_MASK,
        memory_mask: Mask = NO_MASK,
        caches: list[tuple[KVCache, KVCache]] | None = None,
    ) -> Float[Tensor, "B T_tgt V"]:
        """Logits for the tokens of tgt, which follow those that the caches hold.

        Args:
            tgt: the newest target tokens.
            memory: what `encode` returned.
            mask: the target's padding; causal is added here.
            memory_mask: the source's padding.
            caches: as `new_caches` makes them; None if tgt is all there is.
        """
        seen = len(caches[0][0]) if caches else 0
        positions = positions_from(seen, tgt.size(1), tgt.device)
        x = self._embed(tgt, self.tgt_embedding, self.tgt_position, positions)
        x = self.decoder(
            x,
            memory,
            mask=causal() & mask,
            memory_mask=memory_mask,
            caches=caches,
            positions=positions,
        )
        return self.output(x)

    def new_caches(self) -> list[tuple[KVCache, KVCache]]:
        """Empty caches for one generation: self- and cross-attention of every decoder block."""
        return self.decoder.new_caches()

    def _embed(
        self,
        token_ids: Int[Tensor, "B T"],
        table: nn.Embedding,
        position: Position,
        positions: Int[Tensor, "1 T"],
    ) -> Float[Tensor, "B T C"]:
        x = table(token_ids) * math.sqrt(self.config.d_model)
        return self.dropout(position.embed(x, positions))

    def _encoder_block(self) -> EncoderBlock:
        config = self.config
        return EncoderBlock(
            self._self_attention(self.src_position, config.core),
            self._feed_forward(),
            norm=self._norm,
            pre_norm=config.pre_norm,
            dropout=config.dropout,
        )

    def _decoder_block(self) -> DecoderBlock:
        config = self.config
        return DecoderBlock(
            self._self_attention(self.tgt_position, config.decoder_core or config.core),
            MultiHeadAttention(config.d_model, config.num_heads, dropout=config.dropout),
            self._feed_forward(),
            norm=self._norm,
            pre_norm=config.pre_norm,
            dropout=config.dropout,
        )

    def _self_attention(
        self, position: Position, make_core: Callable[[], AttentionCore] | None
    ) -> MultiHeadAttention:
        config = self.config
        core = make_core() if make_core else None
        return MultiHeadAttention(
            config.d_model,
            config.num_heads,
            core=core,
            position=None if position.only_embeds else position,
            dropout=0.0 if core else config.dropout,
        )

    def _feed_forward(self) -> FeedForward:
        config = self.config
        return FeedForward(
            config.d_model, config.d_ff, activation=config.activation, dropout=config.dropout
        )

    def _norm(self) -> LayerNorm:
        return LayerNorm(self.config.d_model, eps=self.config.norm_eps)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
