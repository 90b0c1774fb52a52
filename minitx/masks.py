"""Who may attend to whom, and which targets count. True always means "may attend".

A mask is kept as structure (causal, padding), not as a table of T_q × T_k truth values: a core
that understands the structure never has to build the table.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mask:
    """The rules of one attention call; a key is attended to when every rule allows it.

    Args:
        causal: no query looks ahead. The queries are the last T_q of the T_k positions
            (bottom-right alignment), as they are when a cache holds the earlier keys.
        key_padding: True for the keys that are words, False for padding. It forbids keys and moves
            nobody: causal goes by the columns of the table, the padding's included.
        allowed: True for every pair of query and key that may meet; sizes B and H may be 1.

    Raises:
        TypeError: if a table is not a tensor of bools.
        ValueError: if a table has the wrong number of axes.

    >>> Mask(causal=True).dense(2, 4, "cpu").int()[0, 0]
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """

    causal: bool = False
    key_padding: Bool[Tensor, "B T_k"] | None = None
    allowed: Bool[Tensor, "#B #H T_q T_k"] | None = None

    def __post_init__(self) -> None:
        _require_bools("key_padding", self.key_padding, axes="B, T_k")
        _require_bools("allowed", self.allowed, axes="B, H, T_q, T_k")

    @property
    def rules(self) -> frozenset[str]:
        """The kinds of rule in force, in the words of `AttentionCore.supports`."""
        in_force = {
            "causal": self.causal,
            "key_padding": self.key_padding is not None,
            "pairwise": self.allowed is not None,
        }
        return frozenset(rule for rule, on in in_force.items() if on)

    def require_sizes(self, B: int | None, H: int | None, T_q: int, T_k: int) -> None:
        """Raise ValueError unless the tables fit these sizes; None fits every size."""
        if self.key_padding is not None:
            _require_shape("key_padding", self.key_padding, {"B": B, "T_k": T_k})
        if self.allowed is not None:
            wanted = {"B": B, "H": H, "T_q": T_q, "T_k": T_k}
            _require_shape("allowed", self.allowed, wanted, may_be_one=("B", "H"))

    def dense(
        self, T_q: int, T_k: int, device: torch.device | str
    ) -> Bool[Tensor, "#B #H {T_q} {T_k}"]:
        """The table of all rules together, for cores that need one.

        Raises:
            ValueError: if a table was made for other lengths.
        """
        self.require_sizes(None, None, T_q, T_k)
        table = torch.ones(1, 1, T_q, T_k, dtype=torch.bool, device=device)
        if self.causal:
            table = table.tril(diagonal=T_k - T_q)
        if self.key_padding is not None:
            table = table & self.key_padding[:, None, None, :].to(device)
        if self.allowed is not None:
            table = table & self.allowed.to(device)
        return table

    def is_token(self, T_k: int, device: torch.device | str) -> Bool[Tensor, "#B {T_k}"]:
        """True for the keys that are words; one row for all samples where there is no padding."""
        if self.key_padding is None:
            return torch.ones(1, T_k, dtype=torch.bool, device=device)
        return self.key_padding.to(device)

    def zero_padding(self, x: Float[Tensor, "B H T_k D"]) -> Float[Tensor, "B H T_k D"]:
        """x with 0 at the padding, whatever stands there.

        A weight of 0 would not do: 0 · NaN is NaN, and so is 0 · inf.
        """
        if self.key_padding is None:
            return x
        return x.masked_fill(~self.key_padding[:, None, :, None], 0.0)

    def to(self, device: torch.device | str) -> "Mask":
        """The same rules with their tables on a device."""
        key_padding, allowed = (
            None if table is None else table.to(device)
            for table in (self.key_padding, self.allowed)
        )
        return Mask(causal=self.causal, key_padding=key_padding, allowed=allowed)

    def __and__(self, other: "Mask") -> "Mask":
        """The mask that keeps to both, for example `causal() & padding(lengths)`."""
        return Mask(
            causal=self.causal or other.causal,
            key_padding=_both(self.key_padding, other.key_padding),
            allowed=_both(self.allowed, other.allowed),
        )


def causal() -> Mask:
    """No query looks ahead; the queries are the last T_q of the T_k positions.

    >>> causal().dense(3, 3, "cpu").int()[0, 0]
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    return Mask(causal=True)


def padding(lengths: Int[Tensor, " B"] | list[int], max_len: int | None = None) -> Mask:
    """Nobody attends to the padding after a sequence's last word.

        key_padding[b, t] = t < lengths[b]

    Args:
        lengths: number of words in each sequence of the batch.
        max_len: T_k, the padded length; the longest of lengths unless given.

    Raises:
        TypeError: if the lengths are not integers.
        ValueError: if they are not one per sequence, or one is negative or above max_len.

    >>> padding([2, 3]).key_padding.int()
    tensor([[1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    lengths = torch.as_tensor(lengths)
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths must be integers, got {lengths.dtype}")
    if lengths.dim() != 1 or len(lengths) == 0:
        raise ValueError(f"lengths must have shape (B,) with B ≥ 1, got {tuple(lengths.shape)}")
    shortest, longest = int(lengths.min()), int(lengths.max())
    if max_len is None:
        max_len = longest
    if shortest < 0 or longest > max_len:
        raise ValueError(
            f"lengths must lie between 0 and max_len ({max_len}), got {lengths.tolist()}"
        )
    positions = torch.arange(max_len, device=lengths.device)
    return Mask(key_padding=positions < lengths[:, None])


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _require_bools(name: str, table: Tensor | None, *, axes: str) -> None:
    if table is None:
        return
    if not isinstance(table, Tensor) or table.dtype != torch.bool:
        got = table.dtype if isinstance(table, Tensor) else type(table).__name__
        raise TypeError(f"{name} must be a bool tensor (True = may attend), got {got}")
    if table.dim() != axes.count(",") + 1:
        raise ValueError(f"{name} must have shape ({axes}), got {tuple(table.shape)}")


def _require_shape(
    name: str, table: Tensor, wanted: dict[str, int | None], *, may_be_one: tuple[str, ...] = ()
) -> None:
    for (axis, size), got in zip(wanted.items(), table.shape, strict=True):
        if size is None or got == size or (got == 1 and axis in may_be_one):
            continue
        shape = ", ".join(a if s is None else f"{a}={s}" for a, s in wanted.items())
        raise ValueError(f"{name} must have shape ({shape}), got {tuple(table.shape)}")


NO_MASK = Mask()

IGNORE = -100
"""The target that counts for nothing, as in PyTorch: padding, and tokens not asked about."""
