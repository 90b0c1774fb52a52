"""Performer: random features whose dot product is, on average, the softmax's exp."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitx.cores.base import AttentionCore
from minitx.cores.kernelised import kernelised_attention
from minitx.masks import NO_MASK, Mask


class Performer(AttentionCore):
    """FAVOR+: softmax attention estimated with m random features, linear in the length.

        φ(x) = exp(w_f·x - |x|²/2) / √m,  f = 1 … m,   x: q or k divided by D_k^(1/4)
        E[φ(q)·φ(k)] = exp(q·k / √D_k)
        output_i = Σ_j φ(q_i)·φ(k_j) v_j / Σ_j φ(q_i)·φ(k_j)

    The rows w_f are orthogonal in blocks of D_k, each as long as a Gaussian vector: less variance
    than independent ones and the same mean. More features, less error. Honours causal (in
    chunks) and key padding.

    Args:
        d_head: width D_k of one head.
        num_features: m, the number of random projections, shared by all heads.
        features: "positive" as above; "trigonometric" for exp(|x|²/2) [sin w_f·x, cos w_f·x] / √m,
            which has the same mean, but whose weights can be negative and whose error is largest
            where the weights are small. It is here to be compared.
        orthogonal: False draws independent Gaussian rows.
        chunk_size: causal only: pairs are compared inside chunks of this length.

    Raises:
        ValueError: if a size is below 1, or there are no such features.

    Source: Choromanski et al. 2021, §2.3, eq. 5 and lemma 1 (positive), §2.4 (orthogonal), §2.2
    and appendix B.1 for causal prefix sums; the trigonometric ones are Rahimi & Recht 2007.
    Deviations, all exact: the authors' code subtracts from every key exponent the largest of
    their head and adds a small number to each feature, so that nothing is 0/0. Here the largest
    is subtracted feature by feature and added to the exponents of the queries, of which then
    each query's own largest is taken: both leave the quotient as it is, and without causal no sum
    of weights is below 1, so that nothing has to be added. With causal, a query all of whose keys
    have features smaller by 10⁻¹⁹ (in float32) than those of a later key gets 0.
    The sign of each row is random, too; it is not in a bare QR decomposition.
    """

    supports = frozenset({"causal", "key_padding"})
    projection: Tensor

    def __init__(
        self,
        d_head: int,
        num_features: int = 256,
        *,
        features: Literal["positive", "trigonometric"] = "positive",
        orthogonal: bool = True,
        chunk_size: int = 128,
    ) -> None:
        super().__init__()
        sizes = {"d_head": d_head, "num_features": num_features, "chunk_size": chunk_size}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if features not in ("positive", "trigonometric"):
            raise ValueError(f"features must be positive or trigonometric, got {features}")
        self.positive = features == "positive"
        self.orthogonal = orthogonal
        self.chunk_size = chunk_size
        self.register_buffer("projection", torch.empty(num_features, d_head))
        self.redraw()

    @torch.no_grad()
    def redraw(self) -> None:
        """Draw other projections: now and then in training, so that none is learned by heart."""
        num_features, d_head = self.projection.shape
        draw = orthogonal_gaussian if self.orthogonal else torch.randn
        self.projection.copy_(draw(num_features, d_head))

    def features(self, x: Float[Tensor, "*batch D_k"]) -> Float[Tensor, "*batch M"]:
        """φ(x) of queries or keys, as in the paper: without what keeps large numbers in range."""
        exponent, wave = self._parts(x)
        return exponent.exp() * wave / self.projection.size(0) ** 0.5

    def forward(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H T_k D_k"],
        v: Float[Tensor, "B H T_k D_v"],
        *,
        mask: Mask = NO_MASK,
        bias: Float[Tensor, "#B #H T_q T_k"] | None = None,
    ) -> Float[Tensor, "B H T_q D_v"]:
        self.check(q, k, v, mask, bias)
        if q.size(-1) != self.projection.size(1):
            raise ValueError(f"D_k must be d_head={self.projection.size(1)}, got {q.size(-1)}")
        # Exponents and sums over a whole sequence need more digits than half precision has.
        wide = torch.promote_types(q.dtype, torch.float32)
        q_exponent, q_wave = self._parts(q.to(wide))
        k_exponent, k_wave = self._parts(k.to(wide))
        if mask.key_padding is not None:
            lowest = torch.finfo(wide).min
            k_exponent = k_exponent.masked_fill(~mask.key_padding[:, None, :, None], lowest)

        # What is moved from keys to queries, and what every query loses, cancels in the quotient.
        highest = k_exponent.detach().amax(dim=2, keepdim=True)
        q_exponent = q_exponent + highest
        q_exponent = q_exponent - q_exponent.detach().amax(dim=-1, keepdim=True)
        output = kernelised_attention(
            q_exponent.exp() * q_wave,
            (k_exponent - highest).exp() * k_wave,
            v.to(wide),
            mask=mask,
            chunk_size=self.chunk_size,
        )
        return output.to(v.dtype)

    def _parts(
        self, x: Float[Tensor, "*batch D_k"]
    ) -> tuple[Float[Tensor, "*batch _"], Float[Tensor, "*batch M"] | float]:
        """φ(x)·√m as an exponent and what its exp is multiplied by."""
        x = x / x.size(-1) ** 0.25
        projected = x @ self.projection.T.to(x.dtype)
        half_square = x.square().sum(dim=-1, keepdim=True) / 2
        if self.positive:
            return projected - half_square, 1.0
        return half_square, torch.cat([projected.sin(), projected.cos()], dim=-1)


def orthogonal_gaussian(num_rows: int, width: int) -> Float[Tensor, "num_rows width"]:
    """Rows that are each a Gaussian vector, and orthogonal to each other in blocks of `width`.

    Source: Choromanski et al. 2021, §2.4; Yu et al. 2016, §3. A QR decomposition fixes signs, so
    that its Q alone is not uniform; the signs of R's diagonal make it so (Mezzadri 2007, §5).
    """
    blocks = []
    for _ in range(-(-num_rows // width)):
        Q, R = torch.linalg.qr(torch.randn(width, width))
        blocks.append((Q * R.diagonal().sign()).T)
    lengths = torch.randn(num_rows, width).norm(dim=1, keepdim=True)
    return lengths * torch.cat(blocks)[:num_rows]
