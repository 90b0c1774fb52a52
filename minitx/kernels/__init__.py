"""Attention as Triton kernels. Importing this loads no Triton; the first call does."""

from minitx.kernels.attention import flash_attention

__all__ = ["flash_attention"]
