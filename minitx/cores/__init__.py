"""Interchangeable attention: the same call, different ways of computing it."""

from minitx.cores.base import AttentionCore, UnsupportedMask
from minitx.cores.full import FullAttention
from minitx.cores.fused import FusedAttention
from minitx.cores.linear_attention import LinearAttention
from minitx.cores.performer import Performer

__all__ = [
    "AttentionCore",
    "FullAttention",
    "FusedAttention",
    "LinearAttention",
    "Performer",
    "UnsupportedMask",
]
