"""What the figures are given: read as NumPy reads it, and refused where it does not fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def as_array(values: Any) -> np.ndarray:
    """NumPy's reading of values; of a tensor, without its gradient and in float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    return np.asarray(values, dtype=float)


def as_table(name: str, values: Any) -> np.ndarray:
    table = as_array(values)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(
            f"{name} must have two axes (rows, columns), got shape {table.shape}; "
            "pick one sequence and one head first"
        )
    return table


def require_weights(table: np.ndarray) -> None:
    if not (table.min() >= -1e-6 and table.max() <= 1 + 1e-6):
        raise ValueError(
            f"weights must lie between 0 and 1, got {table.min():.4g} to {table.max():.4g}"
        )


def require_names(axis: str, names: Sequence[str] | None, size: int) -> None:
    if names is not None and len(names) != size:
        raise ValueError(f"there must be one name per {axis}: {size}, got {len(names)}")
