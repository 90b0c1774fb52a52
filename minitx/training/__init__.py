"""Training: schedules, losses, one visible loop, checkpoints that survive."""

from minitx.masks import IGNORE
from minitx.training.activation_checkpointing import checkpoint_activations
from minitx.training.checkpoints import DamagedCheckpoint
from minitx.training.config import TrainingConfig
from minitx.training.loop import LossSum, mean_loss, train
from minitx.training.losses import label_smoothed_cross_entropy
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
    "checkpoint_activations",
    "cosine_rate",
    "decay_groups",
    "label_smoothed_cross_entropy",
    "mean_loss",
    "noam_rate",
    "processes",
    "train",
]
