"""GPT: a decoder-only transformer.

Shape letters: B batch, T length, C model width, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.cache import KVCache, SegmentMemory
from minitx.cores import FusedAttention
from minitx.layers import FeedForward, LayerNorm, gelu_tanh
from minitx.masks import NO_MASK, Mask, causal
from minitx.models.config import validate
from minitx.models.parts import CoreFactory, Parts, initialise
from minitx.multihead import MultiHeadAttention
from minitx.positions import Learned, Position, positions_from

GELU_NETWORK = partial(FeedForward, activation=gelu_tanh)


@dataclass(frozen=True)
class GPTConfig:
    """Sizes and parts of a `GPT`; the defaults are GPT-2 small.

    Args:
        vocab_size: V.
        max_len: longest text, where the positions have an end.
        d_model: width C.
        num_heads: heads of every attention.
        num_layers: blocks.
        d_ff: width between the two layers of the feed-forward network; 4 C unless given.
        num_kv_heads: heads of keys and values; num_heads unless given.
        dropout: in training, after every sublayer and on the embeddings.
        attention_dropout: in training, on attention weights; as dropout unless given. Cores that
            take no dropout need 0 here.
        core: makes the core of each attention, see `parts.make_core`.
        position: makes the positions; `Learned` unless given.
        feed_forward: makes the network of each block, from d_model and d_ff.
    """

    vocab_size: int = 50_257
    max_len: int = 1024
    d_model: int = 768
    num_heads: int = 12
    num_layers: int = 12
    d_ff: int | None = None
    num_kv_heads: int | None = None
    dropout: float = 0.1
    attention_dropout: float | None = None
    core: CoreFactory = FusedAttention
    position: Callable[[], Position] | None = None
    feed_forward: Callable[[int, int], nn.Module] = GELU_NETWORK

    def __post_init__(self) -> None:
        validate(self)

    @classmethod
    def gpt2(cls) -> "GPTConfig":
        """GPT-2 small, 124 million parameters. Source: Radford et al. 2019, §2.3, table 2."""
        return cls()

    @classmethod
    def gpt3(cls) -> "GPTConfig":
        """GPT-3, 175 billion parameters. Source: Brown et al. 2020, §2.1, table 2.1.

        Deviation: every layer is dense; the paper alternates dense and locally banded sparse
        attention, which has the same parameters.
        """
        return cls(max_len=2048, d_model=12_288, num_heads=96, num_layers=96)


class GPT(nn.Module):
    """Causal self-attention blocks that predict the next token at every position.

    Args:
        config: sizes and parts.

    Raises:
        ValueError: if sizes do not fit together, or the core takes no dropout and is to drop.

    Source: Radford et al. 2019, §2.3: pre-norm, a norm after the last block, residual
    projections that start smaller by 1/√(number of residual layers); the rest as in Radford
    et al. 2018, §4.1 (N(0, 0.02), GELU, learned positions, tied output).

    >>> model = GPT(GPTConfig(vocab_size=11, max_len=7, d_model=8, num_heads=2, num_layers=1))
    >>> model(torch.tensor([[3, 1, 4, 1, 5]])).shape        # logits of the token after each
    torch.Size([1, 5, 11])
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.embedding = nn.Embedding(config.vocab_size, C)
        self.position = config.position() if config.position else Learned(config.max_len, C)
        self.dropout = nn.Dropout(config.dropout)
        d_ff = 4 * C if config.d_ff is None else config.d_ff
        parts = Parts(
            attention=partial(
                MultiHeadAttention, C, config.num_heads, num_kv_heads=config.num_kv_heads
            ),
            feed_forward=partial(config.feed_forward, C, d_ff),
            norm=partial(LayerNorm, C),
            pre_norm=True,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            core=config.core,
        )
        self.blocks = parts.encoder(config.num_layers, position=self.position)
        self.output = nn.Linear(C, config.vocab_size, bias=False)
        self._initialise()
        self.output.weight = self.embedding.weight

    def forward(
        self,
        token_ids: Int[Tensor, "B T"],
        *,
        mask: Mask = NO_MASK,
        caches: Sequence[KVCache] | None = None,
        memories: Sequence[SegmentMemory] | None = None,
        positions: Int[Tensor, "#B T"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of token_ids.

        Args:
            token_ids: the newest tokens; all of them, if there is no cache.
            mask: the padding, cached and remembered tokens included; causal is added here.
            caches: as `new_caches` makes them.
            memories: as `new_memories` makes them; token_ids are then the next segment of a text,
                and the scheme of positions must be one of attention, not of embeddings.
            positions: where each token stands; counted on from the caches unless given. Texts
                padded at the left have other positions than their columns.

        Raises:
            ValueError: if memories are given and positions are marked on embeddings.
        """
        if memories and self.position.only_embeds:
            raise ValueError(
                f"{type(self.position).__name__} marks embeddings, and a memory's states would be "
                "marked for the segment they came from: take positions relative to the query"
            )
        if positions is None:
            positions = positions_from(
                len(caches[0]) if caches else 0, token_ids.size(1), token_ids.device
            )
        x = self.dropout(self.position.embed(self.embedding(token_ids), positions))
        x = self.blocks(
            x, mask=causal() & mask, caches=caches, memories=memories, positions=positions
        )
        return self.output(x)

    def new_caches(self) -> list[KVCache]:
        """Empty caches for one generation, one per block."""
        return self.blocks.new_caches()

    def new_memories(self, max_len: int) -> list[SegmentMemory]:
        """Empty memories for one text read segment by segment, one per block."""
        return self.blocks.new_memories(max_len)

    def _initialise(self) -> None:
        normal = partial(nn.init.normal_, std=0.02)
        initialise(self, linear=normal, embedding=normal)
        with torch.no_grad():
            for name, module in self.named_modules():
                if isinstance(module, nn.Linear) and name.endswith(".out_proj"):
                    module.weight /= math.sqrt(2 * self.config.num_layers)
