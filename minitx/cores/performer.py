"""Performer: random features whose dot product is, on average, the softmax's exp."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from minitx.cores.kernelised import KernelisedAttention


class Performer(KernelisedAttention):
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
        chunk_size: keys that are taken at a time.

    Raises:
        ValueError: if a size is below 1, or there are no such features.

    Source: Choromanski et al. 2021, §2.3, eq. 5 and lemma 1 (positive), §2.4 (orthogonal), §2.2
    and appendix B.1 for causal prefix sums; the trigonometric ones are Rahimi & Recht 2007.
    Deviations: the authors' code subtracts from all exponents of a head's keys their largest and
    adds a small number to every feature, so that nothing is 0/0. Here each feature's own largest
    is subtracted (see `KernelisedAttention`): nothing needs to be added, the quotient is exact.
    The sign of each row is random, too; it is not in a bare QR decomposition.

    >>> _ = torch.manual_seed(0)
    >>> q, k = torch.zeros(1, 1, 1, 4), torch.eye(4)[:2].view(1, 1, 2, 4)
    >>> mean = Performer(4, 4096)(q, k, torch.tensor([0.0, 1.0]).view(1, 1, 2, 1))
    >>> mean.flatten().round(decimals=1)
    tensor([0.5000])
    """

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
        super().__init__(chunk_size=chunk_size)
        for name, size in (("d_head", d_head), ("num_features", num_features)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if features not in ("positive", "trigonometric"):
            raise ValueError(f"features must be positive or trigonometric, got {features}")
        self.positive = features == "positive"
        self.orthogonal = orthogonal
        self.register_buffer("projection", torch.empty(num_features, d_head))
        self.redraw()

    @torch.no_grad()
    def redraw(self) -> None:
        """Draw other projections: now and then in training, so that none is learned by heart."""
        num_features, d_head = self.projection.shape
        draw = orthogonal_gaussian if self.orthogonal else torch.randn
        self.projection.copy_(draw(num_features, d_head))

    def exponent_and_factor(
        self, x: Float[Tensor, "B H T D_k"]
    ) -> tuple[Float[Tensor, "B H T _"], Float[Tensor, "B H T M"] | None]:
        num_features, d_head = self.projection.shape
        if x.size(-1) != d_head:
            raise ValueError(f"D_k must be d_head={d_head}, got {x.size(-1)}")
        x = x / d_head**0.25
        projected = x @ self.projection.T.to(x.dtype)
        half_square = x.square().sum(dim=-1, keepdim=True) / 2
        log_root = math.log(num_features) / 2
        if self.positive:
            return projected - (half_square + log_root), None
        return half_square - log_root, torch.cat([projected.sin(), projected.cos()], dim=-1)


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
