"""What checkpointing saves and costs: bytes kept after the forward pass, and time."""

import torch
from torch import Tensor

from minitx.measure.memory import kept_for_backward
from minitx.measure.table import Table
from minitx.models.gpt import GPT, GPTConfig
from minitx.training import checkpoint_activations


def bytes_kept(num_layers: int, *, recompute: bool, T: int = 64) -> int:
    """Bytes that a small GPT keeps for the backward pass of one text."""
    model, token_ids = _gpt(num_layers, T)
    checkpoint_activations(model, recompute=recompute)
    return kept_for_backward(lambda: model(token_ids))


def gradients(num_layers: int, *, recompute: bool, T: int = 64) -> list[Tensor]:
    """Of all its parameters, with dropout: random numbers are drawn again as they were."""
    model, token_ids = _gpt(num_layers, T)
    checkpoint_activations(model, recompute=recompute)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model(token_ids).logsumexp(dim=-1).mean().backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def table(depths: tuple[int, ...] = (2, 4, 8, 16)) -> Table:
    """Bytes kept at each depth, all of them and with checkpoints, and whether gradients agree."""
    rows = []
    for depth in depths:
        every, few = (bytes_kept(depth, recompute=recompute) for recompute in (False, True))
        one, other = (gradients(depth, recompute=recompute) for recompute in (False, True))
        same = all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        rows.append([depth, every / 2**20, few / 2**20, str(same)])
    columns = ["blocks", "all kept, MiB", "inputs only, MiB", "same gradients"]
    return Table(columns, rows, ["d", ".1f", ".2f", ""])


def _gpt(num_layers: int, T: int) -> tuple[GPT, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GPTConfig(
            vocab_size=16, max_len=T, d_model=64, num_heads=4, num_layers=num_layers, dropout=0.1
        )
        return GPT(config).train(), torch.randint(16, (1, T))
