"""One call of the kernels: what is passed to them, and how they are launched."""

import contextlib
import warnings
from functools import cache
from typing import Any

import torch
from torch import Tensor

from minitx.kernels.launch import LARGEST_TILE, Launch, Pass, chosen

try:
    import triton
except ImportError as missing:
    raise RuntimeError(
        "flash_attention needs Triton, which is not installed (pip install triton; Linux only); "
        "minitx.cores.FusedAttention needs none"
    ) from missing

from minitx.kernels import backward, forward, tuning


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
        require_device(q)
        require_lengths(key_lengths, k.size(2))
        _, H, T_q, D_k = q.shape
        _, H_kv, T_k, D_v = v.shape
        far = max(T_q, T_k)  # beyond both ends from everywhere
        left = far if window is None else min(window, far)
        self.q, self.k, self.v = q, k, v
        self.key_lengths = None if key_lengths is None else key_lengths.contiguous()
        self.numbers = (H, T_q, T_k, left, 0 if causal else left, scale)
        self.constants: dict[str, Any] = {
            "GROUP": H // H_kv,
            "D_K": D_k,
            "D_V": D_v,
            "COLS_K": max(16, triton.next_power_of_2(D_k)),
            "COLS_V": max(16, triton.next_power_of_2(D_v)),
            "PRECISION": "tf32" if allow_tf32 else "ieee",
            "UPCAST": _upcast(q),
        }

    def forward(self, output: Tensor, log_sum: Tensor) -> None:
        """Write the output, and the log-sum-exp of each query."""
        tensors = (self.q, self.k, self.v, output, log_sum)
        self._run("forward", forward.flash_forward, tensors, self.q, streamed=(self.k, self.v))

    def backward(
        self, d_output: Tensor, output: Tensor, log_sum: Tensor, dq: Tensor, dk: Tensor, dv: Tensor
    ) -> None:
        """Write the gradients of q, k and v."""
        if not fit_for_descriptors(d_output):  # expanded, after .sum(): one copy, then fast tiles
            d_output = d_output.contiguous()
        B, H, T_q = log_sum.shape
        rows = triton.cdiv(T_q, LARGEST_TILE) * LARGEST_TILE  # for tiles that hang over the end
        sums = log_sum.new_empty(2, B, H, rows)
        self._sums(output, d_output, log_sum, sums)
        inputs = (self.q, self.k, self.v, d_output, *sums)
        self._run(
            "keys", backward.flash_backward_keys, (*inputs, dk, dv), self.k,
            streamed=(self.q, d_output), T_sums=rows,
        )  # fmt: skip
        self._run(
            "queries", backward.flash_backward_queries, (*inputs, dq), self.q,
            streamed=(self.k, self.v), T_sums=rows,
        )  # fmt: skip

    def _sums(self, output: Tensor, d_output: Tensor, log_sum: Tensor, sums: Tensor) -> None:
        B, H, T_q = log_sum.shape
        names = ("D_V", "COLS_V", "UPCAST")
        constants = {name: self.constants[name] for name in names}
        block = 32  # one pass over memory: any tile will do
        with on(self.q.device):
            backward.flash_sums[(B * H * sums.size(3) // block,)](
                output, d_output, log_sum, *sums, *_strides(output, d_output), H, T_q, sums.size(3),
                B_R=block, **constants,
            )  # fmt: skip

    def _run(
        self,
        which: Pass,
        kernel: Any,
        tensors: tuple[Tensor, ...],
        cut: Tensor,
        streamed: tuple[Tensor, Tensor],
        **more: int,
    ) -> None:
        """Launch one program per tile of `cut`; each runs over the tiles of the streamed two."""
        B, H, T, _ = cut.shape
        describable = all(map(fit_for_descriptors, streamed))

        def run(launch: Launch) -> None:
            described = launch.described and describable
            if described:  # the setting belongs to a thread, and the backward pass has its own
                triton.set_allocator(_scratch)
            block = launch.B_c if which == "keys" else launch.B_r
            with on(self.q.device):
                kernel[(B * H * triton.cdiv(T, block),)](
                    *tensors, self.key_lengths, *_strides(*tensors), *self.numbers,
                    B_R=launch.B_r, B_C=launch.B_c, DESCRIBED=described,
                    num_warps=launch.warps, num_stages=launch.stages, **self.constants, **more,
                )  # fmt: skip

        launch = chosen(which, self.q, T, max(self.constants["COLS_K"], self.constants["COLS_V"]))
        if self.q.is_cuda and tuning.asked():
            kind = self._kind(which, describable)
            with on(self.q.device):  # the clock that is asked is the current device's
                launch = tuning.fastest(kind, launch, run)
        run(launch)

    def _kind(self, which: Pass, describable: bool) -> str:
        """What calls have in common that may share one search."""
        _, T_q, T_k, left, right, _ = self.numbers
        far = max(T_q, T_k)
        band = f"{'full' if left == far else 'window'} {'causal' if right == 0 else ''}"
        lengths = f"{triton.next_power_of_2(T_q)} {triton.next_power_of_2(T_k)}"
        device = torch.cuda.get_device_name(self.q.device)
        constants = " ".join(map(str, self.constants.values()))
        read = "described" if describable else "pointers"
        names = (device, triton.__version__, which, self.q.dtype, lengths, band, constants, read)
        return " ".join(map(str, names))


def _strides(*tensors: Tensor) -> list[int]:
    """Those of the tensors with heads in them, one after another."""
    return [stride for x in tensors if x.dim() == 4 for stride in x.stride()]


def _upcast(q: Tensor) -> bool:
    """Whether to compute in float32 what is stored in 16 bits.

    In the interpreter, whose arithmetic in bfloat16 is wrong; and where there are no tensor cores
    to use, so that converting once saves registers.
    """
    if q.dtype == torch.float64:
        return False
    if interpreted():
        return q.dtype == torch.bfloat16
    return torch.cuda.get_device_capability(q.device) < (8, 0)


def fit_for_descriptors(x: Tensor) -> bool:
    """Whether tiles of x can be read by descriptor: the copy engine's demands on addresses."""
    size = x.element_size()
    return (
        x.stride(3) == 1
        and x.data_ptr() % 16 == 0
        and min(x.stride()[1:3]) > 0
        and all(stride * size % 16 == 0 for stride in x.stride()[:3])
    )


def on(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _scratch(size: int, alignment: int, stream: int | None) -> Tensor:
    """Where descriptors are written that a kernel makes itself."""
    return torch.empty(size, dtype=torch.int8, device="cuda")


def require_device(q: Tensor) -> None:
    if q.device.type == "cuda":
        advise(q.device)
        if q.dtype == torch.float64:
            raise TypeError(
                "on a GPU flash_attention takes float16, bfloat16 and float32, got float64; "
                "minitx.cores.FusedAttention takes it"
            )
    elif not (q.device.type == "cpu" and interpreted()):
        raise RuntimeError(
            f"flash_attention runs on CUDA devices, got tensors on {q.device}; use "
            "minitx.cores.FusedAttention there, or set TRITON_INTERPRET=1 before Python starts "
            "to step through the kernels on a CPU"
        )


@cache
def advise(device: torch.device) -> None:
    if torch.cuda.get_device_capability(device) < (8, 0):
        warnings.warn(
            f"Triton does not use the tensor cores of {torch.cuda.get_device_name(device)}: "
            "flash_attention is right there, and slow; minitx.cores.FusedAttention is fast",
            stacklevel=2,
        )


def require_lengths(key_lengths: Tensor | None, T_k: int) -> None:
    if key_lengths is None or key_lengths.device.type != "cpu":
        return
    if int(key_lengths.min()) < 0 or int(key_lengths.max()) > T_k:
        raise ValueError(
            f"key_lengths must lie between 0 and T_k ({T_k}), got {key_lengths.tolist()}"
        )
