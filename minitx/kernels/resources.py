"""What the compiler makes of the kernels, for GPUs that need not be there.

`python -m minitx.kernels.resources` compiles every entry of the launch table and prints registers,
spills and shared memory; `--json` prints the same for programs, and numbers choose generations.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minitx.kernels.launch import SHARED_KIB, TABLE, Kind, Launch, Pass

DTYPES: dict[Kind, str] = {"half": "bf16", "single": "fp32"}


@dataclass(frozen=True)
class Resources:
    """What one compiled kernel asks of the device.

    Args:
        registers: per thread; 255 is the most there is.
        spilled: bytes per thread that found no register and went to memory.
        shared: bytes of shared memory per program.
        tensor_cores: the instruction that multiplies: wgmma (Hopper), mma, or none.
    """

    arch: int
    kind: str
    which: str
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
    kernel = compiled(
        arch,
        which,
        width,
        launch,
        dtype={"half": "bf16" if arch >= 80 else "fp16"}.get(kind, "fp32"),
    )
    usage = _usage(kernel.asm["cubin"])
    ptx = kernel.asm["ptx"]
    cores = "wgmma" if "wgmma.mma_async" in ptx else "mma" if "mma.sync" in ptx else "none"
    return Resources(
        arch, kind, which, width, **asdict(launch), registers=usage["REG"],
        spilled=usage["STACK"] + usage["LOCAL"], shared=kernel.metadata.shared, tensor_cores=cores,
    )  # fmt: skip


def _usage(cubin: bytes) -> dict[str, int]:
    """What `cuobjdump -res-usage`, which comes with Triton, says about the only function inside."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), "-res-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: int(count) for name, count in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}


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
    print(f"{'':26}{'tile':>9} warps stages registers spilled   KiB shared  matrix products")
    for r in table(archs):
        tile = f"{r.B_r}×{r.B_c}"
        print(
            f"sm_{r.arch} {r.kind:6} {r.which:7} {r.width:4}  {tile:>9} {r.warps:5} {r.stages:6} "
            f"{r.registers:9} {r.spilled:7} {r.shared / 1024:6.1f}/{SHARED_KIB[r.arch]:<3}  "
            f"{r.tensor_cores}"
        )


if __name__ == "__main__":
    import os

    os.environ.pop("TRITON_INTERPRET", None)
    main(sys.argv[1:])
