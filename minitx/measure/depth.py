"""What arrives through a stack of sublayers, forwards and backwards, before any training."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minitx.layers import FeedForward
from minitx.models.parts import initialise
from minitx.multihead import MultiHeadAttention

Kind = Literal["bare", "residual", "post-norm", "pre-norm"]
KINDS: tuple[Kind, ...] = ("bare", "residual", "post-norm", "pre-norm")
DEPTHS = (2, 4, 8, 16, 32, 64)
C, HEADS, T, BATCH = 32, 4, 8, 4


class Sublayers(nn.Module):
    """Attention and feed-forward network by turns, joined in one of four ways.

        bare:       x ← f(x)                residual:   x ← x + f(x)
        post-norm:  x ← norm(x + f(x))      pre-norm:   x ← x + f(norm(x))

    Args:
        kind: which of them.
        depth: sublayers in all.
        gain: how many times as large as usual every matrix begins.
        small_start: whether those whose results join the road begin divided by √depth.

    Matrices begin as in Glorot & Bengio 2010, as those of the library's `Transformer`; norms have
    nothing that is trained. The small start is that of Radford et al. 2019, §2.3.
    """

    def __init__(
        self, kind: Kind, depth: int, *, gain: float = 1.0, small_start: bool = False
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        self.kind = kind
        self.sublayers = nn.ModuleList(
            FeedForward(C, 4 * C) if place % 2 else MultiHeadAttention(C, HEADS)
            for place in range(depth)
        )
        linear = partial(nn.init.xavier_uniform_, gain=gain)
        initialise(self, linear=linear, embedding=nn.init.normal_)
        if small_start:
            with torch.no_grad():
                for f in self.sublayers:
                    assert isinstance(f, FeedForward | MultiHeadAttention)
                    f.out_proj.weight /= depth**0.5

    def forward(self, x: Tensor) -> Tensor:
        """What comes out above the last sublayer."""
        for f in self.sublayers:
            if self.kind == "bare":
                x = f(x)
            elif self.kind == "residual":
                x = x + f(x)
            elif self.kind == "post-norm":
                x = norm(x + f(x))
            else:
                x = x + f(norm(x))
        return x


def norm(x: Tensor) -> Tensor:
    """Layer norm with weight 1 and bias 0."""
    return F.layer_norm(x, (x.size(-1),))


def signal(
    kind: Kind, depths: Sequence[int] = DEPTHS, *, gain: float = 1.0, seeds: Sequence[int] = (0, 1)
) -> list[float]:
    """The typical size of a number that comes out of each depth, where 1 goes in.

    >>> signal("residual", (0,))
    [1.0]
    """
    return [_arriving(kind, depth, gain, seeds)[0] for depth in depths]


def gradient(
    kind: Kind, depths: Sequence[int] = DEPTHS, *, gain: float = 1.0, seeds: Sequence[int] = (0, 1)
) -> list[float]:
    """The length of the gradient that arrives at the input, where one of length 1 comes in above.

    >>> gradient("residual", (0,))
    [1.0]
    """
    return [_arriving(kind, depth, gain, seeds)[1] for depth in depths]


def _arriving(kind: Kind, depth: int, gain: float, seeds: Sequence[int]) -> tuple[float, float]:
    """Signal and gradient, geometric means over the seeds, in float64: they can be very small."""
    logs = torch.zeros(2, dtype=torch.float64)
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            stack = Sublayers(kind, depth, gain=gain).double()
            x, u = torch.randn(2, BATCH, T, C, dtype=torch.float64)
        x.requires_grad_()
        y = stack(x)
        (back,) = torch.autograd.grad((y * u).sum(), x)
        sizes = torch.stack([y.norm() / x.norm(), back.norm() / u.norm()])
        logs += sizes.detach().log() / len(seeds)
    arrived, came_back = logs.exp().tolist()
    return arrived, came_back


def by_layer(kind: Kind, *, depth: int = 24, seeds: Sequence[int] = range(12)) -> list[float]:
    """The length of the gradient at the output matrix of each feed-forward network, bottom first.

    Above the stack stand a last norm, which pre-norm has and which changes nothing in post-norm,
    and a linear layer that names one of 16 words; the loss is the cross-entropy with random ones.

    Source: Xiong et al. 2020, §3.3 and figure 3, for deep stacks of either kind.
    """
    means = torch.zeros(depth // 2)
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            stack, head = Sublayers(kind, depth), nn.Linear(C, 16)
            x, words = torch.randn(BATCH, T, C), torch.randint(16, (BATCH * T,))
        loss = F.cross_entropy(head(norm(stack(x))).flatten(0, 1), words)
        matrices = [f.out_proj.weight for f in stack.sublayers if isinstance(f, FeedForward)]
        lengths = [g.norm() for g in torch.autograd.grad(loss, matrices)]
        means += torch.stack(lengths) / len(seeds)
    return [float(length) for length in means]
