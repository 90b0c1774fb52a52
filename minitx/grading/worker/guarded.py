"""Memory that ends at a page nobody may touch: a kernel that goes one number too far crashes.

Triton's interpreter reads and writes at any address it is told, and what lies behind a tensor is
usually there, so that a missing mask is seen only on a GPU, sometimes.
"""

import ctypes
import mmap
from typing import Any

_NO_ACCESS = 0


def guarded(tensor: Any) -> Any:
    """A copy, with the same strides, whose last byte is the last one that may be touched.

    Where the system offers no such memory, the tensor itself.
    """
    import torch

    size = tensor.numel() * tensor.element_size()
    mprotect = getattr(ctypes.CDLL(None), "mprotect", None) if hasattr(mmap, "PROT_READ") else None
    if mprotect is None or size == 0:
        return tensor
    whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, whole + mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    mprotect(ctypes.c_void_p(address + whole), ctypes.c_size_t(mmap.PAGESIZE), _NO_ACCESS)
    raw = torch.frombuffer(memory, dtype=torch.uint8, count=size, offset=whole - size)
    copy = raw.view(tensor.dtype).as_strided(tensor.shape, tensor.stride(), raw.storage_offset())
    return copy.copy_(tensor)
