"""Reformer: tokens attend to those that hash to the same bucket."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.base import AttentionCore, UnsupportedMask
from minitx.cores.buckets import Buckets
from minitx.functional import without_autocast
from minitx.masks import Mask

ONLY_IF_ALONE = -1e5  # the paper's score for a token and itself


class Reformer(AttentionCore):
    """Attention with shared queries and keys among tokens of the same hash bucket.

        k_j    = q_j / ‖q_j‖
        h(x)   = argmax([x R; -x R]),   R random, num_buckets/2 columns
        o_i    = Σ over j in P_i of exp(q_i · k_j / √D_k - z_i) v_j
        P_i    = the tokens with h(q_j) = h(q_i) that share i's chunk or are in the one before,
                 when all are sorted by bucket and position; i itself only if there is no other

    With several rounds of hashing, o = Σ_r exp(z_r - z) o_r, z the logarithm of the sum of all
    exp(z_r); a pair that meets in N rounds counts 1/N in each. Time and memory are
    O(T · chunk_size · num_rounds), with more than one round O(num_rounds²) in time to find N, and
    O(T · num_buckets) to hash.

    Queries and keys are one and the same: k is not read and receives no gradient.
    `MultiHeadAttention` gives such a core one projection for both.

    Args:
        d_head: width D_k of queries.
        num_buckets: 1, or an even number.
        chunk_size: tokens per chunk; the paper takes 2T / num_buckets.
        num_rounds: independent hashes.
        num_heads: heads that have their own rotations; 1 shares them between all heads.
        across_buckets: attend to the whole chunks, whatever the buckets in them.
        scale: factor on the dot products, 1/√D_k unless given.

    Raises:
        ValueError: if an argument is too small or num_buckets odd, or T_q differs from T_k.
        UnsupportedMask: if asked to be causal across buckets.

    Source: Kitaev et al. 2020, §2 and appendix A. Deviations:
      - Asked to be causal, a token sees the chunk_size tokens before it in its bucket instead of
        chunks, whose borders depend on later tokens (see `Buckets`).
      - Rotations are kept until `redraw`; the authors' code draws new ones for every call.
      - The first chunk has none before it; in the implementations it looks back to the last one.
    Both Hugging Face's layer and the package reformer-pytorch attend across buckets unless told
    otherwise and count a pair once in every round that it meets; Hugging Face's has scale 1.

    >>> x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [-1.0, -2.0], [-1.0, -2.0]]).view(1, 1, 4, 2)
    >>> Reformer(2, num_buckets=2, chunk_size=4)(x, x, torch.eye(4).view(1, 1, 4, 4))[0, 0]
    tensor([[0., 1., 0., 0.],
            [1., 0., 0., 0.],
            [0., 0., 0., 1.],
            [0., 0., 1., 0.]])
    """

    supports = frozenset({"causal", "key_padding"})
    leaves_autocast = True
    shares_qk = True
    rotations: Tensor

    def __init__(
        self,
        d_head: int,
        *,
        num_buckets: int,
        chunk_size: int,
        num_rounds: int = 1,
        num_heads: int = 1,
        across_buckets: bool = False,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        if num_buckets != 1 and (num_buckets < 1 or num_buckets % 2):
            raise ValueError(f"num_buckets must be 1 or even, got {num_buckets}")
        for name, number in (("chunk_size", chunk_size), ("num_rounds", num_rounds)):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        self.num_buckets = num_buckets
        self.chunk_size = chunk_size
        self.across_buckets = across_buckets
        self.scale = d_head**-0.5 if scale is None else scale
        shape = num_heads, d_head, num_rounds, num_buckets // 2
        self.register_buffer("rotations", torch.randn(shape))

    def redraw(self) -> None:
        """Draw other rotations from torch's global generator."""
        self.rotations.copy_(torch.randn(self.rotations.shape))

    @torch.no_grad()
    def hash(self, x: Float[Tensor, "B H T D"]) -> Int[Tensor, "B H R T"]:
        """The bucket of every token in every round."""
        _, _, num_rounds, half = self.rotations.shape
        if half == 0:
            return x.new_zeros(*x.shape[:2], num_rounds, x.size(2), dtype=torch.long)
        wide = torch.promote_types(x.dtype, torch.float32)
        with without_autocast(x.device):
            rotated = x.to(wide) @ self.rotations.flatten(2).to(wide)
        rotated = rotated.unflatten(-1, (num_rounds, half)).transpose(2, 3)
        return torch.cat([rotated, -rotated], dim=-1).argmax(dim=-1)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        self._require_fit(q, k, mask)
        buckets = Buckets(
            self.hash(q),
            self.num_buckets,
            self.chunk_size,
            causal=mask.causal,
            is_token=None if mask.key_padding is None else mask.key_padding[:, None, None, :],
            across=self.across_buckets,
        )
        # Queries are keys, so forward has not cleaned them.
        scores = self._scores(q, F.normalize(mask.zero_padding(q), dim=-1), buckets)
        # What follows does not depend on `highest`, so its gradient need not pass through it.
        highest = scores.detach().amax(dim=-1, keepdim=True)
        weights = scores.sub_(highest).exp_()
        total = weights.sum(dim=-1, keepdim=True)
        o = weights.to(v.dtype) @ buckets.keys(v) / total
        o, z = buckets.restored(o), buckets.restored(highest + total.log())

        output = (z.softmax(dim=2) * o).sum(dim=2).to(v.dtype)
        nobody = z.amax(dim=2) <= torch.finfo(z.dtype).min / 2
        return output.masked_fill(nobody, 0.0)

    def _scores(self, q: Tensor, k: Tensor, buckets: Buckets) -> Tensor:
        """(B, H, R, N, size, 2·size): q_i · k_j, less what the paper calls m_ij."""
        scores = buckets.queries(q * self.scale) @ buckets.keys(k).mT
        scores = scores.to(torch.promote_types(q.dtype, torch.float32))
        # In place from here: one table of this size is in memory at a time, not five.
        # A chunk's own tokens are the second half of those it sees.
        itself = torch.eye(buckets.size, dtype=scores.dtype, device=scores.device)
        scores += ONLY_IF_ALONE * F.pad(itself, (buckets.size, 0))
        if scores.size(2) > 1:
            scores -= self._meetings(buckets).clamp(min=1).to(scores.dtype).log_()
        # Not -inf: in a row of nothing but -inf, -inf - -inf is NaN.
        return scores.masked_fill_(~buckets.visible(), torch.finfo(scores.dtype).min)

    def _meetings(self, buckets: Buckets) -> Tensor:
        """The number of rounds in which the two of a pair see each other, the paper's N_ij."""
        rounds = buckets.place.unbind(dim=2)
        return sum(
            (buckets.visible(place.unsqueeze(2).expand_as(buckets.place)) for place in rounds),
            start=torch.zeros((), dtype=torch.uint8, device=buckets.place.device),
        )

    def _require_fit(self, q: Tensor, k: Tensor, mask: Mask) -> None:
        _, H, T, D = q.shape
        heads, d_head, *_ = self.rotations.shape
        if k.size(2) != T:
            raise ValueError(f"T_q ({T}) must equal T_k ({k.size(2)}): queries are the keys")
        if d_head != D or heads not in (1, H):
            raise ValueError(
                f"the core was made for {heads} heads of width {d_head}, got {H} of {D}"
            )
        if self.across_buckets and mask.causal:
            raise UnsupportedMask("Reformer across buckets", mask.rules, self.supports - {"causal"})
