"""The two translators, tiny: they learn, stop, go on, and say what they do not know."""

from collections import Counter
from dataclasses import replace
from functools import partial
from importlib import metadata

import pytest
import torch

from minitx import training
from minitx.data import dates as date_data
from minitx.data import numbers as number_data
from minitx.data.batching import translation_batch
from minitx.data.split import Split
from minitx.data.vocabulary import EOS, UnknownToken
from minitx.projects import alignment, learning, runs, translation
from minitx.projects.settings import TranslationSettings
from minitx.projects.translators import DATES, NUMBERS, TRANSLATORS
from minitx.training import Processes

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))
PAIRS = [number_data.pairs()[n] for n in (7, 21, 80, 81, 200, 281, 1971, 20_003)]
TINY = TranslationSettings(
    num_steps=60, max_lr=1e-2, batch_size=len(PAIRS), warmup_steps=5, d_model=32, num_heads=2,
    num_layers=1,
)  # fmt: skip
FEW = replace(NUMBERS, split=lambda: Split(PAIRS, PAIRS[:3], []), lessons=list)


def trained(folder, settings=TINY, *, project=FEW):
    return translation.train(project, settings, group=ALONE, folder=folder, progress=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    trained(folder)
    return folder


@pytest.fixture(scope="module")
def translator(folder):
    return translation.load(FEW, folder)[0]


def test_a_handful_of_pairs_is_learned(translator):
    english, french = zip(*PAIRS, strict=True)
    assert translator.translate(english) == list(french)
    score = translation.scored(translator, [*PAIRS, ("seven", "huit")])
    assert (score.right, score.count, score.chrf) == (8, 9, None)
    assert score.mistakes == [("seven", "sept", "huit")]


def test_many_texts_are_translated_like_each_alone(translator, monkeypatch):
    """More than fit into one batch, of different lengths."""
    monkeypatch.setattr(translation, "AT_ONCE", 13)
    texts = [text for text, _ in PAIRS] * 5
    assert translator.translate(texts) == [translator.translate([t])[0] for t in texts[:8]] * 5


def test_a_translator_is_found_again(folder, translator):
    again, steps = translation.load(FEW, folder)
    assert steps == TINY.num_steps
    assert again.src == translator.src and again.tgt == translator.tgt
    assert not again.model.training


def test_a_run_of_another_version_is_refused(tmp_path):
    record = runs.Record("numbers", {"d_ff": 47, "seed": 0}, "abc", {"src": [], "tgt": []})
    runs.claim(tmp_path, record, ALONE)
    with pytest.raises(runs.OtherRun, match="was begun by another version of minitx; delete it"):
        translation.load(FEW, tmp_path)


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
    assert translation.load(FEW, tmp_path / "parts")[1] == 7
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
        trained(
            tmp_path / "0",
            short,
            project=replace(FEW, split=lambda: Split([("one", "un")], PAIRS[:1], [])),
        )


def test_chance_outside_is_not_moved(tmp_path):
    torch.manual_seed(3)
    wanted = torch.rand(5)
    torch.manual_seed(3)
    trained(tmp_path, replace(TINY, num_steps=1))
    assert torch.equal(torch.rand(5), wanted)


def test_labels_are_smoothed_in_training_only(translator):
    batch = translation_batch([translator.ids(pair) for pair in PAIRS])
    with torch.no_grad():
        loss = {
            s: translation.loss_sum(translator.model, batch, smoothing=s)[0] for s in (0.0, 0.3)
        }
        assert loss[0.0] == loss[0.3]
        translator.model.train()  # there is no dropout
        smoothed, tokens = translation.loss_sum(translator.model, batch, smoothing=0.3)
        translator.model.eval()
    assert smoothed > 2 * loss[0.0]
    assert tokens == sum(len(NUMBERS.cut(french)) + 1 for _, french in PAIRS)


def test_padding_changes_nothing(translator):
    """The loss of a batch is the sum of its rows' losses, each alone and unpadded."""
    ids = [translator.ids(pair) for pair in PAIRS]
    loss = partial(translation.loss_sum, translator.model, smoothing=0.0)
    with torch.no_grad():
        alone = sum(loss(translation_batch([pair]))[0] for pair in ids)
        # float32, sums in another order; the losses themselves are near 0.
        torch.testing.assert_close(loss(translation_batch(ids))[0], alone, rtol=1e-3, atol=1e-4)


def test_the_rate_rises_and_falls():
    def rate(**settings):
        return learning.training_config(replace(TINY, max_lr=3.0, **settings)).rate

    rate_at = rate(num_steps=100, warmup_steps=40)
    assert rate_at(10) == 3.0  # a tenth of the steps at most
    assert rate_at(5) == 1.5
    assert 0 < rate_at(100) < 0.01
    assert rate(num_steps=1)(1) > 0
    # One step before the cosine's end, 1/91 of the way: (1 - cos(pi/91)) / 2 < 3e-4 is left of it.
    assert rate(num_steps=100, final_lr=0.1)(100) == pytest.approx(0.3, rel=3e-3)


def test_what_was_never_seen_is_named(translator):
    some = replace(translator, project=replace(FEW, read=str))
    with pytest.raises(UnknownToken, match=r"^never seen: “foo”, “bar”; learned were whole num"):
        some.encode("seven foo bar foo")
    with pytest.raises(UnknownToken, match=r"^never seen: COMBINING DIAERESIS; learned were"):
        some.encode("seven\u0308")
    with pytest.raises(ValueError, match=r"^there is nothing to translate in ''$"):
        some.translate(["seven", ""])


# --- the projects ----------------------------------------------------------------------------


@pytest.mark.parametrize("project", TRANSLATORS.values(), ids=TRANSLATORS)
def test_every_held_out_text_can_be_read(project):
    """No character or word occurs only in what is held out."""
    split = project.split()
    for tokens, side in ((project.tokens, 0), (project.cut, 1)):
        known = {token for pair in split.train for token in tokens(pair[side])}
        assert {t for pair in [*split.validation, *split.test] for t in tokens(pair[side])} <= known


@pytest.mark.parametrize("project", TRANSLATORS.values(), ids=TRANSLATORS)
def test_nothing_held_out_is_learned_from(project):
    """Not even as another text that is read the same, and from all that is shown in an epoch."""
    split = project.split()
    lessons = {project.read(source) for source, _ in project.lessons(split.train)}
    assert lessons == {project.read(source) for source, _ in split.train}
    assert not lessons & {project.read(source) for source, _ in [*split.validation, *split.test]}


@pytest.mark.parametrize("project", TRANSLATORS.values(), ids=TRANSLATORS)
def test_what_was_read_is_read_as_itself(project):
    texts = [project.read(source) for source, _ in project.split().test[::7]]
    assert [project.read(text) for text in texts] == texts


def test_numbers_are_measured_on_all_there_are():
    number_of = {pair: number for number, pair in enumerate(number_data.pairs())}
    held_out, first, everything = (
        [number_of[pair] for pair in pairs] for pairs in NUMBERS.measured().values()
    )
    assert held_out == [number_of[pair] for pair in number_data.split().test]
    assert first == [*range(1000)]
    assert everything == [*range(24_000)]


def test_short_numbers_are_seen_often_enough():
    """In the steps of a training each of them at least a dozen times: "one" was seen twice."""
    lessons = NUMBERS.lessons(NUMBERS.split().train)
    seen = Counter(len(number_data.plain(source).split()) for source, _ in lessons)
    different = Counter(len(number_data.plain(source).split()) for source, _ in {*lessons})
    epochs = NUMBERS.settings.num_steps * NUMBERS.settings.batch_size / len(lessons)
    assert all(epochs * seen[n] / different[n] >= 12 for n in (1, 2))
    assert all(seen[n] / different[n] == max(1, 2 ** (6 - n)) for n in seen)


@pytest.mark.parametrize("project", TRANSLATORS.values(), ids=TRANSLATORS)
def test_the_whole_project_on_little(project, tmp_path):
    """Data, training and score, with a few pairs in place of thousands."""
    whole = project.split()
    lessons = whole.train[:: len(whole.train) // 50]
    known = {token for source, _ in lessons for token in project.tokens(source)}
    readable = [pair for pair in whole.test if {*project.tokens(pair[0])} <= known][:7]
    few = replace(project, split=lambda: Split(lessons, readable, readable))
    settings = replace(TINY, num_steps=3, max_lr=project.settings.max_lr)
    translator = trained(tmp_path, settings, project=few)
    assert len(translator.src.tokens) > 10
    # Three steps are not enough to write every character, but for a score.
    score = translation.scored(translator, readable)
    assert score.count == len(readable) > 0
    assert 0 <= score.right <= score.count
    assert (score.chrf is not None) == (project is DATES)


def test_chrf_is_sacrebleus(monkeypatch):
    from sacrebleu.metrics import CHRF

    got, wanted = ["1984-05-11", "2001-01-01"], ["1984-05-12", "2001-01-01"]
    # corpus_chrf is CHRF's own corpus score over one list of references.
    assert translation.chrf_score(got, wanted) == CHRF().corpus_score(got, [wanted]).score
    assert translation.chrf_score(wanted, wanted) == 100.0


def test_a_package_that_is_missing_is_missed_before_the_training(monkeypatch, tmp_path):
    version = metadata.version

    def without_sacrebleu(package):
        if package == "sacrebleu":
            raise metadata.PackageNotFoundError
        return version(package)

    monkeypatch.setattr(metadata, "version", without_sacrebleu)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package sacrebleu; install it with"):
        trained(tmp_path, project=DATES)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ModuleNotFoundError, match=r"needs the package sacrebleu; install it with"):
        translation.chrf_score(["a"], ["b"])


def test_the_years_a_date_translator_knows():
    assert f"{date_data.FIRST.year} to {date_data.FIRST.year + 99}" in DATES.known


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
    assert aligned.source == ["two", "hundred", "eighty", "one", alignment.END]
    assert aligned.target == [*NUMBERS.cut(french), alignment.END]
    wanted = weights_by_hand(translator, text, NUMBERS.cut(french))
    assert aligned.weights.shape == wanted.shape == (1, 2, 6, 5)
    torch.testing.assert_close(aligned.weights, wanted, rtol=1e-4, atol=1e-6)  # float32


def test_a_translation_that_is_cut_short_has_no_end(translator):
    aligned = alignment.align(translator, PAIRS[5][0], max_new_tokens=3)
    assert aligned.target == NUMBERS.cut(PAIRS[5][1])[:3]
    assert aligned.text == "".join(aligned.target)
    assert aligned.weights.shape == (1, 2, 3, 5)


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


def test_german_is_learned_in_seconds_and_turned_round():
    """Every number never seen is right; tens and units look where German says them."""
    german = TRANSLATORS["german"]
    translator = translation.learned(german)
    assert translation.scored(translator, german.split().test).mistakes == []
    looked = alignment.align(translator, "524")
    assert looked.text == "five hundred twenty four"
    assert looked.source[:-1] == ["fünf", "hundert", "vier", "und", "zwanzig"]
    most = looked.weights[0, 0].argmax(dim=-1).tolist()
    assert [most[0], most[2], most[3]] == [0, 4, 2]


def test_without_attention_there_is_nothing_to_align():
    settings = replace(TINY, architecture="recurrent", num_steps=1)
    plain = translation.learned(replace(FEW, settings=settings))
    with pytest.raises(ValueError, match="has no attention, so there is nothing to align"):
        alignment.align(plain, "seven")
