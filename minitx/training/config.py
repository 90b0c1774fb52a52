"""The settings of a training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Args:
        num_steps: optimiser updates in all.
        rate: learning rate of each step, counted from 1.
        accumulation_steps: batches whose gradients make up one update.
        max_norm: longer gradients are cut to this length; infinity cuts nothing.
        weight_decay: of the matrices.
        precision: of the forward pass; fp16 scales its loss, bf16 need not.
        validate_every: steps between two validations.
        patience: validations in a row without improvement before training stops; None never
            stops it.
        save_every: steps between two checkpoints.
        seed: of all that is random in a step.

    Raises:
        ValueError: if a number is out of range.
    """

    num_steps: int
    rate: Callable[[int], float]
    accumulation_steps: int = 1
    max_norm: float = 1.0
    weight_decay: float = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    validate_every: int = 200
    patience: int | None = None
    save_every: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "accumulation_steps", "validate_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be at least 1, or None, got {self.patience}")
        if not self.max_norm > 0:
            raise ValueError(f"max_norm must be above 0, got {self.max_norm}")
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise ValueError(f"precision must be fp32, bf16 or fp16, got {self.precision!r}")
