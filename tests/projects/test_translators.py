"""The two translators, tiny: they learn, stop, go on, and say what they do not know."""

import re
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from minitx import training
from minitx.data import dates as date_data
from minitx.data import numbers as number_data
from minitx.data.batching import translation_batch
from minitx.data.vocabulary import EOS
from minitx.projects import alignment, dates, numbers, runs, translation
from minitx.projects.translation import Settings, UnknownToken
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))
PAIRS = [number_data.pairs()[n] for n in (7, 21, 80, 81, 200, 281, 1971, 20_003)]
TINY = Settings(
    num_steps=60, max_lr=1e-2, batch_size=len(PAIRS), warmup_steps=5, d_model=32, num_heads=2,
    num_layers=1, d_ff=47, smoothing=0.0,
)  # fmt: skip


def trained(folder, settings=TINY, *, pairs=PAIRS, project="numbers", cut=numbers.cut):
    return translation.train_translator(
        project, pairs, PAIRS[:3], cut, settings, group=ALONE, folder=folder, progress=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    trained(folder)
    return folder


@pytest.fixture(scope="module")
def translator(folder):
    return translation.load(folder, "numbers", numbers.cut)[0]


def test_a_handful_of_pairs_is_learned(translator):
    english, french = zip(*PAIRS, strict=True)
    assert translator.translate(english) == list(french)
    score = translation.scored(translator, [*PAIRS, ("seven", "huit")])
    assert (score.exact, score.count, score.chrf) == (8 / 9, 9, None)
    assert score.mistakes == [("seven", "sept", "huit")]


def test_many_texts_are_translated_like_each_alone(translator):
    """More than one batch of 256, of texts of different lengths."""
    texts = [text for text, _ in PAIRS] * 40
    assert translator.translate(texts) == [translator.translate([t])[0] for t in texts[:8]] * 40


def test_a_translator_is_found_again(folder, translator):
    again, steps = translation.load(folder, "numbers", numbers.cut)
    assert steps == TINY.num_steps
    assert again.src == translator.src and again.tgt == translator.tgt
    assert not again.model.training


def interrupted(monkeypatch, step):
    """Ctrl-C is pressed while this step runs."""
    batches = translation.translation_batches

    def stopping(*arguments, **options):
        batch_at = batches(*arguments, **options)

        def pressed(number):
            if number == step - 1:
                import signal

                signal.raise_signal(signal.SIGINT)
            return batch_at(number)

        return pressed

    monkeypatch.setattr(translation, "translation_batches", stopping)


def test_stopped_and_continued_is_as_never_stopped(tmp_path, folder, monkeypatch):
    settings = replace(TINY, dropout=0.1, num_steps=11)
    whole = trained(tmp_path / "whole", settings)
    with monkeypatch.context() as patch:
        interrupted(patch, 7)
        with pytest.raises(KeyboardInterrupt, match="stopped after step 7; run it again"):
            trained(tmp_path / "parts", settings)
    assert translation.load(tmp_path / "parts", "numbers", numbers.cut)[1] == 7
    parts = trained(tmp_path / "parts", settings)
    state = whole.model.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in parts.model.state_dict().items())


def test_another_seed_is_another_model(tmp_path):
    short = replace(TINY, num_steps=1)
    one, other = (trained(tmp_path / str(s), replace(short, seed=s)).model for s in (0, 1))
    assert not torch.equal(one.src_embedding.weight, other.src_embedding.weight)
    with pytest.raises(runs.OtherRun, match=r"holds a run with seed 0 \(asked for: 1\)"):
        trained(tmp_path / "0", replace(short, seed=1))
    with pytest.raises(runs.OtherRun, match="holds a run with other training data"):
        trained(tmp_path / "0", short, pairs=[("one", "un")])


def test_chance_outside_is_not_moved(tmp_path):
    torch.manual_seed(3)
    wanted = torch.rand(5)
    torch.manual_seed(3)
    trained(tmp_path, replace(TINY, num_steps=1))
    assert torch.equal(torch.rand(5), wanted)


def test_labels_are_smoothed_in_training_only(translator):
    batch = translation_batch(
        [translation.ids(p, translator.src, translator.tgt, numbers.cut) for p in PAIRS]
    )
    with torch.no_grad():
        loss = {
            s: translation.loss_sum(translator.model, batch, smoothing=s)[0] for s in (0.0, 0.3)
        }
        assert loss[0.0] == loss[0.3]
        translator.model.train()  # there is no dropout
        smoothed, tokens = translation.loss_sum(translator.model, batch, smoothing=0.3)
        translator.model.eval()
    assert smoothed > 2 * loss[0.0]
    assert tokens == sum(len(numbers.cut(french)) + 1 for _, french in PAIRS)


def test_padding_changes_nothing(translator):
    """The loss of a batch is the sum of its rows' losses, each alone and unpadded."""
    ids = [translation.ids(p, translator.src, translator.tgt, numbers.cut) for p in PAIRS]
    loss = partial(translation.loss_sum, translator.model, smoothing=0.0)
    with torch.no_grad():
        alone = sum(loss(translation_batch([pair]))[0] for pair in ids)
        # float32, sums in another order; the losses themselves are near 0.
        torch.testing.assert_close(loss(translation_batch(ids))[0], alone, rtol=1e-3, atol=1e-4)


def test_the_rate_rises_and_falls():
    rate = translation.rate_of(replace(TINY, num_steps=100, warmup_steps=40, max_lr=3.0))
    assert rate(10) == 3.0  # a tenth of the steps at most
    assert rate(5) == 1.5
    assert 0 < rate(100) < 0.01
    assert translation.rate_of(replace(TINY, num_steps=1))(1) > 0


def test_what_was_never_seen_is_named(translator):
    with pytest.raises(UnknownToken, match=r"^the translator has never seen “foo”, “bar”$"):
        translator.encode("seven foo bar foo")
    with pytest.raises(UnknownToken, match=r"^there is nothing to translate$"):
        translator.translate(["seven", ""])


# --- what is typed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("281", "two hundred and eighty-one"),
        (" 20,003\t", "twenty thousand and three"),
        ("20 003", "twenty thousand and three"),
        ("007", "seven"),
        ("Two\t Hundred", "two hundred"),
        ("", ""),
        ("3.5", "3.5"),
        ("-5", "-5"),
    ],
)
def test_numbers_in_digits_are_spelled_out(typed, read):
    assert numbers.read(typed) == read


@pytest.mark.parametrize("typed", ["24000", "99999999999999999999"])
def test_numbers_beyond_the_known_are_refused(typed):
    with pytest.raises(ValueError, match=rf"^{int(typed):,} is too large: .* from 0 to 23,999"):
        numbers.read(typed)
    assert numbers.read("23999") == number_data.pairs()[-1][0]


def test_dates_are_read_as_they_are():
    assert dates.read(" Freitag, 5. März ") == "Freitag, 5. März"
    assert "".join(dates.cut("5. März")) == "5. März"
    assert f"{date_data.FIRST.year} to {date_data.FIRST.year + 99}" in dates.KNOWN


@pytest.mark.parametrize(("project", "data"), [(numbers, number_data), (dates, date_data)])
def test_every_held_out_text_can_be_read(project, data):
    """No character or word occurs only in what is held out."""
    split = data.split()
    known = {token for text, _ in split.train for token in project.cut(text)}
    assert {token for text, _ in split.test for token in project.cut(text)} <= known
    assert all(project.read(text) == text for text, _ in split.test)


@pytest.mark.parametrize(("project", "data"), [(numbers, number_data), (dates, date_data)])
def test_the_whole_project_on_little(project, data, tmp_path, monkeypatch):
    """Data, training and score, with a few pairs in place of thousands."""
    whole = data.split()
    few = type(whole)(whole.train[::500], whole.validation[::500], whole.test[::500])
    monkeypatch.setattr(data, "split", lambda: few)
    settings = replace(TINY, num_steps=3, max_lr=project.SETTINGS.max_lr)
    translator = project.train(settings, group=ALONE, folder=tmp_path, progress=False)
    assert len(translator.src.tokens) > 20
    # Too little was learned to write the rare characters; what is unknown may stand in few texts.
    readable = [p for p in few.test if not {*project.cut(p[0])} - {*translator.src.tokens}]
    monkeypatch.setattr(data, "split", lambda: few._replace(test=readable))
    score = project.score(translator)
    assert score.count == len(readable) > 0
    assert 0 <= score.exact <= 1
    assert (score.chrf is not None) == (project is dates)


def test_chrf_is_sacrebleus(monkeypatch):
    from sacrebleu.metrics import CHRF

    got, wanted = ["1984-05-11", "2001-01-01"], ["1984-05-12", "2001-01-01"]
    # corpus_chrf is CHRF's own corpus score over one list of references.
    assert translation.chrf_score(got, wanted) == CHRF().corpus_score(got, [wanted]).score
    assert translation.chrf_score(wanted, wanted) == 100.0
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'minitx[data]'")):
        translation.chrf_score(got, wanted)


# --- alignment -------------------------------------------------------------------------------


def weights_by_hand(translator, text, written):
    """Scores of q and k from the model's own projections, softmax: not through any core."""
    model, seen = translator.model, []
    handles = [
        projection.register_forward_hook(lambda _, __, out: seen.append(out))
        for block in model.decoder.blocks
        for projection in (block.cross_attention.q_proj, block.cross_attention.k_proj)
    ]
    src = torch.tensor([[*translator.encode(text), EOS]])
    with torch.no_grad():
        model(src, torch.tensor([[1, *translator.tgt.encode(written)]]))
    for handle in handles:
        handle.remove()
    heads = model.config.num_heads
    rows = []
    for q, k in zip(seen[::2], seen[1::2], strict=True):
        q, k = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k))
        rows.append((q @ k.transpose(-2, -1) / q.size(-1) ** 0.5).softmax(-1)[0])
    return torch.stack(rows)


def test_the_alignment_is_that_of_the_translation(translator):
    text, french = PAIRS[5]
    aligned = alignment.align(translator, text)
    assert aligned.text == french
    assert aligned.source == ["two", "hundred", "and", "eighty", "-one", alignment.END]
    assert aligned.target == [*numbers.cut(french), alignment.END]
    wanted = weights_by_hand(translator, text, numbers.cut(french))
    assert aligned.weights.shape == wanted.shape == (1, 2, 6, 6)
    torch.testing.assert_close(aligned.weights, wanted, rtol=1e-4, atol=1e-6)  # float32


def test_a_translation_that_is_cut_short_has_no_end(translator):
    aligned = alignment.align(translator, PAIRS[5][0], max_new_tokens=3)
    assert aligned.target == numbers.cut(PAIRS[5][1])[:3]
    assert aligned.text == "".join(aligned.target)
    assert aligned.weights.shape == (1, 2, 3, 6)


def test_watching_leaves_the_model_as_it_was(translator):
    before = {name: len(m._forward_pre_hooks) for name, m in translator.model.named_modules()}
    with pytest.raises(ZeroDivisionError):
        alignment.attention_weights(
            [translator.model.decoder.blocks[0].cross_attention.core], lambda: 1 / 0
        )
    alignment.align(translator, "seven")
    after = {name: len(m._forward_pre_hooks) for name, m in translator.model.named_modules()}
    assert before == after


def test_the_picture(translator, tmp_path):
    path = tmp_path / "deep" / "picture.png"
    alignment.draw(alignment.align(translator, PAIRS[5][0]), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_training_with_the_loop_leaves_a_log(folder):
    rows = (folder / "log.csv").read_text().splitlines()
    assert len(rows) == TINY.num_steps + 1
    assert training.checkpoints.load(folder / "checkpoint.pt")["rows"][-1]["step"] == 60
