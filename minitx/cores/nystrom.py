"""Nyströmformer: a few landmarks stand between the queries and the keys."""

import torch
from jaxtyping import Float
from torch import Tensor

from minitx.cores.base import AttentionCore
from minitx.cores.fused import fused_attention
from minitx.cores.segments import averaging
from minitx.functional import attention_scores, masked_softmax
from minitx.masks import NO_MASK, Mask


class Nystrom(AttentionCore):
    """Attention from and to landmarks only, in time and memory O(T · num_landmarks).

        q̃, k̃   = means of the queries and of the keys over num_landmarks segments
        output = softmax(q k̃ᵀ/√D_k) · A⁺ · softmax(q̃ kᵀ/√D_k) v,   A = softmax(q̃ k̃ᵀ/√D_k)

    Read from the right: the landmarks attend to all tokens, their answers are corrected by the
    inverse of how landmarks attend to landmarks, and all tokens attend to the landmarks. With a
    landmark for every token it is A A⁺ A v = A v, full attention, as far as the iteration for A⁺
    has come. Weights may be negative and need not sum to 1.

    Not causal: a mean contains its whole segment. The means are taken over real tokens only, so
    that padding changes nothing.

    Args:
        num_landmarks: m; at most one per token is used.
        pinv_iterations: steps of `iterative_pinv`.
        scale: factor on the dot products, 1/√D_k unless given.

    Raises:
        ValueError: if an argument is below 1, or T_q differs from T_k.

    Source: Xiong et al. 2021, §3, algorithm 1. Deviations: segments differ by at most one token
    where m does not divide T (the paper pads); the start of the iteration is the paper's
    for each head of each sample, the authors' code shares the norms of the largest between all,
    which makes samples depend on each other; the depthwise convolution of the values, which the
    paper adds to the output, is no attention and is left to the layer. Half precision is computed
    in float32, because an inverse magnifies rounding.

    >>> x = 3 * torch.eye(4).view(1, 1, 4, 4)
    >>> Nystrom(4)(x, x, torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 1, 4, 1)).flatten()
    tensor([0.0108, 0.0108, 0.0108, 0.9677])
    """

    supports = frozenset({"key_padding"})
    leaves_autocast = True

    def __init__(
        self, num_landmarks: int, *, pinv_iterations: int = 6, scale: float | None = None
    ) -> None:
        super().__init__()
        if num_landmarks < 1:
            raise ValueError(f"num_landmarks must be at least 1, got {num_landmarks}")
        if pinv_iterations < 1:
            raise ValueError(f"pinv_iterations must be at least 1, got {pinv_iterations}")
        self.num_landmarks = num_landmarks
        self.pinv_iterations = pinv_iterations
        self.scale = scale

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Mask, bias: Tensor | None
    ) -> Float[Tensor, "B H T_q D_v"]:
        T = q.size(2)
        if k.size(2) != T:
            raise ValueError(f"T_q ({T}) must equal T_k ({k.size(2)}): both share their segments")
        dtype = q.dtype
        q, k, v = (t.to(torch.promote_types(dtype, torch.float32)) for t in (q, k, v))

        means = averaging(mask.is_token(T, q.device), min(self.num_landmarks, T), q.dtype)
        q_tokens = mask.zero_padding(q)  # as keys and values are already
        q_marks, k_marks = (torch.einsum("bmt,bhtd->bhmd", means, t) for t in (q_tokens, k))
        # A sequence with fewer tokens than landmarks leaves some of them empty.
        used = (means > 0).any(dim=-1)

        both = used[:, None, :, None] & used[:, None, None, :]
        A = masked_softmax(attention_scores(q_marks, k_marks, scale=self.scale), both)
        answers = fused_attention(q_marks, k, v, mask, scale=self.scale)
        corrected = iterative_pinv(A, self.pinv_iterations) @ answers
        marks = NO_MASK if mask.key_padding is None else Mask(key_padding=used)
        return fused_attention(q, k_marks, corrected, marks, scale=self.scale).to(dtype)


def iterative_pinv(A: Float[Tensor, "*batch m m"], iterations: int) -> Float[Tensor, "*batch m m"]:
    """The pseudo-inverse A⁺ of a matrix without negative entries, by matrix products alone.

        Z ← ¼ Z (13 I - A Z (15 I - A Z (7 I - A Z))),   from Z = Aᵀ / (‖A‖₁ ‖A‖∞)

    Every step multiplies small singular values of A Z by about 13/4 and brings those near 1 to 1
    at third order, so the number of steps needed grows with the logarithm of A's condition. What is
    0 in exact arithmetic and 1e-16 in the machine grows, too: with a singular A, stop in time.

    Source: Razavi et al. 2014, used by Xiong et al. 2021, §3.

    >>> iterative_pinv(torch.tensor([[0.5, 0.5], [0.0, 1.0]]), 10)
    tensor([[ 2.0000, -1.0000],
            [ 0.0000,  1.0000]])
    """
    eye = torch.eye(A.size(-1), dtype=A.dtype, device=A.device)
    columns, rows = (A.sum(dim=dim).amax(dim=-1)[..., None, None] for dim in (-2, -1))
    tiny = torch.finfo(A.dtype).tiny
    Z = A.transpose(-2, -1) / (columns * rows).clamp(min=tiny)
    for _ in range(iterations):
        AZ = A @ Z
        Z = 0.25 * Z @ (13 * eye - AZ @ (15 * eye - AZ @ (7 * eye - AZ)))
    return Z
