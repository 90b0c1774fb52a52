"""The whole measurement: once, interrupted, again; what is not tried; and what is shown."""

import io
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from minitx.bench import budgets, memory, point, report, scaling, scaling_picture, scaling_report
from minitx.bench.fit import Crossover, Exponent
from minitx.bench.point import Point
from minitx.bench.scaling import Plan, run, safe_bytes, without_trying
from minitx.cli import cli

CPU = torch.device("cpu")
TWO = budgets.measured(["FullAttention", "FusedAttention"], CPU)
PLAN = Plan(TWO, (1024, 512, 2048), False, CPU, repeats=2, max_seconds=5.0, max_bytes=10**9)
SETUP = {"device": "an abacus", "threads": 2, "torch": "2.13", "sizes": "small"}
POWER = {"FullAttention": 2, "FusedAttention": 1}


def measured(task):
    """Full grows as T², Fused as T; they meet at 1000 tokens."""
    grown = (task.T / 1000) ** POWER[task.core]
    return Point(
        task.core,
        task.T,
        "measured",
        forward=(0.1 * grown, 0.1 * grown),
        both=(0.2 * grown, 0.3 * grown),
        memory_forward=round(1e6 * grown),
        memory_both=round(2e6 * grown),
        error=1e-7,
        kernels="none",
    )


def ran(path, plan=PLAN, *, measure=measured, on_point=lambda i, core, T: None):
    return run(plan, path, SETUP, on_point=on_point, measure=measure)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    plan = replace(PLAN, lengths=(512, 1024, 2048, 4096))
    return ran(tmp_path_factory.mktemp("points") / "s.json", plan)


# --- one run --------------------------------------------------------------------------------------


def test_neighbours_in_time_are_those_that_are_compared(tmp_path):
    seen = []
    ran(tmp_path / "s.json", on_point=lambda *told: seen.append(told))
    assert seen == [
        (0, "FullAttention", 512), (1, "FusedAttention", 512),
        (2, "FullAttention", 1024), (3, "FusedAttention", 1024),
        (4, "FullAttention", 2048), (5, "FusedAttention", 2048),
    ]  # fmt: skip


def test_interrupted_it_goes_on_and_complete_it_begins_anew(tmp_path):
    path, asked = tmp_path / "s.json", []

    def noted(task):
        asked.append((task.core, task.T))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return measured(task)

    with pytest.raises(KeyboardInterrupt):
        ran(path, measure=noted)
    assert len(report.load(path, SETUP, point.read)) == 3
    results = ran(path, measure=noted)
    assert asked == [*PLAN.points[:4], *PLAN.points[3:]]
    assert [(p.core, p.T) for p in results] == PLAN.points
    assert report.load(path, SETUP, point.read) == results
    asked[:] = [None] * 5
    ran(path, measure=noted)
    assert asked[5:] == PLAN.points


def test_other_cores_and_lengths_stay_in_the_file(tmp_path):
    path = tmp_path / "s.json"
    ran(path, replace(PLAN, cores=TWO[:1]))
    ran(path, replace(PLAN, cores=TWO[1:], lengths=(64,)))
    ran(path, replace(PLAN, cores=TWO[1:], lengths=(64,)))  # anew
    kept = [(p.core, p.T) for p in report.load(path, SETUP, point.read)]
    assert kept == [*((TWO[0].name, T) for T in (512, 1024, 2048)), (TWO[1].name, 64)]


def test_the_run_goes_on_after_what_does_not_fit(tmp_path):
    def full(task):
        if task.core == "FullAttention" and task.T == 1024:
            return Point(task.core, task.T, "does not fit", "the system has killed it")
        return measured(task)

    results = {(p.core, p.T): p for p in ran(tmp_path / "s.json", measure=full)}
    assert results["FullAttention", 512].outcome == "measured"
    assert results["FullAttention", 1024].note == "the system has killed it"
    assert results["FullAttention", 2048] == Point(
        "FullAttention", 2048, "does not fit", "as at 1024"
    )
    assert results["FusedAttention", 2048].outcome == "measured"


def test_the_task_is_the_plans(tmp_path):
    tasks = []
    plan = replace(PLAN, causal=True, lengths=(64,))
    ran(tmp_path / "s.json", plan, measure=lambda task: tasks.append(task) or measured(task))
    assert tasks[0] == point.Task("FullAttention", 64, True, "cpu", 2, 5.0, 10**9)


def test_a_slow_process_is_given_up(monkeypatch):
    waited = []
    monkeypatch.setattr(point, "in_fresh_process", lambda task, timeout: waited.append(timeout))
    scaling.within_time(PLAN.task("FullAttention", 64))
    assert waited == [60 + 2 * 5 * 5.0]


# --- what is not tried ----------------------------------------------------------------------------


def shorter(**bytes_or_seconds):
    made = [measured(PLAN.task("FullAttention", T)) for T in (512, 1024)]
    return [replace(p, **bytes_or_seconds) for p in made]


def test_what_fits_is_tried():
    assert without_trying(PLAN, "FullAttention", 2048, []) is None
    assert without_trying(PLAN, "FullAttention", 2048, shorter()) is None


def test_memory_is_predicted():
    """2 MB at 1000, growing as T²: 2.1 GB at 32,768."""
    got = without_trying(replace(PLAN, max_seconds=1e9), "FullAttention", 32_768, shorter())
    assert got == Point("FullAttention", 32_768, "does not fit", "2.1 GB expected, 1.0 GB are safe")
    anything = replace(PLAN, max_seconds=1e9, max_bytes=None)
    assert without_trying(anything, "FullAttention", 32_768, shorter()) is None


def test_time_is_predicted():
    """0.25 s at 1000, growing as T²: 16.8 s at 8192."""
    got = without_trying(PLAN, "FullAttention", 8192, shorter())
    assert got == Point("FullAttention", 8192, "too slow", "forward and backward: 17 s expected")


@pytest.mark.parametrize("outcome", ["does not fit", "too slow"])
def test_longer_texts_do_no_better(outcome):
    before = [*shorter(), Point("FullAttention", 1500, outcome, "why")]
    got = without_trying(PLAN, "FullAttention", 2048, before)
    assert got == Point("FullAttention", 2048, outcome, "as at 1500")


def test_a_refusal_is_for_every_length_and_a_failure_is_not():
    refusal = Point("FullAttention", 512, "refused", "cannot honour causal")
    assert without_trying(PLAN, "FullAttention", 1024, [refusal]) == replace(refusal, T=1024)
    assert without_trying(PLAN, "FullAttention", 1024, [replace(refusal, outcome="failed")]) is None


def test_what_is_safe(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    assert safe_bytes(CPU) == 600
    assert safe_bytes(torch.device("cuda")) is None
    monkeypatch.setattr(memory, "free_bytes", lambda: None)
    assert safe_bytes(CPU) is None


# --- what is shown --------------------------------------------------------------------------------


def printed(table, width=80):
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def test_the_laws(points):
    full, fused = scaling_report.laws(points)
    assert full.exponents["both"] == Exponent(pytest.approx(2.0), pytest.approx(0, abs=1e-6))
    assert fused.exponents["memory_forward"].value == pytest.approx(1.0, abs=1e-5)
    assert set(full.exponents) == {"forward", "both", "memory_forward", "memory_both"}
    wanted = Crossover(pytest.approx(1000.0), 512, 4096)
    assert fused.crossovers == {
        "FullAttention, forward": wanted,
        "FullAttention, both": wanted,
    }
    assert full.crossovers["FusedAttention, both"].length is None
    json.dumps(scaling_report.derived(points), allow_nan=False)


def test_the_tables_fit_eighty_columns(points):
    law, values = (printed(t) for t in scaling_report.tables(points, SETUP))
    for text in ("an abacus, 2 threads", "2.00 ± 0.00", "1.00 ± 0.00", "1000", "> 4096", "exact,"):
        assert text in law
    for text in ("1,678", "4,194", "33.6", "8.19", "1e-07", "512", "4096", "exact,"):
        assert text in values
    assert "…" not in law + values
    assert max(map(len, (law + values).splitlines())) <= 80
    assert "FullAttention" in law and "FusedAttention" in values


def test_what_could_not_be_measured_is_told(points):
    lost = [
        Point("FusedAttention", 8192, "too slow", "as at 4096"),
        Point("FusedAttention", 16384, "too slow", "as at 4096"),
        Point("FullAttention", 8192, "does not fit", "MemoryError"),
        Point("FullAttention", 16384, "failed", "ValueError: no"),
    ]
    assert scaling_report.notes(points) == []
    assert scaling_report.notes([*points, *lost]) == [
        "FusedAttention, 8192, 16384: too slow (as at 4096)",
        "FullAttention, 8192: does not fit (MemoryError)",
        "FullAttention, 16384: failed (ValueError: no)",
    ]
    text = printed(scaling_report.point_table([*points, *lost]))
    for words in ("too slow", "no room", "failed"):
        assert words in text
    refused = Point("FullAttention", 512, "refused", "cannot")
    assert scaling_report.laws([refused])[0].exponents["both"] is None
    assert "–" in printed(scaling_report.law_table([refused], SETUP))


def test_every_core_has_room_in_the_table():
    longest = max(len(b.name) + (0 if b.softmax else 2) for b in budgets.BUDGETED)
    assert longest <= scaling_report.NAME_WIDTH + 2
    everyone = [
        replace(measured(PLAN.task("FullAttention", T)), core=b.name)
        for T in (512, 1024, 2048, 4096, 8192, 16_384)
        for b in budgets.BUDGETED
    ]
    text = "".join(printed(t) for t in scaling_report.tables(everyone, SETUP))
    assert "…" not in text
    assert all(b.name in text for b in budgets.BUDGETED)
    figure = scaling_picture.picture(everyone, SETUP)
    looks = {(x.get_color(), x.get_linestyle()) for x in figure.axes[0].lines}
    assert len(looks) == len(budgets.BUDGETED)
    plt.close(figure)


def test_the_picture(points):
    lost = [Point("FusedAttention", 8192, "too slow", "as at 4096")]
    never = [Point("Reformer", 512, "refused", "cannot")]
    figure = scaling_picture.picture([*points, *lost, *never], SETUP)
    assert len(figure.axes) == 4
    for ax in figure.axes:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        assert len(ax.lines) == 2
        assert {text.get_text() for text in ax.texts} == {"FullAttention", "FusedAttention"}
    both, in_mb = figure.axes[1], figure.axes[2]
    assert list(both.lines[0].get_xdata()) == [512, 1024, 2048, 4096]
    assert both.lines[0].get_ydata()[1] == pytest.approx(0.25 * 1.024**2)
    assert in_mb.lines[1].get_ydata()[1] == pytest.approx(2.048)
    (bars,) = both.collections[:1]
    assert bars.get_segments()[1][:, 1] == pytest.approx([0.2 * 1.024**2, 0.3 * 1.024**2])
    figure.savefig(io.BytesIO())
    plt.close(figure)


def test_the_picture_of_a_single_point_that_takes_no_memory():
    one = replace(measured(PLAN.task("FusedAttention", 67)), memory_both=0)
    figure = scaling_picture.picture([one], SETUP)
    assert [len(ax.lines) for ax in figure.axes] == [1, 1, 0, 1]
    figure.savefig(io.BytesIO())
    plt.close(figure)


def test_names_are_moved_apart():
    apart = scaling_picture.apart
    assert apart([], gap=1.0) == []
    assert apart([0.0, 2.0, 4.0], gap=1.0) == [0.0, 2.0, 4.0]
    assert apart([0.0, 0.0, 0.6], gap=1.0) == pytest.approx([-0.8, 0.2, 1.2])
    assert apart([0.0, 1.5, 1.6, 1.7], gap=1.0) == pytest.approx([-0.2, 0.8, 1.8, 2.8], abs=0.5)


# --- the command ----------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(cli, ["bench", "scaling", *arguments], catch_exceptions=False)


@pytest.fixture
def quickly(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scaling, "within_time", measured)


@pytest.mark.slow
def test_the_command_with_real_processes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    answer = call("--quick", "--device", "cpu", "--cores", "FusedAttention", "--lengths", "67")
    assert answer.exit_code == 0, answer.output
    assert "Written: runs/bench/scaling.json, runs/bench/scaling.png" in answer.stdout
    assert Path("runs/bench/scaling.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads(Path("runs/bench/scaling.json").read_text())
    (result,) = content["results"]
    assert (result["core"], result["T"], result["outcome"]) == ("FusedAttention", 67, "measured")
    assert content["set_up"]["sizes"] == "1 × 8 heads of 64, float32, no mask, 3 calls"
    assert [law["core"] for law in content["laws"]] == ["FusedAttention"]


def test_cores_and_lengths_are_chosen(quickly):
    answer = call("--device", "cpu", "--cores", "FusedAttention,FullAttention",
                  "--lengths", "512,1024", "--lengths", "2048", "--causal")  # fmt: skip
    assert answer.exit_code == 0, answer.output
    content = json.loads(Path("runs/bench/scaling_causal.json").read_text())
    assert {(r["core"], r["T"]) for r in content["results"]} == set(PLAN.points)
    assert content["set_up"]["sizes"] == "1 × 8 heads of 64, float32, causal, 5 calls"
    law = content["laws"][1]["crossovers"]["FullAttention, both"]
    assert law == {"length": pytest.approx(1000), "shortest": 512, "longest": 2048}


def test_the_default_lengths(quickly):
    assert call("--device", "cpu", "--cores", "FusedAttention").exit_code == 0
    content = json.loads(Path("runs/bench/scaling.json").read_text())
    assert [r["T"] for r in content["results"]] == [512, 1024, 2048, 4096, 8192, 16384]


def test_a_core_that_fails_is_told_and_the_others_are_measured(quickly, monkeypatch):
    def broken(task):
        if task.core == "FullAttention":
            return Point(task.core, task.T, "failed", "ValueError: T is odd")
        return measured(task)

    monkeypatch.setattr(scaling, "within_time", broken)
    answer = call("--device", "cpu", "--cores", "FullAttention,FusedAttention", "--lengths", "7,64")
    assert answer.exit_code == 1
    assert "FullAttention, 7, 64: failed (ValueError: T is odd)\n" in answer.stdout
    assert "Written:" in answer.stdout
    assert answer.stderr.endswith("Error: not every core could be measured; see above.\n")


def test_ctrl_c_ends_it_and_the_same_command_goes_on(quickly, monkeypatch):
    asked = []

    def interrupted(task):
        asked.append(task.T)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return measured(task)

    monkeypatch.setattr(scaling, "within_time", interrupted)
    command = ["--device", "cpu", "--cores", "FusedAttention", "--lengths", "64,128,256"]
    stopped = call(*command)
    assert stopped.exit_code == 130
    assert "Stopped." in stopped.stderr
    assert call(*command).exit_code == 0
    assert asked == [64, 128, 128, 256]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--cores", "Telepathy"], 1, "Error: there is no core Telepathy on cpu; there are Full"),
        (["--lengths", "512,many"], 2, "must be whole numbers above 0, got 512 many"),
        (["--lengths", "0"], 2, "must be whole numbers above 0, got 0"),
    ],
)
def test_what_is_refused(quickly, arguments, code, says):
    answer = call("--device", "cpu", *arguments)
    assert answer.exit_code == code
    assert says in answer.stderr


def test_another_machine_is_refused(quickly, monkeypatch):
    command = ["--device", "cpu", "--cores", "FusedAttention", "--lengths", "64"]
    assert call(*command).exit_code == 0
    monkeypatch.setattr(report, "cpu_name", lambda: "an abacus")
    answer = call(*command)
    assert answer.exit_code == 1
    assert "(now: an abacus); delete it, or choose another --out" in answer.stderr
