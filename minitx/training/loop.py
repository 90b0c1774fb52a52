"""The training loop, all of it."""

import csv
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from minitx.training import checkpoints
from minitx.training.optimiser import adamw
from minitx.training.processes import Processes

Batch = TypeVar("Batch")
LossSum = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""model, batch -> sum of the losses of its tokens, and how many tokens that is."""


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
        patience: validations without improvement before training stops; None never stops it.
        save_every: steps between two checkpoints.

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

    def __post_init__(self) -> None:
        for name in ("num_steps", "accumulation_steps", "validate_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.max_norm > 0:
            raise ValueError(f"max_norm must be above 0, got {self.max_norm}")
        if self.precision not in ("fp32", "bf16", "fp16"):
            raise ValueError(f"precision must be fp32, bf16 or fp16, got {self.precision!r}")


def train(
    model: nn.Module,
    loss_sum: LossSum[Batch],
    batch_at: Callable[[int], Batch],
    config: TrainingConfig,
    *,
    processes: Processes,
    folder: Path | None = None,
    validation: Iterable[Batch] = (),
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train model; what every step gave.

    The gradient of an update is that of the mean loss per token over all its batches, in all
    processes: batches may hold different numbers of tokens.

    Args:
        model: is trained in place, on the device of `processes`.
        loss_sum: see `LossSum`.
        batch_at: the batch of this number, counted from 0, on the device. The same number must
            give the same batch: that is what makes a resumed run equal to one without a pause.
        config: how to train.
        processes: from `training.processes`.
        folder: where checkpoint, log.csv and, at the end, model.pt go; a checkpoint found there
            is continued. None writes nothing.
        validation: batches whose loss is measured now and then.
        progress: show a progress bar.

    Returns:
        One row per step: step, loss (mean per token, nats), rate, grad_norm (before clipping),
        and validation_loss where one was measured.

    Raises:
        FloatingPointError: if the loss is no longer a number; the last checkpoint stays.
        KeyboardInterrupt: after Ctrl-C, when the checkpoint has been written.
    """
    device, run = processes.device, _Run(model, config, processes, folder)
    parallel = DistributedDataParallel(model) if processes.count > 1 else model
    bar = tqdm(
        total=config.num_steps, initial=run.step, disable=not (progress and processes.writes)
    )
    try:
        while run.step < config.num_steps and not run.gave_up():
            step = run.step + 1
            for group in run.optimiser.param_groups:
                group["lr"] = config.rate(step)
            model.train()
            loss, tokens = torch.zeros((), device=device), torch.zeros((), device=device)
            for i in range(config.accumulation_steps):
                number = ((step - 1) * config.accumulation_steps + i) * processes.count
                batch = batch_at(number + processes.rank)
                last = i == config.accumulation_steps - 1
                with _no_sync(parallel, unless=last), _autocast(config, device):
                    batch_loss, batch_tokens = loss_sum(parallel, batch)
                    run.scaler.scale(batch_loss).backward()
                loss, tokens = loss + batch_loss.detach(), tokens + batch_tokens
            loss, tokens = processes.total(loss), processes.total(tokens)
            run.scaler.unscale_(run.optimiser)
            for parameter in model.parameters():
                if parameter.grad is not None:
                    # DDP has averaged over the processes; wanted is the sum over all tokens.
                    parameter.grad.mul_(processes.count / tokens.clamp(min=1))
            norm = nn.utils.clip_grad_norm_(model.parameters(), config.max_norm)
            row = run.record(step, loss / tokens.clamp(min=1), norm)
            run.scaler.step(run.optimiser)
            run.scaler.update()
            run.optimiser.zero_grad()
            if step % config.validate_every == 0:
                run.validated(validate(model, loss_sum, validation, config, processes))
            run.step = step
            if step % config.save_every == 0:
                run.save()
            bar.update()
            bar.set_postfix(loss=f"{row['loss']:.3f}", refresh=False)
    finally:
        run.save()
        bar.close()
    return run.rows
