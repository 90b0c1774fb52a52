"""`minitx bench attention --verify` and `python -m minitx.bench.gpu`."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from minitx.bench import gpu
from minitx.bench.attention import verify as attention_verify
from minitx.bench.attention.cases import FEATURES, GRIDS, LAYOUTS, Case, cases
from minitx.bench.attention.problem import Problem
from minitx.bench.attention.run import Outcome
from minitx.bench.attention.verify import Verdict, in_processes, name_of, verdict, verify
from minitx.cli import cli

from .attentions import once, plain, stand_in

CPU = torch.device("cpu")
EVERY = replace(GRIDS["cpu, quick"], every=1)


@pytest.fixture
def right(monkeypatch):
    stand_in(monkeypatch)


# --- cases ----------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_case_has_a_name_of_its_own(grid):
    names = [name_of(case) for case in cases(grid)]
    assert len(set(names)) == len(names)


def test_the_grid_has_everything():
    every = cases(GRIDS["cuda"])
    problems = [case.problem for case in every]
    assert {p.dtype for p in problems} == {"bfloat16", "float16", "float32"}
    sizes = {p.D for p in problems}
    assert {16, 256} <= sizes
    assert any(D & (D - 1) for D in sizes)
    assert {1, 65536} <= {p.T_q for p in problems}
    assert {case.layout for case in every} == {*LAYOUTS, "rows far apart"}
    assert {case.feature for case in every} == {*FEATURES, ""}
    assert any(p.T_q > p.T_k for p in problems if p.causal)
    assert any(0 in (p.key_lengths or ()) for p in problems)
    for dtype in ("bfloat16", "float16", "float32"):
        huge = [c for c in every if c.kind == "more than 2³¹ elements" and c.problem.dtype == dtype]
        assert [c.layout for c in huge] == ["contiguous", "rows far apart"]
        p = huge[0].problem
        assert p.B * p.H * p.T_q * p.D > 2**31


def test_every_layout_has_the_same_numbers():
    problem = Problem(2, 4, 2, 5, 5, 6, "float32")
    for layout in LAYOUTS:
        inputs = Case("strides", problem, layout).inputs(CPU)
        wanted = problem.inputs(0, CPU)
        for name, got, right in zip("qkvg", inputs, wanted, strict=True):
            if layout == "one sequence for all":
                right = right[:1].expand(right.shape)
            if layout != "one gradient for all" or name != "g":
                assert torch.equal(got, right), (layout, name)
    strides = {layout: Case("", problem, layout).inputs(CPU).q.stride() for layout in LAYOUTS}
    assert len(set(strides.values())) == 6  # shifted, and the gradient, are not to be seen in them
    assert Case("", problem, "shifted").inputs(CPU).q.storage_offset() == 1
    assert Case("", problem, "one gradient for all").inputs(CPU).grad.stride() == (0, 0, 0, 0)


def test_rows_far_apart_reach_beyond_32_bits():
    small = Problem(1, 2, 2, 3, 3, 8, "float32")
    inputs = Case("", small, "rows far apart").inputs(CPU)
    assert {x.stride() for x in inputs} == {
        (2**15 * 3 if x.size(0) > 1 else x.stride(0), 8, 2**15, 1) for x in inputs
    }
    assert len({float(x[0, 0, 0, 0]) for x in inputs}) == 4
    huge = next(c.problem for c in cases(GRIDS["cuda"]) if c.layout == "rows far apart")
    assert (huge.T_k - 1) * 2**15 >= 2**31


def test_what_does_not_fit_is_skipped(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (16e9, 16e9))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    many = Problem(513, 32, 4, 1024, 1024, 128, "float32")
    cuda = torch.device("cuda")
    assert attention_verify.lack_of_memory(many, cuda).endswith(" GB, 16 are free")
    assert not attention_verify.lack_of_memory(replace(many, B=2), cuda)


def test_work_is_shared_out():
    every = [c for c in cases(GRIDS["cuda"]) if c.kind not in attention_verify.LARGE]
    groups = attention_verify.by_compilation(every)
    assert sorted(name_of(case) for group in groups for case in group) == sorted(
        map(name_of, every)
    )
    assert all(len({(c.problem.dtype, c.problem.D) for c in group}) == 1 for group in groups)
    assert len(groups[0]) == max(map(len, groups)) == attention_verify.MOST


def test_as_many_processes_as_there_is_room_for(monkeypatch):
    assert attention_verify.processes_for(CPU) == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    for free, wanted in ((4e9, 1), (15e9, 1), (30e9, 3), (140e9, 8)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 141e9))
        assert attention_verify.processes_for(torch.device("cuda")) == wanted


# --- verdicts -------------------------------------------------------------------------------


@pytest.mark.parametrize("feature", ["", *FEATURES])
def test_what_is_right_passes(feature, monkeypatch):
    stand_in(monkeypatch, once if feature == "second derivative" else plain)
    for case in cases(EVERY):
        if case.feature == feature and (feature or case.problem.dtype == "float16"):
            found = verdict(case, CPU)
            assert not found.failed, found
            assert found.used < 0.8


def of_kind(kind, dtype="float32"):
    return [c for c in cases(EVERY) if c.kind == kind and c.problem.dtype == dtype]


MISTAKES = [
    ("lengths", {"top_left": True}),
    ("window", {"wider": 1}),
    ("key lengths", {"ignore_lengths": True}),
    ("head size", {"factor": 1.001}),
    ("strides", {"factor": 1.001}),
]


@pytest.mark.parametrize(("kind", "mistake"), MISTAKES)
def test_what_is_wrong_fails(kind, mistake, monkeypatch):
    stand_in(monkeypatch, partial(plain, **mistake))
    found = [verdict(case, CPU).failed for case in of_kind(kind)]
    assert any("output is wrong by " in failed for failed in found)


def failed(attention, kind, monkeypatch, feature=""):
    stand_in(monkeypatch, attention)
    case = next(c for c in of_kind(kind) if c.feature == feature)
    return verdict(case, CPU).failed


def test_two_runs_must_give_the_same_bits(monkeypatch):
    runs = iter(range(100))

    def moving(q, k, v, **options):
        return plain(q, k, v, **options) * (1 + next(runs) * 2e-7)

    assert "output differs between two runs" in failed(moving, "head size", monkeypatch)


def test_nothing_may_be_left_unwritten(monkeypatch):
    def lazy(q, k, v, **options):
        return plain(q, k, v, **options).index_fill(2, torch.tensor([0]), float("nan"))

    assert "output is wrong by nan" in failed(lazy, "head size", monkeypatch)


def test_lower_precision_is_wrong(monkeypatch):
    """As TF32 is, 10 bits of fraction in the products of float32."""

    def rounded(q, k, v, **options):
        return plain(*((x + x * 2**12) - x * 2**12 for x in (q, k)), v, **options)

    assert "output is wrong by " in failed(rounded, "head size", monkeypatch)


def test_an_error_is_a_verdict(monkeypatch):
    def refuses(q, k, v, **options):
        raise RuntimeError("out of resources\nshared memory")

    assert failed(refuses, "head size", monkeypatch) == "RuntimeError: out of resources"


def test_features_that_do_not_work(monkeypatch):
    def without_autocast(q, k, v, **options):
        with torch.autocast("cpu", enabled=False):
            return plain(q, k, v, **options)

    wrong = failed(without_autocast, "features", monkeypatch, "autocast")
    assert wrong == "the output is torch.float32, autocast's type is torch.bfloat16"

    def twice(q, k, v, **options):
        scores = q @ k.mT
        return scores.softmax(-1) @ v

    wrong = failed(twice, "features", monkeypatch, "second derivative")
    assert wrong == "a second derivative was not refused"

    def breaks(q, k, v, **options):
        torch._dynamo.graph_break()
        return plain(q, k, v, **options)

    assert failed(breaks, "features", monkeypatch, "torch.compile")
    calls = iter(range(100))

    def another_each_time(q, k, v, **options):
        return plain(q, k, v, **options) + next(calls)

    for feature in ("only v", "inference", "checkpoint"):
        wrong = failed(another_each_time, "features", monkeypatch, feature)
        assert ("another" in wrong) == (feature != "only v")  # dv is the same


def test_after_a_broken_device_nothing_is_tried(monkeypatch, right):
    def broken(device):
        raise RuntimeError("an illegal memory access was encountered\nmore")

    tried = []

    def dies(case, device):
        tried.append(case)
        broken(device)

    monkeypatch.setattr(attention_verify, "verdict", dies)
    found = attention_verify.verdicts(of_kind("window"), "cpu")
    assert len(tried) == 1
    assert len(found) == len(of_kind("window"))
    assert {v.failed for v in found} == {
        "the device broke: an illegal memory access was encountered"
    }


# --- all of it ------------------------------------------------------------------------------


def test_only_what_failed_is_tried_again(tmp_path, monkeypatch):
    say = []
    settings = {"quick": True, "out": tmp_path, "say": say.append}
    stand_in(monkeypatch, partial(plain, wider=1))
    first = verify(CPU, **settings)
    assert first.exit_code == 1
    assert "failed" in say[-1]
    kept = json.loads((tmp_path / "verify.json").read_text())["results"]
    passed = {v["case"] for v in kept if not v["failed"]}
    assert 0 < len(passed) < len(kept)
    stand_in(monkeypatch)
    tried = []
    real = attention_verify.verdict
    monkeypatch.setattr(
        attention_verify,
        "verdict",
        lambda case, device: (tried.append(case), real(case, device))[1],
    )
    second = verify(CPU, **settings)
    assert second.exit_code == 0
    assert len(tried) == len(kept) - len(passed)
    assert verify(CPU, **settings).exit_code == 0
    assert len(tried) == 2 * len(kept) - len(passed)
    assert (tmp_path / "verify.txt").read_text() == second.words


def test_when_time_is_up_it_says_so(tmp_path, right, monkeypatch, clock):
    clock.rules(monkeypatch, attention_verify)
    found = verify(CPU, quick=True, out=tmp_path, deadline=clock.now - 1, say=lambda s: None)
    assert found.exit_code == 3


def test_the_summary_has_the_largest_errors():
    errors = dict(zip(("output", "dq", "dk", "dv"), (1e-3, 2e-3, 5e-3, 3e-3), strict=True))
    found = [
        Verdict("a", "window", "float16", errors=errors, used=0.4),
        Verdict("b", "window", "float16", errors={**errors, "output": 4e-3}, used=0.5),
        Verdict("c", "window", "float32", failed="dq is wrong"),
        Verdict("d", "long", "float32", skipped="needs 99 GB, 16 are free"),
    ]
    setup = {"device": "a GPU", "torch": "2", "triton": "3", "kernel": "k"}
    text = attention_verify.text(found, setup)
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert rows["window"][1:4] == ["3", "1", "0"]
    assert " ".join(rows["window"][4:]) == "4.0e-03 / 5.0e-03 – 0.50"
    assert rows["all"][1:4] == ["4", "1", "1"]
    assert "c: dq is wrong" in text
    assert "d: skipped, needs 99 GB, 16 are free" in text
    assert "compute-sanitizer --tool memcheck python -m minitx.bench.gpu verify --quick" in text


def dies_at_scale(group, device):
    if group[0].kind == "scale":
        os._exit(9)
    return [Verdict(name_of(c), c.kind, c.problem.dtype) for c in group]


@pytest.mark.slow
def test_a_process_that_dies_takes_nothing_with_it(monkeypatch):
    monkeypatch.setattr(attention_verify, "verdicts", dies_at_scale)
    groups, found = [of_kind("scale")[:1], of_kind("window")[:2], of_kind("lengths")[:1]], []
    in_processes(groups, "cpu", 2, float("inf"), found.extend)
    assert {v.case for v in found} == {name_of(case) for group in groups for case in group}
    for v in found:
        assert v.failed.startswith("the process died: ") == (v.kind == "scale")
    found.clear()
    in_processes(groups, "cpu", 2, float("-inf"), found.extend)
    assert found == []


def test_the_command(tmp_path, monkeypatch, right):
    arguments = ["bench", "attention", "--verify", "--device", "cpu", "--quick", "--only"]

    def call(word):
        return CliRunner().invoke(cli, [*arguments, word, "--out", str(tmp_path)])

    answer = call("grouped")
    assert answer.exit_code == 0, answer.output
    assert "grouped heads" in answer.stdout
    answer = call("chess")
    assert answer.exit_code == 2
    assert "no case has 'chess' in its name" in answer.stderr
    stand_in(monkeypatch, partial(plain, factor=2.0))
    assert call("head size").exit_code == 1


def test_the_real_kernel_in_the_interpreter(tmp_path):
    pytest.importorskip("minitx.kernels")
    case = next(c for c in of_kind("window") if c.problem.causal)
    found = verdict(case, CPU)
    assert not found.failed
    assert found.used < 1


# --- everything -----------------------------------------------------------------------------


@pytest.fixture
def parts(monkeypatch):
    """Two parts that end as they are told to, and what was asked of them."""
    ends, asked = {"verify": ([], True), "attention": ([], True)}, []

    def part(name):
        def run(settings):
            asked.append((name, settings))
            return Outcome(f"figures of {name}\n", *ends[name])

        return run

    monkeypatch.setattr(gpu, "RUNS", {name: part(name) for name in ends})
    monkeypatch.setattr(gpu, "PARTS", tuple(ends))
    return ends, asked


def test_all_tables_go_to_one_folder(tmp_path, parts, capsys, monkeypatch, clock):
    clock.rules(monkeypatch, gpu)
    _, asked = parts
    arguments = ["--device", "cpu", "--quick", "--out", str(tmp_path), "--minutes", "5"]
    assert gpu.main(arguments) == 0
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("cpu-")
    tables = (folder / "tables.txt").read_text()
    assert tables.startswith("CPU, 20")
    assert "== verify\n\nfigures of verify\n\n== attention\n\nfigures of attention\n" in tables
    assert "attention: done" in capsys.readouterr().out
    assert [name for name, _ in asked] == ["verify", "attention"]
    assert asked[0][1].deadline == clock.now + 300
    assert gpu.main(arguments) == 0  # finished parts are told again
    assert len(asked) == 2
    assert "figures of attention" in capsys.readouterr().out


def test_called_again_it_goes_on(tmp_path, parts):
    ends, asked = parts
    arguments = ["--device", "cpu", "--quick", "--out", str(tmp_path)]
    ends["attention"] = ([], False)
    assert gpu.main(arguments) == 3
    ends["attention"] = (["a row is wrong"], True)
    assert gpu.main(arguments) == 1
    ends["attention"] = ([], True)
    assert gpu.main(arguments) == 0
    assert [name for name, _ in asked] == ["verify", "attention", "attention", "attention"]
    assert gpu.main([*arguments, "verify", "--only", "x"]) == 0
    assert len(asked) == 5


def test_without_time_nothing_begins(tmp_path, parts, capsys):
    arguments = ["--device", "cpu", "--quick", "--out", str(tmp_path), "--minutes", "0"]
    assert gpu.main(arguments) == 3
    assert parts[1] == []
    assert "verify: time was up" in capsys.readouterr().out


def test_wrong_use_of_the_script(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for arguments, text in (
        ([], "an NVIDIA GPU is needed, and PyTorch sees none here"),
        (["chess"], "there is no part chess: verify, attention, models, scaling"),
    ):
        with pytest.raises(SystemExit) as ended:
            gpu.main(arguments)
        assert ended.value.code == 2
        assert text in capsys.readouterr().err


@pytest.mark.slow
def test_another_benchmark_is_a_process_that_is_stopped_in_time():
    stops = (
        "import time\ntry: print('a row', flush=True); time.sleep(3600)\n"
        "except KeyboardInterrupt: print('kept')"
    )
    found = gpu.outcome("models", [sys.executable, "-c", stops], time.monotonic() + 5)
    assert not found.complete  # the process itself would have slept for an hour
    assert found.words == "models: time was up\na row\nkept\n"
    failed = gpu.outcome("models", [sys.executable, "-c", "exit(4)"], float("inf"))
    assert failed.failed == ["models ended with exit code 4"]
    well = gpu.outcome("models", [sys.executable, "-c", "print(1)"], float("inf"))
    assert (well.words, well.exit_code) == ("1\n", 0)


def test_benchmarks_that_are_not_there_are_left_out(monkeypatch):
    settings = gpu.Settings(CPU, True, Path("x"), None, 0.0)
    assert gpu.is_command("models")
    found = gpu.other("chess")(settings)
    assert found.words == "left out: chess, there is no minitx bench chess\n"
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    found = gpu.other("models")(settings)
    assert found.words == "left out: models, not installed: click, rich, matplotlib\n"
    assert found.exit_code == 0


def test_what_was_left_out_is_tried_again(tmp_path, parts, monkeypatch):
    arguments = ["--device", "cpu", "--quick", "--out", str(tmp_path)]
    left_out = gpu.other("chess")
    monkeypatch.setitem(gpu.RUNS, "attention", left_out)
    assert gpu.main(arguments) == 0
    (finished,) = tmp_path.glob("*/finished.json")
    assert set(json.loads(finished.read_text())) == {"verify"}


BARE = """
import sys
for package in ("rich", "click", "matplotlib", "transformers"):
    sys.modules[package] = None  # what is imported now is not installed
from types import ModuleType
from tests.bench.attentions import plain
kernels = ModuleType("minitx.kernels")
kernels.flash_attention = plain
sys.modules["minitx.kernels"] = kernels
from minitx.bench import gpu
sys.exit(gpu.main(["--device", "cpu", "--quick", "--only", "causal", "--out", sys.argv[1]]))
"""


@pytest.mark.slow
def test_on_a_bare_machine(tmp_path):
    """Only torch: text and JSON, no picture, and the other benchmarks say what they miss."""
    answer = subprocess.run(
        [sys.executable, "-c", BARE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "No picture: matplotlib is not installed." in answer.stderr
    assert "left out: models, not installed: click, rich, matplotlib" in answer.stdout
    assert "D 16, T 32, causal" in answer.stdout
    (folder,) = tmp_path.iterdir()
    there = {path.name for path in folder.iterdir()}
    assert {"attention.json", "verify.json", "tables.txt"} <= there
    assert "attention.png" not in there
