"""Attention to the best keys only."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from minitx.cores.base import RULES, AttentionCore
from minitx.cores.tiles import spans, tile_of
from minitx.functional import attention_scores, masked_softmax
from minitx.masks import Mask


class TopK(AttentionCore):
    """Each query attends to the k keys that match it best.

        allowed[i] = {j : scores[i, j] ≥ the k-th largest of scores[i]}
        output[i]  = softmax over allowed[i] of scores[i] · v

    Keys that tie with the k-th are all attended to, so a query may have more than k; the result
    then does not depend on the order of the keys. No gradient flows through the choice.

    To find the best, every score is computed: **the time stays that of full attention, T_q · T_k,
    plus the search**. What is saved is memory: queries come in chunks, and the backward pass
    computes each chunk again, so that only chunk · T_k scores exist at once.

    Args:
        k: keys per query; all of them if there are no more.
        chunk: queries whose scores exist at once.

    Raises:
        ValueError: if k or chunk is below 1.

    Source: Gupta et al. 2021, §2 (top-k attention in chunks of queries). Deviations: ties as
    above, where the paper takes what the library's top-k returns; the backward pass recomputes a
    chunk instead of keeping its k best scores, for which `torch.func` has no transform. Scores are
    compared in float32 at least.

    >>> q, k = torch.ones(1, 1, 1, 1), torch.tensor([1.0, 3.0, 2.0, 0.0]).view(1, 1, 4, 1)
    >>> TopK(2)(q, k, torch.eye(4).view(1, 1, 4, 4)).flatten()
    tensor([0.0000, 0.7311, 0.2689, 0.0000])
    """

    supports = RULES
    leaves_autocast = True

    def __init__(self, k: int, *, chunk: int = 128) -> None:
        super().__init__()
        for name, size in (("k", k), ("chunk", chunk)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.k = k
        self.chunk = chunk

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        T_q, T_k = q.size(2), k.size(2)
        attend: Callable[..., Tensor] = self._attend_chunk
        # One tensor for all: outputs kept chunk by chunk would lie between the tables of scores
        # and leave holes in which the next table has no room.
        output = q.new_empty(*q.shape[:3], v.size(3))
        for rows in spans(T_q, self.chunk):
            allowed = tile_of(mask, rows, slice(0, T_k), T_k - T_q, q.device)
            some = None if bias is None else bias[:, :, rows]
            output[:, :, rows] = checkpoint(
                attend, q[:, :, rows], k, v, allowed, some, use_reentrant=False
            )
        return output

    def _attend_chunk(
        self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        wide = torch.promote_types(q.dtype, torch.float32)
        scores = attention_scores(q.to(wide), k.to(wide))
        if bias is not None:
            scores = scores + bias
        best = self._best(scores.detach(), allowed)
        return (masked_softmax(scores, best) @ v.to(wide)).to(q.dtype)

    def _best(self, scores: Tensor, allowed: Tensor | None) -> Tensor:
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -torch.inf)
        kth = scores.topk(min(self.k, scores.size(-1)), sorted=False).values.amin(-1, keepdim=True)
        # Where fewer than k are allowed, the k-th is -inf, and so are the forbidden ones.
        return scores >= kth if allowed is None else (scores >= kth) & allowed
