"""Checkpoint files: whole or absent, and honest about damage."""

import os
import random
import re
import subprocess
import sys
import textwrap

import pytest
import torch

from minitx.training import DamagedCheckpoint, checkpoints


def state(number):
    return {"model": {"weight": torch.full((997, 211), float(number))}, "number": number}


def assert_whole(path, *, number):
    read = checkpoints.load(path)
    assert (read["model"]["weight"] == number).all() and read["number"] == number


def test_what_is_saved_is_loaded(tmp_path):
    saved = {
        "model": {"a": torch.randn(3, 5), "b": torch.arange(7), "c": torch.tensor(1.5).bfloat16()},
        "rows": [{"step": 1, "loss": 0.1}],
        "best": float("inf"),
    }
    path = tmp_path / "new" / "checkpoint.pt"
    checkpoints.save(path, saved)
    read = checkpoints.load(path)
    assert {k: v for k, v in read.items() if k != "model"} == {
        k: v for k, v in saved.items() if k != "model"
    }
    for name, tensor in saved["model"].items():
        assert (
            torch.equal(read["model"][name], tensor) and read["model"][name].dtype == tensor.dtype
        )
    assert os.listdir(path.parent) == ["checkpoint.pt"]


def test_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError):
        checkpoints.load(tmp_path / "checkpoint.pt")


# One process that has loaded torch, and children of it, each killed while it saves.
CHILDREN = """
    import os, random, signal, sys, time
    from pathlib import Path
    import torch
    from minitx.training import checkpoints

    path = Path(sys.argv[1])
    states = [
        {"model": {"weight": torch.full((997, 211), float(i))}, "number": i} for i in range(9)
    ]
    write = torch.save

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def half(state, file):
        write(state, file)
        file.truncate(file.tell() // 2)
        file.flush()
        die()

    def kill_one(moment):
        started, start = os.pipe()
        child = os.fork()
        if child == 0:
            if moment == "nothing written":
                torch.save = die
            elif moment == "half written":
                torch.save = half
            elif moment == "written":
                os.fsync = die
            elif moment == "before it is put in place":
                Path.replace = die
            for i in range(10**9):
                checkpoints.save(path, states[i % 9])
                if i == 0:
                    os.write(start, b"1")
        if moment == "any":
            os.read(started, 1)
            time.sleep(random.uniform(0.002, 0.03))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        unfinished = path.with_name(path.name + ".unfinished").exists()
        number = None
        if path.exists():
            read = checkpoints.load(path)
            number = read["number"]
            assert torch.equal(read["model"]["weight"], states[number]["model"]["weight"])
        print(moment, unfinished, number, sep=", ")

    moments = ("nothing written", "half written", "written", "before it is put in place")
    random.seed(0)
    for moment in moments:
        kill_one(moment)
    checkpoints.save(path, states[3])
    for moment in moments:
        kill_one(moment)
    for _ in range(40):
        kill_one("any")
"""


def test_killed_at_any_moment_the_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "checkpoint.pt"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILDREN), str(path)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = [tuple(line.split(", ")) for line in done.stdout.splitlines()]
    moments = ("nothing written", "half written", "written", "before it is put in place")
    assert seen[:4] == [(moment, "True", "None") for moment in moments]
    assert seen[4:8] == [(moment, "True", "3") for moment in moments]
    assert len(seen[8:]) == 40 and ("any", "True") in {line[:2] for line in seen[8:]}
    checkpoints.save(path, state(5))
    assert_whole(path, number=5)
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def test_a_failed_save_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save(path, state(3))
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save(path, {"cannot be stored": lambda: None})
    assert_whole(path, number=3)
    assert os.listdir(tmp_path) == ["checkpoint.pt"]


def damaged(whole, kind, draw):
    if kind == "cut":
        return whole[: draw.randrange(len(whole))]
    if kind == "junk":
        return draw.randbytes(draw.randrange(300))
    changed = bytearray(whole)
    place = draw.randrange(len(whole) - 64)
    if kind == "one bit":
        changed[place] ^= 1 << draw.randrange(8)
    else:
        changed[place : place + 64] = bytes(64)
    return bytes(changed)


@pytest.mark.parametrize("kind", ["cut", "junk", "one bit", "hole"])
def test_damage_is_noticed(tmp_path, kind):
    """Whatever is wrong with a file: it is refused with one error, or nothing was lost."""
    path = tmp_path / "checkpoint.pt"
    draw = random.Random(0)
    weight = torch.randn(31, 37)
    checkpoints.save(path, {"weight": weight, "rows": [1, 2, 3]})
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        path.write_bytes(damaged(whole, kind, draw))
        try:
            read = checkpoints.load(path)
        except DamagedCheckpoint:
            refused += 1
        else:  # gaps between the parts of the archive mean nothing
            assert torch.equal(read["weight"], weight) and read["rows"] == [1, 2, 3]
    assert refused > 100


def test_the_words_of_a_damaged_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"not this")
    text = f"{path} is not a whole checkpoint (BadZipFile); delete it to start from the beginning"
    with pytest.raises(DamagedCheckpoint, match=f"^{re.escape(text)}$"):
        checkpoints.load(path)


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Wicked:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "was here"),))

    torch.save({"model": Wicked()}, tmp_path / "checkpoint.pt")
    with pytest.raises(DamagedCheckpoint, match=r"UnpicklingError"):
        checkpoints.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "was here").exists()
