"""Every core compiles into one graph, without a rule and with all that it honours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .contract import CORES

ROOT = Path(__file__).parents[2]
# In a process of its own, because the checked annotations cannot be compiled.
COMPILED = """
import torch
from tests.core import contract

T = 37
for name, case in contract.CORES.items():
    torch.manual_seed(0)
    core = [case.exact, *case.budgets][-1](T).double()
    *_, fullest = contract.masks_of(core, T)
    for mask in (contract.Mask(), fullest):
        torch.compiler.reset()
        compiled = torch.compile(core, backend="eager", fullgraph=True)
        x = contract.drawn(T)
        try:
            torch.testing.assert_close(compiled(*x, mask=mask), core(*x, mask=mask))
            print(name)
        except Exception as error:
            print(name, mask.rules, error)
"""


@pytest.mark.slow
def test_one_graph():
    answer = subprocess.run(
        [sys.executable, "-c", COMPILED],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split("\n")[:-1] == [name for name in CORES for _ in range(2)]
