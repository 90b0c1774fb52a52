"""Peak memory: of one call, in a process of its own."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from minitx.bench import memory
from minitx.bench.memory import FailedMeasurement

from .contests import between_layers

CPU = torch.device("cpu")
LINUX = pytest.mark.skipif(not memory.CLEAR_REFS.exists(), reason="the mark is lowered by /proc")


def taking(floats):
    """A call that needs so many floats, and keeps none."""

    def start(module):
        def prepare(inputs):
            def call():
                (torch.ones(floats) + 1).sum()
                return (module(inputs[0]),)

            return call

        return prepare

    return start


@LINUX
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_the_peak_of_a_call(side):
    """Two tensors of 40 MB live at once; what was taken before does not hide them."""
    torch.ones(50_000_000).sum()  # raises the mark
    contest = between_layers(**{f"start_{side}": taking(10_000_000)})
    # Pages and small things come on top, up to a few MB.
    assert memory.extra_bytes(contest, side, CPU) == pytest.approx(80e6, rel=0.1)
    other = "theirs" if side == "ours" else "ours"
    assert memory.extra_bytes(contest, other, CPU) < 8e6


CALLS = """
import torch
from minitx.bench import memory

kept = []

def call():
    pieces = [torch.ones(250_000) for _ in range(40)]
    kept.append(torch.ones(250_000))
    return pieces

print(*[memory.peak(call, torch.device("cpu")) for _ in range(4)])
"""


@LINUX
def test_the_peak_of_a_second_call():
    """It could use again what the first has freed; what is kept lets it not go back by itself.

    In a process of its own, as it is measured: here a collection of what earlier tests left
    could free in the call more than the call takes. The first call loads code as well.
    """
    command = [sys.executable, "-c", CALLS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, *later = map(int, done.stdout.split())
    # 41 MB; pages and small things come on top.
    assert later == pytest.approx([41e6] * 3, rel=0.1)


def test_only_one_side_is_made():
    contest = between_layers(make_theirs=lambda: pytest.fail("the other side was made"))
    assert memory.extra_bytes(contest, "ours", CPU) >= 0


def test_what_is_made_before_does_not_count():
    def large():
        layer = nn.Linear(5, 7)
        layer.register_buffer("ballast", torch.ones(10_000_000))
        return layer

    contest = between_layers(make_ours=large)
    assert memory.extra_bytes(contest, "ours", CPU) < 30e6


def test_without_proc_the_system_is_asked(monkeypatch, tmp_path):
    import resource

    monkeypatch.setattr(memory, "STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "none")
    memory.lower_mark(CPU)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.setattr(sys, "platform", "linux")
    assert memory.mark(CPU) == rss * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.mark(CPU) == rss


def test_a_process_of_its_own():
    name = "attention, forward and backward"
    got = memory.in_fresh_process(name, "ours", CPU, "quick")
    # B·T·C float32 = 32 KB, some thirty of them; loading libraries would take 40 MB.
    assert 0 <= got < 5e6


def test_a_process_that_fails_is_reported():
    with pytest.raises(
        FailedMeasurement, match=r"^the memory of no such contest \(ours\) could not"
    ):
        memory.in_fresh_process("no such contest", "ours", CPU, "quick")


def test_a_process_that_says_nothing_is_reported(monkeypatch):
    silent = subprocess.CompletedProcess([], 0, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: silent)
    with pytest.raises(FailedMeasurement, match="could not be measured: it said nothing"):
        memory.in_fresh_process("a", "theirs", CPU, "quick")
