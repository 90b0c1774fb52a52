"""T5: every task as text in, text out.

Shape letters: B batch, T_src and T_tgt lengths, C model width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.cache import KVCache
from minitx.cores import FusedAttention
from minitx.layers import FeedForward, RMSNorm, gelu_tanh
from minitx.masks import NO_MASK, Mask, causal
from minitx.models.config import validate
from minitx.models.parts import CoreFactory, Parts
from minitx.multihead import MultiHeadAttention
from minitx.positions import T5Bias, positions_from


@dataclass(frozen=True)
class T5Config:
    """Sizes and parts of a `T5`; the defaults are T5-small.

    Args:
        vocab_size: V.
        d_model: width C.
        d_head: width of one head; heads times d_head need not be C.
        num_heads: heads of every attention.
        num_layers: blocks of the encoder, and of the decoder.
        d_ff: width between the two layers of the feed-forward network.
        dropout: in training, after every sublayer and on the embeddings.
        attention_dropout: in training, on attention weights; as dropout unless given. Cores that
            take no dropout need 0 here.
        num_buckets: of the relative positions.
        max_distance: beyond it all positions share one bucket.
        gated: False is the T5 of the paper (ReLU, output tied to the embeddings); True is
            version 1.1 (gated GELU, an output layer of its own).
        core: makes the core of each self-attention, see `parts.make_core`; it must take a scale.
    """

    vocab_size: int = 32_128
    d_model: int = 512
    d_head: int = 64
    num_heads: int = 8
    num_layers: int = 6
    d_ff: int = 2048
    dropout: float = 0.1
    attention_dropout: float | None = None
    num_buckets: int = 32
    max_distance: int = 128
    gated: bool = False
    core: CoreFactory = FusedAttention

    def __post_init__(self) -> None:
        validate(self)

    @classmethod
    def small(cls) -> "T5Config":
        """T5-small, about 60 million parameters. Source: Raffel et al. 2020, §3.7."""
        return cls()


class T5(nn.Module):
    """Pre-norm encoder and decoder with relative position biases, RMSNorm and no other bias.

    Args:
        config: sizes and parts.

    Raises:
        ValueError: if sizes do not fit together, or the core takes no dropout and is to drop,
            or takes no scale.

    Source: Raffel et al. 2020, §2.1; scores are not scaled, one table of position biases serves
    all layers of a stack, and the matrices start as in the authors' code (Mesh TensorFlow), from
    which the 1/√C on tied logits also comes.

    >>> import torch
    >>> model = T5(T5Config(vocab_size=11, d_model=8, d_head=4, num_heads=2, num_layers=1, d_ff=16))
    >>> model(torch.tensor([[2, 7, 1, 8]]), torch.tensor([[0, 3, 1]])).shape
    torch.Size([1, 3, 11])
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = config
        C = config.d_model
        self.embedding = nn.Embedding(config.vocab_size, C)
        self.dropout = nn.Dropout(config.dropout)
        bias = partial(
            T5Bias,
            config.num_heads,
            num_buckets=config.num_buckets,
            max_distance=config.max_distance,
        )
        parts = Parts(
            attention=partial(
                MultiHeadAttention, C, config.num_heads, d_head=config.d_head, bias=False
            ),
            feed_forward=partial(
                FeedForward,
                C,
                config.d_ff,
                activation=gelu_tanh if config.gated else F.relu,
                gated=config.gated,
                bias=False,
                dropout=config.dropout,
            ),
            norm=partial(RMSNorm, C),
            pre_norm=True,
            dropout=config.dropout,
            attention_dropout=config.attention_dropout,
            core=config.core,
            scale=1.0,
        )
        self.encoder = parts.encoder(config.num_layers, position=bias(bidirectional=True))
        self.decoder = parts.decoder(config.num_layers, position=bias(bidirectional=False))
        self.output = nn.Linear(C, config.vocab_size, bias=False)
        if not config.gated:
            self.output.weight = self.embedding.weight
        self._initialise()

    def forward(
        self,
        src: Int[Tensor, "B T_src"],
        tgt: Int[Tensor, "B T_tgt"],
        *,
        src_mask: Mask = NO_MASK,
        tgt_mask: Mask = NO_MASK,
    ) -> Float[Tensor, "B T_tgt V"]:
        """Logits of every next target token, as `seq2seq.Transformer` gives them."""
        memory = self.encode(src, mask=src_mask)
        return self.decode(tgt, memory, mask=tgt_mask, memory_mask=src_mask)

    def encode(
        self, src: Int[Tensor, "B T_src"], *, mask: Mask = NO_MASK
    ) -> Float[Tensor, "B T_src C"]:
        """The source's tokens, each seen in the light of the others: the decoder's memory."""
        x = self.dropout(self.embedding(src))
        return self.dropout(
            self.encoder(x, mask=mask, positions=positions_from(0, src.size(1), src.device))
        )

    def decode(
        self,
        tgt: Int[Tensor, "B T_tgt"],
        memory: Float[Tensor, "B T_src C"],
        *,
        mask: Mask = NO_MASK,
        memory_mask: Mask = NO_MASK,
        caches: Sequence[tuple[KVCache, KVCache]] | None = None,
    ) -> Float[Tensor, "B T_tgt V"]:
        """Logits for the tokens of tgt, which follow those that the caches hold."""
        seen = len(caches[0][0]) if caches else 0
        x = self.decoder(
            self.dropout(self.embedding(tgt)),
            memory,
            mask=causal() & mask,
            memory_mask=memory_mask,
            caches=caches,
            positions=positions_from(seen, tgt.size(1), tgt.device),
        )
        x = self.dropout(x)
        return self.output(x if self.config.gated else x * self.config.d_model**-0.5)

    def new_caches(self) -> list[tuple[KVCache, KVCache]]:
        """Empty caches for one generation: self- and cross-attention of every decoder block."""
        return self.decoder.new_caches()

    def _initialise(self) -> None:
        C, D, F_, H = (
            self.config.d_model, self.config.d_head, self.config.d_ff, self.config.num_heads
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, MultiHeadAttention):
                # 1/√D more for queries stands in for the scale that the scores do not get.
                nn.init.normal_(module.q_proj.weight, std=(C * D) ** -0.5)
                nn.init.normal_(module.k_proj.weight, std=C**-0.5)
                nn.init.normal_(module.v_proj.weight, std=C**-0.5)
                nn.init.normal_(module.out_proj.weight, std=(H * D) ** -0.5)
            elif isinstance(module, FeedForward):
                nn.init.normal_(module.in_proj.weight, std=C**-0.5)
                nn.init.normal_(module.out_proj.weight, std=F_**-0.5)
                if module.gate_proj is not None:
                    nn.init.normal_(module.gate_proj.weight, std=C**-0.5)
            elif isinstance(module, T5Bias):
                nn.init.normal_(module.table.weight, std=C**-0.5)
        nn.init.normal_(self.output.weight, std=C**-0.5 if self.config.gated else 1.0)
        nn.init.normal_(self.embedding.weight, std=1.0)
