"""Contests between two linear layers, small enough for a test; one of them can be broken."""

import torch
from torch import nn

from minitx.bench.contest import Contest
from minitx.bench.models import forward


def between_layers(**changes):
    def copy_weights(ours, theirs):
        ours.load_state_dict(theirs.state_dict())

    settings = {
        "name": "a layer",
        "peer": "the same",
        "tokens": 3,
        "make_ours": lambda: nn.Linear(5, 7),
        "make_theirs": lambda: nn.Linear(5, 7),
        "copy_weights": copy_weights,
        "start_ours": forward(lambda module, x: module(x)),
        "start_theirs": forward(lambda module, x: module(x)),
        "inputs": lambda random: (
            torch.randn(3, 5, generator=random),
            torch.randn(3, 7, generator=random),
        ),
    }
    return Contest(**{**settings, **changes})
