"""Blocks: sublayers with residual connections and normalisation around them, and stacks of blocks.

Shape letters: B batch, T length, C model width.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from minitx.cache import KVCache, SegmentMemory
from minitx.masks import NO_MASK, Mask
from minitx.multihead import MultiHeadAttention
from minitx.positions import positions_from


class Residual(nn.Module):
    """A sublayer's result is added to its input; the norm stands before or after.

        pre-norm:   y = x + dropout(f(norm(x)))
        post-norm:  y = norm(x + dropout(f(x)))

    Args:
        norm: the normalisation layer.
        pre_norm: before the sublayer (GPT-2 and nearly everything since) or after the sum (2017).
        dropout: share of f's result set to 0 in training; never of x.

    Source: Vaswani et al. 2017, §3.1 and §5.4 (post-norm); Xiong et al. 2020, §3 (pre-norm).
    """

    def __init__(self, norm: nn.Module, *, pre_norm: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = norm
        self.pre_norm = pre_norm
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        sublayer: Callable[[Float[Tensor, "B T C"]], Float[Tensor, "B T C"]],
    ) -> Float[Tensor, "B T C"]:
        if self.pre_norm:
            return x + self.dropout(sublayer(self.norm(x)))
        return self.norm(x + self.dropout(sublayer(x)))

    def sublayer_input(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        """x as the sublayer gets it."""
        return self.norm(x) if self.pre_norm else x


class EncoderBlock(nn.Module):
    """Self-attention, then a feed-forward network, each with its residual connection.

    With a causal mask this is also the block of a decoder-only model such as GPT.

    Args:
        attention: the self-attention.
        feed_forward: the position-wise network, `FeedForward` or `SwitchFeedForward`.
        norm: makes one normalisation layer; called once per sublayer.
        pre_norm: see `Residual`.
        dropout: see `Residual`.

    Source: Vaswani et al. 2017, §3.1, figure 1, left.
    """

    def __init__(
        self,
        attention: MultiHeadAttention,
        feed_forward: nn.Module,
        *,
        norm: Callable[[], nn.Module],
        pre_norm: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward
        self.attention_residual = Residual(norm(), pre_norm=pre_norm, dropout=dropout)
        self.feed_forward_residual = Residual(norm(), pre_norm=pre_norm, dropout=dropout)

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        *,
        mask: Mask = NO_MASK,
        cache: KVCache | None = None,
        positions: Int[Tensor, "#B T"] | None = None,
        earlier: Float[Tensor, "B T_m C"] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """One block.

        Args:
            x: the tokens.
            mask: among them; with a cache or earlier states its T_k counts those too.
            cache: of the attention.
            positions: where each token stands; with earlier states these are counted instead.
            earlier: what entered this block in earlier segments, see `SegmentMemory`; attended
                to and not changed.
        """

        def attend(x: Tensor) -> Tensor:
            if earlier is None:
                return self.attention(x, mask=mask, cache=cache, positions=positions)
            whole = torch.cat([self.attention_residual.sublayer_input(earlier), x], dim=1)
            here = positions_from(earlier.size(1), x.size(1), x.device)
            return self.attention(x, whole, mask=mask, positions=here)

        x = self.attention_residual(x, attend)
        return self.feed_forward_residual(x, self.feed_forward)


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to the encoder's output, then a feed-forward network.

    Args:
        self_attention: among the target's own tokens.
        cross_attention: from the target to memory.
        feed_forward: the position-wise network, `FeedForward` or `SwitchFeedForward`.
        norm: makes one normalisation layer; called once per sublayer.
        pre_norm: see `Residual`.
        dropout: see `Residual`.

    Source: Vaswani et al. 2017, §3.1, figure 1, right.
    """

    def __init__(
        self,
        self_attention: MultiHeadAttention,
        cross_attention: MultiHeadAttention,
        feed_forward: nn.Module,
        *,
        norm: Callable[[], nn.Module],
        pre_norm: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward
        self.self_attention_residual = Residual(norm(), pre_norm=pre_norm, dropout=dropout)
        self.cross_attention_residual = Residual(norm(), pre_norm=pre_norm, dropout=dropout)
        self.feed_forward_residual = Residual(norm(), pre_norm=pre_norm, dropout=dropout)

    def forward(
        self,
        x: Float[Tensor, "B T_tgt C"],
        memory: Float[Tensor, "B T_src C"],
        *,
        mask: Mask = NO_MASK,
        memory_mask: Mask = NO_MASK,
        cache: tuple[KVCache, KVCache] | None = None,
        positions: Int[Tensor, "#B T_tgt"] | None = None,
    ) -> Float[Tensor, "B T_tgt C"]:
        """One block.

        Args:
            x: the target's tokens.
            memory: the encoder's output.
            mask: among the target's tokens; the caller says causal.
            memory_mask: which of memory's positions may be read.
            cache: of the self-attention and of the cross-attention.
            positions: where each target token stands.
        """
        own, cross = (None, None) if cache is None else cache
        x = self.self_attention_residual(
            x, lambda x: self.self_attention(x, mask=mask, cache=own, positions=positions)
        )
        x = self.cross_attention_residual(
            x,
            lambda x: self.cross_attention(
                x, memory, mask=memory_mask, cache=cross, positions=positions
            ),
        )
        return self.feed_forward_residual(x, self.feed_forward)


class Stack(nn.Module):
    """Blocks, one on the other, and a last norm: what `Encoder` and `Decoder` have in common.

    Args:
        blocks: from the bottom up.
        norm: what the top block's output goes through; `nn.Identity()` for none.

    `checkpoint_activations`, once set to True, saves memory in training: see
    `training.checkpoint_activations`.
    """

    checkpoint_activations = False

    def __init__(self, blocks: Iterable[nn.Module], norm: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm

    def _calls(self, **per_block: Sequence[Any] | None) -> list[Callable[..., Tensor]]:
        """The blocks as forward calls them, checked against what it was given for each of them."""
        L = len(self.blocks)
        for name, given in per_block.items():
            if given is not None and len(given) != L:
                raise ValueError(f"{name} must be one for each of {L} blocks, got {len(given)}")
        if not (self.checkpoint_activations and self.training):
            return list(self.blocks)
        if per_block["caches"] is not None:
            raise ValueError(
                "caches cannot be filled while activations are checkpointed: the backward pass "
                "runs each block again, which would append twice; call model.eval() first"
            )
        return [partial(checkpoint, block, use_reentrant=False) for block in self.blocks]


class Encoder(Stack):
    """Encoder blocks, one on the other, and a last norm.

    Args:
        blocks: `EncoderBlock`s, from the bottom up.
        norm: see `Stack`.
    """

    def forward(
        self,
        x: Float[Tensor, "B T C"],
        *,
        mask: Mask = NO_MASK,
        caches: Sequence[KVCache] | None = None,
        memories: Sequence[SegmentMemory] | None = None,
        positions: Int[Tensor, "#B T"] | None = None,
    ) -> Float[Tensor, "B T C"]:
        """All blocks; caches and memories, one for each, are brought up to date.

        Raises:
            ValueError: if both are given, they are not one for each block, or there are caches
                while activations are checkpointed.
        """
        if caches is not None and memories is not None:
            raise ValueError("give caches, for generation, or memories, for segments; not both")
        for i, call in enumerate(self._calls(caches=caches, memories=memories)):
            layer_input, earlier = x, None if memories is None else memories[i].states
            cache = None if caches is None else caches[i]
            x = call(x, mask=mask, cache=cache, positions=positions, earlier=earlier)
            if memories is not None:
                memories[i].append(layer_input)
        return self.norm(x)

    def new_caches(self) -> list[KVCache]:
        """Empty caches for one generation, one per block."""
        return [KVCache() for _ in self.blocks]

    def new_memories(self, max_len: int) -> list[SegmentMemory]:
        """Empty memories for one text read segment by segment, one per block."""
        return [SegmentMemory(max_len) for _ in self.blocks]


class Decoder(Stack):
    """Decoder blocks, one on the other, and a last norm.

    Args:
        blocks: `DecoderBlock`s, from the bottom up.
        norm: see `Stack`.
    """

    def forward(
        self,
        x: Float[Tensor, "B T_tgt C"],
        memory: Float[Tensor, "B T_src C"],
        *,
        mask: Mask = NO_MASK,
        memory_mask: Mask = NO_MASK,
        caches: Sequence[tuple[KVCache, KVCache]] | None = None,
        positions: Int[Tensor, "#B T_tgt"] | None = None,
    ) -> Float[Tensor, "B T_tgt C"]:
        """All blocks; caches, a pair for each, are brought up to date.

        Raises:
            ValueError: if they are not one for each block, hold another memory's keys, or are
                given while activations are checkpointed.
        """
        for i, call in enumerate(self._calls(caches=caches)):
            x = call(
                x,
                memory,
                mask=mask,
                memory_mask=memory_mask,
                cache=None if caches is None else caches[i],
                positions=positions,
            )
        return self.norm(x)

    def new_caches(self) -> list[tuple[KVCache, KVCache]]:
        """Empty caches for one generation: self- and cross-attention of every block."""
        return [(KVCache(), KVCache()) for _ in self.blocks]
