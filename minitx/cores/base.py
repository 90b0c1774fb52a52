"""What every attention core promises, so that one can stand in for another."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitx.functional import require_sizes, without_autocast
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
      5. aligns causal to the bottom right: the queries are the last T_q of the T_k positions,
         and padding, on either side, moves nobody;
      6. equals `FullAttention` at its exact setting;
      7. gives the same whatever stands in the padding, be it NaN, inf or 1e38; only for a query
         that is alone, as in writing with a cache, its scores and values have to be finite;
      8. keeps the precision that it promises under `torch.autocast`, too.

    `forward` is the same for all: it refuses what does not fit, brings the mask to the queries'
    device, puts 0 where keys and values are padding, leaves autocast where the core wants that, and
    calls the core's own `_attend`. A new core writes `_attend`, names what it supports, and
    joins the table in tests/core/contract.py, where each of these lines is a check.
    """

    supports: ClassVar[frozenset[str]]  # of RULES
    leaves_autocast: ClassVar[bool] = False  # whether `_attend` computes in the types it is given
    skips_padding: ClassVar[bool] = False  # whether it reads no padding, without forward's help
    shares_qk: ClassVar[bool] = False  # whether its keys are its queries, so that k is not read

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):
            raise TypeError(
                f"{cls.__name__} must define _attend, not forward: AttentionCore's forward makes "
                "sure that no rule is swallowed"
            )

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
            ValueError: if the sizes do not fit together, or a size is 0.
        """
        asked = mask.rules if bias is None else mask.rules | {"bias"}
        if not asked <= self.supports:
            raise UnsupportedMask(type(self).__name__, asked, self.supports)
        require_sizes(q, k, v, mask, bias)
        for name, tensor in (("q", q), ("k", k), ("v", v)):
            if tensor.numel() == 0:
                raise ValueError(f"every size must be at least 1, got {name} {tuple(tensor.shape)}")
        mask = mask.to(q.device)
        # For a single query this would take longer than all the rest.
        if q.size(2) > 1 and not self.skips_padding:
            k, v = mask.zero_padding(k), mask.zero_padding(v)
        if not self.leaves_autocast:
            return self._attend(q, k, v, mask, bias)
        # Products under autocast take inputs of different types, those without it do not.
        dtype = torch.promote_types(torch.promote_types(q.dtype, k.dtype), v.dtype)
        with without_autocast(q.device):
            return self._attend(q.to(dtype), k.to(dtype), v.to(dtype), mask, bias)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        """What the core does: forward's arguments, checked.

        The mask has only rules that are supported, and its tables are on the device of q. In the
        padding k and v are finite; the rule itself is left to the core.
        """
        raise NotImplementedError(f"{type(self).__name__} must define _attend")
