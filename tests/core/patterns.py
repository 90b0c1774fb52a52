"""What the tests of sparse cores share: dense attention with the mask rebuilt pair by pair."""

from collections.abc import Callable

import torch
from torch import Tensor

from minitx.cores import AttentionCore, FullAttention
from minitx.masks import NO_MASK, Mask

# float64 sums over some tens of keys: rounding is near 1e-15, any mistake is far above 1e-10.
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def qkv(T_q: int, T_k: int, *, B: int = 2, H: int = 3, D_k: int = 5, D_v: int = 7) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = (B, H, T_q, D_k), (B, H, T_k, D_k), (B, H, T_k, D_v)
    return [torch.randn(s, generator=random, dtype=torch.float64) for s in shapes]


def table(allowed: Callable[[int, int], bool], T_q: int, T_k: int) -> Tensor:
    """(T_q, T_k) by asking for every pair of positions; the queries are the last T_q."""
    rows = [[bool(allowed(T_k - T_q + i, j)) for j in range(T_k)] for i in range(T_q)]
    return torch.tensor(rows)


def attended(core: AttentionCore, T_q: int, T_k: int, mask: Mask = NO_MASK) -> Tensor:
    """(T_q, T_k): which keys have weight, read off by v = I."""
    q, k, _ = qkv(T_q, T_k, B=1, H=1)
    return core(q, k, torch.eye(T_k, dtype=q.dtype)[None, None], mask=mask)[0, 0] > 0


def assert_dense_equals(
    core: AttentionCore,
    allowed: Callable[[int, int], bool],
    T_q: int,
    T_k: int,
    mask: Mask = NO_MASK,
) -> None:
    """Outputs and gradients are those of full attention under the rebuilt mask."""
    leaves = [x.requires_grad_() for x in qkv(T_q, T_k)]
    dense = mask & Mask(allowed=table(allowed, T_q, T_k)[None, None])
    got, want = core(*leaves, mask=mask), FullAttention()(*leaves, mask=dense)
    torch.testing.assert_close(got, want, **EXACT)
    gradients = (torch.autograd.grad(y.square().sum(), leaves) for y in (got, want))
    torch.testing.assert_close(*gradients, **EXACT)
