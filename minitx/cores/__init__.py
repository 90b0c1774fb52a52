"""Interchangeable attention: the same call, different ways of computing it."""

from minitx.cores.base import AttentionCore, UnsupportedMask
from minitx.cores.full import FullAttention
from minitx.cores.fused import FusedAttention
from minitx.cores.linformer import Linformer
from minitx.cores.nystrom import Nystrom
from minitx.cores.reformer import Reformer
from minitx.cores.routing import Routing

__all__ = [
    "AttentionCore",
    "FullAttention",
    "FusedAttention",
    "Linformer",
    "Nystrom",
    "Reformer",
    "Routing",
    "UnsupportedMask",
]
