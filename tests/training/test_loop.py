"""The training loop: what it computes, how it goes on, when it stops."""

import csv
import math
import re
import signal
import threading

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from minitx.training import (
    IGNORE,
    DamagedCheckpoint,
    Processes,
    TrainingConfig,
    adamw,
    checkpoints,
    mean_loss,
    train,
)
from tests.no_float64 import NoFloat64

from . import toy

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))


def trained(model=None, *, batch_at=toy.batch_at, loss_sum=toy.loss_sum, folder=None,
            validation=(), progress=False, **changes):  # fmt: skip
    model = toy.new_model() if model is None else model
    rows = train(
        model, loss_sum, batch_at, toy.config(**changes), group=ALONE, folder=folder,
        validation=validation, progress=progress,
    )  # fmt: skip
    return model, rows


def assert_same(one, other):
    (one, one_rows), (other, other_rows) = one, other
    assert str(one_rows) == str(other_rows)  # NaN is not equal to itself
    states = one.state_dict(), other.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_step_written_out():
    """Two steps with accumulation 2 and clipping, against the same in plain torch."""
    model, rows = trained(
        toy.new_model(dropout=0.0), num_steps=2, accumulation_steps=2, max_norm=0.5
    )
    plain = toy.new_model(dropout=0.0)
    optimiser = adamw(plain, weight_decay=0.1)
    for step in (1, 2):
        for group in optimiser.param_groups:
            group["lr"] = toy.rate(step)
        batches = [toy.batch_at(2 * step - 2), toy.batch_at(2 * step - 1)]
        losses, counts = zip(*[toy.loss_sum(plain, batch) for batch in batches], strict=True)
        optimiser.zero_grad()
        mean = sum(losses) / sum(counts)
        mean.backward()
        norm = math.sqrt(sum(p.grad.double().square().sum() for p in plain.parameters()))
        for p in plain.parameters():
            p.grad *= min(1.0, 0.5 / norm)
        optimiser.step()
        assert norm > 0.5  # it was clipped
        row = {"step": step, "loss": mean.item(), "rate": toy.rate(step), "grad_norm": norm}
        # float32, sums in another order; the norm is measured before clipping.
        assert rows[step - 1] == pytest.approx(row, rel=1e-5)
    # Adam divides by the gradient's size: for weights with next to none, noise is amplified.
    for got, want in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-3, atol=2e-4)


def gradients_of_first_step(batch_at, **changes):
    """What the optimiser is given: recorded in place of its step, so Adam cannot hide a factor."""
    model, seen = toy.new_model(dropout=0.0), {}

    def record(optimiser, *_):
        seen.update({n: p.grad.clone() for n, p in model.named_parameters()})

    handle = register_optimizer_step_pre_hook(record)
    try:
        _, rows = trained(model, batch_at=batch_at, num_steps=1, max_norm=math.inf, **changes)
    finally:
        handle.remove()
    return seen, rows


def test_k_batches_of_b_equal_one_of_kb():
    """Token counts differ between the batches: a mean of means would be another thing."""
    parts = [toy.batch_at(i) for i in range(3)]
    counts = [(targets != IGNORE).sum() for _, targets in parts]
    assert len(set(map(int, counts))) == 3
    together = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
    got, got_rows = gradients_of_first_step(toy.batch_at, accumulation_steps=3)
    want, want_rows = gradients_of_first_step(lambda number: together)
    assert got_rows[0] == pytest.approx(want_rows[0], rel=1e-5)  # float32, another order of sums
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-4, atol=1e-7)


def test_steps_without_a_token_change_nothing_but_do_no_harm():
    def nothing(number):
        token_ids, targets = toy.batch_at(number)
        return token_ids, torch.full_like(targets, IGNORE)

    model, rows = trained(batch_at=nothing, num_steps=2, weight_decay=0.0)
    assert [(row["loss"], row["grad_norm"]) for row in rows] == [(0.0, 0.0)] * 2
    fresh = toy.new_model()
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), fresh.parameters(), strict=True)
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_overfits_one_batch(precision):
    batch = toy.batch_at(0)

    def plain_loss(model, batch):
        logits = model(batch[0])
        if precision != "fp32":  # the matrix products are in half precision: the last one too
            assert logits.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        loss = nn.functional.cross_entropy(
            logits.float().flatten(0, 1), batch[1].flatten(), reduction="sum"
        )
        return loss, (batch[1] != IGNORE).sum()

    model, rows = trained(
        toy.new_model(dropout=0.0), loss_sum=plain_loss, batch_at=lambda number: batch,
        num_steps=120, rate=lambda step: 0.02, weight_decay=0.0, precision=precision,
    )  # fmt: skip
    assert rows[0]["loss"] > 2.0 and rows[-1]["loss"] < 0.01
    assert all(p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize(("precision", "rel"), [("bf16", 3e-2), ("fp16", 4e-3)])
def test_half_precision_sees_nearly_the_same_loss_and_gradient(precision, rel):
    """bfloat16 has 8 bits, half precision 11; a few layers of rounding."""

    def first_with_a_gradient(precision):
        _, rows = trained(
            toy.new_model(dropout=0.0), batch_at=lambda number: toy.batch_at(0), precision=precision
        )
        # fp16 skips updates until its scale is small enough: the weights are the first ones.
        return next(row for row in rows if math.isfinite(row["grad_norm"]))

    got, want = first_with_a_gradient(precision), first_with_a_gradient("fp32")
    for name in ("loss", "grad_norm"):
        assert got[name] == pytest.approx(want[name], rel=rel) and got[name] != want[name]


def steep(factor, *, steps=10**9):
    """A loss whose gradient is multiplied by factor in the first steps."""
    calls = iter(range(10**9))

    def loss_sum(model, batch):
        loss, count = toy.loss_sum(model, batch)
        if next(calls) < steps:
            loss.register_hook(lambda gradient: factor * gradient)
        return loss, count

    return loss_sum


def test_fp16_skips_an_update_whose_gradient_overflows():
    """And the loss in the log is not the scaled one."""
    skipped, straight = (
        trained(
            toy.new_model(dropout=0.0), loss_sum=steep(factor, steps=1), batch_at=toy.batch_at,
            num_steps=9, precision="fp16",
        )
        for factor in (1e36, 1.0)
    )  # fmt: skip
    assert math.isfinite(skipped[1][0]["loss"]) and not math.isfinite(skipped[1][0]["grad_norm"])
    assert_same(skipped, straight)  # whose first update is too large, too, at the first scale


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_fp16_does_not_end_as_if_all_were_well_when_no_update_was_made(factor, tmp_path):
    """fp32 and bf16 stop at the first gradient that is no number, fp16 at the 30th."""
    text = (
        r"the grad_norm of 30 steps in a row is not finite, (nan|inf) in step 30: no update was "
        r"made; a smaller rate, a longer warm-up or bf16 in place of fp16 may help"
    )
    with pytest.raises(FloatingPointError, match=f"^{text}$"):
        trained(loss_sum=steep(factor), num_steps=60, precision="fp16")
    text = (
        "the grad_norm of all 7 steps is not finite: no update was made; "
        "a smaller rate, a longer warm-up or bf16 in place of fp16 may help"
    )
    with pytest.raises(FloatingPointError, match=f"^{text}$"):
        trained(loss_sum=steep(factor), num_steps=7, precision="fp16", folder=tmp_path)
    # What was saved can go on, and updates in between start the count again.
    _, rows = trained(num_steps=20, precision="fp16", folder=tmp_path)
    assert math.isfinite(rows[-1]["grad_norm"])
    _, rows = trained(loss_sum=steep(factor), num_steps=49, precision="fp16", folder=tmp_path)
    assert [math.isfinite(row["grad_norm"]) for row in rows[20:]] == [False] * 29


def test_a_training_needs_no_float64():
    """Apple's GPUs have none."""
    with NoFloat64():
        trained(validation=toy.VALIDATION, validate_every=2, num_steps=3)


@pytest.mark.parametrize("first", [3, 5])
def test_resuming_equals_never_having_stopped(first, tmp_path):
    """Bit for bit: with dropout, accumulation, validation, and the caller's chance disturbed."""
    settings = {"accumulation_steps": 2, "validation": toy.VALIDATION, "validate_every": 4}
    straight = trained(**settings)
    trained(num_steps=first, folder=tmp_path, **settings)
    torch.manual_seed(123)
    assert_same(trained(toy.new_model(seed=9), folder=tmp_path, **settings), straight)


def test_fp16_resumes_with_its_scale(tmp_path):
    straight = trained(precision="fp16")
    trained(num_steps=5, folder=tmp_path, precision="fp16")
    assert_same(trained(folder=tmp_path, precision="fp16"), straight)


def test_the_seed_decides_and_the_callers_chance_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = trained()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert_same(trained(), one)
    assert trained(seed=1)[1] != one[1]
    for seed in (-1, 2**80):
        trained(num_steps=1, seed=seed)


def test_every_step_draws_anew():
    """One step's dropout must not be the next one's."""
    masks = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, batch):
            masks.append(torch.rand(5).tolist())
            return self.weight

    trained(Spy(), loss_sum=lambda m, b: (m(b).sum(), torch.tensor(1)), num_steps=4)
    assert len({tuple(mask) for mask in masks}) == 4


def test_a_finished_training_is_not_trained_again(tmp_path):
    done = trained(folder=tmp_path)
    assert_same(trained(folder=tmp_path, batch_at=None), done)


def test_training_goes_on_for_longer(tmp_path):
    trained(folder=tmp_path, num_steps=4)
    assert_same(trained(folder=tmp_path), trained())


def test_the_rate_of_each_step_is_the_schedules():
    _, rows = trained()
    assert [row["rate"] for row in rows] == [toy.rate(step) for step in range(1, 12)]
    assert [row["step"] for row in rows] == list(range(1, 12))


def test_validation_is_the_mean_over_all_its_tokens_without_dropout():
    model, rows = trained(validation=toy.VALIDATION, validate_every=5)
    assert [row["step"] for row in rows if "validation_loss" in row] == [5, 10]
    got = mean_loss(model.train(), toy.loss_sum, toy.VALIDATION, toy.config(), ALONE)
    assert not model.training
    with torch.no_grad():
        losses, counts = zip(*[toy.loss_sum(model, b) for b in toy.VALIDATION], strict=True)
    assert got == pytest.approx(float(sum(losses) / sum(counts)), rel=1e-6)  # float32
    assert got == mean_loss(model.train(), toy.loss_sum, toy.VALIDATION, toy.config(), ALONE)


def test_the_model_is_trained_in_training_mode_and_left_in_evaluation_mode():
    modes = []

    def watch(model, batch):
        modes.append(model.training)
        return toy.loss_sum(model, batch)

    model, _ = trained(loss_sum=watch, validation=toy.VALIDATION[:1], validate_every=2, num_steps=3)
    assert modes == [True, True, False, True] and not model.training


class Given(nn.Module):
    """Its validation loss is what it is told; the training loss is 1."""

    def __init__(self, losses):
        super().__init__()
        self.losses, self.weight = iter(losses), nn.Parameter(torch.zeros(1))

    def forward(self, batch):
        loss = 1.0 if self.training else next(self.losses)
        return loss + 0 * self.weight.sum(), torch.tensor(1)


@pytest.mark.parametrize(
    ("losses", "steps"),
    [
        ([5, 4, 4, 4, 3], 4),  # not better is not an improvement
        ([5, 6, 4, 6, 6, 1], 5),  # an improvement starts the count again
        ([5, 4, 3, 2, 1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05], 11),
    ],
)
def test_early_stop(losses, steps):
    _, rows = trained(
        Given(losses), loss_sum=lambda m, b: m(b), validation=[None], validate_every=1, patience=2
    )
    assert len(rows) == steps


def test_early_stop_is_remembered(tmp_path):
    settings = {
        "loss_sum": lambda m, b: m(b), "validation": [None], "validate_every": 1,
        "folder": tmp_path,
    }  # fmt: skip
    trained(Given([5, 6]), patience=2, num_steps=2, **settings)
    assert len(trained(Given([6]), patience=2, **settings)[1]) == 3
    assert len(trained(Given([]), patience=2, **settings)[1]) == 3


def test_log_and_checkpoint(tmp_path):
    _, rows = trained(folder=tmp_path, validation=toy.VALIDATION, validate_every=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.csv"]
    with (tmp_path / "log.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items() if v} for row in read] == rows
    assert list(read[0]) == ["step", "loss", "rate", "grad_norm", "validation_loss"]
    assert read[2]["step"] == "3"


def test_progress_is_shown(capsys):
    trained(progress=True)
    shown = capsys.readouterr().err
    assert "11/11" in shown and "loss" in shown
    trained(progress=False)
    assert capsys.readouterr().err == ""


def press_ctrl_c(at, times=1):
    def batch_at(number):
        if number == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return toy.batch_at(number)

    return batch_at


def test_ctrl_c_ends_the_step_saves_and_stops(tmp_path):
    text = "stopped after step 5; run it again to continue"
    with pytest.raises(KeyboardInterrupt, match=f"^{text}$"):
        trained(batch_at=press_ctrl_c(at=4), folder=tmp_path)
    assert len(checkpoints.load(tmp_path / "checkpoint.pt")["rows"]) == 5
    assert_same(trained(toy.new_model(seed=9), folder=tmp_path), trained())


def test_ctrl_c_in_the_last_step_of_all_is_too_late(tmp_path):
    """The training is finished: there is nothing to run again."""
    assert_same(trained(batch_at=press_ctrl_c(at=10), folder=tmp_path), trained())
    model, rows = trained(
        Given([5, 6, 7]), loss_sum=lambda m, b: m(b), validation=[None], validate_every=1,
        patience=1, batch_at=press_ctrl_c(at=1),
    )  # fmt: skip
    assert len(rows) == 2 and not model.training


def test_a_second_ctrl_c_stops_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trained(batch_at=press_ctrl_c(at=4, times=2), folder=tmp_path)
    assert len(checkpoints.load(tmp_path / "checkpoint.pt")["rows"]) == 3  # of save_every
    assert_same(trained(folder=tmp_path), trained())


def test_ctrl_c_is_given_back():
    before = signal.getsignal(signal.SIGINT)
    trained(num_steps=1)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ZeroDivisionError):
        trained(batch_at=lambda number: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_there_is_no_ctrl_c_to_hear():
    rows = []
    thread = threading.Thread(target=lambda: rows.extend(trained(num_steps=2)[1]))
    thread.start()
    thread.join()
    assert len(rows) == 2


def broken(what, at):
    calls = iter(range(1, 100))

    def loss_sum(model, batch):
        loss, count = toy.loss_sum(model, batch)
        if next(calls) == at:
            if what == "loss":
                loss = loss * math.nan
            else:
                loss.register_hook(lambda gradient: math.inf * gradient)
        return loss, count

    return loss_sum


@pytest.mark.parametrize("what", ["loss", "grad_norm"])
def test_no_number_any_more(what, tmp_path):
    text = (
        rf"the {what} of step 5 is (nan|inf); "
        "a smaller rate, a longer warm-up or bf16 in place of fp16 may help"
    )
    with pytest.raises(FloatingPointError, match=f"^{text}$"):
        trained(loss_sum=broken(what, at=5), folder=tmp_path)
    assert_same(trained(folder=tmp_path), trained())  # from step 3, where all was well


def test_a_checkpoint_of_something_else(tmp_path):
    path = tmp_path / "checkpoint.pt"
    for other in ({"weight": torch.ones(3)}, [1, 2]):
        torch.save(other, path)
        text = (
            f"{path} holds no training that could be continued: it needs "
            "['best', 'model', 'optimiser', 'rows', 'scaler', 'stale', 'trained']"
        )
        with pytest.raises(DamagedCheckpoint, match=f"^{re.escape(text)}$"):
            trained(folder=tmp_path)


def other_sizes():
    model = toy.new_model()
    model.output.weight = model.embedding.weight = nn.Parameter(torch.zeros(13, 10))
    return model


def other_layers():
    model = toy.new_model()
    del model.blocks.blocks[1]
    return model


def frozen(name):
    model = toy.new_model()
    model.get_parameter(name).requires_grad_(False)
    return model


QKV = "blocks.blocks.0.attention.{}_proj.weight"
GROUP = "there and {} here"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (toy.new_model, other_sizes, "of the model, embedding.weight is (11, 10) in torch.float32 "
         "there and (13, 10) in torch.float32 here"),
        (toy.new_model, other_layers, "of the model, blocks.blocks.1.attention.k_proj.bias is "
         "(10,) in torch.float32 there and missing here"),
        (other_layers, toy.new_model, "of the model, blocks.blocks.1.attention.k_proj.bias is "
         "missing there and (10,) in torch.float32 here"),
        (toy.new_model, lambda: toy.new_model().double(), "of the model, "
         "blocks.blocks.0.attention.k_proj.bias is (10,) in torch.float32 there and (10,) in "
         "torch.float64 here"),
        (toy.new_model, lambda: frozen(QKV.format("k")), "of the parameters trained, "
         "blocks.blocks.0.attention.k_proj.weight is 3 of group 0 there and missing here"),
        (lambda: frozen(QKV.format("q")), lambda: frozen(QKV.format("k")), "of the parameters "
         "trained, blocks.blocks.0.attention.k_proj.weight is 2 of group 0 there and missing here"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_training_is_refused_and_the_model_left_alone(
    before, after, text, tmp_path
):
    trained(before(), num_steps=2, folder=tmp_path)
    model, path = after(), tmp_path / "checkpoint.pt"
    saved, untouched = path.read_bytes(), {n: t.clone() for n, t in model.state_dict().items()}
    text = (
        f"{path} holds another training than this one: {text}; give another folder, or delete it "
        "to start from the beginning"
    )
    with pytest.raises(DamagedCheckpoint, match=f"^{re.escape(text)}$"):
        trained(model, folder=tmp_path)
    assert path.read_bytes() == saved
    assert all(torch.equal(t, untouched[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("part", ["model", "trained", "optimiser", "rows"])
def test_a_checkpoint_with_a_part_of_another_kind(part, tmp_path):
    trained(num_steps=2, folder=tmp_path)
    state = checkpoints.load(tmp_path / "checkpoint.pt")
    checkpoints.save(tmp_path / "checkpoint.pt", {**state, part: 5})
    with pytest.raises(DamagedCheckpoint, match=r"^.* holds another training than this one: "):
        trained(folder=tmp_path)


@pytest.mark.parametrize("before", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("after", ["fp32", "bf16", "fp16"])
def test_the_precision_may_change(before, after, tmp_path):
    """As the words of a FloatingPointError advise; fp16 finds its scale anew."""
    _, rows = trained(num_steps=7, precision=before, folder=tmp_path)
    _, more = trained(num_steps=20, precision=after, folder=tmp_path)
    assert str(more[:7]) == str(rows) and math.isfinite(more[-1]["grad_norm"])


def test_a_damaged_checkpoint_is_not_overwritten(tmp_path):
    trained(folder=tmp_path)
    cut = (tmp_path / "checkpoint.pt").read_bytes()[:-100]
    (tmp_path / "checkpoint.pt").write_bytes(cut)
    with pytest.raises(DamagedCheckpoint, match="delete it to start from the beginning"):
        trained(folder=tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == cut


def test_patience_without_validation():
    text = "patience (3) needs validation batches, got none"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        trained(patience=3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"accumulation_steps": 0}, "accumulation_steps must be at least 1, got 0"),
        ({"validate_every": 0}, "validate_every must be at least 1, got 0"),
        ({"save_every": -1}, "save_every must be at least 1, got -1"),
        ({"patience": 0}, "patience must be at least 1, or None, got 0"),
        ({"max_norm": 0.0}, "max_norm must be above 0, got 0.0"),
        ({"max_norm": math.nan}, "max_norm must be above 0, got nan"),
        ({"precision": "fp8"}, "precision must be fp32, bf16 or fp16, got 'fp8'"),
    ],
)
def test_refused_settings(change, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        TrainingConfig(**{"num_steps": 5, "rate": toy.rate, **change})
