"""Text with holes, from which BERT and T5 learn: what was taken out is the target."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from minitx.masks import IGNORE

MASKED, RANDOM = 0.8, 0.1
"""Of the tokens BERT is asked about: shares that are hidden, or exchanged; the others stay."""


def mask_tokens(
    token_ids: Int[Tensor, "*batch"],
    *,
    mask_id: int,
    special_ids: Sequence[int],
    vocab_size: int,
    generator: torch.Generator,
    share: float = 0.15,
) -> tuple[Int[Tensor, "*batch"], Int[Tensor, "*batch"]]:
    """Hide some tokens from BERT, and ask for them.

    Each token that is not special is chosen with this probability. Of the chosen, 80 % become
    mask_id, 10 % a token drawn from all that are not special, 10 % stay as they are.

    Args:
        token_ids: the texts.
        mask_id: the token that hides another.
        special_ids: tokens that are never chosen and never drawn, padding among them; mask_id is
            one of them anyway.
        vocab_size: tokens in all.
        generator: decides everything that is chance.
        share: of the tokens that are asked about.

    Returns:
        The corrupted texts; and the targets, IGNORE where nothing is asked.

    Raises:
        ValueError: if share is not in [0, 1], a token is outside of the vocabulary, or all
            tokens are special.

    Source: Devlin et al. 2019, §3.1, task 1, and appendix A.1. Deviations: each token is chosen on
    its own, so that 15 % is the mean and not the exact number; the authors' code also draws
    special tokens.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    special = torch.tensor(sorted({mask_id, *special_ids}))
    for name, ids in (("special_ids", special), ("token_ids", token_ids)):
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
            raise ValueError(
                f"{name} must lie in 0 … {vocab_size - 1}, got {int(ids.min())} to {int(ids.max())}"
            )
    ordinary = torch.arange(vocab_size)
    ordinary = ordinary[~torch.isin(ordinary, special)]
    if not len(ordinary):
        raise ValueError(f"all {vocab_size} tokens are special, none is left to draw")

    shape = token_ids.shape
    asked = torch.rand(shape, generator=generator) < share
    asked &= ~torch.isin(token_ids, special)
    fate = torch.rand(shape, generator=generator)
    drawn = ordinary[torch.randint(len(ordinary), shape, generator=generator)]
    corrupted = token_ids.masked_fill(asked & (fate < MASKED), mask_id)
    exchanged = asked & (fate >= MASKED) & (fate < MASKED + RANDOM)
    return drawn.where(exchanged, corrupted), token_ids.masked_fill(~asked, IGNORE)


@dataclass(frozen=True)
class SentencePair:
    """Two sentences, and whether the second came after the first."""

    first: str
    second: str
    follows: bool


def next_sentence_pairs(
    documents: Sequence[Sequence[str]], *, generator: torch.Generator
) -> list[SentencePair]:
    """Every sentence with the one after it or, half of the time, with one of another document.

    Args:
        documents: their sentences.
        generator: decides everything that is chance.

    Raises:
        ValueError: if fewer than two documents have sentences.

    Source: Devlin et al. 2019, §3.1, task 2, and appendix A.1.
    """
    documents = [document for document in documents if document]
    if len(documents) < 2:
        raise ValueError(f"at least two documents need sentences, got {len(documents)}")

    def draw(below: int) -> int:
        return int(torch.randint(below, (), generator=generator))

    pairs = []
    for d, document in enumerate(documents):
        for first, second in pairwise(document):
            follows = draw(2) == 0
            if not follows:
                other = documents[(d + 1 + draw(len(documents) - 1)) % len(documents)]
                second = other[draw(len(other))]
            pairs.append(SentencePair(first, second, follows))
    return pairs


def spans(
    length: int, *, generator: torch.Generator, share: float = 0.15, mean_span: float = 3.0
) -> Bool[Tensor, " T"]:
    """Which places of a text T5 takes out: whole spans, their number and total length exact.

        places taken out = round(length · share), but at least 1, and 1 stays
        spans            = round(places taken out / mean_span), but at least 1

    Both what is taken out and what stays are cut into as many parts at random; a part that stays
    comes first, and so on in turn.

    Raises:
        ValueError: if length is below 2, share is not in (0, 1), or mean_span is below 1.

    Source: Raffel et al. 2020, §3.1.4 and §3.3.4, and the authors' `random_spans_noise_mask`.
    """
    if length < 2:
        raise ValueError(f"a text needs at least 2 tokens to lose some, got {length}")
    if not 0 < share < 1:
        raise ValueError(f"share must lie in (0, 1), got {share}")
    if mean_span < 1:
        raise ValueError(f"mean_span must be at least 1, got {mean_span}")
    out = min(max(round(length * share), 1), length - 1)
    num_spans = min(max(round(out / mean_span), 1), length - out)

    def parts(total: int) -> Tensor:
        """num_spans random positive numbers with this sum, each choice as likely as another."""
        cuts = torch.randperm(total - 1, generator=generator)[: num_spans - 1].sort().values + 1
        ends = torch.cat([torch.tensor([0]), cuts, torch.tensor([total])])
        return ends.diff()

    lengths = torch.stack([parts(length - out), parts(out)], dim=1).flatten()
    return (torch.arange(2 * num_spans) % 2 == 1).repeat_interleave(lengths)


def corrupt_spans(
    token_ids: Sequence[int], taken_out: Bool[Tensor, " T"], *, sentinels: Sequence[int]
) -> tuple[list[int], list[int]]:
    """A text with a sentinel for every span that is taken out; and the spans, as T5's target.

    Args:
        token_ids: the text.
        taken_out: as `spans` returns it.
        sentinels: tokens that stand for the first span, the second, …; one more than there are
            spans, because the last ends the target.

    Returns:
        The source; and the target: each sentinel with its span, then the sentinel after the last.

    Raises:
        ValueError: if taken_out is not as long as the text, a sentinel stands in the text, or
            there are too few.

    Source: Raffel et al. 2020, §3.1.4 and figure 2. The authors' code leaves out the last
    sentinel when the text ends with a span; here the target always ends with one.

    >>> taken_out = torch.tensor([False, True, True, False, True])
    >>> corrupt_spans([5, 6, 7, 8, 9], taken_out, sentinels=[99, 98, 97])
    ([5, 99, 8, 98], [99, 6, 7, 98, 9, 97])
    """
    if len(taken_out) != len(token_ids):
        raise ValueError(f"taken_out has {len(taken_out)} places, the text {len(token_ids)} tokens")
    if both := {*sentinels} & {*token_ids}:
        raise ValueError(f"sentinels must not stand in the text, but {sorted(both)} do")
    src: list[int] = []
    tgt: list[int] = []
    num_spans, before = 0, False
    for token, out in zip(token_ids, taken_out.tolist(), strict=True):
        if out and not before:
            num_spans += 1
            if num_spans >= len(sentinels):
                break
            src.append(sentinels[num_spans - 1])
            tgt.append(sentinels[num_spans - 1])
        (tgt if out else src).append(token)
        before = out
    if num_spans >= len(sentinels):
        raise ValueError(f"there must be more sentinels than spans, got {len(sentinels)}")
    return src, [*tgt, sentinels[num_spans]]
