"""Linear attention: elu(x) + 1 as the features of the kernel."""

import torch
from jaxtyping import Float
from torch import Tensor

from minitx.cores.kernelised import KernelisedAttention


class LinearAttention(KernelisedAttention):
    """Attention with weights φ(q)·φ(k), linear in the length; a model is trained with it.

        output_i = Σ_j φ(q_i)·φ(k_j) v_j / Σ_j φ(q_i)·φ(k_j),   φ(x) = elu(x) + 1

    Not an approximation of the softmax: weights are positive and sum to 1, but they cannot be as
    sharp. Honours causal (the sums then run along the sequence) and key padding.

    Args:
        chunk_size: keys that are taken at a time.

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

    def __init__(self, *, chunk_size: int = 128) -> None:
        super().__init__(chunk_size=chunk_size)

    def exponent_and_factor(
        self, x: Float[Tensor, "B H T D_k"]
    ) -> tuple[Float[Tensor, "B H T 1"], Float[Tensor, "B H T D_k"]]:
        return torch.zeros_like(x[..., :1]), elu_plus_one(x)


def elu_plus_one(x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """x + 1 above 0 and exp(x) below: positive everywhere, smooth at 0.

    >>> elu_plus_one(torch.tensor([-1.0, 0.0, 2.0]))
    tensor([0.3679, 1.0000, 3.0000])
    """
    return x.clamp(max=0).exp() + x.clamp(min=0)
