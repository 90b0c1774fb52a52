"""A decoder after a mistake: fed what is right, or fed what it said; and how it ends."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from minitx.data.batching import Batch
from minitx.data.vocabulary import EOS
from minitx.masks import IGNORE, Mask, padding
from minitx.measure.table import Table
from minitx.models.seq2seq import Transformer

WAYS = ("no mistake", "mistake, then the right words", "mistake, then its own words")
LAST = 2
"""So many tokens at the end tell whether the way was found again."""

ENDINGS = ("in its place", "one place late", f"only its last {LAST}", "never")
"""Where the right rest stands behind the mistake."""

Written = tuple[list[int], list[int]]
"""What should have been written, and what was, both without their end."""


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
    src, mask, right_in, wanted = _long_enough(batch, place, steps)
    memory = model.encode(src, mask=mask)
    asked = slice(place, place + steps)

    def said(read: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        return model.decode(read, memory, memory_mask=mask).argmax(dim=-1)

    spoilt = _spoilt(right_in, place, generator)
    own = spoilt.clone()
    for column in range(place + 1, place + steps):
        own[:, column] = said(own[:, :column])[:, -1]
    answers = [said(read[:, : place + steps])[:, asked] for read in (right_in, spoilt, own)]
    return {
        way: [float(share) for share in (answer != wanted[:, asked]).double().mean(dim=0)]
        for way, answer in zip(WAYS, answers, strict=True)
    }


@torch.no_grad()
def written_after(
    model: Transformer, batch: Batch, *, place: int, generator: torch.Generator
) -> list[Written]:
    """What a model writes, from one wrong token to its own end.

    Args:
        model: in evaluation mode.
        batch: translations; those with fewer than `LAST` tokens behind the mistake are left out.
        place: of the mistake among the tokens read, at least 1: the start token stays.
        generator: decides what is said in place of the right token, as in `wrong_after`.

    Raises:
        ValueError: if place is below 1, or no translation is long enough.
    """
    src, mask, right_in, wanted = _long_enough(batch, place, LAST + 1)
    memory = model.encode(src, mask=mask)
    own = _spoilt(right_in, place, generator)[:, : place + 1]
    while own.size(1) < right_in.size(1) + 2 and not (own == EOS).any(dim=1).all():
        said = model.decode(own, memory, memory_mask=mask)[:, -1].argmax(dim=-1, keepdim=True)
        own = torch.cat([own, said], dim=1)
    return [
        (_until_end(right), _until_end(written))
        for right, written in zip(wanted.tolist(), own[:, 1:].tolist(), strict=True)
    ]


def ending(written: Written, *, place: int) -> str:
    """Which of `ENDINGS` it is, for a mistake at that place among the tokens read.

    >>> ending(([5, 6, 7, 8], [5, 9, 7, 8]), place=2)
    'in its place'
    >>> ending(([5, 6, 7, 8], [5, 9, 6, 7, 8]), place=2)
    'one place late'
    """
    right, found = written
    if found[place:] == right[place:]:
        return ENDINGS[0]
    if found[place:] == right[place - 1 :]:
        return ENDINGS[1]
    return ENDINGS[2] if found[-LAST:] == right[-LAST:] else ENDINGS[3]


def endings(
    all_written: Sequence[Written], *, place: int, decode: Callable[[list[int]], Sequence[str]]
) -> Table:
    """What share ends how, and the first of each as an example.

    Args:
        all_written: of `written_after`.
        place: the same.
        decode: from ids to tokens.
    """
    rows = []
    for kind in ENDINGS:
        those = [written for written in all_written if ending(written, place=place) == kind]
        right, found = ("".join(decode(ids)) for ids in those[0]) if those else ("", "")
        rows.append([kind, len(those) / len(all_written), found, right])
    return Table(
        ["the right rest comes", "share", "for instance", "should be"], rows, ["", ".1%", "", ""]
    )


def table(shares: dict[str, list[float]]) -> Table:
    """What `wrong_after` found: a row for each way, a column for each step behind the mistake."""
    steps = len(next(iter(shares.values())))
    return Table(
        ["wrong answers", *(f"{step} behind" for step in range(1, steps + 1))],
        [[way, *row] for way, row in shares.items()],
        ["", *[".1%"] * steps],
    )


def _long_enough(
    batch: Batch, place: int, steps: int
) -> tuple[Int[Tensor, "B S"], Mask, Int[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Source, its mask, inputs and targets of the translations that have so many tokens.

    Raises:
        ValueError: if place or steps is below 1, or there is none.
    """
    if place < 1 or steps < 1:
        raise ValueError(f"place and steps must be at least 1, got {place} and {steps}")
    rows = (batch.tgt_out != IGNORE).sum(dim=1) >= place + steps
    if not rows.any():
        raise ValueError(f"no translation has {place + steps} tokens, its end included")
    src = batch.src[rows]
    return src, padding(batch.lengths[rows], src.size(1)), batch.tgt_in[rows], batch.tgt_out[rows]


def _until_end(ids: list[int]) -> list[int]:
    """What stands before the end token; all, if there is none."""
    return ids[: ids.index(EOS)] if EOS in ids else ids


def _spoilt(
    right_in: Int[Tensor, "B T"], place: int, generator: torch.Generator
) -> Int[Tensor, "B T"]:
    """The same tokens with another one at that place."""
    spoilt = right_in.clone()
    spoilt[:, place] = _exchanged(right_in[:, place], generator)
    return spoilt


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
