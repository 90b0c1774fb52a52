"""Heads of a trained transformer: where each one looks, how widely, and the model without some."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from minitx.models.seq2seq import Transformer
from minitx.multihead import MultiHeadAttention

Kind = Literal["encoder", "decoder", "cross"]


class Head(NamedTuple):
    """One head by its place in the model; layers and heads are counted from 1.

    >>> str(Head("cross", 1, 3))
    'cross 1.3'
    """

    kind: Kind
    layer: int
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.layer}.{self.number}"


def attentions(model: Transformer) -> dict[tuple[Kind, int], MultiHeadAttention]:
    """Every attention of the model, by its kind and layer.

    "encoder" and "decoder" are their self-attentions, "cross" is the decoder's to the encoder.
    """
    found: dict[tuple[Kind, int], MultiHeadAttention] = {}
    places: tuple[tuple[Kind, nn.ModuleList, str], ...] = (
        ("encoder", model.encoder.blocks, "attention"),
        ("decoder", model.decoder.blocks, "self_attention"),
        ("cross", model.decoder.blocks, "cross_attention"),
    )
    for kind, blocks, name in places:
        for layer, block in enumerate(blocks, start=1):
            found[kind, layer] = getattr(block, name)
    return found


def heads_of(model: Transformer) -> list[Head]:
    """All heads, attention by attention."""
    return [
        Head(kind, layer, number)
        for (kind, layer), attention in attentions(model).items()
        for number in range(1, attention.num_heads + 1)
    ]


@contextmanager
def without(model: Transformer, heads: Collection[Head]) -> Iterator[None]:
    """The model while the outputs of some heads are 0; outside the block it is whole again.

    What a head has read is replaced by 0 before the output projection, so that its block of rows
    in W_O adds nothing. Nothing is trained anew.

    Raises:
        ValueError: if the model has no such head.

    Source: Michel et al. 2019, §2.3, whose mask variable of these heads is 0 here.
    """
    unknown = sorted({*map(str, heads)} - {*map(str, heads_of(model))})
    if unknown:
        raise ValueError(f"heads must be some of the model's, it has no {', '.join(unknown)}")
    with ExitStack() as hooks:
        for (kind, layer), attention in attentions(model).items():
            numbers = [h.number for h in heads if (h.kind, h.layer) == (kind, layer)]
            if numbers:
                handle = attention.out_proj.register_forward_pre_hook(_silencer(attention, numbers))
                hooks.callback(handle.remove)
        yield


def _silencer(attention: MultiHeadAttention, numbers: Collection[int]) -> Any:
    heard = torch.ones(attention.num_heads, attention.d_head)
    heard[[number - 1 for number in numbers]] = 0

    def silence(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (inputs[0] * heard.flatten().to(inputs[0]),)

    return silence


def places(
    weights: Float[Tensor, "H T_q T_k"], *, skip: int = 0
) -> Mapping[str, Float[Tensor, " H"]]:
    """Each head's mean weight on some places that need no word to be known.

    Counted in positions, over the queries for which there is such a key. Places may coincide (the
    first key is the second query's previous one), so that the shares need not sum to 1.

    Args:
        weights: one table per head.
        skip: so many queries at the beginning are not counted. Under a causal mask the first query
            has no choice: all its weight is on itself, which is also the first key.

    Returns:
        "previous", "itself", "next", "first" and "last": where the key stands from the query, or
        in the sequence.

    >>> places(torch.eye(3)[None])["itself"], places(torch.eye(3)[None])["previous"]
    (tensor([1.]), tensor([0.]))
    """
    shares = {
        name: weights[:, skip:].diagonal(offset=offset + skip, dim1=1, dim2=2).mean(dim=1)
        for name, offset in (("previous", -1), ("itself", 0), ("next", 1))
    }
    return {
        **shares,
        "first": weights[:, skip:, 0].mean(dim=1),
        "last": weights[:, skip:, -1].mean(dim=1),
    }


def same_token(
    weights: Float[Tensor, "H T_q T_k"], queries: list[str], keys: list[str]
) -> Float[Tensor, " H"]:
    """Each head's mean weight on keys that are the query's own token; NaN if no query has one.

    >>> table = torch.tensor([[[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]]])
    >>> same_token(table, ["a", "b"], ["a", "c", "a"])
    tensor([0.5000])
    """
    same = torch.tensor([[query == key for key in keys] for query in queries])
    return (weights * same).sum(dim=-1)[:, same.any(dim=1)].mean(dim=1)


def entropy(weights: Float[Tensor, "... T_q T_k"]) -> Float[Tensor, "... T_q"]:
    """How widely each query looks, in nats: 0 for one key, ln n for n keys alike.

        entropy = -Σ_j a_j ln a_j,   a weight of 0 adding nothing

    >>> entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([-0.0000, 0.6931])
    """
    return -torch.xlogy(weights, weights).sum(dim=-1)


def effective_keys(weights: Float[Tensor, "... T_q T_k"]) -> Float[Tensor, "... T_q"]:
    """The number of keys among which as much spread would be even: e to the entropy.

    >>> effective_keys(torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))
    tensor([1., 2.])
    """
    return entropy(weights).exp()
