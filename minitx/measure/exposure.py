"""A decoder after a mistake: fed what is right, or fed what it said."""

import torch
from jaxtyping import Int
from torch import Tensor

from minitx.data.batching import Batch
from minitx.masks import IGNORE, padding
from minitx.measure.table import Table
from minitx.models.seq2seq import Transformer

WAYS = ("no mistake", "mistake, then the right words", "mistake, then its own words")


@torch.no_grad()
def wrong_after(
    model: Transformer,
    batch: Batch,
    *,
    place: int,
    steps: int,
    generator: torch.Generator,
) -> dict[str, list[float]]:
    """What share of the next tokens is wrong after one wrong token was read.

    The token read at `place` is exchanged for another of the batch, in three ways: not at all; and
    the tokens after it are the right ones, as in training; or those that the model says.

    Args:
        model: in evaluation mode.
        batch: translations; those with fewer than place + steps targets are left out.
        place: of the mistake among the tokens read, at least 1: the start token stays.
        steps: how many answers are looked at, the first of them right behind the mistake.
        generator: decides what is said in place of the right token.

    Returns:
        Of each of `WAYS`, a share for every step.

    Raises:
        ValueError: if place or steps is below 1, or no translation is long enough.
    """
    if place < 1 or steps < 1:
        raise ValueError(f"place and steps must be at least 1, got {place} and {steps}")
    long_enough = (batch.tgt_out != IGNORE).sum(dim=1) >= place + steps
    if not long_enough.any():
        raise ValueError(f"no translation has {place + steps} tokens, its end included")
    src, lengths = batch.src[long_enough], batch.lengths[long_enough]
    right_in, wanted = batch.tgt_in[long_enough], batch.tgt_out[long_enough]
    mask = padding(lengths, src.size(1))
    memory = model.encode(src, mask=mask)
    asked = slice(place, place + steps)

    def said(read: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        return model.decode(read, memory, memory_mask=mask).argmax(dim=-1)

    spoilt = right_in.clone()
    spoilt[:, place] = _exchanged(right_in[:, place], generator)
    own = spoilt.clone()
    for column in range(place + 1, place + steps):
        own[:, column] = said(own[:, :column])[:, -1]
    answers = [said(read[:, : place + steps])[:, asked] for read in (right_in, spoilt, own)]
    return {
        way: [float(share) for share in (answer != wanted[:, asked]).double().mean(dim=0)]
        for way, answer in zip(WAYS, answers, strict=True)
    }


def table(shares: dict[str, list[float]]) -> Table:
    """What `wrong_after` found: a row for each way, a column for each step behind the mistake."""
    steps = len(next(iter(shares.values())))
    return Table(
        ["wrong answers", *(f"{step} behind" for step in range(1, steps + 1))],
        [[way, *row] for way, row in shares.items()],
        ["", *[".1%"] * steps],
    )


def _exchanged(tokens: Int[Tensor, " B"], generator: torch.Generator) -> Int[Tensor, " B"]:
    """For every token another one, of those that stand here in other rows.

    Raises:
        ValueError: if all rows have the same.

    >>> _exchanged(torch.tensor([7, 8, 7]), torch.Generator().manual_seed(0)).tolist()
    [8, 7, 8]
    """
    kinds = tokens.unique()
    if len(kinds) < 2:
        raise ValueError(f"all translations have the token {int(tokens[0])} here: none is wrong")
    step = torch.randint(1, len(kinds), tokens.shape, generator=generator)
    return kinds[(torch.searchsorted(kinds, tokens.contiguous()) + step) % len(kinds)]
