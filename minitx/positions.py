"""How a transformer learns where a token stands.

Attention itself does not know: permute the tokens and the outputs are permuted. Each scheme
enters through exactly one of three doors: added to the embeddings (`embed`), turning queries and
keys (`rotate`), or added to the scores (`bias`). Positions are passed in, never counted here,
which is what makes caches, segments and left padding right.

Shape letters: B batch, T length, C model width, H heads, D_k width of a head's queries and keys.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Position(nn.Module):
    """A scheme of positions. A subclass overrides one of the three methods."""

    @property
    def only_embeds(self) -> bool:
        """Whether all is done below the first layer, so that attention layers need not know it."""
        return type(self).embed is not Position.embed

    def embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        """Mark the embeddings of the tokens, once, below the first layer."""
        return x

    def rotate(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> tuple[Float[Tensor, "B H T_q D_k"], Float[Tensor, "B H_kv T_k D_k"]]:
        """Turn queries and keys, in every layer, before they are compared (and cached)."""
        return q, k

    def bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"] | None:
        """What is added to the scores, in every layer, after scaling; None adds nothing."""
        return None


class NoPosition(Position):
    """No positions at all: the layer sees a bag of tokens."""


class Sinusoidal(Position):
    """Sines and cosines of geometrically growing wavelengths, added to the embeddings.

        PE[p, 2i]     = sin(p / base^(2i/C))
        PE[p, 2i + 1] = cos(p / base^(2i/C))

    Low features are fast (wavelength 2π), high ones slow (up to 2π·base). No parameters, any
    position; that it also *works* beyond the trained length is a hope, not a fact.

    Args:
        d_model: width C, even.
        base: 10000 in the paper.

    Raises:
        ValueError: if d_model is odd.

    Source: Vaswani et al. 2017, §3.5.

    >>> Sinusoidal(4).table(torch.tensor([0, 1])).round(decimals=3)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8410, 0.5400, 0.0100, 1.0000]], dtype=torch.float64)
    """

    def __init__(self, d_model: int, *, base: float = 10_000.0) -> None:
        super().__init__()
        if d_model % 2:
            raise ValueError(f"d_model must be even, sine and cosine come in pairs; got {d_model}")
        self.d_model = d_model
        self.base = base

    def table(self, pos: Int[Tensor, "*T"]) -> Float[Tensor, "*T C"]:
        """The encodings of these positions, in float64."""
        angles = pos[..., None] * frequencies(self.d_model, self.base, pos.device)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)

    def embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        return x + self.table(pos).to(x.dtype)


class Learned(Position):
    """One trained vector per position, added to the embedding; nothing beyond max_len.

    Args:
        max_len: number of positions that have a vector.
        d_model: width C.

    Source: Gehring et al. 2017, §3.1; Devlin et al. 2019, §3; Radford et al. 2018, §3.1.
    """

    def __init__(self, max_len: int, d_model: int) -> None:
        super().__init__()
        self.table = nn.Embedding(max_len, d_model)

    def embed(self, x: Float[Tensor, "B T C"], pos: Int[Tensor, "#B T"]) -> Float[Tensor, "B T C"]:
        """x plus the vectors of its positions.

        Raises:
            ValueError: if a position has no vector.
        """
        max_len = self.table.num_embeddings
        if pos.numel() and not 0 <= int(pos.min()) <= int(pos.max()) < max_len:
            raise ValueError(
                f"learned positions run from 0 to {max_len - 1}, got {int(pos.min())} to "
                f"{int(pos.max())}: give a shorter text or a larger max_len"
            )
        return x + self.table(pos)


class Shaw(Position):
    """A trained vector for each distance, compared with the query.

        bias[i, j] = q[i] · a[clip(j - i, -max_distance, max_distance)] / √D_k

    The sum over keys of q·k and of q·a is the paper's q·(k + a). All heads share a.

    Args:
        d_head: width D_k of one head.
        max_distance: distances beyond it count as it, so any length can be read.

    Raises:
        ValueError: if max_distance is below 1.

    Source: Shaw et al. 2018, §3.1-3.2, eq. 4 with the clipping of eq. 5. Deviation: the second
    term, on the values (eq. 3), is left out; the paper finds it unnecessary (§4.3, table 3).
    """

    def __init__(self, d_head: int, *, max_distance: int = 16) -> None:
        super().__init__()
        if max_distance < 1:
            raise ValueError(f"max_distance must be at least 1, got {max_distance}")
        self.max_distance = max_distance
        self.table = nn.Embedding(2 * max_distance + 1, d_head)

    def bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "B H T_q T_k"]:
        # Every query against all 2·max_distance + 1 vectors, then pick: no (T_q, T_k, D_k) tensor.
        by_distance = q @ self.table.weight.T / math.sqrt(q.size(-1))
        clipped = distances(q_pos, k_pos).clamp(-self.max_distance, self.max_distance)
        index = (clipped + self.max_distance)[:, None].expand(*q.shape[:3], -1)
        return by_distance.gather(-1, index)


class T5Bias(Position):
    """One trained number per head and bucket of distances, added to the score.

    Half of the buckets hold one distance each; the other half grow logarithmically up to
    max_distance, and everything farther shares the last bucket.

    Args:
        num_heads: H.
        num_buckets: in all; in both directions half are for keys ahead of the query.
        max_distance: where the logarithmic half ends; the last bucket also has all beyond.
        bidirectional: True in an encoder; False in a decoder, where keys ahead count as distance 0.

    Raises:
        ValueError: if there are too few buckets, or max_distance lies among those of one distance.

    Source: Raffel et al. 2020, §2.1, and the authors' code for the buckets. T5 does not scale its
    scores by 1/√D_k; that is the attention's affair, not this table's.
    """

    def __init__(
        self,
        num_heads: int,
        *,
        num_buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        fewest = 4 if bidirectional else 2
        if num_buckets < fewest:
            raise ValueError(f"num_buckets must be at least {fewest}, got {num_buckets}")
        exact = num_buckets // fewest
        if max_distance <= exact:
            raise ValueError(
                f"max_distance must be above {exact}, where buckets of one distance end; "
                f"got {max_distance}"
            )
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.table = nn.Embedding(num_buckets, num_heads)

    def bucket(self, distance: Int[Tensor, "*T"]) -> Int[Tensor, "*T"]:
        """The bucket of each distance (key position minus query position).

        >>> T5Bias(1, num_buckets=8, max_distance=20).bucket(torch.tensor([-9, -2, -1, 0, 1, 2, 9]))
        tensor([3, 2, 1, 0, 5, 6, 7])
        """
        num_buckets = self.num_buckets
        first = torch.zeros_like(distance)
        if self.bidirectional:
            num_buckets //= 2
            first = num_buckets * (distance > 0)
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = num_buckets // 2
        growth = torch.log(distance.clamp(min=1) / exact) / math.log(self.max_distance / exact)
        far = (exact + (growth * (num_buckets - exact)).long()).clamp(max=num_buckets - 1)
        return first + torch.where(distance < exact, distance, far)

    def bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"]:
        buckets = self.bucket(distances(q_pos, k_pos))
        return self.table(buckets).permute(0, 3, 1, 2).to(q.dtype)


class ALiBi(Position):
    """A fixed penalty that grows with distance, steeper in some heads than in others.

        bias[h, i, j] = -slope[h] · |i - j|,   slope[h] = 2^(-8h/H),  h = 1 … H

    for H a power of two; for other H the slopes of the next lower power, then every other slope
    of twice that power. No parameters; meant to be used at lengths beyond the trained ones.

    Args:
        num_heads: H.

    Raises:
        ValueError: if num_heads is below 1.

    Source: Press et al. 2022, §3, and the authors' code for H that is no power of two. With
    causal attention |i - j| is i - j; the two-sided form for encoders is the symmetric one that
    the authors' repository proposes.

    >>> ALiBi(4).slopes()
    tensor([0.2500, 0.0625, 0.0156, 0.0039], dtype=torch.float64)
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1:
            raise ValueError(f"num_heads must be at least 1, got {num_heads}")
        self.num_heads = num_heads

    def slopes(self, device: torch.device | None = None) -> Float[Tensor, " H"]:
        """The penalty per token of distance, for each head, in float64."""
        power = 2 ** math.floor(math.log2(self.num_heads))
        between = _geometric(2 * power, device)[::2][: self.num_heads - power]
        return torch.cat([_geometric(power, device), between])

    def bias(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> Float[Tensor, "#B H T_q T_k"]:
        far = distances(q_pos, k_pos).abs()[:, None]
        # bfloat16 cannot tell distance 256 from 257: round the product, not its factors.
        wide = torch.promote_types(q.dtype, torch.float32)
        slopes = self.slopes(q.device).to(wide)[:, None, None]
        return (-slopes * far).to(q.dtype)


class Rotary(Position):
    """Turns each pair of features of queries and keys by an angle proportional to the position.

        (x[2i], x[2i+1]) turned by the angle  p · base^(-2i/D_k)

    The dot product of a turned query and a turned key depends on their distance only.

    Args:
        d_head: width D_k of one head, even.
        base: 10000 in the paper.

    Raises:
        ValueError: if d_head is odd.

    Source: Su et al. 2021 (RoFormer), §3.2.2, eq. 14-15 and the form of eq. 34. Neighbouring
    features are paired, as there; many published weights pair feature i with i + D_k/2 instead,
    which is the same up to a permutation of the features.

    >>> q = torch.tensor([[[[1.0, 0.0]]]])
    >>> Rotary(2).rotate(q, q, torch.tensor([[1]]), torch.tensor([[0]]))[0]      # cos 1, sin 1
    tensor([[[[0.5403, 0.8415]]]])
    """

    def __init__(self, d_head: int, *, base: float = 10_000.0) -> None:
        super().__init__()
        if d_head % 2:
            raise ValueError(f"d_head must be even, features are turned in pairs; got {d_head}")
        self.d_head = d_head
        self.base = base

    def rotate(
        self,
        q: Float[Tensor, "B H T_q D_k"],
        k: Float[Tensor, "B H_kv T_k D_k"],
        q_pos: Int[Tensor, "#B T_q"],
        k_pos: Int[Tensor, "#B T_k"],
    ) -> tuple[Float[Tensor, "B H T_q D_k"], Float[Tensor, "B H_kv T_k D_k"]]:
        return self._turn(q, q_pos), self._turn(k, k_pos)

    def _turn(
        self, x: Float[Tensor, "B H T D_k"], pos: Int[Tensor, "#B T"]
    ) -> Float[Tensor, "B H T D_k"]:
        angles = pos[:, None, :, None] * frequencies(self.d_head, self.base, pos.device)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
        return turned.flatten(-2)


def frequencies(
    width: int, base: float, device: torch.device | None = None
) -> Float[Tensor, " half"]:
    """base^(-2i/width) for every pair i: 1 for the first, nearly 1/base for the last.

    In float64, because an angle of 10⁵ radians in float32 is right to two digits only.
    """
    return base ** (-torch.arange(0, width, 2, device=device, dtype=torch.float64) / width)


def counted(
    length: int, device: torch.device | None = None, *, start: int = 0
) -> Int[Tensor, "1 T"]:
    """The positions start, start + 1, … of tokens that follow one another."""
    return torch.arange(start, start + length, device=device)[None]


def distances(
    q_pos: Int[Tensor, "#B T_q"], k_pos: Int[Tensor, "#B T_k"]
) -> Int[Tensor, "#B T_q T_k"]:
    """Key position minus query position, for every pair: negative means the key came before."""
    return k_pos[:, None, :] - q_pos[:, :, None]


def _geometric(num_heads: int, device: torch.device | None) -> Float[Tensor, " H"]:
    heads = torch.arange(1, num_heads + 1, device=device, dtype=torch.float64)
    return 2.0 ** (-8 / num_heads * heads)
