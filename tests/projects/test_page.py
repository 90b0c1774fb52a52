"""Translators as scripts for a page: rounded to 8 bits, written, read; the command around it."""

import json
import math
import os
import re
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from minitx.cli import cli
from minitx.cores import TopK
from minitx.data import numbers as number_data
from minitx.data.split import Split
from minitx.layers import FeedForward
from minitx.models.gpt import GPT, GPTConfig
from minitx.models.seq2seq import Transformer
from minitx.positions import ALiBi, Rotary
from minitx.projects import corpus, masked, runs, text, translation
from minitx.projects.page import rounding, script, writer
from minitx.projects.page.commands import measured_losses, measured_matches
from minitx.projects.settings import TranslationSettings
from minitx.projects.translators import DATES, NUMBERS
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))
PAIRS = [number_data.pairs()[n] for n in (7, 21, 80, 81, 200, 281, 1971, 20_003)]
TINY = TranslationSettings(
    num_steps=60, max_lr=1e-2, batch_size=len(PAIRS), warmup_steps=5, d_model=24, num_heads=3,
    num_layers=1, seed=5,
)  # fmt: skip
FEW = replace(
    NUMBERS,
    split=lambda: Split(PAIRS, PAIRS[:3], []),
    measured=lambda: {"eight numbers": PAIRS},
    lessons=list,
)
SAVED = 1_700_000_000  # a checkpoint's time, in seconds: 2023-11-14


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    translation.train(FEW, TINY, group=ALONE, folder=folder, progress=False)
    os.utime(folder / "checkpoint.pt", (SAVED, SAVED))
    return folder


@pytest.fixture(scope="module")
def translator(folder):
    return translation.load(FEW, folder)[0]


# --- 8 bits ----------------------------------------------------------------------------------


def test_no_weight_moves_by_more_than_half_a_scale():
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 13, generator=rng) * torch.logspace(-6, 6, 7)[:, None]
    part = rounding.rounded(weight)
    # Half a scale, and the rounding of the float32 product.
    assert ((part.weight - weight).abs() <= part.scales[:, None] * 0.5001).all()
    assert (part.levels.abs().amax(dim=1) == 127).all()
    vector = rounding.rounded(weight[3])
    assert len(vector.scales) == 1
    assert torch.equal(vector.weight, part.weight[3])


def test_negatives_are_rounded_alike():
    weight = torch.randn(3, 11, generator=torch.Generator().manual_seed(1))
    assert torch.equal(rounding.rounded(-weight).levels, -rounding.rounded(weight).levels)


def test_rounded_again_is_the_same():
    once = rounding.rounded(torch.randn(5, 7, generator=torch.Generator().manual_seed(2)))
    assert torch.equal(rounding.rounded(once.weight).levels, once.levels)


def test_what_cannot_be_rounded_is_named():
    with pytest.raises(ValueError, match=r"must be vectors or matrices, got shape \(2, 3, 5\)"):
        rounding.rounded(torch.zeros(2, 3, 5))
    layer = torch.nn.Linear(3, 2)
    layer.bias.data[1] = torch.inf
    with pytest.raises(ValueError, match=r"^bias: weights must be finite, got inf or nan$"):
        rounding.rounded_parameters(layer)


def test_weights_of_another_model_are_refused():
    parts = rounding.rounded_parameters(torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"bias has shape \(2,\), wanted \(5,\)"):
        rounding.put(parts, torch.nn.Linear(3, 5))
    with pytest.raises(ValueError, match=r"bias has shape \(2,\), wanted None"):
        rounding.put(parts, torch.nn.Linear(3, 2, bias=False))


# --- the script ------------------------------------------------------------------------------


def test_a_script_read_back_is_the_rounded_model(translator, tmp_path):
    script.write(script.PageModel.of(translator), tmp_path / "a.js", ["about {", "", "lines"])
    again = script.read(tmp_path / "a.js").translator()
    wanted = script.rounded_translator(translator)
    assert (again.src, again.tgt) == (translator.src, translator.tgt)
    state = wanted.model.state_dict()
    assert again.model.state_dict().keys() == state.keys()
    assert all(torch.equal(x, state[name]) for name, x in again.model.state_dict().items())
    assert not torch.equal(state["output.weight"], translator.model.output.weight)
    texts = [english for english, _ in PAIRS]
    assert again.translate(texts) == wanted.translate(texts)


def test_the_original_is_left_alone(translator):
    before = {name: x.clone() for name, x in translator.model.state_dict().items()}
    script.rounded_translator(translator)
    script.PageModel.of(translator)
    assert all(torch.equal(x, before[name]) for name, x in translator.model.state_dict().items())


def test_the_script_defines_one_value(translator):
    lines = script.PageModel.of(translator).script(["one", ""]).splitlines()
    assert lines[:3] == ["// one", "//", "(globalThis.minitxModels ??= {}).numbers = {"]
    assert lines[-1] == "};"
    value = json.loads("{" + "".join(lines[3:-1]) + "}")
    assert value.keys() == {"config", "vocabularies", "parameters", "scales", "levels"}
    names = [name for name, _ in value["parameters"]]
    assert "tgt_embedding.weight" in names
    assert "output.weight" not in names  # the same table


def test_a_script_that_is_too_long_is_not_written(translator, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "LARGEST_SCRIPT", 1_000)
    said = r"the script would have [\d,]+ bytes, wanted at most 1,000; train a smaller model"
    with pytest.raises(script.NotForPages, match=said):
        script.write(script.PageModel.of(translator), tmp_path / "a.js")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "let a = 1;", "(globalThis.minitxModels ??= {}).numbers = 3"])
def test_no_model(tmp_path, text):
    (tmp_path / "a.js").write_text(text)
    with pytest.raises(script.NotForPages, match="holds no model that `minitx export` has written"):
        script.read(tmp_path / "a.js")


def test_a_script_cut_short_is_no_model(translator, tmp_path):
    script.write(script.PageModel.of(translator), tmp_path / "a.js")
    whole = (tmp_path / "a.js").read_text()
    shorter = re.sub(r'"levels": ".{40}', '"levels": "', whole)
    assert len(shorter) == len(whole) - 40
    (tmp_path / "a.js").write_text(shorter)
    with pytest.raises(script.NotForPages, match="holds no model"):
        script.read(tmp_path / "a.js")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"core": partial(TopK, 2)}, "with core functools.partial"),
        ({"decoder_core": TopK}, "with decoder_core TopK"),
        ({"position": partial(Rotary, 8)}, "with position functools.partial"),
        ({"feed_forward": torch.nn.Identity}, "with feed_forward Identity"),
        ({"pre_norm": True}, "with pre_norm True"),
    ],
)
def test_what_the_runtime_lacks_is_refused(translator, change, said):
    model = Transformer.__new__(Transformer)
    torch.nn.Module.__init__(model)
    model.config = replace(translator.model.config, **change)
    with pytest.raises(script.NotForPages, match=f"as `minitx train` makes it, got one {said}"):
        script.PageModel.of(replace(translator, model=model))


def test_the_translator_of_2014_is_refused(translator):
    model = translation.model_of(
        replace(TINY, architecture="recurrent"), src_vocab_size=11, tgt_vocab_size=13
    )
    with pytest.raises(script.NotForPages, match=r"makes it, got a RecurrentTranslator$"):
        script.PageModel.of(replace(translator, model=model))


def test_a_translator_whose_texts_no_page_reads_is_refused(translator):
    with pytest.raises(script.NotForPages, match="run translators of numbers, got one of dates"):
        script.PageModel.of(replace(translator, project=DATES))


# --- the command -----------------------------------------------------------------------------


def export(*arguments):
    return CliRunner().invoke(cli, ["export", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def few(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(vars(NUMBERS), "measured", FEW.measured)


@pytest.mark.usefixtures("few")
def test_the_command_says_what_it_made_and_how_good_it_is(folder, translator):
    made = export(folder, "-o", "page/numbers.js")
    assert made.exit_code == 0, made.output
    [matches] = measured_matches(translator, script.rounded_translator(translator))
    assert re.fullmatch(
        r"Exact match on eight numbers: \d of 8 in 8 bits, 8 before rounding.", matches
    )
    written = Path("page/numbers.js").read_text(encoding="utf-8")
    assert made.stdout == f"{matches}\npage/numbers.js: {len(written.encode()):,} bytes\n"
    about = [line.removeprefix("// ") for line in written.splitlines() if line.startswith("//")]
    assert about[1] == "    minitx train numbers --seed 5"
    assert about[2] == f"    minitx export {folder} -o page/numbers.js"
    assert about[3].startswith("from the weights after 60 steps, saved on 2023-11-14; minitx ")
    assert about[-1] == matches


@pytest.mark.usefixtures("few")
def test_the_same_training_gives_the_same_bytes(folder):
    export(folder, "-o", "a.js")
    first = Path("a.js").read_bytes()
    export(folder, "-o", "a.js")
    assert Path("a.js").read_bytes() == first


@pytest.mark.usefixtures("few")
def test_an_unfinished_training_is_said_to_be_one(tmp_path):
    longer = replace(TINY, num_steps=3)
    translation.train(FEW, longer, group=ALONE, folder=tmp_path / "run", progress=False)
    record = json.loads((tmp_path / "run/run.json").read_text())
    record["settings"]["num_steps"] = 4
    (tmp_path / "run/run.json").write_text(json.dumps(record))
    made = export("run", "-o", "a.js")
    assert made.exit_code == 0
    assert made.stderr.startswith("This translator is unfinished: 3 of 4 steps. ")


@pytest.mark.usefixtures("few")
def test_what_the_command_refuses(folder, monkeypatch):
    for arguments, code, said in (
        ((folder,), 2, "Missing option '-o'"),
        ((folder, "-o", "a.txt"), 2, "a.txt must end in .js: it will be a script"),
        (("nowhere", "-o", "a.js"), 1, "there is no run in nowhere; begin one: "),
    ):
        made = export(*arguments)
        assert made.exit_code == code
        assert said in made.stderr
    tiny = replace(masked.SETTINGS, num_steps=1, length=8, d_model=8, num_heads=2, num_layers=1)
    monkeypatch.setattr(masked, "SETTINGS", tiny)
    Path("rhyme.txt").write_text("one fish two fish red fish blue fish. " * 20)
    train = ["train", "masked", "--file", "rhyme.txt"]
    assert CliRunner().invoke(cli, train, catch_exceptions=False).exit_code == 0
    made = export("runs/masked", "-o", "a.js")
    assert isinstance(made.exception, SystemExit | click.ClickException)
    assert made.stderr == (
        "Error: runs/masked holds a run of masked; a page can run translators of numbers, and what "
        "`train text` makes.\n"
    )


# --- a GPT of characters ---------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tiny = replace(text.SMALL, num_steps=2, length=7, d_model=8, num_heads=2, num_layers=1)
    monkeypatch.setattr(text, "SMALL", tiny)
    Path("rhyme.txt").write_text("one fish two fish red fish blue fish. " * 20)
    train = ["train", "text", "--small", "--seed", "3", "--file", "rhyme.txt"]
    assert CliRunner().invoke(cli, train, catch_exceptions=False).exit_code == 0
    return Path("runs/text")


def test_a_small_gpt_as_a_script(small):
    made = export(small, "-o", "writer.js")
    assert made.exit_code == 0, made.output
    lines = Path("writer.js").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "//     minitx train text --small --seed 3"
    assert lines[5].startswith("// It learned from another text than Python's documentation")
    assert lines[6] == "(globalThis.minitxModels ??= {}).writer = {"
    again, characters = writer.read(Path("writer.js")).model()
    model, vocabulary, steps = text.load(small)
    assert (characters, steps) == (vocabulary, 2)
    for (name, got), (_, wanted) in zip(
        again.named_parameters(), model.named_parameters(), strict=True
    ):
        assert torch.equal(got, rounding.rounded(wanted).weight), name


def test_the_loss_of_a_gpt_is_measured_in_bits(small):
    data = corpus.Corpus.of(corpus.read(None), length=7)
    record = replace(runs.read(small), data=runs.checksum([data.text]))
    even = text.untrained(len(data.vocabulary), text.SMALL)
    torch.nn.init.zeros_(even.embedding.weight)  # all characters have the same probability
    bits = f"{math.log2(len(data.vocabulary)):.2f}"
    assert measured_losses(record, even, even) == (
        f"On text never seen: {bits} bits per character in 8 bits, {bits} before rounding."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"position": None}, "with positions Learned"),
        ({"num_heads": 3, "position": partial(ALiBi, 3)}, "with num_heads 3"),
        ({"num_kv_heads": 2}, "with num_kv_heads 2"),
        ({"core": partial(TopK, 2)}, "with core functools.partial"),
        ({"feed_forward": FeedForward}, "with feed_forward FeedForward"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_gpt_the_runtime_cannot_run_is_refused(change, said):
    rules = {
        "d_model": 12, "num_heads": 4, "num_layers": 1, "dropout": 0.0,
        "position": partial(ALiBi, 4),
    }  # fmt: skip
    with pytest.raises(script.NotForPages, match=said):
        writer.require_runnable(GPT(GPTConfig(11, **(rules | change))))


def test_a_translator_is_no_writer(translator, tmp_path):
    script.write(script.PageModel.of(translator), tmp_path / "a.js")
    with pytest.raises(script.NotForPages, match="holds no model"):
        writer.read(tmp_path / "a.js")


def test_chances_are_even_and_the_seeds():
    one, again, other = (list(islice(writer.chances(seed), 1000)) for seed in (1, 1, 2))
    assert one == again != other
    assert min(one) > 0 and max(one) < 1
    assert torch.histc(torch.tensor(one), bins=5, min=0, max=1).min() > 150
