"""One seed from several numbers, and where it is drawn from."""

import itertools
import subprocess
import sys

import torch

from minitx.data.batching import generator
from minitx.seeds import seed_from
from minitx.training import Processes
from minitx.training.run import Run

from . import toy


def test_no_two_settings_share_a_seed():
    numbers = range(-3, 4)
    settings = [*itertools.product(numbers, repeat=2), *itertools.product(numbers, repeat=3)]
    settings += [(12, 3), (1, 23), (123,), (2**80, 0), (2**80 + 1, 0)]
    seeds = [seed_from(*setting) for setting in settings]
    assert len(set(seeds)) == len(settings)
    assert all(0 <= seed < 2**64 for seed in seeds)
    # The CPU's generator looks at the lower half only.
    assert len({seed % 2**32 for seed in seeds}) == len(settings)


def test_a_seed_is_the_same_in_every_process():
    code = "from minitx.seeds import seed_from; print(seed_from(7, -1))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) == seed_from(7, -1)


def test_batches_of_neighbouring_seeds_differ():
    """Python's hash takes -1 for -2."""
    drawn = [torch.rand(5, generator=generator(seed, 3)).tolist() for seed in (-2, -1, 0, 1)]
    assert len({tuple(numbers) for numbers in drawn}) == 4


def drawn_in_step(*, seed, step, rank):
    group = Processes(rank=rank, count=3, device=torch.device("cpu"))
    run = Run(toy.new_model(), toy.config(seed=seed), group, None)
    with torch.random.fork_rng(devices=[]):
        run.begin_step(step)
        return tuple(torch.rand(5).tolist())


def test_seed_step_and_process_each_draw_their_own_dropout():
    settings = [
        {"seed": seed, "step": step, "rank": rank}
        for seed in (-2, -1, 0) for step in (1, 2) for rank in (0, 1, 2)
    ]  # fmt: skip
    assert len({drawn_in_step(**setting) for setting in settings}) == len(settings)
    assert drawn_in_step(**settings[0]) == drawn_in_step(**settings[0])
