"""`minitx bench attention`: right before it is fast, forced columns, kept rows, honest tables."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from minitx.bench.attention import report as attention_report
from minitx.bench.attention import run as attention
from minitx.bench.attention import setup as attention_setup
from minitx.bench.attention import timing as timing
from minitx.bench.attention.peers import CannotRun, Column, compiled_only, first_that_runs
from minitx.bench.attention.problem import Inputs, Problem
from minitx.bench.attention.results import Entry, Result, from_json
from minitx.bench.attention.rows import SIZES, most_wanted_first, ragged, rows
from minitx.bench.attention.run import allowed, measure, run
from minitx.bench.attention.setup import NoDevice, device_for, set_up
from minitx.bench.attention.timing import Quartiles, answered, in_turn, prepared
from minitx.bench.report import OtherSetUp
from minitx.cli import cli

from .attentions import plain, stand_in

CPU = torch.device("cpu")
TINY = SIZES["cpu, quick"]


@pytest.fixture
def right(monkeypatch):
    stand_in(monkeypatch)


# --- rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_row_has_its_tokens_width_and_base(sizes):
    made = rows(sizes)
    by_name = {row.name: row for row in made}
    assert len(by_name) == len(made)
    for row in made:
        p = row.problem
        assert (p.B * p.T_q, p.H * p.D) == (sizes.tokens, sizes.width)
        assert p.T_q == p.T_k
        assert p.dtype == sizes.dtype
        assert bool(row.base) == (p.needs_table or p.H_kv != p.H)
        if row.base:
            base = by_name[row.base].problem
            assert base == replace(p, window=None, key_lengths=None, H_kv=p.H)
    assert any(row.problem.window for row in made)
    assert any(row.problem.key_lengths for row in made)
    assert any(row.problem.H_kv < row.problem.H for row in made)


def test_the_rows_of_the_targets():
    plain_rows = [row.problem for row in rows(SIZES["cuda"]) if not row.base]
    assert {(p.D, p.causal, p.T_q) for p in plain_rows} == {
        (D, causal, 1024 * 2**i) for D in (64, 128) for causal in (False, True) for i in range(5)
    }
    assert {p.dtype for p in plain_rows} == {"bfloat16"}
    first, *_, last = most_wanted_first(rows(SIZES["cuda"]))
    assert first.problem.T_q in (4096, 16384)
    assert last.problem.T_q in (1024, 2048, 8192)


def test_lengths_are_spread():
    assert ragged(8, 2048) == (256, 512, 768, 1024, 1280, 1536, 1792, 2048)
    assert ragged(1, 64) == (8,)


# --- columns --------------------------------------------------------------------------------


def square(attend):
    x = torch.randn(1, 2, 16, 16)
    return attend(x, x, x)


def column(kernel, *ways, name="FLASH"):
    return Column(name, lambda problem, device: iter([("", way) for way in ways]), kernel)


PROBLEM = Problem(1, 2, 2, 16, 16, 16, "float32")


def test_what_really_ran_is_made_sure_of():
    flash = "flash_attention_for_cpu"
    output, *_ = first_that_runs(
        column(flash, F.scaled_dot_product_attention), PROBLEM, CPU, square
    )
    assert output.shape == (1, 2, 16, 16)
    with pytest.raises(CannotRun, match="flash_attention_for_cpu ran instead"):
        first_that_runs(
            column("cudnn_attention", F.scaled_dot_product_attention), PROBLEM, CPU, square
        )
    with pytest.raises(CannotRun, match="no fused attention ran instead"):
        first_that_runs(column(flash, plain), PROBLEM, CPU, square)
    with pytest.raises(CannotRun, match="flash_attention_for_cpu ran instead"):
        first_that_runs(column(None, F.scaled_dot_product_attention), PROBLEM, CPU, square)


def test_the_second_way_is_tried_and_all_reasons_are_kept():
    def refuses(q, k, v):
        raise RuntimeError("\n  not with these heads\nmore")

    _, attend, _ = first_that_runs(column(None, refuses, plain), PROBLEM, CPU, square)
    assert attend is plain
    with pytest.raises(CannotRun, match=r"^RuntimeError: not with these heads; KeyError: 'b'$"):
        first_that_runs(column(None, refuses, lambda *_: {}["b"]), PROBLEM, CPU, square)


def test_one_backend_alone_raises_where_it_cannot_run():
    def cudnn(q, k, v):
        with sdpa_kernel([SDPBackend.CUDNN_ATTENTION]):
            return F.scaled_dot_product_attention(q, k, v)

    with pytest.raises(CannotRun, match="RuntimeError: "):
        first_that_runs(column("cudnn_attention", cudnn), PROBLEM, CPU, square)


def test_flex_attention_must_be_compiled():
    with pytest.raises(CannotRun, match=r"switched off, FlexAttention would run uncompiled"):
        compiled_only(plain, square)
    compiled = torch.compile(F.scaled_dot_product_attention, backend="eager")
    assert compiled_only(compiled, square).shape == (1, 2, 16, 16)


@pytest.mark.parametrize("row", rows(TINY), ids=lambda row: row.name)
def test_the_cpu_has_two_columns_and_both_are_right(row, right):
    entries, attends = attention.checked(row.problem, row.problem.inputs(0, CPU), CPU)
    assert list(entries) == ["minitx", "cuDNN", "FLASH", "EFFICIENT", "FlexAttention"]
    assert list(attends) == ["minitx", "FLASH"]
    for name in attends:
        assert max(entries[name].errors.values()) < 1e-6
        assert not entries[name].reason
    assert entries["cuDNN"].reason == "SDPA has no cuDNN on the CPU"
    assert "no backward pass on the CPU" in entries["FlexAttention"].reason
    table = row.problem.window is not None or row.problem.key_lengths is not None
    assert ("with a table" in entries["FLASH"].remark) == table


# --- right before fast ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        ("causal", {"top_left": True}),
        ("window", {"wider": 1}),
        ("ragged", {"ignore_lengths": True}),
        ("", {"factor": 1.01}),
    ],
)
def test_what_is_wrong_is_not_timed(rule, mistake, monkeypatch):
    stand_in(monkeypatch, partial(plain, **mistake))
    row = next(row for row in rows(TINY) if rule in row.name)
    if "top_left" in mistake:
        row = replace(row, problem=replace(row.problem, T_q=7))
    result = measure(row, TINY, CPU, seconds=0, min_rounds=2)
    ours, theirs = result.entries["minitx"], result.entries["FLASH"]
    assert ours.wrong
    assert ours.seconds is None
    assert "output is wrong by " in ours.reason
    assert theirs.seconds is not None
    assert theirs.ratio is None
    assert attention_report.failures([result]) == [f"{row.name}: {ours.reason}"]


def test_one_wrong_gradient_is_enough(monkeypatch):
    def wrong_dk(q, k, v, **options):
        output = plain(q, k, v, **options)
        return output + 0.01 * (k - k.detach()).sum()

    stand_in(monkeypatch, wrong_dk)
    entries, _ = attention.checked(PROBLEM, PROBLEM.inputs(0, CPU), CPU)
    assert entries["minitx"].reason.startswith("dk is wrong by ")
    assert not entries["FLASH"].wrong


def test_errors_are_compared_with_those_of_the_others():
    plain_errors = dict.fromkeys(attention.OUTPUTS, 0.0)
    errors = {
        n: dict.fromkeys(attention.OUTPUTS, e) for n, e in (("a", 4e-3), ("b", 6e-3), ("c", 9))
    }
    limit = allowed("c", errors, plain_errors, torch.bfloat16)
    assert set(limit.values()) == {3 * 5e-3}
    alone = allowed("a", {"a": errors["a"]}, plain_errors, torch.bfloat16)
    assert set(alone.values()) == {attention.bound(torch.bfloat16, 0.0)}
    # A peer that is far off does not make room.
    beside = allowed("a", {"a": errors["a"], "c": errors["c"]}, plain_errors, torch.bfloat16)
    assert beside == alone


# --- timing ---------------------------------------------------------------------------------


def test_rounds_take_turns_on_fresh_inputs():
    seen = []

    def noted(name):
        return lambda inputs: lambda: seen.append((name, float(inputs.q)))

    sets = [Inputs(*[torch.tensor(float(i))] * 4) for i in range(3)]
    times = in_turn({n: noted(n) for n in "abc"}, sets, CPU, seconds=0, min_rounds=4)
    assert {name: len(t) for name, t in times.items()} == {"a": 4, "b": 4, "c": 4}
    warm_up, rounds = seen[:6], seen[6:]
    assert [name for name, _ in warm_up] == list("aabbcc")
    assert [name for name, _ in rounds] == list("abcbcacababc")
    assert [x for _, x in rounds] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0]


def test_rounds_go_on_for_the_time_that_is_given(monkeypatch, clock):
    clock.rules(monkeypatch, timing)
    call = {"a": lambda inputs: lambda: clock.forward(0.25)}
    assert in_turn(call, [None], CPU, seconds=2.0, min_rounds=2) == {"a": [0.25] * 8}
    assert in_turn(call, [None], CPU, seconds=0.0, min_rounds=2) == {"a": [0.25] * 2}


def test_only_the_backward_pass_is_timed():
    """The forward pass before it is preparation, and its graph is not kept."""
    calls = []

    def attend(q, k, v):
        calls.append(q.requires_grad)
        return plain(q, k, v)

    inputs = PROBLEM.inputs(0, CPU)
    backward = prepared(attend, "backward")(inputs)
    assert calls == [True]
    dq, dk, dv = backward()
    assert calls == [True]
    _, *wanted = attention.answer_of(plain, inputs)
    assert all(torch.equal(*pair) for pair in zip((dq, dk, dv), wanted, strict=True))
    forward = prepared(attend, "forward")(inputs)
    assert calls == [True]
    assert not forward().requires_grad
    assert calls == [True, False]


def test_clocks_are_what_nvidia_smi_says(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '1830, 3201, [N/A], 61'\necho '1, 2, 3, 4'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = answered(timing.ask_clocks())
    assert found == {"clocks.sm": 1830, "clocks.mem": 3201, "temperature.gpu": 61}
    monkeypatch.setenv("PATH", "")
    assert answered(timing.ask_clocks()) == {}


# --- what is kept ---------------------------------------------------------------------------

CHOSEN = [row for row in rows(TINY) if "causal" not in row.name]


def ran(path, setup=None, **changes):
    setup = setup or {"kernel": "1"}
    return run(CHOSEN, path, setup, CPU, sizes=TINY, seconds=0, min_rounds=2, **changes)


def test_interrupted_it_goes_on_and_complete_it_begins_anew(tmp_path, right):
    def stop(done, row):
        if done == 3:
            raise KeyboardInterrupt

    path = tmp_path / "a.json"
    with pytest.raises(KeyboardInterrupt):
        ran(path, on_row=stop)
    kept = [from_json(r) for r in json.loads(path.read_text())["results"]]
    assert len(kept) == 3
    results = ran(path)
    assert [r.row for r in results] == CHOSEN
    assert all(k in results for k in kept)
    again = ran(path)
    assert not any(k in again for k in kept)


def test_when_time_is_up_no_row_begins(tmp_path, right, monkeypatch, clock):
    clock.rules(monkeypatch, attention)
    assert ran(tmp_path / "a.json", deadline=clock.now - 1) == []
    begun = []
    results = ran(
        tmp_path / "b.json", deadline=clock.now + 1.5,
        on_row=lambda done, row: (begun.append(row), clock.forward(1.0)),
    )  # fmt: skip
    assert len(results) == len(begun) == 2 < len(CHOSEN)


def test_another_kernel_is_another_measurement(tmp_path, right):
    ran(tmp_path / "a.json")
    with pytest.raises(OtherSetUp, match=r"was measured with kernel 1 \(now: 2\)"):
        ran(tmp_path / "a.json", {"kernel": "2"})


def test_the_kernel_is_known_by_its_source(tmp_path, monkeypatch):
    monkeypatch.setattr(attention_setup, "__file__", str(tmp_path / "bench" / "attention" / "x.py"))
    (tmp_path / "kernels").mkdir()
    source = tmp_path / "kernels" / "forward.py"
    source.write_text("one")
    one = set_up(CPU, "x")["kernel"]
    source.write_text("two")
    assert set_up(CPU, "x")["kernel"] != one


# --- tables ---------------------------------------------------------------------------------


def quartiles(x):
    return Quartiles(0.9 * x, x, 1.1 * x)


def figures(ours, theirs, flops):
    """An entry for each column: seconds from TFLOP/s."""

    def entry(rate):
        seconds = {d: quartiles(f / rate / 1e12) for d, f in flops.items()}
        ratio = {d: quartiles(ours / rate) for d in flops}
        return Entry(seconds=seconds, ratio=ratio, memory={"forward": 1.0, "backward": 1.04})

    return {"minitx": entry(ours), "cuDNN": entry(theirs), "FLASH": Entry(reason="no kernel")}


def measured(row, ours, theirs, clock=1830.0):
    flops = {d: row.problem.flops(d) for d in ("forward", "backward")}
    rates = dict.fromkeys(flops, quartiles(790e12))
    clocks = {"clocks.sm": clock}
    return Result(row, figures(ours, theirs, flops), rates, dict.fromkeys(flops, 20), clocks, 3.0)


BY_NAME = {row.name: row for row in rows(SIZES["cuda"])}
WHOLE = measured(BY_NAME["D 64, T 16384, causal"], 400, 500)
WINDOW = measured(BY_NAME["D 64, T 16384, causal, window 512"], 320, 250)
WIDE = measured(BY_NAME["D 128, T 4096"], 553, 600)
SETUP = {
    "device": "NVIDIA H200", "torch": "2.11", "triton": "3.6", "cudnn": 91900,
    "multiprocessors": 132, "kernel": "0123abcd",
}  # fmt: skip


def test_limits_are_those_of_the_notes():
    """790 TFLOP/s of matmul on an H200 give 439, 565 and 5/7: its exp runs at 1.83 GHz."""
    found = attention_report.limits([WHOLE, WIDE], SETUP)
    assert found[64, "forward"]["no overlap"] / 1e12 == pytest.approx(439, abs=1)
    assert found[128, "forward"]["no overlap"] / 1e12 == pytest.approx(565, abs=1)
    assert found[64, "backward"]["seven products"] / 1e12 == pytest.approx(564, abs=1)
    assert found[64, "forward"]["matmul"] == 790e12
    silent = replace(WHOLE, clocks={})
    assert attention_report.limits([silent], SETUP)[64, "forward"] == {"matmul": 790e12}


def test_the_table_says_what_was_measured():
    lines = attention_report.table([WHOLE, WINDOW], "forward").splitlines()
    assert " 400  51  500 ×0.80      –  " in lines[2]
    assert lines[2].endswith("–  1.000")
    work = WHOLE.row.problem.pairs() / WINDOW.row.problem.pairs()
    assert f"0.80 ×{0.8 * work:.2f}" in lines[3]
    assert lines[3].endswith("1.000")
    assert len({len(line) for line in lines}) == 1
    backward = attention_report.table([WHOLE], "backward")
    assert backward.splitlines()[2].endswith("1.040")


def test_the_text_has_machine_clocks_limits_and_reasons():
    text = attention_report.text([WHOLE, WINDOW], SETUP)
    assert "NVIDIA H200, torch 2.11, triton 3.6, cuDNN 91900, kernel 0123abcd, bfloat16" in text
    assert "clocks.sm 1830" in text
    assert "D 64 forward: matmul 790, no overlap 439" in text
    assert "FLASH: no kernel (D 64, T 16384, causal and 1 more)" in text


def test_the_picture_has_every_direction_and_the_limits():
    figure = attention_report.picture([WHOLE, WINDOW, WIDE], SETUP)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:2] == ["forward, D 64", "forward, D 64, causal"]
    assert len(titles) == 8
    panel = figure.axes[1]
    ours = next(line for line in panel.lines if line.get_label() == "minitx")
    assert [round(float(y)) for y in ours.get_ydata()] == [400]
    assert [text.get_text() for text in panel.texts] == ["matmul", "no overlap"]
    plt.close(figure)


def test_results_are_found_again():
    assert from_json(json.loads(json.dumps(asdict(WINDOW)))) == WINDOW
    lengths = measured(BY_NAME["D 64, T 2048, ragged"], 1, 2)
    assert from_json(json.loads(json.dumps(asdict(lengths)))) == lengths


# --- the command ----------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(cli, ["bench", "attention", *arguments], catch_exceptions=False)


def test_the_command_writes_table_json_and_picture(tmp_path, monkeypatch, right):
    monkeypatch.chdir(tmp_path)
    answer = call("--device", "cpu", "--quick", "--only", "T 16")
    assert answer.exit_code == 0, answer.output
    assert "D 16, T 16, causal, 2 heads share" in answer.stdout
    assert "[1/6] D 16, T 16" in answer.stderr
    folder = Path("runs", "bench")
    assert (folder / "attention.txt").read_text() in answer.stdout
    assert (folder / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((folder / "attention.json").read_text())["results"]) == 6


def test_what_is_wrong_ends_with_one_and_time_with_three(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stand_in(monkeypatch, partial(plain, wider=1))
    assert call("--device", "cpu", "--quick", "--only", "window").exit_code == 1
    late = call("--device", "cpu", "--quick", "--minutes", "0", "--out", "other")
    assert late.exit_code == 3
    assert "Nothing was measured in time." in late.stdout


def test_wrong_use_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    answer = call()
    assert answer.exit_code == 2
    assert "Error: an NVIDIA GPU is needed, and PyTorch sees none here; --device cpu --quick" in (
        answer.stderr
    )
    answer = call("--device", "cpu")
    assert answer.exit_code == 2
    assert "on the CPU the kernel is interpreted, which is slow: add --quick" in answer.stderr
    answer = call("--device", "cpu", "--quick", "--only", "chess")
    assert answer.exit_code == 2
    assert "no row has 'chess' in its name: D 16, T 16; " in answer.stderr


def test_triton_must_be_set_up_for_the_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(NoDevice, match="TRITON_INTERPRET=1 is set, so the kernel would not run on"):
        device_for(None, quick=False)
    assert device_for("cpu", quick=True) == CPU
    monkeypatch.delenv("TRITON_INTERPRET")
    monkeypatch.setitem(sys.modules, "triton", object())
    with pytest.raises(NoDevice, match="Triton is loaded already: set TRITON_INTERPRET=1 before"):
        device_for("cpu", quick=True)
    monkeypatch.delitem(sys.modules, "triton")
    assert device_for("cpu", quick=True) == CPU
    assert os.environ["TRITON_INTERPRET"] == "1"
    with pytest.raises(
        NoDevice, match="the kernel runs on cuda, or with --quick on cpu, not on mps"
    ):
        device_for("mps", quick=True)


def test_the_real_kernel_in_the_interpreter(tmp_path):
    pytest.importorskip("minitx.kernels")
    row = next(row for row in rows(TINY) if "causal, window" in row.name)
    result = measure(row, TINY, CPU, seconds=0, min_rounds=2)
    assert not result.entries["minitx"].reason
    assert set(result.entries["minitx"].seconds) == {"forward", "backward"}


def test_nothing_but_torch_is_loaded_for_it():
    code = (
        "import sys, minitx.bench.gpu; "
        "print({'matplotlib', 'rich', 'click', 'triton', 'transformers'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "set()"
