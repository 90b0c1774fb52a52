"""The same small model with one core after another: the same start, the same steps, told apart."""

import io
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from click.testing import CliRunner
from rich.console import Console
from torch import nn

from minitx.bench import budgets, training, training_report
from minitx.bench.budgets import BUDGETED, Budgeted
from minitx.bench.training import SETTINGS, Trained, lines, trained
from minitx.cli import cli
from minitx.cores import FullAttention, FusedAttention
from minitx.data.vocabulary import BOS
from minitx.projects.corpus import Corpus
from minitx.training import IGNORE, Processes

CPU = torch.device("cpu")
TINY = replace(SETTINGS["quick"], length=32, batch_size=2, num_steps=2)
TEXT = "one fish two fish red fish blue fish. " * 60
SETUP = {"device": "an abacus", "threads": 2, "torch": "2.13", "sizes": "2 layers"}


class OneWay(FullAttention):
    """Cannot be causal, draws numbers and has parameters: nothing of it may show elsewhere."""

    supports = frozenset({"key_padding"})

    def __init__(self):
        super().__init__()
        self.extra = torch.nn.Parameter(torch.randn(3))

    def _attend(self, q, k, v, mask, bias):
        return super()._attend(q, k, v, mask, bias) + 0 * self.extra.sum()


class Breaking(FullAttention):
    def _attend(self, q, k, v, mask, bias):
        raise TypeError("no such thing")


@pytest.fixture
def planted(monkeypatch):
    """Makes a class a core that is trained, and returns it with its budget."""

    def plant(kind, **changes):
        monkeypatch.setattr(budgets.cores, kind.__name__, kind, raising=False)
        one = Budgeted(kind.__name__, "planted", **changes)
        monkeypatch.setattr(budgets, "BUDGETED", (*budgets.BUDGETED, one))
        return one

    return plant


def learned(model, core, settings=TINY):
    return trained(model, core, settings, Corpus.of(TEXT), CPU)


FULL, FUSED = budgets.measured(["FullAttention", "FusedAttention"], CPU)


@pytest.mark.parametrize("model", ["GPT", "BERT", "encoder-decoder"])
def test_equal_cores_learn_the_same(model, planted):
    full, fused = learned(model, FULL), learned(model, FUSED)
    assert (full.model, full.core, full.outcome) == (model, "FullAttention", "trained")
    # float32 sums in another order, through two updates.
    assert full.start == pytest.approx(fused.start, rel=1e-5)
    assert full.loss == pytest.approx(fused.loss, rel=1e-4)
    assert full.parameters == fused.parameters
    assert 0 < full.seconds < 60
    if model != "GPT":
        other = learned(model, planted(OneWay))
        assert other.start == pytest.approx(fused.start, rel=1e-5)
        assert other.loss == pytest.approx(fused.loss, rel=1e-4)
        assert other.parameters == fused.parameters + 3 * TINY.num_layers


@pytest.mark.parametrize(
    ("model", "share"), [("GPT", 0.8), ("BERT", 0.95), ("encoder-decoder", 0.95)]
)
def test_it_learns(model, share):
    """The last two are told about one character in seven, and learn the more slowly."""
    got = learned(model, FUSED, replace(TINY, num_steps=60, max_lr=1e-2))
    assert got.loss < share * got.start


def test_the_core_is_in_every_block_and_chance_outside_is_not_moved(planted):
    made = []
    core = planted(OneWay)
    torch.manual_seed(3)
    wanted = torch.rand(5)
    torch.manual_seed(3)
    settings = replace(TINY, num_layers=2)
    lesson = training.bert(core, settings, Corpus.of(TEXT), Processes(0, 1, CPU))
    assert torch.equal(torch.rand(5), wanted)
    made = [m for m in lesson.model.modules() if isinstance(m, OneWay)]
    assert len(made) == 2
    assert not torch.equal(made[0].extra, made[1].extra)


def test_a_core_that_adapts_does_so_in_training_only(planted):
    seen = []

    class Adapting(FullAttention):
        pass

    def adapt(core, q, k):
        assert core.training
        seen.append(q.shape)

    got = learned("GPT", planted(Adapting, adapt=adapt))
    assert got.outcome == "trained"
    d_head = TINY.d_model // TINY.num_heads
    assert seen == [(TINY.batch_size, TINY.num_heads, TINY.length, d_head)] * TINY.num_steps


def test_gpt_for_the_causal_and_bert_for_the_others(planted):
    unable = planted(OneWay)
    assert lines([FULL, FUSED]) == [
        ("GPT", FULL), ("GPT", FUSED), ("encoder-decoder", FULL), ("encoder-decoder", FUSED),
    ]  # fmt: skip
    assert lines([FULL, unable, FUSED]) == [
        ("GPT", FULL), ("GPT", FUSED), ("BERT", FUSED), ("BERT", unable),
        ("encoder-decoder", FULL), ("encoder-decoder", unable), ("encoder-decoder", FUSED),
    ]  # fmt: skip
    assert lines([unable]) == [("BERT", unable), ("encoder-decoder", unable)]


def test_what_cannot_be_causal_serves_the_encoder_only(planted):
    corpus, group = Corpus.of(TEXT), Processes(0, 1, CPU)
    for core, in_decoder in ((planted(OneWay), FusedAttention), (FULL, FullAttention)):
        model = training.encoder_decoder(core, TINY, corpus, group).model
        wanted = type(core.make(budgets.Shape(32, 2, 16)))
        assert all(type(b.attention.core) is wanted for b in model.encoder.blocks)
        assert all(type(b.self_attention.core) is in_decoder for b in model.decoder.blocks)


def test_the_loss_of_rewriting_is_that_of_the_holes():
    """Only what the encoder cannot read is asked, and the decoder never reads what it is asked."""
    model = nn.Embedding(17, 17)
    read, targets = torch.tensor([[5, 4, 7]]), torch.tensor([[IGNORE, 6, IGNORE]])

    def reads(src, tgt):
        assert torch.equal(src, read)
        assert torch.equal(tgt, torch.tensor([[BOS, 5, 6]]))
        return model(tgt)

    loss, count = training.rewriting_loss_sum(reads, (read, targets))
    assert count == 1
    torch.testing.assert_close(loss, -model(torch.tensor(5)).log_softmax(-1)[6])


# --- the table and the picture --------------------------------------------------------------------

RESULTS = [
    Trained("GPT", "FusedAttention", "trained", "", 2.3456, 4.5, 0.1234, 410_496),
    Trained("GPT", "TopK", "failed", "ValueError: no"),
    Trained("BERT", "FusedAttention", "trained", "", 3.1, 4.6, 0.2, 420_000),
]


def test_the_table_fits_eighty_columns():
    out = io.StringIO()
    Console(file=out, width=80).print(training_report.table(RESULTS, SETUP))
    text = out.getvalue()
    for words in ("an abacus", "2.346", "4.50", "0.123", "410,496", "failed", "BERT", "2 layers"):
        assert words in text
    assert "…" not in text


def test_the_picture():
    figure = training_report.picture(RESULTS, SETUP)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "GPT, FusedAttention", "BERT, FusedAttention",
    ]  # fmt: skip
    assert [text.get_text() for text in left.texts] == ["2.35", "3.1"]
    assert [list(dot.get_xdata()) for dot in right.lines] == [[0.1234], [0.2]]
    figure.savefig(io.BytesIO())
    plt.close(figure)


# --- the command ----------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(
        cli, ["bench", "training", "--device", "cpu", *arguments], catch_exceptions=False
    )


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minitx.projects.corpus.read", lambda file: TEXT)
    monkeypatch.setitem(SETTINGS, "quick", TINY)


def content():
    return json.loads(Path("runs/bench/training.json").read_text())


def test_the_command_writes_table_json_and_plot(tiny):
    answer = call("--quick", "--cores", "FullAttention,FusedAttention", "--steps", "3")
    assert answer.exit_code == 0, answer.output
    assert "Written: runs/bench/training.json, runs/bench/training.png" in answer.stdout
    assert Path("runs/bench/training.png").read_bytes().startswith(b"\x89PNG")
    both = ["FullAttention", "FusedAttention"]
    assert [r["core"] for r in content()["results"]] == 2 * both  # GPT, encoder-decoder
    assert content()["set_up"]["sizes"] == (
        "1 layers of 2 heads, width 32; 3 steps of 2 × 32 characters, seed 0"
    )
    other = call("--quick", "--cores", "FusedAttention", "--seed", "7")
    assert other.exit_code == 1
    assert "3 steps of 2 × 32 characters, seed 0 (now: " in other.stderr


def test_a_core_that_fails_is_told_and_the_others_are_trained(tiny, planted):
    planted(Breaking)
    answer = call("--quick", "--cores", "FullAttention,Breaking")
    assert answer.exit_code == 1
    assert "GPT with Breaking failed: TypeError: no such thing\n" in answer.stdout
    assert "Error: not every core could be trained; see above.\n" in answer.stderr
    assert [r["outcome"] for r in content()["results"]] == 2 * ["trained", "failed"]


def test_interrupted_it_goes_on_with_the_next_core(tiny, monkeypatch):
    asked, real = [], training.trained

    def interrupted(model, core, *rest):
        asked.append(core.name)
        if len(asked) == 2:
            raise KeyboardInterrupt("stopped after step 1; run it again to continue")
        return real(model, core, *rest)

    monkeypatch.setattr(training, "trained", interrupted)
    command = ["--quick", "--cores", "FullAttention,FusedAttention"]
    stopped = call(*command)
    assert stopped.exit_code == 130
    assert "Stopped after step 1; run it again to continue" in stopped.stderr
    first = content()["results"]
    assert call(*command).exit_code == 0
    both = ["FullAttention", "FusedAttention"]
    assert asked == [*both, "FusedAttention", *both]
    assert content()["results"][0] == first[0]
    call(*command)
    assert asked[5:] == 2 * both  # anew


def test_every_core_has_a_line():
    assert {core.name for _, core in lines(BUDGETED)} == {b.name for b in BUDGETED}
