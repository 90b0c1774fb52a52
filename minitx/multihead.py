"""Multi-head attention: projections around a core.

Shape letters: B batch, T_q queries, T_k keys, C model width, H heads, H_kv heads of keys and
values, D width of one head.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from minitx.cache import KVCache
from minitx.cores import AttentionCore, FusedAttention
from minitx.masks import NO_MASK, Mask
from minitx.positions import NoPosition, Position, positions_from


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each in its own small space.

        head_h = Attention(x W_q[h], memory W_k[h], memory W_v[h])
        y      = [head_1 … head_H] W_o

    Self-attention when memory is None, cross-attention when it is given: the same module.

    Args:
        d_model: width C of input and output.
        num_heads: H.
        num_kv_heads: heads of keys and values, each shared by H / H_kv query heads. H unless
            given; 1 is multi-query attention.
        d_head: width of one head; C / H unless given.
        core: how queries meet keys; `FusedAttention` unless given.
        position: a scheme that rotates queries and keys or adds to the scores. One that marks
            embeddings has done its work below the first layer, and nothing is left to do here.
        dropout: share of attention weights dropped in training by the default core; a core that
            is passed in brings its own.
        bias: whether the projections have one.

    Raises:
        ValueError: if the heads do not divide the width, the K/V heads do not divide the heads,
            dropout and core are both given, or there are fewer K/V heads than heads for a core
            whose keys are its queries; q and k then have one projection, which is q_proj.

    Source: Vaswani et al. 2017, §3.2.2; Ainslie et al. 2023, §2.2, for grouped heads. The paper
    has no biases in the projections; its code and torch have.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        d_head: int | None = None,
        core: AttentionCore | None = None,
        position: Position | None = None,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if d_head is None:
            if num_heads < 1 or d_model % num_heads:
                raise ValueError(
                    f"d_model ({d_model}) must be divisible by num_heads ({num_heads})"
                )
            d_head = d_model // num_heads
        if num_kv_heads < 1 or num_heads % num_kv_heads:
            raise ValueError(
                f"num_heads ({num_heads}) must be divisible by num_kv_heads ({num_kv_heads})"
            )
        if core is not None and dropout:
            raise ValueError(
                f"dropout ({dropout}) is for the default core; give it to the core you pass"
            )
        core = FusedAttention(dropout=dropout) if core is None else core
        if core.shares_qk and num_kv_heads != num_heads:
            raise ValueError(
                f"num_kv_heads ({num_kv_heads}) must equal num_heads ({num_heads}) for "
                f"{type(core).__name__}, whose keys are its queries"
            )
        self.d_model = d_model
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.d_head = d_head
        self.q_proj = nn.Linear(d_model, num_heads * d_head, bias=bias)
        # A projection that is never read would get no gradient: several processes wait for it.
        self.k_proj = (
            self.q_proj if core.shares_qk else nn.Linear(d_model, num_kv_heads * d_head, bias=bias)
        )
        self.v_proj = nn.Linear(d_model, num_kv_heads * d_head, bias=bias)
        self.out_proj = nn.Linear(num_heads * d_head, d_model, bias=bias)
        self.core = core
        if position is None or position.only_embeds:
            position = NoPosition()
        self.position = position

    def forward(
        self,
        x: Float[Tensor, "B T_q C"],
        memory: Float[Tensor, "B T_m C"] | None = None,
        *,
        mask: Mask = NO_MASK,
        cache: KVCache | None = None,
        positions: Int[Tensor, "#B T_q"] | None = None,
    ) -> Float[Tensor, "B T_q C"]:
        """Attend from x to x, or to memory.

        Args:
            x: where the queries come from.
            memory: where keys and values come from; x unless given.
            mask: which pairs may meet; with a cache its T_k counts the cached keys too.
            cache: self-attention appends its keys and values and attends to all that are kept;
                cross-attention computes memory's once and keeps them.
            positions: where each query stands; unless given they are counted from 0, in
                self-attention on from the cache. Keys of a memory stand at 0, 1, 2 …

        Raises:
            ValueError: if sizes do not fit, the cache holds something else (a cross-attention's
                the keys of another memory than this very tensor), or there is a memory for a core
                whose keys are its queries.
        """
        self._require_shape("x", x)
        if memory is not None and self.core.shares_qk:
            raise ValueError(
                f"{type(self.core).__name__} attends within one sequence, because its keys are its "
                "queries, and got a memory to attend to"
            )
        if positions is None:
            start = len(cache) if cache is not None and memory is None else 0
            positions = positions_from(start, x.size(1), x.device)
        q = self._split(self.q_proj(x), self.num_heads)
        if memory is not None and cache is not None and len(cache):
            k, v, k_pos = cache.entries_of(memory)
            q, _ = self.position.rotate(q, k, positions, k_pos)
        else:
            source, k_pos = x, positions
            if memory is not None:
                self._require_shape("memory", memory)
                source, k_pos = memory, positions_from(0, memory.size(1), memory.device)
            k = self._split(self.k_proj(source), self.num_kv_heads)
            v = self._split(self.v_proj(source), self.num_kv_heads)
            q, k = self.position.rotate(q, k, positions, k_pos)
            if cache is not None:
                k, v, k_pos = cache.append(k, v, k_pos, memory=memory)
        bias = self.position.bias(q, k, positions, k_pos)
        group = self.num_heads // self.num_kv_heads
        if group > 1:
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        heads = self.core(q, k, v, mask=mask, bias=bias)
        return self.out_proj(heads.transpose(1, 2).flatten(-2))

    def _split(self, x: Float[Tensor, "B T HD"], num_heads: int) -> Float[Tensor, "B H T D"]:
        B, T, _ = x.shape
        return x.view(B, T, num_heads, self.d_head).transpose(1, 2)

    def _require_shape(self, name: str, x: Tensor) -> None:
        if x.dim() != 3 or x.size(2) != self.d_model:
            raise ValueError(
                f"{name} must have shape (B, T, C={self.d_model}), got {tuple(x.shape)}"
            )
