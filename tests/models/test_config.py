"""What configs and parts of models refuse, in words: for every field of every model."""

import re
from dataclasses import MISSING, fields
from functools import partial

import pytest

from minitx import models
from minitx.cores import FullAttention, FusedAttention, LinearAttention, Nystrom
from minitx.models.parts import make_core

CONFIGS = [getattr(models, name) for name in models.__all__ if name.endswith("Config")]
FIELDS = [(config, field) for config in CONFIGS for field in fields(config)]
ATTENTIVE = [config for config in CONFIGS if "core" in {f.name for f in fields(config)}]
IDS = [f"{config.__name__}-{field.name}" for config, field in FIELDS]
WANTED = {
    "a size": "an integer of at least 1",
    "a share": "a number from 0 to 1",
    "a choice": "True or False",
    "a part": "a class or function that makes the part, not the part itself",
}
FUSED = FusedAttention()
WRONG_KIND = {
    "a size": [7.5, "7", True, float("nan")],
    "a share": ["0.1", True],
    "a choice": [1, "yes"],
    "a part": [FUSED, 7, "FusedAttention"],
}
OUT_OF_RANGE = {"a size": [0, -3], "a share": [-0.1, 1.5, float("nan"), float("inf")]}


def kind_of(field):
    """Read off the annotation in another way than `validate` does: by its text."""
    text = str(field.type)
    for word, kind in (("bool", "a choice"), ("int", "a size"), ("float", "a share")):
        if text in (f"<class '{word}'>", f"{word} | None"):
            return kind
    return "a part"


def config_with(config, name, value):
    needed = {f.name: 19 for f in fields(config) if f.default is MISSING}
    return config(**(needed | {name: value}))


@pytest.mark.parametrize(("config", "field"), FIELDS, ids=IDS)
def test_every_field_is_looked_at(config, field, as_users_run):
    kind = kind_of(field)
    optional = field.default is None
    wrong = [(TypeError, value) for value in WRONG_KIND[kind] + ([] if optional else [None])]
    wrong += [(ValueError, value) for value in OUT_OF_RANGE.get(kind, [])]
    for error, value in wrong:
        text = f"{field.name} must be {WANTED[kind]}, got {value!r}"
        with pytest.raises(error, match=f"^{re.escape(text)}$"):
            config_with(config, field.name, value)


@pytest.mark.parametrize("config", CONFIGS)
def test_what_may_be_left_open_may(config, as_users_run):
    for field in fields(config):
        if field.default is None:
            config_with(config, field.name, None)
    for share in (0, 1, 0.0, 1.0) if "dropout" in {f.name for f in fields(config)} else ():
        assert config_with(config, "dropout", share).dropout == share


@pytest.mark.parametrize("config", CONFIGS)
def test_every_model_has_an_example_that_runs(config):
    """`test_doctests` runs them."""
    assert ">>> " in getattr(models, config.__name__.removesuffix("Config")).__doc__


def own(dropout, scale=None):
    return FullAttention(dropout=dropout, scale=scale)


def test_a_core_gets_its_dropout():
    for factory in (FusedAttention, FullAttention, partial(FusedAttention, scale=1.0), own):
        for rate in (0.0, 0.3):
            assert make_core(factory, dropout=rate).dropout == rate
    # The config's rate is the one, also where a factory has a rate of its own.
    assert make_core(partial(FusedAttention, dropout=0.7), dropout=0.0).dropout == 0.0


def test_a_core_gets_its_scale():
    for factory in (FusedAttention, FullAttention, partial(Nystrom, 2), own):
        assert make_core(factory, scale=0.3).scale == 0.3
    assert make_core(partial(FusedAttention, scale=0.7)).scale == 0.7  # a model without one
    text = (
        "LinearAttention takes no scale, and this model has a scale of 1.0 for attention: take a "
        "core whose scale can be set, as FusedAttention's"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        models.T5(models.T5Config(19, core=LinearAttention, dropout=0.0))


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (partial(Nystrom, 2), "Nystrom"),
        (lambda scale=None: FusedAttention(scale=scale), "<lambda>"),
    ],
)
@pytest.mark.parametrize("config", ATTENTIVE)
def test_a_core_that_cannot_drop_is_refused(config, factory, name):
    make = getattr(models, config.__name__.removesuffix("Config"))
    names = {f.name: f.default for f in fields(config)}
    sizes = {
        n: size for n, size in {"d_model": 12, "num_heads": 3, "d_ff": 11}.items() if n in names
    }
    sizes |= {name: 19 for name, default in names.items() if default is MISSING}
    text = (
        f"{name} takes no dropout, and this model has a dropout of 0.1 for attention: set "
        "attention_dropout to 0, or take a core that drops weights, as FusedAttention"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(config(core=factory, dropout=0.1, **sizes))
    make(config(core=factory, attention_dropout=0.0, **sizes))
