"""Tokens first and padding last, for cores that count places from a sequence's first token."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minitx.cores.buckets import take


def tokens_first(is_token: Bool[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """For each sequence the places of its tokens, in their order, and then those of its padding.

    >>> tokens_first(torch.tensor([[False, True, False, True]]))
    tensor([[1, 3, 0, 2]])
    """
    return (~is_token).int().argsort(dim=1, stable=True)


def rows(x: Float[Tensor, "B H T D"], places: Int[Tensor, "B T"]) -> Float[Tensor, "B H T D"]:
    """The rows of x at these places, which are the same for all heads.

    >>> rows(torch.tensor([[[[5.0], [6.0], [7.0]]]]), torch.tensor([[2, 0, 1]])).flatten()
    tensor([7., 5., 6.])
    """
    return take(x, places[:, None].expand(-1, x.size(1), -1))


@torch.library.custom_op("minitx::lengths_of", mutates_args=())
def lengths_of(key_padding: Tensor, core: str) -> Tensor:
    """How many keys of each sequence are words, where they come first; on a GPU the CPU waits.

    One operator, so that compiling goes around it.

    Raises:
        ValueError: if there is padding before a word, which the core of this name cannot serve.

    >>> lengths_of(torch.tensor([[True, True, False], [False, False, False]]), "AnyCore")
    tensor([2, 0], dtype=torch.int32)
    """
    if bool((key_padding[:, 1:] > key_padding[:, :-1]).any()):
        raise ValueError(
            f"{core} can honour key_padding at the end of a sequence only, and got some before a "
            "word; pad on the right, or use FusedAttention"
        )
    return key_padding.sum(dim=1, dtype=torch.int32)


@lengths_of.register_fake
def _(key_padding: Tensor, core: str) -> Tensor:
    return key_padding.new_empty(key_padding.size(0), dtype=torch.int32)
