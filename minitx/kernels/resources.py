"""What the compiler makes of the kernels, for GPUs that need not be there.

`python -m minitx.kernels.resources` compiles every entry of the launch table and prints what it
uses and what its loop costs; `--json` prints the same for programs, and numbers choose generations.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from minitx.kernels import machine_code
from minitx.kernels.launch import SHARED_KIB, TABLE, Kind, Launch, Pass

# What one multiprocessor does in a cycle: floating-point operations of its tensor cores (dense, 16
# bits; from the peak rates in NVIDIA's data sheets of A100, L4 and H100), and instructions that it
# issues to its warps.
TENSOR_RATE = {80: 2048, 89: 1024, 90: 4096}
ISSUE_RATE = 4
PRODUCTS: dict[Pass, int] = {"forward": 2, "keys": 4, "queries": 3}  # of matrices, for one tile


@dataclass(frozen=True)
class Resources:
    """What one compiled kernel asks of the device.

    Args:
        registers: per thread; 255 is the most there is. The most with one query head and with four
            for a head of keys, and on sm_75 with numbers of 32 and of 16 bits.
        spilled: bytes per thread that found no register and went to memory.
        shared: bytes of shared memory per program.
        tensor_cores: the instruction that multiplies: wgmma (Hopper), mma, or none.
        loop: instructions of a warp for one tile without a mask; 0 without tensor cores.
    """

    arch: int
    kind: str
    which: Pass
    width: int
    B_r: int
    B_c: int
    warps: int
    stages: int
    described: bool
    registers: int
    spilled: int
    shared: int
    tensor_cores: str
    loop: int

    def cycles(self) -> tuple[float, float]:
        """What 64 × 64 scores cost a multiprocessor: to issue instructions, and to multiply.

        Multiplying alone is the least it can take; both together is what it takes if nothing
        overlaps. Waiting for memory is not in it.
        """
        tiles = 64 * 64 / (self.B_r * self.B_c)
        operations = PRODUCTS[self.which] * 2 * self.B_r * self.B_c * self.width
        issue = tiles * self.loop * self.warps / ISSUE_RATE
        return issue, tiles * operations / TENSOR_RATE.get(self.arch, float("inf"))


def kernel_of(which: Pass) -> Any:
    from minitx.kernels import backward, forward

    return {
        "forward": forward.flash_forward,
        "keys": backward.flash_backward_keys,
        "queries": backward.flash_backward_queries,
    }[which]


def compiled(
    arch: int,
    which: Pass,
    width: int,
    launch: Launch,
    *,
    dtype: str = "bf16",
    group: int = 1,
    upcast: bool = False,
) -> Any:
    """A kernel compiled for an architecture: contiguous heads of this width, aligned to 16."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = kernel_of(which)
    columns = max(16, triton.next_power_of_2(width))
    constants = {
        "GROUP": group,
        "D_K": width,
        "D_V": width,
        "B_R": launch.B_r,
        "B_C": launch.B_c,
        "COLS_K": columns,
        "COLS_V": columns,
        "DESCRIBED": launch.described,
        "PRECISION": "ieee",
        "UPCAST": upcast,
    }
    signature, attributes = {}, {}
    for place, name in enumerate(kernel.arg_names):
        signature[name], aligned = _kind_of(name, dtype)
        if re.fullmatch(r"stride_\w+d", name):  # numbers of a row lie side by side
            signature[name], constants[name], aligned = "constexpr", 1, False
        if aligned:
            attributes[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    options = {"num_warps": launch.warps, "num_stages": launch.stages}
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def _kind_of(name: str, dtype: str) -> tuple[str, bool]:
    """Triton's type of an argument, and whether it is a multiple of 16."""
    if name in ("L", "L_2", "D"):
        return "*fp64" if dtype == "fp64" else "*fp32", True
    if name in ("Q", "K", "V", "O", "dO", "dQ", "dK", "dV"):
        return f"*{dtype}", True
    if name == "lengths":
        return "*i32", True
    if name == "scale":
        return "fp32", False
    if name.startswith("stride_") or name == "T_sums":
        return "i32", True
    return ("constexpr" if name.isupper() and name != "H" else "i32"), False


def resources(arch: int, kind: Kind, which: Pass, width: int, launch: Launch) -> Resources:
    """What one entry of the launch table uses: the most among what it serves."""
    served = [("bf16", False)] if kind == "half" else [("fp32", False)]
    if "half" not in TABLE[arch]:
        served.append(("fp16", True))
    kernels = [
        compiled(arch, which, width, launch, dtype=dtype, upcast=upcast, group=group)
        for dtype, upcast in served
        for group in (1, 4)
    ]
    codes = [kernel.asm["cubin"] for kernel in kernels]
    ptx = kernels[0].asm["ptx"]
    cores = "wgmma" if "wgmma.mma_async" in ptx else "mma" if "mma.sync" in ptx else "none"
    return Resources(
        arch, kind, which, width, **asdict(launch),
        registers=max(machine_code.usage(code)["REG"] for code in codes),
        spilled=max(_spilled(code) for code in codes),
        shared=max(kernel.metadata.shared for kernel in kernels),
        tensor_cores=cores, loop=len(machine_code.loop(codes[0])),
    )  # fmt: skip


def _spilled(code: bytes) -> int:
    usage = machine_code.usage(code)
    return usage["STACK"] + usage["LOCAL"]


def table(archs: list[int]) -> Iterator[Resources]:
    """Every entry of the launch table, compiled at the widest head that it is for."""
    for arch in archs:
        for kind, passes in TABLE[arch].items():
            for which, widths in passes.items():
                for width, launch in widths.items():
                    yield resources(arch, kind, which, width, launch)


def main(arguments: list[str]) -> None:
    archs = [int(a) for a in arguments if a.isdigit()] or list(TABLE)
    if "--json" in arguments:
        print(json.dumps([asdict(row) for row in table(archs)]))
        return
    print(f"{'tile':>33} {'warps':>5} {'stages':>6} {'regs':>4} {'spilled':>7} {'KiB':>9}", end="")
    print(f"  {'by':5} {'loop':>5} {'issue':>6} {'multiply':>8}")
    for r in table(archs):
        issue, multiply = r.cycles()
        cost = f"{r.loop:5} {issue:6.0f} {multiply:8.0f}" if r.loop else ""
        print(
            f"sm_{r.arch} {r.kind:6} {r.which:7} {r.width:4} {f'{r.B_r}×{r.B_c}':>9} {r.warps:5} "
            f"{r.stages:6} {r.registers:4} {r.spilled:7} "
            f"{r.shared / 1024:5.1f}/{SHARED_KIB[r.arch]:3}  {r.tensor_cores:5} {cost}".rstrip()
        )
    print(
        "loop: instructions of a warp for one tile without a mask. issue, multiply: cycles of a\n"
        "multiprocessor for 64 × 64 scores, to issue them and for the matrix products."
    )


if __name__ == "__main__":
    import os

    os.environ.pop("TRITON_INTERPRET", None)
    main(sys.argv[1:])
