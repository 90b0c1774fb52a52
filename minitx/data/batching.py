"""Batches: examples of unequal length side by side, in an order that the batch's number decides.

A training that was stopped goes on with the batch after the last one. So a batch is a function of
its number and of the seed, and of nothing that happened before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from minitx.data.vocabulary import BOS, EOS, PAD
from minitx.masks import IGNORE
from minitx.seeds import seed_from

Ids = Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Translations to learn from.

    Args:
        src: source tokens and EOS, then padding.
        lengths: of the sources, EOS included.
        tgt_in: BOS and target tokens, then padding: what the decoder reads.
        tgt_out: target tokens and EOS, then IGNORE: what it is to say at the same place.
    """

    src: Int[Tensor, "B T_src"]
    lengths: Int[Tensor, " B"]
    tgt_in: Int[Tensor, "B T_tgt"]
    tgt_out: Int[Tensor, "B T_tgt"]

    def to(self, device: torch.device | str) -> "Batch":
        """The same on that device."""
        return Batch(
            self.src.to(device),
            self.lengths.to(device),
            self.tgt_in.to(device),
            self.tgt_out.to(device),
        )


def padded(rows: Sequence[Ids], *, value: int = PAD) -> Int[Tensor, "B T"]:
    """Rows of unequal length as one table, filled with value at the right.

    Raises:
        ValueError: if there is no row.

    >>> padded([[5, 6, 7], [8]])
    tensor([[5, 6, 7],
            [8, 0, 0]])
    """
    if not rows:
        raise ValueError("a batch needs at least one row, got none")
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows], dtype=torch.long)


def sources(rows: Sequence[Ids]) -> tuple[Int[Tensor, "B T_src"], Int[Tensor, " B"]]:
    """What an encoder reads: rows with EOS, padded; and their lengths.

    >>> sources([[5, 6, 7], [8]])
    (tensor([[5, 6, 7, 2],
            [8, 2, 0, 0]]), tensor([4, 2]))
    """
    ended = [[*row, EOS] for row in rows]
    return padded(ended), torch.tensor([len(row) for row in ended])


def translation_batch(pairs: Sequence[tuple[Ids, Ids]]) -> Batch:
    """Pairs of source and target as a batch, the targets shifted by one.

    >>> batch = translation_batch([([5], [7, 8])])
    >>> batch.tgt_in, batch.tgt_out
    (tensor([[1, 7, 8]]), tensor([[7, 8, 2]]))
    """
    src, lengths = sources([src for src, _ in pairs])
    return Batch(
        src,
        lengths,
        padded([[BOS, *tgt] for _, tgt in pairs]),
        padded([[*tgt, EOS] for _, tgt in pairs], value=IGNORE),
    )


def shuffled_epochs(
    lengths: Sequence[int], *, batch_size: int, seed: int = 0, pool: int = 50
) -> Callable[[int], list[int]]:
    """Which examples make up a batch: in every epoch each of them once, in another order.

    Examples of similar length come together, so that there is little padding: the shuffled
    examples of an epoch are sorted by length within pools of some batches, cut into batches, and
    the batches are shuffled. One batch per epoch may be smaller.

    Args:
        lengths: of the examples.
        batch_size: examples per batch.
        seed: of the order.
        pool: batches that are sorted together; with 1 no batch gets shorter.

    Returns:
        From the batch's number, which goes on from epoch to epoch, to indices of examples.

    Raises:
        ValueError: if there are no examples, or batch_size or pool is below 1.

    >>> batch_at = shuffled_epochs([3, 3, 7, 3], batch_size=3)
    >>> sorted(batch_at(0) + batch_at(1)), sorted(batch_at(2) + batch_at(3))
    ([0, 1, 2, 3], [0, 1, 2, 3])
    """
    if not len(lengths):
        raise ValueError("batches need at least one example, got none")
    _require_size(batch_size)
    if pool < 1:
        raise ValueError(f"pool must be at least 1, got {pool}")
    per_epoch = -(-len(lengths) // batch_size)

    @lru_cache(maxsize=1)
    def plan(epoch: int) -> list[list[int]]:
        rng = generator(seed, epoch)
        order = torch.randperm(len(lengths), generator=rng).tolist()
        pools = [sorted(p, key=lengths.__getitem__) for p in _cut(order, pool * batch_size)]
        batches = _cut([i for p in pools for i in p], batch_size)
        return [batches[i] for i in torch.randperm(per_epoch, generator=rng).tolist()]

    def batch_at(number: int) -> list[int]:
        epoch, place = divmod(_counted(number), per_epoch)
        return plan(epoch)[place]

    return batch_at


def translation_batches(
    pairs: Sequence[tuple[Ids, Ids]],
    *,
    batch_size: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Callable[[int], Batch]:
    """The function from number to batch that `training.train` wants."""
    lengths = [len(src) + len(tgt) for src, tgt in pairs]
    indices_at = shuffled_epochs(lengths, batch_size=batch_size, seed=seed)

    def batch_at(number: int) -> Batch:
        return translation_batch([pairs[i] for i in indices_at(number)]).to(device)

    return batch_at


def window_batches(
    token_ids: Int[Tensor, " N"],
    *,
    length: int,
    batch_size: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Callable[[int], tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]]:
    """Pieces of one long text, begun anywhere; the targets are the same pieces one token later.

    Returns:
        From the batch's number to tokens and targets.

    Raises:
        ValueError: if length is below 1 or not below the text's, or batch_size is below 1.

    >>> tokens, targets = window_batches(torch.arange(9), length=4, batch_size=2)(number := 0)
    >>> bool((targets == tokens + 1).all()), tokens.shape
    (True, torch.Size([2, 4]))
    """
    if not 1 <= length < len(token_ids):
        raise ValueError(
            f"length must lie in 1 … {len(token_ids) - 1}, one less than the text has tokens, "
            f"got {length}"
        )
    _require_size(batch_size)

    def batch_at(number: int) -> tuple[Int[Tensor, "B T"], Int[Tensor, "B T"]]:
        rng = generator(seed, _counted(number))
        starts = torch.randint(len(token_ids) - length, (batch_size, 1), generator=rng)
        places = starts + torch.arange(length)
        return token_ids[places].to(device), token_ids[places + 1].to(device)

    return batch_at


def generator(*numbers: int) -> torch.Generator:
    """Chance that depends on these numbers only, such as a seed and the number of a batch."""
    return torch.Generator().manual_seed(seed_from(*numbers))


def _counted(number: int) -> int:
    if number < 0:
        raise ValueError(f"batches are counted from 0, got {number}")
    return number


def _require_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")


def _cut(items: list[int], size: int) -> list[list[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
