"""Linear attention: elu(x) + 1 as the features of the kernel."""

import torch
from jaxtyping import Float
from torch import Tensor

from minitx.cores.base import AttentionCore
from minitx.cores.kernelised import kernelised_attention
from minitx.masks import NO_MASK, Mask


class LinearAttention(AttentionCore):
    """Attention with weights φ(q)·φ(k), linear in the length; a model is trained with it.

        output_i = Σ_j φ(q_i)·φ(k_j) v_j / Σ_j φ(q_i)·φ(k_j),   φ(x) = elu(x) + 1

    Not an approximation of the softmax: weights are positive and sum to 1, but they cannot be as
    sharp. Honours causal (the sums then run along the sequence) and key padding.

    Args:
        chunk_size: causal only: pairs are compared inside chunks of this length.

    Raises:
        ValueError: if chunk_size is below 1.

    Source: Katharopoulos et al. 2020, §3.2-3.3, eq. 5-12; φ is eq. 7. There is no scale, as
    there. Deviations: the causal sums go from chunk to chunk, in the paper from token to token;
    no small number is added to the denominator, as the authors' code does; φ is computed as
    exp(x) below 0, where (exp(x) - 1) + 1 would lose its digits.

    >>> from minitx.masks import causal
    >>> zeros, v = torch.zeros(1, 1, 3, 1), torch.tensor([[[[1.0], [2.0], [6.0]]]])
    >>> LinearAttention()(zeros, zeros, v, mask=causal()).flatten()
    tensor([1.0000, 1.5000, 3.0000])
    """

    supports = frozenset({"causal", "key_padding"})

    def __init__(self, *, chunk_size: int = 128) -> None:
        super().__init__()
        if chunk_size < 1:
            raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
        self.chunk_size = chunk_size

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
        # Sums over a whole sequence need more digits than half precision has.
        wide = torch.promote_types(q.dtype, torch.float32)
        q, k, values = (x.to(wide) for x in (q, k, v))
        output = kernelised_attention(
            elu_plus_one(q), elu_plus_one(k), values, mask=mask, chunk_size=self.chunk_size
        )
        return output.to(v.dtype)


def elu_plus_one(x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """x + 1 above 0 and exp(x) below: positive everywhere, smooth at 0.

    >>> elu_plus_one(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3679, 1.0000, 3.0000])
    """
    return x.clamp(max=0).exp() + x.clamp(min=0)
