"""Longer texts than those of the training: who reads them how, and what is told of it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from minitx.models.gpt import GPT, GPTConfig
from minitx.positions import Learned, NoPosition, Rotary, YaRN
from minitx.projects import extrapolation
from minitx.projects.schemes import FaintSinusoidal, scheme
from minitx.projects.text import Writer

TRIALS = {trial.name: trial.settings for trial in extrapolation.TRIALS}
KEPT = extrapolation.EXPERIMENT.kept()


def gpt(position, *, vocab_size=13):
    torch.manual_seed(0)
    return GPT(
        GPTConfig(
            vocab_size=vocab_size, d_model=24, num_heads=3, num_layers=1, dropout=0.0,
            position=position,
        )
    ).eval()  # fmt: skip


@pytest.mark.parametrize("name", TRIALS)
def test_every_name_is_a_scheme_of_its_own_that_a_model_takes(name):
    settings = TRIALS[name]
    position = scheme(settings)()
    kind = type(position).__name__.removeprefix("Faint").removesuffix("Bias")
    assert kind.lower() == {"none": "noposition"}.get(name, name.lower().replace("-", ""))
    config = GPTConfig(
        vocab_size=5, d_model=64, num_heads=4, num_layers=1, position=lambda: position
    )
    assert GPT(config)(torch.tensor([[1, 2, 3]])).shape == (1, 3, 5)


def test_only_keys_behind_are_told_apart_by_buckets():
    assert scheme(TRIALS["T5"])().bidirectional is False


def test_faint_sinusoids_are_a_tenth_of_the_papers():
    x, pos = torch.randn(1, 5, 8), torch.arange(5)[None]
    faint = FaintSinusoidal(8)
    torch.testing.assert_close(faint.embed(x, pos), x + faint.table(pos, torch.float32) / 10)


def test_a_rotary_model_is_read_with_slower_turns_and_the_same_weights():
    model = gpt(partial(Rotary, 8))
    readings = extrapolation.readings(model)
    assert list(readings) == ["", ", interpolated", ", NTK base", ", YaRN"]
    assert readings[""] is model
    turns = [reading.position.frequencies / model.position.frequencies for reading in
             readings.values()]  # fmt: skip
    np.testing.assert_allclose(turns[1], 0.25, rtol=1e-6)
    assert float(turns[2][0]) == 1
    assert float(turns[2][-1]) == pytest.approx(0.25, rel=1e-6)
    assert isinstance(readings[", YaRN"].position, YaRN)
    assert float(turns[3][0]) > float(turns[3][-1]) == pytest.approx(0.25, rel=1e-6)
    ids = torch.randint(13, (1, 1))
    torch.testing.assert_close(readings[", NTK base"](ids), model(ids))


def test_others_are_read_as_they_were_trained():
    assert list(extrapolation.readings(gpt(NoPosition))) == [""]


@pytest.mark.parametrize(("position", "count"), [(NoPosition, 8), (partial(Learned, 64, 24), 2)])
def test_losses_end_where_learned_positions_end(position, count, monkeypatch):
    text = "abcdefgh" * 800
    monkeypatch.setattr(extrapolation.corpus, "read", lambda file: text)
    vocabulary = extrapolation.corpus.Corpus.of(text).vocabulary
    model = gpt(position, vocab_size=len(vocabulary))
    losses = extrapolation.measure(Writer(model, vocabulary, 0.0))["by_place"][""]
    assert len(losses) == count
    assert losses[0] == pytest.approx(np.log(12), abs=0.3)  # untrained: a guess among 12


def result(by_place):
    return {
        "command": "minitx train extrapolation", "date": "2026-11-28",
        "trials": [{"name": name, "runs": [{"by_place": some} for some in runs]}
                   for name, runs in by_place.items()],
    }  # fmt: skip


EASY = result(
    {
        "learned": [{"": [2.0, 3.0]}, {"": [4.0, 5.0]}],
        "rotary": [
            {"": [1.0, 2, 3, 4, 5, 6, 7, 8], ", YaRN": [1.0] * 8},
            {"": [3.0, 4, 5, 6, 7, 8, 9, 10], ", YaRN": [3.0] * 8},
        ],
        "low": [{"": [1.0] * 8}, {"": [1.5] * 8}],
    }
)


def test_the_table_has_all_characters_and_those_beyond():
    table = extrapolation.table_of(EASY)
    assert table.columns == (
        "positions", "all of 64", "all of 128", "all of 256", "beyond 64, of 128",
        "beyond 64, of 256", "lowest and highest seed",
    )  # fmt: skip
    assert table.rows == (
        ("learned", 3.5, *["–"] * 5),
        ("rotary", 2.5, 3.5, 5.5, 4.5, 6.5, "5.50–7.50"),
        ("rotary, YaRN", 2.0, 2.0, 2.0, 2.0, 2.0, "1.00–3.00"),
        ("low", *[1.25] * 5, "1.00–1.50"),
    )


def test_the_pictures_have_the_schemes_and_the_readings_of_one():
    above, below = extrapolation.picture_of(EASY).axes
    lines = above.get_lines()
    drawn = {line.get_label(): line.get_ydata() for line in lines if line.get_label()[0] != "_"}
    assert list(drawn) == ["rotary", "learned"]
    np.testing.assert_array_equal(drawn["rotary"], np.arange(2.0, 10))
    np.testing.assert_array_equal(drawn["learned"], [3, 4, *[np.nan] * 6])
    assert [line.get_label() for line in below.get_lines()][:1] == ["low"]
    assert below.get_lines()[0].get_color() not in [line.get_color() for line in lines]
    np.testing.assert_array_equal(lines[0].get_xdata(), np.arange(16, 256, 32))
    lines = extrapolation.picture_of(EASY, "rotary").axes[0].get_lines()
    assert [line.get_label() for line in lines][:2] == ["rotary", "rotary, YaRN"]


def test_what_is_kept_can_be_shown():
    names = [row[0] for row in extrapolation.table().rows]
    assert names[: len(TRIALS)] == list(TRIALS)
    assert len(names) == len(TRIALS) + 3
    above, below = extrapolation.picture().axes
    assert len(above.get_lines()) + len(below.get_lines()) == len(TRIALS) + 2
    assert max(np.nanmax(line.get_ydata()) for line in below.get_lines()[:-1]) < extrapolation.LOW
    assert len(extrapolation.picture("rotary").axes[0].get_lines()) == 4 + 1


def test_all_schemes_are_trained_alike():
    settings = [replace(settings, positions="none") for settings in TRIALS.values()]
    assert len(set(settings)) == 1
    assert all(t["settings"]["length"] == extrapolation.LENGTH for t in KEPT["trials"])
