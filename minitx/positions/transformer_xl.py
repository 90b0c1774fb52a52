"""Transformer-XL's positions: sines of the distance, compared with the query."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from minitx.positions.base import Position, distances
from minitx.positions.sinusoidal import Sinusoidal


class TransformerXL(Position):
    """Content and position, each compared with the query and with a trained vector of its own.

        score[i, j] = (q_i·k_j + q_i·r + u·k_j + v·r) / √D_k,   r = W_R PE[i - j]

    The first term is attention's own, the other three are the bias. PE are the sinusoids of
    `Sinusoidal`, of the distance instead of the position. u and v stand for the queries of the
    absolute scheme: which keys, and which distances, matter to every query alike.

    Args:
        num_heads: H.
        d_head: width D_k of one head.
        d_model: width of the sinusoids, even; H · D_k unless given.

    Raises:
        ValueError: if the width of the sinusoids is odd.

    Source: Dai et al. 2019, §3.3; the shift is that of appendix B, and the division by √D_k that
    of the authors' code: the paper's formula has none. In a model that gives one scheme to all its
    layers W_R, u and v are shared by them; in the authors' code u and v can be, and W_R is not.
    They start as zeros, there as N(0, 0.02). The sine and the cosine of a frequency are
    neighbours, there the sines come first: the same up to the order of W_R's columns.
    """

    no_weight_decay = ("u", "v")  # vectors, one per head

    def __init__(self, num_heads: int, d_head: int, *, d_model: int | None = None) -> None:
        super().__init__(num_heads=num_heads, d_head=d_head)
        d_model = num_heads * d_head if d_model is None else d_model
        self.num_heads = num_heads
        self.sinusoidal = Sinusoidal(d_model)
        self.r_proj = nn.Linear(d_model, num_heads * d_head, bias=False)
        self.u = nn.Parameter(torch.zeros(num_heads, d_head))
        self.v = nn.Parameter(torch.zeros(num_heads, d_head))

    def _bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "B H T_q T_k"]:
        queries = q + self.v[:, None]
        if follow_one_another(q_pos, k_pos):
            # Row i of the table at all T_q + T_k - 1 distances, the longest first, then shifted.
            T_q, T_k = q.size(2), k.size(2)
            longest = q_pos[0, -1] - k_pos[0, 0]
            distance = longest - torch.arange(T_q + T_k - 1, device=q.device)
            by_position = relative_shift(queries @ self._r(distance, q.dtype).mT)[..., :T_k]
        else:
            distance, index = (-distances(q_pos, k_pos)).unique(return_inverse=True)
            by_distance = queries @ self._r(distance, q.dtype).mT
            by_position = by_distance.gather(-1, index[:, None].expand(*q.shape[:3], -1))
        group = self.num_heads // k.size(1)
        by_content = self.u[:, None] @ k.repeat_interleave(group, dim=1).mT  # (B, H, 1, T_k)
        return (by_position + by_content) / math.sqrt(q.size(-1))

    def _r(self, distance: Int[Tensor, " W"], dtype: torch.dtype) -> Float[Tensor, "H W D_k"]:
        wide = torch.promote_types(dtype, torch.float32)
        encoded = self.r_proj(self.sinusoidal.table(distance, wide).to(dtype))
        return encoded.unflatten(-1, (self.num_heads, -1)).transpose(0, 1)


def relative_shift(x: Float[Tensor, "*batch T W"]) -> Float[Tensor, "*batch T W"]:
    """Shifts row i to the left by T - 1 - i, so that columns for distances become columns for keys.

        shifted[i, j] = x[i, j + T - 1 - i]   where that column exists

    In x, column c of every row is for the same distance, W - 1 - c. In the result the last row has
    distance 0 in its last column, the row before it in the last but one, and so on: the distance
    from query i to key j. Beyond it stands the beginning of the next row, which belongs to keys
    ahead; there causal attention does not look.

    One column of zeros in front makes each row one longer, and every row read with the old length
    then starts one later than the row before it: no index is computed and nothing is gathered.

    Source: Dai et al. 2019, appendix B.

    >>> relative_shift(torch.tensor([[3.0, 2, 1, 0], [3, 2, 1, 0]]))      # 2 queries, 4 keys
    tensor([[2., 1., 0., 0.],
            [3., 2., 1., 0.]])
    """
    T, W = x.shape[-2:]
    padded = nn.functional.pad(x, (1, 0))
    return padded.flatten(-2)[..., T:].unflatten(-1, (T, W))


def follow_one_another(q_pos: Int[Tensor, "#B T_q"], k_pos: Int[Tensor, "#B T_k"]) -> bool:
    """Whether positions go up by 1, and queries stand at the same distance from keys everywhere."""
    ups: Bool[Tensor, " N"] = torch.cat([(p.diff() == 1).flatten() for p in (q_pos, k_pos)])
    between = q_pos[:, 0] - k_pos[:, 0]
    return bool(ups.all() and (between == between[0]).all())
