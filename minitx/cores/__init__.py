"""Interchangeable attention: the same call, different ways of computing it."""

from minitx.cores.base import AttentionCore, UnsupportedMask
from minitx.cores.flash import FlashAttention
from minitx.cores.full import FullAttention
from minitx.cores.fused import FusedAttention

__all__ = ["AttentionCore", "FlashAttention", "FullAttention", "FusedAttention", "UnsupportedMask"]
