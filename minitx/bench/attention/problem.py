"""One attention problem: its sizes, its rules, its inputs, and what it costs."""

import zlib
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from minitx.masks import Mask

Direction = Literal["forward", "backward"]
DIRECTIONS: tuple[Direction, ...] = ("forward", "backward")
BACKWARD = 2.5  # five matrix products for the forward pass's two


class Inputs(NamedTuple):
    """What attention is called with, and the gradient that its output gets."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad: Tensor

    def leaves(self) -> "Inputs":
        """The same numbers as leaves that collect gradients."""
        q, k, v = (x.detach().requires_grad_() for x in self[:3])
        return Inputs(q, k, v, self.grad)


class Slice(NamedTuple):
    """Part of a problem that can be computed by itself: some key heads of one sequence."""

    b: int
    first: int
    last: int  # the last head and one


@dataclass(frozen=True)
class Problem:
    """A query at position t = i + T_k - T_q sees the keys t - window … t + window.

    With causal none after t, and of all keys only the first key_lengths[b].

    Args:
        B: batch.
        H: heads of the queries.
        H_kv: heads of keys and values; H / H_kv queries' heads share one.
        T_q: queries.
        T_k: keys.
        D: width of a head.
        dtype: PyTorch's name for it.
        causal: no query looks ahead; bottom-right aligned.
        window: how far a query sees to either side, to the left where causal; None: everywhere.
        key_lengths: keys that each sequence really has; None: T_k.
        scale: factor on the dot products, 1/√D unless given.
    """

    B: int
    H: int
    H_kv: int
    T_q: int
    T_k: int
    D: int
    dtype: str = "bfloat16"
    causal: bool = False
    window: int | None = None
    key_lengths: tuple[int, ...] | None = None
    scale: float | None = None

    @property
    def type(self) -> torch.dtype:
        """PyTorch's object for the name dtype."""
        found: torch.dtype = getattr(torch, self.dtype)
        return found

    @property
    def needs_table(self) -> bool:
        """Whether PyTorch's own function can state the rules only as a table of T_q × T_k."""
        crooked = self.causal and self.T_q != self.T_k
        return self.window is not None or self.key_lengths is not None or crooked

    def inputs(self, seed: int, device: torch.device) -> Inputs:
        """Normally distributed numbers, drawn where they are used."""
        random = torch.Generator(device).manual_seed(zlib.crc32(repr((self, seed)).encode()))
        queries, keys = (self.B, self.H, self.T_q, self.D), (self.B, self.H_kv, self.T_k, self.D)
        shapes = (queries, keys, keys, queries)
        drawn = (torch.randn(s, generator=random, device=device, dtype=self.type) for s in shapes)
        return Inputs(*drawn)

    def options(self, device: torch.device) -> dict[str, Any]:
        """The keyword arguments of `minitx.kernels.flash_attention`."""
        lengths = self.key_lengths
        return {
            "causal": self.causal,
            "window": self.window,
            "key_lengths": None if lengths is None else torch.tensor(lengths, device=device),
            "scale": self.scale,
        }

    def allowed(self, first: int, last: int, b: int, device: torch.device) -> Tensor:
        """True for the pairs that may meet, of queries first … last - 1 of one sequence.

        >>> window = Problem(1, 1, 1, 2, 4, 8, causal=True, window=1)
        >>> window.allowed(0, 2, 0, torch.device("cpu")).int()
        tensor([[0, 1, 1, 0],
                [0, 0, 1, 1]], dtype=torch.int32)
        """
        query = torch.arange(first, last, device=device)[:, None] + self.T_k - self.T_q
        key = torch.arange(self.T_k, device=device)
        table = (key < self.length(b)).expand(last - first, -1)
        if self.causal:
            table = table & (key <= query)
        if self.window is not None:
            table = table & ((key - query).abs() <= self.window)
        return table

    def mask(self, device: torch.device) -> Mask:
        """All rules as one table, for those who need one; sequences share it where they can."""
        sequences = range(1 if self.key_lengths is None else self.B)
        tables = [self.allowed(0, self.T_q, b, device) for b in sequences]
        return Mask(allowed=torch.stack(tables)[:, None])

    def length(self, b: int) -> int:
        """Keys of one sequence."""
        return self.T_k if self.key_lengths is None else self.key_lengths[b]

    def pairs(self) -> float:
        """Pairs of a query and a key that are computed, over all sequences and heads.

        By convention half of all with causal alone; with a window or lengths, those that meet.
        """
        if not self.needs_table:
            return self.B * self.H * self.T_q * self.T_k / (2 if self.causal else 1)
        return self.H * sum(self._pairs_of(b) for b in range(self.B))

    def _pairs_of(self, b: int) -> int:
        query = torch.arange(self.T_q) + self.T_k - self.T_q
        reach = self.T_q + self.T_k if self.window is None else self.window
        first = (query - reach).clamp(min=0)
        last = (query + (0 if self.causal else reach)).clamp(max=self.length(b) - 1)
        return int((last - first + 1).clamp(min=0).sum())

    def flops(self, direction: Direction) -> float:
        """Floating-point operations by the convention of the FlashAttention papers.

            forward 4 · pairs · D        backward 2.5 times that

        Source: Dao 2023 (FlashAttention-2), §4.1; the softmax and what is computed twice are
        not counted.
        """
        return 4 * self.pairs() * self.D * (BACKWARD if direction == "backward" else 1.0)

    def least_bytes(self, direction: Direction) -> int:
        """Inputs, outputs and the log-sum-exp in float32: what has to be in memory."""
        queries, keys = self.B * self.H * self.T_q, self.B * self.H_kv * self.T_k
        forward = 2 * (queries + keys) * self.D * self.type.itemsize + 4 * queries
        if direction == "forward":
            return forward
        return forward + (2 * queries + 2 * keys) * self.D * self.type.itemsize

    def slices(self, most_entries: int, most_pairs: float) -> list[Slice]:
        """The whole problem in parts, or some parts spread over it where it is too large.

        Args:
            most_entries: of a table of T_q × T_k, for all heads of a part together; one key
                head is the least.
            most_pairs: that all parts together should have; two parts are the least.
        """
        per_head = self.H // self.H_kv * self.T_q * self.T_k
        step = max(1, min(self.H_kv, most_entries // per_head))
        parts = [
            Slice(b, first, min(first + step, self.H_kv))
            for b in range(self.B)
            for first in range(0, self.H_kv, step)
        ]
        wanted = max(2, int(most_pairs / (per_head * step)))
        if wanted >= len(parts):
            return parts
        spread = torch.linspace(0, len(parts) - 1, wanted).round().int().tolist()
        return [parts[i] for i in spread]
