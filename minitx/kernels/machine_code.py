"""What stands in a compiled kernel: registers, spills, and the instructions of its loop.

Read with `cuobjdump`, which comes with Triton; no GPU is needed.
"""

import re
import subprocess
import tempfile
from pathlib import Path

MULTIPLIES = ("HGMMA", "HMMA")  # a product of matrices on the tensor cores: Hopper, Ampere


def usage(cubin: bytes) -> dict[str, int]:
    """What the only function inside uses: REG (per thread), STACK and LOCAL (bytes per thread)."""
    text = _cuobjdump(cubin, "-res-usage")
    return {name: int(count) for name, count in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}


def loop(cubin: bytes) -> list[str]:
    """The instructions of the shortest loop that multiplies matrices, which has no mask.

    Empty if nothing is multiplied on the tensor cores.
    """
    code = [
        (int(address, 16), instruction)
        for address, instruction in re.findall(
            r"/\*([0-9a-f]{4,})\*/\s+(.*?);", _cuobjdump(cubin, "-sass")
        )
    ]
    bodies = []
    for end, instruction in code:
        target = re.search(r"\bBRA\b.*\b0x([0-9a-f]+)", instruction)
        if target and (start := int(target[1], 16)) < end:  # a jump back
            bodies.append([words for address, words in code if start <= address <= end])
    loops = [body for body in bodies if any(i in words for words in body for i in MULTIPLIES)]
    return min(loops, key=len, default=[])


def _cuobjdump(cubin: bytes, option: str) -> str:
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(tool), option, file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
