"""Checkpoints that are whole or not there at all, and that resume bit for bit."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch


class DamagedCheckpoint(RuntimeError):
    """A checkpoint file cannot be read."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write state to path.

    It is written beside the old file, pushed to the disk, and then put in its place in one step:
    a process that is killed half-way leaves the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    with unfinished.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def load(path: Path, *, map_location: torch.device | str | None = None) -> dict[str, Any]:
    """What `save` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedCheckpoint: if it is not a checkpoint, or only part of one.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except FileNotFoundError:
        raise
    except (RuntimeError, EOFError, KeyError, AttributeError, pickle.UnpicklingError) as error:
        raise DamagedCheckpoint(
            f"{path} is not a whole checkpoint ({type(error).__name__}); "
            "delete it to start from the beginning"
        ) from error
    return state
