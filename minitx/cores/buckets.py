"""Attention among tokens that were put into the same bucket, without a table of all pairs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from minitx.cores.chunks import in_chunks, joined, with_neighbours

NOWHERE = 2.0**62  # a place beyond all others, as a float that any integer can hold


def take(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x (*batch, T, D) by their number, index (*batch, *more): (*batch, *more, D)."""
    batch, T = x.shape[:-2], x.size(-2)
    first = torch.arange(batch.numel(), device=x.device).view(batch) * T
    first = first.view(*batch, *[1] * (index.dim() - len(batch)))
    # `embedding` is the look-up of rows with the fastest gradient on a CPU.
    return F.embedding(index + first, x.reshape(-1, x.size(-1)))


class Buckets:
    """Tokens sorted by bucket and, within one, by position; cut into chunks of `size`.

    A token sees tokens of its own bucket only: those in its own chunk and in the one before.

    With causal it sees itself and the `size` tokens before it, counted within its bucket. Where
    the borders of chunks fall depends on how many tokens the buckets before have received, also
    later ones: a chunk would let the future decide how far back one sees.

    Padding is sorted behind everything, so that it moves nothing, and no one sees it.

    Args:
        labels: the bucket of every token, (*batch, T).
        num_buckets: labels are below it.
        size: tokens per chunk.
        causal: whether tokens see none that comes later.
        is_token: False for padding.
        across: with True, buckets only sort, and a token sees its chunks whole.
    """

    def __init__(
        self,
        labels: Tensor,
        num_buckets: int,
        size: int,
        *,
        causal: bool = False,
        is_token: Tensor | None = None,
        across: bool = False,
    ) -> None:
        self.T = labels.size(-1)
        self.size = min(size, self.T)
        self.is_token = is_token
        if is_token is not None:
            labels = torch.where(is_token, labels, num_buckets)
        self.order = labels.argsort(dim=-1, stable=True)
        numbers = torch.arange(self.T, device=labels.device).expand_as(labels)
        self.rank = torch.empty_like(self.order).scatter_(-1, self.order, numbers)
        # Buckets are set apart by more than anyone's reach: one comparison tells both.
        unit, self.reach = (1, self.size) if causal else (self.size, 1)
        apart = 0 if across else self.reach + 1
        self.place = self.rank // unit + labels.clamp(max=num_buckets - 1) * apart

    def queries(self, x: Tensor) -> Tensor:
        """(*batch, T, D) sorted and in chunks: (*batch, N, size, D)."""
        return in_chunks(take(x, self.order), self.size)

    def keys(self, x: Tensor) -> Tensor:
        """The same, each chunk with the one before it: (*batch, N, 2·size, D)."""
        return with_neighbours(self.queries(x))

    def restored(self, chunks: Tensor) -> Tensor:
        """Undoes `queries`."""
        return take(joined(chunks, self.T), self.rank)

    def visible(self, place: Tensor | None = None) -> Tensor:
        """Who sees whom, (*batch, N, size, 2·size): the place is in reach.

        Another place for every token asks whether pairs that share a chunk here are in reach there.
        """
        mine = self.place if place is None else place
        theirs = mine if self.is_token is None else mine.masked_fill(~self.is_token, NOWHERE)
        mine, theirs = (x.gather(-1, self.order).unsqueeze(-1) for x in (mine, theirs))
        mine = in_chunks(mine, self.size)
        theirs = with_neighbours(in_chunks(theirs, self.size, fill=NOWHERE), fill=NOWHERE)
        theirs = theirs.transpose(-2, -1)
        return (theirs <= mine) & (theirs >= mine - self.reach)
