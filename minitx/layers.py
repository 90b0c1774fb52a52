"""The layers around attention: normalisation and the position-wise feed-forward network.

Shape letters: C model width, F feed-forward width.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

gelu_tanh = partial(F.gelu, approximate="tanh")
"""GELU as in GPT-2's and T5's code: Hendrycks & Gimpel 2016, §2, with the tanh."""


class LayerNorm(nn.Module):
    """Gives every token mean 0 and variance 1 over its features, then scales and shifts them.

        y = weight · (x - μ) / √(σ² + eps) + bias,   μ, σ²: mean and variance of the C features

    σ² divides by C, not C - 1; eps stands inside the root.

    Args:
        d_model: number of features C.
        eps: keeps a constant token from being divided by 0.
        bias: False leaves the shift out.

    Source: Ba et al. 2016, §3, eq. 4; eps as in the authors' code. Computed by torch's fused
    kernel; `numpy_core.layer_norm` is the definition in NumPy.

    >>> LayerNorm(2)(torch.tensor([3.0, 5.0])).detach().round(decimals=3)
    tensor([-1.,  1.])
    """

    def __init__(self, d_model: int, *, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """Divides every token by the root of its mean square; no mean is subtracted.

        y = weight · x / √(mean(x²) + eps)

    Args:
        d_model: number of features C.
        eps: keeps a token of zeros from being divided by 0.

    Source: Zhang & Sennrich 2019, §4, eq. 4; eps as in T5's code. Computed by torch's kernel, half
    precision in float32.

    >>> RMSNorm(2)(torch.tensor([3.0, 4.0])).detach().round(decimals=3)      # √12.5 = 3.536
    tensor([0.8490, 1.1310])
    """

    def __init__(self, d_model: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class FeedForward(nn.Module):
    """The same two-layer network applied to every position by itself.

        y = activation(x W_1 + b_1) W_2 + b_2
        gated:  y = (activation(x W_1 + b_1) ⊙ (x W_3 + b_3)) W_2 + b_2

    Args:
        d_model: width C of input and output.
        d_ff: width F between the layers.
        activation: `F.relu` in the 2017 transformer, `F.gelu` in BERT and GPT.
        gated: multiply by a second projection (with `F.gelu`: GEGLU; with `F.silu`: SwiGLU).
        bias: False leaves out every b.
        dropout: share of the inner features set to 0 in training.

    Source: Vaswani et al. 2017, §3.3, eq. 2; Shazeer 2020, eq. 6, for the gated kind. Dropout
    between the layers as in the authors' code.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: Callable[[Tensor], Tensor] = F.relu,
        gated: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.gate_proj = nn.Linear(d_model, d_ff, bias=bias) if gated else None
        self.out_proj = nn.Linear(d_ff, d_model, bias=bias)
        self.activation = activation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch C"]:
        hidden = self.activation(self.in_proj(x))
        if self.gate_proj is not None:
            hidden = hidden * self.gate_proj(x)
        return self.out_proj(self.dropout(hidden))


def count_parameters(make: Callable[[], nn.Module]) -> int:
    """The number of trained numbers of a model; a table used in two places counts once.

    The model is made on torch's meta device, where tensors have shapes and no memory: GPT-3 is
    counted in about a second.

    Args:
        make: makes the model.

    >>> count_parameters(lambda: nn.Linear(1_000_000, 1_000_000))
    1000001000000
    """
    with torch.device("meta"):
        model = make()
    return sum(parameter.numel() for parameter in model.parameters())
