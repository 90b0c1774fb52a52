"""The examples in minitx's docstrings give what they say."""

import doctest
import importlib

import pytest

WITH_EXAMPLES = ["numpy_core", "masks", "functional", "viz"]
WITH_EXAMPLES += ["cores.linear_attention"]
WITH_EXAMPLES += ["cache", "compressive", "experts", "layers", "parameters", "pretrained"]
WITH_EXAMPLES += [
    f"positions.{n}" for n in ("alibi", "rotary", "sinusoidal", "t5_bias", "transformer_xl")
]
WITH_EXAMPLES += ["generate", "training.losses", "training.schedules"]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f"minitx.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
