"""Where the kernel runs, and everything that its figures depend on."""

import hashlib
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from minitx.bench import report


def set_up(device: torch.device, sizes: str) -> dict[str, Any]:
    """Everything that the numbers depend on, the kernel's own source included."""
    cuda = device.type == "cuda"
    properties = torch.cuda.get_device_properties(device) if cuda else None
    return {
        **report.set_up(device, sizes),
        "triton": version("triton"),
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "multiprocessors": properties.multi_processor_count if properties else None,
        "kernel": fingerprint(),
    }


def version(package: str) -> str:
    """Of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def fingerprint() -> str:
    """A short name of the kernel's source as it is now: other source, other measurements."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parents[2] / "kernels").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


class NoDevice(ValueError):
    """The kernel cannot run here as it was asked to."""


def device_for(name: str | None, *, quick: bool) -> torch.device:
    """The device to compute on, with Triton ready for it.

    Raises:
        NoDevice: if there is no GPU, unless the CPU was asked for and quick; or if Triton has
            been set up for the other kind.
    """
    device = torch.device(name or "cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise NoDevice(
            "an NVIDIA GPU is needed, and PyTorch sees none here; --device cpu --quick runs tiny "
            "problems in Triton's interpreter, to see that it works"
        )
    if device.type not in ("cuda", "cpu"):
        raise NoDevice(f"the kernel runs on cuda, or with --quick on cpu, not on {device.type}")
    if device.type == "cpu" and not quick:
        raise NoDevice("on the CPU the kernel is interpreted, which is slow: add --quick")
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type == "cuda" and interpreted:
        raise NoDevice(
            "TRITON_INTERPRET=1 is set, so the kernel would not run on the GPU: unset it"
        )
    if device.type == "cpu" and not interpreted:
        if "triton" in sys.modules:
            raise NoDevice("Triton is loaded already: set TRITON_INTERPRET=1 before Python starts")
        os.environ["TRITON_INTERPRET"] = "1"
    return device
