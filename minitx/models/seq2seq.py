"""The encoder-decoder transformer of 2017.

Shape letters: B batch, T_src and T_tgt lengths, C model width, V vocabulary of the target.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.cache import KVCache
from minitx.cores import FusedAttention
from minitx.layers import FeedForward, LayerNorm
from minitx.masks import NO_MASK, Mask, causal
from minitx.models.config import validate
from minitx.models.parts import CoreFactory, Parts, initialise
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
        dropout: in training, after every sublayer and on the embeddings.
        attention_dropout: in training, on attention weights; as dropout unless given. Cores that
            take no dropout need 0 here.
        pre_norm: norm before each sublayer, and once more at the end of each stack.
        share_embeddings: one table for source, target and output, for a shared vocabulary. The
            output layer shares the target's table in any case.
        core: makes the core of each self-attention, see `parts.make_core`.
        decoder_core: the same in the decoder, which needs one that can be causal; as core unless
            given.
        position: makes the positions of one stack; `Sinusoidal` unless given.
        feed_forward: makes the network of each block, from d_model, d_ff and dropout=.

    Raises:
        ValueError: if embeddings are to be shared between vocabularies of different sizes.
    """

    src_vocab_size: int
    tgt_vocab_size: int
    d_model: int = 512
    num_heads: int = 8
    num_encoder_layers: int = 6
    num_decoder_layers: int = 6
    d_ff: int = 2048
    dropout: float = 0.1
    attention_dropout: float | None = None
    pre_norm: bool = False
    share_embeddings: bool = False
    core: CoreFactory = FusedAttention
    decoder_core: CoreFactory | None = None
    position: Callable[[], Position] | None = None
    feed_forward: Callable[..., nn.Module] = FeedForward

    def __post_init__(self) -> None:
        validate(self)
        if self.share_embeddings and self.src_vocab_size != self.tgt_vocab_size:
            raise ValueError(
                f"shared embeddings need one vocabulary, got sizes {self.src_vocab_size} "
                f"(source) and {self.tgt_vocab_size} (target)"
            )

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
        ValueError: if sizes do not fit together, or a core takes no dropout and is to drop.

    Source: Vaswani et al. 2017, §3. Embeddings are multiplied by √C and share their table with
    the output layer (§3.4); matrices start as in Glorot & Bengio 2010, as in the authors' code.

    >>> import torch
    >>> model = Transformer(TransformerConfig(11, 13, d_model=8, num_heads=2, d_ff=16))
    >>> model(torch.tensor([[2, 7, 1, 8]]), torch.tensor([[0, 3, 1]])).shape
    torch.Size([1, 3, 13])
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.tgt_embedding = nn.Embedding(config.tgt_vocab_size, C)
        self.src_embedding = (
            self.tgt_embedding
            if config.share_embeddings
            else nn.Embedding(config.src_vocab_size, C)
        )
        make_position = config.position or partial(Sinusoidal, C)
        self.src_position, self.tgt_position = make_position(), make_position()
        self.dropout = nn.Dropout(config.dropout)
        parts = Parts(
            attention=partial(MultiHeadAttention, C, config.num_heads),
            feed_forward=partial(config.feed_forward, C, config.d_ff, dropout=config.dropout),
            norm=partial(LayerNorm, C),
            pre_norm=config.pre_norm,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            core=config.core,
        )
        self.encoder = parts.encoder(config.num_encoder_layers, position=self.src_position)
        parts = replace(parts, core=config.decoder_core or config.core)
        self.decoder = parts.decoder(config.num_decoder_layers, position=self.tgt_position)
        self.output = nn.Linear(C, config.tgt_vocab_size, bias=False)
        initialise(
            self,
            linear=nn.init.xavier_uniform_,
            embedding=partial(nn.init.normal_, std=C**-0.5),
        )
        self.output.weight = self.tgt_embedding.weight

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
        caches: Sequence[tuple[KVCache, KVCache]] | None = None,
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
