"""A small training with everything in it: dropout, padding, batches of unequal token counts.

Also a program, for tests that need a process of their own: `python toy.py '{"folder": …}'`.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import torch

from minitx.cores import FusedAttention, Reformer
from minitx.models.gpt import GPT, GPTConfig
from minitx.training import (
    IGNORE,
    TrainingConfig,
    label_smoothed_cross_entropy,
    noam_rate,
    processes,
    train,
)

VOCABULARY, LENGTH, BATCH = 11, 7, 3


CORES = {
    "FusedAttention": FusedAttention,
    "Reformer": partial(Reformer, 5, num_buckets=2, chunk_size=3),
}


def new_model(*, dropout=0.1, seed=0, core="FusedAttention", unused=False):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT(
            GPTConfig(
                vocab_size=VOCABULARY,
                max_len=LENGTH,
                d_model=10,
                num_heads=2,
                num_layers=2,
                d_ff=13,
                dropout=dropout,
                core=CORES[core],
            )
        )
        if unused:
            model.unused = torch.nn.Linear(3, 5)
        return model


def batch_at(number):
    """Texts in which 3·t + 1 follows t, each of a length of its own."""
    random = torch.Generator().manual_seed(number)
    tokens = [torch.randint(VOCABULARY, (BATCH,), generator=random)]
    for _ in range(LENGTH):
        tokens.append((3 * tokens[-1] + 1) % VOCABULARY)
    text = torch.stack(tokens, dim=1)
    lengths = torch.randint(1, LENGTH + 1, (BATCH, 1), generator=random)
    return text[:, :-1], text[:, 1:].masked_fill(torch.arange(LENGTH) >= lengths, IGNORE)


def loss_sum(model, batch):
    token_ids, targets = batch
    loss = label_smoothed_cross_entropy(model(token_ids), targets, smoothing=0.1, reduction="sum")
    return loss, (targets != IGNORE).sum()


def rate(step):
    return noam_rate(step, 10, 5)


def config(**changes):
    settings = {"num_steps": 11, "rate": rate, "weight_decay": 0.1, "save_every": 3}
    return TrainingConfig(**{**settings, **changes})


VALIDATION = [batch_at(10_000 + i) for i in range(3)]


def main(
    *,
    folder=None,
    out=None,
    log=None,
    environment=None,
    dropout=0.1,
    core="FusedAttention",
    unused=False,
    validation=False,
    progress=False,
    signal_at=None,
    wait_at=None,
    until=None,
    **changes,
):
    """Train; `signal_at` is the number of a batch and the signal that the process sends itself."""
    os.environ.update(environment or {})
    if log is not None:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream.fileno())
    torch.set_num_threads(1)
    taken = []

    def batches(number):
        taken.append(number)
        if signal_at is not None and number == signal_at[0]:
            os.kill(os.getpid(), signal_at[1])
        if wait_at is not None and number >= wait_at:
            print("waiting", flush=True)
            while not Path(until).exists():
                time.sleep(0.01)
        return batch_at(number)

    model = new_model(dropout=dropout, core=core, unused=unused)
    with processes("cpu") as group:
        rows = train(
            model,
            loss_sum,
            batches,
            config(**changes),
            group=group,
            folder=None if folder is None else Path(folder),
            validation=VALIDATION if validation else (),
            progress=progress,
        )
    if out is not None:
        state = {"model": model.state_dict(), "rows": rows, "taken": taken}
        torch.save(state, f"{out}.{group.rank}")


if __name__ == "__main__":
    main(**(globals().get("SETTINGS") or json.loads(sys.argv[1])))
