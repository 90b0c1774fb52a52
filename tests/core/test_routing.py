"""Routing Transformer against the package routing-transformer, and against loops."""

import itertools

import numpy as np
import pytest
import torch
from routing_transformer.routing_transformer import KmeansAttention, kmeans_iter
from torch import Tensor
from torch.nn import functional as F

from minitx.cores import Routing
from minitx.masks import NO_MASK, Mask, causal, padding

from . import contract

B, H, D, D_v = 2, 3, 11, 13
# float64 sums over a few dozen keys; any mistake is far above.
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def inputs(T: int, D_v: int = D_v, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = (B, H, T, D), (B, H, T, D), (B, H, T, D_v)
    q, k, v = (torch.randn(s, generator=random, dtype=torch.float64) for s in shapes)
    return q, k, v


def made(**settings) -> Routing:
    torch.manual_seed(3)
    return Routing(D, **settings).double()


def centred(x: Tensor) -> Tensor:
    return x - x.mean(dim=-1, keepdim=True)


def test_equals_the_package():
    T, C, w = 29, 5, 7
    q, k, v = inputs(T, D)
    q, k = centred(q), centred(k)  # then its unit length and a layer norm point the same way
    core = made(num_clusters=C, window=w, num_heads=H)
    layer = KmeansAttention(C, w, H, D).double().eval()
    layer.kmeans.initted.fill_(True)
    layer.kmeans.means.copy_(core.centroids / D**0.5)
    wanted, _ = layer(q, k, v)
    # There 1e-5 is added to the number of clusters that a mean is taken over.
    torch.testing.assert_close(core(q, k, v), wanted, rtol=2e-5, atol=1e-12)


def test_an_update_goes_where_the_package_goes():
    T, C = 29, 5
    q, k, _ = inputs(T)
    q, k = centred(q), centred(k)
    core = made(num_clusters=C, num_heads=H, decay=0.0)
    unit = F.normalize(torch.cat([q, k], dim=2), dim=-1)
    wanted = kmeans_iter(unit, core.centroids / D**0.5)
    core.update_centroids(q, k)
    # A layer norm adds 1e-5 to the variance.
    torch.testing.assert_close(core.centroids, wanted * D**0.5, rtol=1e-4, atol=1e-4)


# --- loops ---------------------------------------------------------------------------------------


def balanced(core, q, k, v, b, h, w, real):
    T = q.size(2)
    mu = core.centroids[h % len(core.centroids)]
    ranked = [
        [sorted(range(T), key=lambda t: (not real[t], -float(n[t] @ m)))[:w] for m in mu]
        for n in (F.layer_norm(x[b, h], (D,)) for x in (q, k))
    ]
    answers: dict[int, list[Tensor]] = {i: [] for i in range(T)}
    for queries, keys in zip(*ranked, strict=True):
        keys = [j for j in keys if real[j]]
        for i in queries:
            weights = (q[b, h, i] @ k[b, h, keys].T / D**0.5).softmax(dim=-1)
            answers[i].append(weights @ v[b, h, keys])
    zero = torch.zeros(v.size(3), dtype=v.dtype)
    return torch.stack([sum(a, zero) / max(len(a), 1) for a in answers.values()])


def nearest(core, q, k, v, b, h, w, real):
    mu = core.centroids[h % len(core.centroids)]
    cluster = [int((mu @ x).argmax()) for x in F.layer_norm(q[b, h], (D,))]
    rows = []
    for i in range(q.size(2)):
        mates = [j for j in range(i + 1) if cluster[j] == cluster[i] and real[j]]
        before = mates[-(w + 1) :]
        weights = (q[b, h, i] @ k[b, h, before].T / D**0.5).softmax(dim=-1)
        rows.append(weights @ v[b, h, before])
    return torch.stack(rows)


def by_loops(core: Routing, q, k, v, w: int, mask: Mask = NO_MASK) -> Tensor:
    one = nearest if mask.causal else balanced
    output = torch.zeros_like(v)
    for b, h in np.ndindex(B, H):
        real = [True] * q.size(2) if mask.key_padding is None else mask.key_padding[b].tolist()
        output[b, h] = one(core, q, k, v, b, h, w, real)
    return output if mask.key_padding is None else output * mask.key_padding[:, None, :, None]


T = 29
MASKS = {
    "none": NO_MASK,
    "causal": causal(),
    "padding": padding([T - 6, T], max_len=T),
    "both": causal() & padding([T - 6, T], max_len=T),
}


@pytest.mark.parametrize("num_heads", [1, H])
@pytest.mark.parametrize("rule", MASKS)
def test_the_algorithm_token_by_token(rule, num_heads):
    q, k, v = inputs(T)
    mask = MASKS[rule]
    core = made(num_clusters=4, window=6, num_heads=num_heads)
    got = core(q, k, v, mask=mask)
    if mask.key_padding is not None:
        got = got * mask.key_padding[:, None, :, None]
    torch.testing.assert_close(got, by_loops(core, q, k, v, 6, mask), **EXACT)


def test_the_window_of_the_paper():
    q, k, v = inputs(T)
    core = made(num_clusters=4)
    torch.testing.assert_close(core(q, k, v), by_loops(core, q, k, v, 8), **EXACT)  # ⌈29 / 4⌉


def test_a_token_in_no_cluster_gets_nothing():
    q, k, v = inputs(T)
    output = made(num_clusters=2, window=3)(q, k, v)
    assert ((output == 0).all(dim=-1).sum(dim=-1) >= T - 6).all()


def test_the_largest_of_all_tokens_would_let_the_future_in(monkeypatch):
    def make(T):
        torch.manual_seed(0)
        return Routing(D, num_clusters=4)

    def largest_of_all(self, q, k, v, window, is_token):
        """The paper's members, whose queries see no later key."""
        B, H, T, _ = q.shape
        table = torch.zeros(B, H, T, T, dtype=torch.bool)
        for queries in self._members(q, window, is_token).unbind(dim=2):
            member = torch.zeros(B, H, T, dtype=torch.bool).scatter(2, queries, True)
            table |= member.unsqueeze(-1) & member.unsqueeze(-2)
        scores = (q @ k.mT).masked_fill(~(table.tril()), -1e30)
        return scores.softmax(dim=-1) @ v

    contract.check_the_future_is_not_seen(make)
    monkeypatch.setattr(Routing, "_nearest_cluster", largest_of_all)
    with pytest.raises(AssertionError):
        contract.check_the_future_is_not_seen(make)


# --- k-means -------------------------------------------------------------------------------------


def spread(core: Routing, q: Tensor, k: Tensor) -> float:
    """The mean squared distance of tokens to the centroid nearest to them."""
    x = F.layer_norm(torch.cat([q, k], dim=2), (D,))
    squared = torch.cdist(x, core.centroids.expand(B, H, -1, -1)).square()
    return float(squared.amin(dim=-1).mean())


@pytest.mark.parametrize("num_heads", [1, H])
def test_updates_bring_centroids_to_the_tokens(num_heads):
    q, k, _ = inputs(61)
    core = made(num_clusters=5, num_heads=num_heads, decay=0.0)
    distances = [spread(core, q, k)]
    for _ in range(4):
        core.update_centroids(q, k)
        distances.append(spread(core, q, k))
    assert all(b < a for a, b in itertools.pairwise(distances)), distances


def test_how_far_an_update_moves():
    q, k, _ = inputs(61)
    slow, fast = made(num_clusters=5, decay=0.9), made(num_clusters=5, decay=0.0)
    before = slow.centroids.clone()
    for core in (slow, fast):
        core.update_centroids(q, k)
    between = 0.9 * before + 0.1 * fast.centroids
    torch.testing.assert_close(slow.centroids, F.layer_norm(between, (D,)), rtol=1e-4, atol=1e-4)


def test_padding_moves_no_centroid():
    q, k, _ = inputs(T)
    mask = padding([T - 6, T], max_len=T)
    other = torch.where(mask.key_padding[:, None, :, None], q, 5 * k)
    moved = []
    for x in (q, other):
        core = made(num_clusters=5, decay=0.5)
        core.update_centroids(x, x, mask)
        moved.append(core.centroids)
    assert torch.equal(*moved)


def test_a_centroid_without_tokens_stays():
    core = made(num_clusters=2)
    mu = F.layer_norm(torch.arange(D).double(), (D,))
    core.centroids.copy_(torch.stack([mu, -mu]))
    q = mu.expand(1, 1, 3, D)
    core.update_centroids(q, q)
    # A layer norm adds 1e-5 to the variance.
    torch.testing.assert_close(core.centroids[0, 1], -mu, rtol=0, atol=0)
    torch.testing.assert_close(core.centroids[0, 0], mu, rtol=1e-4, atol=1e-12)


def test_the_hook_of_the_docstring():
    q, k, v = inputs(T)
    core = made(num_clusters=4)
    before = core.centroids.clone()
    core(q, k, v)
    assert torch.equal(core.centroids, before)
    core.register_forward_pre_hook(lambda core, qkv: core.update_centroids(*qkv[:2]))
    core(q, k, v, mask=causal())
    assert not torch.equal(core.centroids, before)


def test_what_is_refused():
    q, k, v = inputs(T)
    core = made(num_clusters=4)
    with pytest.raises(ValueError, match=r"^T_q \(5\) must equal T_k \(29\): both are tokens of"):
        core(q[:, :, :5], k, v)
    with pytest.raises(
        ValueError, match=r"^the core was made for 1 heads of width 11, got 3 of 7$"
    ):
        core(q[..., :7], k[..., :7], v)
    with pytest.raises(
        ValueError, match=r"^the core was made for 2 heads of width 11, got 3 of 11"
    ):
        made(num_clusters=4, num_heads=2)(q, k, v)
    with pytest.raises(ValueError, match=r"^num_clusters must be at least 1, got 0$"):
        made(num_clusters=0)
    with pytest.raises(ValueError, match=r"^window must be at least 1, got 0$"):
        made(num_clusters=4, window=0)
