"""What every attention core promises, so that one can stand in for another."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from minitx.functional import require_sizes
from minitx.masks import NO_MASK, Mask

RULES = frozenset({"causal", "key_padding", "pairwise", "bias"})


class UnsupportedMask(ValueError):
    """A core was asked to keep to a rule that it cannot keep to."""

    def __init__(self, core: str, asked: frozenset[str], supports: frozenset[str]) -> None:
        able = ", ".join(sorted(supports)) or "no rule at all"
        super().__init__(
            f"{core} was asked for {', '.join(sorted(asked))} and cannot honour "
            f"{', '.join(sorted(asked - supports))}; it can honour {able}"
        )


class AttentionCore(nn.Module):
    """Queries, keys and values in; one output per query out. Nothing else happens inside.

    A core
      1. is pure in its inputs: no cache, no splitting into heads, no residual; its only state
         are parameters and buffers;
      2. honours every rule it names in `supports` and refuses all others with `UnsupportedMask`;
      3. is linear in v, so that v = I reads off its weights;
      4. gives a query that may attend to nothing exactly 0, with finite gradients;
      5. aligns causal to the bottom right: the queries are the last T_q of the T_k positions;
      6. equals `FullAttention` at its exact setting.

    A new core names what it supports, begins `forward` with `self.check(...)`, and joins the
    list in tests/core/contract.py, where each of these lines is a check.
    """

    supports: ClassVar[frozenset[str]]  # of RULES

    def forward(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H T_k D_k"],
        v: Float[Tensor, "B H T_k D_v"],
        *,
        mask: Mask = NO_MASK,
        bias: Float[Tensor, "#B #H T_q T_k"] | None = None,
    ) -> Float[Tensor, "B H T_q D_v"]:
        """Every query's mixture of the values.

        Args:
            q: queries.
            k: keys.
            v: values.
            mask: the rules; a query attends only where all of them allow it.
            bias: added to the scaled scores; it weighs pairs, forbidding them is the mask's part.

        Raises:
            UnsupportedMask: if a rule in force, or a bias, is not among those supported.
            ValueError: if the sizes do not fit together.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def check(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None) -> None:
        """Refuse rules that are not supported, sizes that do not fit together, and no tokens."""
        asked = mask.rules if bias is None else mask.rules | {"bias"}
        if not asked <= self.supports:
            raise UnsupportedMask(type(self).__name__, asked, self.supports)
        require_sizes(q, k, v, mask, bias)
        for name, tensor in (("q", q), ("k", k), ("v", v)):
            if tensor.numel() == 0:
                raise ValueError(f"every size must be at least 1, got {name} {tuple(tensor.shape)}")
