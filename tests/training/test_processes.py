"""Training in processes of its own: killed, interrupted, and two at once."""

import json
import multiprocessing
import os
import re
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT, SIGKILL

import pytest
import torch

from minitx.training import Processes, checkpoints, processes, train

from . import toy

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))

# Each child is a process of its own, forked from one that has imported torch and done nothing:
# starting them from nothing would take seconds each.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["minitx.models.gpt", "minitx.training", "torch._dynamo"])


def started(tmp_path, *, name="log", **settings):
    """The toy training as a process, not waited for."""
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in settings.items()
    }
    settings["log"] = str(tmp_path / name)
    child = CONTEXT.Process(
        target=runpy.run_path, args=(toy.__file__, {"SETTINGS": settings}, "__main__")
    )
    child.start()
    return child


def ended(tmp_path, child, *, name="log"):
    """Exit status and all that was printed."""
    child.join(timeout=600)
    child.kill()  # one that waits for ever fails its test, and holds up nothing else
    child.join()
    log = tmp_path / name
    return child.exitcode, log.read_text(encoding="utf-8") if log.exists() else ""


def both_ended(tmp_path, *, port, first=None, **settings):
    """Two processes that know each other, as torchrun would start them; `first` is for rank 0."""
    address = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    children = [
        started(
            tmp_path, name=f"log.{rank}", environment={**address, "RANK": str(rank)},
            **settings, **(first or {} if rank == 0 else {}),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    return [ended(tmp_path, child, name=f"log.{rank}") for rank, child in enumerate(children)]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def here(*, dropout=0.1, core="FusedAttention", validation=False, **changes):
    model = toy.new_model(dropout=dropout, core=core)
    rows = train(
        model, toy.loss_sum, toy.batch_at, toy.config(**changes), group=ALONE, progress=False,
        validation=toy.VALIDATION if validation else (),
    )  # fmt: skip
    return model.state_dict(), rows


def result(out, rank=0):
    read = torch.load(f"{out}.{rank}")
    return read["model"], read["rows"], read["taken"]


def assert_same_bits(one, other):
    assert one[1] == other[1]
    assert all(torch.equal(one[0][name], other[0][name]) for name in one[0])


def test_killed_and_resumed_in_another_process_bit_for_bit(tmp_path):
    folder, out = tmp_path / "run", tmp_path / "out"
    status, said = ended(tmp_path, started(tmp_path, folder=folder, signal_at=(7, SIGKILL)))
    assert status == -SIGKILL, said
    assert len(checkpoints.load(folder / "checkpoint.pt")["rows"]) == 6
    status, said = ended(tmp_path, started(tmp_path, folder=folder, out=out))
    assert status == 0, said
    state, rows, taken = result(out)
    assert taken == [6, 7, 8, 9, 10]
    assert_same_bits((state, rows), here())


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c(tmp_path, presses):
    """One ends the step, saves and stops; two do not wait for the step to end."""
    go_on = tmp_path / "go on"
    child = started(tmp_path, folder=tmp_path / "run", wait_at=7, until=go_on)
    log = tmp_path / "log"
    while child.is_alive() and not (log.exists() and "waiting" in log.read_text(encoding="utf-8")):
        time.sleep(0.05)
    os.kill(child.pid, SIGINT)
    if presses == 1:
        go_on.touch()
    else:
        time.sleep(0.5)
        assert child.is_alive()  # it was only asked
        os.kill(child.pid, SIGINT)
    status, said = ended(tmp_path, child)
    assert status not in (0, None, -SIGKILL)  # it ended by itself: nobody lets it go on
    told = "KeyboardInterrupt: stopped after step 8; run it again to continue"
    assert (told in said) == (presses == 1) and "KeyboardInterrupt" in said
    saved = checkpoints.load(tmp_path / "run" / "checkpoint.pt")
    assert len(saved["rows"]) == (8 if presses == 1 else 6)


TWO = {"dropout": 0.0, "validation": True, "validate_every": 4}


@pytest.mark.slow
def test_torchrun_two_processes_equal_one(tmp_path):
    """Two processes with a batch each, or one with two batches for each step."""
    settings = {**TWO, "folder": str(tmp_path / "run"), "out": str(tmp_path / "out")}
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
            toy.__file__, json.dumps({**settings, "progress": True}),
        ],
        capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    state, rows = here(accumulation_steps=2, **TWO)
    for rank in (0, 1):
        got_state, got_rows, taken = result(tmp_path / "out", rank)
        assert taken == list(range(rank, 22, 2))  # each its own batches
        assert len(got_rows) == 11
        # float32; the processes add the same numbers in another order, and Adam amplifies what
        # noise there is in weights with next to no gradient.
        for got, want in zip(got_rows, rows, strict=True):
            assert got == pytest.approx(want, rel=1e-4)
        for name in state:
            torch.testing.assert_close(got_state[name], state[name], rtol=1e-3, atol=2e-4)
    assert_same_bits(result(tmp_path / "out", 0), result(tmp_path / "out", 1))
    assert sorted(os.listdir(tmp_path / "run")) == ["checkpoint.pt", "log.csv"]
    assert len(re.findall(" 0/11", done.stderr)) == 1  # one bar, of the process that writes


@pytest.mark.parametrize("core", toy.CORES)
def test_two_processes_give_the_gradients_of_one(core, tmp_path, port):
    """With SGD-like exactness: the first step's gradient norm, with accumulation on top.

    The second step is there because it is the one that waits for gradients that never came.
    """
    said = both_ended(tmp_path, port=port, out=tmp_path / "out", accumulation_steps=3, num_steps=2,
                      dropout=0.0, core=core)  # fmt: skip
    assert [status for status, _ in said] == [0, 0], said
    _, rows = here(accumulation_steps=6, num_steps=1, dropout=0.0, core=core)
    for rank in (0, 1):
        got = result(tmp_path / "out", rank)
        assert got[2] == [rank, rank + 2, rank + 4, rank + 6, rank + 8, rank + 10]
        assert got[1][0] == pytest.approx(rows[0], rel=1e-6)  # float32, another order of sums


def test_two_processes_stop_together_and_resume_bit_for_bit(tmp_path, port):
    """Ctrl-C reaches one of them only; the other must not wait for it for ever."""
    folder = tmp_path / "run"
    first = {"signal_at": (8, SIGINT)}
    said = both_ended(tmp_path, port=port, folder=folder, first=first)
    told = "KeyboardInterrupt: stopped after step 5; run it again to continue"
    assert all(status == 1 and told in words for status, words in said), said
    assert len(checkpoints.load(folder / "checkpoint.pt")["rows"]) == 5
    said = both_ended(tmp_path, port=port, folder=folder, out=tmp_path / "out")
    assert [status for status, _ in said] == [0, 0], said
    said = both_ended(tmp_path, port=port, out=tmp_path / "straight")
    assert [status for status, _ in said] == [0, 0], said
    for rank in (0, 1):
        assert_same_bits(result(tmp_path / "out", rank), result(tmp_path / "straight", rank))


def test_a_parameter_that_no_gradient_reaches_is_named_in_the_first_step(tmp_path, port):
    """Where torch says in the second that something was wrong in the first."""
    folder = tmp_path / "run"
    said = both_ended(tmp_path, port=port, folder=folder, unused=True, save_every=1)
    text = (
        "ValueError: no gradient reaches unused.weight, unused.bias, and several processes wait for"
        " one of every parameter: freeze what the loss does not depend on, requires_grad_(False)"
    )
    assert all(status == 1 and text in words for status, words in said), said
    assert not folder.exists()  # not one step was done


def test_alone_a_parameter_may_stay_without_a_gradient():
    rows = train(
        toy.new_model(unused=True), toy.loss_sum, toy.batch_at, toy.config(num_steps=2),
        group=ALONE, progress=False,
    )  # fmt: skip
    assert len(rows) == 2


def test_alone_there_is_no_group():
    with processes() as group:
        assert (group.rank, group.count, group.writes) == (0, 1, True)
        assert float(group.total(torch.tensor(3.0))) == 3.0
        assert group.any(True) and not group.any(False)
        assert not torch.distributed.is_initialized()
    with processes("cpu") as group:
        assert group.device == torch.device("cpu")
    assert not Processes(rank=1, count=2, device=torch.device("cpu")).writes
