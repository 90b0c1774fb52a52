"""Attention to a window around each query, and to a few global tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.base import AttentionCore
from minitx.cores.chunks import with_neighbours
from minitx.cores.fused import fused_attention
from minitx.cores.packing import lengths_of
from minitx.masks import Mask

SMALLEST_CHUNK = 64  # below it a matrix product is too small to be worth its call


class SlidingWindow(AttentionCore):
    """Each query attends to its neighbours; a few global tokens attend and are attended to by all.

        allowed[i, j] = |i - j| ≤ radius · dilation  and  (i - j) mod dilation = 0
                        or  i is global  or  j is global

    that is, itself and `radius` keys on each side; with a causal mask only those before. Time and
    memory are linear in T: the sequence is cut into chunks, and a chunk of queries meets its own
    chunk of keys and the neighbouring ones. Radius T - 1 is full attention.

    Where T_q != T_k the queries are the last T_q of the T_k positions, causal or not.

    Global tokens are counted from the first key, so with them padding must lie at the end of each
    sequence; looking whether it does makes the CPU wait for a GPU once.

    Args:
        radius: keys on each side, half of the paper's window w.
        dilation: distance from one key of the window to the next; 1 leaves none out.
        global_tokens: positions, among the keys, of the global tokens.

    Raises:
        ValueError: if the radius is negative, the dilation below 1, a position negative or there
            twice; in a call, if a global token lies beyond the keys, or with global tokens there
            is padding before a word.

    Source: Beltagy et al. 2020 (Longformer), §3.1. Deviations: global tokens are the same in
    every sample, the dilation is the same in every head; global tokens have the queries, keys and
    values of all tokens (`LongformerAttention` gives them their own). The paper's global tokens
    see everything; here, under a causal mask, only what came before.

    >>> zeros, v = torch.zeros(1, 1, 5, 1), torch.eye(5).view(1, 1, 5, 5)
    >>> (SlidingWindow(1, global_tokens=[0])(zeros, zeros, v)[0, 0] > 0).int()
    tensor([[1, 1, 1, 1, 1],
            [1, 1, 1, 0, 0],
            [1, 1, 1, 1, 0],
            [1, 0, 1, 1, 1],
            [1, 0, 0, 1, 1]], dtype=torch.int32)
    """

    supports = frozenset({"causal", "key_padding"})
    among: Tensor

    def __init__(
        self, radius: int, *, dilation: int = 1, global_tokens: Sequence[int] = ()
    ) -> None:
        super().__init__()
        if radius < 0:
            raise ValueError(f"radius must be at least 0, got {radius}")
        if dilation < 1:
            raise ValueError(f"dilation must be at least 1, got {dilation}")
        if len(set(global_tokens)) < len(global_tokens) or min(global_tokens, default=0) < 0:
            raise ValueError(
                f"global_tokens must be different positions from 0 on, got {tuple(global_tokens)}"
            )
        self.radius = radius
        self.dilation = dilation
        self.global_tokens = sorted(global_tokens)
        # Kept where the model is: to bring it there in every call would make the CPU wait.
        among = torch.tensor(self.global_tokens, dtype=torch.long)
        self.register_buffer("among", among, persistent=False)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        T_k = k.size(2)
        if max(self.global_tokens, default=0) >= T_k:
            raise ValueError(
                f"global_tokens must lie below T_k ({T_k}), got {self.global_tokens[-1]}"
            )
        among = self.among.to(q.device)
        is_token = mask.is_token(T_k, q.device)
        if mask.key_padding is not None and self.global_tokens:
            lengths = lengths_of(mask.key_padding, "SlidingWindow with global_tokens")
            is_token = torch.arange(T_k, device=q.device) < lengths[:, None]
        output = self._in_windows(q, k, v, among, is_token, mask.causal)

        ahead = T_k - q.size(2)  # query i stands at position ahead + i
        queries = among[sum(place < ahead for place in self.global_tokens) :]
        if not len(queries):
            return output
        table = is_token[:, None, None, :]
        if mask.causal:
            table = table & (torch.arange(T_k, device=q.device) <= queries[:, None])
        table = table.expand(-1, -1, len(queries), -1)
        rows = fused_attention(q[:, :, queries - ahead], k, v, Mask(allowed=table))
        return output.index_copy(2, queries - ahead, rows)

    def _in_windows(
        self, q: Tensor, k: Tensor, v: Tensor, among: Tensor, is_token: Tensor, causal: bool
    ) -> Tensor:
        """Every query over the keys of its window and the global keys."""
        B, _, T_q, _ = q.shape
        T_k, reach = k.size(2), self.radius * self.dilation
        cut = _Cut.of(T_q, T_k, self.radius, self.dilation, causal)

        # Positions and padding are cut as queries and keys are, so the rule stands as it is said.
        position = torch.arange(T_k, device=q.device)[:, None]
        i = cut.queries(torch.arange(T_k - T_q, T_k, device=q.device)[:, None])
        j = cut.keys(position).mT
        others = is_token.index_fill(1, among, False)  # a global key is not met twice
        allowed = cut.keys(others[:, None, :, None]).mT
        allowed = allowed & (i - reach <= j) & (j <= (i if causal else i + reach))

        def of_windows(x: Tensor) -> Tensor:
            window = cut.keys(x)
            if len(among):
                window = torch.cat([window, cut.for_all(x[:, :, among])], dim=-2)
            return _folded(window)

        if len(among):
            every = cut.for_all(is_token[:, None, among, None]).mT
            every = every & (position[among].mT <= i) if causal else every
            allowed = torch.cat([allowed, every.expand(*allowed.shape[:-1], -1)], dim=-1)
        mask = Mask(allowed=_folded(allowed.expand(B, -1, -1, -1, -1, -1)))
        output = fused_attention(_folded(cut.queries(q)), of_windows(k), of_windows(v), mask)
        return cut.joined(output.unflatten(0, (B, cut.dilation, -1)).movedim(3, 1))


@dataclass(frozen=True)
class _Cut:
    """Queries in chunks, and for each chunk the keys of its windows.

    With a dilation there is one sequence for each remainder of the position by it: in that
    sequence a window leaves nothing out.
    """

    first: int  # position where the first chunk begins; negative if there are more queries
    skipped: int  # rows before the first query
    T: int  # positions from the first on
    dilation: int
    N: int  # chunks in a sequence
    size: int
    before: int  # whether the chunk before is met, too
    after: int  # and the one after

    @classmethod
    def of(cls, T_q: int, T_k: int, radius: int, dilation: int, causal: bool) -> "_Cut":
        ahead = T_k - T_q
        # No window reaches a key before this one.
        first = min(ahead, max(0, ahead - radius * dilation))
        length = -(-(T_k - first) // dilation)
        size = min(max(radius, SMALLEST_CHUNK), length)
        N = -(-length // size)
        before = int(N > 1)
        after = 0 if causal else before
        return cls(first, ahead - first, T_k - first, dilation, N, size, before, after)

    def queries(self, x: Tensor) -> Tensor:
        """(*, T_q, D) as (*, dilation, N, size, D)."""
        return self._chunks(x, self.skipped)

    def keys(self, x: Tensor) -> Tensor:
        """(*, T_k, D) as (*, dilation, N, W, D): each chunk between its neighbours."""
        return with_neighbours(self._chunks(x, -self.first), before=self.before, after=self.after)

    def for_all(self, x: Tensor) -> Tensor:
        """(*, G, D) as (*, dilation, N, G, D): the same for every chunk."""
        return x[..., None, None, :, :].expand(*x.shape[:-2], self.dilation, self.N, -1, -1)

    def joined(self, chunks: Tensor) -> Tensor:
        """(*, dilation, N, size, D) as (*, T_q, D)."""
        return chunks.movedim(-4, -2).flatten(-4, -2)[..., self.skipped : self.T, :]

    def _chunks(self, x: Tensor, front: int) -> Tensor:
        """(*, T, D) as (*, dilation, N, size, D), with zeros in front and up to the last chunk."""
        behind = self.N * self.size * self.dilation - self.T
        x = F.pad(x, (0, 0, front, behind)).unflatten(-2, (-1, self.dilation))
        return x.transpose(-3, -2).unflatten(-2, (self.N, self.size))


def _folded(x: Tensor) -> Tensor:
    """(B, H, dilation, N, *) as (B·dilation·N, H, *): every chunk is a sample of its own."""
    return x.movedim(1, 3).flatten(0, 2)
