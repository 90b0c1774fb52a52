"""The training loop, all of it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from minitx.training.config import TrainingConfig
from minitx.training.processes import Processes
from minitx.training.run import CtrlC, Row, Run, forked_rng

Batch = TypeVar("Batch")
LossSum = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""model, batch -> sum of the losses of its tokens, and how many tokens that is.

It calls the model itself, not its methods: several processes meet in that call.
"""


def train(
    model: nn.Module,
    loss_sum: LossSum[Batch],
    batch_at: Callable[[int], Batch],
    config: TrainingConfig,
    *,
    group: Processes,
    folder: Path | None = None,
    validation: Sequence[Batch] = (),
    progress: bool = True,
) -> list[Row]:
    """Train model; what every step gave.

    The gradient of an update is that of the mean loss per token over all its batches, in all
    processes: batches may hold different numbers of tokens.

    Args:
        model: is trained in place, on the group's device; afterwards it holds the weights of the
            last step and is in evaluation mode.
        loss_sum: see `LossSum`.
        batch_at: the batch of this number, counted from 0, on the group's device. The same
            number must give the same batch: that makes a resumed run equal to one unbroken.
        config: how to train.
        group: from `training.processes`.
        folder: where checkpoint.pt and log.csv go, seen by all processes; a checkpoint found
            there is continued. None writes nothing.
        validation: batches whose loss is measured now and then.
        progress: show a progress bar.

    Returns:
        One row per step: step, loss (mean per token, nats), rate, grad_norm (before clipping)
        and, where it was measured, validation_loss.

    Raises:
        ValueError: if patience has no validation to wait for.
            In several processes, if no gradient reaches a parameter.
        DamagedCheckpoint: if there is a checkpoint in folder that cannot be continued: it is
            damaged, or of another model, or other parameters were trained.
        FloatingPointError: if the loss is no longer a number; the last checkpoint stays. In fp16
            also if too many updates in a row, or all there were, had to be skipped.
        KeyboardInterrupt: after Ctrl-C, once the running step is done and saved; but not if that
            was the last one.
    """
    if config.patience is not None and not validation:
        raise ValueError(f"patience ({config.patience}) needs validation batches, got none")
    run = Run(model, config, group, folder)
    parallel = DistributedDataParallel(model) if group.count > 1 else model
    batches_per_step = config.accumulation_steps * group.count
    with run.progress_bar(progress) as bar, CtrlC() as stop, forked_rng(group.device):
        for step in range(run.step + 1, config.num_steps + 1):
            if run.gave_up:
                break
            if group.any(stop.asked):
                stop.asked = True
                break
            rate = run.begin_step(step)
            loss = tokens = torch.zeros((), device=group.device)
            for i in range(config.accumulation_steps):
                batch = batch_at((step - 1) * batches_per_step + i * group.count + group.rank)
                with sync_only_if(parallel, i == config.accumulation_steps - 1):
                    with autocast(config, group.device):
                        batch_loss, batch_tokens = loss_sum(parallel, batch)
                    run.scaler.scale(batch_loss).backward()
                loss, tokens = loss + batch_loss.detach(), tokens + batch_tokens
            loss, tokens = group.total(loss), group.total(tokens).clamp(min=1)
            run.divide_gradients(tokens)
            grad_norm = nn.utils.clip_grad_norm_(model.parameters(), config.max_norm)
            run.note(step=step, loss=loss / tokens, rate=rate, grad_norm=grad_norm)
            run.scaler.step(run.optimiser)
            run.scaler.update()
            run.optimiser.zero_grad()
            if validation and step % config.validate_every == 0:
                run.note_validation(mean_loss(model, loss_sum, validation, config, group))
            if step % config.save_every == 0:
                run.save()
            bar.set_postfix_str(f"loss {run.rows[-1]['loss']:.3f}", refresh=False)
            bar.update()
        run.save()
    model.eval()
    if stop.asked and not run.finished:
        raise KeyboardInterrupt(f"stopped after step {run.step}; run it again to continue")
    run.require_updates()
    return run.rows


@torch.no_grad()
def mean_loss(
    model: nn.Module,
    loss_sum: LossSum[Batch],
    batches: Sequence[Batch],
    config: TrainingConfig,
    group: Processes,
) -> float:
    """Mean loss per token over batches, in evaluation mode; the processes share the work."""
    model.eval()
    loss = tokens = torch.zeros((), device=group.device)
    for batch in batches[group.rank :: group.count]:
        with autocast(config, group.device):
            batch_loss, batch_tokens = loss_sum(model, batch)
        loss, tokens = loss + batch_loss, tokens + batch_tokens
    return float(group.total(loss) / group.total(tokens).clamp(min=1))


def autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[object]:
    """Matrix products in half precision, if the config says so."""
    if config.precision == "fp32":
        return nullcontext()
    return torch.autocast(
        device.type, torch.bfloat16 if config.precision == "bf16" else torch.float16
    )


def sync_only_if(model: nn.Module, now: bool) -> AbstractContextManager[object]:
    """Processes exchange gradients once per update, not once per batch."""
    if isinstance(model, DistributedDataParallel) and not now:
        return model.no_sync()
    return nullcontext()
