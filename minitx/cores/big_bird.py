"""Attention to a window, to global tokens and to a few random tokens, in blocks."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from minitx.cores.base import AttentionCore
from minitx.cores.chunks import in_chunks, joined
from minitx.cores.fused import fused_attention
from minitx.cores.packing import rows, tokens_first
from minitx.masks import Mask

NONE = -1  # in a table of blocks: no block
PRIME = 2**31 - 1


class BigBird(AttentionCore):
    """Each block of queries attends to a window, to the global blocks and to a few random ones.

        blocks[i] = {0 … g - 1}  ∪  {i - (w - 1)/2 … i + (w - 1)/2}  ∪  r others, drawn once
        blocks[i] = all, for the global blocks i < g

    each block once, in one softmax. Time and memory are linear in T: r, w and g do not grow with
    it. Blocks enough for the whole sequence make full attention. Blocks are counted from a
    sequence's first token: padding has no place in them, wherever it lies, but behind the last one.

    Args:
        block_size: tokens per block; the last block of a sequence may be shorter.
        num_global_blocks: g, the first blocks.
        num_window_blocks: w, odd: the block itself and as many on either side.
        num_random_blocks: r, for each block, none of them in its window or global; all the
            others, where there are no more.
        seed: decides the random blocks, together with the number of blocks; drawn from torch's
            generator unless given. What it decides is kept in the state.

    Raises:
        ValueError: if a size is out of range; in forward, if T_q != T_k.

    Source: Zaheer et al. 2020, §2 and appendix D, the "internal transformer construction".
    Deviations: the random blocks are the same in all heads. The authors' code, and Hugging Face's,
    makes the first and the last block global; here the first g.

    >>> core = BigBird(1, num_global_blocks=1, num_window_blocks=3, num_random_blocks=1, seed=0)
    >>> zeros, v = torch.zeros(1, 1, 7, 1), torch.eye(7).view(1, 1, 7, 7)
    >>> (core(zeros, zeros, v)[0, 0] > 0).int()
    tensor([[1, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 0, 0, 1, 0],
            [1, 1, 1, 1, 0, 1, 0],
            [1, 0, 1, 1, 1, 0, 1],
            [1, 0, 1, 1, 1, 1, 0],
            [1, 0, 0, 1, 1, 1, 1],
            [1, 0, 1, 0, 0, 1, 1]], dtype=torch.int32)
    """

    supports = frozenset({"key_padding"})
    coefficients: Int[Tensor, "4 r"]

    def __init__(
        self,
        block_size: int,
        *,
        num_global_blocks: int = 2,
        num_window_blocks: int = 3,
        num_random_blocks: int = 3,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if block_size < 1:
            raise ValueError(f"block_size must be at least 1, got {block_size}")
        if num_global_blocks < 0 or num_random_blocks < 0:
            raise ValueError(
                "num_global_blocks and num_random_blocks must be at least 0, "
                f"got {num_global_blocks} and {num_random_blocks}"
            )
        if num_window_blocks < 1 or num_window_blocks % 2 == 0:
            raise ValueError(
                f"num_window_blocks must be odd, the middle is the query's own block; "
                f"got {num_window_blocks}"
            )
        self.block_size = block_size
        self.num_global_blocks = num_global_blocks
        self.num_window_blocks = num_window_blocks
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        coefficients = torch.randint(PRIME, (4, num_random_blocks), generator=generator)
        self.register_buffer("coefficients", coefficients)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        T = k.size(2)
        if q.size(2) != T:
            raise ValueError(f"BigBird needs T_q = T_k, got T_q={q.size(2)} and T_k={T}")
        places = None
        if mask.key_padding is not None:
            places = tokens_first(mask.key_padding)
            q, k, v = (rows(x, places) for x in (q, k, v))
            mask = Mask(key_padding=mask.key_padding.gather(1, places))
        first = min(T, self.num_global_blocks * self.block_size)
        outputs = []
        if first:
            outputs.append(fused_attention(q[:, :, :first], k, v, mask))
        if first < T:
            outputs.append(self._sparse(q[:, :, first:], k, v, mask))
        output = torch.cat(outputs, dim=2)
        return output if places is None else rows(output, places.argsort(dim=1))

    def _sparse(self, q: Tensor, k: Tensor, v: Tensor, mask: Mask) -> Tensor:
        """The queries after the global blocks."""
        B, _, T, _ = k.shape
        blocks = self.blocks(-(-T // self.block_size), k.device)[self.num_global_blocks :]
        queries = in_chunks(q, self.block_size).transpose(1, 2).flatten(0, 1)
        keys, values = (self._gathered(x, blocks) for x in (k, v))
        # Besides padding: no block, and what fills up the last one.
        exists = (blocks != NONE)[..., None].expand(-1, -1, self.block_size).flatten(1)
        is_token = mask.is_token(T, k.device)[:, None, :, None].expand(B, -1, -1, -1)
        met = self._gathered(is_token, blocks).view(B, *exists.shape) & exists
        output = fused_attention(queries, keys, values, Mask(key_padding=met.flatten(0, 1)))
        return joined(output.unflatten(0, (B, -1)).transpose(1, 2), q.size(2))

    def _gathered(self, x: Tensor, blocks: Tensor) -> Tensor:
        """(B, H, T, D) as (B·N, H, blocks per query · size, D)."""
        chosen = in_chunks(x, self.block_size)[:, :, blocks.clamp(min=0)]  # (B, H, N, m, size, D)
        return chosen.flatten(3, 4).transpose(1, 2).flatten(0, 1)

    def blocks(self, N: int, device: torch.device | str = "cpu") -> Int[Tensor, "N m"]:
        """For each of N blocks of queries the blocks of keys it attends to; -1 stands for none.

        For a global block, which attends to all, the row has no meaning.
        """
        i = torch.arange(N, device=device)[:, None]
        g, half = self.num_global_blocks, self.num_window_blocks // 2
        window = i + torch.arange(-half, half + 1, device=device)
        window = window.masked_fill((window < g) | (window >= N), NONE)
        globals_ = torch.arange(min(g, N), device=device).expand(N, -1)
        drawn = random_blocks(N, g, half, self.coefficients.to(device))
        return torch.cat([globals_, window, drawn], dim=1)


def random_blocks(
    N: int, g: int, half: int, coefficients: Int[Tensor, "d r"]
) -> Int[Tensor, "{N} r"]:
    """For each block r others, none global (below g) and none of its window; -1 where none is left.

    The numbers drawn for block i are polynomials in i with random coefficients, modulo a prime:
    those of any d blocks are independent. All of it happens where the coefficients are, and no
    number has to be fetched from there.

    Source: Wegman & Carter 1981, §3, for the numbers; Bentley & Floyd 1987, algorithm F2, for
    drawing r different ones.
    """
    i = torch.arange(N, device=coefficients.device)[:, None]
    hashed = coefficients[:1].expand(N, -1)
    for coefficient in coefficients[1:]:
        hashed = (hashed * i + coefficient) % PRIME

    before = (i - half).clamp(min=g) - g  # blocks between the global ones and the window
    after = (i + half + 1).clamp(max=N)  # the first one behind it
    others = before + N - after
    r = coefficients.size(1)
    drawn = torch.full_like(hashed, NONE)
    for s in range(r):
        highest = others - r + s  # below 0 while there are fewer others than draws
        number = hashed[:, s, None] % (highest + 1).clamp(min=1)
        taken = (drawn == number).any(dim=1, keepdim=True)
        drawn[:, s, None] = torch.where(taken, highest, number).masked_fill(highest < 0, NONE)
    block = torch.where(drawn < before, g + drawn, after - before + drawn)
    return block.masked_fill(drawn == NONE, NONE)
