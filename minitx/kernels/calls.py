"""One call of the kernels: what is passed to them, and how they are launched."""

import contextlib
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from minitx.kernels.launch import Launch, Pass, chosen

try:
    import triton
except ImportError as missing:
    raise RuntimeError(
        "flash_attention needs Triton, which is not installed (pip install triton; Linux only); "
        "minitx.cores.FusedAttention needs none"
    ) from missing

from minitx.kernels import backward, forward


def interpreted() -> bool:
    """Whether the kernels run in Triton's interpreter, as TRITON_INTERPRET=1 said at import."""
    return not isinstance(forward.flash_forward, triton.JITFunction)


class Call:
    """The inputs of one call, in the words of the kernels."""

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        key_lengths: Tensor | None,
        causal: bool,
        window: int | None,
        scale: float,
        allow_tf32: bool,
    ) -> None:
        _require_device(q)
        _require_lengths(key_lengths, k.size(2))
        self.q, self.k, self.v = q, k, v
        self.key_lengths = None if key_lengths is None else key_lengths.contiguous()
        far = max(q.size(2), k.size(2))  # beyond both ends from everywhere
        left = far if window is None else min(window, far)
        right = 0 if causal else left
        B, H, T_q, D_k = q.shape
        T_k, D_v = k.size(2), v.size(3)
        self.programs = B * H
        self.numbers = (H, T_q, T_k, left, right, scale)
        self.constants: dict[str, Any] = {
            "GROUP": H // k.size(1),
            "D_K": D_k,
            "D_V": D_v,
            "COLS_K": max(16, triton.next_power_of_2(D_k)),
            "COLS_V": max(16, triton.next_power_of_2(D_v)),
            "PRECISION": "tf32" if allow_tf32 else "ieee",
            "UPCAST": q.dtype == torch.bfloat16 and interpreted(),
        }

    def forward(self, output: Tensor, log_sum: Tensor) -> None:
        tensors = (self.q, self.k, self.v, output)
        self._run("forward", forward.flash_forward, tensors, (log_sum,), self.q)

    def backward(
        self,
        d_output: Tensor,
        output: Tensor,
        log_sum: Tensor,
        dq: Tensor,
        dk: Tensor,
        dv: Tensor,
    ) -> None:
        delta = torch.empty_like(log_sum)
        self._delta(output, d_output, delta)
        inputs = (self.q, self.k, self.v, d_output)
        sums = (log_sum, delta)
        self._run("keys", backward.flash_backward_keys, inputs, sums, self.k, dk, dv)
        self._run("queries", backward.flash_backward_queries, inputs, sums, self.q, dq)

    def _delta(self, output: Tensor, d_output: Tensor, delta: Tensor) -> None:
        """D of algorithm 2: one pass over memory, so that any tile will do."""
        H, T_q, *_ = self.numbers
        names = ("D_V", "COLS_V", "UPCAST")
        with on(self.q.device):
            backward.flash_delta[(self.programs * triton.cdiv(T_q, 32),)](
                output, d_output, delta, *output.stride(), *d_output.stride(), H, T_q,
                B_R=32, **{name: self.constants[name] for name in names},
            )  # fmt: skip

    def _run(
        self,
        which: Pass,
        kernel: Any,
        tensors: tuple[Tensor, ...],
        sums: tuple[Tensor, ...],
        divided: Tensor,
        *results: Tensor,
    ) -> None:
        """Launch with one program per tile of `divided`."""
        width = max(self.constants["COLS_K"], self.constants["COLS_V"])
        launch = chosen(which, self.q, divided.size(2), width)
        block = launch.B_c if which == "keys" else launch.B_r
        grid = (divided.size(0) * divided.size(1) * triton.cdiv(divided.size(2), block),)
        described = launch.described and all(map(describable, tensors))
        if described:
            triton.set_allocator(_scratch)
        strides = [s for t in (*tensors, *results) for s in t.stride()]
        with on(self.q.device):
            kernel[grid](
                *tensors, *sums, *results, self.key_lengths, *strides, *self.numbers,
                B_R=launch.B_r, B_C=launch.B_c, DESCRIBED=described, num_warps=launch.warps,
                num_stages=launch.stages, **self.constants,
            )  # fmt: skip


def describable(x: Tensor) -> bool:
    """Whether tiles of x can be read by descriptor: the copy engine's demands on addresses."""
    size = x.element_size()
    return (
        x.stride(3) == 1
        and x.data_ptr() % 16 == 0
        and x.stride(2) > 0
        and all(stride * size % 16 == 0 for stride in x.stride()[:3])
    )


def on(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _scratch(size: int, alignment: int, stream: int | None) -> Tensor:
    """Where descriptors are written that a kernel makes itself."""
    return torch.empty(size, dtype=torch.int8, device="cuda")


def _require_device(q: Tensor) -> None:
    if q.device.type == "cuda":
        _advise(q.device)
        if q.dtype == torch.bfloat16 and torch.cuda.get_device_capability(q.device) < (8, 0):
            raise TypeError("this GPU has no bfloat16 (that came with sm_80); use float16")
    elif not (q.device.type == "cpu" and interpreted()):
        raise RuntimeError(
            f"flash_attention runs on CUDA devices, got tensors on {q.device}; use "
            "minitx.cores.FusedAttention there, or set TRITON_INTERPRET=1 before Python starts "
            "to step through the kernels on a CPU"
        )


@cache
def _advise(device: torch.device) -> None:
    if torch.cuda.get_device_capability(device) < (8, 0):
        warnings.warn(
            f"Triton does not use the tensor cores of {torch.cuda.get_device_name(device)}: "
            "flash_attention is right there, and slow; minitx.cores.FusedAttention is fast",
            stacklevel=2,
        )


def _require_lengths(key_lengths: Tensor | None, T_k: int) -> None:
    if key_lengths is None or key_lengths.device.type != "cpu":
        return
    if int(key_lengths.min()) < 0 or int(key_lengths.max()) > T_k:
        raise ValueError(
            f"key_lengths must lie between 0 and T_k ({T_k}), got {key_lengths.tolist()}"
        )
