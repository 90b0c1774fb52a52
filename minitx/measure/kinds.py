"""Three kinds of layer that let positions hear each other, as functions from (B, T, C) to it."""

import torch
from torch import Tensor, nn

from minitx.cores import FullAttention


class SelfAttention(nn.Module):
    """One head as wide as the model: projections of q, k, v in one product, then attention."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.qkv_proj = nn.Linear(C, 3 * C, bias=False)
        self.core = FullAttention()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv_proj(x).unsqueeze(1).chunk(3, dim=-1)  # (B, 1, T, C) each
        output: Tensor = self.core(q, k, v).squeeze(1)
        return output


class Recurrent(nn.Module):
    """h = tanh(x W + h U), position by position; what comes out is every h."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(C, C, batch_first=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.rnn(x)[0]
        return output


class Convolution(nn.Module):
    """Each output is made of the three inputs around its position."""

    def __init__(self, C: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(C, C, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.convolution(x.transpose(1, 2)).transpose(1, 2)
        return output


def layers(C: int, *, device: torch.device | str = "cpu") -> dict[str, nn.Module]:
    """One of each kind, C wide.

    >>> list(layers(4))
    ['self-attention', 'recurrent', 'convolution of 3']
    """
    kinds = {
        "self-attention": SelfAttention(C),
        "recurrent": Recurrent(C),
        "convolution of 3": Convolution(C),
    }
    return {name: kind.to(device) for name, kind in kinds.items()}
