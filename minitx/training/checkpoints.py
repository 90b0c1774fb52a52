"""Checkpoints that are whole or not there at all, and that resume bit for bit."""

import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch


class DamagedCheckpoint(RuntimeError):
    """A checkpoint file cannot be read, or holds another training than the one at hand."""


@contextmanager
def whole_or_absent(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which becomes path in one step when it is done.

    It is written beside path and pushed to the disk first: a process that is killed half-way
    leaves what was there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write state (tensors, numbers, words, lists and dictionaries of them) to path."""
    with whole_or_absent(path) as file:
        torch.save(state, file)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, its tensors on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedCheckpoint: if it is not a checkpoint, or only part of one.
    """
    with path.open("rb") as file:
        try:
            # torch reads on over flipped bits; the zip archive that it writes has checksums.
            with zipfile.ZipFile(file) as archive:
                if (part := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"wrong checksum of {part}")
            file.seek(0)
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except (
            zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, ValueError, LookupError,
            EOFError, OSError,
        ) as error:  # fmt: skip
            raise DamagedCheckpoint(
                f"{path} is not a whole checkpoint ({type(error).__name__}); "
                "delete it to start from the beginning"
            ) from error
    return state
