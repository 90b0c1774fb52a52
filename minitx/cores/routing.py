"""Routing Transformer: tokens attend to those that are near the same centroid."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.base import AttentionCore
from minitx.cores.buckets import Buckets, take
from minitx.cores.fused import fused_attention
from minitx.functional import without_autocast
from minitx.masks import NO_MASK, Mask


class Routing(AttentionCore):
    """Attention within clusters of queries and keys, which online k-means finds.

        Q_c    = the w queries with the largest μ_c · LayerNorm(q_i),  K_c the same of the keys
        o_i    = mean over the c with i in Q_c of softmax(q_i K_cᵀ / √D_k) V_c

    Every cluster has the same size w, so that a token may be in several clusters or in none; then
    its output is 0. Time is O(C · w²) and O(T · C) to choose.

    Who is among the w largest depends on all tokens. Asked to be causal, every token therefore
    belongs to the one centroid nearest to its query and attends to itself and the w tokens before
    it in that cluster: nothing that comes later has a say.

    A call does not move the centroids, `update_centroids` does; once per training step:

        core.register_forward_pre_hook(lambda core, qkv: core.update_centroids(*qkv[:2]))

    Args:
        d_head: width D_k of queries and keys.
        num_clusters: C; the paper takes √T.
        window: w, ⌈T / C⌉ unless given.
        num_heads: heads that have their own centroids; 1 shares them between all heads.
        decay: λ, what an update keeps of a centroid.
        scale: factor on the dot products, 1/√D_k unless given.

    Raises:
        ValueError: if num_clusters or window is below 1, T_q differs from T_k, or the centroids
            were made for other sizes.

    Source: Roy et al. 2021, §4, algorithm 1. Deviations: the causal rule above (the paper chooses
    the w largest from past and future); queries and keys are layer-normalised only to be clustered
    and attended to as they come (the paper attends to the normalised ones, and if causal sets
    k = q: pass them in like that); centroids are means of their members, brought back to the
    length of a normalised token (the paper adds sums); they are not updated by the call. Tokens in
    several clusters get the mean, as in the package routing-transformer.

    >>> from minitx.masks import causal
    >>> zeros, v = torch.zeros(1, 1, 3, 2), torch.tensor([1.0, 2.0, 6.0]).view(1, 1, 3, 1)
    >>> Routing(2, num_clusters=1, window=1)(zeros, zeros, v, mask=causal()).flatten()
    tensor([1.0000, 1.5000, 4.0000])
    """

    supports = frozenset({"causal", "key_padding"})
    leaves_autocast = True
    centroids: Tensor

    def __init__(
        self,
        d_head: int,
        *,
        num_clusters: int,
        window: int | None = None,
        num_heads: int = 1,
        decay: float = 0.999,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        if num_clusters < 1:
            raise ValueError(f"num_clusters must be at least 1, got {num_clusters}")
        if window is not None and window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        self.num_clusters = num_clusters
        self.window = window
        self.decay = decay
        self.scale = scale
        drawn = torch.randn(num_heads, num_clusters, d_head)
        self.register_buffer("centroids", _normalised(drawn))

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        self._require_fit(q, k)
        T = q.size(2)
        window = min(self.window or -(-T // self.num_clusters), T)
        is_token = None if mask.key_padding is None else mask.key_padding[:, None, :]
        if mask.causal:
            return self._nearest_cluster(q, k, v, window, is_token)
        return self._balanced_clusters(q, k, v, window, is_token)

    def _balanced_clusters(
        self, q: Tensor, k: Tensor, v: Tensor, window: int, is_token: Tensor | None
    ) -> Tensor:
        B, H, T, _ = q.shape
        queries, keys = (self._members(x, window, is_token) for x in (q, k))  # (B, H, C, w)
        rule = NO_MASK
        if is_token is not None:
            members = is_token.expand(B, H, T).gather(2, keys.flatten(2))
            rule = Mask(key_padding=members.view(-1, window))
        # One cluster is one sample here: (B·H·C, 1, w, D).
        clusters = take(q, queries), take(k, keys), take(v, keys)
        q, k, v = (x.flatten(0, 2).unsqueeze(1) for x in clusters)
        answers = fused_attention(q, k, v, rule, scale=self.scale)
        answers = answers.view(B, H, -1, v.size(-1))
        return _mean_by_token(answers, queries.flatten(2), T)

    def _nearest_cluster(
        self, q: Tensor, k: Tensor, v: Tensor, window: int, is_token: Tensor | None
    ) -> Tensor:
        clusters = self._affinity(q).argmax(dim=2)
        buckets = Buckets(clusters, self.num_clusters, window, causal=True, is_token=is_token)
        # One chunk is one sample here: (B·H·N, 1, w, D) to 2·w keys.
        chunks = buckets.queries(q), buckets.keys(k), buckets.keys(v), buckets.visible()
        queries, keys, values, visible = (x.flatten(0, 2).unsqueeze(1) for x in chunks)
        answers = fused_attention(queries, keys, values, Mask(allowed=visible), scale=self.scale)
        return buckets.restored(answers.view(*chunks[0].shape[:-1], v.size(-1)))

    @torch.no_grad()
    def _affinity(self, x: Tensor) -> Tensor:
        """Dot products of centroids and tokens; all have one length, so the largest is nearest."""
        x = _normalised(x.to(torch.promote_types(x.dtype, torch.float32)))
        return self.centroids.to(x.dtype) @ x.mT

    @torch.no_grad()
    def _members(self, x: Tensor, window: int, is_token: Tensor | None) -> Tensor:
        affinity = self._affinity(x)
        if is_token is not None:
            affinity = affinity.masked_fill(~is_token.unsqueeze(2), -torch.inf)
        return affinity.topk(window, dim=-1, sorted=False).indices

    @torch.no_grad()
    def update_centroids(
        self,
        q: Float[Tensor, "B H T D"],
        k: Float[Tensor, "B H T D"],
        mask: Mask = NO_MASK,
    ) -> None:
        """One step of online k-means: μ ← λ μ + (1 - λ) · mean of the tokens nearest to μ.

        A centroid to which no token is nearest stays where it is.
        """
        mask = mask.to(q.device)
        x = torch.cat([mask.zero_padding(q), mask.zero_padding(k)], dim=2)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        with without_autocast(x.device):
            nearest = F.one_hot(self._affinity(x).argmax(dim=2), self.num_clusters).to(x.dtype)
            if mask.key_padding is not None:
                nearest = nearest * mask.key_padding.repeat(1, 2)[:, None, :, None]
            sums = nearest.mT @ _normalised(x)
        heads = len(self.centroids)
        sums = sums.sum(dim=0) if heads > 1 else sums.sum(dim=(0, 1)).unsqueeze(0)
        has_members = (sums != 0).any(dim=-1, keepdim=True)
        moved = self.decay * self.centroids + (1 - self.decay) * _normalised(sums)
        self.centroids.copy_(torch.where(has_members, _normalised(moved), self.centroids))

    def _require_fit(self, q: Tensor, k: Tensor) -> None:
        _, H, T, D = q.shape
        heads, _, d_head = self.centroids.shape
        if k.size(2) != T:
            raise ValueError(f"T_q ({T}) must equal T_k ({k.size(2)}): both are tokens of one text")
        if d_head != D or heads not in (1, H):
            raise ValueError(
                f"the core was made for {heads} heads of width {d_head}, got {H} of {D}"
            )


def _mean_by_token(answers: Tensor, tokens: Tensor, T: int) -> Tensor:
    """(B, H, M, D) with the token each of the M answers is for, as (B, H, T, D); 0 without any."""
    B, H, _, D = answers.shape
    total = answers.new_zeros(B, H, T, D)
    total = total.scatter_add(2, tokens.unsqueeze(-1).expand_as(answers), answers)
    ones = torch.ones_like(tokens, dtype=answers.dtype)
    counts = answers.new_zeros(B, H, T).scatter_add(2, tokens, ones)
    return total / counts.clamp(min=1).unsqueeze(-1)


def _normalised(x: Tensor) -> Tensor:
    """Mean 0 and length √D; the mean of such vectors needs no more than its length mended."""
    return F.layer_norm(x, x.shape[-1:])
