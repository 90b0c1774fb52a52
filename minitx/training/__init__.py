"""Training: schedules, losses, one visible loop, checkpoints that survive."""

from minitx.targets import IGNORE
from minitx.training.checkpoints import DamagedCheckpoint
from minitx.training.config import TrainingConfig
from minitx.training.loop import LossSum, mean_loss, train
from minitx.training.losses import label_smoothed_cross_entropy
from minitx.training.memory import recompute_activations
from minitx.training.optimiser import adamw, decay_groups
from minitx.training.processes import Processes, processes
from minitx.training.schedules import cosine_rate, noam_rate

__all__ = [
    "IGNORE",
    "DamagedCheckpoint",
    "LossSum",
    "Processes",
    "TrainingConfig",
    "adamw",
    "cosine_rate",
    "decay_groups",
    "label_smoothed_cross_entropy",
    "mean_loss",
    "noam_rate",
    "processes",
    "recompute_activations",
    "train",
]
