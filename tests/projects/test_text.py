"""The two models of text, tiny: they learn, stop, go on, write and restore."""

import unicodedata
from dataclasses import replace

import pytest
import torch

from minitx.data.text import python_topics
from minitx.data.vocabulary import UnknownToken
from minitx.projects import corpus, masked, runs, text
from minitx.projects.corpus import Corpus
from minitx.projects.settings import TextSettings
from minitx.training import IGNORE, Processes
from tests.no_float64 import NoFloat64

ALONE = Processes(rank=0, count=1, device=torch.device("cpu"))
ROUND = "the quick, so_b" * 100  # every character says which is next
TINY = TextSettings(
    num_steps=120, max_lr=5e-3, final_lr=0.1, warmup_steps=8, weight_decay=0.1, batch_size=8,
    length=23, d_model=32, num_heads=2, num_layers=1,
)  # fmt: skip
PROJECTS = [text, masked]


def trained(project, folder, settings=TINY, *, words=ROUND):
    data = Corpus.of(words, length=settings.length)
    return project.train(data, settings, group=ALONE, folder=folder, progress=False)


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    return trained(text, tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    settings = replace(TINY, num_steps=200, batch_size=24, num_layers=2)
    return trained(masked, tmp_path_factory.mktemp("masked"), settings)


def test_a_round_is_learned_and_written_on(writer):
    assert writer.loss < 0.1  # log 15 = 2.7 would be a guess among its characters
    # Longer than the pieces it has learned from.
    assert writer.write("the", num_characters=60, temperature=0.1) == ROUND[3:63]


def test_the_loss_is_that_of_the_unseen_tenth(writer):
    data = Corpus.of(ROUND)
    token_ids = data.validation[:24][None]
    with torch.no_grad():
        logits = writer.model(token_ids[:, :-1])
        loss, count = text.loss_sum(writer.model, (token_ids[:, :-1], token_ids[:, 1:]))
    log_probs = logits[0].double().log_softmax(-1)
    wanted = -sum(float(log_probs[t, token_ids[0, t + 1]]) for t in range(23))
    assert int(count) == 23
    assert float(loss) == pytest.approx(wanted, rel=1e-4)  # float32


def test_the_same_seed_writes_the_same(writer):
    hot = {"num_characters": 30, "temperature": 5.0}
    assert writer.write("the", seed=3, **hot) == writer.write("the", seed=3, **hot)
    assert writer.write("the", seed=3, **hot) != writer.write("the", seed=4, **hot)


def test_what_a_prompt_must_be(writer):
    with pytest.raises(UnknownToken, match=r"^the prompt holds characters never seen: “é”, “!”$"):
        writer.write("é!é")
    with pytest.raises(ValueError, match=r"^the prompt is empty, and the model needs a charact"):
        writer.write("")


def test_equal_texts_are_one_text_and_equal_prompts_one_prompt():
    """Composed or decomposed, with ordinary blanks or those of a web page."""
    composed = "Café, März, 21 % " * 10
    variants = [
        unicodedata.normalize("NFD", composed),
        composed.replace(" ", "\u00a0"),
        composed.replace(" ", "\u202f"),
    ]
    data = Corpus.of(composed)
    for variant in variants:
        assert variant != composed
        other = Corpus.of(variant)
        assert (other.text, other.vocabulary) == (data.text, data.vocabulary)
        assert torch.equal(other.train, data.train)
        ids = corpus.prompt_ids(variant[:25], data.vocabulary)
        assert "".join(data.vocabulary.decode(ids)) == data.text[: len(ids)]


@pytest.mark.slow
def test_holes_are_filled(restorer):
    assert restorer.right > 0.8
    frequent = max(map(ROUND.count, set(ROUND))) / len(ROUND)
    # 128 pieces of 23 characters, 15 % of them asked about: some 440 draws.
    assert restorer.always_the_same == pytest.approx(frequent, abs=0.08)
    example = restorer.example
    assert list(example) == ["with holes", "restored", "original"]
    assert example["original"] in ROUND
    assert "_" in example["with holes"]
    assert {len(piece) for piece in example.values()} == {TINY.length}


def test_a_share_of_right_answers_is_counted_over_the_asked(restorer):
    """Two places are asked about, one of them answered as the model answers."""
    data = Corpus.of(ROUND)
    row = data.validation[:23][None]
    corrupted, targets = row.clone(), torch.full_like(row, IGNORE)
    corrupted[0, [5, 11]] = masked.HOLE
    asked = corrupted == masked.HOLE
    guesses = restorer.model(corrupted, asked).argmax(-1)
    wrong = (guesses[1] + 1) % len(data.vocabulary)
    targets[0, 5], targets[0, 11] = guesses[0], wrong
    with NoFloat64():  # as on Apple's GPUs
        assert masked.measured(restorer.model, data, (corrupted, targets)).right == 0.5


@pytest.mark.slow
def test_only_asked_places_are_in_the_loss(restorer):
    batch = masked.holes(Corpus.of(ROUND).train, 19, TINY, batch_size=3, group=ALONE)(0)
    corrupted, targets = batch
    asked = targets != IGNORE
    assert 0 < asked.sum() < asked.numel() / 2
    with torch.no_grad():
        loss, count = masked.loss_sum(restorer.model, batch)
        everywhere = restorer.model.bert.masked_language_logits(restorer.model.bert(corrupted))
    wanted = torch.nn.functional.cross_entropy(everywhere[asked], targets[asked], reduction="sum")
    assert count == asked.sum()
    torch.testing.assert_close(loss, wanted, rtol=1e-4, atol=1e-4)  # float32


def test_holes_depend_on_seed_and_number_only():
    def holes(number, seed=0):
        settings = replace(TINY, seed=seed)
        data = Corpus.of(ROUND)
        return masked.holes(data.train, 19, settings, batch_size=3, group=ALONE)(number)

    assert torch.equal(holes(5)[0], holes(5)[0])
    assert not torch.equal(holes(5)[0], holes(6)[0])
    assert not torch.equal(holes(5)[0], holes(5, seed=1)[0])


def test_heads_that_are_not_used_do_not_wait_for_gradients(restorer):
    frozen = {n.split(".")[1] for n, p in restorer.model.named_parameters() if not p.requires_grad}
    assert frozen == {"pooler", "next_sentence"}


@pytest.mark.parametrize("project", PROJECTS)
def test_stopped_and_continued_is_as_never_stopped(project, tmp_path, monkeypatch):
    settings = replace(TINY, dropout=0.1, num_steps=7)
    whole = trained(project, tmp_path / "whole", settings)
    batches, taken = project.window_batches, []

    def stopping(*arguments, **options):
        batch_at = batches(*arguments, **options)

        def pressed(number):
            taken.append(number)
            if len(taken) == 5:
                import signal

                signal.raise_signal(signal.SIGINT)
            return batch_at(number)

        return pressed

    with monkeypatch.context() as patch:
        patch.setattr(project, "window_batches", stopping)
        with pytest.raises(KeyboardInterrupt, match="stopped after step"):
            trained(project, tmp_path / "parts", settings)
    parts = trained(project, tmp_path / "parts", settings)
    state = whole.model.state_dict()
    assert all(torch.equal(x, state[name]) for name, x in parts.model.state_dict().items())


@pytest.mark.parametrize("project", PROJECTS)
def test_another_text_or_setting_is_another_run(project, tmp_path):
    settings = replace(TINY, num_steps=1)
    trained(project, tmp_path, settings)
    with pytest.raises(runs.OtherRun, match="holds a run with other training data"):
        trained(project, tmp_path, settings, words=ROUND[1:])
    with pytest.raises(runs.OtherRun, match=r"holds a run with length 23 \(asked for: 29\)"):
        trained(project, tmp_path, replace(settings, length=29))


@pytest.mark.parametrize(("size", "length"), [(239, 23), (19, 1), (4, 23), (0, 1)])
def test_a_text_that_is_too_short(size, length):
    wanted = (
        rf"^the text has {size} characters; pieces of {length} need at least {10 * length + 10}$"
    )
    with pytest.raises(ValueError, match=wanted):
        Corpus.of(ROUND[:size], length=length)


@pytest.mark.parametrize("length", [1, 23, 37])
def test_a_text_that_is_just_long_enough(length):
    data = Corpus.of(ROUND[: 10 * length + 10], length=length)
    assert len(data.validation) == length + 1


def test_the_corpus():
    data = Corpus.of("abcdefghijabcdefghij")
    assert "".join(data.vocabulary.decode(data.train.tolist())) == "abcdefghijabcdefgh"
    assert "".join(data.vocabulary.decode(data.validation.tolist())) == "ij"


def test_the_text_is_python_s_or_the_user_s(tmp_path):
    assert corpus.read(None) == python_topics()
    (tmp_path / "novel.txt").write_text("Ça va?\n", encoding="utf-8")
    assert corpus.read(tmp_path / "novel.txt") == "Ça va?\n"
