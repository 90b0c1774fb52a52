"""The state of a training, in memory and on disk."""

import csv
import io
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from torch import Tensor, nn
from tqdm import tqdm

from minitx.seeds import seed_from
from minitx.training import checkpoints
from minitx.training.config import TrainingConfig
from minitx.training.optimiser import adamw
from minitx.training.processes import Processes

ADVICE = "a smaller rate, a longer warm-up or bf16 in place of fp16 may help"
Row = dict[str, int | float]
COLUMNS = ("step", "loss", "rate", "grad_norm", "validation_loss")
STATE = frozenset({"model", "trained", "optimiser", "scaler", "rows", "best", "stale"})
MAX_SKIPPED = 30
"""Updates that fp16 may skip in a row. Each halves the scale, 2¹⁶ at first: a gradient that does
not fit into half precision when its loss is scaled by 2⁻¹⁴ is not too large, it is no number."""


class Run:
    """What a training knows at a step: optimiser, scaler, log; saved and continued.

    Args:
        model: the model that is trained.
        config: how.
        group: the processes that train it.
        folder: where checkpoint.pt and log.csv are; None keeps nothing on disk.

    Raises:
        DamagedCheckpoint: if there is a checkpoint.pt in folder that cannot be continued.
    """

    def __init__(
        self, model: nn.Module, config: TrainingConfig, group: Processes, folder: Path | None
    ) -> None:
        self.model, self.config, self.group, self.folder = model, config, group, folder
        self.optimiser = adamw(model, weight_decay=config.weight_decay)
        scales = config.precision == "fp16"
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=scales)
        self.rows: list[Row] = []
        self.best = math.inf
        self.stale = 0
        if folder is not None and (folder / "checkpoint.pt").exists():
            self._load(folder / "checkpoint.pt")

    @property
    def step(self) -> int:
        """Updates done so far."""
        return len(self.rows)

    @property
    def gave_up(self) -> bool:
        """True when as many validations in a row as patience allows brought nothing."""
        return self.config.patience is not None and self.stale >= self.config.patience

    @property
    def finished(self) -> bool:
        """True when there is no step left to do."""
        return self.gave_up or self.step >= self.config.num_steps

    @property
    def skipped(self) -> int:
        """Updates in a row, up to the last one, that fp16's scaler did not make."""
        rows = reversed(self.rows)
        return sum(1 for _ in takewhile(lambda row: not math.isfinite(row["grad_norm"]), rows))

    def begin_step(self, step: int) -> float:
        """Set rate and random seed for this step; the rate.

        What a step draws (dropout, say) depends on seed, step and process only, so a resumed run
        draws what an unbroken one would have drawn.
        """
        rate = self.config.rate(step)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        torch.manual_seed(seed_from(self.config.seed, step, self.group.rank))
        self.model.train()
        return rate

    def divide_gradients(self, tokens: Tensor) -> None:
        """Turn gradients of a summed loss into those of the mean over all tokens.

        Raises:
            ValueError: if there are several processes, and a parameter without a gradient.
        """
        if self.group.count > 1:
            self._require_gradients()
        self.scaler.unscale_(self.optimiser)
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                # With several processes DDP has averaged over them; wanted is their sum.
                parameter.grad.mul_(self.group.count / tokens)

    def note(self, *, step: int, loss: Tensor, rate: float, grad_norm: Tensor) -> None:
        """Add one row to the log.

        Raises:
            FloatingPointError: if the loss is infinite or not a number, or the gradient is; but
                the scaler of fp16 skips an update whose gradient is, MAX_SKIPPED in a row.
        """
        row: Row = {"step": step, "loss": float(loss), "rate": rate, "grad_norm": float(grad_norm)}
        watched = ("loss",) if self.scaler.is_enabled() else ("loss", "grad_norm")
        for name in watched:
            if not math.isfinite(row[name]):
                raise FloatingPointError(f"the {name} of step {step} is {row[name]}; {ADVICE}")
        self.rows.append(row)
        if self.skipped == MAX_SKIPPED:
            raise FloatingPointError(
                f"the grad_norm of {MAX_SKIPPED} steps in a row is not finite, {row['grad_norm']} "
                f"in step {step}: no update was made; {ADVICE}"
            )

    def note_validation(self, loss: float) -> None:
        """Add a measured validation loss to the last row."""
        self.rows[-1]["validation_loss"] = loss
        self.stale = 0 if loss < self.best else self.stale + 1
        self.best = min(self.best, loss)

    def save(self) -> None:
        """Write checkpoint.pt and log.csv; only the process that writes does."""
        if self.folder is None or not self.group.writes:
            return
        state = {
            "model": self.model.state_dict(),
            "trained": self._trained(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rows": self.rows,
            "best": self.best,
            "stale": self.stale,
        }
        checkpoints.save(self.folder / "checkpoint.pt", state)
        with checkpoints.whole_or_absent(self.folder / "log.csv") as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            writer = csv.DictWriter(text, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
            text.detach()

    def require_updates(self) -> None:
        """Raise FloatingPointError if fp16's scaler skipped every update there was."""
        if self.rows and self.skipped == len(self.rows):
            raise FloatingPointError(
                f"the grad_norm of all {self.step} steps is not finite: no update was made; "
                f"{ADVICE}"
            )

    def progress_bar(self, show: bool) -> "tqdm[Any]":
        """A bar over the steps, shown by the process that writes."""
        return tqdm(
            total=self.config.num_steps,
            initial=self.step,
            unit="step",
            disable=not (show and self.group.writes),
        )

    def _load(self, path: Path) -> None:
        state = checkpoints.load(path)
        if not isinstance(state, dict) or not state.keys() >= STATE:
            raise checkpoints.DamagedCheckpoint(
                f"{path} holds no training that could be continued: it needs {sorted(STATE)}"
            )
        try:
            _require_same("model", _kinds(state["model"]), _kinds(self.model.state_dict()))
            _require_same("parameters trained", *map(_grouped, (state["trained"], self._trained())))
            self.optimiser.load_state_dict(state["optimiser"])
            if state["scaler"]:  # empty unless it was in fp16; the scale then is found anew
                self.scaler.load_state_dict(state["scaler"])
            self.rows, self.best, self.stale = list(state["rows"]), state["best"], state["stale"]
            self.model.load_state_dict(state["model"])  # last: refused, it stays as it is
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
            raise checkpoints.DamagedCheckpoint(
                f"{path} holds another training than this one: {error}; give another folder, or "
                "delete it to start from the beginning"
            ) from error

    def _trained(self) -> list[list[str]]:
        """The names of the parameters that the optimiser moves, in its groups and order."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return [[names[id(p)] for p in group["params"]] for group in self.optimiser.param_groups]

    def _require_gradients(self) -> None:
        without = [
            n for n, p in self.model.named_parameters() if p.requires_grad and p.grad is None
        ]
        if without:
            raise ValueError(
                f"no gradient reaches {', '.join(without)}, and several processes wait for one of "
                "every parameter: freeze what the loss does not depend on, requires_grad_(False)"
            )


def _kinds(state: dict[str, Tensor]) -> dict[str, str]:
    return {name: f"{tuple(t.shape)} in {t.dtype}" for name, t in state.items()}


def _grouped(groups: list[list[str]]) -> dict[str, str]:
    return {
        name: f"{i} of group {g}" for g, names in enumerate(groups) for i, name in enumerate(names)
    }


def _require_same(what: str, saved: dict[str, str], here: dict[str, str]) -> None:
    for name in sorted(saved.keys() | here.keys()):
        if saved.get(name) != here.get(name):
            raise ValueError(
                f"of the {what}, {name} is {saved.get(name, 'missing')} there and "
                f"{here.get(name, 'missing')} here"
            )


class CtrlC:
    """While this is open, the first Ctrl-C only asks; a second one interrupts at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._listens = threading.current_thread() is threading.main_thread()
        if self._listens:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._listens:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        # Where Ctrl-C was ignored (a job in the background of a shell) the second one still counts.
        heard = callable(self._before)
        signal.signal(signal.SIGINT, self._before if heard else signal.default_int_handler)


@contextmanager
def forked_rng(device: torch.device) -> Iterator[None]:
    """Random numbers of torch drawn in here do not move the caller's."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
