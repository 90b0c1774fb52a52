"""The whole benchmark: once, interrupted, again; and the command."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from minitx.bench import memory, models, report, run
from minitx.bench.contest import Unequal
from minitx.bench.models import Sizes
from minitx.cli import cli

from .contests import between_layers

CPU = torch.device("cpu")
THREE = [between_layers(name=name) for name in ("first", "second", "third")]


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    sizes = {"ours": 1_000_000, "theirs": 2_000_000}
    monkeypatch.setattr(memory, "in_fresh_process", lambda name, side, *_: sizes[side])


def ran(path, contests=THREE, *, on_contest=lambda i, c: None):
    setup = report.set_up(CPU, "quick")
    return run.run(
        contests, path, setup, CPU, sizes="quick", seconds=0.0, min_rounds=2, on_contest=on_contest
    )


def test_all_contests_in_their_order(tmp_path):
    seen = []
    results = ran(tmp_path / "m.json", on_contest=lambda i, c: seen.append((i, c.name)))
    assert seen == [(0, "first"), (1, "second"), (2, "third")]
    assert [r.name for r in results] == ["first", "second", "third"]
    assert {(r.memory_ours, r.memory_theirs, r.peer) for r in results} == {
        (1_000_000, 2_000_000, "the same")
    }


def test_interrupted_it_goes_on_and_complete_it_begins_anew(tmp_path):
    path = tmp_path / "m.json"

    def interrupt(i, contest):
        if contest.name == "third":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran(path, on_contest=interrupt)
    first, second = report.load(path, report.set_up(CPU, "quick"))
    results = ran(path)
    assert results[:2] == [first, second]
    again = ran(path)
    assert all(one.timing != other.timing for one, other in zip(results, again, strict=True))


def test_what_was_measured_stays_when_a_contest_is_unequal(tmp_path):
    def wrong(module):
        return lambda inputs: lambda: (module(inputs[0]) + 1,)

    broken = [THREE[0], replace(THREE[1], start_ours=wrong)]
    with pytest.raises(Unequal):
        ran(tmp_path / "m.json", broken)
    assert [r.name for r in report.load(tmp_path / "m.json", report.set_up(CPU, "quick"))] == [
        "first"
    ]


# --- the command -----------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(cli, ["bench", "models", *arguments], catch_exceptions=False)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(models.SIZES, "quick", Sizes(2, 13, 12, 2, 1, 17, 11, 3))


@pytest.mark.slow
def test_the_command_writes_table_json_and_plot(tiny):
    answer = call("--quick", "--device", "cpu", "--only", "forward")
    assert answer.exit_code == 0, answer.output
    assert "torch.nn.MultiheadAttention" in answer.stdout
    assert "torch.nn.Transformer" in answer.stdout
    assert "Written: runs/bench/models.json, runs/bench/models.png" in answer.stdout
    assert Path("runs/bench/models.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads(Path("runs/bench/models.json").read_text())
    assert [r["name"] for r in content["results"]] == [
        f"{what}, {how}"
        for what in ("attention", "encoder-decoder")
        for how in ("forward", "forward and backward")
    ]
    other = call("--quick", "--device", "cpu", "--only", "cache")
    assert other.exit_code == 0
    assert len(json.loads(Path("runs/bench/models.json").read_text())["results"]) == 5


def test_an_inequality_is_said_plainly(tiny, monkeypatch):
    real = models.contests

    def broken(sizes):
        first, *rest = real(sizes)
        return [replace(first, tolerance=0.0), *rest]

    monkeypatch.setattr(models, "contests", broken)
    answer = call("--quick", "--device", "cpu", "--only", "attention")
    assert answer.exit_code == 1
    assert (
        "Error: attention, forward: minitx differs from torch.nn.MultiheadAttention in"
        in answer.stderr
    )
    assert not Path("runs/bench/models.json").exists()


def test_without_transformers_it_says_what_to_do(tiny, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    answer = call("--quick", "--device", "cpu")
    assert answer.exit_code == 1
    assert "Error: Comparing with transformers needs the package" in answer.stderr
    assert call("--quick", "--device", "cpu", "--only", "attention").exit_code == 0


def test_a_contest_that_does_not_exist(tiny):
    answer = call("--quick", "--device", "cpu", "--only", "chess")
    assert answer.exit_code == 2
    assert "no contest has 'chess' in its name: attention, forward, " in answer.stderr


def test_a_device_that_does_not_exist():
    answer = call("--quick", "--device", "abacus")
    assert answer.exit_code == 2
    assert "abacus cannot be used: " in answer.stderr
