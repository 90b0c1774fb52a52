"""Mixture of experts: many feed-forward networks, of which each token goes through one.

Shape letters: B batch, T length, N experts, S places at one expert, C model width, F its inner
width.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.functional import without_autocast


class Router(nn.Module):
    """How well each expert suits each token: x W_r, in float32 at least, also under autocast.

    Args:
        d_model: width C.
        num_experts: N.

    Source: Fedus et al. 2022, §2.1; in float32 by §2.4.
    """

    def __init__(self, d_model: int, num_experts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_experts, d_model))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T N"]:
        wide = torch.promote_types(x.dtype, torch.float32)
        with without_autocast(x.device):
            return F.linear(x.to(wide), self.weight.to(wide))


class SwitchFeedForward(nn.Module):
    """A router sends each token to one of N feed-forward networks, and weighs what comes back.

        p = softmax(x W_r),   e = argmax p
        y = p_e · (activation(x W_1[e] + b_1[e]) W_2[e] + b_2[e])

    N times the parameters for the work of one network. Every expert has S = ⌈capacity_factor · T/N⌉
    places per sequence; a token that finds its expert full gets 0, so that the residual connection
    passes it on as it is. Stands where `FeedForward` does.

    Experts are used evenly only if they are made to: add α · `balance_loss` to the loss, with the
    scores that `routed` collects.

    Args:
        d_model: width C of input and output.
        d_ff: inner width F of each expert.
        num_experts: N.
        capacity_factor: places, as a multiple of what even use would need.
        activation: between the layers of an expert.
        bias: False leaves out every b.
        dropout: share of the inner features set to 0 in training.

    Raises:
        ValueError: if num_experts is below 1, or the capacity factor not positive or infinite.

    Source: Fedus et al. 2022, §2.1-2.2, eq. 1-3; start §2.4 (scale 0.1). Deviations: capacity
    is counted in each sequence, in the paper in all tokens of a device, so that sequences of a
    batch do not depend on each other; no noise is put on the router's input. Which tokens are
    dropped depends on T: at T = 1, none.

    >>> SwitchFeedForward(4, 8, num_experts=3, capacity_factor=1.5).capacity(8)
    4
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        num_experts: int,
        capacity_factor: float = 1.25,
        activation: Callable[[Tensor], Tensor] = F.relu,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if num_experts < 1:
            raise ValueError(f"num_experts must be at least 1, got {num_experts}")
        if not 0 < capacity_factor < math.inf:
            raise ValueError(f"capacity_factor must be above 0 and finite, got {capacity_factor}")
        N = num_experts
        self.capacity_factor = capacity_factor
        self.activation = activation
        self.router = Router(d_model, N)
        self.in_weight = nn.Parameter(torch.empty(N, d_model, d_ff))
        self.out_weight = nn.Parameter(torch.empty(N, d_ff, d_model))
        self.in_bias = nn.Parameter(torch.zeros(N, 1, d_ff)) if bias else None
        self.out_bias = nn.Parameter(torch.zeros(N, 1, d_model)) if bias else None
        self.dropout = nn.Dropout(dropout)
        for weight, fan_in in ((self.router.weight, d_model), (self.in_weight, d_model),
                               (self.out_weight, d_ff)):  # fmt: skip
            std = math.sqrt(0.1 / fan_in)
            nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)

    def capacity(self, T: int) -> int:
        """Places that every expert has for a sequence of T tokens."""
        # The factor as it is written: 1.1 · 50 / 5 in floating point is a little above 11.
        factor = Fraction(str(self.capacity_factor))
        return -(-factor.numerator * T // (factor.denominator * self.in_weight.size(0)))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        B, T, C = x.shape
        N, S = self.in_weight.size(0), self.capacity(T)
        gate, expert = self.router(x).softmax(dim=-1).max(dim=-1)
        place = slot(expert, N)

        # Every token that is served goes to row (expert, sequence, place) of one table; all
        # others to one row more, which no expert sees and whose answer is 0. So no size depends
        # on what the router says.
        sequence = torch.arange(B, device=x.device)[:, None]
        row = ((expert * B + sequence) * S + place).where(place < S, N * B * S)
        table = x.new_zeros(N * B * S + 1, C).index_put((row,), x)[:-1]
        answers = self._experts(table.view(N, B * S, C)).view(N * B * S, C)
        answers = F.pad(answers, (0, 0, 0, 1))
        return (answers[row] * gate[..., None]).to(x.dtype)

    def _experts(self, x: Float[Tensor, "N M C"]) -> Float[Tensor, "N M C"]:
        hidden = x @ self.in_weight
        if self.in_bias is not None:
            hidden = hidden + self.in_bias
        y = self.dropout(self.activation(hidden)) @ self.out_weight
        return y if self.out_bias is None else y + self.out_bias


def slot(expert: Int[Tensor, "B T"], num_experts: int) -> Int[Tensor, "B T"]:
    """How many tokens before this one, in its sequence, chose the same expert.

    >>> slot(torch.tensor([[2, 0, 2, 2]]), 3)
    tensor([[0, 0, 1, 2]])
    """
    chosen = F.one_hot(expert, num_experts)
    return chosen.cumsum(dim=1).gather(-1, expert[..., None]).squeeze(-1) - 1


def balance_loss(
    scores: Float[Tensor, "B T N"], token: Bool[Tensor, "B T"] | None = None
) -> Float[Tensor, ""]:
    """1 if all experts are used alike, up to N if one is used alone.

        N Σ_e f_e P_e,   f_e: share of tokens that choose e,   P_e: mean of p_e

    f counts and has no gradient; P pulls the router towards even use.

    Args:
        scores: the router's.
        token: False for padding, which does not count; None if there is none. If nothing counts
            the loss is 0.

    Source: Fedus et al. 2022, §2.2, eq. 4-6, without the factor α, 10⁻² there.

    >>> balance_loss(torch.tensor([[[9.0, 0.0], [0.0, 9.0]]])).round(decimals=4)
    tensor(1.)
    """
    N = scores.size(-1)
    scores = scores.flatten(0, 1) if token is None else scores[token]
    # A mean over many tokens needs more digits than half precision has.
    p = scores.softmax(dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))
    count = max(1, p.size(0))
    f = F.one_hot(p.argmax(dim=-1), N).to(p.dtype).sum(dim=0) / count
    return N * (f * p.sum(dim=0) / count).sum()


@contextmanager
def routed(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the scores of all routers of a model while it is called.

        with routed(model) as scores:
            loss = language_loss(model(token_ids))
        loss = loss + 0.01 * sum(balance_loss(s) for s in scores)

    So the layers keep nothing between calls, and give back what `FeedForward` does.
    """
    collected: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, scores: collected.append(scores))
        for module in model.modules()
        if isinstance(module, Router)
    ]
    try:
        yield collected
    finally:
        for hook in hooks:
            hook.remove()
