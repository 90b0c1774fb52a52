"""What attention remembers between one call and the next."""

import weakref

import torch
from jaxtyping import Float, Int
from torch import Tensor


class KVCache:
    """The keys and values of every position seen so far, for one attention layer.

    In generation each step brings one new query; its keys and values are appended here and the
    earlier ones are not computed again. Room is made by doubling, so that T appends copy O(T)
    numbers and not O(T²).

    >>> cache = KVCache()
    >>> k, v, positions = cache.append(*torch.ones(2, 1, 1, 3, 5), torch.tensor([[0, 1, 2]]))
    >>> k, v, positions = cache.append(*torch.zeros(2, 1, 1, 1, 5), torch.tensor([[3]]))
    >>> len(cache), k.shape, positions
    (4, torch.Size([1, 1, 4, 5]), tensor([[0, 1, 2, 3]]))
    """

    def __init__(self) -> None:
        self._length = 0
        self._k: Tensor | None = None  # from here on there may be room behind _length
        self._v: Tensor | None = None
        self._positions: Tensor | None = None
        self._of_memory = False  # a cross-attention's: these are the keys of a memory
        self._memory: weakref.ref[Tensor] | None = None  # which one; None after `reorder`

    def __len__(self) -> int:
        """Number of positions kept."""
        return self._length

    def append(
        self,
        k: Float[Tensor, "B H T_new D_k"],
        v: Float[Tensor, "B H T_new D_v"],
        positions: Int[Tensor, "#B T_new"],
        *,
        memory: Float[Tensor, "B T_new C"] | None = None,
    ) -> tuple[Float[Tensor, "B H T_k D_k"], Float[Tensor, "B H T_k D_v"], Int[Tensor, "B T_k"]]:
        """Add the newest keys and values; returns all of them, oldest first.

        Args:
            k: the newest keys.
            v: the newest values.
            positions: where they stand.
            memory: of a cross-attention, what they were computed from, all of it; `entries_of`
                gives them back for this tensor only.

        Raises:
            ValueError: if keys, values and positions do not belong together; if batch, heads,
                widths or dtype are not those that are kept; or if there would be other keys
                beside those of a memory.
        """
        if self._length and (self._of_memory or memory is not None):
            kept = "a memory" if self._of_memory else "a self-attention"
            raise ValueError(
                f"the cache holds {self._length} positions of {kept}, and the keys of a memory are "
                "kept alone: give every attention a cache of its own"
            )
        B, H, T = k.shape[:3]
        if v.shape[:3] != (B, H, T) or positions.shape not in ((1, T), (B, T)):
            raise ValueError(
                f"keys of shape (B={B}, H={H}, T={T}, D_k) need values (B, H, T, D_v) and "
                f"positions (B or 1, T), got {tuple(v.shape)} and {tuple(positions.shape)}"
            )
        positions = positions.expand(B, -1)
        if self._k is None or self._v is None or self._positions is None:
            # Empty, and not k itself: what is kept will be written to, and k is the caller's.
            self._k, self._v, self._positions = k[:, :, :0], v[:, :, :0], positions[:, :0]
        _require_same_kind("k", self._k, k)
        _require_same_kind("v", self._v, v)
        self._k = _extended(self._k, self._length, k, dim=2)
        self._v = _extended(self._v, self._length, v, dim=2)
        self._positions = _extended(self._positions, self._length, positions, dim=1)
        self._length += k.size(2)
        self._of_memory = memory is not None
        self._memory = None if memory is None else weakref.ref(memory)
        return self.entries()

    def entries(
        self,
    ) -> tuple[Float[Tensor, "B H T_k D_k"], Float[Tensor, "B H T_k D_v"], Int[Tensor, "B T_k"]]:
        """All keys, values and positions kept, oldest first.

        Raises:
            ValueError: if the cache is empty.
        """
        if self._k is None or self._v is None or self._positions is None:
            raise ValueError("the cache is empty: append keys and values first")
        T = self._length
        return self._k[:, :, :T], self._v[:, :, :T], self._positions[:, :T]

    def entries_of(
        self, memory: Float[Tensor, "B T_k C"]
    ) -> tuple[Float[Tensor, "B H T_k D_k"], Float[Tensor, "B H T_k D_v"], Int[Tensor, "B T_k"]]:
        """The keys, values and positions of this memory, kept by the first call that read it.

        It must be the very tensor: numbers are not compared, which would wait for the GPU. After
        `reorder` the first memory of the right size is taken for the one reordered alike.

        Raises:
            ValueError: if the cache holds anything else.
        """
        if not self._of_memory:
            raise ValueError(
                f"the cache holds {self._length} positions of a self-attention, wanted the keys of "
                "a memory: give a cross-attention a cache of its own"
            )
        known = memory if self._memory is None else self._memory()
        k, v, positions = self.entries()
        if known is not memory or positions.shape != memory.shape[:2]:
            raise ValueError(
                f"the cache holds the keys of another memory, {tuple(positions.shape)} positions, "
                f"got one of {tuple(memory.shape[:2])}: every memory needs new caches"
            )
        self._memory = weakref.ref(memory)
        return k, v, positions

    def reorder(self, rows: Int[Tensor, " B_new"]) -> None:
        """Keep these sequences of the batch, in this order; beam search asks for it.

        Raises:
            ValueError: if the cache is empty.
        """
        k, v, positions = self.entries()
        self._k, self._v, self._positions = k[rows], v[rows], positions[rows]
        self._memory = None

    def crop(self, length: int) -> None:
        """Forget all but the first `length` positions.

        Raises:
            ValueError: if fewer are kept.
        """
        if not 0 <= length <= self._length:
            raise ValueError(f"length must lie between 0 and {self._length}, got {length}")
        self._length = length


class SegmentMemory:
    """The states that entered one layer in the segments before, without their history.

    A long text is read segment by segment. Every layer attends to its own states of earlier
    segments and to those of the present one; gradients end at the segment's beginning. A stack of
    N layers so sees N · max_len positions back, and pays for one segment. Positions must be
    relative, as `TransformerXL`'s are: a state is met at a larger distance in every segment.

        h̃ = [SG(memory), h],   q = h W_q,   k, v = h̃ W_k, h̃ W_v

    Models and stacks make one per layer (`new_memories`) and append what enters the layer.

    Args:
        max_len: positions kept, the newest.

    Raises:
        ValueError: if max_len is below 1.

    Source: Dai et al. 2019, §3.2.

    >>> memory = SegmentMemory(max_len=3)
    >>> memory.append(torch.tensor([[[1.0], [2.0]]]))
    >>> memory.append(torch.tensor([[[3.0], [4.0]]]))
    >>> memory.states.flatten()
    tensor([2., 3., 4.])
    """

    def __init__(self, max_len: int) -> None:
        if max_len < 1:
            raise ValueError(f"max_len must be at least 1, got {max_len}")
        self.max_len = max_len
        self._states: Tensor | None = None

    def __len__(self) -> int:
        """Number of positions that attention meets here."""
        return 0 if self.states is None else self.states.size(1)

    @property
    def states(self) -> Float[Tensor, "B T_m C"] | None:
        """What attention reads before the present segment, oldest first; None at a text's start."""
        return self._states

    def append(self, x: Float[Tensor, "B T C"]) -> None:
        """Keep the states of the segment that was just read.

        Raises:
            ValueError: if batch, width or dtype are not those that are kept.
        """
        self._states = self._joined(x)[:, -self.max_len :]

    def _joined(self, x: Tensor) -> Tensor:
        kept, x = self._states, x.detach()
        if kept is None:
            return x
        B, _, C = kept.shape
        if (x.size(0), x.size(2), x.dtype) != (B, C, kept.dtype):
            raise ValueError(
                f"the memory holds states of shape (B={B}, T, C={C}) in {kept.dtype}, "
                f"got {tuple(x.shape)} in {x.dtype}"
            )
        return torch.cat([kept, x], dim=1)


def _require_same_kind(name: str, kept: Tensor, new: Tensor) -> None:
    B, H, _, D = kept.shape
    if new.shape[:2] != (B, H) or new.size(3) != D or new.dtype != kept.dtype:
        raise ValueError(
            f"the cache holds {name} of shape (B={B}, H={H}, T, D={D}) in {kept.dtype}, "
            f"got {tuple(new.shape)} in {new.dtype}"
        )


def _extended(kept: Tensor, length: int, new: Tensor, *, dim: int) -> Tensor:
    """`kept` with `new` written behind its first `length` entries along dim."""
    if torch.is_grad_enabled() and (kept.requires_grad or new.requires_grad):
        # Writing in place would spoil what autograd has stored.
        return torch.cat([kept.narrow(dim, 0, length), new], dim=dim)
    needed = length + new.size(dim)
    if needed > kept.size(dim):
        shape = list(kept.shape)
        shape[dim] = max(needed, 2 * kept.size(dim))
        room = kept.new_empty(shape)
        room.narrow(dim, 0, length).copy_(kept.narrow(dim, 0, length))
        kept = room
    kept.narrow(dim, length, new.size(dim)).copy_(new)
    return kept
