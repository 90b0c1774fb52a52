"""Interchangeable attention: the same call, different ways of computing it."""

from minitx.cores.base import AttentionCore, UnsupportedMask
from minitx.cores.big_bird import BigBird
from minitx.cores.flash import FlashAttention
from minitx.cores.full import FullAttention
from minitx.cores.fused import FusedAttention
from minitx.cores.linear_attention import LinearAttention
from minitx.cores.linformer import Linformer
from minitx.cores.nystrom import Nystrom
from minitx.cores.performer import Performer
from minitx.cores.reformer import Reformer
from minitx.cores.routing import Routing
from minitx.cores.sliding_window import SlidingWindow
from minitx.cores.strided_sparse import StridedSparse
from minitx.cores.tiled import TiledAttention
from minitx.cores.top_k import TopK

__all__ = [
    "AttentionCore",
    "BigBird",
    "FlashAttention",
    "FullAttention",
    "FusedAttention",
    "LinearAttention",
    "Linformer",
    "Nystrom",
    "Performer",
    "Reformer",
    "Routing",
    "SlidingWindow",
    "StridedSparse",
    "TiledAttention",
    "TopK",
    "UnsupportedMask",
]
