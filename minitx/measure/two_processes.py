"""The same short training by one process and by several: `torchrun` on this machine.

Also the program that it starts: `torchrun … -m minitx.measure.two_processes FILE`.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from minitx.data.batching import generator
from minitx.models.gpt import GPT, GPTConfig
from minitx.training import TrainingConfig, label_smoothed_cross_entropy, processes, train

BATCHES = 2
"""Per update, shared by the processes."""


def weights(count: int) -> dict[str, Tensor]:
    """What a small GPT has learned after three updates of two batches each.

    Args:
        count: processes; one takes both batches, two take one each.

    Raises:
        RuntimeError: if the processes fail, with their last words.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder, "weights.pt")
        program = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        program += [f"--nproc-per-node={count}", "-m", "minitx.measure.two_processes", str(file)]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the processes failed: {done.stderr.strip()[-500:]}")
        state: dict[str, Tensor] = torch.load(file, weights_only=True)
        return state


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference between any two weights.

    >>> apart({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([1.0, 2.5])})
    0.5
    """
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def untrained() -> GPT:
    """The GPT before its first update."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GPTConfig(
            vocab_size=16, max_len=16, d_model=32, num_heads=4, num_layers=2, dropout=0.0
        )
        return GPT(config)


def batch_at(number: int) -> Tensor:
    """A batch of four texts; their length is 9, 10 or 11, by its number."""
    return torch.randint(16, (4, 9 + number % 3), generator=generator(0, number))


def loss_sum(model: nn.Module, token_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Of all next tokens: the sum of their losses, and how many there are."""
    targets = token_ids[:, 1:]
    loss = label_smoothed_cross_entropy(model(token_ids[:, :-1]), targets, reduction="sum")
    return loss, torch.tensor(targets.numel())


def _main(file: str) -> None:
    model = untrained()
    with processes("cpu") as group:
        config = TrainingConfig(
            num_steps=3, rate=lambda step: 1e-3, accumulation_steps=BATCHES // group.count
        )
        train(model, loss_sum, batch_at, config, group=group, progress=False)
        if group.writes:
            torch.save(model.state_dict(), file)


if __name__ == "__main__":
    _main(sys.argv[1])
