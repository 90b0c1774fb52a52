"""One point: what is measured, how it is measured, and what is said where it cannot be."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from minitx.bench import budgets, memory, point
from minitx.bench.budgets import BUDGETED, Budgeted, Shape
from minitx.bench.inputs import trained_like
from minitx.bench.point import Calls, Point, Task
from minitx.cores import FullAttention, UnsupportedMask
from minitx.functional import scaled_dot_product_attention
from minitx.masks import NO_MASK, causal

TASK = Task("FusedAttention", 97, False, "cpu", 3, 20.0, None)
CPU = torch.device("cpu")
LINUX = pytest.mark.skipif(not memory.STATUS.exists(), reason="memory is limited by /proc")


class Doubled(FullAttention):
    """Wrong by a factor of 2: its relative error is 1."""

    def _attend(self, q, k, v, mask, bias):
        return 2 * super()._attend(q, k, v, mask, bias)


class NeverCausal(FullAttention):
    supports = frozenset()


@pytest.fixture
def planted(monkeypatch):
    """Makes a class a core that is measured, under the name it returns."""

    def plant(kind, **changes):
        monkeypatch.setattr(budgets.cores, kind.__name__, kind, raising=False)
        one = Budgeted(kind.__name__, "planted", **changes)
        monkeypatch.setattr(budgets, "BUDGETED", (*BUDGETED, one))
        return kind.__name__

    return plant


# --- what is measured -------------------------------------------------------------------------


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_point(is_causal):
    got = point.measure(replace(TASK, causal=is_causal))
    assert (got.core, got.T, got.outcome, got.note) == ("FusedAttention", 97, "measured", "")
    assert len(got.forward) == len(got.both) == 3
    assert all(seconds > 0 for seconds in got.forward + got.both)
    assert got.memory_forward >= 0 and got.memory_both >= 0
    assert 0 < got.error < 1e-5  # float32 sums of 97 terms
    assert got.kernels == "flash_attention_for_cpu"


@pytest.mark.parametrize("is_causal", [False, True])
def test_the_error_against_all_queries(is_causal, planted, monkeypatch):
    """With as many rows as there are, and a core that is wrong in a known way."""
    task = replace(TASK, core=planted(Doubled), causal=is_causal)
    assert point.relative_error(Calls(task, 97)) == pytest.approx(1.0, abs=1e-5)
    monkeypatch.setattr(point, "ROWS", 13)
    assert point.relative_error(Calls(task, 97)) == pytest.approx(1.0, abs=1e-5)


def test_the_error_is_of_the_rows_that_are_compared(planted, monkeypatch):
    class FirstRowWrong(FullAttention):
        def _attend(self, q, k, v, mask, bias):
            output = super()._attend(q, k, v, mask, bias)
            return torch.cat([output[:, :, :1] * 0, output[:, :, 1:]], dim=2)

    calls = Calls(replace(TASK, core=planted(FirstRowWrong)), 97)
    q, k, v = (x.double() for x in calls.inputs(0))
    rows = scaled_dot_product_attention(q, k, v)[0].norm(dim=(0, 2))
    assert point.relative_error(calls) == pytest.approx(float(rows[0] / rows.norm()), rel=1e-5)
    monkeypatch.setattr(point, "ROWS", 2)
    share = rows[0] / rows[[0, -1]].norm()
    assert point.relative_error(calls) == pytest.approx(float(share), rel=1e-5)


def test_every_call_has_fresh_inputs_and_the_mask(planted):
    seen = []

    class Noting(FullAttention):
        def _attend(self, q, k, v, mask, bias):
            seen.append((q.size(2), mask.causal, q.requires_grad, float(q.detach().double().sum())))
            return super()._attend(q, k, v, mask, bias)

    point.measure(replace(TASK, core=planted(Noting), causal=True))
    assert all(is_causal for _, is_causal, _, _ in seen)
    assert [T for T, *_ in seen[:2]] == [64, 64]  # the warm-up
    *memory_and_error, _, _, _, _, _, _ = seen[2:]
    assert [gradient for _, _, gradient, _ in memory_and_error] == [False, True, True, False]
    forward, both = seen[-6:-3], seen[-3:]
    assert not any(gradient for _, _, gradient, _ in forward)
    assert all(gradient for _, _, gradient, _ in both)
    sums = [x for *_, x in forward]
    assert len(set(sums)) == 3
    assert sums == [x for *_, x in both]
    q, _, _ = trained_like(97, num_heads=8, d_head=64, seed=1)
    assert sums[0] == float(q.double().sum())


def test_the_backward_pass_reaches_all_inputs(planted):
    gradients = []

    class Watched(FullAttention):
        def _attend(self, q, k, v, mask, bias):
            for x in (q, k, v):
                x.register_hook(gradients.append)
            return super()._attend(q, k, v, mask, bias)

    Calls(replace(TASK, core=planted(Watched)), 13).both(0)()
    assert len(gradients) == 3
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_a_core_that_adapts_has_seen_other_texts(planted):
    seen = []

    def adapt(core, q, k):
        assert isinstance(core, Doubled)
        seen.append(float(q.double().sum()))

    calls = Calls(replace(TASK, core=planted(Doubled, adapt=adapt)), 13)
    assert len(set(seen)) == point.ADAPTED_TO
    timed_on = {float(calls.inputs(seed)[0].double().sum()) for seed in range(10)}
    assert not timed_on & set(seen)


# --- what cannot be -----------------------------------------------------------------------------


def test_too_slow_is_not_repeated(planted):
    calls = []

    class Counting(FullAttention):
        def _attend(self, q, k, v, mask, bias):
            calls.append(q.size(2))
            return super()._attend(q, k, v, mask, bias)

    got = point.attempt(replace(TASK, core=planted(Counting), max_seconds=0.0))
    assert got == Point("Counting", 97, "too slow", "forward and backward take 0 s")
    assert calls == [64, 64, 97, 97, 97]


def test_a_mask_that_is_refused(planted):
    got = point.attempt(replace(TASK, core=planted(NeverCausal), causal=True))
    assert got.outcome == "refused"
    assert got.note == str(UnsupportedMask("NeverCausal", frozenset({"causal"}), frozenset()))
    assert point.attempt(replace(TASK, core="NeverCausal")).outcome == "measured"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (MemoryError("all gone"), "does not fit"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "does not fit"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "does not fit"),
        (RuntimeError("std::bad_alloc"), "does not fit"),
        (RuntimeError("shapes do not match\nin many lines"), "failed"),
        (ValueError("too few tokens"), "failed"),
        (TypeError(), "failed"),
    ],
)
def test_errors_are_told(planted, error, outcome):
    class Breaking(FullAttention):
        def _attend(self, q, k, v, mask, bias):
            raise error

    got = point.attempt(replace(TASK, core=planted(Breaking)))
    says = {
        "": "TypeError",
        "shapes do not match\nin many lines": "RuntimeError: shapes do not match",
    }
    note = says.get(str(error), f"{type(error).__name__}: {error}")
    assert got == Point("Breaking", 97, outcome, note)


# --- in a process of its own --------------------------------------------------------------------


@LINUX
def test_a_process_that_may_not_take_so_much_says_so():
    """A table of 8 × 1500² numbers takes 72 MB; the process begins with much more than 30 MB."""
    task = replace(TASK, core="FullAttention", T=1500, max_bytes=30_000_000)
    got = point.in_fresh_process(task)
    assert (got.core, got.T, got.outcome) == ("FullAttention", 1500, "does not fit")
    assert "can't allocate memory" in got.note or got.note == "MemoryError"


@pytest.mark.slow
def test_a_process_measures():
    got = point.in_fresh_process(replace(TASK, T=61, max_bytes=10**10))
    assert got.outcome == "measured"
    assert len(got.both) == 3
    assert isinstance(got.both, tuple)


def test_a_process_that_is_killed(monkeypatch):
    """As the system does where memory has run out."""
    real = subprocess.run
    suicide = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(
        subprocess, "run", lambda command, **how: real([sys.executable, "-c", suicide], **how)
    )
    got = point.in_fresh_process(TASK)
    assert got == Point("FusedAttention", 97, "does not fit", "the system has killed it")


@pytest.mark.parametrize(
    ("program", "outcome", "note"),
    [
        ("import time; time.sleep(30)", "too slow", "it had not answered after 1 s"),
        ("raise SystemError('broken')", "failed", "SystemError: broken"),
        ("pass", "failed", "it said nothing"),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})", "failed", "it said nothing"),
    ],
)
def test_a_process_that_does_not_answer(monkeypatch, program, outcome, note):
    real = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **how: real([sys.executable, "-c", program], **how)
    )
    got = point.in_fresh_process(TASK, timeout=1 if "sleep" in program else None)
    assert got == Point("FusedAttention", 97, outcome, note)


def test_the_process_is_told_the_task(monkeypatch):
    asked = []

    def answer(module, text, timeout):
        asked.append((module, Task(**json.loads(text)), timeout))
        return json.dumps({"core": "a", "T": 1, "outcome": "measured", "forward": [1.0, 2.0]})

    monkeypatch.setattr(memory, "answer", answer)
    assert point.in_fresh_process(TASK, timeout=7) == Point("a", 1, "measured", forward=(1.0, 2.0))
    assert asked == [("minitx.bench.point", TASK, 7)]


@LINUX
def test_the_free_memory(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:   40 kB\nX: 0\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free_bytes() == 40 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.free_bytes() == 40 * 1024
    (tmp_path / "memory.max").write_text("21000\n")
    assert memory.free_bytes() == 20_000
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert memory.free_bytes() is None


# --- the cores ----------------------------------------------------------------------------------


@pytest.mark.parametrize("budgeted", budgets.measured((), CPU), ids=lambda b: b.name)
@pytest.mark.parametrize("T", [64, 97])
def test_every_core_can_be_made_and_called(budgeted, T):
    core = budgeted.make(Shape(T, 2, 16))
    q, k, v = trained_like(T, num_heads=2, d_head=16, seed=0)
    if budgeted.adapt:
        budgeted.adapt(core, q, k)
    mask = causal() if "causal" in budgeted.supports else NO_MASK
    assert core(q, k, v, mask=mask).shape == (1, 2, T, 16)


def test_the_chosen_cores_in_the_order_of_the_table():
    chosen = budgets.measured(["FusedAttention", "FullAttention"], CPU)
    assert [b.name for b in chosen] == ["FullAttention", "FusedAttention"]
    assert "FlashAttention" not in [b.name for b in budgets.measured((), CPU)]
    with pytest.raises(ValueError, match=r"^there is no core Telepathy on cpu; there are FullAtt"):
        budgets.measured(["FusedAttention", "Telepathy"], CPU)


@pytest.mark.parametrize(("T", "wanted"), [(1, 1), (64, 8), (512, 16), (1024, 32), (2048, 64)])
def test_the_power_of_two_next_to_the_square_root(T, wanted):
    assert Shape(T, 1, 1).square_root in (wanted, 2 * wanted)  # halves of an octave go either way
    assert Shape(4096, 1, 1).square_root == 64


def test_names_are_unique_and_budgets_said():
    names = [b.name for b in BUDGETED]
    assert len(set(names)) == len(names)
    assert all(b.budget for b in BUDGETED)
