"""Who hears whom: what changes in the outputs when one token's input changes."""

from collections.abc import Callable

import torch
from torch import Tensor


def influence(f: Callable[[Tensor], Tensor], x: Tensor, *, change: float = 1.0) -> Tensor:
    """How far each output moves when one token's input rises by `change`.

        moved[i, j] = mean over all components of |f(x with row j raised) - f(x)|, row i

    Args:
        f: from (T, …) to (T, …), the first axis being the tokens in both.
        x: (T, …).
        change: what is added to every component of token j.

    Returns:
        (T, T): rows are output tokens, columns the token that was changed.

    >>> influence(lambda x: x.cumsum(dim=0), torch.zeros(3, 2))        # each hears those before
    tensor([[1., 0., 0.],
            [1., 1., 0.],
            [1., 1., 1.]])
    """
    before = f(x)
    columns = []
    for j in range(len(x)):
        raised = x.clone()
        raised[j] += change
        columns.append((f(raised) - before).abs().flatten(1).mean(dim=1))
    return torch.stack(columns, dim=1)
